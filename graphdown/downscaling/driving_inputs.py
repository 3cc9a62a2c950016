"""The inputs of `graphdown downscale`: the members of a driving model, from files opened once."""

from collections.abc import Sequence
from contextlib import closing

import xarray as xr

from graphdown.cf.time_axis import time_axis
from graphdown.data.reading.ensemble_members import along_dimension, driving_members
from graphdown.data.reading.fields import OpenFiles
from graphdown.data.reading.file_request import Request
from graphdown.data.reading.rules import log_notes
from graphdown.downscaling.file_options import FileOptions
from graphdown.emulator.emulator import Emulator
from graphdown.errors import DataError

LABEL = "driving_variant_label"
LABELS = (LABEL, "variant_label")  # attributes that differ between members


class DrivingInputs:
    """Predictors of the members of a driving model, read from files that stay open.

    Args:
        inputs: files or globs, as in `driving_members`.
        request: the predictors to read.

    Attributes:
        members: labels, files and selections, at least one.

    Raises:
        DataError: a file cannot be read, or the inputs' names do not tell members apart.
    """

    def __init__(self, inputs: Sequence[str], request: Request) -> None:
        self._files: list[OpenFiles] = []
        self._datasets: dict[int, xr.Dataset] = {}
        try:
            members = driving_members(inputs)
            self._files += (OpenFiles(m.files, request, keep_open=True) for m in members)
            if members[0].label == "":
                members = along_dimension(members[0], self._files[0].pieces, [*request.select])
            self.members = members
        except BaseException:
            self.close()
            raise

    def paths(self, member: int) -> tuple[str, ...]:
        """Paths of the files of a member."""
        return self._opened(member).paths

    def dataset(self, member: int) -> xr.Dataset:
        """Predictors of a member by its number, values not read yet.

        Repairs are logged.

        Raises:
            DataError: see `graphdown.data.reading.rules.REFUSALS`.
        """
        if member not in self._datasets:
            ds, understood = self._opened(member).read(self.members[member].select)
            log_notes(understood.notes)
            self._datasets[member] = ds
        return self._datasets[member]

    def time_axis(self) -> tuple[xr.Dataset, dict[str, object]]:
        """Times and their bounds, and the global attributes that all members have.

        Raises:
            DataError: members differ in their times, or a file cannot be read.
        """
        first = self.dataset(0)
        time, attrs = time_axis(first.time, first), dict(first.attrs)
        if len(self.members) > 1:
            attrs = {name: value for name, value in attrs.items() if name not in LABELS}
        for member in range(1, len(self._files)):  # members in one file have its times
            ds = self.dataset(member)
            if not ds.time.equals(time.time):
                labels = [self.members[number].label for number in (0, member)]
                raise DataError(
                    f"The members {labels[0]!r} and {labels[1]!r} have other times; give files of "
                    "one period and calendar, or an output for each."
                )
            attrs = {k: v for k, v in attrs.items() if str(ds.attrs.get(k)) == str(v)}
        return time, attrs

    def close(self) -> None:
        """Close all files."""
        for opened in self._files:
            opened.close()

    def _opened(self, member: int) -> OpenFiles:
        return self._files[member if len(self._files) > 1 else 0]


def historical_fields(
    files: Sequence[str], options: FileOptions, emulator: Emulator
) -> tuple[xr.Dataset | None, Sequence[str]]:
    """Fields of a driving model in the years of the training, and the paths of their files.

    Args:
        files: paths or globs; None is returned for none.
        options: metadata that the files lack.
        emulator: that needs the fields.

    Raises:
        DataError: a file cannot be read.
    """
    if not files:
        return None, ()
    request = options.request(emulator.needed, emulator.optional_predictors)
    with closing(OpenFiles(files, request)) as opened:
        return opened.read()[0].compute(), opened.paths
