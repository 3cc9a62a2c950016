"""Grids: points, cells and masks, from files, names and definitions."""
