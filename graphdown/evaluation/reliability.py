"""Reliability of ensembles: whether events happen as often as members say."""

import numpy as np


def pit_miscalibration(histogram: np.ndarray) -> float:
    """Return the mean distance of the ranks' distribution function from that of uniform ranks.

    0 is perfect; 0.5, the greatest, is that of a truth that always lies above all members. With
    distances for the squares of Kuleshov et al. (2018, arXiv 1807.00263).

    Args:
        histogram: shares of the values whose truth has k members below it [M + 1].
    """
    uniform = np.arange(1, len(histogram)) / len(histogram)
    return float(np.abs(np.cumsum(histogram)[:-1] - uniform).mean())


def reliability(
    members: np.ndarray, truth: np.ndarray, area: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the diagram of the event that a value reaches a threshold.

    Args:
        members: [M, T, N].
        truth: [T, N], NaN where missing.
        area: of the cells [N].
        threshold: in the units of the values.

    Returns:
        Forecast probabilities k / M, the frequencies of the event where k members have it (NaN
        where there are none), and the shares of such values by area, each [M + 1].
    """
    count, present = len(members), np.isfinite(truth)
    said = (members >= threshold).sum(axis=0)[present]
    weight = np.broadcast_to(area, truth.shape)[present]
    happened = weight * (truth >= threshold)[present]
    total = np.bincount(said, weight, count + 1)
    event = np.bincount(said, happened, count + 1)
    with np.errstate(invalid="ignore"):
        return np.arange(count + 1) / count, event / total, total / total.sum()


def brier_reliability(
    members: np.ndarray, truth: np.ndarray, area: np.ndarray, threshold: float
) -> float:
    """Return the reliability term of the Brier score of `reliability`'s event; 0 is perfect.

    sum_k n_k (k / M - o_k)^2 (Murphy 1973, J. Appl. Meteor. 12, 595-600). Members that the truth
    could be one of have more than 0 if they are few: their k / M is a rough probability.
    """
    probability, frequency, share = reliability(members, truth, area, threshold)
    return float(np.nansum(share * (probability - frequency) ** 2))
