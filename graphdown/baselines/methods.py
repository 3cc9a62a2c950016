"""The baselines that graphdown comes with, and how they are made by their names."""

from collections.abc import Sequence

import xarray as xr

from graphdown.baselines.analogue import Analogue
from graphdown.baselines.base import BASELINES, Baseline, register_baseline
from graphdown.baselines.bilinear import Bilinear
from graphdown.baselines.boosted_trees import BoostedTrees
from graphdown.baselines.glm import GLM
from graphdown.baselines.lapse_rate import LapseRate
from graphdown.baselines.mean_bias import MeanBias
from graphdown.baselines.nearest import Nearest
from graphdown.baselines.networks.baseline import NetworkBaseline
from graphdown.baselines.networks.deepesd import DeepESD
from graphdown.baselines.networks.error_predicting import ErrorPredictingCNN
from graphdown.baselines.networks.unet import UNet
from graphdown.baselines.quantile_mapping import QuantileMapping
from graphdown.baselines.ridge import Ridge
from graphdown.baselines.scaled_delta import ScaledDelta

_METHODS = (Nearest, Bilinear, LapseRate, MeanBias, QuantileMapping, ScaledDelta, Ridge)
_NETWORKS = (DeepESD, UNet, ErrorPredictingCNN)
_STATISTICAL = (Analogue, GLM, BoostedTrees)
for _method in (*_METHODS, *_STATISTICAL, *_NETWORKS):
    register_baseline(_method)
QUICK = tuple(method.name for method in _METHODS)
NETWORKS = tuple(method.name for method in _NETWORKS)
STATISTICAL = tuple(method.name for method in _STATISTICAL)


def make_baselines(
    names: Sequence[str] = QUICK,
    statics: xr.Dataset | None = None,
    seed: int = 0,
    steps: int | None = None,
    targets_are_predictors: bool = True,
) -> list[Baseline]:
    """Return unfitted methods by their names, without those that lack what they need.

    Args:
        names: of `BASELINES`; networks take minutes to fit.
        statics: static fields of the target grid, such as "orog".
        seed: of the networks.
        steps: optimiser steps of the networks, instead of each one's default.
        targets_are_predictors: whether each target is a predictor too.

    Raises:
        GraphdownError: an unknown name.
    """
    height = statics is not None and "orog" in statics
    without = unusable(names, height, () if targets_are_predictors else ("a target",))
    return [_unfitted(BASELINES[name], seed, steps) for name in names if name not in without]


def unusable(
    names: Sequence[str],
    height: bool,
    no_predictors: Sequence[str] = (),
    seasons: Sequence[str] = (),
) -> dict[str, str]:
    """Return why some methods cannot be used, by their names.

    Args:
        names: of `BASELINES`.
        height: whether the target's height is known.
        no_predictors: targets that are no predictors.
        seasons: those that days to predict lie in and days of training do not.

    Raises:
        GraphdownError: an unknown name.
    """
    reasons = {}
    for name in names:
        method = BASELINES[name]
        if method.needs_target_predictor and no_predictors:
            absent = ", ".join(no_predictors)
            reasons[name] = f"each target must be a predictor too, and these are none: {absent}"
        elif method.needs_height and not height:
            reasons[name] = "the target's height 'orog' is not known"
        elif method.by_season and seasons:
            reasons[name] = f"no day of training lies in {', '.join(seasons)}"
    return reasons


def _unfitted(method: type[Baseline], seed: int, steps: int | None) -> Baseline:
    if not issubclass(method, NetworkBaseline):
        return method()
    network: NetworkBaseline = method(seed=seed)  # type: ignore[call-arg]
    return network if steps is None else network.trained_for(steps)
