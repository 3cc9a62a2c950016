"""The network before the first step: random weights, closed-form fits and pretrained parts."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx

from graphdown.config.experiment import Experiment
from graphdown.data.normalise import Normaliser
from graphdown.emulator.build_network import new_network
from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.emulator import Emulator
from graphdown.model import Downscaler
from graphdown.model.deep_ensemble import DeepEnsemble
from graphdown.model.heads import Readout
from graphdown.model.parameters import with_values
from graphdown.training.pretraining.artifact import Pretrained
from graphdown.training.samples import Samples
from graphdown.training.target_regression import fit_target_regression, regressed
from graphdown.training.trainable import Trainable


class InitialNetwork(NamedTuple):
    """The network before the first step.

    Attributes:
        graphdef: its structure.
        params: what the optimiser moves.
        kept: what training leaves as it is, see `whole_network`.
        trainable: in fine-tuning, which of the network's parameters move; None for all but those
            that are fitted in closed form.
    """

    graphdef: Any
    params: Any
    kept: Any
    trainable: Trainable | None


def initial_network(
    experiment: Experiment,
    domain: TargetDomain,
    normaliser: Normaliser,
    samples: Sequence[Samples],
    validation: Sequence[Samples],
    start: Emulator | None,
    pretraining: Pretrained | None,
) -> InitialNetwork:
    """Make the network that training starts from.

    Args:
        experiment: size of the network, seed, and what fine-tuning moves.
        domain: the target.
        normaliser: statistics of the training days.
        samples, validation: days that a closed-form regression is fitted to.
        start: emulator to fine-tune, None for none.
        pretraining: whose parameters are taken over, None for none.
    """
    network = new_network(
        experiment.model,
        domain,
        normaliser,
        experiment.seed,
        experiment.time.step_hours,
        experiment.training.ensemble,
    )
    if start is None and experiment.model.target_regression:
        _fit_regression(network, experiment, normaliser, samples, validation)
    graphdef, *states = nnx.split(network, nnx.Param, ...)
    params, kept = states
    if pretraining is not None:
        params = pretraining.into(params)
    if start is None or experiment.finetune is None:
        return InitialNetwork(graphdef, params, kept, None)
    weights = with_values(nnx.merge_state(params, kept), start.params)
    trainable = Trainable(experiment.finetune, weights, experiment.model.rounds)
    return InitialNetwork(graphdef, trainable.start(experiment.seed), trainable.kept, trainable)


def _fit_regression(
    network: Downscaler | DeepEnsemble,
    experiment: Experiment,
    normaliser: Normaliser,
    samples: Sequence[Samples],
    validation: Sequence[Samples],
) -> None:
    """Fit each target node's regression and put it there.

    Each network of an ensemble has the one without the block of years that it leaves out.
    """
    fits = fit_target_regression(
        samples,
        validation,
        normaliser,
        experiment.training.warming_offset,
        Readout.of(experiment.model, experiment.targets).transforms,
        experiment.training.folds,
    )
    has_one = jnp.asarray(regressed(experiment.model, experiment.targets))
    regression = network.regression
    assert regression is not None
    for parameter, name in (
        (regression.coefficients, "slopes"),
        (regression.factors, "factors"),
        (regression.constants, "constants"),
    ):
        values = [getattr(fit, name) for fit in fits]
        if isinstance(network, DeepEnsemble):
            turns = [values[number % len(fits)] for number in range(network.size)]
            parameter[...] = jnp.asarray(np.stack(turns)) * has_one
        else:
            parameter[...] = jnp.asarray(values[0]) * has_one
