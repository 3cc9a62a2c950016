"""The days that choose the best weights, and the error of a network on them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import jax
import numpy as np
import xarray as xr

from graphdown.config.experiment import Experiment
from graphdown.data.load import ExperimentData
from graphdown.data.normalise import Normaliser
from graphdown.data.source_adjustment import Adjustment
from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.ensemble_noise import EnsembleNoise, MemberNoise
from graphdown.emulator.inference import BATCH, run_members, run_network
from graphdown.model import Downscaler, GraphArrays
from graphdown.model.deep_ensemble import DeepEnsemble
from graphdown.model.loss_functions import fair_crps
from graphdown.training.folds import blocks_of
from graphdown.training.paired_days import validation_grids, validation_pair
from graphdown.training.samples import Samples, make_samples

DAYS = 192
MEMBERS = 4


@dataclass(frozen=True, eq=False)
class Validation:
    """Days that choose the best weights.

    Attributes:
        samples: of each source and grid.
        weights: of each of the samples in the error.
        noise: random numbers of ensemble members, the same every time.
        folds: blocks of years, see `TrainingSpec.folds`; networks of an ensemble are scored on the
            days that they left out.
        batch: days that the network makes at once.
    """

    samples: Sequence[Samples]
    weights: Sequence[float]
    noise: EnsembleNoise
    folds: int = 0
    batch: int = BATCH

    @property
    def measure(self) -> str:
        """Name of the error: of a network that makes members the CRPS, else the RMSE."""
        return "crps" if self.noise.makes_members else "rmse"

    def errors(
        self, network: Downscaler | DeepEnsemble, normaliser: Normaliser
    ) -> dict[str, float]:
        """Error of a network by target, area-weighted, mean over the samples."""
        each = [self._mean_error(network, normaliser, samples) for samples in self.samples]
        mean = np.average(each, axis=0, weights=self.weights)
        errors = mean if self.noise.makes_members else np.sqrt(mean)
        return {t: float(v) for t, v in zip(normaliser.targets, errors, strict=True)}

    def _mean_error(
        self, network: Downscaler | DeepEnsemble, normaliser: Normaliser, samples: Samples
    ) -> np.ndarray:
        """Mean over days and area [T] of squared errors, or of the CRPS."""
        total: np.ndarray | float = 0.0
        days: np.ndarray | int = 0
        for rows, of_rows in self._by_block(network, samples):
            for start in range(0, len(rows), self.batch):
                some = rows[start : start + self.batch]
                fine = samples.fine[some]
                known = np.isfinite(fine)
                error = self._error(of_rows, normaliser, samples, some, fine)
                total = total + np.where(known, error, 0.0).sum(axis=0, dtype=np.float64)
                days = days + known.sum(axis=0)
        per_node = total / np.maximum(days, 1)
        weight = self.noise.target.area[:, None] * (np.asarray(days) > 0)
        return np.asarray((per_node * weight).sum(axis=0) / weight.sum(axis=0))

    def _by_block(
        self, network: Downscaler | DeepEnsemble, samples: Samples
    ) -> Iterator[tuple[np.ndarray, Downscaler | DeepEnsemble]]:
        """Yield days of each block with the networks that left it out; else all with all."""
        if not self.folds or samples.block is None or not isinstance(network, DeepEnsemble):
            yield np.arange(len(samples.source)), network
            return
        for block in range(self.folds):
            left_out = range(block, network.size, self.folds)
            yield np.flatnonzero(samples.block == block), network.taken(left_out)

    def _error(
        self,
        network: Downscaler | DeepEnsemble,
        normaliser: Normaliser,
        samples: Samples,
        days: np.ndarray,
        fine: np.ndarray,
    ) -> np.ndarray:
        """Squared error, or fair CRPS of the members, of each value [time, Nt, T] of some days."""
        source, season = samples.source[days], samples.forcings[days]
        inputs = network, normaliser, samples.graph, source, season
        if not self.noise.makes_members:
            return np.asarray((run_network(*inputs, self.batch) - fine) ** 2)
        draws = (self._draw(member, len(samples.fine), days) for member in range(MEMBERS))
        members = run_members(*inputs, draws, self.batch)
        return np.asarray(jax.jit(fair_crps)(members, fine))

    def _draw(self, member: int, count: int, days: np.ndarray) -> MemberNoise:
        time = xr.date_range("2001-01-01", periods=count)[days]
        return self.noise.draw(member, xr.DataArray(time, dims="time"))


def validation_samples(
    data: ExperimentData,
    experiments: Mapping[str, Experiment],
    domain: TargetDomain,
    adjustments: Mapping[str, Adjustment],
    starts: np.ndarray | None = None,
    graphs: Mapping[str, GraphArrays] = MappingProxyType({}),
) -> dict[str, list[Samples]]:
    """Validation days of each training source, on each of the grids that training leaves out.

    Args:
        data: the experiment's fields.
        experiments: what each source is validated by, see `experiments_by_source`.
        domain: the target.
        adjustments: of the sources that have one.
        starts: of the blocks of years, see `graphdown.training.folds`; None for one block.
        graphs: from sources that are laid out already, by name.
    """
    return {
        name: list(
            _of_source(
                data,
                experiments[name],
                name,
                domain,
                adjustments.get(name),
                starts,
                graphs.get(name),
            )
        )
        for name in data.sources
    }


def _of_source(
    data: ExperimentData,
    experiment: Experiment,
    source: str,
    domain: TargetDomain,
    adjustment: Adjustment | None,
    starts: np.ndarray | None,
    graph: GraphArrays | None,
) -> Iterator[Samples]:
    most = DAYS if starts is None else DAYS * (len(starts) + 1)
    grids = validation_grids(data.banks.get(source))
    for grid in grids:
        pair = validation_pair(data, experiment, source, grid, most // len(grids))
        samples = make_samples(
            source,
            pair,
            experiment.predictors,
            experiment.targets,
            domain,
            around=experiment.model.target_regression,
            adjustment=adjustment,
            step_hours=experiment.time.step_hours,
            graph=graph,
        )
        if starts is not None:
            samples = replace(samples, block=blocks_of(pair[0]["time"], starts))
        yield samples
