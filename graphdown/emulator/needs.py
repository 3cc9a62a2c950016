"""Entries of registries that an emulator needs, and the extensions that register them."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graphdown.config.extensions import (
    Entry,
    entries,
    load_extensions,
    provided_entries,
    refuse_inside,
)
from graphdown.variables.catalogue import split_level
from graphdown.variables.names import variable_of

VARIABLE = "GRAPHDOWN_EXTENSIONS"
BUILDERS = ("encoder", "processor", "decoder", "mesh")  # settings of the graph


def load_for_emulator(names: Sequence[str], folder: Path) -> None:
    """Import the named extensions and those that the environment variable names.

    Args:
        names: see `graphdown.config.extensions.load_extensions`.
        folder: of the emulator, whose code is never run.

    Raises:
        ExperimentError: there is no such extension, it fails, or it lies in the folder.
    """
    listed = [name for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name]
    for chosen, where in ((names, "'extensions'"), (listed, VARIABLE)):
        refuse_inside(chosen, folder, where)
        load_extensions(chosen, where)


def needed_entries(schema: Mapping[str, Any]) -> list[Entry]:
    """Kind and name of the registered entries that an emulator is made of.

    Args:
        schema: as `Emulator.schema`.
    """
    model, graph, normaliser = (dict(schema[key]) for key in ("model", "graph", "normaliser"))
    heads, transforms = (dict(model.get(key, {})) for key in ("heads", "transforms"))
    of_predictors = dict(normaliser.get("predictor_transforms", {}))
    return [
        *(("head", name) for name in heads.values()),
        *(("transform", name) for name in (*transforms.values(), *of_predictors.values())),
        *((setting, graph[setting]) for setting in BUILDERS if setting in graph),
    ]


def needed_extensions(schema: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Entries that an emulator needs, by the key of the extension that registered them."""
    normaliser = schema["normaliser"]
    names = (*normaliser["predictors"], *normaliser["targets"])
    variables = {("variable", split_level(variable_of(name))[0]) for name in names}
    needed = {*needed_entries(schema), *variables}
    return {
        key: [list(entry) for entry in sorted(provided & needed)]
        for key, provided in provided_entries().items()
        if provided & needed
    }


def missing_entries(schema: Mapping[str, Any], run: str) -> str | None:
    """Sentence about the entries that an emulator needs and that are not registered, None if all.

    Args:
        schema: as `Emulator.schema`, with what `needed_extensions` returned under "extensions".
        run: folder of the emulator.
    """
    known, origins = entries(), {}
    for key, listed in dict(schema.get("extensions", {})).items():
        absent = [(kind, name) for kind, name in listed if (kind, name) not in known]
        if absent:
            origins[key] = f"{_phrase(absent)} of {key!r}"
    if origins:
        return (
            f"{run!r} needs {'; '.join(origins.values())}: extensions that are not loaded; give "
            f"their paths, as in graphdown.load({run!r}, extensions={list(origins)}), or in the "
            f"environment variable {VARIABLE}."
        )
    absent = [entry for entry in needed_entries(schema) if entry not in known]
    if absent:
        return (
            f"{run!r} needs {_phrase(absent)}, which nothing registers; import the module that "
            "does, or update graphdown."
        )
    return None


def _phrase(absent: Sequence[Entry]) -> str:
    return ", ".join(f"the {kind} {name!r}" for kind, name in absent)
