"""The network: arrays and graphs in, fields out. It never opens a file."""

from graphdown.model.arrays import GraphArrays, SourceArrays, graph_arrays, source_arrays
from graphdown.model.extended_pareto import BernoulliEGP
from graphdown.model.network import Downscaler, NetworkShape
from graphdown.model.normal_laws import CensoredNormal, TruncatedNormal
from graphdown.model.predict import Scaling, predict
from graphdown.model.spec import ModelSpec

__all__ = [
    "BernoulliEGP",
    "CensoredNormal",
    "Downscaler",
    "GraphArrays",
    "ModelSpec",
    "NetworkShape",
    "Scaling",
    "SourceArrays",
    "TruncatedNormal",
    "graph_arrays",
    "predict",
    "source_arrays",
]
