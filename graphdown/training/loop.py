"""The training loop: data in, run folder out; it resumes where a run was left."""

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from tqdm import tqdm

from graphdown.allocation import keep_freed_memory
from graphdown.data.fields import horizontal_grid
from graphdown.data.load import ExperimentData, load_data
from graphdown.data.store import FOLDER, store_folder
from graphdown.emulator import (
    Emulator,
    load,
    named_values,
    new_network,
    run_network,
    with_values,
)
from graphdown.errors import ExperimentError, GraphdownError
from graphdown.experiment import (
    Experiment,
    experiment_to_dict,
    load_experiment,
    write_experiment,
)
from graphdown.geometry import Geometry
from graphdown.model import Scaling
from graphdown.prefetch import prefetched
from graphdown.training.augment import make_augmentation
from graphdown.training.checkpoint import Checkpoints, Progress
from graphdown.training.days import (
    PairedDays,
    adjustments,
    fit_statistics,
    held_out,
    training_days,
    validation_pair,
)
from graphdown.training.few import with_last_years
from graphdown.training.finetune import copy_emulator, geometry_for, pretrained, with_hash
from graphdown.training.metrics import MetricsLog
from graphdown.training.modes import fit_experiment_modes
from graphdown.training.moves import Moves
from graphdown.training.parallel import DataParallel
from graphdown.training.processes import first_before_others, is_first, wait_for_all
from graphdown.training.regression import fit_target_regression
from graphdown.training.samples import (
    Samples,
    days_of_step,
    lay_out,
    make_samples,
    source_of_step,
)
from graphdown.training.step import (
    Batch,
    Constants,
    State,
    initial_state,
    make_optimiser,
    make_step,
)

VALIDATION_DAYS = 192


def train(experiment: Experiment, data: ExperimentData | None = None) -> Emulator:
    """Train an emulator, or go on with a run that the experiment's output folder holds.

    Args:
        experiment: what to train on what.
        data: its fields, if they are loaded already.

    Returns:
        The emulator with the weights (moving average) that did best in validation.

    Raises:
        ExperimentError: the folder holds a run of another experiment, or a setting is impossible.
        DataError: a field is missing or wrong.
        GraphdownError: training diverged.
    """
    experiment = with_hash(experiment)
    if experiment.finetune is not None and experiment.finetune.years == 0:
        return copy_emulator(experiment, _open_run(experiment))
    data = data or load_for(experiment)
    keep_freed_memory()
    run = _open_run(experiment)
    return Trainer(experiment, data, run).run()


def load_for(experiment: Experiment) -> ExperimentData:
    """Load the fields to train on into memory or onto disk, as the experiment asks.

    Raises:
        ExperimentError: the output folder holds something else.
        DataError: a field is missing or wrong.
    """
    run = Path(experiment.output)
    with first_before_others("data"):
        _check_run(experiment, run)
        return load_data(experiment, store_folder(experiment, run))


def _open_run(experiment: Experiment) -> Path:
    """Create the run's folder, or check that it holds this experiment."""
    run = Path(experiment.output)
    with first_before_others("run"):
        _check_run(experiment, run)
        run.mkdir(parents=True, exist_ok=True)
        # Also where it is there: the baselines may be others than before.
        if is_first():
            write_experiment(experiment, run / "experiment.yaml")
    return run


def _check_run(experiment: Experiment, run: Path) -> None:
    """Refuse a folder that holds anything but this experiment, or fields for a run to come."""
    stored = run / "experiment.yaml"
    if not stored.exists():
        if run.exists() and any(path.name != FOLDER for path in run.iterdir()):
            raise ExperimentError(
                f"'output' names {str(run)!r}, a folder that is neither empty nor a run; choose "
                "another."
            )
        return
    # Read as an experiment, so that options it was written without count as their defaults.
    held = experiment_to_dict(load_experiment(stored))
    given = experiment_to_dict(experiment)
    differing = _first_difference(_trained(held), _trained(given))
    if differing is not None:
        raise ExperimentError(
            f"'output' names {str(run)!r}, which holds a run with another {differing!r}; choose "
            "another folder or delete that one."
        )


def _trained(experiment: dict[str, Any]) -> dict[str, Any]:
    """Return what training depends on.

    A run may be scored beside other baselines later, and go on with other devices.
    """
    training = {k: v for k, v in experiment["training"].items() if k not in ("backend", "devices")}
    rest = {key: value for key, value in experiment.items() if key != "baselines"}
    return {**rest, "training": training}


def _first_difference(a: Any, b: Any, key: str = "") -> str | None:
    if isinstance(a, dict) and isinstance(b, dict):
        for name in sorted(set(a) | set(b)):
            inner = f"{key}.{name}" if key else str(name)
            found = _first_difference(a.get(name), b.get(name), inner)
            if found:
                return found
        return None
    return None if a == b else key


class Trainer:
    """One run: its samples, network, state and folder."""

    def __init__(self, experiment: Experiment, data: ExperimentData, run: Path) -> None:
        """Prepare samples, statistics and network."""
        start = pretrained(experiment)
        self.geometry = _geometry(experiment, data, start)
        grid = self.geometry.target
        # Fields of a source are there for all years, however few its targets are.
        reference, self.adjustments = adjustments(
            data, experiment, grid, None if start is None else start.normaliser.reference
        )
        experiment = with_last_years(experiment)
        self.experiment, self.folder = experiment, run
        days = [self._days(data, name, known=start is None) for name in data.sources]
        self.normaliser = (
            fit_statistics(days, experiment.predictors, experiment.targets, self.geometry)
            if start is None
            else start.normaliser
        )
        self.normaliser = replace(
            self.normaliser.standardising_to(reference), may_lack=experiment.may_lack
        )
        around = experiment.model.target_regression
        smoothing = experiment.training.smoothing_km
        self.samples = [lay_out(own, self.geometry, around, smoothing) for own in days]
        self.validation = [
            samples for name in data.sources for samples in self._validation(data, name)
        ]
        network = new_network(experiment.model, self.geometry, self.normaliser, experiment.seed)
        if network.regression is not None and start is None:
            fitted = fit_target_regression(
                self.samples,
                self.validation,
                self.normaliser,
                experiment.training.warming_offset,
            )
            network.regression.coefficients[...] = jnp.asarray(fitted.slopes)
            network.regression.constants[...] = jnp.asarray(fitted.constants)
        self.params: Any
        self.graphdef, self.params = nnx.split(network)
        self.moves: Moves | None = None
        if start is not None and experiment.finetune is not None:
            weights = with_values(self.params, start.params)
            self.moves = Moves(experiment.finetune, weights, experiment.model.rounds)
            self.params = self.moves.start(experiment.seed)
        self.optimiser = make_optimiser(experiment.training, self.moves)
        self.augment = make_augmentation(experiment.training, self.normaliser, experiment.seed)

    def _days(self, data: ExperimentData, name: str, known: bool) -> PairedDays:
        """Return the days of a source to learn from; known are those that modes were fitted on."""
        days = training_days(data, self.experiment, name, self.geometry.target)
        modes = self.geometry.modes
        share = days.shares(modes) if modes is not None and known else None
        return replace(days, adjustment=self.adjustments.get(name), share=share)

    def _validation(self, data: ExperimentData, name: str) -> Iterator[Samples]:
        """Yield the days of the validation period, on each grid that training leaves out."""
        e, grids = self.experiment, held_out(data.banks.get(name))
        for grid in grids:
            pair = validation_pair(data, e, name, grid)
            around = e.model.target_regression
            names, own = (e.predictors, e.targets), self.adjustments.get(name)
            samples = make_samples(name, pair, *names, self.geometry, around, own)
            yield _thin(samples, VALIDATION_DAYS // len(grids))

    def run(self) -> Emulator:
        """Train to the end and return the emulator."""
        spec = self.experiment.training
        checkpoints = Checkpoints(self.folder / "checkpoints")
        state, progress = initial_state(self.params, self.optimiser), Progress()
        restored = checkpoints.restore(state)
        if restored is not None:
            state, progress = restored
        try:
            if not self._finished(progress):
                self._loop(state, progress, checkpoints)
        finally:
            checkpoints.close()
        wait_for_all("end")
        if spec.steps and not (self.folder / "emulator").is_dir():
            raise GraphdownError(f"The run {str(self.folder)!r} ended without a valid state.")
        return load(self.folder)

    def _finished(self, progress: Progress) -> bool:
        spec = self.experiment.training
        return progress.step >= spec.steps or 0 < spec.patience <= progress.stale

    def _loop(self, state: State, progress: Progress, checkpoints: Checkpoints) -> None:
        spec = self.experiment.training
        step = make_step(self.graphdef, self.optimiser, spec.ema_decay, self.moves, self.augment)
        mapped = DataParallel(step, spec.backend, spec.devices)
        if spec.batch_size % len(mapped.devices):
            raise ExperimentError(
                f"'training.batch_size' is {spec.batch_size}, which {len(mapped.devices)} devices "
                "cannot share evenly; make it a multiple."
            )
        kept = None if self.moves is None else mapped.replicate(self.moves.kept)
        constants = [mapped.replicate(self._constants(s))._replace(kept=kept) for s in self.samples]
        state = mapped.replicate(state)
        fresh = progress.step == 0 and not np.isfinite(progress.best)
        log = None
        if is_first():
            log = MetricsLog(self.folder / "metrics.csv", -1 if fresh else progress.step)
        bar = tqdm(
            total=spec.steps,
            initial=progress.step,
            unit="step",
            file=sys.stderr,
            mininterval=1.0,
            dynamic_ncols=True,
            desc="train",
            disable=not is_first(),
        )
        losses: list[jax.Array] = []
        started, before = time.monotonic(), progress.seconds
        make = partial(self._batch, share=mapped.share(spec.batch_size))
        batches = prefetched(make, range(progress.step, spec.steps))
        with bar, closing(batches):
            if fresh and self.moves is not None:  # the start may be the best there is
                progress = self._validate(mapped.one(state), progress, None, log, bar)
                checkpoints.save(jax.device_get(mapped.one(state)), progress)
            while not self._finished(progress):
                batch, source = next(batches)
                state, metrics = mapped(state, mapped.split(batch), constants[source])
                losses.append(metrics["loss"])
                progress = replace(progress, step=progress.step + 1)
                bar.update()
                if progress.step % 20 == 0:
                    rate = spec.batch_size * (bar.format_dict["rate"] or 0.0)
                    bar.set_postfix_str(f"loss {float(losses[-1]):.3f}, {rate:.0f} samples/s")
                if progress.step % spec.validate_every and progress.step < spec.steps:
                    continue
                progress = replace(progress, seconds=before + time.monotonic() - started)
                loss = float(np.mean(jax.device_get(losses)))
                progress = self._validate(mapped.one(state), progress, loss, log, bar)
                checkpoints.save(jax.device_get(mapped.one(state)), progress)
                losses = []

    def _constants(self, samples: Samples) -> Constants:
        scales = Scaling(**{k: jnp.asarray(v) for k, v in self.normaliser.arrays().items()})
        area = self.geometry.target.area * self.geometry.target.mask
        weight = jnp.asarray(area / area.mean(), jnp.float32)
        predictors, targets = (jnp.asarray(v) for v in self.normaliser.warmed())
        warmed = (predictors, targets)
        return Constants(samples.graph, samples.bank, scales, weight, warmed, samples.smoother)

    def _batch(self, step: int, share: slice = slice(None)) -> tuple[Batch, int]:
        """Return a share of the days of a step, and the number of their source."""
        spec, seed = self.experiment.training, self.experiment.seed
        source, before = source_of_step(step, len(self.samples), seed)
        samples = self.samples[source]
        days = days_of_step(before, spec.batch_size, len(samples.source), seed, source)
        random = np.random.default_rng([seed, 104729, step])
        warming = random.uniform(*spec.warming_offset, size=spec.batch_size).astype(np.float32)
        spacing = random.uniform(-spec.spacing_jitter, spec.spacing_jitter)
        grid = int(random.integers(samples.grids))
        return samples.batch(days[share], warming[share], spacing, grid), source

    def _validate(
        self,
        state: State,
        progress: Progress,
        loss: float | None,
        log: MetricsLog | None,
        bar: tqdm,
    ) -> Progress:
        """Score the averaged weights; keep them if they are the best so far.

        The loss is None before the first step, the log in a process that does not write.
        """
        if loss is not None and not np.isfinite(loss):
            raise GraphdownError(
                f"The loss was not finite before step {progress.step}; lower "
                f"'training.learning_rate' (now {self.experiment.training.learning_rate:g})."
            )
        errors = self._rmse(state.ema)
        score = float(np.mean([errors[t] / s for t, s in self._target_scales()]))
        better = score < progress.best
        if better:
            progress = replace(progress, best=score, best_step=progress.step, stale=0)
        else:
            progress = replace(progress, stale=progress.stale + 1)
        if log is None:
            return progress
        if better:
            self._keep(state.ema)
        row = {"step": progress.step, "seconds": round(progress.seconds, 1), "loss": loss}
        row |= {"validation_score": score, **{f"rmse_{t}": errors[t] for t in errors}}
        log.add({k: "" if v is None else f"{v:.6g}" for k, v in row.items()})
        shown = ", ".join(f"{t} {v:.3f}" for t, v in errors.items())
        bar.write(
            f"step {progress.step}: "
            + ("" if loss is None else f"loss {loss:.4f}, ")
            + f"validation RMSE {shown}"
            + (" (best)" if better else ""),
            file=sys.stderr,
        )
        return progress

    def _target_scales(self) -> list[tuple[str, float]]:
        return list(zip(self.normaliser.targets, self.normaliser.scale, strict=True))

    def _rmse(self, params: Any) -> dict[str, float]:
        """Return the validation RMSE by target, mean over the sources."""
        network = nnx.merge(self.graphdef, self._whole(params))
        area = self.geometry.target.area
        squares = []
        for samples in self.validation:
            made = run_network(
                network, self.normaliser, samples.graph, samples.source[:], samples.forcings
            )
            fine = samples.fine[:]
            known = np.isfinite(fine)
            square = np.where(known, (made - fine) ** 2, 0.0)
            days = known.sum(axis=0)
            per_node = square.sum(axis=0) / np.maximum(days, 1)
            weight = area[:, None] * (days > 0)
            squares.append((per_node * weight).sum(axis=0) / weight.sum(axis=0))
        rmse = np.sqrt(np.mean(squares, axis=0))
        return {t: float(v) for t, v in zip(self.normaliser.targets, rmse, strict=True)}

    def _whole(self, params: Any) -> Any:
        """Return the network's parameters, of those that training moves."""
        return params if self.moves is None else self.moves.whole(params, self.moves.kept)

    def _keep(self, params: Any) -> None:
        """Write the emulator with these weights, replacing the one before only when complete."""
        e = self.experiment
        weights = named_values(self._whole(params))
        emulator = Emulator(e.name, e.model, self.normaliser, self.geometry, weights)
        new, old = self.folder / "emulator.new", self.folder / "emulator"
        shutil.rmtree(new, ignore_errors=True)
        emulator.save(new)
        if old.exists():
            replaced = self.folder / "emulator.old"
            shutil.rmtree(replaced, ignore_errors=True)
            old.rename(replaced)
            new.rename(old)
            shutil.rmtree(replaced)
        else:
            new.rename(old)


def _geometry(experiment: Experiment, data: ExperimentData, start: Emulator | None) -> Geometry:
    grid = horizontal_grid(data.fine, experiment.targets, "the target")
    if start is not None:
        return geometry_for(start, Geometry(grid, data.statics, experiment.graph))
    modes = fit_experiment_modes(experiment, data, grid) if experiment.model.modes else None
    return Geometry(grid, data.statics, experiment.graph, modes)


def _thin(samples: Samples, most: int) -> Samples:
    """Keep at most so many days, evenly spread."""
    count = min(most, len(samples.source))
    keep = np.linspace(0, len(samples.source) - 1, count).round().astype(int)
    return replace(
        samples,
        source=samples.source[keep],
        fine=samples.fine[keep],
        forcings=samples.forcings[keep],
    )
