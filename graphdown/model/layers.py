"""The linear layer as this network uses it."""

from functools import reduce
from math import prod
from operator import add

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

SMALL = nnx.initializers.variance_scaling(0.25, "fan_in", "truncated_normal")


class Linear(nnx.Module):
    """A linear layer on the last axis, of one input or of several that are never concatenated.

    It is computed, and so differentiated, as products of two matrices: XLA on CPUs is several
    times slower with the gradient of a kernel that contracts over two axes of an array. An input
    that is the same for all nodes, or for all samples, is multiplied once.
    """

    def __init__(
        self,
        inputs: int,
        out: int,
        *,
        use_bias: bool = True,
        kernel_init: nnx.Initializer | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        """Create a kernel [inputs, out] and a bias of zeros."""
        init = kernel_init or nnx.initializers.lecun_normal()
        self.kernel = nnx.Param(init(rngs.params(), (inputs, out)))
        zeros = nnx.initializers.zeros
        self.bias = nnx.Param(zeros(rngs.params(), (out,))) if use_bias else None

    def __call__(self, *parts: Array) -> Array:
        """Return [..., out] from arrays [..., C_k] that broadcast together, the C_k adding up."""
        channels = [part.shape[-1] for part in parts]
        kernels = jnp.split(self.kernel[...], np.cumsum(channels)[:-1])
        total = reduce(add, map(_product, parts, kernels))
        return total if self.bias is None else total + self.bias[...]

    def affine(self) -> tuple[Array, Array]:
        """Return the kernel [inputs, out] and the bias [out], zeros if it has none."""
        kernel = self.kernel[...]
        return kernel, jnp.zeros(kernel.shape[1]) if self.bias is None else self.bias[...]


class Condition(nnx.Module):
    """Conditional layer normalisation: noise moves scale and shift of normalised states.

    As in FGN (Alet et al. 2025, arXiv 2506.10772) and AIFS-CRPS (Lang et al. 2024, arXiv
    2412.15832).
    """

    def __init__(self, noise: int, channels: int, *, rngs: nnx.Rngs) -> None:
        """Create the matrix from `noise` numbers to the scale and shift of the channels."""
        self.affine = Linear(noise, 2 * channels, use_bias=False, kernel_init=SMALL, rngs=rngs)

    def __call__(self, h: Array, noise: Array) -> Array:
        """Return states [N, B, C] that are normalised already, changed by noise [B, n]."""
        scale, shift = jnp.split(self.affine(noise), 2, axis=-1)
        return h * (1.0 + scale) + shift


def conditioned(h: Array, condition: Condition | None, noise: Array | None) -> Array:
    """Return normalised states changed by noise, as they are without any."""
    return h if condition is None or noise is None else condition(h, noise)


def _product(values: Array, kernel: Array) -> Array:
    # Not -1: a target without static fields has parts without channels.
    flat = values.reshape(prod(values.shape[:-1]), values.shape[-1]) @ kernel
    return flat.reshape(*values.shape[:-1], kernel.shape[-1])
