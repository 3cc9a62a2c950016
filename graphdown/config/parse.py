"""Dataclasses from nested mappings, with one sentence for what is wrong in one."""

import dataclasses
import difflib
import re
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from graphdown.config.renamed_keys import renamed
from graphdown.errors import ExperimentError
from graphdown.ranges import bounds_of, demand

Kind = TypeVar("Kind")
# What pydantic adds to the place of a value that may be of several types.
_VARIANT = re.compile(r"(dict|tuple|list)\[|(str|int|float)$")
Places = Sequence[str | int]  # keys and indices that lead to a value


def parse_as(kind: type[Kind], raw: Mapping[str, Any], where: str) -> Kind:
    """Turn a nested mapping into a dataclass.

    Args:
        kind: the dataclass.
        raw: keys and values.
        where: name of the mapping in messages, such as its file.

    Raises:
        ExperimentError: a key or a value is wrong; the message names it.
    """
    from pydantic import ConfigDict, ValidationError, create_model

    # Unlike a TypeAdapter's, a model's configuration reaches the dataclasses within.
    reader = create_model("Reader", __config__=ConfigDict(extra="forbid"), parsed=(kind, ...))
    try:
        return reader(parsed=raw).parsed  # type: ignore[attr-defined]
    except ValidationError as error:
        raise ExperimentError(f"{where}: {_sentence(_telling(error.errors()), kind)}") from None


def _telling(errors: Sequence[Any]) -> dict[str, Any]:
    """The first error; of a value that fits none of several types, that of the nearest type."""
    first = dict(errors[0])
    if any(_VARIANT.match(str(place)) for place in first["loc"]):
        first = dict(max(errors, key=lambda error: len(error["loc"])))
    first["loc"] = tuple(p for p in first["loc"] if not _VARIANT.match(str(p)))
    return first


def _sentence(error: Mapping[str, Any], kind: type) -> str:
    """Sentence for a validation error that names the key and how to correct it."""
    places: Places = error["loc"][1:]
    key, problem = _dotted(places), error["type"]
    if problem in ("unexpected_keyword_argument", "extra_forbidden"):
        return _unknown_key(places, kind)
    if problem == "missing" and isinstance(places[-1], int):
        return f"{_dotted(places[:-1])!r} has too few entries; write [first, last]."
    if problem in ("missing", "missing_argument"):
        return f"the key {key!r} is missing; add it."
    if problem == "value_error":
        return f"{key!r}: {str(error['ctx']['error']).rstrip('.')}."
    if problem.startswith(("greater_than", "less_than")):
        return f"{key!r} is {error['input']}, but must {demand(bounds_of(_type_at(kind, places)))}."
    message = error["msg"][0].lower() + error["msg"][1:]
    message = message.replace("input should be", "it must be")
    return f"{key!r} is {error.get('input')!r}, but {message}."


def _dotted(places: Places) -> str:
    return ".".join(map(str, places))


def _unknown_key(places: Places, kind: type) -> str:
    key = _dotted(places)
    if new := renamed(key):
        return f"{key!r} is now called {new!r}; rename it."
    section = _type_at(kind, places[:-1])
    known = [f.name for f in dataclasses.fields(section)] if _is_section(section) else []
    close = difflib.get_close_matches(str(places[-1]), known, n=1)
    cure = f"did you mean {close[0]!r}?" if close else f"known keys are {', '.join(known)}."
    return f"unknown key {key!r}; {cure}"


def _type_at(kind: Any, places: Places) -> Any:
    """Annotated type of the value at a place within a dataclass; None where there is none."""
    for place in places:
        kind = _type_within(_plain(kind), place)
    return kind if get_origin(kind) is Annotated else _plain(kind)


def _plain(kind: Any) -> Any:
    """Type without the annotations, and without the None of an optional value."""
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return next(option for option in get_args(kind) if option is not types.NoneType)
    return kind


def _type_within(kind: Any, place: str | int) -> Any:
    inner = get_args(kind)
    if _is_section(kind):
        return get_type_hints(kind, include_extras=True).get(str(place))
    if get_origin(kind) is dict:
        return inner[1]
    if get_origin(kind) is tuple and isinstance(place, int):
        return inner[0] if inner[-1] is ... else inner[place]
    return None


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)
