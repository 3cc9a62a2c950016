"""Generalised linear models of the cells of a target, each with a design of its own."""

from collections.abc import Callable

import numpy as np

ITERATIONS = 25
TOLERANCE = 1e-6
PENALTY = 1e-3  # of the mean of squares; standardised predictors
STEEPEST = 15.0  # linear predictor of a probability
LONGEST = 2.0  # change of a linear predictor in one iteration, which may overshoot

Working = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def logistic(design: np.ndarray, events: np.ndarray) -> np.ndarray:
    """Return coefficients [N, P] of the logarithm of the odds of events.

    Args:
        design: [T, N, P], the first column 1.
        events: 0 or 1 [T, N], NaN where missing.
    """

    def working(eta: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chance = expit(eta)
        variance = np.maximum(chance * (1.0 - chance), 1e-6)
        return variance, eta + (truth - chance) / variance

    share = np.clip(_mean(events), 1e-3, 1.0 - 1e-3)
    return _fit(design, events, np.log(share / (1.0 - share)), working)


def gamma(design: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """Return coefficients [N, P] of the logarithm of the mean of Gamma distributed amounts.

    Args:
        design: [T, N, P], the first column 1.
        amounts: positive [T, N], NaN where missing, as on dry days.
    """

    def working(eta: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.ones(eta.shape), eta + truth * np.exp(-eta) - 1.0

    return _fit(design, amounts, np.log(np.maximum(_mean(amounts), 1e-6)), working)


def gaussian(design: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return coefficients [N, P] of the mean of values [T, N], NaN where missing."""

    def working(eta: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.ones(eta.shape), truth

    return _fit(design, values, _mean(values), working)


def expit(eta: np.ndarray) -> np.ndarray:
    """Return the probability whose logarithm of the odds is eta, which is limited."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(eta, -STEEPEST, STEEPEST))))


def linear_predictor(design: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Return sums [T, N] of a design [T, N, P] times coefficients [N, P]."""
    return np.einsum("tnp,np->tn", design, coefficients)


def _fit(design: np.ndarray, truth: np.ndarray, start: np.ndarray, working: Working) -> np.ndarray:
    """Iteratively reweighted least squares (McCullagh and Nelder 1989, section 2.5).

    A small penalty on all but the constant keeps coefficients finite where a predictor tells wet
    from dry days without error. Cells without values get NaN.
    """
    present = np.isfinite(truth)
    count = np.maximum(present.sum(axis=0), 1)
    known = np.where(present, truth, 0.0)
    coefficients = np.zeros(design.shape[1:])
    coefficients[:, 0] = start
    ridge = np.diag([0.0, *[PENALTY] * (design.shape[2] - 1)])
    for _ in range(ITERATIONS):
        weight, response = working(linear_predictor(design, coefficients), known)
        weight = np.where(present, weight, 0.0) / count
        weighted = (design * weight[..., None]).transpose(1, 2, 0)
        normal = weighted @ design.transpose(1, 0, 2) + ridge + 1e-9 * np.eye(len(ridge))
        right = weighted @ response.T[..., None]
        change = np.linalg.solve(normal, right)[..., 0] - coefficients
        stride = np.abs(linear_predictor(design, change)).max(axis=0, initial=0.0)
        coefficients += change * np.minimum(1.0, LONGEST / np.maximum(stride, 1e-12))[:, None]
        if stride.max(initial=0.0) < TOLERANCE:
            break
    return np.where(present.any(axis=0)[:, None], coefficients, np.nan)


def _mean(values: np.ndarray) -> np.ndarray:
    present = np.isfinite(values)
    return np.where(present, values, 0.0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
