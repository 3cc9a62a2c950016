"""Scores of ensembles: fair CRPS, energy score, spread against skill, rank histogram."""

import numpy as np
import xarray as xr

from graphdown.evaluation.align import make_pairs
from graphdown.evaluation.fair_crps import crps_map
from graphdown.evaluation.neighbourhood_maxima import crps_of_maxima
from graphdown.evaluation.precipitation import WET_DAY_MM
from graphdown.evaluation.reduce import area_mean, divide, time_mean
from graphdown.evaluation.reliability import brier_reliability, pit_miscalibration
from graphdown.variables.catalogue import describe
from meshes.grids.grid import Grid

MEMBER_DIMS = ("realization", "member")
DEFINITIONS = {
    "crps": "area mean of the time mean of the fair continuous ranked probability score",
    "energy_score": "time mean of the fair energy score of the fields, distances being the root of "
    "the area mean of squares",
    "spread_skill": "spread, times sqrt((M + 1) / M), over the RMSE of the ensemble mean; 1 for "
    "members that the truth could be one of",
    "crps_of_maxima": "mean of the fair continuous ranked probability score of maxima over squares "
    "of 5 x 5 cells",
    "pit_miscalibration": "mean distance of the distribution function of the truth's ranks from "
    "that of uniform ones; 0 is perfect, 0.5 a truth that is always above all members",
    "wet_day_reliability": "reliability term of the Brier score of days with at least 1 mm, whose "
    "probability is the share of the members that have them; of precipitation",
    "rank_histogram": "share of the values whose truth has so many members below it; equal "
    "members share theirs among their ranks",
}


def evaluate_ensemble(prediction: xr.Dataset, truth: xr.Dataset) -> xr.Dataset:
    """Score an ensemble; a value that the truth or any member lacks is left out.

    Args:
        prediction: canonical daily fields with a dimension "realization" or "member" of at least 2.
        truth: those to compare with, on the same grid.

    Returns:
        `crps`, `energy_score`, `spread_skill`, `crps_of_maxima`, `pit_miscalibration` and
        `wet_day_reliability` (variable), NaN where they do not apply, and `rank_histogram`
        (variable, rank).

    Raises:
        ValueError: fewer than two members, or as for `graphdown.evaluation.evaluate`.
    """
    dim = member_dim(prediction)
    count = 0 if dim is None else prediction.sizes[dim]
    if count < 2:
        raise ValueError(
            f"The prediction has {count} members; an ensemble needs a dimension "
            f"{MEMBER_DIMS[0]!r} of at least 2."
        )
    grid = Grid.from_dataset(truth[[n for n, v in truth.data_vars.items() if "time" in v.dims]])
    each = [make_pairs(prediction.isel({dim: m}, drop=True), truth, grid) for m in range(count)]
    columns: dict[str, list[np.ndarray | float]] = {name: [] for name in DEFINITIONS}
    for name in each[0]:
        members = np.stack([pairs[name].prediction for pairs in each])
        missing = np.isnan(members).any(axis=0)
        members[:, missing] = np.nan
        true = np.where(missing, np.nan, each[0][name].truth)
        area = each[0][name].area
        columns["crps"].append(float(area_mean(crps_map(members, true), area)))
        columns["energy_score"].append(energy_score(members, true, area))
        columns["spread_skill"].append(spread_skill(members, true, area))
        columns["crps_of_maxima"].append(crps_of_maxima(members, true, grid))
        columns["wet_day_reliability"].append(_wet_days(name, members, true, area))
        histogram = rank_histogram(members, true)
        columns["rank_histogram"].append(histogram)
        columns["pit_miscalibration"].append(pit_miscalibration(histogram))
    dims = {"rank_histogram": ("variable", "rank")}
    return xr.Dataset(
        {
            name: (dims.get(name, ("variable",)), np.asarray(column), {"definition": definition})
            for (name, definition), column in zip(
                DEFINITIONS.items(), columns.values(), strict=True
            )
        },
        {"variable": list(each[0]), "rank": np.arange(count + 1)},
    )


def _wet_days(name: str, members: np.ndarray, truth: np.ndarray, area: np.ndarray) -> float:
    if not describe(name).is_precipitation:
        return float("nan")
    return brier_reliability(members, truth, area, WET_DAY_MM)


def member_dim(prediction: xr.Dataset) -> str | None:
    """Return the name of the dimension of the members, None for none."""
    return next((dim for dim in MEMBER_DIMS if dim in prediction.dims), None)


def energy_score(members: np.ndarray, truth: np.ndarray, area: np.ndarray) -> float:
    """Return the time mean of the fair energy score of fields [M, T, N].

    mean_i |x_i - y| - sum_ij |x_i - x_j| / (2 M (M - 1)) with the root of the area mean of squares
    as distance (Gneiting and Raftery 2007, doi:10.1198/016214506000001437).
    """
    count = len(members)

    def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.sqrt(area_mean(np.square(a - b), area))

    error = sum(distance(member, truth) for member in members) / count
    apart = sum(distance(members[i], members[j]) for i in range(count) for j in range(i + 1, count))
    return float(time_mean(np.asarray(error - apart / (count * (count - 1)))[:, None])[0])


def spread_skill(members: np.ndarray, truth: np.ndarray, area: np.ndarray) -> float:
    """Return spread over error of members [M, T, N], corrected as by Fortin et al. (2014).

    Both are roots of means over days and cells, weighted by area (doi:10.1175/JHM-D-14-0008.1).
    """
    count = len(members)
    error = np.square(members.mean(axis=0, dtype=np.float64) - truth)
    variance = members.var(axis=0, ddof=1, dtype=np.float64)
    weight = np.isfinite(error).sum(axis=0) * area
    spread, skill = (area_mean(time_mean(v), weight) for v in (variance, error))
    return float(np.sqrt((count + 1) / count * divide(spread, skill)))


def rank_histogram(members: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the shares [M + 1] of the values [T, N] whose truth has k members below it.

    Members equal to the truth, as on dry days, spread its value evenly over the ranks among them.
    """
    present = np.isfinite(truth)
    below = (members < truth).sum(axis=0)[present]
    ties = (members == truth).sum(axis=0)[present]
    steps = np.zeros(len(members) + 2)
    np.add.at(steps, below, 1.0 / (ties + 1))
    np.add.at(steps, below + ties + 1, -1.0 / (ties + 1))
    total = np.cumsum(steps)[:-1]
    return total / total.sum() if total.sum() > 0 else np.full(len(total), np.nan)
