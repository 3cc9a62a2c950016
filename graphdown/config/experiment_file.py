"""Experiments read from YAML files and written to them."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

from graphdown.config.checks import check_experiment
from graphdown.config.experiment import Experiment
from graphdown.config.extensions import extensions_beside, load_extensions, refuse_inside
from graphdown.config.parse import parse_as
from graphdown.config.yaml_files import apply_overrides, expand, read_yaml
from graphdown.runtime.atomic import write_durably


def load_experiment(path: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment from a YAML file.

    The modules that it names in `extensions` are imported; see `graphdown.config.extensions`.

    Args:
        path: the file; `${NAME}` in a value is replaced by the environment variable.
        overrides: "key.sub=value" strings, values in YAML, applied over the file.

    Raises:
        ExperimentError: the file, a key or a value is wrong; the message names it.
    """
    raw = apply_overrides(read_yaml(path), overrides)
    return parse_experiment(with_extensions_beside(raw, path), str(path))


def load_stored_experiment(path: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment from a run's folder, where `write_experiment` wrote it.

    Args:
        path: the file. Its `extensions` start at the working directory, not at its folder, whose
            code is never run.
        overrides: as for `load_experiment`.

    Raises:
        ExperimentError: the file, a key or a value is wrong, or an extension lies in the folder.
    """
    raw = expand(apply_overrides(read_yaml(path), overrides), str(path))
    refuse_inside(_extensions(raw), Path(path).parent, str(path))
    return parse_experiment(raw, str(path))


def parse_experiment(raw: Mapping[str, Any], where: str) -> Experiment:
    """Turn a nested mapping into an Experiment, after its extensions are imported.

    Args:
        raw: the experiment's keys and values.
        where: name of the mapping in messages, such as its file.

    Raises:
        ExperimentError: a key or a value is wrong; the message names it.
    """
    raw = expand(raw, where)
    load_extensions(_extensions(raw), where)
    experiment = parse_as(Experiment, raw, where)
    check_experiment(experiment, where)
    return experiment


def with_extensions_beside(raw: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    """Keys of an experiment, with relative paths of extensions found beside its file.

    Args:
        raw: the keys and values.
        path: the file that they were read from.

    Raises:
        ExperimentError: a path uses an environment variable that is not set.
    """
    names = expand(_extensions(raw), str(path), ("extensions",))
    return {**raw, "extensions": extensions_beside(names, Path(path).parent)} if names else {**raw}


def _extensions(raw: Mapping[str, Any]) -> list[str]:
    """Names under the key `extensions`; none where it holds something else, refused later."""
    names = raw.get("extensions")
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        return []
    return list(names)


def experiment_to_dict(experiment: Experiment) -> dict[str, Any]:
    """Experiment as nested dicts and lists, as its YAML file holds it."""
    return _plain(dataclasses.asdict(experiment))


def write_experiment(experiment: Experiment, path: Path) -> None:
    """Write the resolved experiment as YAML, with its checksum as a comment at the end."""
    import yaml

    text = yaml.safe_dump(experiment_to_dict(experiment), sort_keys=False, allow_unicode=True)
    write_durably(path, text + _checksum_line(text))


def as_written(path: Path) -> bool:
    """Whether a file is as `write_experiment` wrote it."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    return bool(lines) and lines[-1] == _checksum_line("".join(lines[:-1]))


def _checksum_line(text: str) -> str:
    return f"# The checksum (CRC-32) of the lines above: {crc32(text.encode()):08x}\n"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, tuple | list) else value
