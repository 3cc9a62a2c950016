"""What is requested of files: variables, and the user's statements about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """Variables requested of files, and the user's statements about them.

    Attributes:
        variables: CF/CMIP names that must be there.
        optional: names that are taken if present.
        units: units of variables that carry none or wrong ones.
        rename: name in the file: CF/CMIP name.
        daily: how sub-daily values become daily ones ("mean", "max", "min", "sum"); tasmax and
            tasmin always become maximum and minimum. None leaves times as they are.
        select: index to take of a dimension beside time and space, as in {"member": 0}.
        accumulated: variables that are running totals, where too few times show it by
            themselves; from 00 UTC if the values do not say since when.
        interpolate: whether variables on another grid than the first are interpolated to it.
        known_units: canonical units of variables that the catalogue lacks, such as those of a
            training; by default those of the first file.
    """

    variables: tuple[str, ...]
    optional: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)
    daily: str | None = None
    select: Mapping[str, int] = field(default_factory=dict)
    accumulated: tuple[str, ...] = ()
    interpolate: bool = True
    known_units: Mapping[str, str] = field(default_factory=dict)
