"""Analogue: the fine field of the training day whose coarse field is the most alike."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from graphdown.baselines.base import Baseline
from graphdown.baselines.paired_times import Pair
from graphdown.baselines.principal_components import PrincipalComponents

SHARE = 0.95
MOST_COMPONENTS = 100
DAYS_AT_ONCE = 512


class Analogue(Baseline):
    """The target's fields of the training day with the nearest coarse field.

    Distances are Euclidean ones of all standardised predictors, in the space of the principal
    components that explain 95 % of their variance (Zorita and von Storch 1999,
    doi:10.1175/1520-0442(1999)012<2474:TAMAAS>2.0.CO;2). All variables are of one day, so they fit
    each other, and so does the field in space; days follow each other as far as the analogues do,
    and nothing beyond the training days can occur. The training days to choose from are those that
    lack the fewest values of the target.
    """

    name = "analogue"
    source_bound = True
    by_day = True

    def _learn(
        self, pairs: Sequence[Pair], statics: xr.Dataset | None, validation: Sequence[Pair]
    ) -> None:
        ((coarse, fine),) = pairs
        self._components = PrincipalComponents(coarse, self.target.grid, SHARE, MOST_COMPONENTS)
        places = self._places(coarse)
        fields = {name: self.target.values(fine, name) for name in self.target.attrs}
        present = sum(np.isfinite(values).sum(axis=1) for values in fields.values())
        usable = np.isfinite(places).all(axis=1)
        usable &= present == np.max(np.where(usable, present, -1))
        self._known = places[usable]
        self._fields = {name: values[usable] for name, values in fields.items()}

    def _places(self, coarse: xr.Dataset) -> np.ndarray:
        """Days in the space of the components, whose variances they have [T, K]."""
        components = self._components
        return np.asarray(components(coarse) * np.sqrt(components.variance))

    def _downscale(self, coarse: xr.Dataset) -> dict[str, np.ndarray]:
        places = self._places(coarse)
        nearest = nearest_days(np.nan_to_num(places), self._known)
        missing = ~np.isfinite(places).all(axis=1)
        return {
            name: np.where(missing[:, None], np.nan, values[nearest])
            for name, values in self._fields.items()
        }


def nearest_days(places: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the index of the known place [D, K] that is nearest to each place [T, K]."""
    squares = (known**2).sum(axis=1)
    parts = [
        np.argmin(squares - 2.0 * places[start : start + DAYS_AT_ONCE] @ known.T, axis=1)
        for start in range(0, len(places), DAYS_AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.intp)
