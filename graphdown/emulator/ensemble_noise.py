"""The random numbers of ensemble members: by seed, member and date alone.

So a member is the same however many members or days are made at a time, in what order and on what
machine. The numbers of different days are independent: from one day to the next, members follow
each other as far as the predictors do.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.special import ndtr

from graphdown.model import ModelSpec
from graphdown.model.heads import Readout
from graphdown.runtime.random_streams import RandomStream
from graphdown.variables.time_steps import DAY_HOURS
from meshes import EARTH_RADIUS_KM, Grid

WAVES = 128
LENGTH_KM = 150.0


class MemberNoise(NamedTuple):
    """The random numbers of one member.

    Attributes:
        noise: standard normal numbers for the network [time, n], None for a network without.
        ranks: in (0, 1) [time, Nt, D] of the D targets that have a distribution, None if there are
            none.
    """

    noise: np.ndarray | None
    ranks: np.ndarray | None


@dataclass(frozen=True, eq=False)
class EnsembleNoise:
    """The random numbers of all members of an ensemble.

    Attributes:
        seed: of all of them.
        model: how many numbers the network takes, `ModelSpec.noise`.
        readout: which targets are drawn from distributions.
        target: the target grid.
        step_hours: length of a day, or of a shorter step that has numbers of its own.
    """

    seed: int
    model: ModelSpec
    readout: Readout
    target: Grid
    step_hours: int = DAY_HOURS

    @property
    def makes_members(self) -> bool:
        """Whether there is anything to draw, so that one member differs from the other."""
        return bool(self.model.noise or self.readout.drawn)

    def draw(self, member: int, time: xr.DataArray) -> MemberNoise:
        """Draw a member's numbers for days [time]."""
        keys = step_keys(time, self.step_hours)
        return MemberNoise(self._network_noise(member, keys), self._ranks(member, keys))

    def _network_noise(self, member: int, keys: list[int]) -> np.ndarray | None:
        size = self.model.noise
        return normal(self.seed, member, keys, RandomStream.MEMBER_NOISE, size) if size else None

    def _ranks(self, member: int, keys: list[int]) -> np.ndarray | None:
        drawn = len(self.readout.drawn)
        if not drawn:
            return None
        weights = normal(self.seed, member, keys, RandomStream.MEMBER_RANKS, drawn * 2 * WAVES)
        fields = self._waves @ weights.reshape(len(keys) * drawn, 2 * WAVES).T
        ranks = ndtr(fields).reshape(self.target.size, len(keys), drawn)
        return np.swapaxes(ranks, 0, 1)

    @cached_property
    def _waves(self) -> np.ndarray:
        return waves(self.target)


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


def waves(target: Grid) -> np.ndarray:
    """Waves [Nt, 2 WAVES] whose sum with normal weights is a smooth random field.

    Each node's value is standard normal exactly, since squares of sine and cosine add up to 1; the
    correlation of two nodes is nearly exp(-d / LENGTH_KM) of the length d between them, whose
    spectrum the wave vectors are drawn from (random Fourier features, Rahimi and Recht 2007).
    """
    rng = np.random.default_rng(RandomStream.RANK_WAVES)
    normals = rng.standard_normal((WAVES, 3)) * EARTH_RADIUS_KM / LENGTH_KM
    # The spectrum of exp(-d) is a Cauchy distribution: a normal one over the root of a chi-square.
    vectors = normals / np.abs(rng.standard_normal((WAVES, 1)))
    phase = target.xyz @ vectors.T
    fields = np.concatenate([np.cos(phase), np.sin(phase)], axis=1) / np.sqrt(WAVES)
    return fields.astype(np.float32)
