"""What a run starts from must be what its experiment says, and fit it."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from graphdown.config.training import FinetuneSpec, PretrainedSpec
from graphdown.errors import ExperimentError

Start = TypeVar("Start", FinetuneSpec, PretrainedSpec)


def hashed(spec: Start, section: str, found: str) -> Start:
    """Return the section with the hash that was found.

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
    for key, (given, there) in pairs.items():
        if given != there:
            raise ExperimentError(
                f"'{section}.run' names {spec.run!r}, whose {key!r} differ from the experiment's "
                f"({_differing(there, given)}); make them the same."
            )


def _differing(there: Any, given: Any) -> str:
    if not dataclasses.is_dataclass(there):
        return " against ".join(
            ", ".join(map(str, part)) or "none" if isinstance(part, tuple) else str(part)
            for part in (there, given)
        )
    names = [f.name for f in dataclasses.fields(there)]
    name = next(n for n in names if getattr(there, n) != getattr(given, n))
    return f"{name} is {getattr(there, name)} against {getattr(given, name)}"
