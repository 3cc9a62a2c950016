"""Reference methods of statistical downscaling that an emulator has to beat."""

import xarray as xr

from graphdown.baselines.base import Baseline
from graphdown.baselines.bilinear import Bilinear
from graphdown.baselines.lapse_rate import LapseRate
from graphdown.baselines.mean_bias import MeanBias
from graphdown.baselines.nearest import Nearest
from graphdown.baselines.ridge import Ridge

__all__ = [
    "Baseline",
    "Bilinear",
    "LapseRate",
    "MeanBias",
    "Nearest",
    "Ridge",
    "all_baselines",
]


def all_baselines(statics: xr.Dataset | None = None) -> list[Baseline]:
    """Return one unfitted instance of every method that can be applied.

    Args:
        statics: static fields of the target grid; without "orog" among them the lapse rate
            method is left out.
    """
    methods: list[Baseline] = [Nearest(), Bilinear()]
    if statics is not None and "orog" in statics:
        methods.append(LapseRate())
    return [*methods, MeanBias(), Ridge()]
