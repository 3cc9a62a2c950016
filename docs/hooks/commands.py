"""The page of the commands: what each of them prints for --help."""

import contextlib
import io
import os
from unittest import mock

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from graphdown.cli import COMMANDS, main

INTRODUCTION = """# Commands

What `graphdown COMMAND --help` prints. What the user can mend ends in one sentence and status 2;
`check` has status 1 if it would refuse a file.
"""
WIDTH = "96"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page to the site."""
    parts = [INTRODUCTION]
    parts += [f"\n## graphdown {name}\n\n```text\n{help_of(name)}```\n" for name in COMMANDS]
    files.append(File.generated(config, "reference/commands.md", content="".join(parts)))
    return files


def help_of(command: str) -> str:
    """Return what a command prints for --help, without colours."""
    said = io.StringIO()
    plain = {"COLUMNS": WIDTH, "NO_COLOR": "1", "TERM": "dumb"}
    with (
        mock.patch.dict(os.environ, plain),
        contextlib.redirect_stdout(said),
        contextlib.suppress(SystemExit),
    ):
        main([command, "--help"])
    return said.getvalue()
