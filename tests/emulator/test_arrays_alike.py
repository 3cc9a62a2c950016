"""Sources of like size share the shapes of their arrays, and give what they give alone."""

import jax
import numpy as np
import pytest
import xarray as xr

from graphdown.emulator.domain import TargetDomain, _of_like_size
from meshes import GraphSpec, Grid

TARGET = Grid.regular(0.5, 0.5, (0.0, 40.0, 6.0, 46.0))
SOURCES = [Grid.regular(d, d, (-4.0, 36.0, 10.0, 50.0)) for d in (2.0, 1.5, 1.2)]


@pytest.fixture(scope="module")
def domain():
    return TargetDomain(TARGET, xr.Dataset(), GraphSpec(mesh_level=4, encode_radius_km=400))


def shapes(graph):
    return [leaf.shape for leaf in jax.tree.leaves(graph)]


def test_shapes_are_shared_and_means_stay(domain):
    together = domain.arrays_alike(SOURCES, [None] * 3)
    assert shapes(together[0]) == shapes(together[1]) == shapes(together[2])
    for source, graph in zip(SOURCES, together, strict=True):
        alone, values = domain.arrays(source), np.sin(np.radians(20 * source.lon + source.lat))

        def at(graph, values=values):
            nodes = len(graph.source_axes)
            padded = np.pad(values, (0, nodes - len(values)))[:, None].astype(np.float32)
            return np.asarray(graph.to_mesh(padded)), np.asarray(graph.to_target(padded))

        for one, other in zip(at(graph), at(alone), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_sizes_that_differ_much_are_not_padded_alike():
    assert _of_like_size([100, 5000, 390, 25, 1300]) == [[3, 0], [2, 4], [1]]
