"""Errors of each day, summed over the target: all that expected errors are fitted to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class DayErrors:
    """Sums over the target, weighted by area where there is a truth, by time and T targets.

    Attributes:
        squares: of squared errors [time, T].
        sums: of errors [time, T].
        weight: of the points with a truth [time, T].
    """

    squares: np.ndarray
    sums: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, errors: np.ndarray, area: np.ndarray) -> "DayErrors":
        """Sums of errors.

        Args:
            errors: prediction minus truth [time, N, T]; NaN where there is no truth.
            area: of the points [N].
        """
        there = np.isfinite(errors)
        filled = np.where(there, errors, 0.0).astype(np.float64)
        return cls(
            squares=np.einsum("tnv,n->tv", filled**2, area),
            sums=np.einsum("tnv,n->tv", filled, area),
            weight=np.einsum("tnv,n->tv", there.astype(np.float64), area),
        )

    def by_step(self, steps: int) -> "DayErrors":
        """Sums over the times of each of so many steps, which have equally many."""
        return DayErrors(
            **{n: v.reshape(steps, -1, v.shape[-1]).sum(axis=1) for n, v in vars(self).items()}
        )

    def rmse(self, rows: np.ndarray) -> np.ndarray:
        """Root mean squared error [T] of some times; 0 without a truth."""
        return np.sqrt(self.squares[rows].sum(axis=0) / self._weight(rows))

    def bias(self, rows: np.ndarray) -> np.ndarray:
        """Mean error [T] of some times; 0 without a truth."""
        return self.sums[rows].sum(axis=0) / self._weight(rows)

    def _weight(self, rows: np.ndarray) -> np.ndarray:
        return np.maximum(self.weight[rows].sum(axis=0), 1e-30)


def joined_days(parts: Sequence[DayErrors]) -> DayErrors:
    """Errors of several stretches of days, one after the other."""
    return DayErrors(
        **{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])}
    )
