"""Target of an emulator in files and datasets: a grid or stations, and its static fields."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree

from graphdown.data.reading.fields import read_files, to_canonical
from graphdown.data.reading.file_request import Request
from graphdown.data.reading.files import open_pieces
from graphdown.data.reading.horizontal import (
    attrs_elsewhere,
    check_dataset,
    grid_of_dataset,
    horizontal_grid,
)
from graphdown.data.reading.rules import Notes, log_notes, refuse
from graphdown.data.reading.stations import read_stations, with_station_names
from graphdown.data.terrain import Ground
from graphdown.errors import GraphdownError
from graphdown.variables.catalogue import STATIC
from meshes import Grid, bilinear, conservative
from meshes.graphs.coverage import covers
from meshes.grids.station_lists import are_stations

TARGET = "the target"
STATICS = "the statics"
NEAR = 1e-7  # on the unit sphere, about a metre
ALIKE = 0.01  # of an area


@contextmanager
def opened_target(name: str) -> Iterator[xr.Dataset | Grid]:
    """Open a target, a grid or a list of stations, by the name of a file or of a grid.

    Args:
        name: a netCDF, zarr or GRIB file with the target's coordinates (and orog, sftlf), a .csv
            file of stations, see `read_stations`, or a name that `Grid.named` knows.

    Raises:
        DataError: the file cannot be read.
        GraphdownError: there is no such file, nor a grid of that name.
    """
    if Path(name).suffix.lower() == ".csv":
        yield read_stations(name)
        return
    if not Path(name).exists():
        try:
            grid = Grid.named(name)
        except ValueError as error:
            raise GraphdownError(f"No file is called {name!r}, and no grid: {error}") from None
        yield grid
        return
    first, *others = open_pieces([name])
    for other in others:
        other.close()
    try:
        yield first.ds
    finally:
        first.close()


def read_statics(files: Sequence[str]) -> xr.Dataset:
    """Height orog (m) and land fraction sftlf (1) from files, on the grid of the first.

    Raises:
        DataError: a file cannot be read, or has neither.
    """
    ds, understood = read_files(files, Request((), STATIC))
    with ds:
        log_notes(understood.notes)
        if not ds.data_vars:
            raise refuse(
                "variable-absent",
                f"{', '.join(files)}: neither 'orog' nor 'sftlf' is in it; name files with the "
                "height or the land fraction.",
            )
        return ds.load()


def target_ground(
    target: xr.Dataset | Grid, statics: xr.Dataset | None, names: Sequence[str]
) -> tuple[Ground, Ground | None]:
    """Named static fields at a target and, for stations, those of the ground around.

    Fields of the target itself take precedence over those interpolated from `statics`: means where
    these are finer than a target grid, else bilinear.

    Args:
        target: its grid, or a dataset with its coordinates and, maybe, orog and sftlf.
        statics: orog and sftlf on any grid.
        names: some of orog and sftlf.

    Raises:
        DataError: a named field is absent or missing in places, the grid is not understood, or
            stations lie outside the statics.
    """
    grid, of_target = _grid_and_statics(target, names)
    elsewhere = xr.Dataset() if statics is None else _canonical(statics, names, STATICS)
    stations = are_stations(grid)
    fields = {name: of_target[name] for name in names if name in of_target}
    for name in names:
        if (stations or name not in of_target) and name not in elsewhere:
            raise _absent(name, in_target=name in of_target)
    if stations and names:
        ground = _ground(elsewhere, names)
        _check_around(ground.grid, grid)
        for name in names:
            if name not in of_target:
                values = bilinear(ground.grid, grid).apply(ground.grid.values(ground.statics[name]))
                fields[name] = grid.dataarray(values.astype(np.float32), name)
        return Ground(grid, xr.Dataset(fields)), ground
    fields |= {n: on_grid(elsewhere[n], grid, STATICS) for n in names if n not in of_target}
    return Ground(grid, xr.Dataset(fields)), None


def on_grid(field: xr.DataArray, grid: Grid, where: str) -> xr.DataArray:
    """Static field on a grid: cell means where the field is finer, else bilinear.

    A field on the grid's own cells, or on more of the same, keeps its values.
    """
    field_grid = horizontal_grid(field.to_dataset(), [str(field.name)], where)
    values = field_grid.values(field)
    places = same_cells(field_grid, grid)
    if places is not None and np.isfinite(values[places]).all():
        values = values[places]
    else:
        remap = conservative if field_grid.spacing_km < grid.spacing_km else bilinear
        values = remap(field_grid, grid).apply(values)
    attrs = attrs_elsewhere(field)
    return grid.dataarray(values.astype(np.float32), str(field.name), attrs=attrs)


def _grid_and_statics(target: xr.Dataset | Grid, names: Sequence[str]) -> tuple[Grid, xr.Dataset]:
    if isinstance(target, Grid):
        return target, xr.Dataset()
    check_dataset(target, TARGET)
    ds = with_station_names(target)
    statics = _canonical(ds, names, TARGET)
    present = [str(name) for name in statics.data_vars]
    return grid_of_dataset(statics if present else ds, present, TARGET), statics


def _canonical(ds: xr.Dataset, names: Sequence[str], where: str) -> xr.Dataset:
    if not names:
        return xr.Dataset()
    notes = Notes()
    fields = to_canonical(ds, (), None, where, names, notes).load()
    log_notes(notes.listed())
    return fields


def _ground(statics: xr.Dataset, names: Sequence[str]) -> Ground:
    """Ground from static fields, without the points at which one is missing."""
    fields = statics[list(names)]
    grid = horizontal_grid(fields, names, STATICS)
    if grid.mask.all():
        return Ground(grid, fields)
    used = grid.select(grid.mask)
    return Ground(
        used,
        xr.Dataset({n: used.dataarray(grid.values(fields[n])[grid.mask], n) for n in names}),
    )


def _check_around(ground: Grid, stations: Grid) -> None:
    outside = np.flatnonzero(~covers(ground, stations.xyz))
    if outside.size:
        first = outside[0]
        raise refuse(
            "outside",
            f"{STATICS}: {outside.size} of the {stations.size} stations lie outside, the first at "
            f"lon {stations.lon[first]:g}, lat {stations.lat[first]:g}; give statics that reach "
            "over all of them.",
        )


def _absent(name: str, in_target: bool) -> Exception:
    if in_target:
        return refuse(
            "variable-absent",
            f"{TARGET}: a list of stations does not include the terrain around them; give {name!r} "
            "on a grid as statics.",
        )
    return refuse(
        "variable-absent",
        f"{TARGET}: the emulator was trained with {name!r}, which is neither in the target nor in "
        "the statics; add it to one of them.",
    )


def same_cells(more: Grid, grid: Grid) -> np.ndarray | None:
    """Numbers [N] of a grid's cells among those of a grid with more of them, None if it has others.

    Points agree to about a metre and the sizes of most cells to a hundredth.
    """
    if same_points(more, grid):
        return np.arange(grid.size)
    distance, places = cKDTree(more.xyz).query(grid.xyz, distance_upper_bound=NEAR)
    if not np.isfinite(distance).all():
        return None
    ratio = float(np.median(more.area[places] / grid.area))
    return np.asarray(places) if abs(ratio - 1.0) < ALIKE else None


def same_points(a: Grid, b: Grid) -> bool:
    """Whether two grids have the same points in the same order, to about a metre."""
    return a.size == b.size and bool(np.allclose(a.xyz, b.xyz, atol=NEAR))
