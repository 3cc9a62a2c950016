"""Blocks of U-Nets, for maps [B, H, W, channels]."""

import jax.numpy as jnp
from flax import nnx
from jax import Array


class DoubleConvolution(nnx.Module):
    """Twice: a 3 x 3 convolution, batch normalisation, ReLU."""

    def __init__(self, channels: int, filters: int, *, rngs: nnx.Rngs) -> None:
        """Create the layers."""
        self.first = nnx.Conv(channels, filters, (3, 3), rngs=rngs)
        self.first_norm = batch_norm(filters, rngs)
        self.second = nnx.Conv(filters, filters, (3, 3), rngs=rngs)
        self.second_norm = batch_norm(filters, rngs)

    def __call__(self, maps: Array) -> Array:
        """Return maps of `filters` channels."""
        maps = nnx.relu(self.first_norm(self.first(maps)))
        return nnx.relu(self.second_norm(self.second(maps)))


class Expansion(nnx.Module):
    """Twice the size by a 3 x 3 transposed convolution with ReLU; a skip; a double convolution."""

    def __init__(self, channels: int, skipped: int, filters: int, *, rngs: nnx.Rngs) -> None:
        """Create the layers."""
        self.expand = nnx.ConvTranspose(channels, filters, (3, 3), strides=(2, 2), rngs=rngs)
        self.block = DoubleConvolution(filters + skipped, filters, rngs=rngs)

    def __call__(self, maps: Array, skip: Array | None = None) -> Array:
        """Return maps [B, 2H, 2W, filters]."""
        maps = nnx.relu(self.expand(maps))
        return self.block(maps if skip is None else jnp.concatenate([maps, skip], axis=-1))


def batch_norm(channels: int, rngs: nnx.Rngs) -> nnx.BatchNorm:
    """Return batch normalisation with a memory that suits a few hundred steps."""
    return nnx.BatchNorm(channels, momentum=0.95, epsilon=1e-3, rngs=rngs)


def halved(maps: Array) -> Array:
    """Return the maxima of 2 x 2 cells; a last odd row or column is pooled by itself."""
    return nnx.max_pool(maps, (2, 2), strides=(2, 2), padding="SAME")
