"""Rules between the keys of an experiment.

The range of a single number is stated beside its field, see `graphdown.ranges`.
"""

import contextlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from graphdown.config.data import Source
from graphdown.config.experiment import Experiment
from graphdown.config.regions import region_named
from graphdown.config.registered_names import REGISTRY_RULES
from graphdown.config.training import FinetuneSpec, TrainingSpec
from graphdown.errors import ExperimentError
from graphdown.model.spec import ModelSpec
from graphdown.variables.catalogue import describe
from graphdown.variables.names import check_names
from graphdown.variables.time_steps import TimeSpec

if TYPE_CHECKING:
    import pandas as pd

LEAST_REPLAY = 0.05  # share of the steps, if any


def check_experiment(experiment: Experiment, where: str) -> None:
    """Refuse an experiment whose keys do not go together.

    Raises:
        ExperimentError: the first rule that is broken, in a sentence that begins with `where`.
    """
    for rule in RULES:
        for problem in rule(experiment):
            raise ExperimentError(f"{where}: {problem}")


def _variables(experiment: Experiment) -> Iterator[str]:
    pretrain = experiment.pretrain
    needless = ("targets",) if pretrain is not None and experiment.data.target is None else ()
    for key in ("predictors", "targets"):
        names = getattr(experiment, key)
        if not names and key not in needless:
            yield f"{key!r} is empty; name at least one variable."
        try:
            check_names(names)
        except ValueError as error:
            yield f"{key!r}: {error}; correct it."


def _one_target(experiment: Experiment) -> Iterator[str]:
    data, pretrain = experiment.data, experiment.pretrain
    optional = pretrain is not None and pretrain.region is not None
    count = (data.target is not None) + (data.world is not None)
    if count > 1 or (count == 0 and not optional):
        yield "'data' needs either 'target' (files) or 'world' (the embedded world)."
    if data.target is not None and not data.target.files:
        yield "'data.target.files' is empty; name the target's files."


def _sources(experiment: Experiment) -> tuple[Source, ...]:
    return (*experiment.data.sources, *experiment.data.unseen)


def _source_names(experiment: Experiment) -> Iterator[str]:
    if not experiment.data.sources:
        yield "'data.sources' is empty; name a source to train on."
    names = [source.name for source in _sources(experiment)]
    for name in names:
        if names.count(name) > 1:
            yield f"two sources are called {name!r}; rename one."
        # Files and folders are called after it.
        if not re.fullmatch(r"[^/\\\x00-\x1f]{1,100}", name) or name in (".", ".."):
            yield f"a source is called {name!r}; call it by 1 to 100 characters without slashes."


def _one_origin_of_a_source(experiment: Experiment) -> Iterator[str]:
    for source in _sources(experiment):
        origins = (source.files, source.view is not None, source.upscale is not None)
        if sum(map(bool, origins)) != 1:
            yield (
                f"the source {source.name!r} needs exactly one of 'files', 'view' and 'upscale'."
            )


def _views(experiment: Experiment) -> Iterator[str]:
    for source in _sources(experiment):
        if source.view is not None and experiment.data.world is None:
            yield f"the source {source.name!r} is a view, but 'data.world' is not given."


def _target_files(experiment: Experiment) -> Iterator[str]:
    for source in _sources(experiment):
        if source.target_files and experiment.data.target is None:
            yield (
                f"the source {source.name!r} has 'target_files', but there is no 'data.target', "
                "which says how to read them; give that, with files of its own."
            )


def _cut(experiment: Experiment) -> Iterator[str]:
    cut = {} if experiment.data.target is None else experiment.data.target.cut
    if isinstance(cut, str):
        try:
            region_named(cut)
        except ValueError as error:
            yield f"'data.target.cut': {str(error).rstrip('.')}; correct the name."
    if isinstance(cut, tuple):
        west, south, east, north = cut
        if not (west < east <= west + 360 and -90 <= south < north <= 90):
            yield (
                f"'data.target.cut' is {list(cut)}, no box [west, south, east, north] in degrees; "
                "let west be less than east and south than north."
            )


def _upscaling(experiment: Experiment) -> Iterator[str]:
    for source in _sources(experiment):
        least = 1 if source.grids else 2
        if source.upscale is not None and source.upscale < least:
            yield f"'upscale' of the source {source.name!r} must be at least {least}."


def _periods(experiment: Experiment) -> Iterator[str]:
    for key in ("train", "validation", "test"):
        first, last = getattr(experiment.periods, key)
        start, end = _period(first), _period(last)
        for text, period in ((first, start), (last, end)):
            if period is None:
                yield (
                    f"'periods.{key}' holds {text!r}, which is no date; write YYYY, YYYY-MM or "
                    "YYYY-MM-DD."
                )
        if start is not None and end is not None and start.start_time > end.end_time:
            yield (
                f"'periods.{key}' is empty: it ends ({last}) before it begins ({first}); swap them."
            )


def _period(text: str) -> "pd.Period | None":
    import pandas as pd

    period: pd.Period | None = None
    with contextlib.suppress(ValueError):
        period = pd.Period(text)
    return period if isinstance(period, pd.Period) else None


def _names_of_targets(experiment: Experiment) -> Iterator[str]:
    model, training = experiment.model, experiment.training
    settings: dict[str, Collection[str]] = {
        "model.heads": model.heads,
        "model.transforms": model.transforms,
        "training.losses": training.losses,
        "model.regression_targets": model.regression_targets,
    }
    return _unknown_names(settings, experiment.targets, "target")


def _names_of_predictors(experiment: Experiment) -> Iterator[str]:
    settings: dict[str, Collection[str]] = {
        "optional_predictors": experiment.optional_predictors,
        "predictor_transforms": experiment.predictor_transforms,
        "training.shifted_variables": experiment.training.shifted_variables,
        "standardised_variables": experiment.standardised_variables,
    }
    return _unknown_names(settings, experiment.predictors, "predictor")


def _unknown_names(
    settings: Mapping[str, Collection[str]], known: Collection[str], kind: str
) -> Iterator[str]:
    for key, names in settings.items():
        for name in names:
            if name not in known:
                yield f"{key!r} names {name!r}, which is no {kind}; drop it there."


def _unused_names(experiment: Experiment) -> Iterator[str]:
    """Names that refine a setting which is not in use."""
    model, training = experiment.model, experiment.training
    if model.regression_targets and not model.target_regression:
        yield (
            "'model.regression_targets' is for 'model.target_regression', which is 0; set that, or "
            "drop the targets."
        )
    if training.shifted_variables and not (training.mean_shift or training.variance_shift):
        yield (
            "'training.shifted_variables' is for 'training.mean_shift' and "
            "'training.variance_shift', which are 0; set one of them, or drop the variables."
        )
    if experiment.standardised_variables and experiment.standardise != "per-source":
        yield (
            "'standardised_variables' is for 'standardise: per-source'; set that, or drop the "
            "variables."
        )


def _optional_predictors(experiment: Experiment) -> Iterator[str]:
    names, model = experiment.optional_predictors, experiment.model
    for name in names:
        if name in experiment.targets:
            yield (
                f"'optional_predictors' names {name!r}, a target, whose prediction starts from the "
                "source's own; drop it there."
            )
    if names and (model.eofs or model.target_regression):
        yield (
            "'optional_predictors' does not go with 'model.eofs' and 'model.target_regression', "
            "which need every predictor; set these to 0."
        )


def _dropout(experiment: Experiment) -> Iterator[str]:
    dropout = experiment.training.variable_dropout
    if dropout and not experiment.optional_predictors:
        yield (
            f"'training.variable_dropout' is {dropout:g}, but 'optional_predictors' must name what "
            "is dropped."
        )


def _single_days(experiment: Experiment) -> Iterator[str]:
    """Methods that know single days only."""
    methods = {
        "model.eofs": bool(experiment.model.eofs),
        "pretrain": experiment.pretrain is not None,
        "pretrained": experiment.pretrained is not None,
    }
    for key, is_used in methods.items():
        if is_used and experiment.time != TimeSpec():
            yield f"{key!r} knows single days only and does not go with 'time'; drop one."


def _time_steps(experiment: Experiment) -> Iterator[str]:
    time = experiment.time
    if experiment.data.world is not None and (not time.is_daily or time.substeps > 1):
        yield "the embedded world is daily; leave out 'time.step_hours' and 'time.substeps'."
    extremes = [name for name in experiment.targets if describe(name).is_extreme]
    if time.substeps > 1 and extremes:
        yield (
            f"'targets' names {extremes[0]!r}, an extreme of a day, which has no sub-steps; take "
            "'tas'."
        )


def _innovations(experiment: Experiment) -> Iterator[str]:
    model = experiment.model
    if not model.innovation_rounds:
        return
    if not set(experiment.targets) & set(experiment.predictors):
        yield (
            "'model.innovation_rounds' compares targets with the source's own values, but no "
            "target is a predictor; add one to 'predictors', or set it to 0."
        )
    hindrances = {
        "model.heads": bool(model.heads),
        "time.substeps": experiment.time.substeps > 1,
        "training.target_shards": experiment.training.target_shards > 1,
    }
    for key, is_used in hindrances.items():
        if is_used:
            yield f"'model.innovation_rounds' does not go with {key!r}; drop one."


def _conserved_mean(experiment: Experiment) -> Iterator[str]:
    model = experiment.model
    if model.conserve_mean and experiment.time.substeps == 1:
        yield (
            "'model.conserve_mean' is about the sub-steps of a step; set 'time.substeps' or drop "
            "it."
        )
    if model.conserve_mean and (model.heads or model.transforms):
        yield (
            "'model.conserve_mean' does not go with 'model.heads' and 'model.transforms', in which "
            "means are other ones; drop it or them."
        )


def _replay(experiment: Experiment) -> Iterator[str]:
    spec = experiment.finetune
    if spec is None:
        return
    if 0 < spec.replay < LEAST_REPLAY:
        yield f"'finetune.replay' is {spec.replay}, but must be 0 or at least {LEAST_REPLAY}."
    if bool(spec.replay) != bool(spec.replayed):
        yield (
            "'finetune.replay' and 'finetune.replayed', the sources, belong together; "
            "'graphdown finetune --replay' names the sources of the run."
        )


def _one_start(experiment: Experiment) -> Iterator[str]:
    starts = [key for key in ("finetune", "pretrained") if getattr(experiment, key) is not None]
    if len(starts) > 1:
        yield "'finetune' and 'pretrained' both say what to start from; drop one."
    if starts and experiment.pretrain is not None:
        yield f"pretraining starts from nothing; drop {starts[0]!r}."


def _pretraining_region(experiment: Experiment) -> Iterator[str]:
    region = None if experiment.pretrain is None else experiment.pretrain.region
    if region is None:
        return
    west, south, east, north = region
    if not (west < east <= west + 360 and -90 <= south < north <= 90):
        yield f"'pretrain.region' is {region}, but must hold degrees [west, south, east, north]."


def _pretraining_sources(experiment: Experiment) -> Iterator[str]:
    if experiment.pretrain is None:
        return
    for source in experiment.data.sources:
        if source.grids is not None or (source.upscale and experiment.data.target is None):
            key = "grids" if source.grids is not None else "upscale"
            yield f"pretraining takes the source {source.name!r} as it is; drop its {key!r}."


def _ignored(experiment: Experiment) -> Iterator[str]:
    """Settings that nothing would use."""
    training, model, finetune = experiment.training, experiment.model, experiment.finetune
    if training.members != TrainingSpec().members and not model.noise:
        yield (
            f"'training.members' is {training.members}, but a model without 'model.noise' makes no "
            "members in training; set both, or drop it."
        )
    if model.attention_heads != ModelSpec().attention_heads and model.messages != "attention":
        yield (
            f"'model.attention_heads' is {model.attention_heads}, but 'model.messages' is "
            f"{model.messages!r}; set it to 'attention', or drop the heads."
        )
    adapters = FinetuneSpec(run="").rank
    if finetune is not None and finetune.rank != adapters and finetune.trainable != "adapters":
        yield (
            f"'finetune.rank' is {finetune.rank}, but 'finetune.trainable' is "
            f"{finetune.trainable!r}; set it to 'adapters', or drop the rank."
        )


def _ensemble(experiment: Experiment) -> Iterator[str]:
    training = experiment.training
    if training.ensemble > 1 and experiment.finetune is not None:
        yield (
            f"'training.ensemble' is {training.ensemble}, but fine-tuning moves a single network; "
            "drop it."
        )
    if not training.folds:
        return
    if training.folds < 2 or training.ensemble % training.folds:
        yield (
            f"'training.folds' is {training.folds}, which must be at least 2 and divide "
            f"'training.ensemble' ({training.ensemble}), since each network leaves one block of "
            "years out; change either."
        )
    if experiment.model.eofs:
        yield (
            "'training.folds' does not go with 'model.eofs', which are those of all training days; "
            "drop either."
        )


# In the order in which they are checked.
RULES: tuple[Callable[[Experiment], Iterator[str]], ...] = (
    _variables,
    _one_target,
    _source_names,
    _one_origin_of_a_source,
    _views,
    _target_files,
    _cut,
    _upscaling,
    _periods,
    _names_of_targets,
    _names_of_predictors,
    _unused_names,
    _optional_predictors,
    _dropout,
    _ignored,
    _ensemble,
    *REGISTRY_RULES,
    _single_days,
    _time_steps,
    _conserved_mean,
    _innovations,
    _replay,
    _one_start,
    _pretraining_region,
    _pretraining_sources,
)
