"""Numeric ranges that a dataclass states beside its fields, as `Annotated[int, Ge(1)]`."""

import operator
import types
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, GroupedMetadata, Gt, Le, Lt

Bounds = Mapping[str, float]  # by kind of bound: "gt", "ge", "lt" or "le"
_KINDS = (Gt, Ge, Lt, Le)
_WORDS = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}


def check_ranges(spec: Any) -> None:
    """Refuse a dataclass with a number outside of the range that its field is annotated with.

    Raises:
        ValueError: the message names the field, its value and the range.
    """
    for field, hint in _hints(spec.__class__).items():
        for name, number, bounds in _bounded(field, hint, getattr(spec, field)):
            if not all(getattr(operator, kind)(number, bounds[kind]) for kind in bounds):
                raise ValueError(f"{name} is {number}, but must {demand(bounds)}.")


def bounds_of(hint: Any) -> Bounds:
    """Bounds of an annotated type; none if it is not annotated with any."""
    if get_origin(hint) is not Annotated:
        return {}
    found = {}
    for entry in get_args(hint)[1:]:
        for bound in entry if isinstance(entry, GroupedMetadata) else (entry,):
            if isinstance(bound, _KINDS):
                kind = type(bound).__name__.lower()
                found[kind] = getattr(bound, kind)
    return found


def demand(bounds: Bounds) -> str:
    """Wording of a range after "must", as in "lie between 1 and 80" or "be greater than 0"."""
    if set(bounds) == {"ge", "le"}:
        return f"lie between {bounds['ge']:,} and {bounds['le']:,}"
    if bounds == {"ge": 0}:
        return "not be negative"
    return "be " + " and ".join(f"{_WORDS[kind]} {bound:,}" for kind, bound in bounds.items())


@lru_cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _bounded(name: str, hint: Any, value: Any) -> Iterator[tuple[str, Any, Bounds]]:
    """Name, value and bounds of each number with bounds in a field."""
    origin, inner = get_origin(hint), get_args(hint)
    if bounds := bounds_of(hint):
        yield name, value, bounds
    elif origin in (Union, types.UnionType) and value is not None:
        yield from _bounded(name, inner[0], value)
    elif origin is tuple:
        of_entries = inner[:1] * len(value) if inner[-1] is ... else inner
        for number, (entry, kind) in enumerate(zip(value, of_entries, strict=True)):
            yield from _bounded(f"{name}.{number}", kind, entry)
    elif origin is dict:
        for key, entry in value.items():
            yield from _bounded(f"{name}.{key}", inner[1], entry)
