"""Members of the driving model in the inputs: along a dimension, or as files with names."""

import os
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import xarray as xr

from graphdown.data.reading.files import Piece
from graphdown.errors import DataError

DIMENSIONS = ("realization", "realisation", "member", "member_id", "ensemble", "number")
NAMED = re.compile(r"([\w.+-]+)=(.+)", re.DOTALL)


@dataclass(frozen=True)
class Driving:
    """One member of the driving model.

    Attributes:
        label: its name, such as "r1i1p1f1"; empty for a single member without a name.
        files: paths or globs.
        select: index to take of the dimension along which members lie, if they do.
    """

    label: str
    files: tuple[str, ...]
    select: dict[str, int] = field(default_factory=dict)


def driving_members(inputs: Sequence[str]) -> list[Driving]:
    """Members that the names of inputs distinguish, at least one.

    Inputs are files or globs, all of them or none with a member's name before them, as in
    "r1i1p1f1=tas_*.nc".

    Args:
        inputs: as on the command line.

    Raises:
        DataError: some inputs have a name and others none.
    """
    pairs = [_named(text) for text in inputs]
    names = list(dict.fromkeys(name for name, _ in pairs))
    if "" in names and len(names) > 1:
        bare = next(file for name, file in pairs if not name)
        raise DataError(
            f"{bare!r} has no member's name, but {names[0] or names[1]!r} is one; give all inputs "
            "as NAME=FILE, or none."
        )
    return [Driving(name, tuple(file for label, file in pairs if label == name)) for name in names]


def along_dimension(
    member: Driving, pieces: Sequence[Piece], chosen: Sequence[str] = ()
) -> list[Driving]:
    """Members along a dimension of the files of a nameless one; that one without such a dimension.

    The first file decides whether there is a dimension of members (one of DIMENSIONS, or with the
    standard name "realization"), and what their labels are.

    Args:
        member: the one without a name.
        pieces: its files, opened.
        chosen: dimensions of which one index is taken anyway.
    """
    first = [piece for piece in pieces if piece.where == pieces[0].where]
    found = [labels for piece in first for labels in _labels(piece.ds, chosen).items()]
    if not found:
        return [member]
    dim, labels = found[0]
    return [Driving(label, member.files, {str(dim): k}) for k, label in enumerate(labels)]


def _named(text: str) -> tuple[str, str]:
    """Split into a member's name, empty if there is none, and the file or glob."""
    matched = NAMED.fullmatch(text)
    if matched is None or os.path.exists(text):
        return "", text
    return matched[1], matched[2]


def _labels(ds: xr.Dataset, chosen: Sequence[str]) -> dict[Hashable, list[str]]:
    """Labels along each dimension of several members."""
    sizes = {d: n for v in ds.data_vars.values() for d, n in v.sizes.items() if n > 1}
    out = {}
    for dim, size in sizes.items():
        named = [v for v in ds.variables.values() if v.dims == (dim,)]
        standard = any(v.attrs.get("standard_name") == "realization" for v in named)
        if str(dim) in chosen or not (dim in DIMENSIONS or standard):
            continue
        texts = [v for v in named if v.dtype.kind in "OSU"]
        coordinate = (texts or [v for v in named if v is ds.variables.get(dim)])[:1]
        labels = [_text(value) for value in coordinate[0].values] if coordinate else []
        distinct = len(set(labels)) == size and all(labels)
        out[dim] = labels if distinct else [str(k) for k in range(size)]
    return out


def _text(value: object) -> str:
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).strip()
