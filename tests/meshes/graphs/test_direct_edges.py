"""Direct edges: their reach follows the source's spacing, and their weights its areas."""

from dataclasses import replace

import numpy as np
import pytest

from meshes import Grid
from meshes.geometry.sphere import distance_km
from meshes.graphs.direct_edges import DIRECT_REACH, direct_edges
from meshes.graphs.features import spacing_km

TARGET = Grid.regular(0.8, 0.8, (0.0, 40.0, 12.0, 48.0))


@pytest.fixture(scope="module", params=[(1.5, 1.5), (3.0, 2.0), (9.0, 9.0)])
def source(request):
    return Grid.regular(*request.param, (-20.0, 20.0, 34.0, 65.0))


def lengths(edges, source):
    return distance_km(source.xyz[edges.senders], TARGET.xyz[edges.receivers])


def test_every_target_has_edges_whose_weights_sum_to_one(source):
    edges = direct_edges(source, TARGET)
    assert np.all(np.bincount(edges.receivers, minlength=TARGET.size) >= 3)
    np.testing.assert_allclose(np.bincount(edges.receivers, edges.weights), 1.0, atol=1e-6)
    assert np.all(edges.weights > 0)


def test_edges_are_those_within_some_spacings_of_the_nearest_point(source):
    edges = direct_edges(source, TARGET)
    spacing = spacing_km(source, np.arange(source.size))
    apart = distance_km(source.xyz[None], TARGET.xyz[:, None])
    local = spacing[apart.argmin(axis=1)]
    expected = apart < DIRECT_REACH * local[:, None] * (1 - 1e-9)
    made = np.zeros_like(expected)
    made[edges.receivers, edges.senders] = True
    np.testing.assert_array_equal(made, expected)
    np.testing.assert_allclose(
        edges.feature("distance") * local[edges.receivers], lengths(edges, source), rtol=1e-5
    )


def test_edges_are_sorted_by_receiver_then_sender_and_leave_masked_points(source):
    masked = replace(source, mask=np.arange(source.size) % 7 > 0)
    edges = direct_edges(masked, TARGET)
    order = np.lexsort((edges.senders, edges.receivers))
    np.testing.assert_array_equal(order, np.arange(edges.size))
    assert np.all(edges.senders % 7 > 0)
