"""Dependence: how members' random numbers are correlated in time and space, and its fit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from graphdown.model.distributions import Distribution
from graphdown.runtime.random_streams import RandomStream
from meshes import EARTH_RADIUS_KM, Grid

STATED_LENGTH_KM = 150.0
LENGTHS_KM = 20.0, 2000.0  # least and greatest that is fitted
MOST_DECAY = 0.95
DISTANCES_KM = np.array([25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 450.0, 600.0, 900.0])
PAIRS = 15_000  # of values, for each correlation
LEAST_PAIRS = 200
INNERMOST = 1e-6  # rank of the outermost scores
HALVINGS = 10


@dataclass(frozen=True)
class Dependence:
    """Correlation of members' random numbers in time and space.

    Attributes:
        lengths_km: for each target with a distribution the length L of the correlation exp(-d / L)
            of its ranks over a distance d; empty for `STATED_LENGTH_KM`.
        decays: for each of them the correlation of the ranks, as normal scores, from one step to
            the next; empty for 0.
        noise_decay: correlation of the network's noise from one step to the next.
        between: correlations of the ranks, as normal scores, of each of these targets with each
            other; empty for none.
    """

    lengths_km: tuple[float, ...] = ()
    decays: tuple[float, ...] = ()
    noise_decay: float = 0.0
    between: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        """Refuse correlations that there are none of."""
        for decay in (*self.decays, self.noise_decay):
            if not 0.0 <= decay <= MOST_DECAY:
                raise ValueError(f"a decay is {decay}, but must lie between 0 and {MOST_DECAY}")
        if not all(length > 0.0 for length in self.lengths_km):
            raise ValueError("'lengths_km' must be positive")
        matrix = np.asarray(self.between)
        if self.between and not (
            np.array_equal(matrix, matrix.T)
            and (np.diag(matrix) == 1.0).all()
            and np.linalg.eigvalsh(matrix).min() > 0.0
        ):
            raise ValueError("'between' must be a matrix of correlations")

    def lengths(self, targets: int) -> tuple[float, ...]:
        """Lengths of so many targets in km."""
        return self.lengths_km or (STATED_LENGTH_KM,) * targets

    def rank_decays(self, targets: int) -> tuple[float, ...]:
        """Decays of so many targets."""
        return self.decays or (0.0,) * targets

    def mixing(self, targets: int) -> np.ndarray:
        """Lower matrix [D, D] that gives D independent normal fields their correlations."""
        return np.linalg.cholesky(np.asarray(self.between)) if self.between else np.eye(targets)


def normal_scores(law: Distribution, values: np.ndarray) -> np.ndarray:
    """Standard normal numbers [...] that have the ranks of values in their distribution.

    A value with a probability of its own, as of a dry day, gets the middle of its ranks.
    """
    low, high = law.ranks(values)
    middle = np.clip(0.5 * (low + high), INNERMOST, 1.0 - INNERMOST)
    return np.where(np.isfinite(values), ndtri(middle), np.nan)


def picked(law: Any, index: Any) -> Any:
    """A distribution at some of its places, such as of an array [time, node]."""
    parts = (np.asarray(part) for part in law)
    return type(law)(*(part[index] if part.ndim else part for part in parts))


def latent_correlation(
    first: Distribution, second: Distribution, observed: float, least: float = 0.0
) -> float:
    """Correlation of the ranks by which values drawn from two distributions correlate as observed.

    Middle ranks of dry days weaken correlations, so that those of values and of the normal numbers
    that the values are drawn by differ. This one is found by drawing.

    Args:
        first, second: of pairs of values [n].
        observed: correlation of the values' normal scores.
        least: correlation that is considered.
    """
    size = len(np.asarray(first.quantile(np.asarray(0.5))))
    a, b = np.random.default_rng(RandomStream.DEPENDENCE_FIT).standard_normal((2, size))
    scores = normal_scores(first, first.quantile(ndtr(a)))

    def drawn(correlation: float) -> float:
        other = correlation * a + np.sqrt(1.0 - correlation**2) * b
        return correlation_of(scores, normal_scores(second, second.quantile(ndtr(other))))

    return _solved(drawn, observed, least)


def _solved(function: Callable[[float], float], value: float, low: float) -> float:
    """Place from low to MOST_DECAY where an increasing function has a value, or the nearest end."""
    high = MOST_DECAY
    if value <= function(low):
        return low
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if function(middle) < value else (low, middle)
    return 0.5 * (low + high)


def correlation_of(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of pairs [n] as deviations from their means."""
    a, b = first - first.mean(), second - second.mean()
    size = np.sqrt((a**2).mean() * (b**2).mean())
    return float((a * b).mean() / size) if size > 0 else 0.0


def fit_decay(law: Distribution, values: np.ndarray, follows: np.ndarray) -> float:
    """Correlation of a target's ranks from one step to the next.

    Args:
        law: its distributions [time, node].
        values: the truth [time, node], NaN where missing.
        follows: whether a step is the one after the one before in the array [time].
    """
    scores = _deviations(normal_scores(law, values))
    pairs = follows[1:, None] & np.isfinite(scores[1:]) & np.isfinite(scores[:-1])
    time, node = _some(np.nonzero(pairs))
    if len(time) < LEAST_PAIRS:
        return 0.0
    observed = correlation_of(scores[time, node], scores[time + 1, node])
    before, after = picked(law, (time, node)), picked(law, (time + 1, node))
    return latent_correlation(before, after, observed)


def fit_between(
    laws: Sequence[Distribution], values: Sequence[np.ndarray]
) -> tuple[tuple[float, ...], ...]:
    """Correlations of the ranks of targets with each other, in the same place and step.

    A matrix that is none of correlations, as one of pairs may be, is drawn towards no correlation.

    Args:
        laws, values: of each target, as for `fit_decay`.
    """
    scores = [_deviations(normal_scores(*pair)) for pair in zip(laws, values, strict=True)]
    matrix = np.eye(len(scores))
    for a, b in combinations(range(len(scores)), 2):
        places = _some(np.nonzero(np.isfinite(scores[a] + scores[b])))
        if len(places[0]) >= LEAST_PAIRS:
            observed = correlation_of(scores[a][places], scores[b][places])
            sides = picked(laws[a], places), picked(laws[b], places)
            matrix[a, b] = matrix[b, a] = latent_correlation(*sides, observed, -MOST_DECAY)
    while np.linalg.eigvalsh(matrix).min() < 1e-3:
        matrix = 0.95 * matrix + 0.05 * np.eye(len(matrix))
    return tuple(tuple(float(c) for c in row) for row in matrix)


def fit_length_km(law: Distribution, values: np.ndarray, target: Grid) -> float:
    """Length L of the correlation exp(-d / L) of a target's ranks in space.

    The least squares of correlations by distance, each weighted alike. Without enough pairs of
    values, as of few stations, it is the stated length.

    Args:
        law, values: as for `fit_decay`.
        target: the nodes.
    """
    scores = _deviations(normal_scores(law, values))
    found = [
        (distance, _correlation_at(law, scores, nodes))
        for distance, nodes in _pairs_by_distance(target)
        if len(nodes[0])
    ]
    at = np.array([(d, c) for d, c in found if c is not None]).reshape(-1, 2)
    if len(at) < 2:
        return STATED_LENGTH_KM
    lengths = np.geomspace(*LENGTHS_KM, 400)
    error = ((np.exp(-at[:, :1] / lengths) - at[:, 1:]) ** 2).sum(axis=0)
    return float(lengths[error.argmin()])


def _correlation_at(
    law: Distribution, scores: np.ndarray, nodes: tuple[np.ndarray, np.ndarray]
) -> float | None:
    """Correlation of the ranks of pairs of nodes, None for too few values."""
    first, second = nodes
    both = np.isfinite(scores[:, first]) & np.isfinite(scores[:, second])
    time, pair = _some(np.nonzero(both))
    if len(time) < LEAST_PAIRS:
        return None
    a, b = first[pair], second[pair]
    observed = correlation_of(scores[time, a], scores[time, b])
    return latent_correlation(picked(law, (time, a)), picked(law, (time, b)), observed)


def _pairs_by_distance(target: Grid) -> list[tuple[float, tuple[np.ndarray, np.ndarray]]]:
    """Mean distance and numbers of pairs of nodes, for each class of distances."""
    rng = np.random.default_rng(RandomStream.DEPENDENCE_FIT)
    nodes = rng.choice(target.size, min(target.size, 400), replace=False)
    first, second = (nodes[side] for side in np.triu_indices(len(nodes), 1))
    cosine = (target.xyz[first] * target.xyz[second]).sum(axis=1)
    distance = EARTH_RADIUS_KM * np.arccos(np.clip(cosine, -1.0, 1.0))
    kind = np.digitize(distance, DISTANCES_KM)
    classes = [np.nonzero(kind == k)[0] for k in range(len(DISTANCES_KM))]
    return [(float(distance[c].mean()), (first[c], second[c])) for c in classes if len(c)]


def fit_noise_decay(errors: Sequence[np.ndarray], follows: np.ndarray) -> float:
    """Correlation of the errors of an ensemble's mean from one step to the next.

    Args:
        errors: of each target that the noise makes members of [time, node], NaN where missing.
        follows: as for `fit_decay`.
    """
    found = []
    for error in errors:
        deviation = _deviations(error)
        deviation = deviation / np.nanstd(deviation, axis=0, keepdims=True).clip(1e-12)
        before, after = deviation[:-1][follows[1:]], deviation[1:][follows[1:]]
        both = np.isfinite(before) & np.isfinite(after)
        if both.sum() >= LEAST_PAIRS:
            found.append(correlation_of(before[both], after[both]))
    return float(np.clip(np.mean(found), 0.0, MOST_DECAY)) if found else 0.0


def _deviations(values: np.ndarray) -> np.ndarray:
    """Values [time, node] about each node's mean; NaN for a node without any."""
    present = np.isfinite(values)
    count = present.sum(axis=0)
    mean = np.where(present, values, 0.0).sum(axis=0) / np.maximum(count, 1)
    return values - mean


def _some(places: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """At most `PAIRS` places, drawn without replacement."""
    count = len(places[0])
    if count <= PAIRS:
        return places
    chosen = np.random.default_rng(RandomStream.DEPENDENCE_FIT).choice(count, PAIRS, replace=False)
    return tuple(place[chosen] for place in places)
