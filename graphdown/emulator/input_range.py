"""Predictors and outputs far from what an emulator knows: noticed, or refused."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from graphdown.data.normalise import Normaliser
from graphdown.data.reading.dates import days_of
from graphdown.data.reading.rules import counted
from graphdown.errors import DataError
from graphdown.variables.catalogue import describe
from graphdown.variables.names import variables_of

logger = logging.getLogger(__name__)

BEYOND = 3.0  # standard deviations outside the range of the training


@dataclass
class _Farthest:
    """The day on which a variable is farthest out, and how many days it is out on."""

    day: str
    amount: float
    days: int


@dataclass
class RangeWatch:
    """Watches predictors and outputs of an emulator as they stream by.

    A predictor is far outside if a value lies more than BEYOND of its standard deviations in
    training above the greatest or below the least value of the training. An output is impossible
    if it lies outside the range that the catalogue has for the variable.

    Attributes:
        normaliser: statistics of the training.
        refuse: whether a predictor far outside is refused instead of noticed.
    """

    normaliser: Normaliser
    refuse: bool = False
    _far: dict[str, _Farthest] = field(default_factory=dict)
    _impossible: dict[str, _Farthest] = field(default_factory=dict)
    _told: dict[tuple[int, str], float] = field(default_factory=dict)

    def watch_predictors(self, values: np.ndarray, time: xr.DataArray) -> None:
        """Compare predictors [days, Ns, V] with those of the training.

        Raises:
            DataError: one is far outside, and that is refused.
        """
        if not self.normaliser.least:
            return
        least, greatest, std = self._range()
        above = np.fmax.reduce(values, axis=1) - greatest
        below = least - np.fmin.reduce(values, axis=1)
        amount = np.fmax(above, below) / std
        for v, name in enumerate(self.normaliser.predictors):
            self._keep(self._far, name, np.nan_to_num(amount[:, v]), BEYOND, time)
        if self.refuse and self._far:
            raise DataError(
                f"{self._far_words([*self._far])}; give other predictors, or leave --refuse-beyond "
                "(refuse_beyond) out."
            )

    def watch_outputs(self, values: np.ndarray, mask: np.ndarray, time: xr.DataArray) -> None:
        """Compare outputs with the ranges of the catalogue.

        Args:
            values: [times, ..., Nt, T].
            mask: [Nt, T], True where they count.
            time: of the outputs.
        """
        for t, name in enumerate(variables_of(self.normaliser.targets)):
            least, greatest = describe(name).plausible
            part = values[..., t]
            if part.min() >= least and part.max() <= greatest:  # the usual case, which is quick
                continue
            made = np.where(mask[:, t], part, np.float32(np.nan)).reshape(len(part), -1)
            outside = np.fmax(
                np.fmax.reduce(made, axis=1) - greatest, least - np.fmin.reduce(made, axis=1)
            )
            self._keep(self._impossible, name, np.nan_to_num(outside), 0.0, time)

    def log(self) -> None:
        """Log one sentence on far predictors and one on impossible outputs, if there were any."""
        for sentence in self._sentences([*self._far], [*self._impossible]):
            logger.warning("%s", sentence)

    def news(self) -> list[str]:
        """Sentences on what is out for the first time, or twice as far as when it was told last."""
        return self._sentences(self._grown(self._far), self._grown(self._impossible))

    def _grown(self, found: Mapping[str, _Farthest]) -> list[str]:
        grown = []
        for name, worst in found.items():
            if worst.amount >= 2 * self._told.get((id(found), name), 0.0):
                self._told[id(found), name] = worst.amount
                grown.append(name)
        return grown

    def _sentences(self, far: Sequence[str], impossible: Sequence[str]) -> list[str]:
        sentences = [f"{self._far_words(far)}; the emulator extrapolates there."] if far else []
        for name in impossible:
            worst, variable = self._impossible[name], describe(name)
            least, greatest = variable.plausible
            sentences.append(
                f"The output {name!r} is outside {least:g} to {greatest:g} {variable.units} on "
                f"{counted(worst.days, 'time')}, the most by {worst.amount:.3g} on {worst.day}; do "
                "not use it there, and check the predictors."
            )
        return sentences

    def _range(self) -> tuple[np.ndarray, ...]:
        normaliser = self.normaliser
        count = len(normaliser.predictors)
        parts = (normaliser.least, normaliser.greatest, normaliser.std[:count])
        return tuple(np.asarray(part, np.float64) for part in parts)

    def _keep(
        self,
        found: dict[str, _Farthest],
        name: str,
        amount: np.ndarray,
        most: float,
        time: xr.DataArray,
    ) -> None:
        out = amount > most
        if not out.any():
            return
        worst = int(amount.argmax())
        before = found.get(name, _Farthest("", -math.inf, 0))
        days = before.days + int(out.sum())
        if amount[worst] > before.amount:
            day = str(days_of(time.isel(time=slice(worst, worst + 1)))[0])
            before = _Farthest(day, float(amount[worst]), days)
        found[name] = _Farthest(before.day, before.amount, days)

    def _far_words(self, names: Sequence[str]) -> str:
        parts = [
            f"{name!r} on {counted(worst.days, 'time')}, the most on {worst.day} "
            f"({worst.amount:.3g} standard deviations beyond)"
            for name, worst in ((name, self._far[name]) for name in names)
        ]
        return f"Predictors are far outside the range of the training: {'; '.join(parts)}"
