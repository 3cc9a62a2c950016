"""Calibration: a monotone correction of the ranks that members are drawn at, and its fit."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graphdown.model.distributions import Distribution
from graphdown.runtime.random_streams import RandomStream

LEVELS = np.array(
    [0.0, 0.005, 0.01, 0.02, *np.arange(0.05, 0.951, 0.05).round(2), 0.98, 0.99, 0.995, 0.999, 1.0]
)
GROUPS = 6
LEAST_VALUES = 2000  # of a group


@dataclass(frozen=True)
class RankCorrection:
    """Correction of the ranks of one target.

    Values of like expectation, which pools cells of like climate and days of like weather, form a
    group. The correction is interpolated between the groups.

    Attributes:
        expected: mean expectation of each group's values, ascending.
        ranks: for each group the corrected ranks at `LEVELS`, from 0 to 1.
    """

    expected: tuple[float, ...]
    ranks: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        """Refuse groups or ranks that do not ascend."""
        ranks = np.asarray(self.ranks)
        if ranks.shape != (len(self.expected), len(LEVELS)):
            raise ValueError(f"'ranks' must hold {len(LEVELS)} numbers for each of 'expected'")
        if (np.diff(self.expected) <= 0).any() or (np.diff(ranks, axis=1) < 0).any():
            raise ValueError("'expected' and 'ranks' must ascend")

    def __call__(self, ranks: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return the corrected ranks [...].

        Args:
            ranks: in (0, 1) [...].
            expected: expectation of each distribution [...].
        """
        place = np.interp(expected, self.expected, np.arange(len(self.expected)))
        result = np.zeros(np.shape(ranks))
        for k, corrected in enumerate(self.ranks):
            share = np.clip(1.0 - np.abs(place - k), 0.0, 1.0)
            result += share * np.interp(ranks, LEVELS, corrected)
        return result


@dataclass(frozen=True)
class Calibration:
    """Corrections of the ranks of all targets that have a distribution.

    Attributes:
        corrections: one for each.
    """

    corrections: tuple[RankCorrection, ...]

    def __call__(self, ranks: np.ndarray, laws: Sequence[Distribution]) -> np.ndarray:
        """Return the corrected ranks [..., D] of members.

        Args:
            ranks: in (0, 1) [..., D].
            laws: the distributions [...] of the D targets.
        """
        pairs = zip(self.corrections, laws, strict=True)
        corrected = [
            correct(ranks[..., k], np.asarray(law.mean)) for k, (correct, law) in enumerate(pairs)
        ]
        return np.stack(corrected, axis=-1)


def fit_correction(law: Distribution, values: np.ndarray, seed: int = 0) -> RankCorrection:
    """Correction by which a distribution has the truth's ranks uniformly distributed.

    If the ranks u of the truth have the distribution function G, those of the calibrated
    distribution are G(u) (Gneiting, Balabdaoui and Raftery 2007,
    doi:10.1111/j.1467-9868.2007.00587.x), and its quantile at a rank r is that of the distribution
    at the rank G^-1(r), an empirical quantile of the u. A value with a probability of its own gets
    a random one of its ranks.

    Args:
        law: distributions [...] of days that were not learned from.
        values: the truth [...], NaN where missing.
        seed: of the random ranks.
    """
    present = np.isfinite(values)
    low, high = (side[present] for side in law.ranks(np.where(present, values, 0.0)))
    expected = np.broadcast_to(np.asarray(law.mean, np.float64), values.shape)[present]
    random = np.random.default_rng([RandomStream.CALIBRATION, seed]).uniform(size=low.size)
    ranks = low + (high - low) * random
    groups = _groups(expected)
    means = [float(expected[group].mean()) for group in groups]
    return RankCorrection(tuple(means), tuple(_corrected(ranks[group]) for group in groups))


def _groups(expected: np.ndarray) -> list[np.ndarray]:
    """Places of each group's values: as many in each, fewer groups of few values."""
    count = int(np.clip(len(expected) // LEAST_VALUES, 1, GROUPS))
    edges = np.unique(np.quantile(expected, np.linspace(0.0, 1.0, count + 1)))
    if len(edges) < 3:
        return [np.arange(len(expected))]
    kind = np.clip(np.searchsorted(edges, expected, "right") - 1, 0, len(edges) - 2)
    return [np.nonzero(kind == k)[0] for k in range(len(edges) - 1)]


def _corrected(ranks: np.ndarray) -> tuple[float, ...]:
    """Ranks of a group at `LEVELS`, 0 and 1 at the ends."""
    inner = np.quantile(ranks, LEVELS[1:-1])
    return (0.0, *(float(rank) for rank in inner), 1.0)
