"""The entry points of `graphdown` that train: heavy modules are imported when one is called."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphdown.config.data import Source
    from graphdown.config.experiment import Experiment
    from graphdown.data import ExperimentData
    from graphdown.emulator.emulator import Emulator
    from graphdown.training.pretraining.artifact import Pretrained
    from graphdown.transfer.outcome import Outcome
    from graphdown.transfer.spec import Study


def train(experiment: "Experiment", data: "ExperimentData | None" = None) -> "Emulator":
    """Train an emulator, or resume the run in the experiment's output folder.

    Args:
        experiment: data, network and training.
        data: the experiment's fields, if they are loaded already.

    Raises:
        ExperimentError: the output folder belongs to another experiment.
        DataError: a field is missing or wrong.
        GraphdownError: training diverged.
    """
    from graphdown.training import train as run_training

    return run_training(experiment, data)


def pretrain(experiment: "Experiment", data: "ExperimentData | None" = None) -> "Pretrained":
    """Train encoder and message passing on the sources' fields alone, or resume such a run.

    Hidden source nodes are reconstructed from the visible ones. An experiment whose
    `pretrained.run` names the resulting folder starts from it.

    Args:
        experiment: one with a section `pretrain`.
        data: the experiment's fields, if they are loaded already.

    Raises:
        ExperimentError: the section `pretrain` is missing, or the output folder belongs to another
            experiment.
        DataError: a field is missing or wrong.
        GraphdownError: training diverged.
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
    """Train the emulator of a run further on other data, in a new run folder.

    Example: `finetune("runs/demo", "shifted", years=3, trainable="head", l2_sp=0.01)`. The same
    call resumes an interrupted run.

    Args:
        run: the run's folder.
        data: an experiment, whose data, periods and training are taken; or a source, or the name
            of one that the run's own experiment lists, seen or unseen.
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
    """Run a transfer study: strategies x training sources x sources applied to.

    Example: `graphdown.transfer("configs/transfer_ensemble.yaml", quick=True).groups`. The same
    call resumes an interrupted study.

    Args:
        study: the study, or its file.
        quick: whether to run the file's small version.
        overrides: "key.sub=value" strings over the file.
        jobs: number of processes, see `graphdown.transfer.study.transfer`.

    Raises:
        ExperimentError: the study or `jobs` is wrong, or the output folder holds another study.
        DataError: a field is missing or wrong.
        GraphdownError: a training diverged, or a process was killed.
    """
    from graphdown.errors import ExperimentError
    from graphdown.transfer.spec import Study, load_study
    from graphdown.transfer.study import transfer as run_study

    if isinstance(study, Study):
        if quick or overrides:
            raise ExperimentError("'quick' and 'overrides' need the study's file; pass its path.")
        return run_study(study, jobs=jobs)
    return run_study(load_study(study, overrides, quick), jobs=jobs)
