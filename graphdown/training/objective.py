"""The objective of a training: losses of the targets, with the arrays that they need."""

from collections.abc import Sequence
from dataclasses import dataclass

from graphdown.config.training import TrainingSpec
from graphdown.model import ModelSpec
from graphdown.model.arrays import InterpolationTable
from graphdown.training.augmentation import make_smoother
from graphdown.training.losses import Gammas, Losses, fit_gammas
from graphdown.training.samples import Samples
from meshes import Grid


@dataclass(frozen=True, eq=False)
class Objective:
    """The losses of the targets and the arrays that they need.

    Attributes:
        losses: of the targets.
        gammas: distributions of each cell's wet days, None if no loss needs them.
        means: over neighbourhoods of the target, for each of `training.multiscale_km`.
    """

    losses: Losses
    gammas: Gammas | None
    means: tuple[InterpolationTable, ...]


def prepare_objective(
    spec: TrainingSpec,
    model: ModelSpec,
    targets: tuple[str, ...],
    samples: Sequence[Samples],
    grid: Grid,
) -> Objective:
    """Prepare the losses of an experiment.

    Args:
        spec: names the losses.
        model: what the network's outputs say of the targets.
        targets: names.
        samples: the training days.
        grid: of the target.
    """
    losses = Losses.of(spec, model, targets)
    gammas = fit_gammas([source.fine for source in samples]) if losses.weighs_rarity else None
    smoothers = (make_smoother([grid], grid.size, radius) for radius in spec.multiscale_km)
    means = tuple(_only(smoother) for smoother in smoothers if smoother is not None)
    return Objective(losses, gammas, means)


def _only(stacked: InterpolationTable) -> InterpolationTable:
    """The one interpolation of a stack."""
    return InterpolationTable(*(array[0] for array in stacked))
