"""Say what graphdown understands of files, before anything is trained or downscaled."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphdown.data.fields import Request, read_files, understand
from graphdown.data.pair import unpaired
from graphdown.data.understanding import Understanding
from graphdown.errors import DataError, GraphdownError


@dataclass(frozen=True)
class Report:
    """What was found, and what stands in the way.

    Attributes:
        understood: of each set of files that could be understood.
        problems: one sentence for each thing that has to be mended; empty if all is well.
        remarks: what the sets of files have to do with each other, one sentence each.
    """

    understood: tuple[Understanding, ...]
    problems: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing has to be mended."""
        return not self.problems

    def to_text(self) -> str:
        """Return the report as lines for a user."""
        lines = [understanding.to_text() for understanding in self.understood]
        lines += self.remarks
        lines += [f"To mend: {problem}" for problem in self.problems]
        return "\n".join(lines)

    def to_json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(self.to_dict(), indent=1)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values that json can write."""
        return {
            "ok": self.ok,
            "understood": [understanding.to_dict() for understanding in self.understood],
            "problems": list(self.problems),
            "remarks": list(self.remarks),
        }


def check(
    files: Sequence[str],
    target: Sequence[str] | None = None,
    experiment: str | Path | None = None,
    units: dict[str, str] | None = None,
) -> Report:
    """Check files, alone or against a target's files, or all files of an experiment.

    Values are looked at in a few times of each file only, but for an experiment, whose periods
    are read whole.

    Args:
        files: netCDF, zarr or GRIB paths or globs of one source; may be empty with an experiment.
        target: paths or globs of the target.
        experiment: an experiment file.
        units: units of variables that carry none, in `files` and `target`.
    """
    understood: list[Understanding] = []
    problems: list[str] = []
    remarks: list[str] = []
    stated = Request((), units=units or {})
    for group in (files, target or ()):
        if group:
            _try(lambda group=group: understood.append(understand(group, stated)), problems)
    if files and target and len(understood) == 2:
        shared = understood[0], understood[1]
        _try(lambda: remarks.append(_days_in_common(files, target, *shared, stated)), problems)
    if experiment is not None:
        _try(lambda: understood.extend(_of_experiment(experiment)), problems)
    return Report(tuple(understood), tuple(problems), tuple(remarks))


def _try(action: Any, problems: list[str]) -> None:
    try:
        action()
    except GraphdownError as error:
        problems.append(str(error))


def _of_experiment(path: str | Path) -> list[Understanding]:
    from graphdown.data.load import load_data
    from graphdown.experiment import load_experiment

    return list(load_data(load_experiment(path)).understood.values())


def _days_in_common(
    files: Sequence[str],
    target: Sequence[str],
    source_understood: Understanding,
    target_understood: Understanding,
    stated: Request,
) -> str:
    names = [u.variables[0].name for u in (source_understood, target_understood)]
    opened = [
        read_files(group, Request((name,), units=stated.units))[0]
        for group, name in zip((files, target), names, strict=True)
    ]
    ours, theirs = unpaired(*opened)
    common = opened[0].sizes["time"] - ours
    if not common:
        raise DataError(
            f"{source_understood.where} ({source_understood.first} to {source_understood.last}) and"
            f" {target_understood.where} ({target_understood.first} to {target_understood.last}) "
            "have no day in common; choose files of the same period."
        )
    return (
        f"Source and target have {common} days in common; {ours} days of the source and {theirs} "
        "of the target have no partner."
    )
