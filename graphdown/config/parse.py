"""Nested mappings turned into dataclasses, and validation errors into sentences."""

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args

from graphdown.errors import ExperimentError

Kind = TypeVar("Kind")


def parse_as(kind: type[Kind], raw: Mapping[str, Any], where: str) -> Kind:
    """Turn a nested mapping into a dataclass.

    Args:
        kind: the dataclass.
        raw: keys and values.
        where: what to call the mapping in messages.

    Raises:
        ExperimentError: a key or a value is wrong; the message names it.
    """
    from pydantic import ConfigDict, ValidationError, create_model

    # Unlike a TypeAdapter's, a model's configuration reaches the dataclasses within.
    reader = create_model("Reader", __config__=ConfigDict(extra="forbid"), parsed=(kind, ...))
    try:
        return reader(parsed=raw).parsed  # type: ignore[attr-defined]
    except ValidationError as error:
        raise ExperimentError(f"{where}: {_sentence(dict(error.errors()[0]), kind)}") from None


def _sentence(error: dict[str, Any], kind: type) -> str:
    """Say one validation error in a sentence that names the key and the cure."""
    places = error["loc"][1:]
    location = [str(part) for part in places]
    key = ".".join(location)
    problem = error["type"]
    if problem in ("unexpected_keyword_argument", "extra_forbidden"):
        known = _keys_at(kind, places[:-1])
        close = difflib.get_close_matches(location[-1], known, n=1)
        cure = f"did you mean {close[0]!r}?" if close else f"known keys are {', '.join(known)}."
        return f"unknown key {key!r}; {cure}"
    if problem == "missing" and isinstance(places[-1], int):
        return f"{'.'.join(location[:-1])!r} has too few entries; write [first, last]."
    if problem in ("missing", "missing_argument"):
        return f"the key {key!r} is missing; add it."
    if problem == "value_error":
        return f"{key!r}: {str(error['ctx']['error']).rstrip('.')}."
    given = error.get("input")
    message = error["msg"][0].lower() + error["msg"][1:]
    return f"{key!r} is {given!r}, but {message.replace('input should be', 'it must be')}."


def _keys_at(kind: Any, location: Sequence[Any]) -> list[str]:
    """Return the keys that the dataclass at a location of another one knows."""
    for part in location:
        if isinstance(part, int):
            kind = get_args(kind)[0]
            continue
        if dataclasses.is_dataclass(kind):
            kinds = {f.name: f.type for f in dataclasses.fields(kind)}
            kind = kinds.get(str(part), kind)
        else:
            arguments = get_args(kind)
            kind = arguments[-1] if arguments else kind
        options = [a for a in get_args(kind) if dataclasses.is_dataclass(a)]
        if options and type(None) in get_args(kind):
            kind = options[0]
    return [f.name for f in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []
