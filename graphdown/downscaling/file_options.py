"""Options of the command line on metadata that files lack; experiments have keys beside `files`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from graphdown.config.data import Daily
from graphdown.data.reading.file_request import Request
from graphdown.errors import GraphdownError

NO_MEMBER: Mapping[str, int] = {}


@dataclass(frozen=True)
class FileOptions:
    """Metadata that files lack.

    Attributes:
        units: variable=units, for variables whose units attribute is missing or wrong, as in
            --units tas=degC "pr=kg m-2 s-1"
        rename: name in the file=CF/CMIP name, as in --rename temp2=tas precip=pr
        daily: how sub-daily values become daily ones, as in --daily mean; tasmax and tasmin always
            become maximum and minimum.
        select: index, from 0, to take of a dimension beside time and space, as in --select member=0
        accumulated: variables that are running totals, where the file does not show it, as in
            --accumulated pr
    """

    units: Annotated[tuple[str, ...], arg(metavar="NAME=UNITS...")] = ()
    rename: Annotated[tuple[str, ...], arg(metavar="NAME=NAME...")] = ()
    daily: Daily | None = None
    select: Annotated[tuple[str, ...], arg(metavar="DIMENSION=INDEX...")] = ()
    accumulated: Annotated[tuple[str, ...], arg(metavar="NAME...")] = ()

    def request(
        self,
        variables: Sequence[str] = (),
        optional: Sequence[str] = (),
        member: Mapping[str, int] = NO_MEMBER,
    ) -> Request:
        """Request for variables with these options.

        Args:
            variables, optional: as in `Request`.
            member: index to take of a dimension of members.

        Raises:
            GraphdownError: an option has no "=", or an index is no whole number.
        """
        return Request(
            variables=tuple(variables),
            optional=tuple(optional),
            units=_pairs("--units", self.units, "tas=degC"),
            rename=_pairs("--rename", self.rename, "temp2=tas"),
            daily=self.daily,
            select={**_indices(self.select), **member},
            accumulated=self.accumulated,
        )

    def words(self) -> list[str]:
        """The options as words of the command line."""
        options = {f"--{key}": values for key, values in self.given.items()}
        return [word for option, values in options.items() for word in (option, *values)]

    @property
    def given(self) -> dict[str, tuple[str, ...]]:
        """Values of the options that are given, by their names."""
        daily = () if self.daily is None else (self.daily,)
        options = {
            "units": self.units,
            "rename": self.rename,
            "daily": daily,
            "select": self.select,
            "accumulated": self.accumulated,
        }
        return {key: values for key, values in options.items() if values}


@dataclass(frozen=True)
class TargetOptions:
    """Metadata that the target's files lack, as `FileOptions` has those of the source's.

    Attributes:
        target_units, target_rename, target_daily, target_select, target_accumulated: the target's,
            in the form of --units, --rename, --daily, --select and --accumulated
    """

    target_units: Annotated[tuple[str, ...], arg(metavar="NAME=UNITS...")] = ()
    target_rename: Annotated[tuple[str, ...], arg(metavar="NAME=NAME...")] = ()
    target_daily: Daily | None = None
    target_select: Annotated[tuple[str, ...], arg(metavar="DIMENSION=INDEX...")] = ()
    target_accumulated: Annotated[tuple[str, ...], arg(metavar="NAME...")] = ()

    @property
    def options(self) -> FileOptions:
        """The same as options on files."""
        return FileOptions(
            self.target_units,
            self.target_rename,
            self.target_daily,
            self.target_select,
            self.target_accumulated,
        )


def _pairs(option: str, texts: Sequence[str], example: str) -> dict[str, str]:
    for text in texts:
        before, equals, after = text.partition("=")
        if not (before and equals and after):
            raise GraphdownError(f"{option}: {text!r} has not the form of {example}; correct it.")
    return dict(text.split("=", 1) for text in texts)


def _indices(texts: Sequence[str]) -> dict[str, int]:
    pairs = _pairs("--select", texts, "member=0")
    for name, index in pairs.items():
        if not index.isdecimal():
            raise GraphdownError(
                f"--select: {index!r} is no index of {name!r}; give a whole number from 0."
            )
    return {name: int(index) for name, index in pairs.items()}
