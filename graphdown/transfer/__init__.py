"""Transfer studies: how well strategies generalise to sources that they did not learn from."""
