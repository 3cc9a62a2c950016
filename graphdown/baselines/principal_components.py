"""Principal components of a coarse field with all its variables."""

import numpy as np
import xarray as xr

from graphdown.baselines.predictors import Predictors
from meshes import Grid


class PrincipalComponents:
    """Leading principal components of standardised coarse fields, of unit variance each.

    Args:
        coarse: canonical daily fields of the fitted days.
        target: the grid to predict; points far from it are left out, see `Predictors`.
        share: of the variance that the components explain.
        most: number of components at most.

    Raises:
        ValueError: as for `Predictors`.
    """

    def __init__(self, coarse: xr.Dataset, target: Grid, share: float, most: int) -> None:
        self._predictors = Predictors(coarse, logarithm=True, target=target)
        table = self._predictors.table(coarse)
        complete = table[np.isfinite(table).all(axis=1)]
        _, singular, rows = np.linalg.svd(complete, full_matrices=False)
        explained = np.cumsum(singular**2) / (singular**2).sum()
        count = min(most, int(np.searchsorted(explained, share)) + 1, len(singular))
        self.variance = singular[:count] ** 2 / len(complete)
        self._vectors = rows[:count].T / np.sqrt(np.maximum(self.variance, 1e-12))

    def __call__(self, coarse: xr.Dataset) -> np.ndarray:
        """Return the components [T, K], NaN on days on which a predictor is missing.

        Raises:
            ValueError: a variable of the fit is missing.
        """
        return np.asarray(self._predictors.table(coarse) @ self._vectors)
