"""graphdown: grid-agnostic graph neural networks that downscale climate models."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from graphdown.errors import DataError, ExperimentError, GraphdownError

# The import of a package binds its name here. `graphdown.transfer` is the function, so that the
# package of the same name is imported before; its modules are imported from it as usual.
import_module("graphdown.transfer")
from graphdown.api import finetune, pretrain, train, transfer  # noqa: E402

if TYPE_CHECKING:
    from graphdown.config.data import Source
    from graphdown.config.experiment import Experiment
    from graphdown.config.experiment_file import load_experiment
    from graphdown.emulator.emulator import Emulator
    from graphdown.emulator.storage import load
    from graphdown.evaluation import evaluate

    __version__: str

__all__ = [
    "DataError",
    "Emulator",
    "Experiment",
    "ExperimentError",
    "GraphdownError",
    "Source",
    "evaluate",
    "finetune",
    "load",
    "load_experiment",
    "pretrain",
    "train",
    "transfer",
]

# Imported on first access, so that the command line handles signals before that.
_LAZY = {
    "Emulator": "graphdown.emulator.emulator",
    "Experiment": "graphdown.config.experiment",
    "Source": "graphdown.config.data",
    "evaluate": "graphdown.evaluation",
    "load": "graphdown.emulator.storage",
    "load_experiment": "graphdown.config.experiment_file",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("graphdown")
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
