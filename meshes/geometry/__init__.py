"""Points, cells and triangulations on the sphere."""
