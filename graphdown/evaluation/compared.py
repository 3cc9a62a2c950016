"""The values on which methods are compared: those that all of them and the truth have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from graphdown.evaluation.align import at_times, cell_values, paired_times
from graphdown.evaluation.paired import on_all_cells
from meshes.grids.grid import Grid


@dataclass(frozen=True, eq=False)
class Compared:
    """Predictions and truth on the times that all have.

    Attributes:
        truth: without the values that any prediction lacks.
        predictions: by method, at the same times.
        lacking: number of the truth's values that each method lacks, by variable. A method without
            any value of a variable is compared in the others alone.
    """

    truth: xr.Dataset
    predictions: dict[str, xr.Dataset]
    lacking: dict[str, dict[str, int]]

    @classmethod
    def of(cls, predictions: Mapping[str, xr.Dataset], truth: xr.Dataset) -> "Compared":
        """Find the values that all have.

        Args:
            predictions: on the truth's grid, by method.
            truth: values that are missing are NaN.

        Raises:
            ValueError: no time in common, or another grid.
        """
        places = {name: paired_times(ds, truth) for name, ds in predictions.items()}
        names = [str(n) for n, field in truth.data_vars.items() if "time" in field.dims]
        grid = Grid.from_dataset(truth[names])
        fields: dict[str, xr.DataArray] = {}
        lacking: dict[str, dict[str, int]] = {name: {} for name in predictions}
        for variable in names:
            known = np.isfinite(cell_values(truth[variable], grid))
            shared = known.copy()
            for name, ds in predictions.items():
                if variable not in ds:
                    continue
                there = _present(ds[variable], grid, places[name], known)
                lacking[name][variable] = int((known & ~there).sum())
                if there.any():
                    shared &= there
            if not np.array_equal(shared, known):
                fields[variable] = _where(truth[variable], shared, grid)
        common = _common([right for _, right in places.values()])
        return cls(
            at_times(truth.assign(fields), common),
            {name: _stamped(ds, truth, places[name], common) for name, ds in predictions.items()},
            lacking,
        )


def _common(every: Sequence[np.ndarray]) -> np.ndarray:
    """Indices of the truth's times that all predictions have, in ascending order."""
    first = every[0]
    common = first[np.all([np.isin(first, places) for places in every], axis=0)]
    if not common.size:
        raise ValueError("The predictions have no time in common; choose the same days.")
    return np.asarray(common)


def _present(
    field: xr.DataArray, grid: Grid, places: tuple[np.ndarray, np.ndarray], known: np.ndarray
) -> np.ndarray:
    """Whether a prediction has each value of the truth [T, N]."""
    there = np.zeros_like(known)
    there[places[1]] = np.isfinite(cell_values(field, grid)[places[0]])
    return there & known


def _where(field: xr.DataArray, shared: np.ndarray, grid: Grid) -> xr.DataArray:
    """Field without the values that are not shared [T, N]."""
    everywhere = np.nan_to_num(on_all_cells(shared.astype(np.float32), grid)) > 0
    mask = xr.DataArray(everywhere.reshape(len(shared), *grid.shape), dims=("time", *grid.dims))
    return field.where(mask)


def _stamped(
    ds: xr.Dataset, truth: xr.Dataset, places: tuple[np.ndarray, np.ndarray], common: np.ndarray
) -> xr.Dataset:
    """Prediction at common times, with the truth's stamps."""
    left, right = places
    at = at_times(ds, left[np.isin(right, common)])
    return at.assign_coords(time=truth["time"].isel(time=common))
