"""The untrained network for a target, its variables and the length of a step."""

from collections.abc import Mapping

import numpy as np
from flax import nnx

from graphdown.data.normalise import Normaliser
from graphdown.emulator.domain import TargetDomain
from graphdown.model import Downscaler, ModelSpec, NetworkShape
from graphdown.model.heads import Readout
from graphdown.model.parameters import with_values
from graphdown.variables.forcings import forcing_names
from graphdown.variables.time_steps import DAY_HOURS


def new_network(
    model: ModelSpec,
    domain: TargetDomain,
    normaliser: Normaliser,
    seed: int,
    step_hours: int = DAY_HOURS,
) -> Downscaler:
    """Untrained network for a target, its variables and the length of a step.

    Args:
        model: size and kind of the network.
        domain: the target.
        normaliser: names of the variables.
        seed: of the random parameters.
        step_hours: length of a step.
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
    return Downscaler(model, shape, rngs=nnx.Rngs(seed))


def trained_network(
    model: ModelSpec,
    domain: TargetDomain,
    normaliser: Normaliser,
    params: Mapping[str, np.ndarray],
    step_hours: int = DAY_HOURS,
) -> Downscaler:
    """Network with known parameters.

    Args:
        model, domain, normaliser, step_hours: as for `new_network`.
        params: by path.
    """
    # Its shapes alone: random parameters, soon replaced, would have to be compiled for.
    shapes = nnx.eval_shape(lambda: new_network(model, domain, normaliser, 0, step_hours))
    graphdef, state = nnx.split(shapes)
    return nnx.merge(graphdef, with_values(state, params))
