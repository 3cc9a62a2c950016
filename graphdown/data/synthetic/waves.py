"""Random fields as sums of plane waves, drifting with a mean wind and slowly renewed."""

import numpy as np

PERIOD_KM = 4000.0
WAVES = 16
# Spread of the wavelengths around a scale, in natural logarithms.
WIDTH = 0.2
# Days after which a wave of 2000 km has decayed to 1/e; shorter waves have shorter lifetimes.
LIFETIME_DAYS, LIFETIME_POWER = 5.0, 0.7


class Waves:
    """The plane waves of a region, and their sums on its points.

    Attributes:
        kx, ky: wave numbers in radian per m, [1, X] and [Y, 1].
        number: total wave number in radian per m [Y, X].
        memory: share of a wave that is left after one day [Y, X].
    """

    def __init__(self, x_km: np.ndarray, y_km: np.ndarray):
        step = 2 * np.pi / (PERIOD_KM * 1e3)
        self.kx = step * np.arange(WAVES + 1)[None, :]
        self.ky = step * np.arange(-WAVES, WAVES + 1)[:, None]
        self._along_x = np.exp(1j * np.outer(self.kx[0], x_km * 1e3)).astype(np.complex64)
        self._along_y = np.exp(1j * np.outer(self.ky[:, 0], y_km * 1e3)).astype(np.complex64)
        self.number = np.hypot(self.kx, self.ky)
        self.number[WAVES, 0] = step / 2
        wavelength = 2e-3 * np.pi / self.number
        lifetime = LIFETIME_DAYS * (wavelength / 2000.0) ** LIFETIME_POWER
        self.memory = np.exp(-1.0 / lifetime)

    def spectrum(self, scales: tuple[tuple[float, float], ...]) -> np.ndarray:
        """Amplitudes [Y, X] that turn random coefficients into a field of these scales.

        Args:
            scales: pairs of wavelength in km and variance.
        """
        wavelength = 2e-3 * np.pi / self.number
        total = np.zeros_like(wavelength)
        for scale, variance in scales:
            ring = np.exp(-0.5 * (np.log(wavelength / scale) / WIDTH) ** 2) / self.number
            total += variance * ring / ring.sum()
        return np.sqrt(total).astype(np.float32)

    def draw(self, rng: np.random.Generator, *shape: int) -> np.ndarray:
        """Random coefficients [*shape, Y, X], complex64, of variance 1 in either part."""
        parts = rng.standard_normal((*shape, 2 * WAVES + 1, WAVES + 1, 2), dtype=np.float32)
        return parts[..., 0] + 1j * parts[..., 1]

    def field(self, coefficients: np.ndarray) -> np.ndarray:
        """Real sums [T, ny, nx], float32, of waves with coefficients [T, Y, X]."""
        along = np.swapaxes(coefficients.astype(np.complex64), 1, 2) @ self._along_y
        parts = np.concatenate([along.real, -along.imag], axis=1)
        basis = np.concatenate([self._along_x.real, self._along_x.imag], axis=0)
        return np.swapaxes(parts, 1, 2) @ basis
