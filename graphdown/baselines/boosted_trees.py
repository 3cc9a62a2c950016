"""Gradient-boosted trees on local predictors, by scikit-learn."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from graphdown.baselines.base import Baseline
from graphdown.baselines.local_predictors import LocalPredictors
from graphdown.baselines.paired_times import Pair
from graphdown.variables.forcings import forcings

MOST_ROWS = 1_000_000  # days times cells that trees are grown on
TREES, LEAVES, RATE = 300, 63, 0.08
DAYS_AT_ONCE = 64


class BoostedTrees(Baseline):
    """One ensemble of gradient-boosted trees for all cells, on what is known at a cell.

    Predictors are all coarse variables interpolated to the cell, its height where that is known,
    its longitude and latitude, and the season. The trees are scikit-learn's
    HistGradientBoostingRegressor (after Ke et al. 2017, LightGBM) with a squared error, stopped
    early on a tenth of the drawn rows. Days and cells are drawn at random if there are more than
    a million. Cells that never have a value stay missing, and so do those that lack a predictor.

    Args:
        seed: of the draws.
        trees: at most.
    """

    name = "boosted trees"

    def __init__(self, seed: int = 0, trees: int = TREES) -> None:
        super().__init__()
        self._seed, self._count = seed, trees

    def _learn(
        self, pairs: Sequence[Pair], statics: xr.Dataset | None, validation: Sequence[Pair]
    ) -> None:
        grid = self.target.grid
        self._local = LocalPredictors(pairs[0][0], grid)
        places = [grid.lon, grid.lat]
        if statics is not None and "orog" in statics:
            places.append(grid.values(statics["orog"]))
        self._places = np.stack(places, axis=1).astype(np.float32)
        self._present = {
            name: np.any([self._has_values(fine, name) for _, fine in pairs], axis=0)
            for name in self.target.attrs
        }
        self._trees = {
            name: self._grown(name, pairs, MOST_ROWS // len(pairs)) for name in self.target.attrs
        }

    def _has_values(self, fine: xr.Dataset, name: str) -> np.ndarray:
        return np.isfinite(self.target.values(fine, name)).any(axis=0)

    def _grown(self, name: str, pairs: Sequence[Pair], most: int) -> Any:
        regressor = _regressor(self._seed, self._count)
        rows, truths = [], []
        for number, (coarse, fine) in enumerate(pairs):
            truth = self.target.values(fine, name)
            time, cell = np.nonzero(np.isfinite(truth))
            if not len(time):
                continue
            rng = np.random.default_rng([self._seed, number])
            some = rng.choice(len(time), min(most, len(time)), replace=False)
            time, cell = time[some], cell[some]
            rows.append(self._rows(coarse, time, cell))
            truths.append(truth[time, cell])
        if not rows:
            raise ValueError(f"{name!r} has no value on the days of training.")
        return regressor.fit(np.concatenate(rows), np.concatenate(truths))

    def _rows(self, coarse: xr.Dataset, time: np.ndarray, cell: np.ndarray) -> np.ndarray:
        """Predictors [n, P] of some days and cells."""
        local, season = self._local(coarse), forcings(coarse["time"])
        return np.concatenate([local[time, cell], self._places[cell], season[time]], axis=1)

    def _downscale(self, coarse: xr.Dataset) -> dict[str, np.ndarray]:
        days, cells = coarse.sizes["time"], self.target.grid.size
        made = {name: np.empty((days, cells), np.float32) for name in self._trees}
        for start in range(0, days, DAYS_AT_ONCE):
            part = coarse.isel(time=slice(start, start + DAYS_AT_ONCE))
            time, cell = (axis.ravel() for axis in np.indices((part.sizes["time"], cells)))
            rows = self._rows(part, time, cell)
            known = np.isfinite(rows[:, : len(self._local.names)]).all(axis=1).reshape(-1, cells)
            for name, trees in self._trees.items():
                values = trees.predict(rows).reshape(-1, cells)
                values = np.where(known & self._present[name], values, np.nan)
                made[name][start : start + DAYS_AT_ONCE] = values
        return made


def _regressor(seed: int, trees: int) -> Any:
    """Unfitted trees.

    Raises:
        ValueError: scikit-learn is not installed.
    """
    try:
        from sklearn.ensemble import HistGradientBoostingRegressor
    except ImportError:
        raise ValueError(
            "The baseline 'boosted trees' needs scikit-learn, which is not installed; install it "
            "by: pip install 'graphdown[trees]'"
        ) from None
    return HistGradientBoostingRegressor(
        max_iter=trees,
        max_leaf_nodes=LEAVES,
        learning_rate=RATE,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=10,
        random_state=seed,
    )
