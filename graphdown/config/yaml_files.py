"""YAML files, overrides of their keys, and environment variables in their values."""

import datetime
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graphdown.errors import ExperimentError

DEEPEST, MOST_VALUES = 50, 100_000  # of the values in a YAML file


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Return the keys and values of a YAML file.

    Raises:
        ExperimentError: there is no such file, or it holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise ExperimentError(f"The experiment file {str(path)!r} does not exist; check the path.")
    try:
        raw = _yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ExperimentError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise ExperimentError(f"{path} is not valid YAML: {error}.") from None
    if not isinstance(raw, dict):
        raise ExperimentError(f"{path} must hold 'key: value' lines such as 'name: my run'.")
    return raw


def _yaml(text: str) -> Any:
    """Return the plain values of a YAML text; a `ValueError` if it is none, or a trap.

    A few aliases in each other stand for more values than any memory holds.
    """
    import yaml

    try:
        value = yaml.safe_load(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise ValueError(" ".join(str(error).split())[:500].rstrip(".")) from None
    waiting, seen = [(value, 0)], 0
    while waiting:
        own, depth = waiting.pop()
        inner = list(own.values()) if isinstance(own, dict) else own
        if isinstance(inner, list):
            waiting += [(v, depth + 1) for v in inner]
        seen += 1
        if depth > DEEPEST or seen + len(waiting) > MOST_VALUES:
            raise ValueError("its aliases or nesting make too many values")
    return value


def apply_overrides(raw: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Put "key.sub=value" strings, values in YAML, into nested dicts, and return these.

    Raises:
        ExperimentError: an override is no such string, or goes into a plain value.
    """
    for override in overrides:
        _apply_override(raw, override)
    return raw


def _apply_override(raw: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ExperimentError(f"{override!r} is no override; write it as key.sub=value.")
    try:
        value = _yaml(text)
    except ValueError:
        raise ExperimentError(
            f"The value in the override {override!r} is not valid YAML; put it in quotes."
        ) from None
    set_key(raw, key, value, f"The override {override!r}")


def set_key(raw: dict[str, Any], key: str, value: Any, what: str) -> None:
    """Put a value under "key.sub" into nested dicts.

    Raises:
        ExperimentError: the key goes into a plain value; the message begins with `what`.
    """
    *parents, last = key.split(".")
    node: Any = raw
    for parent in parents:
        node = node.setdefault(parent, {}) if isinstance(node, dict) else None
        if not isinstance(node, dict):
            raise ExperimentError(f"{what} goes into {parent!r}, a plain value.")
    node[last] = value


def expand(value: Any, where: str, keys: tuple[str, ...]) -> Any:
    """Replace ${NAME} by environment variables, everywhere."""
    if isinstance(value, Mapping):
        return {k: expand(v, where, (*keys, str(k))) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [expand(v, where, (*keys, str(i))) for i, v in enumerate(value)]
    if isinstance(value, datetime.date) or (keys[:1] == ("periods",) and isinstance(value, int)):
        return str(value)  # YAML reads 1990-01-01 as a date and 1990 as a number
    if not isinstance(value, str):
        return value
    for name in re.findall(r"\$\{(\w+)\}", value):
        if name not in os.environ:
            raise ExperimentError(
                f"{where}: '{'.'.join(keys)}' uses the environment variable {name}, which is not "
                f"set; run 'export {name}=...' first."
            )
        value = value.replace("${" + name + "}", os.environ[name])
    return value
