"""The parameters that fine-tuning moves, and the network that they make with all others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from graphdown.config.training import FinetuneSpec
from graphdown.model.parameters import named_values, with_values
from graphdown.runtime.random_streams import RandomStream

ENCODER = ("encode", "mesh_input", "mesh_update")
CLOSED_FORM = "regression"


@dataclass(frozen=True, eq=False)
class Trainable:
    """The part of a network that training moves; all else keeps its bits.

    Attributes:
        spec: which parameters move, and how.
        template: the network's parameters, as a tree.
        rounds: of message passing.
    """

    spec: FinetuneSpec
    template: Any
    rounds: int

    @property
    def kept(self) -> dict[str, Array]:
        """The network's parameters before the first step, by name."""
        return {name: jnp.asarray(value) for name, value in named_values(self.template).items()}

    def start(self, seed: int) -> dict[str, Any]:
        """Parameters that the optimiser moves, by name, or a pair of matrices for each.

        The product of a pair is zero before the first step.
        """
        chosen = {name: value for name, value in self.kept.items() if self._chosen(name)}
        if self.spec.trainable != "adapters":
            return chosen
        rng = np.random.default_rng([seed, RandomStream.ADAPTERS])
        return {name: _adapter(value.shape, self.spec.rank, rng) for name, value in chosen.items()}

    def whole(self, params: Mapping[str, Any], kept: Mapping[str, Array]) -> Any:
        """All parameters of the network, as a tree.

        Args:
            params: what the optimiser moves, see `start`.
            kept: see `kept`; an argument, since a jitted function must not close over arrays.
        """
        return with_values(self.template, {**kept, **self._moved(params, kept)})

    def penalty(self, params: Mapping[str, Any], kept: Mapping[str, Array]) -> Array:
        """L2-SP penalty: half of the squared distance from the start, times `spec.l2_sp`.

        Li, Grandvalet and Davoine (2018, ICML, arXiv 1802.01483).
        """
        moved = self._moved(params, kept)
        distance = sum(jnp.sum((value - kept[name]) ** 2) for name, value in moved.items())
        return 0.5 * self.spec.l2_sp * jnp.asarray(distance)

    def slowed(self, name: str, update: Array) -> Array:
        """Update of a parameter times the factor of its learning rate."""
        stages = np.asarray(stages_from_target(name, self.rounds))
        rates = np.float32(self.spec.layerwise_decay) ** stages
        return (
            jnp.asarray(rates.reshape(stages.shape + (1,) * (update.ndim - stages.ndim))) * update
        )

    def _chosen(self, name: str) -> bool:
        first, *_ = parts = name.split(".")
        return {
            "all": first != CLOSED_FORM,
            "head": first == "head" or (first == "node_embedding" and parts[1] != "numbers"),
            "norm": "norm" in parts,
            "encoder": first in ENCODER,
            "adapters": parts[-1] == "kernel",
        }[self.spec.trainable]

    def _moved(self, params: Mapping[str, Any], kept: Mapping[str, Array]) -> dict[str, Array]:
        if self.spec.trainable != "adapters":
            return dict(params)
        return {name: kept[name] + pair["down"] @ pair["up"] for name, pair in params.items()}


def whole_network(params: Any, kept: Any, trainable: Trainable | None) -> Any:
    """All parameters of the network, as a tree.

    Args:
        params: what the optimiser moves.
        kept: what training leaves as it is: the numbers that are fitted in closed form or, in
            fine-tuning, the network's parameters before it. None for nothing.
        trainable: in fine-tuning, which of the network's parameters move.
    """
    if trainable is not None:
        return trainable.whole(params, kept)
    return params if kept is None else nnx.merge_state(params, kept)


def _adapter(shape: tuple[int, ...], rank: int, rng: np.random.Generator) -> dict[str, Array]:
    """Matrices whose product has a kernel's shape [..., inputs, out] and is zero."""
    *stack, inputs, out = shape
    rank = min(rank, inputs, out)
    down = rng.standard_normal((*stack, inputs, rank), np.float32) / np.sqrt(max(inputs, 1))
    up = np.zeros((*stack, rank, out), np.float32)
    return {"down": jnp.asarray(down, jnp.float32), "up": jnp.asarray(up)}


def stages_from_target(name: str, rounds: int) -> int | list[int]:
    """Number of the network's stages between that of a parameter and the target.

    Parameters of the rounds are stacked, and have one number for each round.

    Args:
        name: of the parameter, as in "updates.norm.scale".
        rounds: of message passing.
    """
    first = name.split(".")[0]
    if first in ("messages", "updates"):
        return [2 + rounds - k for k in range(rounds)]
    readouts = ("head", "node_embedding", "regression", "innovation_rounds")
    stages = {**dict.fromkeys(readouts, 0), "target_update": 1, "decode": 2}
    return stages.get(first, 3 + rounds)
