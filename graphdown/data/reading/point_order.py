"""Fields whose grids are one, though told in other ways: dimension names, 0 to 360, rows turned."""

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree

from graphdown.data.reading.rules import Notes, refuse
from graphdown.data.reading.series import ORIGIN
from meshes.geometry.sphere import lonlat_to_xyz
from meshes.grids.cf import Horizontal, find_horizontal

CLOSE = 1e-3  # degrees

Axes = tuple[int, ...]


def horizontal_of(field: xr.DataArray, where: str) -> Horizontal:
    """Latitude, longitude and the horizontal dimensions of a field.

    Raises:
        DataError: it has none, or several.
    """
    in_file = field.drop_vars(ORIGIN, errors="ignore")  # messages list the coordinates
    try:
        return find_horizontal(in_file.rename("field").to_dataset())
    except ValueError as error:
        reason = str(error).replace("'field'", repr(field.name))
        raise refuse("grid-unknown", f"{where}: {reason}") from None


def on_one_grid(
    parts: Sequence[tuple[str, xr.DataArray]], name: str, notes: Notes
) -> list[xr.DataArray]:
    """Parts of one variable with the points and coordinates of the first one.

    Args:
        parts: (place, field).
        name: CF/CMIP name.
        notes: collects the parts whose points were in another order.

    Raises:
        DataError: two parts differ in size or position.
    """
    first_where, first = parts[0]
    fields = [first]
    for where, field in parts[1:]:
        if same_grid(first, field):
            fields.append(field)
            continue
        reordered = in_order_of(first, field)
        if reordered is None:
            sizes = [
                " x ".join(str(n) for d, n in f.sizes.items() if d != "time")
                for f in (first, field)
            ]
            raise refuse(
                "grids-differ",
                f"{first_where} ({sizes[0]}) and {where} ({sizes[1]}) hold {name!r} on different "
                "grids; give files of one grid.",
            )
        notes.add("grid-reordered", where, f"its points take the order of {first_where}", name)
        fields.append(reordered)
    return fields


def same_grid(a: xr.DataArray, b: xr.DataArray) -> bool:
    """Whether two fields have the same points in the same order."""
    sizes = [{d: n for d, n in f.sizes.items() if d != "time"} for f in (a, b)]
    if sizes[0] != sizes[1]:
        return False
    left, right = (horizontal_of(f, "a field") for f in (a, b))
    return all(
        x.dims == y.dims and x.shape == y.shape and np.allclose(x.values, y.values, atol=CLOSE)
        for x, y in ((left.lat, right.lat), (left.lon, right.lon))
    )


def in_order_of(first: xr.DataArray, field: xr.DataArray) -> xr.DataArray | None:
    """Field with the points, dimensions and coordinates of another one, values unchanged.

    Rows and columns may be turned, exchanged or begin elsewhere, and lists of points be in another
    order. None if the points are others.
    """
    like, space = (horizontal_of(f, "a field") for f in (first, field))
    found = _order(_points(like), _points(space))
    if found is None:
        return None
    axes, index = found
    dims = [space.dims[axis] for axis in axes]
    coords = {c: v for c, v in first.coords.items() if "time" not in v.dims}
    bare = field.drop_vars([c for c, v in field.coords.items() if "time" not in v.dims])
    moved = bare.isel(dict(zip(dims, map(_as_slice, index), strict=True)))
    moved = moved.rename({a: b for a, b in zip(dims, like.dims, strict=True) if a != b})
    order = [d for d in first.dims if d in moved.dims]
    return moved.transpose(*(d for d in moved.dims if d not in order), *order).assign_coords(coords)


def _points(space: Horizontal) -> np.ndarray:
    """Unit vectors [*shape, 3] of the points."""
    lat, lon = (da.transpose(*space.dims).values for da in xr.broadcast(space.lat, space.lon))
    return lonlat_to_xyz(lon, lat)


def _order(wanted: np.ndarray, points: np.ndarray) -> tuple[Axes, list[np.ndarray]] | None:
    """Order of axes and the index along each that turn points [*shape, 3] into the wanted ones.

    None if there are none. Several points at one place, as on a pole, take the index of their row
    or column.
    """
    shape, ndim = wanted.shape[:-1], points.ndim - 1
    if sorted(shape) != sorted(points.shape[:-1]):
        return None
    if not (np.isfinite(points).all() and np.isfinite(wanted).all()):
        return None
    nearest = cKDTree(points.reshape(-1, 3)).query(wanted.reshape(-1, 3))[1].reshape(shape)
    along = np.unravel_index(nearest, points.shape[:-1])
    for axes in permutations(range(ndim)):
        if tuple(points.shape[axis] for axis in axes) != shape:
            continue
        index = [_usual(along[axis], place) for place, axis in enumerate(axes)]
        moved = points.transpose(*axes, ndim)[np.ix_(*index)]
        once = all(len(np.unique(one)) == len(one) for one in index)
        if once and np.linalg.norm(moved - wanted, axis=-1).max() < np.radians(CLOSE):
            return axes, index
    return None


def _usual(index: np.ndarray, axis: int) -> np.ndarray:
    """The median [n] of integers along all other axes than one of length n."""
    flat = np.moveaxis(index, axis, 0).reshape(index.shape[axis], -1)
    return np.sort(flat, axis=1)[:, flat.shape[1] // 2]


def _as_slice(index: np.ndarray) -> np.ndarray | slice:
    """Consecutive indices, up or down, as a slice, which files read faster."""
    for step in (1, -1):
        if (np.diff(index) == step).all():
            end = int(index[-1]) + step
            return slice(int(index[0]), None if end < 0 else end, step)
    return index
