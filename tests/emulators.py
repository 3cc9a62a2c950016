"""Emulators for tests that need no training."""

import numpy as np
from flax import nnx

from graphdown.data.normalise import Normaliser
from graphdown.emulator.build_network import new_network
from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.emulator import Emulator
from graphdown.model import ModelSpec
from graphdown.model.parameters import named_values


def random_emulator(model: ModelSpec, normaliser: Normaliser, domain: TargetDomain) -> Emulator:
    """Return an emulator whose random parameters leave none at zero."""
    network = new_network(model, domain, normaliser, seed=0)
    rng = np.random.default_rng(1)
    params = {
        n: v + 0.3 * rng.normal(size=v.shape).astype(np.float32)
        for n, v in named_values(nnx.state(network)).items()
    }
    return Emulator("tiny", model, normaliser, domain, params)
