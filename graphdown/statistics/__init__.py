"""Closed-form statistics in NumPy: moments, penalised least squares."""
