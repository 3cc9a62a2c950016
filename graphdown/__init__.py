"""graphdown: grid-agnostic graph neural networks that downscale climate models."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from graphdown.errors import DataError, ExperimentError, GraphdownError

# The import of a package binds its name here. `graphdown.transfer` is the function, so that the
# package of the same name is imported before; its modules are imported from it as usual.
import_module("graphdown.transfer")
from graphdown.api import finetune, pretrain, train, transfer  # noqa: E402

if TYPE_CHECKING:
    from graphdown.baselines import Baseline, register_baseline
    from graphdown.config.data import Source
    from graphdown.config.experiment import Experiment
    from graphdown.config.experiment_file import load_experiment
    from graphdown.data.reading.rules import register_repair
    from graphdown.emulator.emulator import Emulator
    from graphdown.emulator.storage import load
    from graphdown.evaluation import evaluate, register_measure
    from graphdown.explanation.explain import explain
    from graphdown.model.distributions import register_head
    from graphdown.model.loss_functions import register_loss
    from graphdown.model.transforms import register_transform
    from graphdown.sharing.describe import describe
    from graphdown.sharing.export import export, verify
    from graphdown.variables.catalogue import register_variable
    from graphdown.variables.variable import Variable

    __version__: str

__all__ = [
    "Baseline",
    "DataError",
    "Emulator",
    "Experiment",
    "ExperimentError",
    "GraphdownError",
    "Source",
    "Variable",
    "describe",
    "evaluate",
    "explain",
    "export",
    "finetune",
    "load",
    "load_experiment",
    "pretrain",
    "register_baseline",
    "register_head",
    "register_loss",
    "register_measure",
    "register_repair",
    "register_transform",
    "register_variable",
    "train",
    "transfer",
    "verify",
]

# Imported on first access, so that the command line handles signals before that.
_LAZY = {
    "Baseline": "graphdown.baselines",
    "Emulator": "graphdown.emulator.emulator",
    "Experiment": "graphdown.config.experiment",
    "Source": "graphdown.config.data",
    "Variable": "graphdown.variables.variable",
    "describe": "graphdown.sharing.describe",
    "evaluate": "graphdown.evaluation",
    "explain": "graphdown.explanation.explain",
    "export": "graphdown.sharing.export",
    "load": "graphdown.emulator.storage",
    "load_experiment": "graphdown.config.experiment_file",
    "register_baseline": "graphdown.baselines",
    "register_head": "graphdown.model.distributions",
    "register_loss": "graphdown.model.loss_functions",
    "register_measure": "graphdown.evaluation",
    "register_repair": "graphdown.data.reading.rules",
    "register_transform": "graphdown.model.transforms",
    "register_variable": "graphdown.variables.catalogue",
    "verify": "graphdown.sharing.export",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("graphdown")
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
