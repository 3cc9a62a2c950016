"""What README.md and docs/ tell the reader to type is right, and does what they show."""

import functools
import os
import re
import shlex
import subprocess

import pytest
import yaml

from graphdown.cli import COMMANDS, main
from graphdown.config.experiment_file import parse_experiment
from graphdown.config.yaml_files import read_yaml

from .archives import ALADIN, aladin_grid, cmip_files, cordex_files, driver_grid
from .documents import PAGES, ROOT, Reader, blocks_of, graphdown_lines, make_clone

LANGUAGES = ("sh", "python", "yaml", "text")
MARKS = re.compile(
    r"not run: .{10,}|needs [A-Z_]+|fails with status \d|file: [\w.]+|output(: numbers differ)?"
)
BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def test_every_block_is_of_a_known_kind():
    assert len(BLOCKS) > 60
    for block in BLOCKS:
        assert block.language in LANGUAGES, block.where
        assert not block.mark or MARKS.fullmatch(block.mark), block.where
        assert block.language == "text" or not block.mark.startswith("output"), block.where


@pytest.mark.parametrize(
    "block", [b for b in BLOCKS if b.language == "sh"], ids=lambda block: block.where
)
def test_shell_and_every_command_parse_also_where_they_cannot_run(block, monkeypatch, capsys):
    subprocess.run(["bash", "-n", "-c", block.text], check=True)
    if block.mark.startswith("fails"):
        return
    for name, command in list(COMMANDS.items()):
        parsed = functools.wraps(command)(lambda *args, **kwargs: None)
        monkeypatch.setitem(COMMANDS, name, parsed)
    for line in graphdown_lines(block):
        main(shlex.split(line)[1:])


def test_yaml_and_python_parse(monkeypatch):
    monkeypatch.setenv("GRAPHDOWN_DATA", "archive")
    demo = read_yaml(ROOT / "configs" / "demo.yaml")
    for block in BLOCKS:
        if block.language == "python":
            compile(block.text, block.where, "exec")
        if block.language == "yaml":
            parse_experiment(demo | yaml.safe_load(block.text), block.where)


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clone")
    make_clone(folder)
    own = {"PYTHONPATH": str(folder), "GRAPHDOWN_CACHE": str(folder / "cache"), "NO_COLOR": "1"}
    haste = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "COLUMNS": "100"}
    return Reader(folder, os.environ | own | haste)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if any(b.runs for b in blocks_of(page))])
def test_what_is_typed_does_what_is_shown(page, reader, compiled_in_haste):
    if page == "docs/real_data.md":
        archive = reader.folder / "archive"
        cordex_files(archive, aladin_grid(), ALADIN, "orog", "sftlf")
        cmip_files(archive, driver_grid())
        reader.variables["GRAPHDOWN_DATA"] = str(archive)
    reader.read(page)
