"""Loss functions of one target, by the names that `training.losses` of an experiment has."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array

from graphdown.model.variable_kinds import ANY, NON_NEGATIVE, PRECIPITATION, VariableKind
from graphdown.runtime.registry import Registry

LossFunction = Callable[..., Array]
DEFAULT = "mse"


@dataclass(frozen=True)
class Loss:
    """A loss of one target and what it needs.

    Attributes:
        function: of predictions [B, M, Nt] of B days by M members, the truth [B, 1, Nt], none
            missing, and the typical size of the target's correction, a number. It returns losses
            without units [B, M, Nt], whose mean over the members counts. The values are in the
            space of the target's transform.
        ensemble: whether it scores the members of a day together: the truth is [B, Nt], and so is
            what is returned; predictions are within the variable's bounds. It needs `model.noise`
            and two members or more.
        weighs_rarity: whether the function takes, as a further argument, the truth's place in the
            Gamma distribution of its cell's wet days, 0 to 1, of the truth's shape; it implies
            `untransformed`.
        untransformed: whether it takes physical units and so refuses a transform of the target.
        only_for: variables that it can be the loss of.
    """

    function: LossFunction
    ensemble: bool
    weighs_rarity: bool
    untransformed: bool
    only_for: VariableKind


LOSSES: Registry[Loss] = Registry("loss")


def register_loss(
    name: str,
    ensemble: bool = False,
    weighs_rarity: bool = False,
    untransformed: bool = False,
    only_for: VariableKind = ANY,
) -> Callable[[LossFunction], LossFunction]:
    """Decorator that registers a function as a loss.

    Args:
        name: for `training.losses` of an experiment.
        ensemble, weighs_rarity, untransformed, only_for: see `Loss`.

    Raises:
        GraphdownError: the name is taken.
    """
    needs = ensemble, weighs_rarity, untransformed or weighs_rarity, only_for
    return LOSSES.register(name, lambda function: Loss(function, *needs))


@register_loss(DEFAULT)
def squared_error(prediction: Array, truth: Array, scale: Any) -> Array:
    """Return ((y - x) / s)^2 of predictions y, the truth x and the scale s."""
    return ((prediction - truth) / scale) ** 2


@register_loss("mae")
def absolute_error(prediction: Array, truth: Array, scale: Any) -> Array:
    """Return |y - x| / s of predictions y, the truth x and the scale s."""
    return jnp.abs((prediction - truth) / scale)


@register_loss("censored", only_for=NON_NEGATIVE)
def censored(prediction: Array, truth: Array, scale: Any = 1.0) -> Array:
    """Return ((y - x) / s)^2, but (max(y, 0) / s)^2 on days on which the truth x is 0.

    The output is cut at 0, so a negative y is no error there, as an observation at the limit
    carries no information on values beyond it (Tobin 1958, doi:10.2307/1907382). The plain square
    forces a network to 0 on dry days, so that it is too wet once it is cut.
    """
    return jnp.where(truth > 0.0, prediction - truth, jnp.maximum(prediction, 0.0)) ** 2 / scale**2


@register_loss("gamma-weighted", weighs_rarity=True, only_for=PRECIPITATION)
def gamma_weighted(prediction: Array, truth: Array, scale: Any, rarity: Array) -> Array:
    """Return the asymmetric loss in units of the scale; see `asymmetric`."""
    return asymmetric((prediction - truth) / scale, jnp.zeros(()), rarity)


def asymmetric(prediction: Array, truth: Array, rarity: Array) -> Array:
    """Return |y - x| + F^2 max(0, x - y) of predictions y and the truth x.

    Rain that is missed costs more the rarer it is (Doury et al. 2024,
    doi:10.1007/s00382-024-07350-8).

    Args:
        prediction, truth: of any shape, the same.
        rarity: F, the truth in the cell's distribution of wet days.
    """
    return jnp.abs(prediction - truth) + rarity**2 * jnp.maximum(truth - prediction, 0.0)


@register_loss("crps", ensemble=True)
def scaled_crps(members: Array, truth: Array, scale: Any) -> Array:
    """Return the fair CRPS in units of the scale; see `fair_crps`."""
    return fair_crps(members, truth) / scale


def fair_crps(members: Array, truth: Array) -> Array:
    """Return the fair CRPS [B, ...] of members [B, M, ...] for the truth [B, ...].

    mean_i |x_i - y| - sum_ij |x_i - x_j| / (2 M (M - 1)) (Ferro 2014, doi:10.1002/qj.2270).
    """
    count = members.shape[1]
    error = jnp.abs(members - truth[:, None]).mean(axis=1)
    apart = sum(
        jnp.abs(members[:, :i] - members[:, i : i + 1]).sum(axis=1) for i in range(1, count)
    )
    return error - apart / (count * (count - 1))
