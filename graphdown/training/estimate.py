"""Estimate of what an experiment takes in memory and on disk, before anything is loaded."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr

from graphdown.config.experiment import Experiment
from graphdown.data.load import ExperimentData, region_of
from graphdown.data.sample_packing import PART_BYTES, SHARD_BYTES
from graphdown.data.sample_store import store_folder
from graphdown.emulator import eofs
from graphdown.model.channels import Channels, predictor_transforms
from graphdown.runtime.memory import machine_memory, size_in_words
from graphdown.statistics.eigenvectors import OVERSAMPLES
from graphdown.training.parallel import DataParallel
from graphdown.training.preparation import prepare_training
from graphdown.training.regression_days import BLOCK_BYTES
from graphdown.training.step import initial_state
from graphdown.training.target_regression import COLLECTED_BYTES
from graphdown.training.trainer import Trainer
from graphdown.training.validation_error import DAYS

PROCESS = 512 * 2**20  # interpreter and libraries
COMPILER = 1024 * 2**20
FEW_DAYS = 8  # that the step is laid out with


@dataclass(frozen=True)
class StageMemory:
    """Memory of a stage of the commands.

    Attributes:
        name: of the stage.
        size: peak of the process in bytes.
        advice: what lowers it.
    """

    name: str
    size: int
    advice: str


@dataclass(frozen=True)
class Estimate:
    """What an experiment takes.

    Attributes:
        cells: of the target.
        nodes: of each source.
        days: of each period, over the sources to train on.
        stored: bytes of all fields of all periods, as float32.
        on_disk: whether they are kept on disk, not in memory.
        predictions: bytes on disk for each method that `evaluate` scores, of one source.
        stages: their memory.
        step: bytes of a training step on a device, None if it was not compiled.
        memory: that of the machine, in bytes.
    """

    cells: int
    nodes: dict[str, int]
    days: dict[str, int]
    stored: int
    on_disk: bool
    predictions: int
    stages: tuple[StageMemory, ...]
    step: int | None
    memory: int

    def to_text(self) -> str:
        """Estimate as lines of text."""
        days = ", ".join(f"{count:,} of {period}" for period, count in self.days.items())
        nodes = ", ".join(f"{name!r} {count:,}" for name, count in self.nodes.items())
        where = "on disk" if self.on_disk else "in memory"
        lines = [
            f"Estimate: {self.cells:,} target cells; nodes of the sources: {nodes}; days: {days}.",
            f"All fields take {size_in_words(self.stored)} {where}; `evaluate` takes "
            f"{size_in_words(self.predictions)} of disk for each method.",
        ]
        if self.step is not None:
            lines.append(f"A training step takes {size_in_words(self.step)} on its device.")
        lines += [f"Memory of {stage.name}: {size_in_words(stage.size)}." for stage in self.stages]
        lines += [
            f"To mend: {stage.name} needs {size_in_words(stage.size)}, and this machine has "
            f"{size_in_words(self.memory)}; {stage.advice}."
            for stage in self.stages
            if stage.size > self.memory
        ]
        return "\n".join(lines)


def estimate(experiment: Experiment, data: ExperimentData, compiled: bool = False) -> Estimate:
    """Estimate what an experiment takes.

    Args:
        experiment: what to train on what.
        data: its fields as of `survey_data`, none of whose values are read here.
        compiled: also lay out and compile the training step, which takes as long as the start of
            the training, and have its memory planned by XLA.
    """
    experiment = experiment.by_steps
    cells = region_of(experiment, data).size
    stored = sum(map(_bytes, _held(experiment, data)))
    on_disk = store_folder(experiment, Path(experiment.output)) is not None
    pairs = {
        period: [data.fields(experiment, name, period)[0].sizes["time"] for name in data.sources]
        for period in ("train", "validation", "test")
    }
    days = {period: sum(counts) for period, counts in pairs.items()}
    scored = max(a + b for a, b in zip(pairs["validation"], pairs["test"], strict=True))
    step = _step_bytes(experiment, data) if compiled and not experiment.model.eofs else None
    sizes = _Sizes(experiment, cells, days, 0 if on_disk else stored, _widest(data))
    return Estimate(
        cells=cells,
        nodes={name: _nodes(fields) for name, fields in data.coarse.items()},
        days=days,
        stored=stored,
        on_disk=on_disk,
        predictions=4 * cells * scored * len(experiment.targets),
        stages=tuple(sizes.stages(step)),
        step=step,
        memory=machine_memory(),
    )


@dataclass(frozen=True)
class _Sizes:
    """Sizes that the memory of stages follows from.

    Attributes:
        experiment: by steps.
        cells: of the target.
        days: by period.
        kept: bytes of the fields if they are in memory.
        widest: values of a day of the source that has most.
    """

    experiment: Experiment
    cells: int
    days: dict[str, int]
    kept: int
    widest: int

    def stages(self, step: int | None) -> Iterator[StageMemory]:
        """Yield the stages of a training in order."""
        store = "set 'training.sample_storage: disk'"
        packed = 2 * self.kept if self.kept else 4 * PART_BYTES + 2 * SHARD_BYTES
        yield StageMemory("reading the fields", PROCESS + packed, store)
        held, model = PROCESS + self.kept, self.experiment.model
        if model.eofs:
            size = held + self._eof_bytes()
            yield StageMemory("the EOFs", size, "lower 'model.eofs'")
        if model.target_regression:
            size = held + COMPILER // 2 + self._regression_bytes()
            yield StageMemory("the target regression", size, "lower 'model.target_regression'")
        validation = 4 * DAYS * (self.widest + self.cells * len(self.experiment.targets))
        if step is not None:
            advice = "lower 'training.batch_size' or 'model.channels'"
            coefficients = 2 * self._coefficients() if model.target_regression else 0
            size = held + COMPILER + validation + step + coefficients
            yield StageMemory("the training steps", size, advice)

    def _coefficients(self) -> int:
        """Bytes of the regression's slopes."""
        e = self.experiment
        channels = len(
            Channels.of(
                e.predictors, predictor_transforms(e.predictors, e.predictor_transforms)
            ).predictors
        )
        columns = e.model.target_regression * channels * len(e.targets)
        return 4 * self.cells * columns * max(e.training.folds, 1)

    def _regression_bytes(self) -> int:
        """Slopes, products with both kinds of values in float64, and a block of days."""
        slopes = self._coefficients()
        return 2 * slopes + min(4 * slopes, COLLECTED_BYTES) + 6 * BLOCK_BYTES

    def _eof_bytes(self) -> int:
        """Sums in float64 of twice the vectors, and a block of days."""
        vectors = min(self.experiment.model.eofs + OVERSAMPLES, self.days["train"] + 2)
        return 2 * 8 * vectors * self.widest + 4 * eofs.BLOCK_BYTES


def _held(experiment: Experiment, data: ExperimentData) -> Iterator[xr.Dataset]:
    """Yield the datasets that are kept, each once."""
    yield data.fine
    yield from data.fines.values()
    own = {s.name for s in (*experiment.data.sources, *experiment.data.unseen) if s.upscale == 1}
    yield from (fields for name, fields in data.coarse.items() if name not in own)


def _bytes(ds: xr.Dataset) -> int:
    return sum(4 * field.size for field in ds.data_vars.values() if "time" in field.dims)


def _nodes(ds: xr.Dataset) -> int:
    """Number of points of a dataset's grid."""
    return max(int(v.size / v.sizes["time"]) for v in ds.data_vars.values() if "time" in v.dims)


def _widest(data: ExperimentData) -> int:
    """Values of a day of the source that has most."""
    return max(_bytes(ds) // 4 // ds.sizes["time"] for ds in data.coarse.values())


def _step_bytes(experiment: Experiment, data: ExperimentData) -> int:
    """Memory that a training step takes on a device, laid out with a few days."""
    few, name = experiment, next(iter(data.sources))
    for period in ("train", "validation"):
        time = data.fields(experiment, name, period)[0]["time"][:FEW_DAYS]
        first, last = (str(t) for t in time.dt.strftime("%Y-%m-%d").values[[0, -1]])
        few = replace(few, periods=replace(few.periods, **{period: (first, last)}))
    few = replace(few, training=replace(few.training, folds=0))
    with np.errstate(all="ignore"):  # all days are alike
        trainer = Trainer(prepare_training(few, data), Path(few.output))
    spec = few.training
    mapped = DataParallel(
        trainer.device_step(), spec.backend, spec.devices, spec.target_shards, trainer.specs
    )
    state = mapped.replicate(initial_state(trainer.params, trainer.optimiser))
    batch, source = trainer.batch(0, mapped.share(trainer.days_a_step))
    return mapped.step_bytes(state, mapped.split(batch), trainer.replicated(mapped)[source])
