"""Penalised least squares for many penalties and many predictands at once."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh

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

    def fit_partitioned(self, predictands: np.ndarray, further: np.ndarray) -> "PartitionedFit":
        """Project predictands [T, N] and a further predictor of each of them [T, N]."""
        y, z = (values - values.mean(axis=0) for values in (predictands, further))
        square, product = (z * z).sum(axis=0), (z * y).sum(axis=0)
        return PartitionedFit(self.fit(predictands), self.fit(further), square, product)


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


@dataclass(frozen=True, eq=False)
class PartitionedFit:
    """Predictands fitted by the penalised design and by one unpenalised further predictor each.

    By the partitioned normal equations (Frisch and Waugh 1933, Econometrica 1), the factor of the
    further predictor is the regression of the predictand's residual from the penalised fit on the
    predictor's.

    Attributes:
        of_predictand, of_further: their projections on the design.
        square, product: sums over the days [N] of the further predictor's square, and of its
            product with the predictand, both without their means.
    """

    of_predictand: Fit
    of_further: Fit
    square: np.ndarray
    product: np.ndarray

    def factors(self, penalty: float) -> np.ndarray:
        """Factors [N] of the further predictors; 0 for one that carries no information."""
        y, z = self.of_predictand.projection, self.of_further.shrunk(penalty)
        left = self.square - (self.of_further.projection * z).sum(axis=0)
        both = self.product - (y * z).sum(axis=0)
        informative = left > NO_SQUARE * self.square
        return np.divide(both, left, out=np.zeros_like(both), where=informative)

    def coefficients(self, penalty: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Coefficients [P, N], the factors [N] and the constants [N]."""
        factors = self.factors(penalty)
        slopes, constants = self.of_predictand.coefficients(penalty)
        further_slopes, further_constants = self.of_further.coefficients(penalty)
        return slopes - factors * further_slopes, factors, constants - factors * further_constants

    def predict(self, rotated: np.ndarray, further: np.ndarray, penalty: float) -> np.ndarray:
        """Predictions [T, N] from a table in the design's basis and the further predictors."""
        left = further - self.of_further.predict(rotated, penalty)
        return self.of_predictand.predict(rotated, penalty) + self.factors(penalty) * left


def solve_partitioned(
    table: np.ndarray, predictands: np.ndarray, further: np.ndarray, penalty: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients of a `PartitionedFit` for one penalty, without a decomposition.

    The normal equations of the smaller of X'X and XX' are solved by Cholesky factors.

    Args:
        table: penalised predictors X [T, P].
        predictands: [T, N], without missing values.
        further: the unpenalised predictor of each [T, N].
        penalty: positive.

    Returns:
        The coefficients [P, N], the factors [N] and the constants [N].
    """
    means = [values.mean(axis=0) for values in (table, predictands, further)]
    x, y, z = (values - m for values, m in zip((table, predictands, further), means, strict=True))
    both = np.concatenate([y, z], axis=1)
    days, columns = x.shape
    square = x.T @ x if columns <= days else x @ x.T
    square[np.diag_indices_from(square)] += penalty
    factor = cho_factor(square, overwrite_a=True)
    solved = cho_solve(factor, x.T @ both) if columns <= days else x.T @ cho_solve(factor, both)
    of_y, of_z = np.split(solved, 2, axis=1)
    unexplained = z - x @ of_z
    left, product = (z * unexplained).sum(axis=0), (y * unexplained).sum(axis=0)
    informative = left > NO_SQUARE * (z * z).sum(axis=0)
    factors = np.divide(product, left, out=np.zeros_like(left), where=informative)
    slopes = of_y - factors * of_z
    return slopes, factors, means[1] - means[0] @ slopes - means[2] * factors
