"""Rules for the keys that name entries of registries: losses, heads, transforms, baselines."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from graphdown.baselines import BASELINES
from graphdown.config.experiment import Experiment
from graphdown.errors import GraphdownError
from graphdown.model.distributions import HEADS
from graphdown.model.loss_functions import LOSSES
from graphdown.model.transforms import NONE, TRANSFORMS
from graphdown.model.variable_kinds import VariableKind
from graphdown.runtime.registry import Registry
from graphdown.variables.catalogue import describe


def _known_names(experiment: Experiment) -> Iterator[str]:
    model = experiment.model
    by_variable: dict[str, tuple[Registry[Any], Mapping[str, str]]] = {
        "model.heads": (HEADS, model.heads),
        "model.transforms": (TRANSFORMS, model.transforms),
        "predictor_transforms": (TRANSFORMS, experiment.predictor_transforms),
        "training.losses": (LOSSES, experiment.training.losses),
    }
    for key, (registry, chosen) in by_variable.items():
        for variable, name in chosen.items():
            yield from _unknown(registry, name, f"{key}.{variable}")
    for name in experiment.baselines:
        yield from _unknown(BASELINES, name, "baselines")


def _unknown(registry: Registry[Any], name: str, key: str) -> Iterator[str]:
    try:
        registry[name]
    except GraphdownError as error:
        yield f"{key!r}: {error}"


def _baselines(experiment: Experiment) -> Iterator[str]:
    names = experiment.baselines
    for name in names:
        if names.count(name) > 1:
            yield f"'baselines' names {name!r} twice; drop one."
    absent = [name for name in experiment.targets if name not in experiment.predictors]
    if absent and names and all(BASELINES[name].needs_target_predictor for name in names):
        yield (
            "'baselines' names only methods that start from the predictor of the target's name, "
            f"but {absent[0]!r} is no predictor; add one such as 'ridge', or leave it empty."
        )


def _needs(experiment: Experiment) -> Iterator[tuple[str, str, str, VariableKind, bool]]:
    """Yield key, target, chosen name, kind of variables and whether it refuses a transform."""
    for target, name in experiment.model.heads.items():
        head = HEADS[name]
        if head is not None:
            yield "model.heads", target, name, head.only_for, True
    for target, name in experiment.training.losses.items():
        loss = LOSSES[name]
        yield "training.losses", target, name, loss.only_for, loss.untransformed


def _kinds_of_variables(experiment: Experiment) -> Iterator[str]:
    """Heads and losses are for the targets that have them, and for their transforms."""
    for key, target, name, kind, untransformed in _needs(experiment):
        if not kind.includes(target):
            yield (
                f"{key!r} gives {target!r} {name!r}, which is for {kind.description}; choose "
                "another."
            )
        if untransformed and target in experiment.model.transforms:
            yield (
                f"{target!r} has {name!r}, which takes physical units, and a transform; drop that "
                "in 'model.transforms'."
            )


def _warmed_transforms(experiment: Experiment) -> Iterator[str]:
    """The closed form of a warming is that of the variables themselves."""
    low, high = experiment.training.warming_offset
    for name, transform in experiment.predictor_transforms.items():
        warmed = transform != NONE and describe(name).is_temperature
        if warmed and low < high and experiment.model.target_regression:
            yield (
                f"'predictor_transforms' gives {name!r} a transform, which does not go with both "
                "'training.warming_offset' and 'model.target_regression'; leave one out."
            )


def _losses_of_heads(experiment: Experiment) -> Iterator[str]:
    for target, name in experiment.model.heads.items():
        if HEADS[name] is not None and target in experiment.training.losses:
            yield (
                f"'training.losses' names {target!r}, whose head {name!r} has its likelihood as "
                "loss; drop it there."
            )


def _ensembles(experiment: Experiment) -> Iterator[str]:
    """Losses of ensembles have members, and members such a loss."""
    training = experiment.training
    scored = [name for name in training.losses.values() if LOSSES[name].ensemble]
    loss = scored[0] if scored else "crps"
    if bool(scored) != bool(experiment.model.noise):
        yield (
            f"the loss {loss!r} and 'model.noise' belong together; give a target that loss and the "
            "model some noise, as in 'noise: 16', or neither."
        )
    if scored and training.members < 2:
        yield f"'training.members' is {training.members}, but the loss {loss!r} needs 2 or more."
    if training.multiscale_km and not scored:
        yield (
            "'training.multiscale_km' adds to losses of ensembles such as 'crps' only; leave it "
            "empty without one."
        )


def _fits_of_members(experiment: Experiment) -> Iterator[str]:
    """Fits to members that the model does not make."""
    fits, model = experiment.members, experiment.model
    drawn = any(HEADS[name] is not None for name in model.heads.values())
    if fits.calibrate and not drawn:
        yield (
            "'members.calibrate' corrects the ranks of heads with a distribution, such as "
            "'bernoulli-egp', of which there is none; drop it, or set 'model.heads'."
        )
    if fits.fit_dependence and not (drawn or model.noise):
        yield (
            "'members.fit_dependence' is about members, which a model without 'model.noise' and "
            "without heads with a distribution does not make; drop it."
        )


# In the order in which they are checked.
REGISTRY_RULES: tuple[Callable[[Experiment], Iterator[str]], ...] = (
    _known_names,
    _baselines,
    _kinds_of_variables,
    _warmed_transforms,
    _losses_of_heads,
    _ensembles,
    _fits_of_members,
)
