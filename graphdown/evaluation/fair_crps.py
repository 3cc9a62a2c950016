"""Fair continuous ranked probability score per cell."""

import numpy as np

from graphdown.evaluation.reduce import time_mean

CHUNK_DAYS = 64


def crps_map(members: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the time mean per cell [N] of the fair CRPS of members [M, T, N].

    mean_i |x_i - y| - sum_ij |x_i - x_j| / (2 M (M - 1)) (Ferro 2014, doi:10.1002/qj.2270).
    """
    count, days = members.shape[:2]
    daily = np.empty(truth.shape)
    for start in range(0, days, CHUNK_DAYS):
        some = members[:, start : start + CHUNK_DAYS]
        error = np.abs(some - truth[start : start + CHUNK_DAYS]).sum(axis=0, dtype=np.float64)
        apart = sum(
            np.abs(some[:i] - some[i]).sum(axis=0, dtype=np.float64) for i in range(1, count)
        )
        daily[start : start + CHUNK_DAYS] = (error - apart / (count - 1)) / count
    return time_mean(daily)
