"""Mean and standard deviation over time, cell by cell."""

import numpy as np


def moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation [N] of the present values [T, N], NaN without any."""
    count = np.isfinite(values).sum(axis=0)
    safe = np.maximum(count, 1)
    mean = np.nansum(values, axis=0, dtype=np.float64) / safe
    spread = np.sqrt(np.nansum(np.square(values - mean), axis=0, dtype=np.float64) / safe)
    return np.where(count, mean, np.nan), np.where(count, spread, np.nan)
