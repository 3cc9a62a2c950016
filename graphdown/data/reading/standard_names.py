"""CF standard names in files, and names that NCL makes of GRIB."""

import re

import xarray as xr

from graphdown.variables.catalogue import describe
from graphdown.variables.winds import ALONG_GRID

# Second words of standard names that are not the quantity itself, CF 3.3.
_MODIFIERS = ("detection_minimum", "number_of_observations", "standard_error", "status_flag")
_NCL = re.compile(r"([A-Z0-9]+)_(?:GDS\d+|P\d+_L\d+)_([A-Z]+)\d*(?:_ave\w*)?")
# NCL: parameter of GRIB and kind of level; HTGL is a height above ground, ISBL a pressure level.
_OF_NCL = {
    ("TMP", "HTGL"): "tas",
    ("TMAX", "HTGL"): "tasmax",
    ("TMIN", "HTGL"): "tasmin",
    ("DPT", "HTGL"): "tdps",
    ("SPFH", "HTGL"): "huss",
    ("RH", "HTGL"): "hurs",
    ("UGRD", "HTGL"): "uas",
    ("VGRD", "HTGL"): "vas",
    ("WIND", "HTGL"): "sfcWind",
    ("2T", "SFC"): "tas",
    ("2D", "SFC"): "tdps",
    ("10U", "SFC"): "uas",
    ("10V", "SFC"): "vas",
    ("MSL", "SFC"): "psl",
    ("PRMSL", "MSL"): "psl",
    ("PRES", "SFC"): "ps",
    ("TPRAT", "SFC"): "pr",
    ("PRATE", "SFC"): "pr",
    ("APCP", "SFC"): "pr",
    ("TP", "SFC"): "pr",
    ("TMP", "SFC"): "ts",
    ("DSWRF", "SFC"): "rsds",
    ("DLWRF", "SFC"): "rlds",
    ("LAND", "SFC"): "sftlf",
    ("TMP", "ISBL"): "ta",
    ("T", "ISBL"): "ta",
    ("HGT", "ISBL"): "zg",
    ("GP", "ISBL"): "zg",
    ("Z", "ISBL"): "zg",
    ("SPFH", "ISBL"): "hus",
    ("Q", "ISBL"): "hus",
    ("RH", "ISBL"): "hur",
    ("R", "ISBL"): "hur",
    ("UGRD", "ISBL"): "ua",
    ("U", "ISBL"): "ua",
    ("VGRD", "ISBL"): "va",
    ("V", "ISBL"): "va",
    ("VVEL", "ISBL"): "wap",
    ("W", "ISBL"): "wap",
}


def with_tidy_names(ds: xr.Dataset) -> xr.Dataset:
    """Dataset whose standard names have no capitals and no blanks, as CF spells them."""
    tidy = {n: _tidy(v.attrs["standard_name"]) for n, v in _named(ds).items()}
    changed = {n: name for n, name in tidy.items() if name != ds[n].attrs["standard_name"]}
    if not changed:
        return ds
    out = ds.copy()
    for name, standard_name in changed.items():
        out.variables[name].attrs["standard_name"] = standard_name
    return out


def named_by_standard(ds: xr.Dataset, name: str) -> list[str]:
    """Variables of a dataset with a standard name of a variable, in the catalogue's order.

    Winds along the axes of the grid count if there are none towards east and north.
    """
    variable = describe(name)
    names = (*variable.standard_names, *variable.amount_names)
    along_grid = [other for known in names for other in ALONG_GRID.get(known, ())]
    for some in (names, along_grid):
        found = [
            str(n)
            for standard in some
            for n, v in ds.data_vars.items()
            if v.attrs.get("standard_name") == standard
        ]
        if found:
            return found
    return []


def named_by_ncl(ds: xr.Dataset, name: str) -> list[str]:
    """Variables of a dataset that NCL named so when it read them from GRIB."""
    matched = {str(n): _NCL.fullmatch(str(n)) for n in ds.data_vars}
    return [n for n, m in matched.items() if m and _OF_NCL.get((m[1], m[2])) == name]


def _named(ds: xr.Dataset) -> dict[object, xr.Variable]:
    return {n: v for n, v in ds.variables.items() if "standard_name" in v.attrs}


def _tidy(standard_name: object) -> str:
    words = str(standard_name).lower().split()
    return " ".join(words) if words[-1:] and words[-1] in _MODIFIERS else "_".join(words)
