"""Load the values of a dataset into memory or to disk, or only check them, by rules for each part.

A part is some days of all variables; in memory it is the whole dataset.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import xarray as xr

from graphdown.data.reading.files import unreadable
from graphdown.data.reading.missing import days_with_values, with_ground_filled
from graphdown.data.reading.value_samples import some_times
from graphdown.runtime.parts import parts_of
from graphdown.runtime.progress import Progress
from graphdown.variables.catalogue import STATIC

TIMES = 3  # that stand for all, where not all are read
DAYS_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Ready:
    """Days to which the rules were applied.

    Attributes:
        ds: the days that are kept.
        kept: False for the days that were left out [time before].
        filled: number of values below ground that were filled, by variable.
        sampled: whether values of a few times were looked at only.
    """

    ds: xr.Dataset
    kept: np.ndarray
    filled: dict[str, int] = field(default_factory=dict)
    sampled: bool = False


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
class Unread:
    """Reads values to check them and keeps none of them.

    The dataset that it returns has all times and, at each of them, a value wherever there is one
    at some time: enough to compare grids, masks and days.

    Attributes:
        full: whether all days are read, a few at a time, instead of a few days.
    """

    full: bool = False

    def hold(
        self, name: str, where: str, lazy: xr.Dataset, rules: Rules, origin: dict[str, Any]
    ) -> Ready:
        """Read some or all days and apply the rules; see `Holder`."""
        parts = parts_of(lazy) if self.full else [some_times(lazy, TIMES)]
        kept: list[np.ndarray] = []
        filled: Counter[str] = Counter()
        merged: xr.Dataset | None = None
        total = lazy.sizes["time"] if self.full else TIMES
        with Progress(total, what=f"checking {where}") as progress:
            for part in parts:
                ready = rules(read(part, where))
                kept.append(ready.kept)
                filled.update(ready.filled)
                if ready.kept.any():
                    some = ready.ds.map(_any_time)
                    merged = some if merged is None else merged.fillna(some)
                progress.add(part.sizes["time"])
        of_days = np.concatenate(kept)
        if not self.full:
            of_days = np.full(lazy.sizes["time"], of_days.any())
        if merged is None:
            return Ready(lazy, of_days)
        time = lazy["time"].isel(time=np.flatnonzero(of_days))
        return Ready(_at_all(merged, time), of_days, dict(filled), not self.full)


def _any_time(field: xr.DataArray) -> xr.DataArray:
    return field.max("time", keep_attrs=True) if "time" in field.dims else field


def _at_all(still: xr.Dataset, time: xr.DataArray) -> xr.Dataset:
    """Fields that are the same at all times, without memory for these."""
    import dask.array as da

    fields: dict[Any, xr.DataArray] = {}
    for name, one in still.data_vars.items():
        if name in STATIC:
            fields[name] = one
            continue
        array = da.from_array(one.values, chunks=-1, name=False)
        days = max(1, DAYS_BYTES // max(one.nbytes, 1))
        shape = (time.sizes["time"], *one.shape)
        chunks = da.core.normalize_chunks((days, *one.shape), shape)
        many = da.broadcast_to(array, shape, chunks=chunks)
        fields[name] = xr.DataArray(many, dims=("time", *one.dims), attrs=one.attrs)
    return xr.Dataset(fields, {**still.coords, "time": time}, still.attrs)


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
