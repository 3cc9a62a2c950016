"""The values on which methods are compared: those that all of them and the truth have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_

import numpy as np
import xarray as xr

from graphdown.baselines.field_blocks import blocks_of_days, check_field
from graphdown.evaluation.align import at_times, paired_times
from graphdown.evaluation.period import grid_of
from meshes.grids.grid import Grid

Places = tuple[np.ndarray, np.ndarray]  # of common times in a prediction and in the truth


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

        Fields that are not in memory are read by blocks of days, and stay where they are.

        Args:
            predictions: on the truth's grid, by method.
            truth: values that are missing are NaN.

        Raises:
            ValueError: no time in common, or another grid.
        """
        places = {name: paired_times(ds, truth) for name, ds in predictions.items()}
        common = _common([right for _, right in places.values()])
        stamped = {
            name: _stamped(ds, truth, places[name], common) for name, ds in predictions.items()
        }
        grid = grid_of(truth)
        shared = at_times(truth, common)
        fields: dict[str, xr.DataArray] = {}
        lacking: dict[str, dict[str, int]] = {name: {} for name in predictions}
        for variable in [str(n) for n, field in truth.data_vars.items() if "time" in field.dims]:
            check_field(truth[variable], grid)
            known, partial = _count(truth[variable], grid), []
            for name, ds in predictions.items():
                if variable not in ds:
                    continue
                check_field(ds[variable], grid)
                sides = (
                    at_times(one[[variable]], at)[variable]
                    for one, at in zip((truth, ds), places[name][::-1], strict=True)
                )
                there = _count(next(sides), grid, next(sides))
                lacking[name][variable] = known - there
                if 0 < there < known:
                    partial.append(stamped[name][variable])
            if partial:
                fields[variable] = _where_all(shared[variable], partial, grid)
        return cls(shared.assign(fields), stamped, lacking)


def _count(field: xr.DataArray, grid: Grid, other: xr.DataArray | None = None) -> int:
    """Number of values that a field has, and another one at the same times too."""
    count = 0
    for block in blocks_of_days(grid, field.sizes["time"], 2):
        there = np.isfinite(block.read(field, grid))
        count += int(
            (there if other is None else there & np.isfinite(block.read(other, grid))).sum()
        )
    return count


def _common(every: Sequence[np.ndarray]) -> np.ndarray:
    """Indices of the truth's times that all predictions have, in ascending order."""
    first = every[0]
    common = first[np.all([np.isin(first, places) for places in every], axis=0)]
    if not common.size:
        raise ValueError("The predictions have no time in common; choose the same days.")
    return np.asarray(common)


def _where_all(field: xr.DataArray, others: Sequence[xr.DataArray], grid: Grid) -> xr.DataArray:
    """Field without the values that any of the others lacks, all at the same times."""
    dims = ("time", *grid.dims)
    masks = [np.isfinite(other.variable.transpose(*dims)) for other in others]
    kept = field.transpose(*dims)
    return kept.copy(data=kept.variable.where(reduce(and_, masks)).data)


def _stamped(ds: xr.Dataset, truth: xr.Dataset, places: Places, common: np.ndarray) -> xr.Dataset:
    """Prediction at common times, with the truth's stamps."""
    left, right = places
    at = at_times(ds, left[np.isin(right, common)])
    return at.assign_coords(time=truth["time"].isel(time=common))
