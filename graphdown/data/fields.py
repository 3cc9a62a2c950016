"""Open fields from files and bring them to canonical names, units and layout."""

import glob
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from graphdown.data.units import convert_units
from graphdown.errors import DataError
from meshes import Grid


def open_fields(
    files: Sequence[str],
    variables: Sequence[str],
    units: Mapping[str, str] | None = None,
    rename: Mapping[str, str] | None = None,
    optional: Sequence[str] = (),
) -> xr.Dataset:
    """Open files, join them along time and return canonical fields.

    Args:
        files: netCDF or zarr paths or globs.
        variables: CF/CMIP names that must be there.
        units: units of variables that carry none or wrong ones.
        rename: name in the file: CF/CMIP name.
        optional: names that are taken if there.

    Returns:
        Dataset [time, *horizontal] in canonical units, float32.

    Raises:
        DataError: a file or variable is missing, or units cannot be understood.
    """
    parts = [_open(path).rename(_present(rename or {}, path)) for path in _paths(files)]
    joined = parts[0] if len(parts) == 1 else _join(parts, files)
    return to_canonical(joined, variables, units, where=", ".join(files), optional=optional)


def to_canonical(
    ds: xr.Dataset,
    variables: Sequence[str],
    units: Mapping[str, str] | None = None,
    where: str = "the dataset",
    optional: Sequence[str] = (),
) -> xr.Dataset:
    """Return the named variables of a dataset in canonical units, time first, days in order.

    Raises:
        DataError: a variable, its time or its units are missing, or days are repeated.
    """
    stated = dict(units or {})
    absent = [name for name in variables if name not in ds]
    if absent:
        there = ", ".join(str(name) for name in ds.data_vars)
        raise DataError(
            f"{where}: the variable {absent[0]!r} is absent (there are: {there}); "
            "correct the name or add it under 'rename'."
        )
    wanted = [*variables, *(name for name in optional if name in ds)]
    fields = {name: convert_units(ds[name], stated.get(name), where) for name in wanted}
    for name in variables:
        if "time" not in fields[name].dims:
            raise DataError(f"{where}: the variable {name!r} has no dimension 'time'.")
    out = xr.Dataset(fields)
    mapping = {str(ds[n].attrs["grid_mapping"]) for n in wanted if "grid_mapping" in ds[n].attrs}
    out = out.assign_coords({name: ds[name] for name in mapping if name in ds})
    if "time" not in out.dims:
        return out
    times = out.indexes["time"]
    if times.has_duplicates:
        twice = times[times.duplicated()][0]
        raise DataError(f"{where}: the time {twice} is there twice; drop one of the two.")
    out = out if times.is_monotonic_increasing else out.sortby("time")
    return out.transpose("time", ...)


def horizontal_grid(ds: xr.Dataset, variables: Sequence[str], where: str) -> Grid:
    """Return the grid that the named variables share.

    Raises:
        DataError: the variables stand on different grids, or no coordinates are found.
    """
    dims = {name: tuple(d for d in ds[name].dims if d != "time") for name in variables}
    first = variables[0]
    for name in variables:
        if set(dims[name]) != set(dims[first]):
            raise DataError(
                f"{where}: {first!r} stands on {dims[first]} but {name!r} on {dims[name]}; "
                "give them as two sources or interpolate one to the other's grid."
            )
    try:
        return Grid.from_dataset(ds[list(variables)])
    except ValueError as error:
        raise DataError(f"{where}: {error}") from None


def field_values(ds: xr.Dataset, variables: Sequence[str], grid: Grid) -> np.ndarray:
    """Return the variables as float32 [time, node, variable]."""
    stacked = [grid.values(ds[name]) for name in variables]
    return np.stack(stacked, axis=-1).astype(np.float32, copy=False)


def _paths(files: Sequence[str]) -> list[str]:
    paths: list[str] = []
    for pattern in files:
        found = sorted(glob.glob(pattern))
        if not found:
            raise DataError(f"No file matches {pattern!r}; check the path.")
        paths += found
    return paths


def _open(path: str) -> xr.Dataset:
    try:
        if Path(path).suffix == ".zarr":
            return xr.open_zarr(path)
        return xr.open_dataset(path, engine="netcdf4", chunks={})
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"The file {path!r} cannot be read: {reason}.") from None


def _present(rename: Mapping[str, str], path: str) -> dict[str, str]:
    import difflib

    with_names = set(_open(path).variables)
    for name in rename:
        if name not in with_names:
            close = difflib.get_close_matches(name, [str(n) for n in with_names], n=1)
            hint = f"; did you mean {close[0]!r}?" if close else "."
            raise DataError(f"{path}: 'rename' names {name!r}, which is not in the file{hint}")
    return dict(rename)


def _join(parts: list[xr.Dataset], files: Sequence[str]) -> xr.Dataset:
    try:
        return xr.concat(
            parts,
            "time",
            data_vars="minimal",
            coords="minimal",
            compat="override",
            join="exact",
            combine_attrs="override",
        )
    except (ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{', '.join(files)} cannot be joined along time: {reason}") from None
