"""Fields on disk, packed so that any few days are read at once, and written in bounded memory.

A store is a zarr array [time, node, variable] of float32, uncompressed, one day a chunk, many
chunks in a shard file, so that a training step reads a day in one piece. zarr's Python code
spends a millisecond on a chunk; tensorstore, which orbax brings along, reads the same files ten
times faster and without blocking the interpreter.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from graphdown.data.reading.horizontal import grid_of
from graphdown.data.reading.remote import is_url, seen
from graphdown.data.sample_packing import PART_BYTES, open_array, pack, value_bytes
from graphdown.errors import GraphdownError
from graphdown.runtime.atomic import beside
from graphdown.runtime.locks import locked_in_turn
from meshes import Grid

FORMAT = 1
FOLDER = "samples"
DIGITS = 24  # of the hash that names a shared store


def store_folder(experiment: Experiment, run: str | Path) -> Path | None:
    """Folder of the fields that a run keeps on disk, None if it keeps them in memory."""
    if experiment.data.store:
        return Path(experiment.data.store)
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
        return open_array(self.path)

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

    A store is written once, and read by all who need what is in it: processes that ask for one that
    is being written wait for it. It is reused as long as it is complete and has the same origin.

    Args:
        folder: of the stores.
        shared: whether the stores bear a hash of what determines them, so that runs with other
            fields can use the folder, instead of the names of their fields.

    Attributes:
        stored: the stores by name.
    """

    def __init__(self, folder: Path, shared: bool = False) -> None:
        self.folder, self.shared = folder, shared
        self.stored: dict[str, Stored] = {}

    def hold(
        self, name: str, where: str, lazy: xr.Dataset, rules: Rules, origin: dict[str, Any]
    ) -> Ready:
        """Dataset with its fields in a store; see `graphdown.data.holders.Holder`.

        Raises:
            GraphdownError: the store cannot be written.
        """
        writer = {"format": FORMAT, "graphdown": version("graphdown")}
        origin = json.loads(json.dumps({**writer, **origin}))
        path = self.folder / f"{self._file_name(name, origin)}.zarr"
        attrs = _whole(path, origin)
        if attrs is None:
            with self._turn(path):
                if _whole(path, origin) is None:
                    pack(path, lazy, rules, where, origin)
            attrs = _whole(path, origin)
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

    def _file_name(self, name: str, origin: dict[str, Any]) -> str:
        if not self.shared:
            return quote(name, safe=" ")
        text = json.dumps(origin, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]

    @contextmanager
    def _turn(self, path: Path) -> Iterator[None]:
        """The right to write a store, one process after the other."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GraphdownError(
                f"The store {str(path)!r} was not written ({error.strerror}); see that the folder "
                "can be written, or set 'training.sample_storage: memory'."
            ) from error
        with locked_in_turn(beside(path, "lock"), f"The store {str(path)!r}"):
            yield


def _dataset(stored: Stored, first: xr.Dataset, lazy: xr.Dataset, kept: np.ndarray) -> xr.Dataset:
    """Dataset like its first day, with all days."""
    times = lazy.drop_vars(list(lazy.data_vars)).isel(time=np.flatnonzero(kept))
    still = first.drop_vars([n for n, v in first.variables.items() if "time" in v.dims])
    timed = {n: v for n, v in times.coords.items() if n in first.coords and "time" in v.dims}
    return still.assign_coords(timed).assign(stored.variables(first))


def _whole(path: Path, origin: dict[str, Any]) -> dict[str, Any] | None:
    """Attributes of a store, None if it is absent, incomplete or of another origin."""
    try:
        attrs = json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"]
    except (OSError, ValueError, KeyError):
        return None
    same = attrs.get("bytes") == value_bytes(path) and attrs.get("origin") == origin
    return attrs if same else None


def files_seen(paths: Sequence[str]) -> list[list[Any]]:
    """Name of each file, its size in bytes and the time of the last change, wherever it lies."""
    return [[os.path.basename(path.rstrip("/")), *_seen(path)] for path in paths]


def _seen(name: str) -> tuple[int, int | str]:
    if is_url(name):
        return seen(name)
    path = Path(name)
    inside = [path, *path.rglob("*")] if path.is_dir() else [path]
    stats = [p.stat() for p in inside]
    return sum(s.st_size for s in stats), max(s.st_mtime_ns for s in stats)
