"""The network: arrays and graphs in, fields out. It never opens a file."""

from graphdown.model.arrays import GraphArrays, SourceArrays, graph_arrays, source_arrays
from graphdown.model.network import Downscaler, NetworkShape
from graphdown.model.predict import Scaling, predict
from graphdown.model.spec import ModelSpec

__all__ = [
    "Downscaler",
    "GraphArrays",
    "ModelSpec",
    "NetworkShape",
    "Scaling",
    "SourceArrays",
    "graph_arrays",
    "predict",
    "source_arrays",
]
