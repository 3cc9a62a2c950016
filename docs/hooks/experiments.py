"""Pages that explain every key of an experiment and of a transfer study, from their dataclasses."""

import dataclasses
import inspect
import re
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from graphdown.config.data import Source
from graphdown.config.experiment import Experiment
from graphdown.ranges import bounds_of, demand
from graphdown.transfer.spec import Study

EXPERIMENT = """# Experiments: every key

An experiment is one YAML file. Every key can be set from the command line too:
`--set training.steps=500 output=runs/short`; lists and mappings are YAML as well, as in
`--set "training.losses={pr: crps}"`. `${NAME}` in a value is replaced by that environment variable.
Unknown keys and values of a wrong type are refused in a sentence that names the key.

This page is made from the dataclasses that read the file. Examples to copy are in `configs/`, and
[the tutorial](../tutorial.md#an-experiment-of-your-own) writes one.
"""
STUDY = """# Transfer studies: every key

A study is one YAML file for `graphdown transfer`; [Transfer studies](../transfer.md) tells what
they are for. Keys are set from the command line as those of [experiments](experiment.md). This page
is made from the dataclasses that read the file.
"""
SEE = "see their classes."  # what a docstring says of keys that are sections
# What a list or mapping of classes is called in a heading.
NAMES = {Source: "data.sources[] and data.unseen[]"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the two pages to the site."""
    pages = {
        "reference/experiment.md": EXPERIMENT + "".join(sections(Experiment)),
        "reference/study.md": STUDY + "".join(sections(Study)),
    }
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def sections(kind: type, key: str = "", seen: set[type] | None = None) -> Iterator[str]:
    """Give a section for a dataclass and for each one below it, as Markdown.

    Args:
        kind: the dataclass.
        key: where it stands in the file, as "data.target".
        seen: classes that have a section already.
    """
    seen = set() if seen is None else seen
    seen.add(kind)
    hints, annotated = get_type_hints(kind), get_type_hints(kind, include_extras=True)
    meanings = attributes(kind)
    summary = inspect.cleandoc(kind.__doc__ or "").split("\n\nAttributes:")[0]
    head = f"`{key}` {{#{anchor(kind)}}}\n\n{summary}" if key else "The file's own keys"
    yield f"\n## {head}\n\n"
    yield "| key | type | default | meaning |\n|---|---|---|---|\n"
    for own in dataclasses.fields(kind):
        if own.name not in meanings:
            raise ValueError(f"The docstring of {kind.__name__} lacks the attribute {own.name}.")
        meaning = meanings[own.name] + range_text(annotated[own.name])
        cells = (type_text(hints[own.name]), default_text(own), meaning)
        below, _ = dataclass_in(hints[own.name])
        if below is not None and meanings[own.name] == SEE:
            cells = (*cells[:2], inspect.cleandoc(below.__doc__ or "").splitlines()[0])
        yield f"| `{own.name}` | " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
    for own in dataclasses.fields(kind):
        below, brackets = dataclass_in(hints[own.name])
        if below is not None and below not in seen:
            path = f"{key}.{own.name}" if key else own.name
            yield from sections(below, NAMES.get(below, path + brackets), seen)


def anchor(kind: type) -> str:
    """Return the anchor of a dataclass's section."""
    return kind.__name__.lower()


def attributes(kind: type) -> dict[str, str]:
    """Return what the docstrings of a dataclass and of those it extends say of each attribute."""
    told: dict[str, str] = {}
    for own in reversed(kind.__mro__):
        text = inspect.cleandoc(own.__doc__ or "")
        _, there, listed = text.partition("Attributes:\n")
        if not there or not dataclasses.is_dataclass(own):
            continue
        # An entry begins at four spaces; its further lines are indented deeper.
        for names, meaning in re.findall(
            r"^    (\w[\w, ]*): (.*(?:\n {5,}.*)*)", listed, flags=re.MULTILINE
        ):
            told |= {name: " ".join(meaning.split()) for name in names.split(", ")}
    return told


def range_text(hint: Any) -> str:
    """Return a sentence on the range of a number, nothing for a type without one."""
    if bounds := bounds_of(hint):
        return f" It must {demand(bounds)}."
    for inner in get_args(hint):
        if bounds := bounds_of(inner):
            subject = "It" if type(None) in get_args(hint) else "Each number"
            return f" {subject} must {demand(bounds)}."
    return ""


def type_text(hint: Any) -> str:
    """Return a type in words of YAML, such as "list of text"."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(type_text(x) for x in inner if x is not type(None))
    if origin is Literal:
        return ", ".join(f"`{x}`" for x in inner)
    if origin is tuple and inner[-1] is not ...:
        same = len(set(inner)) == 1
        return (
            f"{len(inner)} of {type_text(inner[0])}" if same else ", ".join(map(type_text, inner))
        )
    if origin is tuple:
        return f"list of {type_text(inner[0])}"
    if origin is dict:
        return f"{type_text(inner[0])}: {type_text(inner[1])}"
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return f"[section](#{anchor(hint)})"
    plain = {str: "text", int: "integer", float: "number", bool: "true or false", Any: "any value"}
    return plain[hint]


def default_text(own: dataclasses.Field[Any]) -> str:
    """Return a field's default, "required" if it has none, nothing if it may be left out."""
    value = own.default
    if own.default_factory is not dataclasses.MISSING:
        value = own.default_factory()
    if value is dataclasses.MISSING:
        return "required"
    if value is None or value in ("", (), {}):
        return ""
    if dataclasses.is_dataclass(value):
        return ""
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value}`"


def dataclass_in(hint: Any) -> tuple[type | None, str]:
    """Return the dataclass that a type holds, and what a heading adds to the key."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return hint, ""
    origin = get_origin(hint)
    brackets = {tuple: "[]", dict: ".NAME"}.get(origin, "") if origin else ""
    for inner in get_args(hint):
        found, further = dataclass_in(inner)
        if found is not None:
            return found, brackets + further
    return None, ""
