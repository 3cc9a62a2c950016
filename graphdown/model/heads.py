"""Readout: values and distributions of the targets, from the network's outputs."""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np
from jax import Array

from graphdown.model.calibration import Calibration
from graphdown.model.conserve import StepMean, step_means
from graphdown.model.distributions import HEADS, VALUE, Distribution, Head
from graphdown.model.spec import ModelSpec
from graphdown.model.transforms import NONE, restored
from graphdown.variables.catalogue import describe
from graphdown.variables.names import variable_of

OUTERMOST = 1e-7  # rank; a normal distribution has no quantiles of 0 and 1


@dataclass(frozen=True)
class Readout:
    """Meaning of the network's outputs for the targets.

    The first T outputs are the targets' values, in the spaces of their transforms. The parameters
    of the targets with a distribution follow, in the targets' order.

    Attributes:
        heads: of each target; empty if all are values.
        transforms: of each target; empty if none has one.
        means: targets that are means over a step, whose sub-steps are to have this mean.
        bounds: least and greatest value of each target; empty if no head takes them.
    """

    heads: tuple[str, ...] = ()
    transforms: tuple[str, ...] = ()
    means: tuple[StepMean, ...] = ()
    bounds: tuple[tuple[float, float], ...] = ()

    @classmethod
    def of(cls, spec: ModelSpec, targets: tuple[str, ...]) -> "Readout":
        """Return the readout of the named targets from a model's outputs."""
        heads = tuple(spec.heads.get(variable_of(name), VALUE) for name in targets)
        transforms = tuple(spec.transforms.get(variable_of(name), NONE) for name in targets)
        return cls(
            heads if set(heads) != {VALUE} else (),
            transforms if set(transforms) != {NONE} else (),
            step_means(targets) if spec.conserve_mean else (),
            tuple(describe(name).bounds for name in targets) if _takes_bounds(heads) else (),
        )

    @cached_property
    def _laws(self) -> dict[int, tuple[Head, slice]]:
        """Head and place of the parameters of each target with a distribution."""
        laws, first = {}, len(self.heads)
        for target, name in enumerate(self.heads):
            head = HEADS[name]
            if head is not None:
                laws[target] = head, slice(first, first + head.parameters)
                first += head.parameters
        return laws

    @property
    def drawn(self) -> tuple[int, ...]:
        """The targets whose members are drawn from a distribution."""
        return tuple(self._laws)

    @property
    def further(self) -> int:
        """Number of outputs beside the targets' values."""
        return sum(head.parameters for head, _ in self._laws.values())

    def conserved(self, values: Array) -> Array:
        """Return the targets' values [..., T] with sub-steps that have their step's mean."""
        for step in self.means:
            values = step.conserved(values)
        return values

    def distribution(self, outputs: Any, target: int, scale: Any) -> Distribution:
        """Return the distribution of a target [...].

        Args:
            outputs: of the network [..., O], see `graphdown.model.predict.outputs`.
            target: its number, one of `drawn`.
            scale: typical size of its correction.
        """
        head, place = self._laws[target]
        bounds = (self.bounds[target],) if head.takes_bounds else ()
        value, parameters = outputs[..., target], outputs[..., place]
        return head.distribution.from_outputs(value, parameters, scale, *bounds)

    def expected(self, outputs: Array, scale: Array) -> Array:
        """Return the targets [..., T] in physical units: values, or means of distributions.

        Args:
            outputs: of the network [..., O].
            scale: of the corrections [T].
        """
        values = outputs[..., : outputs.shape[-1] - self.further]
        expected = restored(values, self.transforms)
        for target in self.drawn:
            mean = self.distribution(outputs, target, scale[target]).mean
            expected = expected.at[..., target].set(mean)
        return expected

    def laws(self, outputs: np.ndarray, scale: np.ndarray) -> list[Distribution]:
        """Distributions [...] of the `drawn` targets; see `expected`."""
        return _read(self, outputs, scale)[1]

    def drawn_from(
        self,
        outputs: np.ndarray,
        scale: np.ndarray,
        ranks: np.ndarray,
        calibration: Calibration | None = None,
    ) -> np.ndarray:
        """Return the quantiles [..., T] of the distributions, and the values of other targets.

        Args:
            outputs: of the network [..., O].
            scale: of the corrections [T].
            ranks: in (0, 1), of each of the `drawn` targets [..., D].
            calibration: corrects the ranks; None leaves them as they are.
        """
        expected, laws = _read(self, outputs, scale)
        values = np.array(expected)
        ranks = ranks if calibration is None else calibration(ranks, laws)
        ranks = np.clip(ranks, OUTERMOST, 1.0 - OUTERMOST)
        for k, (target, law) in enumerate(zip(self.drawn, laws, strict=True)):
            values[..., target] = law.quantile(ranks[..., k])
        return values


def _takes_bounds(heads: tuple[str, ...]) -> bool:
    """Whether one of the heads takes the bounds of its variable."""
    return any((head := HEADS[name]) is not None and head.takes_bounds for name in heads)


@partial(jax.jit, static_argnums=0)
def _read(readout: Readout, outputs: Array, scale: Array) -> tuple[Array, list[Distribution]]:
    laws = [readout.distribution(outputs, target, scale[target]) for target in readout.drawn]
    return readout.expected(outputs, scale), laws
