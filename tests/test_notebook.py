"""docs/tutorial.ipynb runs, in a Jupyter kernel, and its cells put out what is stored."""

import os
from pathlib import Path

import pytest

from .documents import lines_of

NOTEBOOK = Path(__file__).parent.parent / "docs" / "tutorial.ipynb"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_notebook_runs(tmp_path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    folder = tmp_path / "docs"
    folder.mkdir()
    (tmp_path / "configs").symlink_to(NOTEBOOK.parent.parent / "configs")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    stored = [shown(cell) for cell in notebook.cells]
    assert sum(map(len, stored)) >= 6
    root = str(NOTEBOOK.parent.parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    client = NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(folder)}})
    client.execute()
    assert [shown(cell) for cell in notebook.cells] == stored


def shown(cell):
    """What a cell puts out but for numbers: text that is printed, and that there are pictures.

    In how many pieces the text comes depends on the kernel's haste.
    """
    outputs = [output for output in cell.get("outputs", []) if output.get("name") != "stderr"]
    printed = "".join(output["text"] for output in outputs if "text" in output)
    pictures = [sorted(output["data"]) for output in outputs if "data" in output]
    return ([lines_of(printed, masked=True)] if printed else []) + pictures
