"""GLM: a generalised linear model of each cell, of rain in two stages."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from graphdown.baselines.base import Baseline
from graphdown.baselines.linear_model import (
    expit,
    gamma,
    gaussian,
    linear_predictor,
    logistic,
)
from graphdown.baselines.local_predictors import LocalPredictors
from graphdown.baselines.paired_times import Pair
from graphdown.baselines.principal_components import PrincipalComponents
from graphdown.variables.catalogue import describe

WET = 1.0  # mm day-1; less is no amount, as in the VALUE experiment
SHARE = 0.95
MOST_COMPONENTS = 12
BLOCK_BYTES = 2**28  # of the designs of some cells
GREATEST = 3.0  # times the wettest day of training in a cell


class Coefficients(NamedTuple):
    """Coefficients of each cell [N, P] of one variable.

    Attributes:
        mean: of the values; of rain the logarithm of the mean amount of wet days.
        wet: of rain the logarithm of the odds of a wet day, else None.
        greatest: mean amount at most [N], of rain.
    """

    mean: np.ndarray
    wet: np.ndarray | None = None
    greatest: np.ndarray | None = None


class GLM(Baseline):
    """A generalised linear model of each cell on large-scale and local predictors.

    Predictors are the 12 leading principal components at most of all coarse fields, and all
    coarse variables interpolated to the cell; precipitation as log(1 + x). Precipitation has two
    models, as in the GLM of the VALUE experiment (Gutierrez et al. 2019, doi:10.1002/joc.5462): the
    odds of a wet day (at least 1 mm, Bernoulli with a logit link), and the amount of wet days
    (Gamma with a logarithmic link). What is predicted is the expectation, their product; the mean
    amount is limited to three times the wettest day of training. Other variables have a normal
    distribution with an identity link.
    """

    name = "GLM"
    source_bound = True
    by_day = True

    def _learn(
        self, pairs: Sequence[Pair], statics: xr.Dataset | None, validation: Sequence[Pair]
    ) -> None:
        ((coarse, fine),) = pairs
        self._components = PrincipalComponents(coarse, self.target.grid, SHARE, MOST_COMPONENTS)
        self._local = LocalPredictors(coarse, self.target.grid)
        local = self._local(coarse)
        self._mean = np.asarray(np.nanmean(local, axis=0, dtype=np.float64))
        spread = np.asarray(np.nanstd(local, axis=0, dtype=np.float64))
        self._spread = np.where(spread > 1e-6 * np.abs(self._mean), spread, np.inf)
        truths = {name: self.target.values(fine, name) for name in self.target.attrs}
        fitted: dict[str, list[Coefficients]] = {name: [] for name in truths}
        for cells, design in self._designs(coarse):
            usable = np.isfinite(design).all(axis=-1)
            known = np.where(usable[..., None], design, 0.0)
            for name, values in truths.items():
                truth = np.where(usable, values[:, cells], np.nan)
                fitted[name].append(_fitted(name, known, truth))
        self._coefficients = {name: _joined(parts) for name, parts in fitted.items()}

    def _designs(self, coarse: xr.Dataset) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield some cells and their design [T, n, P]: 1, components, local predictors."""
        components, local = self._components(coarse), self._local(coarse)
        width = 1 + components.shape[1] + local.shape[2]
        step = max(1, BLOCK_BYTES // (8 * max(len(local), 1) * width))
        for start in range(0, local.shape[1], step):
            cells = slice(start, start + step)
            own = (local[:, cells] - self._mean[cells]) / self._spread[cells]
            shape = own.shape[:2]
            wide = np.broadcast_to(components[:, None], (*shape, components.shape[1]))
            yield cells, np.concatenate([np.ones((*shape, 1)), wide, own], axis=-1)

    def _downscale(self, coarse: xr.Dataset) -> dict[str, np.ndarray]:
        shape = coarse.sizes["time"], self.target.grid.size
        made = {name: np.empty(shape, np.float32) for name in self._coefficients}
        for cells, design in self._designs(coarse):
            for name, coefficients in self._coefficients.items():
                made[name][:, cells] = _expected(coefficients, design, cells)
        return made


def _fitted(name: str, design: np.ndarray, truth: np.ndarray) -> Coefficients:
    if not describe(name).is_precipitation:
        return Coefficients(gaussian(design, truth))
    wet = truth >= WET
    events = np.where(np.isfinite(truth), wet, np.nan)
    amounts = np.where(wet, truth, np.nan)
    mean = gamma(design, amounts)
    never = ~wet.any(axis=0) & np.isfinite(truth).any(axis=0)
    mean[never] = 0.0  # cells that are always dry: any amount, with a probability of nearly none
    greatest = GREATEST * np.max(np.where(wet, truth, WET), axis=0)
    return Coefficients(mean, logistic(design, events), greatest)


def _expected(coefficients: Coefficients, design: np.ndarray, cells: slice) -> np.ndarray:
    """Return the expectation [T, n] of some cells."""
    mean = linear_predictor(design, coefficients.mean[cells])
    if coefficients.wet is None or coefficients.greatest is None:
        return mean
    limit = np.log(coefficients.greatest[cells])
    chance = expit(linear_predictor(design, coefficients.wet[cells]))
    return chance * np.exp(np.minimum(mean, limit))


def _joined(parts: Sequence[Coefficients]) -> Coefficients:
    """Coefficients of all cells, of those of some each."""
    mean, wet, greatest = (
        None if column[0] is None else np.concatenate(column) for column in zip(*parts, strict=True)
    )
    assert mean is not None
    return Coefficients(mean, wet, greatest)
