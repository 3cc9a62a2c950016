"""What a variable is: its units and the values that it can have."""

import re

import numpy as np

CANONICAL = {
    "tas": "K",
    "tasmax": "K",
    "tasmin": "K",
    "pr": "mm day-1",
    "psl": "Pa",
    "ps": "Pa",
    "uas": "m s-1",
    "vas": "m s-1",
    "sfcWind": "m s-1",
    "huss": "1",
    "hurs": "1",
    "rsds": "W m-2",
    "rlds": "W m-2",
    "orog": "m",
    "sftlf": "1",
}
CANONICAL_BY_FAMILY = {"ta": "K", "zg": "m", "hus": "1", "ua": "m s-1", "va": "m s-1", "hur": "1"}
LIMITS = {
    "tas": (160.0, 345.0),
    "tasmax": (160.0, 345.0),
    "tasmin": (160.0, 345.0),
    "ta": (140.0, 345.0),
    "pr": (-0.1, 2e4),
    "psl": (82000.0, 111000.0),
    "ps": (30000.0, 111000.0),
    "huss": (-1e-3, 0.06),
    "hus": (-1e-3, 0.06),
    "hurs": (-0.1, 2.0),
    "hur": (-0.3, 3.0),
    "uas": (-130.0, 130.0),
    "vas": (-130.0, 130.0),
    "sfcWind": (-0.1, 130.0),
    "ua": (-200.0, 200.0),
    "va": (-200.0, 200.0),
    "rsds": (-10.0, 1500.0),
    "rlds": (-10.0, 900.0),
    "zg": (-1000.0, 60000.0),
    "orog": (-600.0, 9000.0),
    "sftlf": (-0.01, 1.01),
}


def split_level(name: str) -> tuple[str, int | None]:
    """Return family and level (hPa) of a name such as ta850; no level for tas."""
    matched = re.fullmatch(r"([a-zA-Z]+)(\d+)", name)
    if matched and matched.group(1) in CANONICAL_BY_FAMILY:
        return matched.group(1), int(matched.group(2))
    return name, None


def canonical_units(name: str) -> str | None:
    """Return the canonical units of a CMIP variable such as tas or ua850, None if unknown."""
    if name in CANONICAL:
        return CANONICAL[name]
    family, level = split_level(name)
    return CANONICAL_BY_FAMILY.get(family) if level is not None else None


def limits(name: str) -> tuple[float, float]:
    """Return the least and the greatest value that a variable can have, in canonical units."""
    family, level = split_level(name)
    if family == "zg" and level is not None and level >= 200:
        height = 44330.0 * (1.0 - (level / 1013.25) ** 0.1903)
        return height - 1800.0, height + 1800.0
    return LIMITS.get(family, (-np.inf, np.inf))
