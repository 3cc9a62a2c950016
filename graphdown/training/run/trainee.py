"""The interface of a training loop to what it trains."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import optax

from graphdown.config.experiment import Experiment
from graphdown.training.parallel import DataParallel, Specs, Step
from graphdown.training.run.input_checksums import Checksums

EVERY = slice(None)


class Trainee(ABC):
    """Parameters that steps move, and scores by which the best of them are kept.

    Attributes:
        experiment: says how long and on what devices.
        folder: of the run.
        params: before the first step.
        optimiser: what moves them.
        checksums: of the fields, see `graphdown.training.run.input_checksums`.
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
    checksums: Checksums
    result: str
    scores_start = False
    specs: Specs | None = None
    measure = "rmse"

    @property
    def days_a_step(self) -> int:
        """Days of a step over all devices."""
        return self.experiment.training.batch_size

    @abstractmethod
    def device_step(self) -> Step:
        """The step for one device."""

    @abstractmethod
    def replicated(self, mapped: DataParallel) -> list[Any]:
        """Constants of each source on every device."""

    @abstractmethod
    def batch(self, step: int, share: slice = EVERY) -> tuple[Any, int]:
        """A share of the days of a step, and the number of their source."""

    @abstractmethod
    def days_of(self, step: int) -> tuple[str, list[str]]:
        """Name of the source of a step, and its days, as in "2001-01-31"."""

    @abstractmethod
    def errors(self, params: Any) -> dict[str, float]:
        """Validation error by variable, mean over the sources."""

    @abstractmethod
    def scales(self) -> list[tuple[str, float]]:
        """Scale of each variable's error in the score."""

    @abstractmethod
    def keep(self, params: Any) -> None:
        """Write these weights as the best ones."""

    @abstractmethod
    def load(self) -> Any:
        """The best weights as they were written; `DamageError` if that is impossible."""
