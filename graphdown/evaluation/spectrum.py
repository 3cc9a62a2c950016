"""Power spectrum of fields on their native 2-D grid, and the log-spectral distance of two."""

import numpy as np

from graphdown.evaluation.reduce import divide

CHUNK_DAYS = 64


def wavelengths(shape: tuple[int, ...], spacing_km: float) -> np.ndarray:
    """Return the wavelengths [K] in km of the rings of a field [ny, nx], see `total_power`."""
    n = min(shape)
    return 2.0 * spacing_km * n / np.arange(1, n)


def total_power(fields: np.ndarray) -> np.ndarray:
    """Return the radially averaged power of the complete days, summed, and their number [K + 1].

    The field is transformed by the two-dimensional discrete cosine transform, which needs no
    window on a limited area (Denis et al. 2002, Mon. Wea. Rev. 130, 1812-1829).
    Ring k = 1..K, K = n - 1 with n the shorter side, holds the modes (i, j) whose
    a = sqrt((i / ny)^2 + (j / nx)^2) lies in [k / n, (k + 1) / n); its wavelength is
    2 spacing n / k. Days with a missing value are left out.

    Args:
        fields: [T, ny, nx] in the variable's units; the power has their square.
    """
    from scipy.fft import dctn

    ny, nx = fields.shape[1:]
    n = min(ny, nx)
    complete = np.flatnonzero(np.isfinite(fields).all(axis=(1, 2)))
    power = np.zeros((ny, nx))
    for start in range(0, len(complete), CHUNK_DAYS):
        days = fields[complete[start : start + CHUNK_DAYS]].astype(np.float64)
        power += np.square(dctn(days, axes=(1, 2), norm="ortho")).sum(axis=0)
    radius = np.hypot(np.arange(ny)[:, None] / ny, np.arange(nx) / nx)
    ring = np.floor(radius * n + 1e-9).astype(np.intp).ravel()
    modes = np.bincount(ring, minlength=n)[1:n]
    rings = np.bincount(ring, power.ravel(), minlength=n)[1:n] / (modes * ny * nx)
    return np.append(rings, len(complete))


def mean_power(totals: np.ndarray) -> np.ndarray:
    """Return the time mean power [..., K] of totals [..., K + 1], NaN if no day is complete."""
    return divide(totals[..., :-1], totals[..., -1:])


def power_spectrum(fields: np.ndarray, spacing_km: float) -> tuple[np.ndarray, np.ndarray]:
    """Return wavelengths [K] in km and the radially averaged, time mean power [K].

    Args:
        fields: as for `total_power`.
        spacing_km: distance of neighbouring points.
    """
    return wavelengths(fields.shape[1:], spacing_km), mean_power(total_power(fields))


def ralsd(power_prediction: np.ndarray, power_truth: np.ndarray) -> float:
    """Return the root of the mean over wavelengths of (10 log10(P_y / P_x))^2, in dB.

    Some published tables leave out the root. A wavelength without power in either is left out.
    """
    usable = (power_prediction > 0) & (power_truth > 0)
    if not usable.any():
        return float("nan")
    decibel = 10.0 * np.log10(power_prediction[usable] / power_truth[usable])
    return float(np.sqrt(np.mean(np.square(decibel))))
