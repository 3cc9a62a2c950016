"""The page of the notebook, with the outputs that are stored in it."""

import base64
import json
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

NOTEBOOK = Path(__file__).parent.parent / "tutorial.ipynb"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page and its pictures to the site."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    text = ""
    for number, cell in enumerate(cells):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            text += f"{source}\n\n"
            continue
        text += f"```python\n{source}\n```\n\n"
        for output in cell["outputs"]:
            if output.get("name") == "stderr":  # how training went on
                continue
            picture = output.get("data", {}).get("image/png")
            if picture is None:
                text += f"```text\n{printed(output).rstrip()}\n```\n\n"
                continue
            name = f"notebook-{number}.png"
            content = base64.b64decode(picture)
            files.append(File.generated(config, name, content=content))
            text += f"![What the cell above draws]({name})\n\n"
    files.append(File.generated(config, "notebook.md", content=text))
    return files


def printed(output: dict[str, Any]) -> str:
    """Return the text of a cell's output."""
    text = output["text"] if output["output_type"] == "stream" else output["data"]["text/plain"]
    return "".join(text)
