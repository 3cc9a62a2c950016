"""Variables: names, units, bounds, steps in time, and the forcings made from dates."""
