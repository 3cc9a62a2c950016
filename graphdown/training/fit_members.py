"""What is fitted to an emulator's members when its training ends: dependence and calibration."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from graphdown.config.member_settings import MemberSpec
from graphdown.emulator.build_network import trained_network
from graphdown.emulator.dependence import (
    Dependence,
    fit_between,
    fit_decay,
    fit_length_km,
    fit_noise_decay,
)
from graphdown.emulator.emulator import Emulator
from graphdown.emulator.ensemble_noise import EnsembleNoise
from graphdown.emulator.inference import run_laws, run_members
from graphdown.model import Downscaler
from graphdown.model.calibration import Calibration, fit_correction
from graphdown.model.deep_ensemble import network_of_member
from graphdown.model.distributions import Distribution
from graphdown.model.heads import Readout
from graphdown.training.samples import Samples

RUN = 32  # days that follow each other
MOST_DAYS = 768
MOST_VALUES = 20_000_000  # of a target
MEMBERS = 4  # whose mean has the errors by which the decay of the noise is fitted
CALIBRATION_SEED = 0


@dataclass(frozen=True, eq=False)
class MemberFit:
    """Fits for the members of an emulator.

    Attributes:
        emulator: whose members are fitted.
        training, validation: days of each source.
        times: time stamps of each source's training days.
        scored_by_noise: numbers of the targets whose members the network's noise makes.
    """

    emulator: Emulator
    training: Sequence[Samples]
    validation: Sequence[Samples]
    times: Sequence[xr.DataArray]
    scored_by_noise: Sequence[int]

    def fitted(self, spec: MemberSpec) -> Emulator:
        """The emulator with what the experiment wants fitted."""
        emulator = self.emulator
        if spec.fit_dependence:
            emulator = replace(emulator, dependence=self.dependence())
        if spec.calibrate:
            emulator = replace(emulator, calibration=self.calibration())
        return emulator

    def dependence(self) -> Dependence:
        """Correlation of the training days' ranks and errors in time and space."""
        target = self.emulator.domain.target
        runs, follows = zip(*self._runs(), strict=True)
        steps, truth = np.concatenate(follows), np.concatenate([run.fine[:] for run in runs])
        values = [truth[..., number] for number in self._drawn]
        laws = self._laws(runs) if values else []
        pairs = list(zip(laws, values, strict=True))
        errors = self._errors(runs) if self.scored_by_noise else []
        return Dependence(
            lengths_km=tuple(fit_length_km(*pair, target) for pair in pairs),
            decays=tuple(fit_decay(*pair, steps) for pair in pairs),
            noise_decay=fit_noise_decay(errors, steps),
            between=fit_between(laws, values) if len(pairs) > 1 else (),
        )

    def calibration(self) -> Calibration:
        """Correction of the ranks on the validation days."""
        truth = np.concatenate([samples.fine[:] for samples in self.validation])
        laws = zip(self._drawn, self._laws(self.validation), strict=True)
        return Calibration(
            tuple(fit_correction(law, truth[..., t], CALIBRATION_SEED) for t, law in laws)
        )

    @property
    def _drawn(self) -> tuple[int, ...]:
        return Readout.of(self.emulator.model, self.emulator.normaliser.targets).drawn

    @property
    def _network(self) -> Downscaler:
        """The network; of an ensemble the first one, whose members are like those of the others."""
        e = self.emulator
        hours, count = e.time.step_hours, e.networks
        every = trained_network(e.model, e.domain, e.normaliser, e.params, hours, count)
        return network_of_member(every, 0)

    def _laws(self, runs: Sequence[Samples]) -> list[Distribution]:
        """Distributions [time, node] of the days of some samples, one after the other."""
        network, normaliser = self._network, self.emulator.normaliser
        parts = [
            run_laws(network, normaliser, run.graph, run.source[:], run.forcings) for run in runs
        ]
        return [jax.tree.map(_joined, *laws) for laws in zip(*parts, strict=True)]

    def _errors(self, runs: Sequence[Samples]) -> list[np.ndarray]:
        """Errors of the members' mean [time, node] of each target that noise makes members of."""
        e, network = self.emulator, self._network
        readout = Readout.of(e.model, e.normaliser.targets)
        noise = EnsembleNoise(0, e.model, readout, e.domain.target, e.time.step_hours)
        errors = []
        for run in runs:
            days = xr.DataArray(xr.date_range("2001-01-01", periods=len(run.source)), dims="time")
            draws = (noise.draw(member, days) for member in range(MEMBERS))
            made = run_members(network, e.normaliser, run.graph, run.source[:], run.forcings, draws)
            errors.append(run.fine[:] - made.mean(axis=1))
        every = np.concatenate(errors)
        return [every[..., target] for target in self.scored_by_noise]

    def _runs(self) -> Iterator[tuple[Samples, np.ndarray]]:
        """Yield days of each source in runs, and whether each follows the one before it."""
        nodes, sources = self.emulator.domain.target.size, len(self.training)
        most = int(np.clip(MOST_VALUES // nodes, 2 * RUN, MOST_DAYS)) // sources
        step = pd.Timedelta(hours=self.emulator.time.step_hours)
        for samples, time in zip(self.training, self.times, strict=True):
            days = runs_of_days(time.size, most)
            index: Any = time.to_index()[days]
            after = np.asarray(index[1:] - index[:-1] == step)
            yield on_first_grid(samples, days), np.concatenate([[False], after])


def runs_of_days(count: int, most: int) -> np.ndarray:
    """Indices of at most so many days, or one run, in runs that are evenly spread."""
    runs = max(1, most // RUN)
    if count <= runs * RUN:
        return np.arange(count)
    starts = np.linspace(0, count - RUN, runs).round().astype(int)
    return np.unique(starts[:, None] + np.arange(RUN))


def on_first_grid(samples: Samples, days: np.ndarray) -> Samples:
    """Some days of samples, on the first of their grids if there are several."""
    some = replace(
        samples,
        source=samples.source[days],
        fine=samples.fine[days],
        forcings=samples.forcings[days],
    )
    if some.bank is None:
        return some
    fields, graph = some.bank.upscaled(jnp.asarray(some.source), 0, some.graph)
    return replace(some, source=np.asarray(fields), graph=graph, bank=None)


def _joined(*parts: Any) -> np.ndarray:
    """Parts of a distribution for the days of several samples; those of all days are alike."""
    arrays = [np.asarray(part) for part in parts]
    return np.concatenate(arrays) if arrays[0].ndim else arrays[0]
