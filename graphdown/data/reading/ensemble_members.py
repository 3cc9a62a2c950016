"""The members of the driving model that inputs hold: along a dimension, or as files with names."""

import os
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import xarray as xr

from graphdown.data.reading.files import close_pieces, find_paths, open_pieces
from graphdown.data.reading.rules import Notes
from graphdown.errors import DataError

DIMENSIONS = ("realization", "realisation", "member", "member_id", "ensemble", "number")
NAMED = re.compile(r"([\w.+-]+)=(.+)", re.DOTALL)


@dataclass(frozen=True)
class Driving:
    """One member of the driving model.

    Attributes:
        label: its name, such as "r1i1p1f1"; empty where there is one member, which has none.
        files: paths or globs.
        select: index to take of the dimension along which members lie, if they do.
    """

    label: str
    files: tuple[str, ...]
    select: dict[str, int] = field(default_factory=dict)


def driving_members(inputs: Sequence[str], chosen: Sequence[str] = ()) -> list[Driving]:
    """Return the members that inputs hold, at least one.

    Inputs are files or globs, all of them or none with a member's name before them, as in
    "r1i1p1f1=tas_*.nc". Without names, the first file tells whether there is a dimension of members
    (one of DIMENSIONS, or with the standard name "realization"), with what labels.

    Args:
        inputs: as the user gives them.
        chosen: dimensions of which one index is taken anyway.

    Raises:
        DataError: some inputs have a name and others none, or a file cannot be read.
    """
    pairs = [_named(text) for text in inputs]
    names = list(dict.fromkeys(name for name, _ in pairs))
    if names == [""]:
        return _along_dimension(tuple(inputs), chosen)
    if "" in names:
        bare = next(file for name, file in pairs if not name)
        raise DataError(
            f"{bare!r} has no member's name, but {names[0] or names[1]!r} is one; give all inputs "
            "as NAME=FILE, or none."
        )
    return [Driving(name, tuple(file for own, file in pairs if own == name)) for name in names]


def _named(text: str) -> tuple[str, str]:
    """Return a member's name, empty if there is none, and the file or glob."""
    matched = NAMED.fullmatch(text)
    if matched is None or os.path.exists(text):
        return "", text
    return matched[1], matched[2]


def _along_dimension(files: tuple[str, ...], chosen: Sequence[str]) -> list[Driving]:
    pieces = list(open_pieces(find_paths(files)[:1], Notes()))
    try:
        found = [labels for piece in pieces for labels in _labels(piece.ds, chosen).items()]
    finally:
        close_pieces(pieces)
    if not found:
        return [Driving("", files)]
    dim, labels = found[0]
    return [Driving(label, files, {str(dim): k}) for k, label in enumerate(labels)]


def _labels(ds: xr.Dataset, chosen: Sequence[str]) -> dict[Hashable, list[str]]:
    """Return the labels along each dimension of several members."""
    sizes = {d: n for v in ds.data_vars.values() for d, n in v.sizes.items() if n > 1}
    out = {}
    for dim, size in sizes.items():
        named = [v for v in ds.variables.values() if v.dims == (dim,)]
        standard = any(v.attrs.get("standard_name") == "realization" for v in named)
        if str(dim) in chosen or not (dim in DIMENSIONS or standard):
            continue
        texts = [v for v in named if v.dtype.kind in "OSU"]
        held = (texts or [v for v in named if v is ds.variables.get(dim)])[:1]
        labels = [_text(value) for value in held[0].values] if held else []
        distinct = len(set(labels)) == size and all(labels)
        out[dim] = labels if distinct else [str(k) for k in range(size)]
    return out


def _text(value: object) -> str:
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).strip()
