"""How the values of a field were made along time, by its cell methods, name and long name."""

import re

import xarray as xr

from graphdown.variables.catalogue import describe

AVERAGES = ("mean", "sum", "point")
# "time: mean", "area: time: mean where land", "time: maximum within days time: mean over days"
_CLAUSE = re.compile(r"((?:\w+\s*:\s*)+)([a-z_]+)((?:\s+(?:where|over|within)\s+\w+)*)")
_TIME = re.compile(r"\b(?:x?time\w*|t|date)\s*:")
_EXTREME = re.compile(r"(?:^|_|\b)(max|min)(?:imum)?(?:_|\b|$)|(max|min)(?:imum)?$", re.IGNORECASE)
_IN_WORDS = re.compile(
    r"\b(max|min)imum\b|\b(?:daily|hourly|monthly)[ -](max|min)\b", re.IGNORECASE
)
_OF_GRIB = {"max": "maximum", "min": "minimum"}


def method_of(field: xr.DataArray) -> str:
    """Method along time of a field's values: "mean", "maximum", "sum" or another of CF.

    A mean of daily maxima is a maximum, as is the maximum of hourly means; the maximum over days
    of daily means is a "maximum over days". Without a method along time it is empty.
    """
    text = re.sub(r"\([^)]*\)", "", str(field.attrs.get("cell_methods", ""))).lower()
    methods = [
        f"{method} over days" if "over" in scope and method not in AVERAGES else method
        for names, method, scope in _CLAUSE.findall(text)
        if _TIME.search(names)
    ]
    unlike = list(dict.fromkeys(m for m in methods if m not in AVERAGES))
    if unlike:
        return " of ".join(reversed(unlike))
    if methods:
        return "sum" if "sum" in methods else methods[0]
    return _OF_GRIB.get(str(field.attrs.get("GRIB_stepType", "")), "")


def implied_method(field: xr.DataArray) -> str:
    """Method along time as of `method_of`, else by name or long name; empty if neither says it."""
    method = method_of(field)
    if method:
        return method
    found = _EXTREME.search(str(field.name)) or _IN_WORDS.search(
        str(field.attrs.get("long_name", ""))
    )
    return _OF_GRIB[next(filter(None, found.groups())).lower()] if found else ""


def method_fits(method: str, name: str) -> bool:
    """Whether values made by a method along time may be those of a variable.

    Args:
        method: as of `method_of`.
        name: CF/CMIP name; one that the catalogue lacks may have any method.
    """
    variable = describe(name)
    expected = variable.method
    return (
        not (method and variable.units)
        or method == expected
        or (expected in ("mean", "") and method in AVERAGES)
    )
