"""The losses of recent steps, and how many were skipped because they were not finite.

The step itself skips, see `graphdown.training.step.make_descent`. The losses stay on the device
and are looked at every now and then, so that no step waits for the counting.
"""

from collections.abc import Sequence

import jax
import numpy as np


class LossLog:
    """The losses of the steps since the last validation.

    Attributes:
        skipped: steps skipped in a row, as far as looked at.
    """

    def __init__(self, step: int, known: Sequence[float], skipped: int) -> None:
        """Start from the losses known at a step, and the steps skipped in a row up to it."""
        self.step, self.skipped = step, skipped
        self._known = [np.float32(v) for v in known]
        self._waiting: list[jax.Array] = []

    def add(self, loss: jax.Array) -> None:
        """Note the loss of the next step, NaN if that was skipped."""
        self._waiting.append(loss)

    def look(self, most: int) -> int | None:
        """Look at the losses so far.

        Returns:
            The step, counted from 1, at which `most` in a row were skipped; None if there is none.
        """
        reached = None
        for loss in jax.device_get(self._waiting):
            self.step += 1
            self.skipped = 0 if np.isfinite(loss) else self.skipped + 1
            if reached is None and self.skipped >= most:
                reached = self.step
            self._known.append(loss)
        self._waiting = []
        return reached

    @property
    def values(self) -> tuple[float, ...]:
        """The losses looked at since the last validation."""
        return tuple(map(float, self._known))

    def mean(self) -> float | None:
        """Mean of the steps that were not skipped, NaN if all were, None before the first one."""
        if not self._known:
            return None
        taken = [v for v in self._known if np.isfinite(v)]
        return float(np.mean(taken)) if taken else float("nan")

    def missing(self) -> int:
        """Number of those that were skipped."""
        return sum(not np.isfinite(v) for v in self._known)

    def start_anew(self) -> None:
        """Forget them, after a validation."""
        self._known = []
