"""Identification of a variable in a file: by name, level, standard name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from graphdown.data.reading.cell_methods import implied_method, method_fits, method_of
from graphdown.data.reading.rules import Notes, refuse
from graphdown.data.reading.standard_names import named_by_ncl, named_by_standard
from graphdown.data.reading.units import may_have_units
from graphdown.data.reading.vertical import (
    LEVEL_TOLERANCE_PA,
    check_level,
    check_surface,
    near_surface,
    other_kind,
    other_levels,
    pressure_name,
    pressures,
)
from graphdown.errors import DataError
from graphdown.variables.catalogue import daily_methods, describe, registered, split_level


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
    ta850); names in use elsewhere; CF standard names. Units, level, height and cell methods have
    to agree with the name.

    Args:
        ds: a file's variables.
        name: CF/CMIP name.
        where: for messages.
        notes: collects assumptions.
        stated: the user gave the name by renaming, so cell methods and level are not questioned.

    Raises:
        DataError: several variables fit, a level is absent or no pressure, or cell methods or
            level contradict the name.
    """
    family, level = split_level(name)
    if name in ds.variables and name not in ds.dims:
        if not stated:
            _check_method(ds[name], name, where)
            _check_level(ds[name], name, where)
        return Choice(name, "", ds[name])
    if level is None:
        found = _surface(ds, name, where)
        return None if found is None else Choice(found, "", ds[found])
    single = _single_level(ds, family, level)
    if single is not None:
        if not stated:
            check_level(ds[single], single, level, where)
        return Choice(single, "", ds[single])
    found = _with_levels(ds, family, where)
    return None if found is None else _at_level(ds, found, name, level, where, notes)


def recognised(ds: xr.Dataset, where: str, notes: Notes) -> list[str]:
    """CF/CMIP names of all variables of a dataset that graphdown knows and can read.

    Raises:
        DataError: the only ones are on levels that are no pressure levels; beside others, these are
            left out with a notice.
    """
    surface = [v.name for v in registered().values() if not v.levels]
    names = [name for name in surface if choose(ds, name, where, Notes()) is not None]
    for variable in ds.data_vars:
        family, level = split_level(str(variable))
        if level is not None:
            names.append(f"{family}{level}")
    unusable: list[DataError] = []
    for family in (v.name for v in registered().values() if v.levels):
        try:
            found = _with_levels(ds, family, where)
            if found is not None:
                _, values = pressures(ds[found], Notes(), where)
                names += [f"{family}{round(p / 100)}" for p in np.atleast_1d(values)]
        except DataError as error:
            unusable.append(error)
    if unusable and not names:
        raise unusable[0]
    for refused in unusable:
        text = str(refused).removeprefix(f"{where}: ")
        notes.add("levels-left-out", where, f"left out: {text.rstrip('.')}")
    return list(dict.fromkeys(names))


def _check_method(field: xr.DataArray, name: str, where: str) -> None:
    method = implied_method(field)
    if method_fits(method, name):
        return
    others = [other for other, known in daily_methods(name).items() if known == method]
    advice = f"ask for {others[0]!r}, or " if others else ""
    by = "cell_methods" if method_of(field) else "long_name"
    by = "GRIB_stepType" if method_of(field) and by not in field.attrs else by
    raise refuse(
        "cell-methods",
        f"{where}: {name!r} is a {method} by its {by.replace('_', ' ')} "
        f"({str(field.attrs.get(by))!r}); {advice}add 'rename: {{{name}: {name}}}'"
        " if the name is right.",
    )


def _check_level(field: xr.DataArray, name: str, where: str) -> None:
    level = split_level(name)[1]
    if level is not None:
        check_level(field, name, level, where)
    elif _is_aloft_too(name):
        check_surface(field, name, where)


def _is_aloft_too(name: str) -> bool:
    """Whether a variable near the surface has the standard name of one on levels, or is a wind."""
    aloft = {s for v in registered().values() if v.levels for s in v.standard_names}
    variable = describe(name)
    is_named = bool(aloft & set(variable.standard_names)) or "wind_speed" in variable.standard_names
    return is_named and not variable.levels


def _surface(ds: xr.Dataset, name: str, where: str) -> str | None:
    variable = describe(name)
    fits = [a for a in variable.aliases if a in ds.data_vars and _may_be(ds[a], name)]
    fits += [n for n in named_by_ncl(ds, name) if _may_be(ds[n], name)]
    if fits:
        return fits[0]
    fits = [n for n in named_by_standard(ds, name) if _may_be(ds[n], name)]
    fits = [n for n in fits if n not in _named_otherwise(name)]
    if variable.extreme_of:
        fits = [n for n in fits if implied_method(ds[n]) == variable.method]
    return _only(fits, name, where)


def _may_be(field: xr.DataArray, name: str) -> bool:
    """Whether a field's height, cell methods and units are those of a variable."""
    return (
        near_surface(field)
        and method_fits(implied_method(field), name)
        and may_have_units(name, field.attrs.get("units"))
    )


def _named_otherwise(name: str) -> set[str]:
    """Names of the other variables of the catalogue that are near the surface."""
    return {v.name for v in registered().values() if not v.levels} - {name}


def _single_level(ds: xr.Dataset, family: str, level: int) -> str | None:
    """Variable whose name includes family and level, such as t850 or Z500hPa."""
    stems = "|".join(re.escape(a) for a in (family, *describe(family).aliases))
    pattern = re.compile(rf"({stems})_?{level}(_?hpa)?", re.IGNORECASE)
    return next((str(n) for n in ds.data_vars if pattern.fullmatch(str(n))), None)


def _with_levels(ds: xr.Dataset, family: str, where: str) -> str | None:
    """Variable of a family that has a pressure level, as dimension or scalar."""
    aliases = [n for n in (family, *describe(family).aliases) if n in ds.data_vars]
    names = [n for n in (*aliases, *named_by_ncl(ds, family)) if _may_be_aloft(ds[n], family)]
    standard = [n for n in named_by_standard(ds, family) if n not in names]
    standard = [n for n in standard if _may_be_aloft(ds[n], family)]
    levelled = [n for n in names if pressure_name(ds[n]) is not None]
    if levelled:
        return levelled[0]
    levelled = [n for n in standard if pressure_name(ds[n]) is not None]
    kinds = {n: other_levels(ds[n]) for n in (*names, *standard)}
    for n, kind in kinds.items():
        if kind is not None and not levelled:
            raise other_kind(n, kind, where)
    return _only(levelled, family, where)


def _may_be_aloft(field: xr.DataArray, family: str) -> bool:
    """Whether a field's cell methods and units are those of a variable on levels."""
    units = field.attrs.get("units")
    return method_fits(implied_method(field), family) and may_have_units(family, units)


def _only(fits: list[str], name: str, where: str) -> str | None:
    if len(fits) > 1:
        raise refuse(
            "variable-ambiguous",
            f"{where}: {name!r} could be {' or '.join(repr(f) for f in fits)}; choose, as in "
            f"'rename: {{{fits[0]}: {name}}}'.",
        )
    return fits[0] if fits else None


def _at_level(
    ds: xr.Dataset, found: str, name: str, level: int, where: str, notes: Notes
) -> Choice:
    field = ds[found]
    coord, there = pressures(field, notes, where)
    distance = np.abs(np.atleast_1d(there) - 100.0 * level)
    if distance.min() > LEVEL_TOLERANCE_PA:
        known = ", ".join(f"{p / 100:g}" for p in np.atleast_1d(there)[:40])
        raise refuse(
            "level-absent",
            f"{where}: {name!r} needs the level {level} hPa, but {found!r} has {known} hPa; choose "
            "one of those or add a file with it.",
        )
    text = f"{coord} = {np.atleast_1d(there)[distance.argmin()]:g} Pa"
    if coord in field.dims:
        field = field.isel({coord: int(distance.argmin())})
    return Choice(found, text, field.drop_vars(str(coord)))
