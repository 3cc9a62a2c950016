"""graphdown: grid-agnostic graph neural networks that downscale climate models."""

from typing import TYPE_CHECKING

from graphdown.emulator import Emulator, load
from graphdown.errors import DataError, ExperimentError, GraphdownError
from graphdown.evaluation import evaluate
from graphdown.experiment import Experiment, load_experiment

if TYPE_CHECKING:
    from graphdown.data import ExperimentData

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


def train(experiment: Experiment, data: "ExperimentData | None" = None) -> Emulator:
    """Train an emulator, or go on with a run that the experiment's output folder holds.

    Args:
        experiment: what to train on what.
        data: the experiment's fields, if they are loaded already.
    """
    from graphdown.training import train as run_training

    return run_training(experiment, data)
