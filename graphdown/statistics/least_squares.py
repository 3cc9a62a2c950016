"""Penalised least squares for many penalties and many predictands at once."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

NO_SQUARE = 1e-13  # of the largest: below is rounding


def without_gaps(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values [T, ...] in float64 with the mean in place of missing ones, and the mean.

    Where all days are missing the mean is 0.
    """
    present = np.isfinite(values)
    total = np.where(present, values, 0.0).sum(axis=0, dtype=np.float64)
    mean = total / np.maximum(present.sum(axis=0), 1)
    return np.where(present, values, mean), mean


def warm_and_cold(spread: np.ndarray, days: int) -> np.ndarray:
    """Pair of anomalies [2, ...] that changes the moments of days as a warming would.

    Args:
        spread: standard deviation of the warming in each variable [...].
        days: number of days that the pair is added to.
    """
    step = spread * np.sqrt(days / 2.0)
    return np.stack([step, -step])


@dataclass(frozen=True, eq=False)
class Design:
    """Eigendecomposition of a predictor table, shared by all predictands and penalties.

    With the centred table X = U S V' the ridge coefficients for the predictand y and the penalty
    k are V diag(1 / (s^2 + k)) (XV)' y (Hoerl and Kennard 1970, Technometrics 12). The smaller of
    X'X and XX' is decomposed.

    Attributes:
        mean: column means [P].
        basis: V [P, K]; 0 where s is 0.
        left: XV [T, K].
        squares: eigenvalues s^2 [K], not negative.
    """

    mean: np.ndarray
    basis: np.ndarray
    left: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, table: np.ndarray) -> "Design":
        """Decompose a predictor table [T, P] without missing values."""
        mean = table.mean(axis=0)
        centred = table - mean
        days, columns = centred.shape
        if columns <= days:
            squares, basis = eigh(centred.T @ centred)
            return cls(mean, basis, centred @ basis, np.maximum(squares, 0.0))
        squares, vectors = eigh(centred @ centred.T)
        squares = np.where(squares > NO_SQUARE * squares.max(), squares, 0.0)
        values = np.sqrt(squares)
        inverse = np.divide(1.0, values, out=np.zeros_like(values), where=values > 0)
        return cls(mean, centred.T @ vectors * inverse, vectors * values, squares)

    def rotate(self, table: np.ndarray) -> np.ndarray:
        """Predictor table [T, P] in the design's basis: [T, K]."""
        return (table - self.mean) @ self.basis

    def fit(self, predictands: np.ndarray) -> "Fit":
        """Project predictands [T, N] without missing values; the penalty is chosen later."""
        mean = predictands.mean(axis=0, dtype=np.float64)
        return Fit(self, mean, self.left.T @ (predictands - mean))


@dataclass(frozen=True, eq=False)
class Fit:
    """Predictands projected on a design.

    Attributes:
        design: the predictors' decomposition.
        mean: means of the predictands [N].
        projection: [K, N].
    """

    design: Design
    mean: np.ndarray
    projection: np.ndarray

    def coefficients(self, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients [P, N] and constants [N] for a positive penalty."""
        coefficients = self.design.basis @ self.shrunk(penalty)
        return coefficients, self.mean - self.design.mean @ coefficients

    def predict(self, rotated: np.ndarray, penalty: float) -> np.ndarray:
        """Predictions [T, N] from a table in the design's basis (see `Design.rotate`)."""
        return self.mean + rotated @ self.shrunk(penalty)

    def shrunk(self, penalty: float) -> np.ndarray:
        """Coefficients [K, N] in the design's basis."""
        return self.projection / (self.design.squares + penalty)[:, None]
