"""Time axes of a file: which variables hold times, and the variables on each axis."""

import re
from collections.abc import Hashable

import numpy as np
import xarray as xr

from graphdown.data.reading.dates import is_date
from graphdown.data.reading.rules import refuse
from meshes.grids.conventions import bounds_label, bounds_name

NAMES = ("time", "valid_time", "t", "xtime", "times", "date", "time_counter", "datetime")
SINCE = re.compile(r"\bsince\b", re.IGNORECASE)
YYYYMMDD = re.compile(r"\s*day as %Y%m%d(\.%f)?\s*")
FORECAST = re.compile(r"forecast|reference|analysis_time|init")
LEAD = re.compile(r"lead|step|forecast_(time|period|hour)")
LIMITS = re.compile(r"bnds|bounds|climatology", re.IGNORECASE)


def by_time_axis(ds: xr.Dataset, where: str) -> list[xr.Dataset]:
    """Datasets with one time axis each, called "time"; one without any if there is none.

    A time axis is recognised by units with "since", the attribute `axis`, the standard name or its
    own name. A time of a single moment becomes a dimension of length one. Variables without time
    are in all of the datasets. The bounds of an axis are named in its attribute `bounds`.

    Raises:
        DataError: fields have a time dimension of several entries that no variable dates.
    """
    dims = [d for d in ds.dims if _holders(ds, d) or str(d).lower() in NAMES]
    carrying = [d for d in dims if any(d in v.dims for v in _fields(ds, dims))]
    axes = [_on_axis(ds, d, dims, where) for d in carrying or dims[:1]]
    return axes or [_of_one_moment(ds)]


def _holders(ds: xr.Dataset, dim: Hashable) -> list[Hashable]:
    """Variables that may hold the times of a dimension, the most certain one first."""
    leads = any(LEAD.search(str(name).lower()) for name in ds.variables)
    ranks = {n: _rank(n, v, leads) for n, v in ds.variables.items() if v.dims[:1] == (dim,)}
    return sorted((n for n, rank in ranks.items() if rank), key=lambda n: ranks[n] or ())


def _rank(name: Hashable, variable: xr.Variable, leads: bool) -> tuple[bool, ...] | None:
    """Order among candidates for the times of a dimension, None for a variable that is none.

    The start of a forecast is no time of its values; without lead times it is that of an analysis.
    """
    if variable.ndim > 1 and not _are_characters(variable):
        return None
    own = variable.dims == (name,)
    marked = _standard_name(variable) == "time" or variable.attrs.get("axis") == "T"
    if LIMITS.search(str(name)) or FORECAST.search(_standard_name(variable)):
        return None
    if FORECAST.search(str(name).lower()) and not marked and (leads or not own):
        return None
    named = str(name).lower() in NAMES
    dated = is_since(str(variable.attrs.get("units", ""))) or variable.dtype.kind == "M"
    if not (marked or named or own):
        return None
    text = variable.dtype.kind in "SUOT" and not is_date(variable.values)
    dated = dated or (variable.dtype.kind == "O" and not text)
    if not (marked or named or dated):
        return None
    return not (dated or text), not own, not marked, not text


def _are_characters(variable: xr.Variable) -> bool:
    return variable.dtype in (np.dtype("S1"), np.dtype("U1"))


def is_since(units: str) -> bool:
    """Whether units count from a date, or are those of the number yyyymmdd."""
    return bool(SINCE.search(units) or YYYYMMDD.fullmatch(units))


def _standard_name(variable: xr.Variable) -> str:
    return str(variable.attrs.get("standard_name", "")).strip().lower()


def _fields(ds: xr.Dataset, dims: list[Hashable]) -> list[xr.Variable]:
    """Variables with values at times: neither times nor their bounds."""
    times = {n for d in dims for n in _holders(ds, d)}
    limits = {bounds_name(ds, n) for n in times}
    return [v for n, v in ds.data_vars.variables.items() if n not in times | limits]


def _on_axis(ds: xr.Dataset, dim: Hashable, dims: list[Hashable], where: str) -> xr.Dataset:
    """Variables on one of several time dimensions, and those without time."""
    first = {n: next((d for d in v.dims if d in dims), dim) for n, v in ds.variables.items()}
    ds = ds.drop_vars([n for n, d in first.items() if d != dim])
    holders = _holders(ds, dim)
    if not holders:
        return _without_times(ds, dim, where)
    name = holders[0]
    variable = ds[name].variable
    limits = bounds_name(ds, name) or _bounds_by_name(ds, dim)
    if variable.ndim > 1:
        variable = xr.Variable((dim,), _joined_characters(variable.values), variable.attrs)
    if limits is not None and bounds_label(variable) not in ds.variables:
        variable = variable.copy(deep=False)
        variable.attrs = {**variable.attrs, "bounds": limits}
    if (name, dim) == ("time", "time") and ds["time"].variable is variable:
        return ds
    ds = ds.drop_vars({name, dim, "time"} & set(ds.variables))
    ds = ds if dim == "time" else ds.rename_dims({dim: "time"})
    times = xr.Variable("time", variable.values, variable.attrs, variable.encoding)
    return ds.assign_coords(time=times)


def _without_times(ds: xr.Dataset, dim: Hashable, where: str) -> xr.Dataset:
    if ds.sizes[dim] == 1:
        return ds.isel({dim: 0})
    raise refuse(
        "time-absent",
        f"{where}: there is a dimension {str(dim)!r} with {ds.sizes[dim]} entries, but no variable "
        f"with its times; add one, such as {str(dim)!r} in 'days since' a date.",
    )


def _bounds_by_name(ds: xr.Dataset, dim: Hashable) -> Hashable | None:
    """Bounds of a time axis that no attribute names, such as time_bnds, None without any."""
    pairs = (n for n, v in ds.variables.items() if v.dims[:1] == (dim,) and v.shape[1:] == (2,))
    return next((n for n in pairs if re.search(r"time.*(bnd|bound)|bo?u?nds.*time", str(n))), None)


def _joined_characters(values: np.ndarray) -> np.ndarray:
    """Texts [time] from single characters [time, ...]."""
    return np.asarray([b"".join(row.ravel().tolist()).decode() for row in values])


def _of_one_moment(ds: xr.Dataset) -> xr.Dataset:
    scalars = {str(n).lower(): n for n, v in ds.variables.items() if v.ndim == 0}
    name = next((scalars[n] for n in NAMES if n in scalars), None)
    if name is None:
        return ds
    ds = ds if name == "time" else ds.drop_vars("time", errors="ignore").rename({name: "time"})
    return ds.expand_dims("time")
