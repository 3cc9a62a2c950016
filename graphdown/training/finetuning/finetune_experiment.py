"""Fine-tuning: runs that start from the emulator of another run."""

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graphdown.config.data import Source
from graphdown.config.experiment import Experiment
from graphdown.config.experiment_file import (
    experiment_to_dict,
    load_stored_experiment,
    parse_experiment,
)
from graphdown.config.training import TrainingSpec
from graphdown.config.yaml_files import apply_overrides
from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.emulator import Emulator
from graphdown.emulator.storage import load
from graphdown.errors import ExperimentError, GraphdownError
from graphdown.model.channels import predictor_transforms
from graphdown.runtime.atomic import atomic_folder
from graphdown.training.finetuning.kept_settings import check_settings, settings_of
from graphdown.training.finetuning.replay import with_replayed
from graphdown.training.finetuning.warm_start import check_same, hashed
from graphdown.training.pretraining.artifact import refuse_pretraining
from meshes import Grid

CHECKS = 20  # validations of a fine-tuning whose settings are not given
PATIENCE = 5


def finetune_experiment(
    run: str | Path,
    data: Experiment | Source | str,
    output: str | Path = "",
    overrides: Sequence[str] = (),
    stated: Mapping[str, Any] | None = None,
    **options: Any,
) -> Experiment:
    """Make the experiment that fine-tunes the emulator of a run.

    Args:
        run: the run's folder.
        data: what to fine-tune on: an experiment, whose data, periods and training are taken, and
            whose other settings are the run's or left out; or
            a source, or the name of one that the run's own experiment knows, seen or unseen, with
            that experiment's target and periods. Then training has a quarter of the run's steps
            and a fifth of its learning rate, and stops after 5 of 20 validations without
            improvement.
        output: folder of the new run; by default one beside the run.
        overrides: "key.sub=value" strings, values in YAML, over all of that.
        stated: the keys of the file that an experiment was read from; of one that was not, those
            that are not at their defaults.
        options: of `graphdown.config.training.FinetuneOptions`.

    Raises:
        ExperimentError: an option is wrong, the run knows no such source, or the experiment has
            settings that the run has otherwise.
        GraphdownError: the folder holds no run, or a pretraining.
    """
    refuse_pretraining(run)
    # Read first: the emulator may need the experiment's extensions.
    base = data if isinstance(data, Experiment) else _on_source(Path(run), data)
    emulator = load(run)
    if options.get("replay"):
        base, options["replayed"] = with_replayed(base, _experiment_of(Path(run)))
    of_run = settings_of(emulator)
    if isinstance(data, Experiment):
        check_settings(data, of_run, str(run), stated)
    raw = {**experiment_to_dict(base), **of_run, "name": f"{emulator.name}, fine-tuned"}
    raw["finetune"] = {"run": str(run), "sha256": emulator.sha256, **options}
    raw["output"] = str(output) or _beside(Path(run), base, options)
    return parse_experiment(apply_overrides(raw, overrides), "the fine-tuning")


def _experiment_of(run: Path) -> Experiment:
    stored = run / "experiment.yaml"
    if not stored.is_file():
        raise GraphdownError(
            f"{str(run)!r} holds no experiment.yaml, which says what the target is; give an "
            "experiment as the data to fine-tune on, without 'replay'."
        )
    return load_stored_experiment(stored)


def _on_source(run: Path, data: Source | str) -> Experiment:
    base = _experiment_of(run)
    known = {source.name: source for source in (*base.data.sources, *base.data.unseen)}
    if isinstance(data, str) and data not in known:
        raise ExperimentError(
            f"The run {str(run)!r} knows no source {data!r}; name one of {', '.join(known)}, or "
            "an experiment file."
        )
    source = known[data] if isinstance(data, str) else data
    sources = dataclasses.replace(base.data, sources=(source,), unseen=())
    return dataclasses.replace(base, data=sources, training=_gentle(base.training))


def _gentle(spec: TrainingSpec) -> TrainingSpec:
    steps = max(spec.steps // 4, 1)
    return dataclasses.replace(
        spec,
        steps=steps,
        learning_rate=spec.learning_rate / 5,
        warmup_steps=min(spec.warmup_steps, steps // 10),
        weight_decay=0.0,
        validate_every=max(steps // CHECKS, 1),
        patience=PATIENCE,
    )


def _beside(run: Path, base: Experiment, options: dict[str, Any]) -> str:
    replayed = options.get("replayed", ())
    names = "-".join(s.name for s in base.data.sources if s.name not in replayed)
    years, trainable = options.get("years"), options.get("trainable", "all")
    length = "" if years is None else f"-{years}years"
    return f"{run}-{names}{length}-{trainable}{'-replay' if replayed else ''}"


def with_hash(experiment: Experiment) -> Experiment:
    """The experiment with the hash of the emulator that it starts from, if there is one.

    Raises:
        ExperimentError: the emulator is another one than the experiment says, or does not fit.
        GraphdownError: there is no such emulator.
    """
    spec, emulator = experiment.finetune, pretrained(experiment)
    if spec is None or emulator is None:
        return experiment
    return dataclasses.replace(experiment, finetune=hashed(spec, "finetune", emulator.sha256))


def pretrained(experiment: Experiment) -> Emulator | None:
    """The emulator that an experiment starts from, None for random weights.

    Raises:
        ExperimentError: it has other variables, or another model or graph than the experiment.
        GraphdownError: there is no such emulator.
    """
    spec = experiment.finetune
    if spec is None:
        return None
    emulator = load(spec.run)
    if emulator.networks > 1:
        raise ExperimentError(
            f"The emulator of {spec.run!r} consists of {emulator.networks} networks, and "
            "fine-tuning moves a single one; train one with 'training.ensemble: 1'."
        )
    pairs = {
        "time": (experiment.time, emulator.time),
        "predictors": (experiment.by_steps.predictors, emulator.normaliser.predictors),
        "targets": (experiment.by_steps.targets, emulator.normaliser.targets),
        "model": (experiment.model, emulator.model),
        "graph": (experiment.graph, emulator.domain.spec),
        "optional_predictors": (
            experiment.by_steps.optional_predictors,
            emulator.normaliser.optional_predictors,
        ),
        "predictor_transforms": (
            predictor_transforms(experiment.predictors, experiment.predictor_transforms),
            emulator.normaliser.predictor_transforms,
        ),
        "standardise": ((experiment.standardise,), (emulator.normaliser.standardise,)),
        "standardised_variables": (
            experiment.standardised_variables,
            emulator.normaliser.standardised,
        ),
    }
    check_same(spec, "finetune", pairs)
    return emulator


def domain_for(emulator: Emulator, domain: TargetDomain) -> TargetDomain:
    """The target domain with which an emulator is fine-tuned.

    On the target grid that it was trained on, it keeps its static fields and EOFs, and has values
    where it had some before or the data have some.

    Args:
        emulator: the one to start from.
        domain: the target, and the static fields of the data.

    Raises:
        ExperimentError: the emulator belongs to another target grid, or knows other static fields.
    """
    if _same_points(emulator.domain.target, domain.target):
        return _with_masks_of(emulator.domain, domain, emulator.targets)
    if emulator.model.binding:
        raise ExperimentError(
            f"The network to fine-tune is bound to its target grid of "
            f"{emulator.domain.target.size} points, and the data have another one of "
            f"{domain.target.size}; take the same target, or a network whose "
            "'model.target_embedding', 'model.target_regression' and 'model.eofs' are 0."
        )
    if emulator.domain.static_names != domain.static_names:
        raise ExperimentError(
            "The network to fine-tune knows of its target "
            f"{', '.join(emulator.domain.static_names) or 'nothing'}, the data "
            f"{', '.join(domain.static_names) or 'nothing'}; give the target the same static "
            "fields."
        )
    return domain


def _with_masks_of(
    before: TargetDomain, data: TargetDomain, variables: Sequence[str]
) -> TargetDomain:
    """A domain that has values of each variable where it or another one on its grid has some."""
    present = before.present(variables) | data.present(variables)
    masks = dict(zip(variables, present.T, strict=True))
    return TargetDomain(
        before.target,
        before.statics,
        before.spec,
        before.eofs,
        before.ground,
        masks,
        before.innovations,
    )


def _same_points(a: Grid, b: Grid) -> bool:
    return a.size == b.size and bool(abs(a.xyz - b.xyz).max() < 1e-5)


def copy_emulator(experiment: Experiment, run: Path) -> Emulator:
    """Copy the emulator that an experiment starts from into its run, byte for byte."""
    assert experiment.finetune is not None
    start = Path(experiment.finetune.run)
    folder = start / "emulator" if (start / "emulator").is_dir() else start
    if not (run / "emulator").exists():
        with atomic_folder(run / "emulator") as new:
            shutil.copytree(folder, new)
    return load(run)
