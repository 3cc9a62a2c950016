"""Training: loss and step, parallelism, checkpoints, the loop."""

from graphdown.training.loop import Trainer, train

__all__ = ["Trainer", "train"]
