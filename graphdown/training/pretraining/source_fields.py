"""The days of a source around the region, and the graph from its nodes over the mesh to them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from graphdown.config.experiment import Experiment
from graphdown.data.load import ExperimentData, source_arrays
from graphdown.data.normalise import Moments, Normaliser, fit_normaliser, to_channels
from graphdown.data.pairing import select_period
from graphdown.data.source_adjustment import Adjustment
from graphdown.errors import ExperimentError
from graphdown.runtime.hashing import array_digest
from graphdown.training.run.input_checksums import dates_of
from graphdown.variables.forcings import forcings
from meshes import DownscalingGraph, GraphSpec, Grid, SparseWeights, build_graph


@dataclass(frozen=True)
class SourceFields:
    """Days of one source around the region.

    Attributes:
        name: of the source.
        grid: those of its nodes that the network reads, Ns points.
        graph: from them over the mesh back to them.
        train, validation: predictors [time, Ns, V], NaN for those that the source lacks.
        train_season, validation_season: forcings [time, F].
        time: time stamps of the days to train on.
    """

    name: str
    grid: Grid
    graph: DownscalingGraph
    train: np.ndarray
    validation: np.ndarray
    train_season: np.ndarray
    validation_season: np.ndarray
    time: xr.DataArray

    @property
    def checksum(self) -> str:
        """Checksum of points, days and values."""
        times = dates_of(self.time)
        return array_digest([self.grid.lon, self.grid.lat, times, self.train, self.validation])


def source_fields(
    experiment: Experiment,
    data: ExperimentData,
    source: str,
    region: Grid,
    adjustment: Adjustment | None,
) -> SourceFields:
    """Days of a source at the nodes that the network reads around the region.

    Args:
        experiment: its predictors, periods and graph.
        data: its fields.
        source: name.
        region: a grid over the region.
        adjustment: what gives the source the climate of others, None for none.

    Raises:
        ExperimentError: no graph can be built.
        DataError: values are missing.
    """
    where = f"the source {source!r}"
    learned, checked = (
        select_period(data.coarse[source], bounds, f"'periods.{name}' of {where}")
        for name, bounds in (
            ("train", experiment.periods.train),
            ("validation", experiment.periods.validation),
        )
    )
    grid, train = source_arrays(learned, experiment.predictors, where)
    _, validation = source_arrays(checked, experiment.predictors, where)
    graph, used = _to_itself(grid, region, experiment.graph, where)
    train, validation = train[:, used], validation[:, used]
    return SourceFields(
        name=source,
        grid=graph.source,
        graph=graph,
        train=train if adjustment is None else adjustment(train),
        validation=validation if adjustment is None else adjustment(validation),
        train_season=forcings(learned["time"]),
        validation_season=forcings(checked["time"]),
        time=learned["time"],
    )


def fit_source_statistics(
    sources: Sequence[SourceFields], predictors: tuple[str, ...]
) -> Normaliser:
    """Fit the statistics of the predictors of all sources, each counting alike."""
    coarse, nothing = [], Moments()
    nothing.add(np.zeros((1, 1, 0)))
    for source in sources:
        channels = to_channels(source.train, predictors)
        moments = Moments()
        moments.add(channels.reshape(-1, channels.shape[-1]))
        coarse.append(moments)
    return fit_normaliser(predictors, (), coarse, [nothing], ())


def _to_itself(
    source: Grid, region: Grid, spec: GraphSpec, where: str
) -> tuple[DownscalingGraph, np.ndarray]:
    """Graph from a source's nodes around a region back to them, and their indices."""
    try:
        graph = build_graph(source, region, spec)
    except ValueError as error:
        raise ExperimentError(f"{where}: {error}") from None
    used = graph.used_sources()
    graph = graph.of_sources(used)
    rows = np.arange(len(used), dtype=np.int32)
    same = SparseWeights(rows, rows, np.ones(len(used)), (len(used), len(used)))
    graph = replace(graph, target=graph.source, to_target=same)
    return replace(graph, decode=graph.build_edges("decode")), used
