"""The site builds without a warning, explains every key, and asks nobody for anything."""

import dataclasses
import importlib.util
import os
import re
import subprocess
import sys
from html import escape
from pathlib import Path

import pytest
import yaml

from graphdown.config.data import Source, Target
from graphdown.config.experiment import Experiment
from graphdown.config.member_settings import MemberSpec
from graphdown.config.training import FinetuneSpec, PretrainedSpec, PretrainSpec, TrainingSpec
from graphdown.data.reading.rules import NOTICES, REFUSALS, REPAIRS
from graphdown.model.spec import ModelSpec
from graphdown.transfer.spec import Block, Strategy, Study
from meshes import GraphSpec, RandomGrids

ROOT = Path(__file__).parent.parent
EXPLAINED = {
    Experiment: (
        *(Experiment, Source, Target, TrainingSpec, ModelSpec, GraphSpec, RandomGrids),
        *(MemberSpec, FinetuneSpec, PretrainSpec, PretrainedSpec),
    ),
    Study: (Study, Strategy, Block),
}


def hook(name):
    """The module of docs/hooks that makes a page."""
    path = ROOT / "docs" / "hooks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{name}_hook", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def experiments():
    """The module that makes the reference of experiments."""
    return hook("experiments")


@pytest.mark.parametrize("kind", EXPLAINED, ids=lambda kind: kind.__name__)
def test_every_key_has_its_row(experiments, kind):
    text = "".join(experiments.sections(kind))
    for below in EXPLAINED[kind]:
        head = f"{{#{experiments.anchor(below)}}}" if below is not kind else "The file's own keys"
        rows = text.partition(head)[2].partition("\n## ")[0]
        for own in dataclasses.fields(below):
            row = re.search(rf"^\| `{own.name}` \| (.*) \| .* \| (.+) \|$", rows, re.MULTILINE)
            assert row and row[1] and len(row[2]) > 5, (below, own.name)


def test_types_and_defaults_are_told_in_words(experiments):
    text = "".join(experiments.sections(Experiment))
    assert "| `steps` | integer | `2000` |" in text
    assert "| `train` | 2 of text | required |" in text
    assert "| `sample_storage` | `memory`, `disk` | `memory` |" in text


def test_every_rule_of_reading_has_its_section():
    checks = hook("checks")
    examples = yaml.safe_load(checks.STORED.read_text(encoding="utf-8"))
    sections = "".join(checks.page(examples)).split("\n### ")[1:]
    rules = (*REPAIRS, *NOTICES, *REFUSALS)
    assert [section.partition("`")[2].partition("`")[0] for section in sections] == [*rules]
    for rule, section in zip(rules, sections, strict=True):
        assert examples[rule]["input"] in section
        assert escape(examples[rule]["sentence"], quote=False) in section


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    site = tmp_path / "site"
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True
    )
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    pages = {str(path.relative_to(site)): path.read_text("utf-8") for path in site.rglob("*.html")}
    assert {"tutorial.html", "notebook.html", "reference/experiment.html"} <= set(pages)
    assert "Refusals" in pages["reference/checks.html"]
    for name, text in pages.items():
        loaded = re.findall(r'<(?:script|img|link|iframe)[^>]+(?:src|href)="([^"]+)"', text)
        assert loaded and not [x for x in loaded if re.match(r"(https?:)?//", x)], name
    assert "graphdown.Emulator" in pages["reference/graphdown.html"]
