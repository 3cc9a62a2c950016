"""Result of a pretraining: encoder, rounds of message passing and statistics of the input."""

import dataclasses
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from graphdown.config.experiment import Experiment
from graphdown.config.parse import parse_as
from graphdown.data.normalise import Normaliser
from graphdown.emulator.storage import (
    one_sentence,
    read_parameters,
    read_schema,
    write_schema,
)
from graphdown.errors import DamageError, GraphdownError
from graphdown.model import ModelSpec
from graphdown.model.channels import predictor_transforms
from graphdown.model.parameters import named_values, with_values
from graphdown.runtime.hashing import checkpoint_sha256
from graphdown.training.finetuning.warm_start import check_same, hashed
from meshes import GraphSpec

FOLDER = "pretrained"
FORMAT = 1
PARAMETERS, SCHEMA = "parameters.npz", "pretrained.json"
STACKED = "networks."  # of the names of an ensemble's parameters
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
        """Name, model, graph and statistics that the parameters belong to, as plain values."""
        return {
            "name": self.name,
            "model": dataclasses.asdict(self.model),
            "graph": dataclasses.asdict(self.graph) | self.graph.lengths,
            "normaliser": self.normaliser.to_dict(),
        }

    @cached_property
    def sha256(self) -> str:
        """Hash of parameters and schema."""
        return checkpoint_sha256(self.params, self.schema)

    def into(self, params: Any) -> Any:
        """A network's tree of parameters with the pretrained ones in their places."""
        values = named_values(params)
        prefix = "" if set(self.params) <= set(values) else STACKED
        own = {prefix + name: value for name, value in self.params.items()}
        if prefix:  # the networks of an ensemble all start from it
            own = {n: np.broadcast_to(v, np.shape(values[n])) for n, v in own.items()}
        return with_values(params, {**values, **own})

    def statistics(self, normaliser: Normaliser) -> Normaliser:
        """Statistics with those of the predictors replaced by the pretraining's."""
        return dataclasses.replace(normaliser, mean=self.normaliser.mean, std=self.normaliser.std)

    def save(self, folder: Path) -> None:
        """Write parameters and schema into a new folder."""
        folder.mkdir(parents=True)
        np.savez(folder / PARAMETERS, **self.params)  # type: ignore[arg-type]
        write_schema(folder / SCHEMA, self.schema, self.sha256, FORMAT)


def carried(params: Any) -> dict[str, np.ndarray]:
    """Parameters of a network that a training takes over from a pretraining, by name."""
    values = named_values(params)
    return {name: value for name, value in values.items() if name.split(".")[0] in CARRIED}


def load_pretrained(run: str | Path) -> Pretrained:
    """Load a pretraining.

    Args:
        run: its folder.

    Raises:
        GraphdownError: the folder holds no pretraining, one of a newer version, or a damaged one.
    """
    folder = Path(run) / FOLDER
    if not (folder / SCHEMA).is_file():
        raise DamageError(
            f"{str(run)!r} holds no pretraining; give the folder that 'graphdown pretrain' wrote."
        )
    schema = read_schema(folder / SCHEMA, FORMAT)
    with one_sentence(folder / SCHEMA):
        name = str(schema["name"])
        model = parse_as(ModelSpec, schema["model"], "model")
        graph = parse_as(GraphSpec, schema["graph"], "graph")
        normaliser = Normaliser.from_dict(schema["normaliser"])
    params = read_parameters(folder, PARAMETERS, SCHEMA, schema, "pretraining")
    return Pretrained(name, model, graph, normaliser, params)


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
    """Pretraining that an experiment starts from, None for none.

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
    """Experiment with the hash of the pretraining that it starts from, if any.

    Raises:
        ExperimentError: it is another one than the experiment says, or does not fit.
        GraphdownError: there is no such pretraining.
    """
    spec, found = experiment.pretrained, pretraining_of(experiment)
    if spec is None or found is None:
        return experiment
    return dataclasses.replace(experiment, pretrained=hashed(spec, "pretrained", found.sha256))
