"""CF metadata of output: coordinates, attributes, encoding, provenance."""
