"""An experiment: its keys, their checks, and the YAML file they are read from."""
