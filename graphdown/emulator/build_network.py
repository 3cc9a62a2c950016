"""The untrained network for a target, its variables and the length of a step."""

from collections.abc import Mapping

import numpy as np
from flax import nnx

from graphdown.data.normalise import Normaliser
from graphdown.emulator.domain import TargetDomain
from graphdown.model import Downscaler, ModelSpec, NetworkShape
from graphdown.model.deep_ensemble import DeepEnsemble
from graphdown.model.heads import Readout
from graphdown.model.parameters import with_values
from graphdown.runtime.random_streams import RandomStream
from graphdown.variables.forcings import forcing_names
from graphdown.variables.time_steps import DAY_HOURS


def new_network(
    model: ModelSpec,
    domain: TargetDomain,
    normaliser: Normaliser,
    seed: int,
    step_hours: int = DAY_HOURS,
    networks: int = 1,
) -> Downscaler | DeepEnsemble:
    """Untrained network for a target, its variables and the length of a step.

    Args:
        model: size and kind of the network.
        domain: the target.
        normaliser: names of the variables.
        seed: of the random parameters.
        step_hours: length of a step.
        networks: how many; several are an ensemble.
    """
    shape = NetworkShape(
        normaliser.channels,
        len(normaliser.targets),
        len(forcing_names(step_hours)),
        len(domain.static_names),
        *domain.spec.feature_counts,
        domain.target.size,
        0 if domain.eofs is None else len(normaliser.targets),
        Readout.of(model, normaliser.targets),
    )
    seeds = [seed, *(_further_seed(seed, number) for number in range(1, networks))]
    each = [Downscaler(model, shape, rngs=nnx.Rngs(of_network)) for of_network in seeds]
    return each[0] if networks == 1 else DeepEnsemble(each)


def _further_seed(seed: int, number: int) -> int:
    """Seed of a further network of an ensemble."""
    random = np.random.default_rng([seed, RandomStream.NETWORKS, number])
    return int(random.integers(2**31))


def trained_network(
    model: ModelSpec,
    domain: TargetDomain,
    normaliser: Normaliser,
    params: Mapping[str, np.ndarray],
    step_hours: int = DAY_HOURS,
    networks: int = 1,
) -> Downscaler | DeepEnsemble:
    """Network, or ensemble of networks, with known parameters.

    Args:
        model, domain, normaliser, step_hours, networks: as for `new_network`.
        params: by path.
    """
    # Its shapes alone: random parameters, soon replaced, would have to be compiled for.
    shapes = nnx.eval_shape(lambda: new_network(model, domain, normaliser, 0, step_hours, networks))
    graphdef, state = nnx.split(shapes)
    return nnx.merge(graphdef, with_values(state, params))
