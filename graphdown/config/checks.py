"""Rules between the keys of an experiment."""

import contextlib
import re
from collections.abc import Collection, Mapping
from typing import Any

from graphdown.config.data import DataSpec
from graphdown.config.experiment import Experiment
from graphdown.config.registered_names import check_registered
from graphdown.config.training import FinetuneSpec, PretrainSpec
from graphdown.errors import ExperimentError
from graphdown.variables.catalogue import describe
from graphdown.variables.names import check_names
from graphdown.variables.time_steps import TimeSpec

MOST_WARMING = 100.0  # kelvin
MOST = {"batch_size": 2**16, "members": 2**10, "spacing_jitter": 10, "steps": 2**31 - 1}


def check_experiment(experiment: Experiment, where: str) -> None:
    """Refuse values that have the right type and make no sense."""
    pretrain = experiment.pretrain
    alone = pretrain is not None and pretrain.region is not None
    needless = ("targets",) if pretrain is not None and experiment.data.target is None else ()
    for key in ("predictors", "targets"):
        if not getattr(experiment, key) and key not in needless:
            raise ExperimentError(f"{where}: {key!r} is empty; name at least one variable.")
        try:
            check_names(getattr(experiment, key))
        except ValueError as error:
            raise ExperimentError(f"{where}: {key!r}: {error}; correct it.") from None
    _check_data(experiment.data, alone, where)
    for name in ("train", "validation", "test"):
        _check_period(getattr(experiment.periods, name), f"{where}: 'periods.{name}'")
    positive = (
        "steps",
        "batch_size",
        "learning_rate",
        "validate_every",
        "clip_norm",
        "most_skipped",
    )
    for key in positive:
        if not getattr(experiment.training, key) > 0:
            raise ExperimentError(f"{where}: 'training.{key}' must be greater than 0.")
    if not 0 <= experiment.training.ema_decay < 1:
        raise ExperimentError(f"{where}: 'training.ema_decay' must lie in [0, 1).")
    for key in ("smoothing_km", "mean_shift", "variance_shift", "noise", "variable_dropout"):
        if not getattr(experiment.training, key) >= 0:
            raise ExperimentError(f"{where}: 'training.{key}' must not be negative.")
    for key, most in MOST.items():
        if not getattr(experiment.training, key) <= most:
            raise ExperimentError(f"{where}: 'training.{key}' must be at most {most:,}.")
    if not all(abs(kelvin) <= MOST_WARMING for kelvin in experiment.training.warming_offset):
        raise ExperimentError(
            f"{where}: 'training.warming_offset' must lie within {MOST_WARMING:g} K of 0."
        )
    _check_names(experiment, where)
    _check_may_lack(experiment, where)
    check_registered(experiment, where)
    _check_time(experiment, where)
    if experiment.finetune is not None:
        _check_finetune(experiment.finetune, where)
    if experiment.finetune is not None and experiment.pretrained is not None:
        raise ExperimentError(
            f"{where}: 'finetune' and 'pretrained' both say what to start from; drop one."
        )
    if pretrain is not None:
        _check_pretrain(pretrain, experiment, where)


def _check_names(experiment: Experiment, where: str) -> None:
    """Check that settings by variable name known ones, and that those they refine are in use."""
    model, training = experiment.model, experiment.training
    of_targets: dict[str, Collection[str]] = {
        "model.heads": model.heads,
        "model.transforms": model.transforms,
        "training.losses": training.losses,
        "model.regression_targets": model.regression_targets,
    }
    of_predictors: dict[str, Collection[str]] = {
        "optional_predictors": experiment.optional_predictors,
        "training.shifted_variables": training.shifted_variables,
        "standardised_variables": experiment.standardised_variables,
    }
    for kind, known, settings in (
        ("target", experiment.targets, of_targets),
        ("predictor", experiment.predictors, of_predictors),
    ):
        for key, names in settings.items():
            for name in names:
                if name not in known:
                    raise ExperimentError(
                        f"{where}: {key!r} names {name!r}, which is no {kind}; drop it there."
                    )
    refined = (
        (
            "model.regression_targets",
            model.target_regression,
            "'model.target_regression', which is 0; set that, or drop the targets.",
        ),
        (
            "training.shifted_variables",
            training.mean_shift or training.variance_shift,
            "'training.mean_shift' and 'training.variance_shift', which are 0; set one of them, or "
            "drop the variables.",
        ),
        (
            "standardised_variables",
            experiment.standardise == "per-source",
            "'standardise: per-source'; set that, or drop the variables.",
        ),
    )
    for name, share in experiment.standardised_variables.items():
        if not 0.0 < share <= 1.0:
            raise ExperimentError(
                f"{where}: 'standardised_variables' gives {name!r} the share {share:g}; it must "
                "be above 0 and at most 1."
            )
    for key, used, cure in refined:
        if (of_targets | of_predictors)[key] and not used:
            raise ExperimentError(f"{where}: {key!r} is for {cure}")


def _check_may_lack(experiment: Experiment, where: str) -> None:
    names, model = experiment.optional_predictors, experiment.model
    for name in names:
        if name in experiment.targets:
            raise ExperimentError(
                f"{where}: 'optional_predictors' names {name!r}, a target, whose prediction starts "
                "from the source's own; drop it there."
            )
    if names and (model.eofs or model.target_regression):
        raise ExperimentError(
            f"{where}: 'optional_predictors' does not go with 'model.eofs' and "
            "'model.target_regression', which need every predictor; set these to 0."
        )
    dropout = experiment.training.variable_dropout
    if dropout >= 1 or (dropout and not names):
        raise ExperimentError(
            f"{where}: 'training.variable_dropout' is {dropout:g}, but must be less than 1, and "
            "'optional_predictors' must name what is dropped."
        )


def _check_time(experiment: Experiment, where: str) -> None:
    """Check steps in time, and what does not go with them."""
    time, model = experiment.time, experiment.model
    others = {
        "model.eofs": bool(model.eofs),
        "pretrain": experiment.pretrain is not None,
        "pretrained": experiment.pretrained is not None,
    }
    for key, is_given in others.items():
        if is_given and time != TimeSpec():
            raise ExperimentError(
                f"{where}: {key!r} knows single days only and does not go with 'time'; drop one."
            )
    if experiment.data.world is not None and (not time.is_daily or time.substeps > 1):
        raise ExperimentError(
            f"{where}: the embedded world is daily; leave out 'time.step_hours' and "
            "'time.substeps'."
        )
    extremes = [name for name in experiment.targets if describe(name).is_extreme]
    if time.substeps > 1 and extremes:
        raise ExperimentError(
            f"{where}: 'targets' names {extremes[0]!r}, an extreme of a day, which has no "
            "sub-steps; take 'tas'."
        )
    if not model.conserve_mean:
        return
    if time.substeps == 1:
        raise ExperimentError(
            f"{where}: 'model.conserve_mean' is about the sub-steps of a step; set "
            "'time.substeps' or drop it."
        )
    if model.heads or model.transforms:
        raise ExperimentError(
            f"{where}: 'model.conserve_mean' does not go with 'model.heads' and "
            "'model.transforms', in which means are other ones; drop it or them."
        )


def _check_finetune(spec: FinetuneSpec, where: str) -> None:
    right = {
        "rank": (spec.rank >= 1, "be at least 1"),
        "l2_sp": (spec.l2_sp >= 0, "not be negative"),
        "layerwise_decay": (0 < spec.layerwise_decay <= 1, "be greater than 0 and at most 1"),
        "years": (spec.years is None or spec.years >= 0, "not be negative"),
        "validation_share": (0 <= spec.validation_share < 1, "lie in [0, 1)"),
        "replay": (0.05 <= spec.replay <= 0.95 or not spec.replay, "be 0 or lie in [0.05, 0.95]"),
    }
    _demand(right, spec, "finetune", where)
    if bool(spec.replay) != bool(spec.replayed):
        raise ExperimentError(
            f"{where}: 'finetune.replay' and 'finetune.replayed', the sources, belong together; "
            "'graphdown finetune --replay' names the sources of the run."
        )


def _check_pretrain(spec: PretrainSpec, experiment: Experiment, where: str) -> None:
    west, south, east, north = spec.region or (0.0, 0.0, 1.0, 1.0)
    inside = west < east <= west + 360 and -90 <= south < north <= 90
    right = {
        "hidden": (0 < spec.hidden < 1, "lie in (0, 1)"),
        "scattered": (0 <= spec.scattered <= 1, "lie in [0, 1]"),
        "patch_km": (spec.patch_km >= 0, "not be negative"),
        "region": (inside, "hold degrees [west, south, east, north]"),
    }
    _demand(right, spec, "pretrain", where)
    for source in experiment.data.sources:
        if source.grids is not None or (source.upscale and experiment.data.target is None):
            key = "grids" if source.grids is not None else "upscale"
            raise ExperimentError(
                f"{where}: pretraining takes the source {source.name!r} as it is; drop its {key!r}."
            )
    for key in ("finetune", "pretrained"):
        if getattr(experiment, key) is not None:
            raise ExperimentError(f"{where}: pretraining starts from nothing; drop {key!r}.")


def _demand(right: Mapping[str, tuple[bool, str]], spec: Any, section: str, where: str) -> None:
    """Refuse the first key of a section that is not right."""
    for key, (is_right, demand) in right.items():
        if not is_right:
            raise ExperimentError(
                f"{where}: '{section}.{key}' is {getattr(spec, key)}, but must {demand}."
            )


def _check_data(data: DataSpec, alone: bool, where: str) -> None:
    """Check sources and target; sources alone may go without a target."""
    missing = data.target is None and data.world is None
    if (missing and not alone) or (data.target is not None and data.world is not None):
        raise ExperimentError(
            f"{where}: 'data' needs either 'target' (files) or 'world' (the embedded world)."
        )
    if data.target is not None and not data.target.files:
        raise ExperimentError(f"{where}: 'data.target.files' is empty; name the target's files.")
    if not data.sources:
        raise ExperimentError(f"{where}: 'data.sources' is empty; name a source to train on.")
    every = [*data.sources, *data.unseen]
    names = [source.name for source in every]
    for name in names:
        if names.count(name) > 1:
            raise ExperimentError(f"{where}: two sources are called {name!r}; rename one.")
        # Files and folders are called after it.
        if not re.fullmatch(r"[^/\\\x00-\x1f]{1,100}", name) or name in (".", ".."):
            raise ExperimentError(
                f"{where}: a source is called {name!r}; call it by 1 to 100 characters without "
                "slashes."
            )
    for source in every:
        given = [bool(source.files), source.view is not None, source.upscale is not None]
        if sum(given) != 1:
            raise ExperimentError(
                f"{where}: the source {source.name!r} needs exactly one of 'files', 'view' and "
                "'upscale'."
            )
        if source.view is not None and data.world is None:
            raise ExperimentError(
                f"{where}: the source {source.name!r} is a view, but 'data.world' is not given."
            )
        if source.target_files and data.target is None:
            raise ExperimentError(
                f"{where}: the source {source.name!r} has 'target_files', but there is no "
                "'data.target', which says how to read them; give that, with files of its own."
            )
        least = 1 if source.grids else 2
        if source.upscale is not None and source.upscale < least:
            raise ExperimentError(
                f"{where}: 'upscale' of the source {source.name!r} must be at least {least}."
            )


def _check_period(period: tuple[str, str], where: str) -> None:
    import pandas as pd

    ends = []
    for text in period:
        end: pd.Period | None = None
        with contextlib.suppress(ValueError):
            end = pd.Period(text)
        if not isinstance(end, pd.Period):
            raise ExperimentError(
                f"{where} holds {text!r}, which is no date; write YYYY, YYYY-MM or YYYY-MM-DD."
            )
        ends.append(end)
    if ends[0].start_time > ends[1].end_time:
        raise ExperimentError(
            f"{where} is empty: it ends ({period[1]}) before it begins ({period[0]}); swap them."
        )
