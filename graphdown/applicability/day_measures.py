"""Measures of single days at the reference points, and the seasons they belong to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.sparse import csr_array

from graphdown.applicability.reference_points import WIDER, ReferencePoints
from graphdown.data.reading.dates import seconds_of, step_of
from graphdown.model.transforms import NONE, TRANSFORMS
from graphdown.variables.catalogue import describe
from graphdown.variables.names import variable_of
from meshes import Grid

MEASURES = ("mean", "spread", "roughness", "wet")
MEAN, SPREAD, ROUGHNESS, WET = range(len(MEASURES))
SEASONS = ("DJF", "MAM", "JJA", "SON")
WET_DAY = 1.0  # mm day-1


@dataclass(frozen=True, eq=False)
class MeasuredDays:
    """Days of a source as seen at the reference points.

    Attributes:
        fields: means of the predictors [days, P, V] in physical units.
        measures: [days, V, M] in the order of MEASURES; NaN where one does not apply.
    """

    fields: np.ndarray
    measures: np.ndarray


@dataclass(frozen=True, eq=False)
class DayMeter:
    """Measures days of one source grid.

    Attributes:
        narrow, wide: matrices of means of two widths [P, N].
        names: of the predictors, V of them.
    """

    narrow: csr_array
    wide: csr_array
    names: tuple[str, ...]

    @classmethod
    def of(cls, points: ReferencePoints, grid: Grid, names: Sequence[str]) -> "DayMeter":
        """Meter of a source's grid; masked nodes do not count."""
        area = grid.area * grid.mask
        narrow, wide = (points.means(grid.xyz, area, wider) for wider in (1.0, WIDER))
        return cls(narrow, wide, tuple(names))

    def of_nodes(self, nodes: np.ndarray) -> "DayMeter":
        """Meter of values at some of the source's nodes only, which hold all that is near."""
        narrow, wide = (_of_columns(matrix, nodes) for matrix in (self.narrow, self.wide))
        return DayMeter(narrow, wide, self.names)

    def held_at(self, nodes: np.ndarray) -> np.ndarray:
        """Share of the weight of each reference point that some nodes have [P]."""
        return np.asarray(csr_array(self.narrow[:, nodes]).sum(axis=1)).ravel()

    def fields(self, values: np.ndarray) -> np.ndarray:
        """Means at the reference points [days, P, V] of predictors [days, N, V]."""
        return _means(self.narrow, values)

    def __call__(self, values: np.ndarray) -> MeasuredDays:
        """Measure predictors [days, N, V]."""
        fields, smooth = self.fields(values), _means(self.wide, values)
        spread = fields.std(axis=1)
        fine = (fields - smooth).std(axis=1)
        rough = fine / np.where(spread > 0, spread, np.inf)
        wet = np.full_like(spread, np.nan)
        for v, name in enumerate(self.names):
            if describe(variable_of(name)).is_precipitation:
                wet[:, v] = (fields[..., v] > WET_DAY).mean(axis=1)
        measures = np.stack([fields.mean(axis=1), spread, rough, wet], axis=-1)
        return MeasuredDays(fields, measures)


def _of_columns(matrix: csr_array, columns: np.ndarray) -> csr_array:
    """Matrix of means over some of the columns."""
    part = csr_array(matrix[:, columns])
    total = np.asarray(part.sum(axis=1)).reshape(-1, 1)
    return csr_array(part / np.where(total > 0, total, 1.0))


def _means(matrix: csr_array, values: np.ndarray) -> np.ndarray:
    """Means [days, P, V] of values [days, N, V]."""
    days, nodes, variables = values.shape
    flat = np.ascontiguousarray(values.transpose(1, 0, 2)).reshape(nodes, -1)
    return np.asarray((matrix @ flat).reshape(-1, days, variables).transpose(1, 0, 2))


def months_of(time: xr.DataArray) -> np.ndarray:
    """Month of each time, 0 to 11 [time]."""
    return np.asarray(time.dt.month.values, np.int64) - 1


def seasons_of(months: np.ndarray) -> np.ndarray:
    """Place in SEASONS of months counted from 0."""
    return np.asarray((months + 1) % 12 // 3)


def follows_of(time: xr.DataArray) -> np.ndarray:
    """Whether each time follows the one before it by the usual step [time]."""
    step = step_of(time)
    if step is None:
        return np.zeros(time.size, bool)
    seconds = seconds_of(time)
    return np.concatenate([[False], np.diff(seconds) < 1.5 * step])


def own_step(names: Sequence[str]) -> list[int]:
    """Places of the predictors of the step itself, without those of the steps beside it."""
    return [place for place, name in enumerate(names) if variable_of(name) == name]


def to_states(fields: np.ndarray, transforms: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """Fields [days, P, V] as the network takes them: amounts by their transforms."""
    states = fields.astype(np.float32, copy=True)
    for v, (name, transform) in enumerate(zip(names, transforms, strict=True)):
        if transform != NONE:
            inside = np.clip(fields[..., v], *describe(name).bounds)
            states[..., v] = np.asarray(TRANSFORMS[transform].forward(inside))
    return states
