"""Identification of a variable in a file: by name, level, standard name."""

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from graphdown.data.reading.rules import Notes, refuse
from graphdown.data.reading.units import pascals
from graphdown.variables.catalogue import daily_methods, describe, registered, split_level
from graphdown.variables.winds import ALONG_GRID

LEVELS = ("plev", "level", "lev", "pressure_level", "isobaricInhPa", "isobaricInPa", "pressure")
NEAR_SURFACE_M = 20.0
KNOWN_METHODS = ("mean", "maximum", "minimum")
LEVEL_TOLERANCE_PA = 50.0


@dataclass(frozen=True)
class Choice:
    """The variable of a file that was chosen.

    Attributes:
        file_name: its name in the file.
        level: the level taken from a pressure dimension, as in "plev = 85000 Pa", or empty.
        field: its values, the level taken.
    """

    file_name: str
    level: str
    field: xr.DataArray


def renamed(ds: xr.Dataset, rename: Mapping[str, str]) -> xr.Dataset:
    """Rename those variables of the dataset that are in `rename`."""
    present = {old: new for old, new in rename.items() if old in ds.variables}
    taken = [new for old, new in present.items() if new in ds.variables and new != old]
    return ds.drop_vars(taken).rename(present)


def choose(
    ds: xr.Dataset, name: str, where: str, notes: Notes, stated: bool = False
) -> Choice | None:
    """Find the variable of a dataset that a name means, None if there is none.

    Looked for, in this order: the name itself; the family's name with a pressure level (ta for
    ta850); names in use elsewhere; CF standard names, distinguished by level, height and
    cell methods.

    Args:
        ds: a file's variables.
        name: CF/CMIP name.
        where: for messages.
        notes: collects assumptions.
        stated: the user gave the name by renaming, so cell methods are not questioned.

    Raises:
        DataError: several variables fit, a level is absent or no pressure, or the cell methods
            contradict the name.
    """
    family, level = split_level(name)
    if name in ds.variables and name not in ds.dims:
        if not stated:
            _check_method(ds[name], name, where)
        return Choice(name, "", ds[name])
    if level is None:
        found = _surface(ds, name, where)
        return None if found is None else Choice(found, "", ds[found])
    single = _single_level(ds, family, level)
    if single is not None:
        return Choice(single, "", ds[single])
    found = _with_levels(ds, family, where)
    return None if found is None else _at_level(ds, found, name, level, where, notes)


def recognised(ds: xr.Dataset, where: str) -> list[str]:
    """CF/CMIP names of all variables of a dataset that graphdown knows."""
    surface = [v.name for v in registered().values() if not v.levels]
    names = [name for name in surface if choose(ds, name, where, Notes()) is not None]
    for variable in ds.data_vars:
        family, level = split_level(str(variable))
        if level is not None:
            names.append(f"{family}{level}")
    for family in (v.name for v in registered().values() if v.levels):
        found = _with_levels(ds, family, where)
        if found is not None:
            _, values = _pressures(ds[found], Notes(), where)
            names += [f"{family}{round(p / 100)}" for p in np.atleast_1d(values)]
    return list(dict.fromkeys(names))


def method_of(field: xr.DataArray) -> str:
    """First cell method along time, empty without one."""
    matched = re.search(r"\btime\d*:\s*([a-z_]+)", str(field.attrs.get("cell_methods", "")))
    return matched.group(1) if matched else ""


def _check_method(field: xr.DataArray, name: str, where: str) -> None:
    methods, method = daily_methods(name), method_of(field)
    if name not in methods or method not in ("maximum", "minimum") or method == methods[name]:
        return
    others = [other for other, known in methods.items() if known == method]
    advice = f"ask for {others[0]!r}, or " if others else ""
    raise refuse(
        "cell-methods",
        f"{where}: {name!r} is a {method} by its cell methods "
        f"({field.attrs['cell_methods']!r}); {advice}add 'rename: {{{name}: {name}}}'"
        " if the name is right.",
    )


def _surface(ds: xr.Dataset, name: str, where: str) -> str | None:
    variable = describe(name)
    fits = [a for a in variable.aliases if a in ds.data_vars and _near_surface(ds[a])]
    fits = [a for a in fits if _method_fits(ds[a], name)]
    if fits:
        return fits[0]
    fits = [n for n in _by_standard_name(ds, name) if _near_surface(ds[n])]
    fits = [n for n in fits if _method_fits(ds[n], name)]
    if variable.extreme_of:
        fits = [n for n in fits if method_of(ds[n]) == variable.method]
    return _only(fits, name, where)


def _method_fits(field: xr.DataArray, name: str) -> bool:
    """Whether a field may be the variable: its extreme of a day is not its daily mean."""
    methods, method = daily_methods(name), method_of(field)
    return name not in methods or method == methods[name] or method not in KNOWN_METHODS


def _near_surface(field: xr.DataArray) -> bool:
    if re.fullmatch(r"[a-z]+_?\d{3,4}(_?hpa)?", str(field.name), re.IGNORECASE):
        return False  # ua850 has the standard name of the wind near the surface
    if _level_name(field) is not None or _other_levels(field) is not None:
        return False
    heights = [c for c in field.coords.values() if c.attrs.get("standard_name") == "height"]
    return all(c.size == 1 and float(c.values.flat[0]) <= NEAR_SURFACE_M for c in heights)


def _single_level(ds: xr.Dataset, family: str, level: int) -> str | None:
    """Variable whose name includes family and level, such as t850 or Z500hPa."""
    stems = "|".join(re.escape(a) for a in (family, *describe(family).aliases))
    pattern = re.compile(rf"({stems})_?{level}(_?hpa)?", re.IGNORECASE)
    return next((str(n) for n in ds.data_vars if pattern.fullmatch(str(n))), None)


def _with_levels(ds: xr.Dataset, family: str, where: str) -> str | None:
    """Variable of a family that has a pressure level, as dimension or scalar."""
    names = [n for n in (family, *describe(family).aliases) if n in ds.data_vars]
    standard = [n for n in _by_standard_name(ds, family) if n not in names]
    for n in names:
        other = _other_levels(ds[n])
        if other is not None and _level_name(ds[n]) is None:
            raise refuse(
                "level-kind",
                f"{where}: {n!r} is on {other}, not on pressure levels; interpolate it to "
                "pressure first.",
            )
    levelled = [n for n in names if _level_name(ds[n]) is not None]
    if levelled:
        return levelled[0]
    return _only([n for n in standard if _level_name(ds[n]) is not None], family, where)


def _by_standard_name(ds: xr.Dataset, name: str) -> list[str]:
    import cf_xarray  # noqa: F401

    table = ds.cf.standard_names
    variable = describe(name)
    names = (*variable.standard_names, *variable.amount_names)
    along_grid = [name for known in names for name in ALONG_GRID.get(known, ())]
    for some in (names, along_grid):
        found = [str(v) for s in some for v in table.get(s, []) if v in ds.data_vars]
        if found:
            return found
    return []


def _only(fits: list[str], name: str, where: str) -> str | None:
    if len(fits) > 1:
        raise refuse(
            "variable-ambiguous",
            f"{where}: {name!r} could be {' or '.join(repr(f) for f in fits)}; choose, as in "
            f"'rename: {{{fits[0]}: {name}}}'.",
        )
    return fits[0] if fits else None


def _level_name(field: xr.DataArray) -> Hashable | None:
    """Coordinate that holds pressure levels, of any size."""
    for name, coord in field.coords.items():
        if coord.ndim > 1 or (coord.ndim == 1 and coord.dims != (name,)):
            continue
        units = coord.attrs.get("units")
        if coord.attrs.get("standard_name") == "air_pressure":
            return name
        if units is not None and np.issubdtype(coord.dtype, np.number):
            if pascals(np.zeros(1), str(units)) is not None:
                return name
        elif name in LEVELS and "standard_name" not in coord.attrs:
            return name
    return None


def _other_levels(field: xr.DataArray) -> str | None:
    """Words for vertical levels other than pressure, None if there are none."""
    for name, coord in field.coords.items():
        standard = str(coord.attrs.get("standard_name", ""))
        vertical = re.search(r"hybrid|sigma|altitude|depth|model_level", standard)
        if coord.ndim == 1 and coord.dims == (name,) and vertical:
            return standard.replace("_", " ")
    return None


def _pressures(field: xr.DataArray, notes: Notes, where: str) -> tuple[Hashable, np.ndarray]:
    """Name of the pressure coordinate and its values in Pa."""
    name = _level_name(field)
    assert name is not None
    coord = field.coords[name]
    values = np.asarray(coord.values, np.float64)
    units = coord.attrs.get("units")
    in_pascals = pascals(values, str(units)) if units is not None else None
    if in_pascals is not None:
        return name, in_pascals
    assumed = "Pa" if str(name) == "isobaricInPa" or values.max() > 1100 else "hPa"
    if str(name) not in ("isobaricInhPa", "isobaricInPa"):
        text = f"the levels {str(name)!r} have no units and are taken as {assumed}"
        notes.add("level-units-assumed", where, text, str(field.name))
    return name, values * (1.0 if assumed == "Pa" else 100.0)


def _at_level(
    ds: xr.Dataset, found: str, name: str, level: int, where: str, notes: Notes
) -> Choice:
    field = ds[found]
    coord, pressures = _pressures(field, notes, where)
    distance = np.abs(np.atleast_1d(pressures) - 100.0 * level)
    if distance.min() > LEVEL_TOLERANCE_PA:
        there = ", ".join(f"{p / 100:g}" for p in np.atleast_1d(pressures)[:40])
        raise refuse(
            "level-absent",
            f"{where}: {name!r} needs the level {level} hPa, but {found!r} has {there} hPa; choose "
            "one of those or add a file with it.",
        )
    text = f"{coord} = {np.atleast_1d(pressures)[distance.argmin()]:g} Pa"
    if coord in field.dims:
        field = field.isel({coord: int(distance.argmin())})
    return Choice(found, text, field.drop_vars(str(coord)))
