"""Reference methods of statistical downscaling that an emulator has to beat."""

from collections.abc import Callable, Sequence
from functools import partial

import xarray as xr

from graphdown.baselines.base import Baseline
from graphdown.baselines.bilinear import Bilinear
from graphdown.baselines.lapse_rate import LapseRate
from graphdown.baselines.mean_bias import MeanBias
from graphdown.baselines.nearest import Nearest
from graphdown.baselines.networks.baseline import NetworkBaseline
from graphdown.baselines.networks.deepesd import DeepESD
from graphdown.baselines.networks.error_predicting import ErrorPredictingCNN
from graphdown.baselines.networks.fit import NetworkTraining
from graphdown.baselines.networks.unet import UNet
from graphdown.baselines.quantile_mapping import QuantileMapping
from graphdown.baselines.ridge import Ridge
from graphdown.baselines.scaled_delta import ScaledDelta

__all__ = [
    "NETWORKS",
    "QUICK",
    "Baseline",
    "Bilinear",
    "DeepESD",
    "ErrorPredictingCNN",
    "LapseRate",
    "MeanBias",
    "Nearest",
    "NetworkTraining",
    "QuantileMapping",
    "Ridge",
    "ScaledDelta",
    "UNet",
    "make_baselines",
]

_QUICK = (Nearest, Bilinear, LapseRate, MeanBias, QuantileMapping, ScaledDelta, Ridge)
_NETWORKS = (DeepESD, UNet, ErrorPredictingCNN)
QUICK = tuple(method.name for method in _QUICK)
NETWORKS = tuple(method.name for method in _NETWORKS)


def make_baselines(
    names: Sequence[str] = QUICK,
    statics: xr.Dataset | None = None,
    seed: int = 0,
    steps: int | None = None,
) -> list[Baseline]:
    """Return unfitted methods by their names.

    Args:
        names: of QUICK and NETWORKS; the networks take minutes to fit.
        statics: static fields of the target grid; without "orog" among them the lapse rate
            method is left out.
        seed: of the networks.
        steps: optimiser steps of the networks, instead of each one's own number.

    Raises:
        ValueError: an unknown name.
    """
    known: dict[str, Callable[[], Baseline]] = {method.name: method for method in _QUICK}
    known |= {method.name: partial(method, seed=seed) for method in _NETWORKS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no baseline; there are {', '.join(known)}.")
    bare = statics is None or "orog" not in statics
    made = [known[name]() for name in names if not (bare and name == LapseRate.name)]
    if steps is None:
        return made
    return [m.trained_for(steps) if isinstance(m, NetworkBaseline) else m for m in made]
