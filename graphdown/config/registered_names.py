"""Rules for the keys that name entries of registries: losses, heads, transforms and baselines."""

from collections.abc import Iterator, Mapping
from typing import Any

from graphdown.baselines import BASELINES
from graphdown.config.experiment import Experiment
from graphdown.errors import ExperimentError, GraphdownError
from graphdown.model.distributions import HEADS
from graphdown.model.loss_functions import LOSSES
from graphdown.model.transforms import TRANSFORMS
from graphdown.model.variable_kinds import VariableKind
from graphdown.runtime.registry import Registry


def check_registered(experiment: Experiment, where: str) -> None:
    """Refuse names that no registry has, and choices that do not go together."""
    model, training = experiment.model, experiment.training
    by_variable: dict[str, tuple[Registry[Any], Mapping[str, str]]] = {
        "model.heads": (HEADS, model.heads),
        "model.transforms": (TRANSFORMS, model.transforms),
        "training.losses": (LOSSES, training.losses),
    }
    for key, (registry, chosen) in by_variable.items():
        for variable, name in chosen.items():
            _check_name(registry, name, f"{where}: '{key}.{variable}'")
    _check_baselines(experiment, where)
    _check_kinds(experiment, where)
    _check_likelihoods(experiment, where)
    _check_ensembles(experiment, where)


def _check_name(registry: Registry[Any], name: str, where: str) -> None:
    try:
        registry[name]
    except GraphdownError as error:
        raise ExperimentError(f"{where}: {error}") from None


def _needs(experiment: Experiment) -> Iterator[tuple[str, str, str, VariableKind, bool]]:
    """Yield key, target, chosen name, kind of variables and whether it refuses a transform."""
    for target, name in experiment.model.heads.items():
        head = HEADS[name]
        if head is not None:
            yield "model.heads", target, name, head.only_for, True
    for target, name in experiment.training.losses.items():
        loss = LOSSES[name]
        yield "training.losses", target, name, loss.only_for, loss.untransformed


def _check_kinds(experiment: Experiment, where: str) -> None:
    """Check that heads and losses are for the targets that have them, and for their transforms."""
    for key, target, name, kind, untransformed in _needs(experiment):
        if not kind.includes(target):
            raise ExperimentError(
                f"{where}: {key!r} gives {target!r} {name!r}, which is for {kind.description}; "
                "choose another."
            )
        if untransformed and target in experiment.model.transforms:
            raise ExperimentError(
                f"{where}: {target!r} has {name!r}, which takes physical units, and a transform; "
                "drop that in 'model.transforms'."
            )


def _check_likelihoods(experiment: Experiment, where: str) -> None:
    for target, name in experiment.model.heads.items():
        if HEADS[name] is not None and target in experiment.training.losses:
            raise ExperimentError(
                f"{where}: 'training.losses' names {target!r}, whose head {name!r} has its "
                "likelihood as loss; drop it there."
            )


def _check_ensembles(experiment: Experiment, where: str) -> None:
    """Check that losses of ensembles have members, and members such a loss."""
    model, training = experiment.model, experiment.training
    scored = [name for name in training.losses.values() if LOSSES[name].ensemble]
    loss = scored[0] if scored else "crps"
    if bool(scored) != bool(model.noise):
        raise ExperimentError(
            f"{where}: the loss {loss!r} and 'model.noise' belong together; give a target that "
            "loss and the model some noise, as in 'noise: 16', or neither."
        )
    if scored and training.members < 2:
        raise ExperimentError(
            f"{where}: 'training.members' is {training.members}, but the loss {loss!r} needs 2 or "
            "more."
        )
    if training.multiscale_km and (not scored or min(training.multiscale_km) <= 0):
        raise ExperimentError(
            f"{where}: 'training.multiscale_km' holds radii greater than 0, and adds to losses of "
            "ensembles such as 'crps' only; leave it empty without one."
        )


def _check_baselines(experiment: Experiment, where: str) -> None:
    names = experiment.baselines
    for name in names:
        _check_name(BASELINES, name, f"{where}: 'baselines'")
        if names.count(name) > 1:
            raise ExperimentError(f"{where}: 'baselines' names {name!r} twice; drop one.")
    absent = [name for name in experiment.targets if name not in experiment.predictors]
    if absent and names and all(BASELINES[name].needs_own_predictor for name in names):
        raise ExperimentError(
            f"{where}: 'baselines' names only methods that start from the predictor of the "
            f"target's name, but {absent[0]!r} is no predictor; add one such as 'ridge', or leave "
            "'baselines' empty."
        )
