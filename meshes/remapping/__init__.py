"""Sparse weights that carry fields between grids."""
