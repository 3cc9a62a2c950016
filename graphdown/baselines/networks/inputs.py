"""Inputs of a network: standardised maps and a vector for each day."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, Self

import numpy as np

from graphdown.baselines.networks.box_maps import Maps


class Inputs(NamedTuple):
    """Inputs of a network for B days: maps [B, H, W, V] and a vector [B, F], both standardised."""

    maps: np.ndarray
    vector: np.ndarray


class Standardiser(Protocol):
    """Turns maps into inputs, by statistics of the training days of all sources."""

    @classmethod
    def of(cls, sources: Sequence[Maps]) -> Self:
        """Take the statistics of complete days."""

    def __call__(self, days: Maps) -> Inputs:
        """Return the inputs of days."""


class ByPoint:
    """Maps less the mean of each point and variable, over its standard deviation."""

    axes: tuple[int, ...] = (0,)

    def __init__(self, maps: "Scale", vector: "Scale") -> None:
        self.maps, self.vector = maps, vector

    @classmethod
    def of(cls, sources: Sequence[Maps]) -> Self:
        """Take the statistics of complete days."""
        fields = [days.fields for days in sources]
        return cls(Scale.of(fields, cls.axes), Scale.of([days.forcings for days in sources]))

    def __call__(self, days: Maps) -> Inputs:
        """Return the inputs of days."""
        return Inputs(self.maps(days.fields), self.vector(days.forcings))


class ByVariable(ByPoint):
    """Maps less one mean for each variable, over its standard deviation."""

    axes = (0, 1, 2)


class ByDay:
    """Each day's map less its own spatial mean, over its own spatial standard deviation.

    The means and standard deviations go into the vector instead, with the forcings; there each
    number is standardised over time.
    """

    def __init__(self, vector: "Scale") -> None:
        self._vector = vector

    @classmethod
    def of(cls, sources: Sequence[Maps]) -> Self:
        """Take the statistics of complete days."""
        return cls(Scale.of([_day_vector(days) for days in sources]))

    def __call__(self, days: Maps) -> Inputs:
        """Return the inputs of days."""
        mean = days.fields.mean(axis=(1, 2), keepdims=True)
        spread = days.fields.std(axis=(1, 2), keepdims=True)
        flat = spread <= 1e-6 * np.abs(mean) + 1e-12
        maps = np.where(flat, 0.0, (days.fields - mean) / np.where(flat, 1.0, spread))
        return Inputs(maps.astype(np.float32), self._vector(_day_vector(days)))


def _day_vector(days: Maps) -> np.ndarray:
    mean, spread = days.fields.mean(axis=(1, 2)), days.fields.std(axis=(1, 2))
    return np.concatenate([mean, spread, days.forcings], axis=1)


class Scale(NamedTuple):
    """A mean and the inverse of a standard deviation; 0 for constants."""

    mean: np.ndarray
    inverse: np.ndarray

    @classmethod
    def of(cls, parts: Sequence[np.ndarray], axes: tuple[int, ...] = (0,)) -> "Scale":
        """Take the statistics of all parts together, over the given axes."""
        count = sum(np.prod([part.shape[axis] for axis in axes]) for part in parts)
        mean = sum(part.sum(axis=axes, dtype=np.float64) for part in parts) / count
        square = sum(np.square(p - mean, dtype=np.float64).sum(axis=axes) for p in parts) / count
        spread = np.sqrt(square)
        constant = spread <= 1e-6 * np.abs(mean)
        return cls(mean, np.where(constant, 0.0, 1.0 / np.where(constant, 1.0, spread)))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return the standardised values as float32."""
        return ((values - self.mean) * self.inverse).astype(np.float32)
