"""Joint exceedance: days on which two variables are extreme together."""

import numpy as np

from graphdown.evaluation.multivariate import bias_with_rain
from graphdown.evaluation.paired import Pair
from graphdown.evaluation.quantiles import quantiles, sorted_by_cell
from graphdown.evaluation.reduce import counts, divide

LEVEL = np.array([0.9])


def joint_exceedance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the share in % of days [T, N] on which both variables exceed their 90th percentiles.

    Percentiles are those of each cell, so that what differs is the dependence of the two alone: 1 %
    for independent variables, 10 % for those that go together.
    """
    missing = np.isnan(first + second)
    both = [np.where(missing, np.nan, values) for values in (first, second)]
    above = [values > quantiles(sorted_by_cell(values), LEVEL)[0] for values in both]
    return 100.0 * divide((above[0] & above[1]).sum(axis=0), counts(both[0]))


def joint_exceedance_bias(pair: Pair) -> np.ndarray | None:
    """Return the error of the joint exceedance with pr per cell [N]; None but for temperatures."""
    return bias_with_rain(pair, joint_exceedance)
