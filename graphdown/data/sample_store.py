"""Fields on disk, packed so that any few days are read at once, and written in bounded memory.

A store is a zarr array [time, node, variable] of float32, uncompressed, one day a chunk, many
chunks in a shard file, so that a training step reads a day in one piece. zarr's Python code
spends a millisecond on a chunk; tensorstore, which orbax brings along, reads the same files ten
times faster and without blocking the interpreter.
"""

import json
import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import xarray as xr

from graphdown.config.experiment import Experiment
from graphdown.data.holders import Ready, Rules, read
from graphdown.data.reading.fields import field_values
from graphdown.data.reading.horizontal import grid_of
from graphdown.data.reading.rules import refuse
from graphdown.errors import GraphdownError
from graphdown.runtime.atomic import atomic_folder
from graphdown.runtime.parts import parts_of
from meshes import Grid

FORMAT = 1
FOLDER = "samples"
PART_BYTES = 64 * 2**20  # read at once
SHARD_BYTES = 64 * 2**20


def store_folder(experiment: Experiment, run: str | Path) -> Path | None:
    """Folder of the fields that a run keeps on disk, None if it keeps them in memory."""
    return Path(run) / FOLDER if experiment.training.sample_storage == "disk" else None


@dataclass(frozen=True, eq=False)
class StoredDays:
    """Days of a store, read lazily: `days[indices]`, `days[start:end]`.

    Attributes:
        array: tensorstore [time, node, variable].
        rows: which of its times these days are [D]; or which of them each day has beside it, with
            itself first [D, L], whose variables are concatenated.
        columns: which of its variables [V].
        nodes: which node's values each node takes [N].
        padding: number of further nodes, with the value 0.
    """

    array: Any
    rows: np.ndarray
    columns: np.ndarray
    nodes: np.ndarray
    padding: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Days, nodes and variables."""
        steps = self.rows.shape[1] if self.rows.ndim == 2 else 1
        return len(self.rows), len(self.nodes) + self.padding, steps * len(self.columns)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, days: np.ndarray | slice) -> np.ndarray:
        rows = self.rows[days]
        if rows.ndim == 2:
            every = replace(self, rows=rows.ravel())[:]
            by_step = every.reshape(*rows.shape, *every.shape[1:])
            return np.concatenate(np.moveaxis(by_step, 1, 0), axis=-1)
        order = np.arange(len(rows))
        consecutive = len(rows) > 0 and bool((rows == rows[0] + order).all())
        part = self.array[int(rows[0]) : int(rows[-1]) + 1] if consecutive else self.array[rows]
        values = part.read().result()
        if not np.array_equal(self.columns, np.arange(values.shape[2])):
            values = values[:, :, self.columns]
        if not np.array_equal(self.nodes, np.arange(values.shape[1])):
            values = values[:, self.nodes]
        if self.padding:
            values = np.pad(values, ((0, 0), (0, self.padding), (0, 0)))
        return np.ascontiguousarray(values)

    def padded(self, size: int) -> "StoredDays":
        """Days with further nodes, up to a size."""
        return replace(self, padding=size - len(self.nodes))


@dataclass(frozen=True, eq=False)
class Stored:
    """The fields of a target or a source in a store.

    Attributes:
        path: zarr store.
        names: of the variables in it.
        grid: its points are the nodes; its mask is not used.
        time: the index of its times.
    """

    path: Path
    names: tuple[str, ...]
    grid: Grid
    time: Any

    @cached_property
    def array(self) -> Any:
        """The values, as a tensorstore [time, node, variable]."""
        return _open_array(self.path)

    def days(
        self,
        time: xr.DataArray,
        names: Sequence[str],
        nodes: np.ndarray | None = None,
        beside: Sequence[xr.DataArray] = (),
    ) -> StoredDays:
        """Days by their time stamps, and some of the variables.

        Args:
            time: time stamps that the store has.
            names: variables.
            nodes: which node's values each node takes; by default its own.
            beside: further times for each of the days, whose variables follow those of the day.
        """
        found = [self.time.get_indexer(times.to_index()) for times in (time, *beside)]
        lacking = sum(int((rows < 0).sum()) for rows in found)
        if lacking:
            raise KeyError(f"{self.path} lacks {lacking} of the times asked for.")
        rows = np.stack(found, axis=-1) if beside else found[0]
        columns = np.asarray([self.names.index(name) for name in names])
        nodes = np.arange(self.grid.size) if nodes is None else nodes
        return StoredDays(self.array, rows, columns, nodes)

    def variables(self, like: xr.Dataset) -> dict[str, xr.Variable]:
        """Fields [time, *horizontal], read lazily, with the attributes of those in `like`."""
        import dask.array as da

        steps = max(1, PART_BYTES // (4 * math.prod(self.array.shape[1:])))
        shape = (len(self.time), *self.grid.shape)
        whole = da.from_array(
            _Readable(self.array), (steps, -1, -1), name=False, meta=np.empty((0, 0, 0), np.float32)
        )
        return {
            name: xr.Variable(
                ("time", *self.grid.dims), whole[:, :, i].reshape(shape), like[name].attrs
            )
            for i, name in enumerate(self.names)
        }


@dataclass(frozen=True)
class _Readable:
    """Array as dask reads it."""

    array: Any
    dtype: Any = np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, index: Any) -> np.ndarray:
        return np.asarray(self.array[index].read().result())


class Disk:
    """Holds values in the stores of a folder.

    A store is written once, part by part, under a temporary name until it is complete. It is reused
    as long as it is complete and has the same origin.

    Attributes:
        stored: the stores by name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stored: dict[str, Stored] = {}

    def hold(
        self, name: str, where: str, lazy: xr.Dataset, rules: Rules, origin: dict[str, Any]
    ) -> Ready:
        """Dataset with its fields in a store; see `graphdown.data.holders.Holder`.

        Raises:
            GraphdownError: the store cannot be written.
        """
        path = self.folder / f"{quote(name, safe=' ')}.zarr"
        writer = {"format": FORMAT, "graphdown": version("graphdown")}
        origin = json.loads(json.dumps({**writer, **origin}))
        attrs = _whole(path)
        if attrs is None or attrs["origin"] != origin:
            _write(path, lazy, rules, where, origin)
            attrs = _whole(path)
        assert attrs is not None
        kept = np.ones(lazy.sizes["time"], bool)
        kept[attrs["dropped"]] = False
        first = rules(read(lazy.isel(time=np.flatnonzero(kept)[:1]), where)).ds
        stored = Stored(
            path,
            tuple(attrs["names"]),
            grid_of(first[attrs["names"][0]], where),
            lazy.indexes["time"][kept],
        )
        self.stored[name] = stored
        return Ready(_dataset(stored, first, lazy, kept), kept, attrs["filled"])


def _dataset(stored: Stored, first: xr.Dataset, lazy: xr.Dataset, kept: np.ndarray) -> xr.Dataset:
    """Dataset like its first day, with all days."""
    times = lazy.drop_vars(list(lazy.data_vars)).isel(time=np.flatnonzero(kept))
    still = first.drop_vars([n for n, v in first.variables.items() if "time" in v.dims])
    timed = {n: v for n, v in times.coords.items() if n in first.coords and "time" in v.dims}
    return still.assign_coords(timed).assign(stored.variables(first))


def _whole(path: Path) -> dict[str, Any] | None:
    """Attributes of a store, None if it is absent or incomplete."""
    try:
        attrs = json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"]
    except (OSError, ValueError, KeyError):
        return None
    return attrs if attrs.get("bytes") == _value_bytes(path) else None


def _value_bytes(path: Path) -> int:
    return sum(p.stat().st_size for p in (path / "c").rglob("*") if p.is_file())


def _write(path: Path, lazy: xr.Dataset, rules: Rules, where: str, origin: dict[str, Any]) -> None:
    """Write a store; it replaces an earlier one when it is complete."""
    kept: list[np.ndarray] = []
    filled: Counter[str] = Counter()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_folder(path) as new:
            writer = _Writer(new, lazy.sizes["time"], where)
            for part in parts_of(lazy, PART_BYTES):
                ready = rules(read(part, where))
                kept.append(ready.kept)
                filled.update(ready.filled)
                if ready.kept.any():
                    writer.append(ready.ds)
            every = np.concatenate(kept)
            if not every.any():
                sentence = f"{where}: no day has values of all variables; check them."
                raise refuse("all-missing", sentence)
            dropped = np.flatnonzero(~every).tolist()
            writer.finish({"origin": origin, "dropped": dropped, "filled": dict(filled)})
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise GraphdownError(
            f"The store {str(path)!r} was not written ({reason}); see that the disk has room, or "
            "set 'training.sample_storage: memory'."
        ) from error


class _Writer:
    """Appends days to a new store, whole shards at a time."""

    def __init__(self, path: Path, most: int, where: str) -> None:
        self.path, self.most, self.where = path, most, where
        self.names: list[str] = []
        self.rows = 0
        self.waiting: list[np.ndarray] = []

    def append(self, ds: xr.Dataset) -> None:
        if not self.names:
            self._create(ds)
        self.waiting.append(field_values(ds, self.names, self.grid))
        whole = sum(map(len, self.waiting)) // self.shard * self.shard
        if whole:
            self._flush(whole)

    def finish(self, attrs: dict[str, Any]) -> None:
        import zarr

        self._flush(sum(map(len, self.waiting)))
        array = zarr.open_array(self.path, mode="r+")
        array.resize((self.rows, *array.shape[1:]))
        array.update_attributes({**attrs, "names": self.names, "bytes": _value_bytes(self.path)})

    def _create(self, ds: xr.Dataset) -> None:
        import zarr

        self.names = [str(n) for n, v in ds.data_vars.items() if "time" in v.dims]
        self.grid = grid_of(ds[self.names[0]], self.where)
        shape = (self.grid.size, len(self.names))
        self.shard = min(max(1, SHARD_BYTES // (4 * math.prod(shape))), self.most)
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
        )
        self.array = _open_array(self.path)

    def _flush(self, count: int) -> None:
        rows = np.concatenate(self.waiting) if self.waiting else np.empty((0,))
        if count:
            try:
                self.array[self.rows : self.rows + count].write(rows[:count]).result()
            except ValueError as error:  # as tensorstore reports errors of the system
                raise OSError(str(error)) from error
        self.rows += count
        self.waiting = [rows[count:]] if len(rows) > count else []


def _open_array(path: Path) -> Any:
    import tensorstore

    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": os.path.abspath(path)}}
    return tensorstore.open(spec).result()


def files_seen(paths: Sequence[str]) -> list[list[Any]]:
    """Name of each file, its size in bytes and the time of the last change, wherever it lies."""
    return [[os.path.basename(os.path.abspath(path)), *_seen(Path(path))] for path in paths]


def _seen(path: Path) -> tuple[int, int]:
    inside = [path, *path.rglob("*")] if path.is_dir() else [path]
    stats = [p.stat() for p in inside]
    return sum(s.st_size for s in stats), max(s.st_mtime_ns for s in stats)
