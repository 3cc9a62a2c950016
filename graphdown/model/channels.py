"""Channels: the network's inputs, made of the predictors and of transforms of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax

from graphdown.model.transforms import NONE, TRANSFORMS
from graphdown.variables.catalogue import describe
from graphdown.variables.names import variable_of


class Channel(NamedTuple):
    """One input of the network.

    Attributes:
        predictor: place of its predictor.
        transform: name of the transform of the predictor.
        bounds: least and greatest argument of the transform; other values are clipped to these.
    """

    predictor: int
    transform: str = NONE
    bounds: tuple[float, float] = (-math.inf, math.inf)

    def values(self, predictors: Any) -> Any:
        """Return the channel [...] of predictors [..., V], arrays of numpy or JAX."""
        values = predictors[..., self.predictor]
        if self.transform == NONE:
            return values
        xp = predictors.__array_namespace__()
        return TRANSFORMS[self.transform].forward(xp.clip(values, *self.bounds))


@jax.tree_util.register_static
@dataclass(frozen=True)
class Channels:
    """The network's inputs; in a tree of arrays it is structure, not an array.

    Every predictor enters as it is, and those with a transform once more: totals of precipitation,
    for instance, follow the one and its occurrence the other.

    Attributes:
        each: the channels, C of them.
    """

    each: tuple[Channel, ...]

    @classmethod
    def of(cls, names: Sequence[str], transforms: Mapping[str, str]) -> "Channels":
        """Return the channels of predictors.

        Args:
            names: of the predictors.
            transforms: names of the transforms by variable; none for others.
        """
        plain = [Channel(place) for place in range(len(names))]
        kinds = [transforms.get(variable_of(name), NONE) for name in names]
        further = [
            Channel(place, kind, describe(names[place]).bounds)
            for place, kind in enumerate(kinds)
            if kind != NONE
        ]
        return cls((*plain, *further))

    def __len__(self) -> int:
        return len(self.each)

    @property
    def predictors(self) -> list[int]:
        """Place of each channel's predictor [C]."""
        return [channel.predictor for channel in self.each]

    def values(self, predictors: Any) -> Any:
        """Return the channels [..., C] of predictors [..., V], arrays of numpy or JAX."""
        xp = predictors.__array_namespace__()
        return xp.stack([channel.values(predictors) for channel in self.each], axis=-1)


def predictor_transforms(names: Sequence[str], chosen: Mapping[str, str]) -> dict[str, str]:
    """Return the name of each predictor variable's transform: the chosen or the catalogue's.

    Args:
        names: of the predictors.
        chosen: names of transforms by variable.
    """
    variables = dict.fromkeys(map(variable_of, names))
    return {name: chosen.get(name, describe(name).transform) for name in variables}
