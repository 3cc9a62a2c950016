"""Checks of the run that a training starts from: its hash, and that its settings fit."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from graphdown.config.training import FinetuneSpec, PretrainedSpec
from graphdown.errors import ExperimentError

Start = TypeVar("Start", FinetuneSpec, PretrainedSpec)


def hashed(spec: Start, section: str, found: str) -> Start:
    """Section of the experiment with the hash of the run that it names.

    Raises:
        ExperimentError: the section has another one.
    """
    if spec.sha256 not in (None, found):
        raise ExperimentError(
            f"'{section}.run' names {spec.run!r}, whose weights have the hash {found}, not "
            f"{spec.sha256} as '{section}.sha256' says; give the run that was meant, or leave the "
            "hash out."
        )
    return dataclasses.replace(spec, sha256=found)


def check_same(spec: Start, section: str, pairs: Mapping[str, tuple[Any, Any]]) -> None:
    """Refuse a run to start from whose settings differ.

    Args:
        spec: names the run.
        section: of the experiment.
        pairs: setting: (in the experiment, in the run).

    Raises:
        ExperimentError: a pair differs.
    """
    for key, (asked, stored) in pairs.items():
        if asked != stored:
            raise ExperimentError(
                f"'{section}.run' names {spec.run!r}, whose {key!r} differ from the experiment's "
                f"({_differing(stored, asked)}); make them the same."
            )


def _differing(stored: Any, asked: Any) -> str:
    if not dataclasses.is_dataclass(stored):
        return " against ".join(
            ", ".join(map(str, part)) or "none" if isinstance(part, tuple) else str(part)
            for part in (stored, asked)
        )
    names = [f.name for f in dataclasses.fields(stored)]
    name = next(n for n in names if getattr(stored, n) != getattr(asked, n))
    return f"{name} is {getattr(stored, name)} against {getattr(asked, name)}"
