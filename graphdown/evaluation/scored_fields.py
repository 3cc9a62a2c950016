"""Fields to score from files, read as inputs are: canonical units, members side by side."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from types import MappingProxyType

import xarray as xr

from graphdown.baselines.gridded_fields import field_names
from graphdown.data.reading.fields import OpenFiles
from graphdown.data.reading.file_request import Request
from graphdown.data.reading.files import Piece, close_pieces, open_pieces
from graphdown.data.reading.identify import choose, recognised
from graphdown.data.reading.rules import Notes, log_notes
from graphdown.errors import DataError
from graphdown.evaluation.ensemble import member_dim
from graphdown.variables.catalogue import STATIC

BOUNDS = ("_bnds", "_bounds")
NOTHING_RENAMED: Mapping[str, str] = MappingProxyType({})
PLAIN = Request(())


def read_scored(
    prediction: Sequence[str], truth: Sequence[str], statements: Request = PLAIN
) -> tuple[xr.Dataset, xr.Dataset]:
    """Prediction and truth from files, in memory: the variables that both have.

    Members of the prediction lie along their dimension.

    Args:
        prediction, truth: netCDF, zarr or GRIB files or globs.
        statements: what the user says of the truth's files, of no variables yet.

    Raises:
        DataError: a file cannot be read, or they share no variable.
    """
    names = [_names(prediction), _names(truth, statements.rename)]
    common = [name for name in names[1] if name in names[0]]
    if not common:
        there = [", ".join(some) or "none" for some in names]
        raise DataError(
            f"Prediction ({there[0]}) and truth ({there[1]}) share no variable with times; rename "
            "those of one side."
        )
    return _read(prediction, common), _read(truth, common, statements)


def _names(files: Sequence[str], rename: Mapping[str, str] = NOTHING_RENAMED) -> list[str]:
    """Names of the variables with times: those that are known, and others by their own names."""
    pieces = list(open_pieces(files))
    close_pieces(pieces)
    names = [rename.get(name, name) for piece in pieces for name in _names_in(piece)]
    return [name for name in dict.fromkeys(names) if name not in STATIC]


def _names_in(piece: Piece) -> list[str]:
    known = recognised(piece.ds, piece.where, Notes())
    choices = (choose(piece.ds, name, piece.where, Notes()) for name in known)
    taken = {choice.file_name for choice in choices if choice is not None}
    others = [name for name in field_names(piece.ds) if not name.endswith(BOUNDS)]
    return [*known, *(name for name in others if name not in taken)]


def _read(files: Sequence[str], names: Sequence[str], statements: Request = PLAIN) -> xr.Dataset:
    """Fields in memory, with the members of an ensemble along its dimension."""
    request = replace(statements, variables=tuple(names), interpolate=False)
    with closing(OpenFiles(files, request)) as opened:
        dim = next(filter(None, (member_dim(piece.ds) for piece in opened.pieces)), None)
        count = 0 if dim is None else opened.pieces[0].ds.sizes[dim]
        if dim is None or count < 2:
            ds, understood = opened.read()
            log_notes(understood.notes)
            return ds.compute()
        members = [opened.read({dim: k})[0].compute() for k in range(count)]
        return xr.concat(members, dim, coords="minimal", compat="override")
