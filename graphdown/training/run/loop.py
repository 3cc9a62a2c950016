"""The steps of a run, with its validations, checkpoints and the best weights so far."""

import json
import logging
import sys
import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

import jax
import numpy as np
from tqdm import tqdm

from graphdown.errors import DamageError, ExperimentError, GraphdownError
from graphdown.runtime.atomic import write_durably
from graphdown.runtime.distributed import agreed, is_first, wait_for_all
from graphdown.runtime.prefetch import prefetched
from graphdown.runtime.signals import Interrupted, Stop, deferred_stop
from graphdown.runtime.write_errors import explained_write_errors
from graphdown.training.parallel import DataParallel
from graphdown.training.run.checkpoint import Checkpoints, RunProgress
from graphdown.training.run.folder import CHECKPOINTS
from graphdown.training.run.input_checksums import check_inputs
from graphdown.training.run.loss_log import LossLog
from graphdown.training.run.metrics import MetricsLog, Row
from graphdown.training.run.trainee import Trainee
from graphdown.training.step import State, initial_state

LOOK = 20  # steps between looks at losses that are still on the device
REPORT = "stopped.json"

log = logging.getLogger(__name__)


def finish(trainee: Trainee) -> None:
    """Go through all steps of a run that are left.

    SIGINT and SIGTERM end it after the present step, with a checkpoint.

    Raises:
        ExperimentError: the devices cannot share a batch, or the fields are not those that the run
            began with.
        GraphdownError: training diverged, a checkpoint cannot be read or something not be written.
        Interrupted: by a signal.
    """
    check_inputs(trainee.folder, trainee.checksums)
    checkpoints = Checkpoints(trainee.folder / CHECKPOINTS)
    state, progress = initial_state(trainee.params, trainee.optimiser), RunProgress()
    try:
        restored = checkpoints.restore(state, trainee.experiment.training.validate_every)
        if restored is not None:
            state, progress = restored
        if not is_finished(trainee, progress):
            TrainingLoop(trainee, checkpoints, _mapped(trainee), state, progress).run()
        wait_for_all("end")
        _mend(trainee, checkpoints)
    finally:
        checkpoints.close()


def is_finished(trainee: Trainee, progress: RunProgress) -> bool:
    """Whether all steps are done, or too many validations brought no improvement."""
    spec = trainee.experiment.training
    return progress.step >= spec.steps or 0 < spec.patience <= progress.stale


def _mapped(trainee: Trainee) -> DataParallel:
    """The step over all devices, which must be able to share a batch."""
    spec = trainee.experiment.training
    mapped = DataParallel(
        trainee.device_step(), spec.backend, spec.devices, spec.target_shards, trainee.specs
    )
    if spec.batch_size % mapped.shares:
        raise ExperimentError(
            f"'training.batch_size' is {spec.batch_size}, which {mapped.shares} devices "
            "cannot share evenly; make it a multiple."
        )
    return mapped


def _mend(trainee: Trainee, checkpoints: Checkpoints) -> None:
    """Write the best weights again from their checkpoint if they are lost or damaged."""
    if not trainee.experiment.training.steps:
        return
    damage = None
    try:
        trainee.load()
    except DamageError as error:
        damage = error
    wait_for_all("look")
    if damage is None:
        return
    best = checkpoints.best(initial_state(trainee.params, trainee.optimiser))
    if best is None:
        raise damage
    log.warning("%s It is written again from the checkpoint of its step.", damage)
    if is_first():
        trainee.keep(best.ema)
    wait_for_all("mended")


class TrainingLoop:
    """The steps from where a run stands to its end, or to a signal.

    Args:
        trainee: what is trained.
        checkpoints: of the run.
        mapped: the step over all devices.
        state, progress: where the run stands.
    """

    def __init__(
        self,
        trainee: Trainee,
        checkpoints: Checkpoints,
        mapped: DataParallel,
        state: State,
        progress: RunProgress,
    ) -> None:
        self.trainee, self.spec = trainee, trainee.experiment.training
        self.checkpoints, self.mapped = checkpoints, mapped
        self.state, self.progress = mapped.replicate(state), progress
        self.losses = LossLog(progress.step, progress.losses, progress.skipped)
        table = trainee.folder / "metrics.csv"
        self.metrics = MetricsLog(table, progress.rows) if is_first() else None
        self.bar = _progress_bar(self.spec.steps, progress.step)
        self.began = time.monotonic() - progress.seconds

    def run(self) -> None:
        """Go through the steps; see `finish`."""
        constants = self.trainee.replicated(self.mapped)
        share = self.mapped.share(self.trainee.days_a_step)
        steps = range(self.progress.step, self.spec.steps)
        batches = prefetched(partial(self.trainee.batch, share=share), steps)
        with self.bar, closing(batches), deferred_stop() as stop:
            if self.trainee.scores_start and self._is_fresh():
                self._validate()
                self._save()
            while not is_finished(self.trainee, self.progress):
                batch, source = next(batches)
                self._step(batch, constants[source])
                self._look(stop)
            stop.check()

    def _is_fresh(self) -> bool:
        return self.progress.step == 0 and not np.isfinite(self.progress.best)

    def _step(self, batch: Any, constants: Any) -> None:
        self.state, metrics = self.mapped(self.state, self.mapped.split(batch), constants)
        self.losses.add(metrics["loss"])
        self.progress = replace(self.progress, step=self.progress.step + 1)
        self.bar.update()

    def _look(self, stop: Stop) -> None:
        """Now and then look at the losses, validate and save; stop if a signal asked for it."""
        step = self.progress.step
        due = step % self.spec.validate_every == 0 or step == self.spec.steps
        looking = due or step % LOOK == 0
        # Several processes must stop at the same step, so that they only ask now and then.
        asking = looking or jax.process_count() == 1
        signal = agreed(stop.asked) if asking else None
        if not (looking or signal):
            return
        self._look_at_losses()
        sound = self._validate() if due else True
        if sound and (due or signal):
            self._save()
        if not sound and step == self.spec.steps:
            raise GraphdownError(
                f"Validation at step {step}, the last one, is not finite; lower "
                f"'training.learning_rate' (now {self.spec.learning_rate:g})."
            )
        if signal:
            raise Interrupted(signal)

    def _look_at_losses(self) -> None:
        reached = self.losses.look(self.spec.most_skipped)
        self.progress = replace(
            self.progress,
            seconds=time.monotonic() - self.began,
            losses=self.losses.values,
            skipped=self.losses.skipped,
        )
        if reached is not None:
            self._give_up(reached)
        rate = self.trainee.days_a_step * (self.bar.format_dict["rate"] or 0.0)
        self.bar.set_postfix_str(f"loss {self.losses.values[-1]:.3f}, {rate:.0f} samples/s")

    def _save(self) -> None:
        self.checkpoints.save(jax.device_get(self.mapped.one(self.state)), self.progress)

    def _validate(self) -> bool:
        """Score the averaged weights; keep them if they are the best so far.

        Returns:
            Whether the score is finite; else the state is no good one.
        """
        weights = self.mapped.one(self.state).ema
        errors = self.trainee.errors(weights)
        score = float(np.mean([errors[name] / scale for name, scale in self.trainee.scales()]))
        better = score < self.progress.best
        if better:
            self.progress = replace(
                self.progress, best=score, best_step=self.progress.step, stale=0
            )
        else:
            self.progress = replace(self.progress, stale=self.progress.stale + 1)
        row = self._row(errors, score)
        self.progress = replace(self.progress, losses=(), rows=(*self.progress.rows, row))
        if self.metrics is not None:
            if better:
                self.trainee.keep(weights)
            self.metrics.add(row)
            self._report(errors, better)
        self.losses.start_anew()
        return bool(np.isfinite(score))

    def _row(self, errors: dict[str, float], score: float) -> Row:
        """Row of metrics.csv."""
        measure = self.trainee.measure
        row = {
            "step": self.progress.step,
            "seconds": round(self.progress.seconds, 1),
            "loss": self.losses.mean(),
            "validation_score": score,
            **{f"{measure}_{name}": error for name, error in errors.items()},
            "skipped": self.losses.missing(),
        }
        return {k: "" if v is None else f"{v:.6g}" for k, v in row.items()}

    def _report(self, errors: dict[str, float], better: bool) -> None:
        """Print a line about a validation."""
        loss, skipped = self.losses.mean(), self.losses.missing()
        shown = ", ".join(f"{name} {error:.3f}" for name, error in errors.items())
        self.bar.write(
            f"step {self.progress.step}: "
            + ("" if loss is None else f"loss {loss:.4f}, ")
            + f"validation {self.trainee.measure.upper()} {shown}"
            + (" (best)" if better else "")
            + (f", {skipped} steps skipped: loss or gradient not finite" if skipped else ""),
            file=sys.stderr,
        )

    def _give_up(self, step: int) -> NoReturn:
        """Stop after too many skipped steps, with the last good state and a report.

        The state is that before the first of them. It is good if it can be validated; else the one
        of the last checkpoint is the last good one.
        """
        params = self.mapped.one(self.state).params
        if np.isfinite(list(self.trainee.errors(params).values())).all():
            self.progress = replace(self.progress, skipped=0)
            self._save()
        kept = max(self.checkpoints.steps(), default=None)
        skipped = self._skipped_batches(step)
        path = self.trainee.folder / REPORT
        if is_first():
            rate = self.spec.learning_rate
            report = {"kept": kept, "learning_rate": rate, "skipped": skipped}
            with explained_write_errors(path, "the run is as it was"):
                write_durably(path, json.dumps(report, indent=1))
        source, days = skipped[-1]["source"], skipped[-1]["days"]
        next_start = "starts over" if kept is None else f"resumes from the state of step {kept}"
        raise GraphdownError(
            f"Loss or gradient were not finite in {self.spec.most_skipped} steps in a row, up to "
            f"step {step} with days of {source!r} ({days[0]}, ...), see {str(path)!r}; check those "
            f"days or lower 'training.learning_rate' (now {self.spec.learning_rate:g}); the same "
            f"command {next_start}."
        )

    def _skipped_batches(self, last: int) -> list[dict[str, Any]]:
        """Source and days of the skipped steps in a row, by the number of the step from 1."""
        numbers = range(last - self.spec.most_skipped + 1, last + 1)
        drawn = ((number, *self.trainee.days_of(number - 1)) for number in numbers)
        return [{"step": number, "source": source, "days": days} for number, source, days in drawn]


def _progress_bar(steps: int, done: int) -> tqdm:
    return tqdm(
        total=steps,
        initial=done,
        unit="step",
        file=sys.stderr,
        mininterval=1.0,
        dynamic_ncols=True,
        desc="train",
        disable=not is_first(),
    )
