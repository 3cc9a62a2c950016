"""Open fields from files and bring them to canonical names, units and layout."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import xarray as xr

from graphdown.data.reading.field_reader import FieldReader
from graphdown.data.reading.file_request import Request
from graphdown.data.reading.file_summary import Understanding
from graphdown.data.reading.files import Piece, close_pieces, find_paths, open_pieces
from graphdown.data.reading.horizontal import check_dataset
from graphdown.data.reading.rules import Notes
from meshes import Grid

FEW_FILES = 16  # that may stay open


def open_fields(
    files: Sequence[str],
    variables: Sequence[str],
    units: Mapping[str, str] | None = None,
    rename: Mapping[str, str] | None = None,
    optional: Sequence[str] = (),
) -> xr.Dataset:
    """Open files, join them along time and by variable, and return canonical fields.

    Args:
        files: netCDF, zarr or GRIB paths or globs.
        variables: CF/CMIP names that must be there.
        units: units of variables that carry none or wrong ones.
        rename: name in the file: CF/CMIP name.
        optional: names that are taken if present.

    Returns:
        Dataset [time, *horizontal] in canonical units, float32, not read yet. It has the first
        file's global attributes and, as coordinates, the bounds of times and cells. Its `close`
        closes the files; they are opened again if values are read after that.

    Raises:
        DataError: see `graphdown.data.reading.rules.REFUSALS`.
    """
    request = Request(tuple(variables), tuple(optional), units or {}, rename or {})
    return read_files(files, request)[0]


def read_files(files: Sequence[str], request: Request) -> tuple[xr.Dataset, Understanding]:
    """Open files as `open_fields` does; also return a summary of them.

    A request that names no variable takes every one that is recognised.

    Values are sampled in the first, the middle and the last time of a file; in up to 30 times of
    files that differ in their times only, of precipitation that is dry and of variables that are
    missing in the first sample.

    Raises:
        DataError: see `graphdown.data.reading.rules.REFUSALS`.
    """
    opened = OpenFiles(files, request)
    ds, understood = opened.read()
    ds.set_close(opened.close)
    return ds, understood


class OpenFiles:
    """Files that are opened once and read once or several times, each time with another selection.

    Args:
        files: netCDF, zarr or GRIB paths or globs.
        request: as for `read_files`.
        keep_open: whether files stay open for later reading after values are sampled, if there are
            at most FEW_FILES.

    Attributes:
        paths: of all files.
        pieces: their contents, not read yet, in their order.

    Raises:
        DataError: see `graphdown.data.reading.rules.REFUSALS`.
    """

    def __init__(self, files: Sequence[str], request: Request, keep_open: bool = False) -> None:
        self.paths = tuple(find_paths(files))
        self.pieces: list[Piece] = []
        notes = Notes()
        where = files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
        try:
            pieces = self._open()
            self._reader = FieldReader(pieces, request, where, notes, self.paths, from_disk=True)
            self._reader.keep_open = keep_open and len(self.paths) <= FEW_FILES
        except BaseException:
            self.close()
            raise

    def _open(self) -> Iterator[Piece]:
        for piece in open_pieces(self.paths):
            self.pieces.append(piece)
            yield piece

    def read(self, select: Mapping[str, int] | None = None) -> tuple[xr.Dataset, Understanding]:
        """Fields and their summary, as from `read_files`; files are closed if that fails.

        Args:
            select: index to take of further dimensions.

        Raises:
            DataError: see `graphdown.data.reading.rules.REFUSALS`.
        """
        try:
            found = self._reader.selecting(select or {}).read()
        except BaseException:
            self.close()
            raise
        if not self._reader.keep_open:
            self.close()
        return found

    def close(self) -> None:
        """Close the files, as often as it is called; they are opened again if values are read."""
        close_pieces(self.pieces)


def to_canonical(
    ds: xr.Dataset,
    variables: Sequence[str],
    units: Mapping[str, str] | None = None,
    where: str = "the dataset",
    optional: Sequence[str] = (),
    notes: Notes | None = None,
    known_units: Mapping[str, str] | None = None,
    looks_later: bool = False,
) -> xr.Dataset:
    """Named variables of a dataset in canonical units, time first, days in order.

    Repairs are added to `notes`; variables that the catalogue lacks are converted to the
    `known_units`, if there are any. With `looks_later` dask arrays are looked at for codes of
    missing values and for their size when they are computed; what is found is logged then.

    Raises:
        DataError: see `graphdown.data.reading.rules.REFUSALS`.
    """
    check_dataset(ds, where)
    request = Request(tuple(variables), tuple(optional), units or {}, known_units=known_units or {})
    pieces = [Piece(where, ds)]
    reader = FieldReader(pieces, request, where, notes or Notes(), (), from_disk=False)
    reader.looks_later = looks_later
    return reader.read()[0]


def field_values(ds: xr.Dataset, variables: Sequence[str], grid: Grid) -> np.ndarray:
    """Variables as float32 [time, node, variable]."""
    stacked = [grid.values(ds[name]) for name in variables]
    return np.stack(stacked, axis=-1).astype(np.float32, copy=False)
