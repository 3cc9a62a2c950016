"""Training: loss and step, parallelism, checkpoints, the loop."""

from graphdown.training.loop import Trainer, load_for, train

__all__ = ["Trainer", "load_for", "train"]
