"""The target of an emulator as files and datasets have it: a grid or stations, and its statics."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xarray as xr

from graphdown.data.reading.fields import STATIC, Request, read_files, to_canonical
from graphdown.data.reading.files import open_pieces
from graphdown.data.reading.horizontal import attrs_elsewhere, grid_of_dataset, horizontal_grid
from graphdown.data.reading.rules import Notes, log_notes, refuse
from graphdown.data.reading.stations import read_stations, with_station_names
from graphdown.data.terrain import Ground
from graphdown.errors import GraphdownError
from meshes import Grid, bilinear, conservative
from meshes.graphs.coverage import covers
from meshes.grids.station_lists import are_stations

TARGET = "the target"
STATICS = "the statics"


@contextmanager
def opened_target(name: str) -> Iterator[xr.Dataset | Grid]:
    """Open what is called by a file's or a grid's name: a grid, or a list of stations.

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
    first, *others = open_pieces([name], Notes())
    for other in others:
        other.close()
    try:
        yield first.ds
    finally:
        first.close()


def read_statics(files: Sequence[str]) -> xr.Dataset:
    """Return orog (m) and sftlf (1), as far as files have them, on the grid of the first.

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
    target: xr.Dataset | Grid, statics: xr.Dataset | None, wanted: Sequence[str]
) -> tuple[Ground, Ground | None]:
    """Return the wanted static fields at a target and, for stations, those of the ground around.

    What the target has itself counts before what is interpolated from `statics`: cell means where
    these are finer than a target grid, else bilinear.

    Args:
        target: its grid, or a dataset with its coordinates and, maybe, orog and sftlf.
        statics: orog and sftlf on any grid.
        wanted: some of orog and sftlf.

    Raises:
        DataError: a wanted field is absent or missing in places, the grid is not understood, or
            stations lie outside the statics.
    """
    grid, own = _grid_and_own(target, wanted)
    given = xr.Dataset() if statics is None else _canonical(statics, wanted, STATICS)
    stations = are_stations(grid)
    fields = {name: own[name] for name in wanted if name in own}
    for name in wanted:
        if (stations or name not in own) and name not in given:
            raise _absent(name, in_target=name in own)
    if stations and wanted:
        ground = _ground(given, wanted)
        _check_around(ground.grid, grid)
        for name in wanted:
            if name not in own:
                values = bilinear(ground.grid, grid).apply(ground.grid.values(ground.statics[name]))
                fields[name] = grid.dataarray(values.astype(np.float32), name)
        return Ground(grid, xr.Dataset(fields)), ground
    fields |= {n: on_grid(given[n], grid, STATICS) for n in wanted if n not in own}
    return Ground(grid, xr.Dataset(fields)), None


def on_grid(field: xr.DataArray, grid: Grid, where: str) -> xr.DataArray:
    """Return a static field on a grid: cell means where the field is finer, else bilinear."""
    own = horizontal_grid(field.to_dataset(), [str(field.name)], where)
    values = own.values(field)
    if not same_points(own, grid):
        remap = conservative if own.spacing_km < grid.spacing_km else bilinear
        values = remap(own, grid).apply(values)
    attrs = attrs_elsewhere(field)
    return grid.dataarray(values.astype(np.float32), str(field.name), attrs=attrs)


def _grid_and_own(target: xr.Dataset | Grid, wanted: Sequence[str]) -> tuple[Grid, xr.Dataset]:
    if isinstance(target, Grid):
        return target, xr.Dataset()
    ds = with_station_names(target)
    own = _canonical(ds, wanted, TARGET)
    held = [str(name) for name in own.data_vars]
    return grid_of_dataset(own if held else ds, held, TARGET), own


def _canonical(ds: xr.Dataset, wanted: Sequence[str], where: str) -> xr.Dataset:
    if not wanted:
        return xr.Dataset()
    notes = Notes()
    fields = to_canonical(ds, (), None, where, wanted, notes).load()
    log_notes(notes.listed())
    return fields


def _ground(given: xr.Dataset, wanted: Sequence[str]) -> Ground:
    """Return the ground that fields show, without the points at which one is missing."""
    fields = given[list(wanted)]
    grid = horizontal_grid(fields, wanted, STATICS)
    if grid.mask.all():
        return Ground(grid, fields)
    used = grid.select(grid.mask)
    return Ground(
        used,
        xr.Dataset({n: used.dataarray(grid.values(fields[n])[grid.mask], n) for n in wanted}),
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
            f"{TARGET}: a list of stations does not tell the terrain around them; give {name!r} on "
            "a grid as statics.",
        )
    return refuse(
        "variable-absent",
        f"{TARGET}: the emulator was trained with {name!r}, which is neither in the target nor in "
        "the statics; add it to one of them.",
    )


def same_points(a: Grid, b: Grid) -> bool:
    """Tell whether two grids have the same points in the same order, to about a metre."""
    return a.size == b.size and bool(np.allclose(a.xyz, b.xyz, atol=1e-7))
