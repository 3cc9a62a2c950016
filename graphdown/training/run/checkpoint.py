"""Checkpoints of a training run: the whole state, by orbax, and the progress of the run.

A checkpoint gets its name, the number of the step, once it was read back equal and the hashes of
its files are written beside them. One with other bytes is damaged: orbax never sees it, it is put
aside, and the run resumes from the one before, or from its beginning where there is none.
"""

import dataclasses
import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from graphdown.errors import GraphdownError
from graphdown.model.parameters import named_values, with_values
from graphdown.runtime.atomic import atomic_folder, beside
from graphdown.runtime.distributed import first_before_others, is_first, wait_for_all
from graphdown.runtime.hashing import checkpoint_sha256
from graphdown.runtime.signals import check_lost_signals, deferred_stop
from graphdown.runtime.write_errors import explained_write_errors
from graphdown.training.step import State

FORMAT = 1
KEPT = 2
STATE, PROGRESS, FILES = "state", "progress.json", "files"
DAMAGED = "checkpoints.damaged"

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class RunProgress:
    """Progress of a run, beside the arrays of its state.

    Attributes:
        step: steps done.
        best: lowest validation score so far.
        best_step: when it was reached.
        stale: validations since then.
        seconds: time spent training.
        losses: of the steps since the last validation, NaN for those that were skipped.
        skipped: steps skipped in a row up to this one.
        rows: of metrics.csv.
    """

    step: int = 0
    best: float = float("inf")
    best_step: int = 0
    stale: int = 0
    seconds: float = 0.0
    losses: tuple[float, ...] = ()
    skipped: int = 0
    rows: tuple[dict[str, str], ...] = ()


class Checkpoints:
    """The checkpoints below a folder: the newest ones and that of the best score are kept."""

    def __init__(self, folder: Path) -> None:
        """Open or create the folder, and remove what was not finished.

        Raises:
            GraphdownError: it cannot be written to.
        """
        import orbax.checkpoint as ocp

        # Orbax' threads log what fails with a traceback, and raise it as well.
        logging.getLogger("absl").setLevel(logging.CRITICAL)
        self._folder = folder.resolve()
        self._orbax = ocp.Checkpointer(ocp.StandardCheckpointHandler())
        with (
            first_before_others("checkpoints"),
            explained_write_errors(folder, "choose another 'output'"),
        ):
            self._folder.mkdir(parents=True, exist_ok=True)
            for unfinished in self._folder.glob("*.new"):
                shutil.rmtree(unfinished)

    def steps(self) -> list[int]:
        """Steps of the checkpoints, oldest first."""
        return sorted(int(p.name) for p in self._folder.iterdir() if p.name.isdecimal())

    def save(self, state: State, progress: RunProgress) -> None:
        """Write the state and the progress as the checkpoint of progress.step.

        Older ones are removed once this one has been read back.

        Raises:
            GraphdownError: it could not be written; those before are as they were.
        """
        path, kept = (
            self._folder / str(progress.step),
            "the same command resumes from the one before",
        )
        folder = atomic_folder(path) if is_first() else nullcontext(beside(path, "new"))
        with explained_write_errors(path, kept), folder as new:
            if is_first():
                new.mkdir()
            wait_for_all("new checkpoint")
            self._write(new, named_values(state._asdict()), progress)
        wait_for_all("checkpoint")
        if is_first():
            for step in self.steps()[:-KEPT]:
                if step != progress.best_step:
                    shutil.rmtree(self._folder / str(step))

    def _write(self, path: Path, arrays: Mapping[str, np.ndarray], progress: RunProgress) -> None:
        """Write a checkpoint into an empty folder and read it back."""
        try:
            self._orbax.save(path / STATE, arrays)
            if is_first():
                self._describe(path, arrays, progress)
            wait_for_all("described checkpoint")
            self._read(path, progress.step, arrays)
        except ValueError as error:  # tensorstore's word for what the system refuses
            raise OSError(str(error)) from error

    def _describe(
        self, path: Path, arrays: Mapping[str, np.ndarray], progress: RunProgress
    ) -> None:
        plain = _plain(progress)
        described = {"format": FORMAT, **plain, "sha256": checkpoint_sha256(arrays, plain)}
        text = json.dumps({**described, FILES: _hashes(path)}, indent=1)
        (path / PROGRESS).write_text(text, encoding="utf-8")

    def restore(self, template: State, first: int = 0) -> tuple[State, RunProgress] | None:
        """Read the newest state and progress that can be read, None if there is no checkpoint.

        Damaged checkpoints are put aside, which is logged. Before a run's first checkpoint is its
        beginning: None, too, if a damaged one is the only one and of no step after `first`.

        Raises:
            GraphdownError: the checkpoint belongs to another model or is of a newer version, or
                there are some but none can be read.
            Interrupted: by a signal, once it is read: orbax cannot be stopped half-way.
        """
        with deferred_stop() as stop:
            restored = self._restore(template, first)
            stop.check()
        return restored

    def _restore(self, template: State, first: int) -> tuple[State, RunProgress] | None:
        steps, restored = self.steps(), None
        damaged: dict[int, str] = {}
        for step in reversed(steps):
            try:
                restored = self._state(step, template)
                break
            except _Damaged as found:
                damaged[step] = str(found)
        if damaged and restored is None and (len(steps) > 1 or steps[0] > first):
            raise GraphdownError(
                f"No checkpoint in {str(self._folder)!r} can be read (that of step {steps[0]}: "
                f"{damaged[steps[0]]}); put the folder back, or begin anew in another 'output'."
            )
        instead = "the run begins anew" if restored is None else "the one before serves"
        for step, damage in damaged.items():
            self._put_aside(step, damage, instead)
        return restored

    def best(self, template: State) -> State | None:
        """State of the best score, None if it is absent or damaged."""
        newest = self.restore(template)
        if newest is None or newest[1].best_step not in self.steps():
            return None
        try:
            return self._state(newest[1].best_step, template)[0]
        except _Damaged:
            return None

    def close(self) -> None:
        """End orbax's threads."""
        self._orbax.close()

    def _state(self, step: int, template: State) -> tuple[State, RunProgress]:
        arrays = named_values(template._asdict())
        try:
            values, progress = self._read(self._folder / str(step), step, arrays)
        except GraphdownError:
            raise
        except Exception as error:  # whatever orbax, tensorstore and JSON make of broken files
            check_lost_signals()
            raise _Damaged(" ".join(str(error).split())[:200].rstrip(".")) from None
        tree = with_values(template._asdict(), values)
        state = State(**{k: tree[k] for k in State._fields})
        return state._replace(step=jnp.asarray(state.step)), progress

    def _read(
        self, path: Path, step: int, template: Mapping[str, np.ndarray]
    ) -> tuple[dict[str, Any], RunProgress]:
        """Read arrays and progress; a `ValueError` or the like if they are not as written.

        Nothing is allocated for arrays that do not have the template's shapes.
        """
        where = f"The checkpoint of step {step} in {str(self._folder)!r}"
        saved = dict(json.loads((path / PROGRESS).read_text(encoding="utf-8")))
        _check_format(where, saved.pop("format"))
        _check_files(path, saved.pop(FILES))
        sha256 = saved.pop("sha256")
        _check_fit(where, self._orbax.metadata(path / STATE).item_metadata.tree, template)
        values = dict(self._orbax.restore(path / STATE, dict(template)))
        if checkpoint_sha256(values, saved) != sha256:
            raise ValueError("it does not have the hash that it was written with")
        progress = _progress(saved)
        if progress.step != step:
            raise ValueError(f"it is that of step {progress.step}")
        return values, progress

    def _put_aside(self, step: int, damage: str, instead: str) -> None:
        """Move a damaged checkpoint out of the way, keeping it."""
        path, aside = self._folder / str(step), self._folder.with_name(DAMAGED)
        with (
            first_before_others(f"damaged {step}"),
            explained_write_errors(aside, "nothing was changed"),
        ):
            if is_first():
                aside.mkdir(exist_ok=True)
                shutil.rmtree(aside / path.name, ignore_errors=True)
                path.rename(aside / path.name)
        log.warning(
            "The checkpoint of step %d is damaged (%s) and was put into %r; %s.",
            step,
            damage,
            str(aside),
            instead,
        )


class _Damaged(Exception):
    """A checkpoint cannot be read."""


def _check_format(where: str, number: int) -> None:
    if number > FORMAT:
        raise GraphdownError(
            f"{where} was written by a newer graphdown (format {number}; this one reads up to "
            f"{FORMAT}); update graphdown."
        )


def _check_files(path: Path, hashes: Mapping[str, str]) -> None:
    found = _hashes(path)
    wrong = sorted(name for name in {*hashes, *found} if hashes.get(name) != found.get(name))
    if wrong:
        raise ValueError(f"{wrong[0]} is not as it was written")


def _check_fit(where: str, stored: Mapping[str, Any], template: Mapping[str, np.ndarray]) -> None:
    differing = sorted(set(stored) ^ set(template))
    if differing:
        raise GraphdownError(
            f"{where} does not fit the network ({differing[0]!r} is on one side only); it belongs "
            "to another model."
        )
    for name, value in template.items():
        shape = tuple(stored[name].shape)
        if shape != value.shape:
            raise GraphdownError(
                f"{where} does not fit the network ({name!r} has shape {shape}, the network needs "
                f"{value.shape}); it belongs to another model."
            )


def _hashes(path: Path) -> dict[str, str]:
    """Hashes of a checkpoint's files of arrays, by their paths within."""
    files = sorted(p for p in (path / STATE).rglob("*") if p.is_file())
    return {
        p.relative_to(path).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files
    }


def _plain(progress: RunProgress) -> dict[str, Any]:
    """The progress as JSON has it, which knows no infinity and no NaN."""
    losses = [v if np.isfinite(v) else None for v in progress.losses]
    best = progress.best if np.isfinite(progress.best) else None
    return {**dataclasses.asdict(progress), "best": best, "losses": losses}


def _progress(saved: Mapping[str, Any]) -> RunProgress:
    """The progress from plain values, as of `_plain`; a `ValueError` if they are none."""
    from pydantic import TypeAdapter

    best = float("inf") if saved["best"] is None else saved["best"]
    losses = [float("nan") if v is None else v for v in saved["losses"]]
    return TypeAdapter(RunProgress).validate_python({**saved, "best": best, "losses": losses})
