"""The page of a transfer study."""
