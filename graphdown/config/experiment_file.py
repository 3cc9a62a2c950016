"""Experiments read from YAML files and written to them."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

from graphdown.config.checks import check_experiment
from graphdown.config.experiment import Experiment
from graphdown.config.parse import parse_as
from graphdown.config.yaml_files import apply_overrides, expand, read_yaml
from graphdown.runtime.atomic import write_durably


def load_experiment(path: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment from a YAML file.

    Args:
        path: the file; `${NAME}` in a value is replaced by the environment variable.
        overrides: "key.sub=value" strings, values in YAML, applied over the file.

    Raises:
        ExperimentError: the file, a key or a value is wrong; the message names it.
    """
    return parse_experiment(apply_overrides(read_yaml(path), overrides), str(path))


def parse_experiment(raw: Mapping[str, Any], where: str) -> Experiment:
    """Turn a nested mapping into an Experiment.

    Args:
        raw: the experiment's keys and values.
        where: what to call the mapping in messages.

    Raises:
        ExperimentError: a key or a value is wrong; the message names it.
    """
    experiment = parse_as(Experiment, expand(raw, where, ()), where)
    check_experiment(experiment, where)
    return experiment


def experiment_to_dict(experiment: Experiment) -> dict[str, Any]:
    """Return the experiment as nested dicts and lists, as its YAML file would hold it."""
    return _plain(dataclasses.asdict(experiment))


def write_experiment(experiment: Experiment, path: Path) -> None:
    """Write the resolved experiment as YAML, with its checksum as a comment at the end."""
    import yaml

    text = yaml.safe_dump(experiment_to_dict(experiment), sort_keys=False, allow_unicode=True)
    write_durably(path, text + _sum_line(text))


def as_written(path: Path) -> bool:
    """Tell whether a file is as `write_experiment` wrote it."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    return bool(lines) and lines[-1] == _sum_line("".join(lines[:-1]))


def _sum_line(text: str) -> str:
    return f"# The checksum (CRC-32) of the lines above: {crc32(text.encode()):08x}\n"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, tuple | list) else value
