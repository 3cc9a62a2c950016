"""The random numbers of ensemble members: by seed, member and date alone.

So a member is the same however many members or days are made at a time, in what order and on what
machine. Numbers are correlated from one step to the next as weighted sums of independent numbers of
the step and of those before it, which are keyed by their dates.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import ndtr

from graphdown.emulator.dependence import STATED_LENGTH_KM, Dependence
from graphdown.model import ModelSpec
from graphdown.model.calibration import Calibration
from graphdown.model.heads import Readout
from graphdown.runtime.random_streams import RandomStream
from graphdown.variables.time_steps import DAY_HOURS
from meshes import EARTH_RADIUS_KM, Grid

WAVES = 128
NEGLIGIBLE = 1e-4  # weight of the earliest step, of that of the step itself


class MemberNoise(NamedTuple):
    """The random numbers of one member.

    Attributes:
        noise: standard normal numbers for the network [time, n], None for a network without.
        ranks: in (0, 1) [time, Nt, D] of the D targets that have a distribution, None if there are
            none.
        calibration: corrects the ranks, None for none.
    """

    noise: np.ndarray | None
    ranks: np.ndarray | None
    calibration: Calibration | None = None


@dataclass(frozen=True, eq=False)
class EnsembleNoise:
    """The random numbers of all members of an ensemble.

    Attributes:
        seed: of all of them.
        model: how many numbers the network takes, `ModelSpec.noise`.
        readout: which targets are drawn from distributions.
        target: the target grid.
        step_hours: length of a day, or of a shorter step that has numbers of its own.
        dependence: correlation of the numbers in time and space.
        calibration: see `MemberNoise`.
    """

    seed: int
    model: ModelSpec
    readout: Readout
    target: Grid
    step_hours: int = DAY_HOURS
    dependence: Dependence = field(default_factory=Dependence)
    calibration: Calibration | None = None

    @property
    def makes_members(self) -> bool:
        """Whether there is anything to draw, so that one member differs from the other."""
        return bool(self.model.noise or self.readout.drawn)

    def draw(self, member: int, time: xr.DataArray) -> MemberNoise:
        """Draw a member's numbers for days [time]."""
        return MemberNoise(
            self._network_noise(member, time), self._ranks(member, time), self.calibration
        )

    def _network_noise(self, member: int, time: xr.DataArray) -> np.ndarray | None:
        size = self.model.noise
        if not size:
            return None
        decays = (self.dependence.noise_decay,)
        return self._numbers(member, time, RandomStream.MEMBER_NOISE, size, decays)[:, 0]

    def _ranks(self, member: int, time: xr.DataArray) -> np.ndarray | None:
        drawn = len(self.readout.drawn)
        if not drawn:
            return None
        decays = self.dependence.rank_decays(drawn)
        weights = self._numbers(member, time, RandomStream.MEMBER_RANKS, 2 * WAVES, decays)
        # Step by step: products of several steps at once would depend on how many there are.
        fields = [[w @ n for w, n in zip(self._waves, step, strict=True)] for step in weights]
        # In double precision: in single, a rank in some ten million would be 1.
        numbers = np.asarray(fields, np.float64)
        mixing = self.dependence.mixing(drawn)
        mixed = [sum(mixing[k, m] * numbers[:, m] for m in range(k + 1)) for k in range(drawn)]
        return ndtr(np.stack(mixed, axis=-1))

    def _numbers(
        self,
        member: int,
        time: xr.DataArray,
        stream: RandomStream,
        size: int,
        decays: Sequence[float],
    ) -> np.ndarray:
        """Standard normal numbers [time, d, size] of d series with correlations of their own."""
        weights = np.stack(moving_weights(decays), axis=1)[..., None]
        keys = [step_keys(earlier, self.step_hours) for earlier in self._earlier(time, weights)]
        every = sorted({key for of_step in keys for key in of_step})
        drawn = normal(self.seed, member, every, stream, len(decays) * size)
        drawn = drawn.reshape(-1, len(decays), size)
        place = {key: k for k, key in enumerate(every)}
        total = np.zeros((time.size, len(decays), size), np.float32)
        for weight, of_step in zip(weights, keys, strict=True):
            total += weight * drawn[[place[key] for key in of_step]]
        return total

    def _earlier(self, time: xr.DataArray, weights: np.ndarray) -> list[xr.DataArray]:
        """The steps themselves, those before them, and so on, one for each weight."""
        index: Any = time.to_index()
        step = pd.Timedelta(hours=self.step_hours)
        return [xr.DataArray(index - k * step, dims="time") for k in range(len(weights))]

    @cached_property
    def _waves(self) -> list[np.ndarray]:
        lengths = self.dependence.lengths(len(self.readout.drawn))
        of_length = {length: waves(self.target, length) for length in set(lengths)}
        return [of_length[length] for length in lengths]


def moving_weights(decays: Sequence[float]) -> list[np.ndarray]:
    """Weights [J] of a step and of those before it, the same number J for every decay.

    Powers of the decay, whose squares add up to 1, so that sums of standard normal numbers are
    standard normal and have the correlation decay^k over k steps, as an autoregression of first
    order, but for the `NEGLIGIBLE` weights that are cut off.
    """
    greatest = max(decays)
    count = 1 + int(np.ceil(np.log(NEGLIGIBLE) / np.log(greatest))) if greatest > 0 else 1
    powers = [np.power(decay, np.arange(count)) for decay in decays]
    return [(power / np.sqrt((power**2).sum())).astype(np.float32) for power in powers]


def day_keys(time: xr.DataArray) -> list[int]:
    """Number of each date, the same in every calendar that has it."""
    parts = (time.dt.year.values, time.dt.month.values, time.dt.day.values)
    return [int(y) * 10000 + int(m) * 100 + int(d) for y, m, d in zip(*parts, strict=True)]


def step_keys(time: xr.DataArray, step_hours: int) -> list[int]:
    """Number of each step; of days, that of the date."""
    keys = day_keys(time)
    if step_hours == DAY_HOURS:
        return keys
    return [
        100 * key + int(h) for key, h in zip(keys, time.dt.hour.values // step_hours, strict=True)
    ]


def normal(seed: int, member: int, keys: list[int], stream: RandomStream, size: int) -> np.ndarray:
    """Standard normal numbers [days, size] float32 of a member."""
    generators = [np.random.default_rng([seed, member, stream, abs(key), key < 0]) for key in keys]
    return np.stack([rng.standard_normal(size, np.float32) for rng in generators])


def waves(target: Grid, length_km: float = STATED_LENGTH_KM) -> np.ndarray:
    """Waves [Nt, 2 WAVES] whose sum with normal weights is a smooth random field.

    Each node's value is standard normal exactly, since squares of sine and cosine add up to 1; the
    correlation of two nodes is nearly exp(-d / length_km) of the length d between them, whose
    spectrum the wave vectors are drawn from (random Fourier features, Rahimi and Recht 2007).
    """
    rng = np.random.default_rng(RandomStream.RANK_WAVES)
    normals = rng.standard_normal((WAVES, 3)) * EARTH_RADIUS_KM / length_km
    # The spectrum of exp(-d) is a Cauchy distribution: a normal one over the root of a chi-square.
    vectors = normals / np.abs(rng.standard_normal((WAVES, 1)))
    phase = target.xyz @ vectors.T
    fields = np.concatenate([np.cos(phase), np.sin(phase)], axis=1) / np.sqrt(WAVES)
    return fields.astype(np.float32)
