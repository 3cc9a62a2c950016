"""graphdown: grid-agnostic graph neural networks that downscale climate models."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphdown.baselines import Baseline, register_baseline
    from graphdown.config.data import Source
    from graphdown.config.experiment import Experiment
    from graphdown.config.experiment_file import load_experiment
    from graphdown.data import ExperimentData
    from graphdown.data.reading.rules import register_repair
    from graphdown.emulator.emulator import Emulator
    from graphdown.emulator.storage import load
    from graphdown.errors import DataError, ExperimentError, GraphdownError
    from graphdown.evaluation import evaluate, register_measure
    from graphdown.model.distributions import register_head
    from graphdown.model.loss_functions import register_loss
    from graphdown.model.transforms import register_transform
    from graphdown.training.pretraining.artifact import Pretrained
    from graphdown.transfer import Outcome, Study
    from graphdown.variables.catalogue import register_variable
    from graphdown.variables.variable import Variable

# Imported when first asked for, so that the command line can heed signals before that.
_HOMES = {
    "Baseline": "baselines",
    "DataError": "errors",
    "Emulator": "emulator.emulator",
    "Experiment": "config.experiment",
    "ExperimentError": "errors",
    "GraphdownError": "errors",
    "Source": "config.data",
    "Variable": "variables.variable",
    "evaluate": "evaluation",
    "load": "emulator.storage",
    "load_experiment": "config.experiment_file",
    "register_baseline": "baselines",
    "register_head": "model.distributions",
    "register_loss": "model.loss_functions",
    "register_measure": "evaluation",
    "register_repair": "data.reading.rules",
    "register_transform": "model.transforms",
    "register_variable": "variables.catalogue",
}

__all__ = [
    "Baseline",
    "DataError",
    "Emulator",
    "Experiment",
    "ExperimentError",
    "GraphdownError",
    "Source",
    "Variable",
    "evaluate",
    "finetune",
    "load",
    "load_experiment",
    "pretrain",
    "register_baseline",
    "register_head",
    "register_loss",
    "register_measure",
    "register_repair",
    "register_transform",
    "register_variable",
    "train",
    "transfer",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def train(experiment: "Experiment", data: "ExperimentData | None" = None) -> "Emulator":
    """Train an emulator, or go on with a run that the experiment's output folder holds.

    Args:
        experiment: what to train on what.
        data: the experiment's fields, if they are loaded already.
    """
    from graphdown.training import train as run_training

    return run_training(experiment, data)


def pretrain(experiment: "Experiment", data: "ExperimentData | None" = None) -> "Pretrained":
    """Train encoder and message passing on the sources' fields alone, or go on with it.

    Hidden source nodes are reconstructed from the visible ones. An experiment whose
    `pretrained.run` names the resulting folder starts from it.

    Args:
        experiment: one with a section `pretrain`.
        data: the experiment's fields, if they are loaded already.
    """
    from graphdown.training import pretrain as run_pretraining

    return run_pretraining(experiment, data)


def finetune(
    run: str | Path,
    data: "Experiment | Source | str",
    output: str | Path = "",
    *,
    overrides: Sequence[str] = (),
    loaded: "ExperimentData | None" = None,
    **options: Any,
) -> "Emulator":
    """Go on training the emulator of a run on other data, in a run folder of its own.

    Example: `finetune("runs/demo", "shifted", years=3, trainable="head", l2_sp=0.01)`. The same
    call goes on with an interrupted run.

    Args:
        run: the run's folder.
        data: an experiment, whose data, periods and training are taken; or a source, or the name
            of one that the run's own experiment knows, seen or unseen.
        output: folder of the new run; by default one beside the run, named after data and options.
        overrides: "key.sub=value" strings over the resulting experiment, as in
            "training.steps=200".
        loaded: the fields, if they are loaded already.
        options: trainable, rank, l2_sp, layerwise_decay, years, validation_share and replay of
            `graphdown.config.training.FinetuneOptions`.

    Raises:
        ExperimentError: an option is wrong, or the emulator does not fit the data's target.
        DataError: a field is missing or wrong.
        GraphdownError: the folder holds no run, or training diverged.
    """
    from graphdown.training import finetune_experiment
    from graphdown.training import train as run_training

    return run_training(finetune_experiment(run, data, output, overrides, **options), loaded)


def transfer(
    study: "str | Path | Study",
    *,
    quick: bool = False,
    overrides: Sequence[str] = (),
    jobs: int = 1,
) -> "Outcome":
    """Do a transfer study: strategies x train-on sets x apply-to; see `graphdown.transfer`.

    Example: `graphdown.transfer("configs/transfer_ensemble.yaml", quick=True).unseen`. The same
    call goes on with an interrupted study.

    Args:
        study: the study, or its file.
        quick: the file's own small version.
        overrides: "key.sub=value" strings over the file.
        jobs: processes to do runs in, see `graphdown.transfer.outcome.transfer`.

    Raises:
        ExperimentError: the study or `jobs` is wrong, or its folder holds another one.
        DataError: a field is missing or wrong.
        GraphdownError: a training diverged, or a process was killed.
    """
    from graphdown.errors import ExperimentError
    from graphdown.transfer import Study, load_study
    from graphdown.transfer import transfer as run_study

    if isinstance(study, Study):
        if quick or overrides:
            raise ExperimentError("'quick' and 'overrides' belong to a study's file; give that.")
        return run_study(study, jobs=jobs)
    return run_study(load_study(study, overrides, quick), jobs=jobs)
