"""Distributions in time per cell: quantiles, Wasserstein-1 distance, Perkins skill score."""

import numpy as np

from graphdown.evaluation.paired import Pair
from graphdown.evaluation.quantiles import quantiles
from graphdown.evaluation.reduce import divide, time_mean

QQ_LEVELS = np.array(
    [0.001, 0.01, 0.02, 0.05, *np.arange(0.1, 0.91, 0.05).round(2), 0.95, 0.98, 0.99, 0.999]
)
PERKINS_BINS = 100


def wasserstein1_map(ordered_prediction: np.ndarray, ordered_truth: np.ndarray) -> np.ndarray:
    """Return the Wasserstein-1 distance per cell [N] of two samples of the same size.

    For equal sizes it is the mean distance between the ordered values [N, T].
    """
    return time_mean(np.abs(ordered_prediction - ordered_truth).T)


def perkins_map(prediction: np.ndarray, truth: np.ndarray, bins: int = PERKINS_BINS) -> np.ndarray:
    """Return the Perkins skill score per cell [N] of values [T, N]: sum_b min(p_y, p_x).

    The bins have equal width and span the values of both sides in that cell; 1 is perfect
    (Perkins et al. 2007, doi:10.1175/JCLI4253.1).
    """
    low = np.fmin(np.fmin.reduce(prediction), np.fmin.reduce(truth))
    high = np.fmax(np.fmax.reduce(prediction), np.fmax.reduce(truth))
    overlap = np.minimum(
        _histogram(prediction, low, high, bins), _histogram(truth, low, high, bins)
    )
    return divide(overlap.sum(axis=1), np.isfinite(truth).sum(axis=0))


def _histogram(values: np.ndarray, low: np.ndarray, high: np.ndarray, bins: int) -> np.ndarray:
    """Return counts [N, bins] of values [T, N] in equal bins from low to high [N]."""
    cells = values.shape[1]
    scale = np.nan_to_num(divide(np.full(cells, float(bins)), high - low))
    present = np.isfinite(values)
    position = (np.where(present, values, low) - low) * scale
    bin_number = np.where(present, np.minimum(np.nan_to_num(position), bins - 1), 0).astype(np.intp)
    flat = (bin_number + bins * np.arange(cells))[present]
    return np.bincount(flat, minlength=bins * cells).reshape(cells, bins)


def quantile_bias(pair: Pair, level: float) -> np.ndarray:
    """Return the error of a quantile in time per cell [N]."""
    sides = (pair.sorted_prediction, pair.sorted_truth)
    predicted, true = (quantiles(ordered, np.array([level]))[0] for ordered in sides)
    return predicted - true


def wasserstein1(pair: Pair) -> np.ndarray:
    """Return the Wasserstein-1 distance of the distributions in time per cell [N]."""
    return wasserstein1_map(pair.sorted_prediction, pair.sorted_truth)


def perkins(pair: Pair) -> np.ndarray:
    """Return the Perkins skill score per cell [N]."""
    return perkins_map(pair.prediction, pair.truth)
