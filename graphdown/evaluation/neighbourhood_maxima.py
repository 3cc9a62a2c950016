"""CRPS of maxima over neighbourhoods: whether extremes are right where their place may be off."""

import numpy as np

from graphdown.evaluation.fair_crps import crps_map
from graphdown.evaluation.paired import on_all_cells
from meshes.grids.grid import Grid

WINDOW = 5


def maxima(fields: np.ndarray, window: int = WINDOW) -> np.ndarray:
    """Return the maxima [..., ny - w + 1, nx - w + 1] of fields over squares within them.

    Args:
        fields: [..., ny, nx]; a square with a missing value is missing.
        window: side w of the squares in cells.
    """
    from scipy.ndimage import maximum_filter1d

    missing = np.isnan(fields)
    largest = np.where(missing, np.inf, fields)
    for axis in (-2, -1):
        largest = maximum_filter1d(largest, window, axis=axis, mode="nearest")
    half = window // 2
    rows, columns = (
        slice(half, size - (window - 1 - half)) for size in (fields.shape[-2], fields.shape[-1])
    )
    cut = largest[..., rows, columns]
    return np.where(np.isinf(cut), np.nan, cut)


def crps_of_maxima(
    members: np.ndarray, truth: np.ndarray, grid: Grid, window: int = WINDOW
) -> float:
    """Return the mean over days and squares of the fair CRPS of maxima.

    Rain that falls a few cells beside its place costs little, and too weak an extreme costs as much
    as at a cell.

    Args:
        members: [M, T, N].
        truth: [T, N], with the same values missing.
        grid: whose used cells the N cells are; NaN unless it has two dimensions of the window.
        window: side of the squares in cells.
    """
    if len(grid.shape) != 2 or window > min(grid.shape):
        return float("nan")
    days = len(truth)
    highest, true = (
        maxima(on_all_cells(v, grid).reshape(*v.shape[:-1], *grid.shape), window)
        for v in (members, truth)
    )
    per_square = crps_map(highest.reshape(len(members), days, -1), true.reshape(days, -1))
    weight = np.isfinite(true).reshape(days, -1).sum(axis=0)
    there = weight > 0
    return float(np.average(per_square[there], weights=weight[there])) if there.any() else np.nan
