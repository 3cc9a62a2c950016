"""Steps in time beside a coarse one, and sub-steps within it.

Their fields are variables of their own, see `graphdown.variables.names`, so that code that works
by variable needs to know nothing of time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np

from graphdown.variables.names import lagged, number_of, part, parts_of, variable_of, variables_of

DAY_HOURS = 24
HOUR_SECONDS = 3600


@dataclass(frozen=True)
class TimeSpec:
    """The coarse steps of the predictors, and the finer ones of the targets.

    Attributes:
        step_hours: length of a coarse step; steps begin at 00 UTC and every so many hours.
        window: whose predictors the network sees, counted from the step itself: [-1, 0, 1] adds
            those of the step before and of the one after. Where the record has no such step, at
            its ends and in gaps, the next one towards the step itself is taken.
        substeps: values of each target in a coarse step. With more than one, predictors of the
            perfect framework are means over the coarse step.
        values: whether the targets are the "mean" over each sub-step or the state at a "point" in
            time, its beginning.
    """

    step_hours: int = DAY_HOURS
    window: tuple[int, ...] = (0,)
    substeps: int = 1
    values: Literal["mean", "point"] = "mean"

    def __post_init__(self) -> None:
        """Refuse steps that do not divide the day, and windows without the steps needed."""
        if self.step_hours < 1 or DAY_HOURS % self.step_hours:
            raise ValueError(f"step_hours must divide {DAY_HOURS}, got {self.step_hours}")
        if 0 not in self.window or len(set(self.window)) < len(self.window):
            raise ValueError(f"window must hold 0, and no step twice, got {list(self.window)}")
        if self.substeps < 1 or self.step_hours * HOUR_SECONDS % self.substeps:
            raise ValueError(f"substeps must divide a step into whole seconds, got {self.substeps}")
        if self.substeps > 1 and not {-1, 1} <= set(self.window):
            raise ValueError(
                "window must hold -1 and 1 where there are substeps, whose values start from an "
                "interpolation between steps"
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TimeSpec":
        """Rebuild from plain values, as JSON has them."""
        fields = {key: tuple(v) if key == "window" else v for key, v in values.items()}
        return cls(**cast(dict[str, Any], fields))

    @property
    def is_daily(self) -> bool:
        """Whether a coarse step is a day."""
        return self.step_hours == DAY_HOURS

    @property
    def seconds(self) -> int:
        """Length of a coarse step."""
        return self.step_hours * HOUR_SECONDS

    @property
    def target_seconds(self) -> int:
        """Length of a step of the targets."""
        return self.seconds // self.substeps

    @property
    def beside(self) -> tuple[int, ...]:
        """The window without the step itself."""
        return tuple(lag for lag in self.window if lag)

    def predictors(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the names with those of the steps beside behind them, step by step."""
        variables = variables_of(names)
        return (*variables, *(lagged(name, lag) for lag in self.beside for name in variables))

    def targets(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the names with those of the sub-steps, if any, behind them, step by step."""
        variables = variables_of(names)
        numbers = range(1, self.substeps + 1) if self.substeps > 1 else ()
        return (*variables, *(part(name, number) for number in numbers for name in variables))

    @property
    def of_means(self) -> "TimeSpec":
        """The steps without sub-steps, of which the targets are means."""
        return replace(self, substeps=1, values="mean")

    def means_of(self, values: np.ndarray) -> np.ndarray:
        """Return the variables [..., V] of the step itself of all `targets` [..., T]."""
        return values[..., : values.shape[-1] // (self.substeps + 1)]

    def unfolded(self, values: np.ndarray) -> np.ndarray:
        """Return the variables by sub-step [steps * substeps, ..., V] of all `targets`.

        Args:
            values: [steps, ..., T], with those of the sub-steps behind those of the step itself.
        """
        if self.substeps == 1:
            return values
        variables = values.shape[-1] // (self.substeps + 1)
        by_substep = values[..., variables:].reshape(*values.shape[:-1], self.substeps, variables)
        by_time = np.moveaxis(by_substep, -2, 1)
        return by_time.reshape(-1, *by_time.shape[2:])


def start_of(target: str, targets: Sequence[str], predictors: Sequence[str]) -> dict[str, float]:
    """Weights of the predictors that the prediction of a target starts from.

    That is the variable itself, or in a sub-step the straight line between the middles of the
    coarse steps; nothing for a variable that is no predictor.

    Args:
        target: its name.
        targets, predictors: every name.
    """
    name, number = variable_of(target), number_of(target)
    if name not in predictors:
        return {}
    offset = offset_of(number, len(parts_of(name, targets))) if number else 0.0
    if not offset:
        return {name: 1.0}
    return {name: 1.0 - abs(offset), lagged(name, 1 if offset > 0 else -1): abs(offset)}


def offset_of(number: int, substeps: int) -> float:
    """Distance of the middle of a sub-step from that of its step, in steps."""
    return (number - 0.5) / substeps - 0.5
