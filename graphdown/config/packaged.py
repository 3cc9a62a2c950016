"""Experiment and study files that are installed with graphdown: those of `configs/`.

In the repository, `graphdown/config/files` is a link to that folder; a wheel holds copies.
"""

import logging
from importlib.resources import files
from pathlib import Path

SUFFIXES = ("", ".yaml")
FOLDERS = (Path(), Path("configs"))
logger = logging.getLogger(__name__)


def packaged_config(name: str) -> Path:
    """Path of the installed file `<name>.yaml`, which need not exist."""
    return Path(str(files("graphdown.config") / "files" / f"{name}.yaml"))


def find_config(path: str | Path) -> Path:
    """Path of an experiment or study file; the installed one where the user has none of that name.

    Installed files are found as `demo`, `demo.yaml` and `configs/demo.yaml`; a log message says
    that one is used.
    """
    path = Path(path)
    installed = packaged_config(path.stem)
    if path.exists() or path.suffix not in SUFFIXES or path.parent not in FOLDERS:
        return path
    if not installed.is_file():
        return path
    logger.info("%s: there is no such file here, so the one installed with graphdown is used", path)
    return installed
