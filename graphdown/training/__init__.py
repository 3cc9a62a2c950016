"""Training: loss and step, parallelism, checkpoints, the loop."""

from graphdown.training.finetune import finetune_experiment
from graphdown.training.loop import Trainer, load_for, train
from graphdown.training.pretrain import pretrain

__all__ = ["Trainer", "finetune_experiment", "load_for", "pretrain", "train"]
