"""Least squares of many predictands, each with an unpenalised predictor of its own beside others.

By the partitioned normal equations (Frisch and Waugh 1933, Econometrica 1), the factor of the
further predictor is the regression of the predictand's residual from the penalised fit on the
predictor's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from graphdown.statistics.least_squares import NO_SQUARE, Design, Fit

Coefficients = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class DaysToPredict:
    """Days to predict.

    Attributes:
        table: penalised predictors [T, P].
        further: the unpenalised predictor of each predictand [T, N].
    """

    table: np.ndarray
    further: np.ndarray


@dataclass(frozen=True, eq=False)
class PartitionedSums:
    """A fit from sums over the days, for days that are more than the predictors.

    Attributes:
        square: X'X of the penalised predictors' anomalies [P, P].
        further: X'Z with those of the further predictors [P, N].
        predictands: X'Y with those of the predictands [P, N].
        further_square, product: diagonals of Z'Z and of Z'Y [N].
        means: of X [P], Z [N] and Y [N].
    """

    square: np.ndarray
    further: np.ndarray
    predictands: np.ndarray
    further_square: np.ndarray
    product: np.ndarray
    means: Coefficients

    def solve(self, penalty: float, columns: slice = slice(None)) -> Coefficients:
        """Coefficients [P, N], factors [N] and constants [N] for a positive penalty.

        Args:
            penalty: of the squared coefficients.
            columns: which of the predictands.
        """
        y, z = self.predictands[:, columns], self.further[:, columns]
        square = self.square.copy()
        square[np.diag_indices_from(square)] += penalty
        solved = cho_solve(cho_factor(square, overwrite_a=True), np.concatenate([y, z], axis=1))
        of_y, of_z = np.split(solved, 2, axis=1)
        whole = self.further_square[columns]
        left, both = whole - (z * of_z).sum(axis=0), self.product[columns] - (y * of_z).sum(axis=0)
        factors = _factors(both, left, whole)
        slopes = of_y - factors * of_z
        x, further, predictands = self.means
        return slopes, factors, predictands[columns] - x @ slopes - further[columns] * factors

    def predict(self, days: DaysToPredict, penalties: Sequence[float]) -> Iterator[np.ndarray]:
        """Yield predictions [T, N] for each penalty."""
        for penalty in penalties:
            slopes, factors, constants = self.solve(penalty)
            yield days.table @ slopes + days.further * factors + constants


@dataclass(frozen=True, eq=False)
class PartitionedDays:
    """A fit from the days themselves, for days that are fewer than the predictors.

    Attributes:
        table: penalised predictors X [T, P].
        further: the unpenalised predictor of each predictand [T, N].
        predictands: [T, N], without missing values.
    """

    table: np.ndarray
    further: np.ndarray
    predictands: np.ndarray

    def solve(self, penalty: float, columns: slice = slice(None)) -> Coefficients:
        """Coefficients, factors and constants; see `PartitionedSums.solve`."""
        values = self.table, self.predictands[:, columns], self.further[:, columns]
        means = [part.mean(axis=0) for part in values]
        x, y, z = (part - mean for part, mean in zip(values, means, strict=True))
        square = x @ x.T
        square[np.diag_indices_from(square)] += penalty
        factor = cho_factor(square, overwrite_a=True)
        of_y, of_z = np.split(x.T @ cho_solve(factor, np.concatenate([y, z], axis=1)), 2, axis=1)
        unexplained = z - x @ of_z
        left, both = (z * unexplained).sum(axis=0), (y * unexplained).sum(axis=0)
        factors = _factors(both, left, (z * z).sum(axis=0))
        slopes = of_y - factors * of_z
        return slopes, factors, means[1] - means[0] @ slopes - means[2] * factors

    def predict(self, days: DaysToPredict, penalties: Sequence[float]) -> Iterator[np.ndarray]:
        """Yield predictions [T, N] for each penalty."""
        design = Design.of(self.table)
        of_predictand, of_further = design.fit(self.predictands), design.fit(self.further)
        rotated = design.rotate(days.table)
        for penalty in penalties:
            left = days.further - of_further.predict(rotated, penalty)
            factors = self._factors(of_predictand, of_further, penalty)
            yield of_predictand.predict(rotated, penalty) + factors * left

    def _factors(self, of_predictand: Fit, of_further: Fit, penalty: float) -> np.ndarray:
        y, z = (part - part.mean(axis=0) for part in (self.predictands, self.further))
        square, shrunk = (z * z).sum(axis=0), of_further.shrunk(penalty)
        left = square - (of_further.projection * shrunk).sum(axis=0)
        both = (z * y).sum(axis=0) - (of_predictand.projection * shrunk).sum(axis=0)
        return _factors(both, left, square)


def _factors(both: np.ndarray, left: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Factors of further predictors; 0 for one that carries no information.

    Args:
        both: product of what the penalised fit leaves of the predictand and of the predictor [N].
        left: square of what it leaves of the predictor [N].
        whole: square of the predictor [N].
    """
    return np.divide(both, left, out=np.zeros_like(both), where=left > NO_SQUARE * whole)
