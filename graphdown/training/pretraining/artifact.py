"""What a pretraining leaves: encoder, rounds of message passing and the statistics of the input."""

import dataclasses
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from graphdown.cf.provenance import checkpoint_sha256
from graphdown.config.experiment import Experiment
from graphdown.config.parse import parse_as
from graphdown.data.normalise import Normaliser
from graphdown.emulator.emulator import damage_told, named_values, versions, with_values
from graphdown.errors import DamageError, GraphdownError
from graphdown.model import ModelSpec
from graphdown.model.channels import predictor_transforms
from graphdown.training.finetuning.warm_start import check_same, hashed
from meshes import GraphSpec
from meshes.geometry.archive import read_arrays

FOLDER = "pretrained"
FORMAT = 1
PARAMETERS, SCHEMA = "parameters.npz", "pretrained.json"
CARRIED = ("encode", "mesh_input", "mesh_update", "edge_states", "messages", "updates")
MODEL, GRAPH = (
    ("channels", "rounds", "messages", "attention_heads"),
    ("mesh_level", "coarsest_level", "encode_radius_km", "encoder"),
)


@dataclasses.dataclass(frozen=True, eq=False)
class Pretrained:
    """A pretrained encoder with its rounds of message passing.

    Attributes:
        name: of the experiment.
        model, graph: of the network that was pretrained.
        normaliser: names and statistics of the predictors; it has no targets.
        params: the parameters by path, as arrays.
    """

    name: str
    model: ModelSpec
    graph: GraphSpec
    normaliser: Normaliser
    params: Mapping[str, np.ndarray]

    @property
    def schema(self) -> dict[str, Any]:
        """What the parameters belong to, as plain values."""
        return {
            "format": FORMAT,
            "name": self.name,
            "model": self.model.to_dict(),
            "graph": dataclasses.asdict(self.graph),
            "normaliser": self.normaliser.to_dict(),
        }

    @cached_property
    def sha256(self) -> str:
        """Hash of parameters and schema."""
        return checkpoint_sha256(self.params, self.schema)

    def into(self, params: Any) -> Any:
        """Return a network's tree of parameters with the pretrained ones in their places."""
        return with_values(params, {**named_values(params), **self.params})

    def statistics(self, own: Normaliser) -> Normaliser:
        """Return statistics with those of the predictors replaced by the pretraining's."""
        return dataclasses.replace(own, mean=self.normaliser.mean, std=self.normaliser.std)

    def save(self, folder: Path) -> None:
        """Write parameters and schema into a new folder."""
        folder.mkdir(parents=True)
        np.savez(folder / PARAMETERS, **self.params)  # type: ignore[arg-type]
        schema = {**self.schema, "sha256": self.sha256, "versions": versions()}
        (folder / SCHEMA).write_text(json.dumps(schema, indent=1), encoding="utf-8")


def carried(params: Any) -> dict[str, np.ndarray]:
    """Return the parameters of a network that a pretraining hands on, by name."""
    values = named_values(params)
    return {name: value for name, value in values.items() if name.split(".")[0] in CARRIED}


def load_pretrained(run: str | Path) -> Pretrained:
    """Load what a pretraining left.

    Args:
        run: its folder.

    Raises:
        GraphdownError: the folder holds no pretraining, or a damaged one.
    """
    folder = Path(run) / FOLDER
    if not (folder / SCHEMA).is_file():
        raise DamageError(
            f"{str(run)!r} holds no pretraining; give the folder that 'graphdown pretrain' wrote."
        )
    with damage_told(folder / SCHEMA):
        schema = json.loads((folder / SCHEMA).read_text(encoding="utf-8"))
        model = parse_as(ModelSpec, schema["model"], "model")
        graph = parse_as(GraphSpec, schema["graph"], "graph")
        name, written = str(schema["name"]), schema["sha256"]
        normaliser = Normaliser.from_dict(schema["normaliser"])
    with damage_told(folder / PARAMETERS):
        params = read_arrays(folder / PARAMETERS)
    found = Pretrained(name, model, graph, normaliser, params)
    if found.sha256 != written:
        raise DamageError(
            f"{str(folder)!r} is damaged ({PARAMETERS} and {SCHEMA} do not have the hash that they "
            "were written with); copy the folder again or repeat the pretraining."
        )
    return found


def refuse_pretraining(run: str | Path) -> None:
    """Refuse a folder whose network has no decoder yet.

    Raises:
        GraphdownError: the folder holds a pretraining.
    """
    if (Path(run) / FOLDER / SCHEMA).is_file():
        raise GraphdownError(
            f"{str(run)!r} holds a pretraining, which makes no fields yet; train from it with: "
            f"graphdown train EXPERIMENT --set pretrained.run={run}."
        )


def pretraining_of(experiment: Experiment) -> Pretrained | None:
    """Return the pretraining that an experiment starts from, None for none.

    Raises:
        ExperimentError: it has other variables or sizes than the experiment.
        GraphdownError: there is no such pretraining.
    """
    spec = experiment.pretrained
    if spec is None:
        return None
    found = load_pretrained(spec.run)
    known = found.normaliser
    pairs = {
        "predictors": (experiment.predictors, known.predictors),
        "optional_predictors": (experiment.optional_predictors, known.optional_predictors),
        "predictor_transforms": (
            predictor_transforms(experiment.predictors, experiment.predictor_transforms),
            known.predictor_transforms,
        ),
        "standardise": (experiment.standardise, known.standardise),
        "standardised_variables": (experiment.standardised_variables, known.standardised),
        **{f"model.{k}": (getattr(experiment.model, k), getattr(found.model, k)) for k in MODEL},
        **{f"graph.{k}": (getattr(experiment.graph, k), getattr(found.graph, k)) for k in GRAPH},
    }
    check_same(spec, "pretrained", pairs)
    return found


def with_pretrained_hash(experiment: Experiment) -> Experiment:
    """Return the experiment with the hash of the pretraining that it starts from, if any.

    Raises:
        ExperimentError: it is another one than the experiment says, or does not fit.
        GraphdownError: there is no such pretraining.
    """
    spec, found = experiment.pretrained, pretraining_of(experiment)
    if spec is None or found is None:
        return experiment
    return dataclasses.replace(experiment, pretrained=hashed(spec, "pretrained", found.sha256))
