"""Writing of a sample store, a few days at a time, from where an earlier start was stopped.

The days go to a hidden folder beside the store, with a journal of those that are on the disk. The
folder gets the store's name when all are there.
"""

import json
import math
import os
import shutil
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from graphdown.data.holders import Rules, read
from graphdown.data.reading.fields import field_values
from graphdown.data.reading.horizontal import grid_of
from graphdown.data.reading.rules import refuse
from graphdown.errors import GraphdownError
from graphdown.runtime.atomic import beside, move_into_place, sync_below
from graphdown.runtime.parts import parts_of
from graphdown.runtime.progress import Progress

PART_BYTES = 64 * 2**20  # read at once
SHARD_BYTES = 64 * 2**20
JOURNAL = "packed.json"


@dataclass
class PackedDays:
    """Days of a store that are on the disk.

    Attributes:
        origin: plain values that determine the store.
        day: number of days of the files that are done with.
        rows: number of those that are in the store.
        dropped: numbers of those that are not.
        filled: number of values below ground that were filled, by variable.
    """

    origin: dict[str, Any]
    day: int = 0
    rows: int = 0
    dropped: list[int] = field(default_factory=list)
    filled: dict[str, int] = field(default_factory=dict)


def pack(path: Path, lazy: xr.Dataset, rules: Rules, where: str, origin: dict[str, Any]) -> None:
    """Write a store, or the rest of one; it replaces an earlier one when it is complete.

    What is written stays for the next start if this one is interrupted, not if the data are
    refused.

    Args:
        path: the store.
        lazy: fields [time, *horizontal], not read yet.
        rules: applied to parts of it, read.
        where: for messages.
        origin: plain values that determine what is in the store.

    Raises:
        DataError: a value is refused, or no day has values of all variables.
        GraphdownError: the store cannot be written.
    """
    new = beside(path, "new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        packed = _begun(new, origin)
        with Progress(lazy.sizes["time"], packed.day, f"packing {where}") as progress:
            writer = _Writer(new, lazy.sizes["time"], where, packed)
            for part in parts_of(lazy.isel(time=slice(packed.day, None)), PART_BYTES):
                writer.append(part, rules)
                progress.add(part.sizes["time"])
            writer.finish()
        sync_below(new)
        move_into_place(new, path, beside(path, "old"))
        shutil.rmtree(beside(path, "old"), ignore_errors=True)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        reason = error.strerror or " ".join(str(error).split())
        raise GraphdownError(
            f"The store {str(path)!r} was not written ({reason}); see that the disk has room, or "
            "set 'training.sample_storage: memory'."
        ) from error
    except GraphdownError:
        shutil.rmtree(new, ignore_errors=True)
        raise


def open_array(path: Path) -> Any:
    """Values of a store, as a tensorstore [time, node, variable]."""
    import tensorstore

    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": os.path.abspath(path)}}
    return tensorstore.open(spec).result()


def value_bytes(path: Path) -> int:
    """Size of the values of a store on the disk."""
    return sum(p.stat().st_size for p in (path / "c").rglob("*") if p.is_file())


def _begun(new: Path, origin: dict[str, Any]) -> PackedDays:
    """Days that an earlier start has written, none if it wrote another store."""
    try:
        packed = PackedDays(**json.loads((new / JOURNAL).read_text(encoding="utf-8")))
        if packed.origin == origin and packed.rows:
            return packed
    except (OSError, ValueError, TypeError):
        pass
    shutil.rmtree(new, ignore_errors=True)
    return PackedDays(origin)


class _Writer:
    """Appends days to a store, whole shards at a time, and keeps the journal of them."""

    def __init__(self, path: Path, most: int, where: str, packed: PackedDays) -> None:
        self.path, self.most, self.where = path, most, where
        self.names: list[str] = []
        self.rows = packed.rows
        self.waiting: list[np.ndarray] = []
        self.packed, self.ends = packed, [packed]

    def append(self, part: xr.Dataset, rules: Rules) -> None:
        """Read days, apply the rules, and write those of whole shards."""
        ready, last = rules(read(part, self.where)), self.ends[-1]
        filled = dict(Counter(last.filled) + Counter(ready.filled))
        gone = [last.day + int(day) for day in np.flatnonzero(~ready.kept)]
        self.ends.append(
            replace(
                last,
                day=last.day + len(ready.kept),
                rows=last.rows + int(ready.kept.sum()),
                dropped=[*last.dropped, *gone],
                filled=filled,
            )
        )
        if ready.kept.any():
            if not self.names:
                self._open(ready.ds)
            self.waiting.append(field_values(ready.ds, self.names, self.grid))
            there = self.rows + sum(map(len, self.waiting))
            self._flush(max(0, there // self.shard * self.shard - self.rows))
            self._note()

    def finish(self) -> None:
        """Write the days that wait, and what the store holds.

        Raises:
            DataError: there is none.
        """
        import zarr

        last = self.ends[-1]
        if not last.rows:
            sentence = f"{self.where}: no day has values of all variables; check them."
            raise refuse("all-missing", sentence)
        self._flush(sum(map(len, self.waiting)))
        array = zarr.open_array(self.path, mode="r+")
        array.resize((last.rows, *array.shape[1:]))
        attrs: dict[str, Any] = {
            "origin": last.origin,
            "dropped": last.dropped,
            "filled": last.filled,
        }
        array.update_attributes({**attrs, "bytes": value_bytes(self.path)})
        (self.path / JOURNAL).unlink(missing_ok=True)

    def _open(self, ds: xr.Dataset) -> None:
        import zarr

        self.names = [str(n) for n, v in ds.data_vars.items() if "time" in v.dims]
        self.grid = grid_of(ds[self.names[0]], self.where)
        shape = (self.grid.size, len(self.names))
        self.shard = min(max(1, SHARD_BYTES // (4 * math.prod(shape))), self.most)
        if not self.rows:
            zarr.create_array(
                self.path,
                shape=(self.most, *shape),
                shards=(self.shard, *shape),
                chunks=(1, *shape),
                dtype="float32",
                filters=None,
                compressors=None,
                fill_value=float("nan"),
                dimension_names=("time", "node", "variable"),
                attributes={"names": self.names},
                overwrite=True,
            )
        self.array = open_array(self.path)

    def _flush(self, count: int) -> None:
        rows = np.concatenate(self.waiting) if self.waiting else np.empty((0,))
        if count:
            try:
                self.array[self.rows : self.rows + count].write(rows[:count]).result()
            except ValueError as error:  # as tensorstore reports errors of the system
                raise OSError(str(error)) from error
        self.rows += count
        self.waiting = [rows[count:]] if len(rows) > count else []

    def _note(self) -> None:
        """Note the last part of which all days are on the disk."""
        done = [number for number, end in enumerate(self.ends) if end.rows <= self.rows]
        self.ends = self.ends[done[-1] :]
        if self.ends[0].rows > self.packed.rows:
            self.packed = self.ends[0]
            unfinished = self.path / f"{JOURNAL}.new"
            unfinished.write_text(json.dumps(asdict(self.packed)), encoding="utf-8")
            unfinished.replace(self.path / JOURNAL)
