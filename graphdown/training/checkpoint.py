"""Checkpoints of a training run, by orbax: the whole state and where the run stood."""

import dataclasses
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from graphdown.emulator import named_values, with_values
from graphdown.errors import GraphdownError
from graphdown.training.step import State

KEPT = 2


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where a run stands beside its arrays.

    Attributes:
        step: steps done.
        best: lowest validation score so far.
        best_step: when it was reached.
        stale: validations since then.
        seconds: time spent training.
    """

    step: int = 0
    best: float = float("inf")
    best_step: int = 0
    stale: int = 0
    seconds: float = 0.0


class Checkpoints:
    """The checkpoints below a folder; the newest ones are kept."""

    def __init__(self, folder: Path) -> None:
        """Open or create the folder."""
        import orbax.checkpoint as ocp

        self._ocp = ocp
        options = ocp.CheckpointManagerOptions(
            max_to_keep=KEPT, enable_async_checkpointing=False, create=True
        )
        self._manager = ocp.CheckpointManager(folder.resolve(), options=options)

    def save(self, state: State, progress: Progress) -> None:
        """Write the state and the progress as the checkpoint of progress.step."""
        arrays = named_values(state._asdict())
        args = self._ocp.args.Composite(
            state=self._ocp.args.StandardSave(arrays),
            progress=self._ocp.args.JsonSave(_finite(dataclasses.asdict(progress))),
        )
        self._manager.save(progress.step, args=args)

    def restore(self, template: State) -> tuple[State, Progress] | None:
        """Return the newest state and progress, None if there is no checkpoint.

        Raises:
            GraphdownError: the checkpoint belongs to another model or is damaged.
        """
        step = self._manager.latest_step()
        if step is None:
            return None
        wanted = {k: np.asarray(v) for k, v in named_values(template._asdict()).items()}
        args = self._ocp.args.Composite(
            state=self._ocp.args.StandardRestore(wanted), progress=self._ocp.args.JsonRestore()
        )
        try:
            restored = self._manager.restore(step, args=args)
        except ValueError as error:
            raise GraphdownError(
                f"The checkpoint of step {step} in {str(self._manager.directory)!r} does not fit "
                "the network; it belongs to another model or is damaged."
            ) from error
        values: dict[str, Any] = restored["state"]
        tree = with_values(template._asdict(), values)
        saved = dict(restored["progress"])
        best = float("inf") if saved["best"] is None else saved["best"]
        state = State(**{k: tree[k] for k in State._fields})
        return state._replace(step=jnp.asarray(state.step)), Progress(**{**saved, "best": best})

    def close(self) -> None:
        """Wait for what is being written."""
        self._manager.close()


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {k: None if v == float("inf") else v for k, v in values.items()}
