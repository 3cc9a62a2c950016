"""Zarr stores as zarr means them: which fill values are missing, and chunks that are not there.

An absent chunk holds the array's fill value: writers leave out chunks that hold nothing else. A
chunk that got lost looks the same, so `check_chunks` asks whether the field can be the fill value
all over a chunk.
"""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import xarray as xr

from graphdown.data.reading.fill_codes import CODES, HUGE
from graphdown.data.reading.remote import files_below, is_url, zarr_store
from graphdown.data.reading.rules import Notes, refuse
from graphdown.data.reading.units import Conversion
from graphdown.variables.catalogue import describe

ORIGIN_OF_ARRAY = "zarr_array"  # key of a variable's encoding: path of the store, name in it
DECLARED = ("_FillValue", "missing_value")
MOST_NEIGHBOURS, MOST_SIZED = 16, 1000  # chunks looked at of an array with absent ones
USUALLY = 0.75  # share of the values beside absent chunks


def open_store(path: str, **options: Any) -> xr.Dataset:
    """Open a store lazily: values unpacked, those that are declared missing become NaN.

    xarray takes the fill value of zarr v2 for a declaration of missing values. Zero is not one,
    unless an attribute says so or the values are packed about an offset: it is the default of
    zarr, and as a number it is a dry day or the meridian of Greenwich.

    Raises:
        DataError: chunks of a coordinate are absent.
    """
    import zarr

    undecoded: dict[str, Any] = {
        "mask_and_scale": False,
        "decode_times": False,
        "decode_timedelta": False,
    }
    store = zarr_store(path)
    raw = xr.open_dataset(store, engine="zarr", **undecoded, **options)
    group = zarr.open_group(store, mode="r", use_consolidated=False)
    for name, variable in raw.variables.items():
        array = group[str(name)]
        assert isinstance(array, zarr.Array)
        if array.metadata.zarr_format == 2 and _is_plain_zero(array):
            variable.attrs.pop("_FillValue", None)
        variable.encoding[ORIGIN_OF_ARRAY] = (path, str(name))
    ds = xr.decode_cf(raw, decode_times=False, decode_timedelta=False)
    ds.set_close(raw.close)
    for name, coordinate in ds.coords.items():
        if coordinate.dims == (name,) or str(coordinate.attrs.get("units")).startswith("degree"):
            _check_coordinate(coordinate, path)
    return ds


def check_chunks(
    field: xr.Variable, name: str, conversion: Conversion, where: str, notes: Notes
) -> None:
    """Note absent chunks of a zarr array, and refuse those that were probably lost.

    Absent chunks were lost where their value is one that the variable cannot have all over a
    chunk, such as 0 K; where other chunks of that value were written; and where no chunk is there.
    So were shards, which hold many chunks and are seldom nothing but zero, and chunks of variables
    that the catalogue lacks, where fewer than three quarters of the values beside them are that
    value. Else they hold the fill value.

    Args:
        field: as `open_store` returned it, under any name; other fields are not looked at.
        name: CF/CMIP name.
        conversion: of its values to canonical ones.
        where: for messages.
        notes: collects what is absent.

    Raises:
        DataError: chunks were probably lost.
    """
    origin = field.encoding.get(ORIGIN_OF_ARRAY)
    array = None if origin is None else StoredArray.open(*origin)
    if array is None or not array.absent:
        return
    of_all = f"{len(array.absent)} of {array.count} {array.parts} are absent"
    fill = float(array.fill_value)
    declared = [field.encoding.get(key) for key in DECLARED]
    is_missing = not math.isfinite(fill) or fill in declared or abs(fill) >= HUGE or fill in CODES
    if is_missing:
        notes.add("chunks-absent", where, f"{of_all} and read as missing values", name)
        return
    scale, offset = (field.encoding.get(k, d) for k, d in (("scale_factor", 1), ("add_offset", 0)))
    value = fill * float(scale) + float(offset)
    reason = _why_lost(array, name, value, conversion)
    if reason:
        raise refuse(
            "chunk-missing",
            f"{where}: {len(array.absent)} of {array.count} {array.parts} of {name!r} are absent "
            f"and would read as {value:g}, but {reason}; copy the store again, or write every "
            "chunk (write_empty_chunks=True).",
        )
    notes.add("chunks-absent", where, f"{of_all} and read as {value:g}, as zarr means it", name)


@dataclass(frozen=True)
class StoredArray:
    """An array of a zarr store on disk, and which of its chunks or shards are there.

    Attributes:
        folder: of the array.
        array: the opened array.
    """

    folder: str
    array: Any

    @classmethod
    def open(cls, path: str, name: str) -> "StoredArray":
        """The array of a name in the store at a path."""
        import zarr

        group = zarr.open_group(zarr_store(path), mode="r", use_consolidated=False)
        return cls(os.path.join(path, name), group[name])

    @property
    def fill_value(self) -> Any:
        """The value of absent chunks; 0 where zarr v2 leaves it undefined."""
        fill = self.array.fill_value
        return 0 if fill is None else fill

    @property
    def parts(self) -> str:
        """What is stored under one key: "chunks" or "shards"."""
        return "chunks" if self.array.shards is None else "shards"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a chunk or shard."""
        return tuple(self.array.shards or self.array.chunks)

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of chunks or shards along each dimension."""
        return tuple(-(-n // size) for n, size in zip(self.array.shape, self.shape, strict=True))

    @property
    def count(self) -> int:
        """Number of chunks or shards."""
        return math.prod(self.counts)

    @cached_property
    def present(self) -> set[tuple[int, ...]]:
        """Places of the chunks or shards that are there."""
        return {p for p in product(*map(range, self.counts)) if self._key(p) in self._sizes}

    @cached_property
    def _sizes(self) -> dict[str, int]:
        """Size in bytes of the files that are there."""
        if is_url(self.folder):
            keys = [self._key(place) for place in product(*map(range, self.counts))]
            return files_below(self.folder, keys)
        return {f: os.path.getsize(os.path.join(self.folder, f)) for f in _files(self.folder)}

    @cached_property
    def absent(self) -> list[tuple[int, ...]]:
        """Places of the chunks or shards that are not there."""
        return [p for p in product(*map(range, self.counts)) if p not in self.present]

    @property
    def smallest(self) -> tuple[int, ...]:
        """Place of the one with the smallest file, of up to a thousand that are there."""
        some = sorted(self.present)[:: -(-len(self.present) // MOST_SIZED)]
        return min(some, key=lambda place: self._sizes[self._key(place)])

    def _key(self, place: tuple[int, ...]) -> str:
        return str(self.array.metadata.encode_chunk_key(place))

    def is_fill(self, region: tuple[slice, ...]) -> np.ndarray:
        """Where the values of a region are the fill value."""
        return np.asarray(self.array[region]) == self.fill_value

    def region(self, place: Sequence[int]) -> tuple[slice, ...]:
        """Indices of a chunk or shard."""
        return tuple(slice(i * n, (i + 1) * n) for i, n in zip(place, self.shape, strict=True))

    def faces_beside_absent(self) -> Iterator[tuple[slice, ...]]:
        """Regions, one index thick, of the chunks that are there beside absent ones."""
        for place in self.absent:
            for axis, step in product(range(len(place)), (-1, 1)):
                other = list(place)
                other[axis] += step
                if tuple(other) not in self.present:
                    continue
                region = list(self.region(other))
                at = region[axis].stop - 1 if step < 0 else region[axis].start
                region[axis] = slice(at, at + 1)
                yield tuple(region)


def _files(folder: str, within: str = "") -> Iterator[str]:
    """Yield the paths of all files in a folder, with "/" between parts."""
    with os.scandir(os.path.join(folder, within)) as entries:
        for entry in entries:
            key = f"{within}/{entry.name}" if within else entry.name
            if entry.is_dir():
                yield from _files(folder, key)
            else:
                yield key


def _why_lost(array: StoredArray, name: str, value: float, conversion: Conversion) -> str | None:
    """Why absent chunks cannot hold their fill value, None if they can."""
    variable = describe(name)
    is_zero = value == 0.0 and conversion.offset == 0.0
    if variable.units and not (variable.often_zero and is_zero):
        return "no region of it has that value all over"
    if not array.present:
        return "no other is there"
    if array.is_fill(array.region(array.smallest)).all():
        return f"{array.parts} of that value were written elsewhere"
    if array.parts == "chunks" and variable.units:
        return None
    faces = [f for _, f in zip(range(MOST_NEIGHBOURS), array.faces_beside_absent(), strict=False)]
    alike = np.concatenate([array.is_fill(face).ravel() for face in faces] or [np.zeros(1, bool)])
    if alike.mean() < USUALLY:
        return f"only {100 * alike.mean():.0f} % of the values beside them are"
    return None


def _is_plain_zero(array: Any) -> bool:
    """Whether an array's fill value is a zero that nothing declares to be missing."""
    fill = array.fill_value
    is_number = np.issubdtype(np.asarray(fill).dtype, np.number)
    declared = any(key in array.attrs for key in DECLARED)
    return is_number and fill == 0 and not declared and not array.attrs.get("add_offset")


def _check_coordinate(coordinate: xr.DataArray, path: str) -> None:
    """Refuse a coordinate of which chunks with several values are absent: no two are alike."""
    array = StoredArray.open(*coordinate.encoding[ORIGIN_OF_ARRAY])
    if coordinate.dtype.kind not in "iuf" or math.prod(array.shape) < 2 or not array.absent:
        return
    raise refuse(
        "chunk-missing",
        f"{path}: {len(array.absent)} of {array.count} {array.parts} of the coordinate "
        f"{coordinate.name!r} are absent; copy the store again.",
    )
