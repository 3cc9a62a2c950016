"""Load all the fields that an experiment names."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from graphdown.data.fields import field_values, horizontal_grid, open_fields
from graphdown.data.pair import pair, select_period
from graphdown.data.units import convert_units
from graphdown.errors import DataError
from graphdown.experiment import Experiment, Source, Target
from meshes import Grid, bilinear, coarsen, conservative

PERIODS = ("train", "validation", "test")


@dataclass(frozen=True)
class ExperimentData:
    """The fields of an experiment.

    Attributes:
        fine: the target [time, *horizontal], every period.
        statics: orog and sftlf on the target grid, as far as known.
        sources: the sources to train on by name, predictors [time, *horizontal] and, if known,
            their orog.
        unseen: the sources that are only evaluated on.
    """

    fine: xr.Dataset
    statics: xr.Dataset
    sources: dict[str, xr.Dataset]
    unseen: dict[str, xr.Dataset]

    def pair(
        self, experiment: Experiment, source: str, period: str
    ) -> tuple[xr.Dataset, xr.Dataset]:
        """Return the paired days (coarse, fine) of a source in "train", "validation" or "test"."""
        coarse = {**self.sources, **self.unseen}[source]
        bounds = getattr(experiment.periods, period)
        part = select_period(coarse, bounds, f"'periods.{period}' of the source {source!r}")
        return pair(part, self.fine)


def load_data(experiment: Experiment) -> ExperimentData:
    """Open, convert and check every field of an experiment.

    Raises:
        DataError: a file, variable or period is missing or wrong; the message names it.
    """
    data = experiment.data
    if data.world is not None:
        loaded = _from_world(experiment)
    else:
        assert data.target is not None
        fine, statics = _target(data.target, experiment)
        sources = {s.name: _source(s, fine, statics, experiment) for s in data.sources}
        unseen = {s.name: _source(s, fine, statics, experiment) for s in data.unseen}
        loaded = ExperimentData(fine, statics, sources, unseen)
    for name in loaded.sources:
        for period in PERIODS:
            loaded.pair(experiment, name, period)
    for name in loaded.unseen:
        loaded.pair(experiment, name, "test")
    return loaded


def _from_world(experiment: Experiment) -> ExperimentData:
    from graphdown.data.world import make_world

    data = experiment.data
    assert data.world is not None
    world = make_world(data.world)
    _need(world.truth, experiment.targets, "the embedded world's truth", "targets")

    def view(source: Source) -> xr.Dataset:
        if source.view not in world.views:
            raise DataError(
                f"The source {source.name!r} names the view {source.view!r}; the embedded world "
                f"has {', '.join(world.views)}."
            )
        fields = world.views[source.view]
        _need(fields, experiment.predictors, f"the view {source.view!r}", "predictors")
        extra = [name for name in ("orog",) if name in fields]
        return fields[[*experiment.predictors, *extra]]

    return ExperimentData(
        world.truth[list(experiment.targets)],
        world.statics,
        {s.name: view(s) for s in data.sources},
        {s.name: view(s) for s in data.unseen},
    )


def _need(ds: xr.Dataset, names: tuple[str, ...], where: str, key: str) -> None:
    for name in names:
        if name not in ds:
            there = ", ".join(str(n) for n in ds.data_vars)
            raise DataError(f"{key!r} names {name!r}, which {where} lacks (it has {there}).")


def _target(target: Target, experiment: Experiment) -> tuple[xr.Dataset, xr.Dataset]:
    names = list(experiment.targets)
    if any(source.upscale for source in (*experiment.data.sources, *experiment.data.unseen)):
        names += [name for name in experiment.predictors if name not in names]
    fine = _open("'data.target'", target, names)
    for dim, (low, high) in target.cut.items():
        if dim not in fine.dims or not 0 <= low < high <= fine.sizes[dim]:
            sizes = ", ".join(f"{d} of {n}" for d, n in fine.sizes.items())
            raise DataError(
                f"'data.target.cut' asks for [{low}, {high}) of {dim!r}, but the dimensions are "
                f"{sizes}; choose first and end within them."
            )
        fine = fine.isel({dim: slice(low, high)})
    fine = fine.compute()
    grid = horizontal_grid(fine, names, "the target")
    return fine, _statics(target, grid)


def _statics(target: Target, grid: Grid) -> xr.Dataset:
    """Return the static fields on the target grid: cell means where the file is finer."""
    fields = {}
    for name, static in target.statics.items():
        ds = open_fields([static.file], [], optional=[static.variable])
        if static.variable not in ds:
            raise DataError(f"{static.file}: the variable {static.variable!r} is absent.")
        raw = ds[static.variable].squeeze(drop=True).rename(name)
        field = convert_units(raw, None, static.file)
        own = horizontal_grid(field.to_dataset(), [name], static.file)
        remap = conservative if own.spacing_km < grid.spacing_km else bilinear
        values = remap(own, grid).apply(own.values(field)).astype(np.float32)
        fields[name] = grid.dataarray(values, name, attrs=field.attrs)
    return xr.Dataset(fields)


def _source(
    source: Source, fine: xr.Dataset, statics: xr.Dataset, experiment: Experiment
) -> xr.Dataset:
    if source.upscale is not None:
        return upscaled(fine[list(experiment.predictors)], statics, source.upscale)
    where = f"the source {source.name!r}"
    fields = _open(where, source, experiment.predictors, optional=["orog"])
    horizontal_grid(fields, experiment.predictors, where)
    return fields.compute()


def _open(
    where: str, origin: Source | Target, names: Sequence[str], optional: Sequence[str] = ()
) -> xr.Dataset:
    try:
        return open_fields(origin.files, names, origin.units, origin.rename, optional)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


def upscaled(fine: xr.Dataset, statics: xr.Dataset, factor: int) -> xr.Dataset:
    """Return block means of factor x factor cells, on the coarse grid of those blocks.

    Rows and columns that do not fill a block are left out.
    """
    names = [str(name) for name in fine.data_vars]
    grid = horizontal_grid(fine, names, "the target")
    try:
        coarse_grid = coarsen(grid, factor)
    except ValueError as error:
        raise DataError(f"'upscale: {factor}' cannot be done: {error}") from None
    windows = dict.fromkeys(grid.dims, factor)

    def means(field: xr.DataArray) -> np.ndarray:
        blocks = field.drop_vars([c for c in field.coords if c not in ("time",)])
        mean = blocks.coarsen(windows, boundary="trim").mean()
        return mean.values.reshape(*mean.shape[: -len(windows)], -1)

    out = {
        name: coarse_grid.dataarray(
            means(fine[name]), name, ("time",), {"time": fine.time}, _attrs(fine[name])
        )
        for name in names
    }
    if "orog" in statics:
        out["orog"] = coarse_grid.dataarray(
            means(statics["orog"]), "orog", attrs=_attrs(statics["orog"])
        )
    return xr.Dataset(out)


def _attrs(field: xr.DataArray) -> dict[str, object]:
    return {str(k): v for k, v in field.attrs.items() if k != "grid_mapping"}


def source_arrays(
    ds: xr.Dataset, predictors: tuple[str, ...], where: str
) -> tuple[Grid, np.ndarray]:
    """Return the grid of a source and its predictors [time, node, variable].

    Raises:
        DataError: values are missing.
    """
    grid = horizontal_grid(ds, predictors, where)
    values = field_values(ds, predictors, grid)
    missing = ~np.isfinite(values)
    if missing.any():
        count, (_, _, column) = int(missing.sum()), np.argwhere(missing)[0]
        raise DataError(
            f"{where}: {count} values are missing, the first in {predictors[column]!r}; fill or "
            "leave out those points or days."
        )
    return grid, values
