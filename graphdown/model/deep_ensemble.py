"""Several networks as one: their parameters are stacked, and their mean is the prediction."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from flax import nnx
from jax import Array

from graphdown.model.heads import Readout
from graphdown.model.network import Downscaler, TargetRegression, stacked


class DeepEnsemble(nnx.Module):
    """Networks of one shape with weights of their own, which one compiled function runs.

    Their mean has a smaller error than each of them, and their spread says where they are unsure
    (Lakshminarayanan et al. 2017, arXiv 1612.01474).
    """

    def __init__(self, networks: Sequence[Downscaler]) -> None:
        """Stack the parameters of at least one network."""
        self.networks = stacked(networks)

    @property
    def readout(self) -> Readout:
        """Meaning of the outputs of each network."""
        return self.networks.readout

    @property
    def regression(self) -> TargetRegression | None:
        """Their regressions, stacked; None if they have none."""
        return self.networks.regression

    @property
    def size(self) -> int:
        """Number of networks."""
        return len(jax.tree.leaves(nnx.state(self.networks))[0])

    def each(self, function: Callable[..., Any], *own: Any) -> Any:
        """Results of a function of each network, along a new leading axis.

        Args:
            function: of a network and of its own arrays.
            own: trees of arrays whose leading axis counts the networks.
        """
        graphdef, params = nnx.split(self.networks)
        return jax.vmap(lambda one, *rest: function(nnx.merge(graphdef, one), *rest))(params, *own)

    def taken(self, numbers: Sequence[int]) -> "Downscaler | DeepEnsemble":
        """Some of the networks by their numbers; one alone is no ensemble."""
        graphdef, params = nnx.split(self.networks)
        each = [
            nnx.merge(graphdef, jax.tree.map(lambda leaf, k=k: leaf[k], params)) for k in numbers
        ]
        return each[0] if len(each) == 1 else DeepEnsemble(each)


def network_of_member(network: "Downscaler | DeepEnsemble", member: int) -> Downscaler:
    """The network that makes a member: those of an ensemble take turns."""
    if isinstance(network, Downscaler):
        return network
    one = network.taken([member % network.size])
    assert isinstance(one, Downscaler)
    return one


def divided(values: Array, networks: int, repeats: int = 1) -> Array:
    """Rows [b * networks * repeats, ...] by network: [networks, b * repeats, ...]."""
    parts = values.reshape(-1, networks, repeats, *values.shape[1:])
    return parts.swapaxes(0, 1).reshape(networks, -1, *values.shape[1:])


def rejoined(values: Array, repeats: int = 1) -> Array:
    """The inverse of `divided`."""
    networks = len(values)
    parts = values.reshape(networks, -1, repeats, *values.shape[2:])
    return parts.swapaxes(0, 1).reshape(-1, *values.shape[2:])
