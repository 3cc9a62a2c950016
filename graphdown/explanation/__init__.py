"""Explanations: which predictors at which places an emulator's output follows."""
