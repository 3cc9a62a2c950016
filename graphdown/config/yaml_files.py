"""YAML files, overrides of their keys, and environment variables in their values."""

import datetime
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graphdown.config.packaged import find_config
from graphdown.errors import ExperimentError

MAX_DEPTH, MAX_VALUES = 50, 100_000  # of the values in a YAML file


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read the keys and values of a YAML file.

    Raises:
        ExperimentError: there is no such file, or it holds something else.
    """
    path = find_config(path)
    if not path.is_file():
        raise ExperimentError(f"The experiment file {str(path)!r} does not exist; check the path.")
    try:
        raw = _parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ExperimentError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise ExperimentError(f"{path} is not valid YAML: {error}.") from None
    if not isinstance(raw, dict):
        raise ExperimentError(f"{path} must hold 'key: value' lines such as 'name: my run'.")
    return raw


def _parse(text: str) -> Any:
    """Plain values of a YAML text.

    Raises:
        ValueError: the text is not valid, nested too deeply or expands to too many values.
    """
    import yaml

    try:
        value = yaml.safe_load(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise ValueError(" ".join(str(error).split())[:500].rstrip(".")) from None
    _check_size(value)
    return value


def _check_size(value: Any) -> None:
    """Refuse values that nested aliases multiply until they fill any memory."""
    waiting, count = [(value, 0)], 0
    while waiting:
        node, depth = waiting.pop()
        inner = list(node.values()) if isinstance(node, dict) else node
        if isinstance(inner, list):
            waiting += [(v, depth + 1) for v in inner]
        count += 1
        if depth > MAX_DEPTH or count + len(waiting) > MAX_VALUES:
            raise ValueError("its aliases or nesting make too many values")


def apply_overrides(raw: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Put "key.sub=value" strings, values in YAML, into nested dicts, and return these.

    Raises:
        ExperimentError: an override has another form, or its key goes into a plain value.
    """
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise ExperimentError(f"{override!r} is no override; write it as key.sub=value.")
        set_key(raw, key, _override_value(override, text), f"The override {override!r}")
    return raw


def _override_value(override: str, text: str) -> Any:
    try:
        return _parse(text)
    except ValueError:
        raise ExperimentError(
            f"The value in the override {override!r} is not valid YAML; put it in quotes."
        ) from None


def set_key(raw: dict[str, Any], key: str, value: Any, what: str) -> None:
    """Put a value under "key.sub" into nested dicts and lists, whose items are called by number.

    Raises:
        ExperimentError: the key goes into a plain value, or beyond the end of a list; the message
            begins with `what`.
    """
    *parents, last = key.split(".")
    node: Any = raw
    for parent in parents:
        if isinstance(node, dict):
            node = node.setdefault(parent, {})
        else:
            node = node[_place(node, parent, what)]
        if not isinstance(node, dict | list):
            raise ExperimentError(f"{what} goes into {parent!r}, a plain value.")
    node[last if isinstance(node, dict) else _place(node, last, what)] = value


def _place(items: list[Any], key: str, what: str) -> int:
    if not key.isdecimal() or int(key) >= len(items):
        raise ExperimentError(
            f"{what} names the item {key!r} of a list of {len(items)}; count from 0, as in "
            "data.sources.0.files."
        )
    return int(key)


def expand(value: Any, where: str, keys: tuple[str, ...] = ()) -> Any:
    """Replace each ${NAME} within nested values by the environment variable, and dates by text.

    Args:
        value: mappings, lists and plain values as YAML has them.
        where: name of the whole in messages, such as its file.
        keys: keys that lead to the value.

    Raises:
        ExperimentError: a variable is not set; the message names it and the key.
    """
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
