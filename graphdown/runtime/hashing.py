"""Hashes of arrays: of their types, shapes and values, wherever they are kept."""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

PART_VALUES = 2 * 2**20  # that are in memory at a time


class ArrayLike(Protocol):
    """An array, or values on disk that are read by slices of their first dimension."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        ...

    def __getitem__(self, rows: Any, /) -> Any: ...


def array_digest(arrays: Iterable[ArrayLike], label: str = "") -> str:
    """SHA-256 of the types, shapes and values of arrays in their order, in hexadecimal digits.

    Args:
        arrays: any number of arrays; of those on disk a few MiB are read at a time.
        label: text that is hashed before them, such as their names.

    Raises:
        TypeError: an array holds Python objects, whose values are not in it.
    """
    digest = hashlib.sha256(label.encode())
    for array in arrays:
        described = False
        for part in _parts(array):
            if part.dtype.hasobject:
                raise TypeError("An array of Python objects cannot be hashed.")
            if not described:
                digest.update(f"{part.dtype.str} {tuple(array.shape)}".encode())
                described = True
            digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def checkpoint_sha256(params: Mapping[str, np.ndarray], schema: Mapping[str, Any]) -> str:
    """SHA-256 of a checkpoint: of its parameters and of its schema.

    It depends on names, shapes, types and values, not on the way in which they were written or on
    the versions of packages: an emulator has one hash, before it is saved and after it is loaded.

    Args:
        params: parameters by path.
        schema: plain values that say which network and statistics they belong to.
    """
    names = sorted(params)
    label = json.dumps([schema, names], sort_keys=True)
    return array_digest([params[name] for name in names], label)


def _parts(array: ArrayLike) -> Iterator[np.ndarray]:
    """Yield the values of an array by slices of its first dimension, at least one."""
    if not array.shape:
        yield np.asarray(array)
        return
    rows, *others = array.shape
    count = max(1, PART_VALUES // max(1, math.prod(others)))
    for start in range(0, max(1, rows), count):
        yield np.asarray(array[start : start + count])
