"""Gradients of an emulator's output with respect to the fields of its source."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from flax import nnx

from graphdown.data.normalise import Normaliser
from graphdown.emulator.inference import BATCH, filled, scaling_of
from graphdown.model import Downscaler, GraphArrays, Scaling, predict
from graphdown.model.deep_ensemble import DeepEnsemble
from graphdown.model.padding import pad_nodes


@dataclass(frozen=True, eq=False)
class DifferentiableEmulator:
    """Weighted sums over the targets of an emulator on one source grid, and their gradients.

    All of the emulator is differentiated: interpolation, optimal interpolation by EOFs, regression
    and network. Limits such as pr >= 0 are applied to its output later, and not here.

    Attributes:
        network, normaliser, graph: as for `graphdown.emulator.inference.run_network`.
        batch: samples that are computed at once.
    """

    network: Downscaler | DeepEnsemble
    normaliser: Normaliser
    graph: GraphArrays
    batch: int = BATCH

    def gradients(
        self, source: np.ndarray, season: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values [B] and gradients [B, Ns, V], float64, in physical units.

        Missing predictors have gradients of 0.

        Args:
            source: predictors [B, Ns, V].
            season: forcings [B, F].
            weights: of the targets [B, Nt, T]; the first dimension may have a length of 1.
        """
        parts = list(self._batches(source, season, weights))
        values, gradients = (np.concatenate(column) for column in zip(*parts, strict=True))
        return values, gradients

    def _batches(
        self, source: np.ndarray, season: np.ndarray, weights: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        graphdef, params = nnx.split(self.network)
        scales, nodes = scaling_of(self.normaliser), source.shape[1]
        for start in range(0, len(source), self.batch):
            some = slice(start, start + self.batch)
            of_batch = weights if len(weights) == 1 else filled(weights[some], self.batch)
            values, gradients = _values_and_gradients(
                graphdef,
                params,
                scales,
                filled(pad_nodes(source[some]), self.batch),
                filled(season[some], self.batch),
                self.graph,
                of_batch,
            )
            count = len(source[some])
            found = np.asarray(gradients, np.float64)[:count, :nodes]
            yield (
                np.asarray(values, np.float64)[:count],
                np.where(np.isnan(source[some]), 0.0, found),
            )


def integrated_gradients(
    emulator: DifferentiableEmulator,
    source: np.ndarray,
    baseline: np.ndarray,
    season: np.ndarray,
    weights: np.ndarray,
    steps: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Attribution of the difference from a baseline to each predictor of each node.

    Sundararajan et al. 2017 (arXiv 1703.01365), equation 1: (x - x') times the mean gradient along
    the straight line from the baseline x' to x; here by Gauss-Legendre quadrature. The attributions
    add up to f(x) - f(x').

    Args:
        emulator: f.
        source: predictors x [B, Ns, V].
        baseline: predictors x' [Ns, V].
        season: forcings [B, F], the same along the line.
        weights: of the targets [1, Nt, T].
        steps: points of the quadrature.

    Returns:
        Attributions [B, Ns, V] and f(x) - f(x') [B], both in units of the target.
    """
    places, shares = np.polynomial.legendre.leggauss(steps)
    difference, mean = source - baseline, np.zeros(source.shape)
    for place, share in zip((places + 1.0) / 2.0, shares / 2.0, strict=True):
        between = (baseline + place * difference).astype(np.float32)
        mean += share * emulator.gradients(between, season, weights)[1]
    start = np.broadcast_to(baseline, source.shape).astype(np.float32)
    ends = [emulator.gradients(x, season, weights)[0] for x in (source, start)]
    return np.nan_to_num(difference) * mean, ends[0] - ends[1]


@partial(jax.jit, static_argnames=("graphdef",))
def _values_and_gradients(
    graphdef: Any,
    params: Any,
    scales: Scaling,
    source: Any,
    season: Any,
    graph: GraphArrays,
    weights: Any,
) -> tuple[jax.Array, jax.Array]:
    def total(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        fields = predict(nnx.merge(graphdef, params), scales, x, season, graph)
        values = (fields * weights).sum(axis=(1, 2))
        return values.sum(), values  # samples are independent: the sum has each one's gradient

    (_, values), gradients = jax.value_and_grad(total, has_aux=True)(source)
    return values, gradients
