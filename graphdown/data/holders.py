"""Load the values of a dataset into memory or to disk, with rules applied to each part.

A part is some days of all variables; in memory it is the whole dataset.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import xarray as xr

from graphdown.data.reading.files import unreadable
from graphdown.data.reading.missing import days_with_values, with_ground_filled


@dataclass(frozen=True)
class Ready:
    """Days to which the rules were applied.

    Attributes:
        ds: the days that are kept.
        kept: False for the days that were left out [time before].
        filled: number of values below ground that were filled, by variable.
    """

    ds: xr.Dataset
    kept: np.ndarray
    filled: dict[str, int] = field(default_factory=dict)


Rules = Callable[[xr.Dataset], Ready]


class Holder(Protocol):
    """Memory or disk, where the values of an experiment's fields are kept."""

    def hold(
        self, name: str, where: str, lazy: xr.Dataset, rules: Rules, origin: dict[str, Any]
    ) -> Ready:
        """Apply the rules to a dataset and keep its values.

        Args:
            name: of the dataset.
            where: for messages.
            lazy: fields [time, *horizontal], not read yet.
            rules: applied to parts of it, read.
            origin: plain values that identify the origin of the values and how they are processed.
        """
        ...


class Memory:
    """Keeps values in memory."""

    def hold(
        self, name: str, where: str, lazy: xr.Dataset, rules: Rules, origin: dict[str, Any]
    ) -> Ready:
        """Read the dataset and apply the rules; see `Holder`."""
        return rules(read(lazy, where))


@dataclass(frozen=True)
class ValueRules:
    """The rules for the values of a target or a source.

    Attributes:
        counted: variables without which a day is left out.
        every: whether a day is left out only if all of them are missing.
        ground: whether points below ground are filled.
        where: for messages.
    """

    counted: Sequence[str]
    every: bool
    ground: bool
    where: str

    def __call__(self, part: xr.Dataset) -> Ready:
        """Apply the rules to days in memory."""
        kept = days_with_values(part, self.counted, self.every)
        ds = part if kept.all() else part.isel(time=np.flatnonzero(kept))
        if not self.ground or not kept.any():
            return Ready(ds, kept)
        ds, filled = with_ground_filled(ds, self.counted, self.where)
        return Ready(ds, kept, filled)


def as_they_are(part: xr.Dataset) -> Ready:
    """Apply no rule."""
    return Ready(part, np.ones(part.sizes["time"], bool))


def read(ds: xr.Dataset, where: str) -> xr.Dataset:
    """Load a dataset into memory.

    Raises:
        DataError: a file cannot be read.
    """
    try:
        return ds.compute()
    except (OSError, RuntimeError, EOFError) as error:
        raise unreadable(where, error) from None
