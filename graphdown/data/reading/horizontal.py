"""Horizontal grid of a field: coordinates corrected, one grid for all variables."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import xarray as xr

from graphdown.data.reading.grib import LEAD, START
from graphdown.data.reading.point_order import horizontal_of, in_order_of, same_grid
from graphdown.data.reading.rules import Notes, are, counted, refuse
from graphdown.data.reading.series import ORIGIN
from graphdown.data.reading.time_bounds import BEGIN, END
from graphdown.variables.winds import carried, wind_pairs
from meshes import Grid, bilinear
from meshes.geometry.sphere import east_and_north
from meshes.grids.cf import horizontal_pairs
from meshes.grids.conventions import bounds_label, bounds_names, to_cf
from meshes.grids.roles import ROLES, is_coordinate

FILL = 1000.0  # degrees: a coordinate beyond is a fill value, not a place


def check_dataset(ds: object, where: str) -> None:
    """Refuse what is no dataset.

    Raises:
        DataError: it is an array or another object.
    """
    if not isinstance(ds, xr.Dataset):
        name = getattr(ds, "name", None) or "tas"
        raise refuse(
            "no-dataset",
            f"{where}: it is of type {type(ds).__name__}, not an xarray.Dataset; give one, as from "
            f"field.to_dataset(name={name!r}) of an xarray.DataArray.",
        )


def with_positions(ds: xr.Dataset, where: str) -> xr.Dataset:
    """Dataset with latitudes and longitudes of its points as coordinates.

    They are found as `meshes.Grid.from_dataset` finds them: by CF, by a mesh topology, a grid
    mapping and projected axes, or by HEALPix.

    Raises:
        DataError: the attributes that tell the grid are incomplete.
    """
    try:
        ds = to_cf(ds)
    except ValueError as error:
        raise refuse("grid-unknown", f"{where}: {error}") from None
    found = [n for n in ds.data_vars if any(is_coordinate(ds[n], role) for role in ROLES)]
    return ds.set_coords(found)


def fields_in(ds: xr.Dataset) -> list[str]:
    """Names of the variables that hold numbers on a horizontal grid, whatever they are called."""
    try:
        pairs = horizontal_pairs(ds)
    except ValueError:
        return []
    users = [name for names in pairs.values() for name in names]
    return [name for name in users if ds[name].dtype.kind in "fiu"]


def without_hidden_cells(ds: xr.Dataset, where: str, notes: Notes) -> xr.Dataset:
    """Dataset without the cells whose latitude or longitude is a fill value.

    A two-dimensional grid becomes a list of cells then.

    Raises:
        DataError: the latitude holds longitudes.
    """
    lat, lon = (_coordinate(ds, role) for role in ("latitude", "longitude"))
    if lat is None or lon is None:
        return ds
    hidden = [_hidden(ds[name].values) for name in (lat, lon)]
    _check_swapped(ds, lat, lon, hidden, where)
    if ds[lat].dims != ds[lon].dims:
        return ds  # axes have no hidden values: `find_horizontal` refuses them
    if not any(h.any() for h in hidden) or any(h.all() for h in hidden):
        return ds
    count = int(np.count_nonzero(hidden[0] | hidden[1]))
    notes.add(
        "hidden-cells", where, f"{counted(count, 'cell')} without a position {are(count)} left out"
    )
    keep = np.flatnonzero(~(hidden[0] | hidden[1]).ravel())
    if ds[lat].ndim == 1:
        return ds.isel({ds[lat].dims[0]: keep})
    dims = ds[lat].dims
    flat = ds.drop_vars([d for d in dims if d in ds.variables])
    # Stacking reads arrays that are not dask's.
    flat = flat.chunk(dict.fromkeys(flat.dims, -1) | {d: 1 for d in ("time",) if d in flat.dims})
    return flat.stack(cell=dims, create_index=False).isel(cell=keep)


def _coordinate(ds: xr.Dataset, role: str) -> Hashable | None:
    skip = bounds_names(ds)
    names = [n for n in ds.variables if n not in skip and is_coordinate(ds[n], role)]
    names = [n for n in names if ds[n].ndim in (1, 2)]
    # Two-dimensional coordinates give the cells' positions; axes beside them are the model's.
    return max(names, key=lambda n: ds[n].ndim, default=None)


def _hidden(values: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return ~(np.abs(values.astype(np.float64)) < FILL - 1.5)


def _check_swapped(
    ds: xr.Dataset, lat: Hashable, lon: Hashable, hidden: list[np.ndarray], where: str
) -> None:
    lats, lons = (ds[n].values[~h] for n, h in zip((lat, lon), hidden, strict=True))
    if not lats.size or not lons.size:
        return
    if np.abs(lats).max() > 90.01 and np.abs(lons).max() <= 90.01:
        raise refuse(
            "coordinates-swapped",
            f"{where}: the latitude {lat!r} reaches {np.abs(lats).max():g} while the longitude "
            f"{lon!r} stays within 90; they are swapped, so exchange their names.",
        )


def on_time_and_space(
    field: xr.DataArray, select: Mapping[str, int], where: str, notes: Notes
) -> xr.DataArray:
    """Field with time, its horizontal dimensions and their coordinates only.

    Args:
        field: any field.
        select: index to take of another dimension, as in {"member": 0}.
        where: for messages.
        notes: collects dropped dimensions.

    Raises:
        DataError: another dimension has several entries and is not selected.
    """
    space = horizontal_of(field, where)
    extra = [d for d in field.dims if d != "time" and d not in space.dims]
    for dim in extra:
        if str(dim) in select:
            index = select[str(dim)]
            if not 0 <= index < field.sizes[dim]:
                raise refuse(
                    "selection",
                    f"{where}: 'select' asks for {index} of {dim!r}, which has "
                    f"{field.sizes[dim]} entries; count from 0.",
                )
            field = field.isel({dim: index})
        elif field.sizes[dim] == 1:
            notes.add("extra-dimension-dropped", where, f"{dim!r} of length 1", str(field.name))
            field = field.isel({dim: 0})
        else:
            raise refuse(
                "extra-dimension",
                f"{where}: {field.name!r} has the dimension {dim!r} with {field.sizes[dim]} "
                f"entries beside time and space; choose one, as in 'select: {{{dim}: 0}}'.",
            )
    keep = {*space.coords.variables, "time", START, LEAD, ORIGIN, BEGIN, END}
    return field.drop_vars([c for c in field.coords if c not in keep])


def on_first_grid(
    fields: Mapping[str, xr.DataArray], interpolate: bool, where: str, notes: Notes
) -> dict[str, xr.DataArray]:
    """Fields on the grid of the first one.

    Args:
        fields: by name.
        interpolate: whether a field on another grid is interpolated bilinearly or refused.
        where: for messages.
        notes: collects what was interpolated.

    Raises:
        DataError: grids differ and must not, or a grid is not understood.
    """
    names = list(fields)
    first = fields[names[0]]
    out: dict[str, xr.DataArray] = {}
    elsewhere: dict[str, xr.DataArray] = {}
    for name, field in fields.items():
        if same_grid(first, field):
            # The points agree up to rounding; one set of coordinates keeps the dataset whole.
            coords = {c: v for c, v in first.coords.items() if "time" not in v.dims}
            out[name] = field.assign_coords(coords)
            continue
        reordered = in_order_of(first, field)
        if reordered is not None:
            out[name] = reordered
            notes.add("grid-reordered", where, f"its points take the order of {names[0]!r}", name)
            continue
        dims = [tuple(str(d) for d in f.dims if d != "time") for f in (first, field)]
        if not interpolate:
            raise refuse(
                "grids-differ",
                f"{where}: {names[0]!r} is on {dims[0]} but {name!r} on {dims[1]}, another "
                "grid; bring them to one grid first.",
            )
        elsewhere[name] = field
        out[name] = _interpolated(field, first, where)
        text = f"from {_described(field)} to the {_described(first)} of {names[0]!r}, bilinearly"
        notes.add("regridded", where, text, name)
    return {**out, **_winds_interpolated(elsewhere, first, where)}


def _winds_interpolated(
    fields: Mapping[str, xr.DataArray], like: xr.DataArray, where: str
) -> dict[str, xr.DataArray]:
    """Winds among the fields whose components share a grid, interpolated as vectors."""
    names, out = list(fields), {}
    for pair in wind_pairs(names):
        wind = [fields[names[place]] for place in pair]
        if not same_grid(*wind):
            continue
        axes = [_axes(field, where) for field in (wind[0], like)]

        def carry(part: xr.DataArray, attrs: Mapping[str, object] = wind[0].attrs) -> xr.DataArray:
            return _interpolated(part.assign_attrs(attrs), like, where)

        turned = carried(carry, *wind, *axes)
        for old, new in zip(wind, turned, strict=True):
            new = new.transpose("time", ...) if "time" in new.dims else new
            out[str(old.name)] = new.astype(np.float32).rename(old.name).assign_attrs(old.attrs)
    return out


def _axes(field: xr.DataArray, where: str) -> list[list[xr.DataArray]]:
    """Unit vectors [2 (east, north)][3] at the points of a field's grid."""
    grid = grid_of(field, where)
    return [
        [xr.DataArray(part.reshape(grid.shape), dims=grid.dims) for part in unit]
        for unit in east_and_north(grid.xyz)
    ]


def grid_of(field: xr.DataArray, where: str) -> Grid:
    """Grid of one field.

    Raises:
        DataError: it is not understood.
    """
    moment = field.isel(time=0, drop=True) if "time" in field.dims else field
    try:
        return Grid.from_dataset(moment.rename("field").to_dataset())
    except ValueError as error:
        raise refuse("grid-unknown", f"{where}: {error}") from None


def _described(field: xr.DataArray) -> str:
    sizes = " x ".join(str(n) for d, n in field.sizes.items() if d != "time")
    return f"{sizes} grid"


def _interpolated(field: xr.DataArray, like: xr.DataArray, where: str) -> xr.DataArray:
    source, target = grid_of(field, where), grid_of(like, where)
    weights = bilinear(source, target)

    def block(values: np.ndarray) -> np.ndarray:
        out = weights.apply(values.reshape(*values.shape[: -len(source.dims)], source.size))
        return out.reshape(*out.shape[:-1], *target.shape)

    moved = {d: f"_{d}" for d in source.dims}
    bare = field.drop_vars([c for c in field.coords if c != "time"]).rename(moved)
    if bare.chunks is not None:
        bare = bare.chunk(dict.fromkeys(moved.values(), -1))
    out = xr.apply_ufunc(
        block,
        bare,
        input_core_dims=[list(moved.values())],
        output_core_dims=[list(target.dims)],
        dask="parallelized",
        output_dtypes=[np.float32],
        dask_gufunc_kwargs={"output_sizes": dict(zip(target.dims, target.shape, strict=True))},
        keep_attrs=True,
    )
    return out.assign_coords({c: v for c, v in like.coords.items() if "time" not in v.dims})


def horizontal_grid(ds: xr.Dataset, variables: Sequence[str], where: str) -> Grid:
    """Grid that the named variables share; their values are read.

    Points at which a variable has no value at any time are masked out.

    Raises:
        DataError: the variables are on different grids, or no coordinates are found.
    """
    return grid_where_present(ds, {name: ever_present(ds[name]) for name in variables}, where)


def ever_present(field: xr.DataArray) -> xr.DataArray:
    """Points at which a field has a value at any time, as booleans."""
    there = field.notnull()
    return there.any("time") if "time" in there.dims else there


def grid_where_present(ds: xr.Dataset, there: Mapping[str, xr.DataArray], where: str) -> Grid:
    """Grid that variables share, without the points at which one is never present.

    Args:
        ds: has the variables.
        there: `ever_present` of each of them.
        where: for messages.

    Raises:
        DataError: as for `horizontal_grid`.
    """
    grid, masks = _grid_and_masks(ds, there, where)
    present = np.logical_and.reduce(masks)
    if not present.any():
        raise refuse("all-missing", f"{where}: no point has values of all variables; check them.")
    return _masked(grid, ds, list(there), present)


def grid_with_masks(
    ds: xr.Dataset, variables: Sequence[str], where: str
) -> tuple[Grid, dict[str, np.ndarray]]:
    """Grid that variables share, and the points at which each has a value at any time.

    Points at which no variable ever has a value are masked out; the variables' values are read.

    Returns:
        The grid, and a mask [N] for each variable.

    Raises:
        DataError: as for `horizontal_grid`, or a variable has no value at all.
    """
    grid, masks = _grid_and_masks(ds, {name: ever_present(ds[name]) for name in variables}, where)
    for name, mask in zip(variables, masks, strict=True):
        if not mask.any():
            raise refuse("all-missing", f"{where}: {name!r} has no value; check it.")
    grid = _masked(grid, ds, variables, np.logical_or.reduce(masks))
    return grid, {name: mask.ravel() for name, mask in zip(variables, masks, strict=True)}


def shared_grid(ds: xr.Dataset, variables: Sequence[str], where: str) -> Grid:
    """Grid that the named variables share, without a mask; their values are not read.

    Raises:
        DataError: the variables are on different grids, or no coordinates are found.
    """
    dims = {name: tuple(d for d in ds[name].dims if d != "time") for name in variables}
    first = variables[0]
    for name in variables:
        if set(dims[name]) != set(dims[first]):
            raise refuse(
                "grids-differ",
                f"{where}: {first!r} is on {dims[first]} but {name!r} on {dims[name]}; "
                "bring them to one grid first.",
            )
    return grid_of_dataset(ds, variables, where)


def _grid_and_masks(
    ds: xr.Dataset, there: Mapping[str, xr.DataArray], where: str
) -> tuple[Grid, list[np.ndarray]]:
    """Grid that variables share, without a mask, and `there` in the order of its dimensions."""
    grid = shared_grid(ds, list(there), where)
    return grid, [one.transpose(*grid.dims).values for one in there.values()]


def _masked(grid: Grid, ds: xr.Dataset, variables: Sequence[str], present: np.ndarray) -> Grid:
    if present.all():
        return grid
    return Grid.from_dataset(_with_bounds(ds, variables), mask=present)


def grid_of_dataset(ds: xr.Dataset, variables: Sequence[str], where: str) -> Grid:
    """Grid that the named variables share, or that of the dataset if none are named.

    Raises:
        DataError: it is not understood.
    """
    try:
        return Grid.from_dataset(_with_bounds(ds, variables) if variables else ds)
    except ValueError as error:
        raise refuse("grid-unknown", f"{where}: {error}") from None


def bounds_named(ds: xr.Dataset, names: Sequence[Hashable]) -> list[str]:
    """Names of bounds that the named coordinates mention, present or not."""
    found = [bounds_label(ds[n].variable) for n in names]
    return [str(b) for b in found if b]


def _with_bounds(ds: xr.Dataset, variables: Sequence[str]) -> xr.Dataset:
    part = ds[list(variables)]
    spatial = [n for n in part.coords if n != "time"]
    bounds = [b for b in bounds_named(ds, spatial) if b in ds.variables]
    return part.assign_coords({b: ds[b] for b in bounds})


def attrs_elsewhere(field: xr.DataArray) -> dict[str, object]:
    """Attributes of a field that hold on another grid too."""
    return {str(name): value for name, value in field.attrs.items() if name != "grid_mapping"}
