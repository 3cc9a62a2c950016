"""The fenced blocks of README.md, CONTRIBUTING.md and docs/, and how they are run.

A comment on the line before a fence says what is special about a block:

    <!-- not run: REASON -->        it cannot run here
    <!-- needs NAME -->             it runs where the environment variable NAME is set
    <!-- fails with status N -->    its last command does
    <!-- file: NAME -->             the reader saves it under that name
    <!-- output -->                 the block before prints this, among other lines
    <!-- output: numbers differ --> the same but for its numbers, since tests run a smaller version

Everything else in sh or python is run as it stands, in order, in a folder that looks like a fresh
clone but for smaller experiments.
"""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGES = ["docs/tutorial.md", "README.md"]  # the first ones; later ones use what these leave
PAGES += sorted(
    str(path.relative_to(ROOT))
    for path in [ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    if str(path.relative_to(ROOT)) not in PAGES
)
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.M | re.S
)
MARK = re.compile(r"<!-- (.*) -->\s*\Z")
SECONDS = 540


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        where: page and line, for messages.
        language: as the fence names it.
        text: what it holds.
        mark: what the comment before it says, or nothing.
    """

    where: str
    language: str
    text: str
    mark: str

    @property
    def runs(self) -> bool:
        """Tell whether it is to be typed by the reader, and can be here."""
        if self.language not in ("sh", "python") or self.mark.startswith("not run: "):
            return False
        needs = re.fullmatch(r"needs (\w+)", self.mark)
        return needs is None or bool(os.environ.get(needs[1]))


def blocks_of(page: str) -> list[Block]:
    """Return the blocks of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for fence in FENCE.finditer(text):
        before = text[: fence.start()]
        mark = MARK.search(before)
        where = f"{page}:{before.count(chr(10)) + 1}"
        found.append(Block(where, fence["language"], fence["text"], mark[1] if mark else ""))
    return found


def make_clone(folder: Path) -> None:
    """Lay out a folder as a fresh clone after `make install`, with small experiments."""
    for name in ("graphdown", "meshes", "Makefile", "pyproject.toml"):
        here = ROOT / name
        if here.is_dir():  # a link within, to the experiments, stays one
            shutil.copytree(here, folder / name, symlinks=True)
        else:
            shutil.copy(here, folder / name)
    (folder / "configs").mkdir()
    for path in (ROOT / "configs").glob("*.yaml"):
        (folder / "configs" / path.name).write_text(smaller(path.read_text(encoding="utf-8")))
    bin = folder / ".venv" / "bin"
    bin.mkdir(parents=True)
    for name, what in (("python", ""), ("graphdown", "-m graphdown ")):
        (bin / name).write_text(f'#!/bin/sh\nexec {sys.executable} {what}"$@"\n')
        (bin / name).chmod(0o755)
    (bin / "activate").write_text(f'export PATH="{bin}:$PATH"\n')
    (folder / ".venv" / ".installed").touch()


def smaller(text: str) -> str:
    """Return an experiment's or a study's file with little data, a small network and few steps."""
    raw = yaml.safe_load(text)
    if "strategies" in raw:
        raw["experiment"] = _smaller(raw["experiment"])
        raw["strategies"] = {"graphdown": {}, "bilinear": {"baseline": "bilinear"}}
        names = list(raw["strategies"])
        raw["blocks"] = {"Both": {"strategies": names, "train": [["A"]], "apply": ["A", "D"]}}
        raw |= {"seeds": 1, "draws": 5, "quick": {"draws": 4, "output": "runs/quick"}}
    else:
        raw = _smaller(raw)
    return yaml.safe_dump(raw, sort_keys=False)


def _smaller(raw: dict[str, Any]) -> dict[str, Any]:
    training = {"steps": 8, "validate_every": 4, "warmup_steps": 2, "batch_size": 4}
    if "folds" in raw.get("training", {}):
        training |= {"ensemble": 2, "folds": 2}
    raw["training"] = raw.get("training", {}) | training
    raw["model"] = raw.get("model", {}) | {"channels": 8, "rounds": 1, "target_channels": 8}
    raw["model"] |= {"target_regression": 0, "eofs": 0}
    raw["graph"] = raw.get("graph", {}) | {"mesh_level": 5}
    if "world" in raw["data"]:
        raw["data"]["world"] |= {"years": 4, "size": 12}
        raw["periods"] = {"train": ["1981", "1982"], "validation": ["1983", "1983"]}
        raw["periods"]["test"] = ["1984", "1984"]
        return raw
    raw["baselines"] = ["bilinear", "ridge"]
    if "y" in raw["data"]["target"].get("cut", {}):  # made-up files have 10 x 10 cells
        raw["data"]["target"]["cut"] = {"y": [1, 9], "x": [2, 10]}
    return raw


class Reader:
    """Types the blocks of pages in one terminal and, for each page, one Python session.

    Attributes:
        folder: where the terminal is.
        variables: of the terminal.
        names: of the Python session.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self.variables = dict(variables)
        self.names: dict[str, Any] = {}

    def read(self, page: str) -> None:
        """Run the blocks of a page in order, and hold what they print against what is shown."""
        self.names = {"__name__": "__main__"}
        said = ""
        for block in blocks_of(page):
            if block.mark.startswith("output"):
                assert_shown(block, said)
            elif block.mark.startswith("file: "):
                text = smaller(block.text) if block.language == "yaml" else block.text
                (self.folder / block.mark.removeprefix("file: ")).write_text(text)
            elif block.runs:
                said = self._python(block) if block.language == "python" else self._shell(block)

    def _python(self, block: Block) -> str:
        said = io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(said):
            exec(compile(block.text, block.where, "exec"), self.names)
        return said.getvalue()

    def _shell(self, block: Block) -> str:
        left = self.folder / ".variables"
        script = f"set -eo pipefail\ntrap 'env -0 > {left}' EXIT\n{block.text}"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        )
        fails = re.fullmatch(r"fails with status (\d+)", block.mark)
        assert done.returncode == (int(fails[1]) if fails else 0), f"{block.where}\n{done.stdout}"
        entries = left.read_text().rstrip("\0").split("\0")
        self.variables = dict(entry.split("=", 1) for entry in entries)
        return done.stdout


def assert_shown(block: Block, said: str) -> None:
    """Hold the lines that a page shows against what was printed: there, in order, without gaps."""
    masked = block.mark == "output: numbers differ"
    shown, printed = (lines_of(text, masked) for text in (block.text, said))
    starts = range(len(printed) - len(shown) + 1)
    there = any(printed[n : n + len(shown)] == shown for n in starts)
    assert there, f"{block.where} shows\n{block.text}\nbut this was printed:\n{said}"


def lines_of(text: str, masked: bool) -> list[str]:
    """Return the lines that are not empty; masked, any number is the same as any other."""
    if masked:
        text = re.sub(r"[-+]?\d[\d.,:e+-]*\*?", "#", text)
        text = re.sub(r" +", " ", text)
    return [line.strip() for line in text.splitlines() if line.strip()]


def graphdown_lines(block: Block) -> Iterator[str]:
    """Give the calls of graphdown in a block of shell, each on one line, without comments."""
    joined = block.text.replace("\\\n", " ")
    for line in joined.splitlines():
        call = re.search(r"(?:^|\s)(graphdown\s+[a-z]+\b.*)", line.split("#!")[0])
        if call and not line.lstrip().startswith("#"):
            yield re.split(r"\s[|&;]|\s#", call[1])[0]
