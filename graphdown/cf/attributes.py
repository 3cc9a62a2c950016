"""The CF attributes of the variables that an emulator makes."""

import re

from graphdown.variables.catalogue import canonical_units
from graphdown.variables.time_steps import DAY_HOURS, HOUR_SECONDS, TimeSpec

MEAN = "time: mean"
SURFACE = {
    "tas": ("air_temperature", "Daily mean near-surface air temperature", MEAN),
    "tasmax": ("air_temperature", "Daily maximum near-surface air temperature", "time: maximum"),
    "tasmin": ("air_temperature", "Daily minimum near-surface air temperature", "time: minimum"),
    "pr": ("lwe_precipitation_rate", "Precipitation", MEAN),
    "psl": ("air_pressure_at_mean_sea_level", "Sea level pressure", MEAN),
}
LEVELS = {
    "ta": ("air_temperature", "Air temperature"),
    "zg": ("geopotential_height", "Geopotential height"),
    "hus": ("specific_humidity", "Specific humidity"),
    "ua": ("eastward_wind", "Eastward wind"),
    "va": ("northward_wind", "Northward wind"),
}


def variable_attrs(name: str, time: TimeSpec | None = None) -> dict[str, str]:
    """Return units, standard_name, long_name and cell_methods of a CMIP variable.

    A name that is not known, such as "snowline", gets its units alone.

    Args:
        name: of the variable.
        time: the steps of its values, days if not given.
    """
    daily = time is None or time.target_seconds == DAY_HOURS * HOUR_SECONDS
    attrs = {"units": canonical_units(name) or "1"}
    level = re.fullmatch(r"([a-z]+)(\d+)", name)
    if name in SURFACE:
        standard, long, methods = SURFACE[name]
    elif level and level[1] in LEVELS:
        standard, long = LEVELS[level[1]]
        long, methods = f"{long} at {level[2]} hPa", MEAN
    else:
        return attrs
    if not daily:
        long = long.replace("Daily mean near-surface", "Near-surface")
    if time is not None and time.values == "point":
        methods = "time: point"
    return attrs | {"standard_name": standard, "long_name": long, "cell_methods": methods}
