"""CF metadata of what is written: coordinates, attributes, encoding, provenance."""
