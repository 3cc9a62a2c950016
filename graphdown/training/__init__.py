"""Training: loss and step, parallelism, checkpoints, the loop."""

from graphdown.training.finetuning.finetune_experiment import finetune_experiment
from graphdown.training.preparation import prepare_training
from graphdown.training.pretraining.pretrain import pretrain
from graphdown.training.trainer import Trainer, load_for, train

__all__ = [
    "Trainer",
    "finetune_experiment",
    "load_for",
    "prepare_training",
    "pretrain",
    "train",
]
