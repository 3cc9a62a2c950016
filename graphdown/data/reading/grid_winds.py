"""Winds along the axes of a grid: turned to east and north."""

import re
from collections.abc import Hashable, Mapping

import numpy as np
import xarray as xr

from graphdown.data.reading.horizontal import grid_of, same_grid
from graphdown.data.reading.rules import Notes, refuse
from graphdown.variables.catalogue import describe
from graphdown.variables.winds import ALONG_GRID, wind_pairs
from meshes.geometry.sphere import east_and_north, normalise

# Long names such as "wind along x", "x-component of wind", "grid-relative eastward wind".
_ALONG_AXES = re.compile(
    r"along[ -](?:the[ -])?(?:(?:grid|model|rotated)[ -])?[xy]\b"
    r"|\b[xy][ -](?:wind|component|direction)"
    r"|\b(?:grid|rotated)[ -](?:relative|grid|east|north)"
    r"|\brelative to (?:the )?(?:model )?grid",
    re.IGNORECASE,
)
# WRF writes winds along its axes and says so nowhere; tools that turn them name the Earth.
_WRF_DIMS = {"south_north", "west_east"}
_TURNED = re.compile(r"earth|eastward|northward|rotated to", re.IGNORECASE)
ALIGNED = 1e-3  # radian: axes that depart by less from east and north need no turn


def turned_to_north(
    fields: Mapping[str, xr.DataArray], where: str, notes: Notes
) -> dict[str, xr.DataArray]:
    """Turn winds along the grid's axes to east and north.

    They are known by their standard names, by their long names if they have none, and as output of
    WRF by their dimensions.

    Args:
        fields: canonical, by CF/CMIP name.
        where: for messages.
        notes: collects what was turned.

    Raises:
        DataError: such a component comes without the other one, or on a grid without axes.
    """
    names, out = list(fields), dict(fields)
    partners = {names[a]: names[b] for pair in wind_pairs(names) for a, b in (pair, pair[::-1])}
    for name, field in fields.items():
        if not _is_along_axes(name, field):
            continue
        cosine, sine = _turn(field, where)
        if float(abs(sine).max()) < ALIGNED:
            continue
        partner = partners.get(name, "")
        other = fields.get(partner)
        if other is None or not same_grid(field, other) or not _is_along_axes(partner, other):
            raise refuse(
                "wind-alone",
                f"{where}: {name!r} is a wind along the grid's axes ({_words(field)}), which can "
                "be turned to east and north only with the other component along them on the same "
                "points; ask for both.",
            )
        # North is a quarter of a turn to the left of east.
        is_eastward = bool(describe(name).northward)
        turned = field * cosine + (-other if is_eastward else other) * sine
        attrs = {**field.attrs, "standard_name": _standard_name(name)}
        out[name] = turned.transpose(*field.dims).astype(field.dtype).assign_attrs(attrs)
        notes.add("wind-turned", where, "along the grid's axes, turned to east and north", name)
    return out


def _is_along_axes(name: str, field: xr.DataArray) -> bool:
    """Whether a field is a wind along the axes of its grid."""
    along = ALONG_GRID.get(_standard_name(name), ())
    standard_name = field.attrs.get("standard_name", "")
    if standard_name or not along:
        return standard_name in along
    told = _words(field)
    of_wrf = set(map(str, field.dims)) >= _WRF_DIMS and not _TURNED.search(told)
    return of_wrf or bool(_ALONG_AXES.search(told))


def _words(field: xr.DataArray) -> str:
    named = (field.attrs.get(key) for key in ("standard_name", "long_name", "description"))
    return next((str(words) for words in named if words), "")


def _standard_name(name: str) -> str:
    return next(iter(describe(name).standard_names), "")


def _turn(field: xr.DataArray, where: str) -> tuple[xr.DataArray, xr.DataArray]:
    """Cosine and sine [horizontal dims] of the angle from east to the grid's first axis."""
    grid = grid_of(field, where)
    if len(grid.shape) != 2 or min(grid.shape) < 3:
        raise refuse(
            "wind-alone",
            f"{where}: {field.name!r} is a wind along the axes of a grid "
            f"({_words(field)}), but its points have no rows and columns; give "
            "eastward and northward components.",
        )
    axis = next((i for i, dim in enumerate(grid.dims) if _is_x(field, dim)), 1)
    points = grid.xyz.reshape(*grid.shape, 3)
    step = normalise(np.gradient(points, axis=axis, edge_order=2)).reshape(-1, 3)
    coordinate = field.coords.get(grid.dims[axis])
    if coordinate is not None and coordinate.values[0] > coordinate.values[-1]:
        step = -step
    east, north = (np.sum(step.T * unit, axis=0) for unit in east_and_north(grid.xyz))
    angle = np.arctan2(north, east).reshape(grid.shape).astype(np.float32)
    cosine, sine = (xr.DataArray(part(angle), dims=grid.dims) for part in (np.cos, np.sin))
    return cosine, sine


def _is_x(field: xr.DataArray, dim: Hashable) -> bool:
    attrs = field.coords[dim].attrs if dim in field.coords else {}
    standard_name = attrs.get("standard_name")
    named = ("longitude", "grid_longitude", "projection_x_coordinate")
    return attrs.get("axis") == "X" or standard_name in named
