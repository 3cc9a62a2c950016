"""graphdown: grid-agnostic graph neural networks that downscale climate models."""

from graphdown.emulator import Emulator, load
from graphdown.errors import DataError, ExperimentError, GraphdownError
from graphdown.evaluation import evaluate
from graphdown.experiment import Experiment, load_experiment
from graphdown.training import train

__all__ = [
    "DataError",
    "Emulator",
    "Experiment",
    "ExperimentError",
    "GraphdownError",
    "evaluate",
    "load",
    "load_experiment",
    "train",
]
