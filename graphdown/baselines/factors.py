"""Factors of a table of predictors: its principal components, found by blocks."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import eigh

from graphdown.baselines.training_table import TrainingTable
from graphdown.runtime.scratch import Scratch
from graphdown.statistics.least_squares import NO_SQUARE

MOST_FACTORS = 2048
IN_MEMORY_BYTES = 32 * 2**20


@dataclass(frozen=True, eq=False)
class Factors:
    """Singular value decomposition U S V' of a table of predictors, its column means taken off.

    It has as many factors as the table has days or columns, at most MOST_FACTORS, the largest.

    Attributes:
        mean: column means [P].
        basis: V' [K, P], 0 where s is 0, as an array that is read by columns.
        left: U S [T, K].
        squares: s^2 [K].
    """

    mean: np.ndarray
    basis: Any
    left: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, table: TrainingTable, days: np.ndarray, scratch: Scratch | None) -> "Factors":
        """Decompose the rows of some days, by their numbers, on which nothing is missing.

        The smaller of X'X and XX' is decomposed. A large basis lies in the scratch file as float32.
        """
        total = sum(part.sum(axis=0) for part in table.by_days(days))
        mean = np.asarray(total) / len(days)
        if table.columns <= len(days):
            square = sum(part.T @ part for part in _centred(table, days, mean))
            squares, vectors = _largest(np.asarray(square))
            left = np.concatenate([part @ vectors for part in _centred(table, days, mean)])
            return cls(mean, np.ascontiguousarray(vectors.T), left, np.maximum(squares, 0.0))
        product = np.zeros((len(days), len(days)))
        for columns, part in table.by_columns(days):
            part -= mean[columns]
            product += part @ part.T
        squares, vectors = _largest(product)
        squares = np.where(squares > NO_SQUARE * squares.max(), squares, 0.0)
        values = np.sqrt(squares)
        inverse = np.divide(1.0, values, out=np.zeros_like(values), where=values > 0)
        shape = (len(values), table.columns)
        basis: Any = np.empty(shape)
        if scratch is not None and 4 * math.prod(shape) > IN_MEMORY_BYTES:
            basis = scratch.array(shape, table.columns_at_once)
        for columns, part in table.by_columns(days):
            basis[:, columns] = (vectors * inverse).T @ (part - mean[columns])
        return cls(mean, basis, vectors * values, squares)

    def rotate(self, table: np.ndarray) -> np.ndarray:
        """Predictors [T, P] in the basis: [T, K]."""
        band = getattr(self.basis, "band", len(self.mean))
        rotated = np.zeros((len(table), len(self.squares)))
        for start in range(0, len(self.mean), band):
            columns = slice(start, start + band)
            rotated += (table[:, columns] - self.mean[columns]) @ self.basis[:, columns].T
        return rotated

    def projected(self, predictands: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean [N] of predictands [T, N] without missing values, and their projection [K, N]."""
        mean = predictands.mean(axis=0, dtype=np.float64)
        return mean, self.left.T @ (predictands - mean)

    def shrunk(self, projection: np.ndarray, penalty: float) -> np.ndarray:
        """Coefficients [K, N] in the basis of a ridge regression with a positive penalty."""
        return projection / (self.squares + penalty)[:, None]

    def slopes(self, coefficients: np.ndarray) -> np.ndarray:
        """Coefficients [P, N] of the predictors."""
        return np.asarray(self.basis[:, :].T @ coefficients)


def _centred(table: TrainingTable, days: np.ndarray, mean: np.ndarray) -> Iterator[np.ndarray]:
    return (part - mean for part in table.by_days(days))


def _largest(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest eigenvalues of a symmetric matrix and their vectors; the matrix is lost."""
    size = len(matrix)
    subset = None if size <= MOST_FACTORS else [size - MOST_FACTORS, size - 1]
    squares, vectors = eigh(matrix, subset_by_index=subset, overwrite_a=True)
    return squares, vectors
