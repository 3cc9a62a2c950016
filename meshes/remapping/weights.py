"""Sparse weights that map values from one set of points to another."""

from collections.abc import Sequence
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

    @classmethod
    def stacked(cls, parts: Sequence["SparseWeights"]) -> "SparseWeights":
        """Return weights from common sources to the targets of all parts, concatenated."""
        if len(parts) == 1:
            return parts[0]
        sizes = [part.shape[0] for part in parts]
        starts = np.cumsum([0, *sizes[:-1]])
        rows = [part.rows + np.int32(start) for part, start in zip(parts, starts, strict=True)]
        cols, values = ([getattr(part, n) for part in parts] for n in ("cols", "values"))
        shape = (sum(sizes), parts[0].shape[1])
        return cls(np.concatenate(rows), np.concatenate(cols), np.concatenate(values), shape)

    def split(self, count: int) -> tuple["SparseWeights", "SparseWeights"]:
        """Return the weights to the first `count` targets, and those to the others."""
        at = int(np.searchsorted(self.rows, count))
        n_target, n_source = self.shape
        rest = self.rows[at:] - np.int32(count)
        return (
            SparseWeights(self.rows[:at], self.cols[:at], self.values[:at], (count, n_source)),
            SparseWeights(rest, self.cols[at:], self.values[at:], (n_target - count, n_source)),
        )

    def of_rows(self, kept: np.ndarray) -> "SparseWeights":
        """Return the weights [K, n_source] of rows given by ascending indices [K]."""
        there = np.isin(self.rows, kept)
        rows = np.searchsorted(kept, self.rows[there]).astype(np.int32)
        return SparseWeights(rows, self.cols[there], self.values[there], (len(kept), self.shape[1]))

    def of_columns(self, kept: np.ndarray) -> "SparseWeights":
        """Return the weights [n_target, K] on columns given by ascending indices [K]."""
        there = np.isin(self.cols, kept)
        cols = np.searchsorted(kept, self.cols[there]).astype(np.int32)
        return SparseWeights(self.rows[there], cols, self.values[there], (self.shape[0], len(kept)))

    def matrix(self) -> csr_array:
        """Return the weights as a scipy matrix [n_target, n_source]; treat it as read-only."""
        return self._matrix

    @cached_property
    def _matrix(self) -> csr_array:
        return coo_array((self.values, (self.rows, self.cols)), shape=self.shape).tocsr()

    def apply(self, values: np.ndarray, min_valid: float | None = None) -> np.ndarray:
        """Map values [..., n_source] to [..., n_target].

        A floating dtype is kept. Targets without any weight are NaN, and so are targets with a
        weight on a NaN, unless min_valid is given.

        Args:
            values: array [..., n_source].
            min_valid: smallest share of a target's weight on values that are not NaN. Where it is
                reached, NaN values are left out and the other weights scaled to the same sum.

        Raises:
            ValueError: the last axis does not have n_source entries, or min_valid is not in
                [0, 1].
        """
        values = np.asarray(values)
        if values.ndim == 0 or values.shape[-1] != self.shape[1]:
            raise ValueError(
                f"The weights expect {self.shape[1]} source points on the last axis, "
                f"but the values have shape {values.shape}."
            )
        if min_valid is not None and not 0.0 <= min_valid <= 1.0:
            raise ValueError(f"min_valid must lie between 0 and 1, not be {min_valid}.")
        dtype = values.dtype if np.issubdtype(values.dtype, np.floating) else np.dtype(np.float64)
        matrix = self.matrix().astype(dtype)
        flat = values.reshape(-1, self.shape[1]).astype(dtype, copy=False)
        if min_valid is None:
            result = np.asarray((matrix @ flat.T).T)
        else:
            result = _apply_valid(matrix, flat, min_valid)
        result[:, np.diff(matrix.indptr) == 0] = np.nan
        return result.reshape(*values.shape[:-1], self.shape[0])


def _apply_valid(matrix: csr_array, flat: np.ndarray, min_valid: float) -> np.ndarray:
    valid = np.isfinite(flat)
    known = np.asarray((matrix @ np.where(valid, flat, 0.0).T).T)
    share = np.asarray((matrix @ valid.T.astype(matrix.dtype)).T)
    whole = np.asarray(matrix.sum(axis=1))
    # Sums of weights have rounding errors; a share of exactly min_valid is enough.
    enough = (share > 0) & (share >= (min_valid - 1e-6) * whole)
    scale = np.divide(whole, share, out=np.full_like(share, np.nan), where=enough)
    return known * scale
