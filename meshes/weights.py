"""Sparse weights that carry values from one set of points to another."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array, csr_array


@dataclass(frozen=True, eq=False)
class SparseWeights:
    """A sparse matrix [n_target, n_source], sorted by row, then column, without repetitions.

    Attributes:
        rows: target index of each entry, int32 [E].
        cols: source index of each entry, int32 [E].
        values: weight of each entry, float64 [E].
        shape: (n_target, n_source).
    """

    rows: np.ndarray
    cols: np.ndarray
    values: np.ndarray
    shape: tuple[int, int]

    @classmethod
    def collect(
        cls, rows: np.ndarray, cols: np.ndarray, values: np.ndarray, shape: tuple[int, int]
    ) -> "SparseWeights":
        """Sum repeated entries, drop zeros and sort."""
        matrix = coo_array((values, (rows, cols)), shape=shape).tocsr()
        matrix.eliminate_zeros()
        entries = matrix.tocoo()
        row, col = entries.coords
        return cls(row.astype(np.int32), col.astype(np.int32), entries.data, shape)

    def matrix(self) -> csr_array:
        """Return the weights as a scipy matrix [n_target, n_source]; treat it as read-only."""
        return self._matrix

    @cached_property
    def _matrix(self) -> csr_array:
        return coo_array((self.values, (self.rows, self.cols)), shape=self.shape).tocsr()

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Carry values [..., n_source] over: [..., n_target].

        A floating dtype is kept. Targets without any weight are NaN, and so are targets with a
        weight on a NaN.

        Raises:
            ValueError: the last axis does not have n_source entries.
        """
        values = np.asarray(values)
        if values.ndim == 0 or values.shape[-1] != self.shape[1]:
            raise ValueError(
                f"The weights expect {self.shape[1]} source points on the last axis, "
                f"but the values have shape {values.shape}."
            )
        dtype = values.dtype if np.issubdtype(values.dtype, np.floating) else np.dtype(np.float64)
        matrix = self.matrix().astype(dtype)
        flat = values.reshape(-1, self.shape[1]).astype(dtype, copy=False)
        result = np.asarray((matrix @ flat.T).T)
        result[:, np.diff(matrix.indptr) == 0] = np.nan
        return result.reshape(*values.shape[:-1], self.shape[0])
