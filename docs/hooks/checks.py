"""The page of the rules of reading: each with an example and the sentence that it gives."""

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from graphdown.data.reading.rules import NOTICES, REFUSALS, REPAIRS

STORED = Path(__file__).parent.parent / "checks.yaml"
INTRODUCTION = """# What graphdown checks

Input data are checked by the same rules in `check`, `train`, `evaluate` and `downscale`, and every
value is checked as it is read. There are three kinds of rules:

- A [repair](#repairs) changes the data where they can be meant in one way only. One line says what
  was changed.
- A [notice](#notices) is a warning: something is unusual, left out or ignored, and you may want to
  look at it.
- A [refusal](#refusals) ends the command. One sentence says which file is meant, what is wrong with
  it and what to do.

`graphdown check` shows all of them before you train or downscale, each refusal after the words
"To mend:". Its status is 1 if anything would be refused:

```sh
graphdown check tas_*.nc pr_*.nc
graphdown check tas_*.nc pr_*.nc --full
```

The first command looks at a few times of each variable and takes seconds; `--full` reads all
values. The other commands log repairs and notices as they read. The line of a repair or a notice
ends with the name of its rule.

This page is made from [the rules](../../graphdown/data/reading/rules.py), and the sentences are
those that graphdown prints for the examples. You can add repairs of your own, see
[Extending graphdown](../extending.md).
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page to the site."""
    content = "".join(page(yaml.safe_load(STORED.read_text(encoding="utf-8"))))
    files.append(File.generated(config, "reference/checks.md", content=content))
    return files


def page(examples: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Give the page in parts.

    Args:
        examples: input and sentence by rule.
    """
    yield INTRODUCTION
    repairs = {name: repair.sentence for name, repair in REPAIRS.items()}
    for head, rules in (("Repairs", repairs), ("Notices", NOTICES), ("Refusals", REFUSALS)):
        yield f"\n## {head}\n"
        for name, meaning in rules.items():
            yield entry(name, meaning, examples[name])


def entry(name: str, meaning: str, example: Mapping[str, Any]) -> str:
    """Return the section of one rule."""
    sentence = escape(example["sentence"], quote=False)
    return (
        f"\n### `{name}` {{#{name}}}\n\n{meaning}\n\n*Example:* {example['input']}\n\n"
        f"<blockquote><samp>{sentence}</samp></blockquote>\n"
    )
