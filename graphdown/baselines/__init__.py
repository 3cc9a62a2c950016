"""Reference methods of statistical downscaling that an emulator has to beat."""

from graphdown.baselines.analogue import Analogue
from graphdown.baselines.base import BASELINES, Baseline, register_baseline
from graphdown.baselines.bilinear import Bilinear
from graphdown.baselines.boosted_trees import BoostedTrees
from graphdown.baselines.glm import GLM
from graphdown.baselines.lapse_rate import LapseRate
from graphdown.baselines.mean_bias import MeanBias
from graphdown.baselines.methods import NETWORKS, QUICK, STATISTICAL, make_baselines
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
    "BASELINES",
    "GLM",
    "NETWORKS",
    "QUICK",
    "STATISTICAL",
    "Analogue",
    "Baseline",
    "Bilinear",
    "BoostedTrees",
    "DeepESD",
    "ErrorPredictingCNN",
    "LapseRate",
    "MeanBias",
    "Nearest",
    "NetworkBaseline",
    "NetworkTraining",
    "QuantileMapping",
    "Ridge",
    "ScaledDelta",
    "UNet",
    "make_baselines",
    "register_baseline",
]
