"""The steps of a run, with its validations, checkpoints and the best weights so far."""

import sys
import time
from abc import ABC, abstractmethod
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from tqdm import tqdm

from graphdown.errors import ExperimentError, GraphdownError
from graphdown.experiment import Experiment
from graphdown.prefetch import prefetched
from graphdown.training.checkpoint import Checkpoints, Progress
from graphdown.training.metrics import MetricsLog
from graphdown.training.parallel import DataParallel, Specs, Step
from graphdown.training.processes import is_first, wait_for_all
from graphdown.training.step import State, initial_state


class Run(ABC):
    """What has parameters that steps move, and scores by which the best of them are kept.

    Attributes:
        experiment: says how long and on what devices.
        folder: of the run.
        params: before the first step.
        optimiser: what moves them.
        result: name of the folder within that holds the best weights.
        scores_start: whether the weights before the first step may be the best.
        specs: says how batches and constants are split where devices share target nodes; None for
            what has no target.
        measure: name of the validation error in metrics.csv.
    """

    experiment: Experiment
    folder: Path
    params: Any
    optimiser: optax.GradientTransformation
    result: str
    scores_start = False
    specs: Specs | None = None
    measure = "rmse"

    @abstractmethod
    def _step(self) -> Step:
        """Return the step for one device."""

    @abstractmethod
    def _replicated(self, mapped: DataParallel) -> list[Any]:
        """Return what stays the same from step to step, on every device, for each source."""

    @abstractmethod
    def _batch(self, step: int, share: slice = slice(None)) -> tuple[Any, int]:
        """Return a share of the days of a step, and the number of their source."""

    @abstractmethod
    def _errors(self, params: Any) -> dict[str, float]:
        """Return the validation error by variable, mean over the sources."""

    @abstractmethod
    def _scales(self) -> list[tuple[str, float]]:
        """Return the variables, and what their error is divided by to make the score."""

    @abstractmethod
    def _keep(self, params: Any) -> None:
        """Write these weights as the best ones."""

    def finish(self) -> None:
        """Go through all steps that are left.

        Raises:
            ExperimentError: the devices cannot share a batch.
            GraphdownError: training diverged.
        """
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
        if spec.steps and not (self.folder / self.result).is_dir():
            raise GraphdownError(f"The run {str(self.folder)!r} ended without a valid state.")

    def _finished(self, progress: Progress) -> bool:
        spec = self.experiment.training
        return progress.step >= spec.steps or 0 < spec.patience <= progress.stale

    def _loop(self, state: State, progress: Progress, checkpoints: Checkpoints) -> None:
        spec = self.experiment.training
        parts = spec.backend, spec.devices, spec.target_shards, self.specs
        mapped = DataParallel(self._step(), *parts)
        if spec.batch_size % mapped.shares:
            raise ExperimentError(
                f"'training.batch_size' is {spec.batch_size}, which {mapped.shares} devices "
                "cannot share evenly; make it a multiple."
            )
        constants = self._replicated(mapped)
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
            if fresh and self.scores_start:
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
        errors = self._errors(state.ema)
        score = float(np.mean([errors[t] / s for t, s in self._scales()]))
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
        row |= {"validation_score": score, **{f"{self.measure}_{t}": errors[t] for t in errors}}
        log.add({k: "" if v is None else f"{v:.6g}" for k, v in row.items()})
        shown = ", ".join(f"{t} {v:.3f}" for t, v in errors.items())
        bar.write(
            f"step {progress.step}: "
            + ("" if loss is None else f"loss {loss:.4f}, ")
            + f"validation {self.measure.upper()} {shown}"
            + (" (best)" if better else ""),
            file=sys.stderr,
        )
        return progress
