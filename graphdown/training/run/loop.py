"""The steps of a run, with its validations, checkpoints and the best weights so far."""

import json
import logging
import sys
import time
from abc import ABC, abstractmethod
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import jax
import numpy as np
import optax
from tqdm import tqdm

from graphdown.config.experiment import Experiment
from graphdown.errors import DamageError, ExperimentError, GraphdownError
from graphdown.runtime.atomic import write_durably
from graphdown.runtime.distributed import agreed, is_first, wait_for_all
from graphdown.runtime.prefetch import prefetched
from graphdown.runtime.signals import Interrupted, deferred_stop
from graphdown.runtime.write_errors import explained_write_errors
from graphdown.training.parallel import DataParallel, Specs, Step
from graphdown.training.run.checkpoint import Checkpoints, RunProgress
from graphdown.training.run.input_checksums import Seen, check_seen
from graphdown.training.run.loss_log import LossLog
from graphdown.training.run.metrics import MetricsLog, read_rows
from graphdown.training.step import State, initial_state

LOOK = 20  # steps between looks at losses that are still on the device
REPORT = "stopped.json"

log = logging.getLogger(__name__)


class TrainingLoop(ABC):
    """What has parameters that steps move, and scores by which the best of them are kept.

    Attributes:
        experiment: says how long and on what devices.
        folder: of the run.
        params: before the first step.
        optimiser: what moves them.
        seen: checksums of the fields, see `graphdown.training.run.input_checksums`.
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
    seen: Seen
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
    def _named(self, step: int) -> tuple[str, list[str]]:
        """Return the name of the source of a step, and its days, as in "2001-01-31"."""

    @abstractmethod
    def _errors(self, params: Any) -> dict[str, float]:
        """Return the validation error by variable, mean over the sources."""

    @abstractmethod
    def _scales(self) -> list[tuple[str, float]]:
        """Return the variables, and what their error is divided by to make the score."""

    @abstractmethod
    def _keep(self, params: Any) -> None:
        """Write these weights as the best ones."""

    @abstractmethod
    def _load(self) -> Any:
        """Return the best weights as they were written; `DamageError` if that is impossible."""

    def finish(self) -> None:
        """Go through all steps that are left.

        SIGINT and SIGTERM end it after the present step, with a checkpoint.

        Raises:
            ExperimentError: the devices cannot share a batch, or the fields are not those that the
                run began with.
            GraphdownError: training diverged, a checkpoint cannot be read or something not be
                written.
            Interrupted: by a signal.
        """
        check_seen(self.folder, self.seen)
        checkpoints = Checkpoints(self.folder / "checkpoints")
        state, progress = initial_state(self.params, self.optimiser), RunProgress()
        try:
            restored = checkpoints.restore(state, self.experiment.training.validate_every)
            if restored is not None:
                state, progress = restored
            if not self._finished(progress):
                self._loop(state, progress, checkpoints)
            wait_for_all("end")
            self._mend(checkpoints)
        finally:
            checkpoints.close()

    def _finished(self, progress: RunProgress) -> bool:
        spec = self.experiment.training
        return progress.step >= spec.steps or 0 < spec.patience <= progress.stale

    def _mend(self, checkpoints: Checkpoints) -> None:
        """Write the best weights again from their checkpoint if they are lost or damaged."""
        if not self.experiment.training.steps:
            return
        damage = None
        try:
            self._load()
        except DamageError as error:
            damage = error
        wait_for_all("look")
        if damage is None:
            return
        best = checkpoints.best(initial_state(self.params, self.optimiser))
        if best is None:
            raise damage
        log.warning("%s It is written again from the checkpoint of its step.", damage)
        if is_first():
            self._keep(best.ema)
        wait_for_all("mended")

    def _loop(self, state: State, progress: RunProgress, checkpoints: Checkpoints) -> None:
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
        table = self.folder / "metrics.csv"
        if not fresh and not progress.rows:
            progress = replace(progress, rows=tuple(read_rows(table, progress.step)))
        metrics_log = MetricsLog(table, progress.rows) if is_first() else None
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
        losses = LossLog(progress.step, progress.losses, progress.skipped)
        started, before = time.monotonic(), progress.seconds
        make = partial(self._batch, share=mapped.share(spec.batch_size))
        batches = prefetched(make, range(progress.step, spec.steps))
        with bar, closing(batches), deferred_stop() as stop:
            if fresh and self.scores_start:
                progress, _ = self._validate(mapped.one(state), progress, None, metrics_log, bar)
                checkpoints.save(jax.device_get(mapped.one(state)), progress)
            while not self._finished(progress):
                batch, source = next(batches)
                state, metrics = mapped(state, mapped.split(batch), constants[source])
                losses.add(metrics["loss"])
                progress = replace(progress, step=progress.step + 1)
                bar.update()
                due = progress.step % spec.validate_every == 0 or progress.step == spec.steps
                looking = due or progress.step % LOOK == 0
                # Several processes must stop at the same step, so that they only ask now and then.
                asking = looking or jax.process_count() == 1
                asked = agreed(stop.asked) if asking else None
                if not (looking or asked):
                    continue
                reached = losses.look(spec.most_skipped)
                progress = replace(
                    progress,
                    seconds=before + time.monotonic() - started,
                    losses=losses.values,
                    skipped=losses.skipped,
                )
                if reached is not None:
                    self._give_up(reached, mapped.one(state), progress, checkpoints)
                rate = spec.batch_size * (bar.format_dict["rate"] or 0.0)
                bar.set_postfix_str(f"loss {losses.values[-1]:.3f}, {rate:.0f} samples/s")
                good = True
                if due:
                    own = mapped.one(state)
                    progress, good = self._validate(own, progress, losses, metrics_log, bar)
                    losses.start_anew()
                if good and (due or asked):
                    checkpoints.save(jax.device_get(mapped.one(state)), progress)
                if not good and progress.step == spec.steps:
                    raise GraphdownError(
                        f"Validation at step {progress.step}, the last one, is not finite; lower "
                        f"'training.learning_rate' (now {spec.learning_rate:g})."
                    )
                if asked:
                    raise Interrupted(asked)
            stop.check()

    def _give_up(
        self, step: int, state: State, progress: RunProgress, checkpoints: Checkpoints
    ) -> NoReturn:
        """Stop after too many skipped steps, with the last good state and a report.

        The state is that before the first of them. It is good if it can be validated; else the one
        of the last checkpoint is the last good one.
        """
        spec = self.experiment.training
        if np.isfinite(list(self._errors(state.params).values())).all():
            checkpoints.save(jax.device_get(state), replace(progress, skipped=0))
        kept = max(checkpoints.steps(), default=None)
        numbers = range(step - spec.most_skipped + 1, step + 1)
        named = [self._named(number - 1) for number in numbers]
        path = self.folder / REPORT
        if is_first():
            batches = [
                {"step": number, "source": source, "days": days}
                for number, (source, days) in zip(numbers, named, strict=True)
            ]
            report = {"kept": kept, "learning_rate": spec.learning_rate, "skipped": batches}
            with explained_write_errors(path, "the run is as it was"):
                write_durably(path, json.dumps(report, indent=1))
        source, days = named[-1]
        where = "anew" if kept is None else f"from the state of step {kept}, which is kept"
        raise GraphdownError(
            f"Loss or gradient were not finite in {spec.most_skipped} steps in a row, up to step "
            f"{step} with days of {source!r} ({days[0]}, ...), see {str(path)!r}; check those days "
            f"or lower 'training.learning_rate' (now {spec.learning_rate:g}); the same command "
            f"goes on {where}."
        )

    def _validate(
        self,
        state: State,
        progress: RunProgress,
        losses: LossLog | None,
        metrics_log: MetricsLog | None,
        bar: tqdm,
    ) -> tuple[RunProgress, bool]:
        """Score the averaged weights; keep them if they are the best so far.

        There are no losses before the first step, and no log in a process that does not write.

        Returns:
            The progress, and whether the score is finite; else the state is no good one.
        """
        errors = self._errors(state.ema)
        score = float(np.mean([errors[t] / s for t, s in self._scales()]))
        better = score < progress.best
        if better:
            progress = replace(progress, best=score, best_step=progress.step, stale=0)
        else:
            progress = replace(progress, stale=progress.stale + 1)
        loss = None if losses is None else losses.mean()
        skipped = 0 if losses is None else losses.missing()
        row = {"step": progress.step, "seconds": round(progress.seconds, 1), "loss": loss}
        row |= {"validation_score": score, **{f"{self.measure}_{t}": errors[t] for t in errors}}
        row |= {"skipped": skipped}
        words = {k: "" if v is None else f"{v:.6g}" for k, v in row.items()}
        progress = replace(progress, losses=(), rows=(*progress.rows, words))
        good = bool(np.isfinite(score))
        if metrics_log is None:
            return progress, good
        if better:
            self._keep(state.ema)
        metrics_log.add(words)
        shown = ", ".join(f"{t} {v:.3f}" for t, v in errors.items())
        bar.write(
            f"step {progress.step}: "
            + ("" if loss is None else f"loss {loss:.4f}, ")
            + f"validation {self.measure.upper()} {shown}"
            + (" (best)" if better else "")
            + (f", {skipped} steps skipped: loss or gradient not finite" if skipped else ""),
            file=sys.stderr,
        )
        return progress, good
