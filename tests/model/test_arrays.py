"""The graph laid out for the network: the same edges, interpolations and neighbours."""

import jax
import numpy as np
import pytest

from graphdown.errors import ExperimentError
from graphdown.model import graph_arrays
from graphdown.model.arrays import with_spacing_offset
from graphdown.model.edge_tables import bucket
from meshes import GraphSpec, Grid, build_graph
from meshes.graphs.features import LOG_SPACING

from .conftest import PADDED, SOURCE, STATICS, TARGET, weather


def edges_of(table, n_senders):
    """Return (receiver, sender, weight, features) of all that is no padding, sorted."""
    table = jax.tree.map(np.asarray, table)
    rows, first = [], 0
    for block, weights, features in zip(
        table.senders.blocks, table.weights, table.features, strict=True
    ):
        row, column = np.nonzero(block < n_senders)
        one = row + first, block[row, column], weights[row, column], *features[row, column].T
        rows.append(np.stack(one, axis=1, dtype=np.float64))
        first += len(block)
    rows = np.concatenate(rows)
    return rows[np.lexsort((rows[:, 1], rows[:, 0]))], first


def test_the_source_alone_is_padded(arrays, graph):
    assert SOURCE.size < PADDED
    sizes = {"encode": PADDED, "process": graph.mesh.size, "decode": graph.mesh.size}
    receivers = {"encode": graph.mesh.size, "process": graph.mesh.size, "decode": TARGET.size}
    for name, senders in sizes.items():
        edges, table = getattr(graph, name), getattr(arrays, name)
        made, rows = edges_of(table, senders)
        parts = edges.receivers, edges.senders, edges.weights, edges.features
        np.testing.assert_array_equal(made, np.column_stack(parts).astype(np.float64))
        assert rows == receivers[name]
        assert sum(len(block) for block in table.outgoing.blocks) == senders
    np.testing.assert_array_equal(arrays.target_statics, STATICS)


@pytest.mark.parametrize("name", ["to_mesh", "to_target"])
def test_interpolation_is_that_of_the_sparse_weights(arrays, graph, name):
    values = weather(SOURCE.size)
    padded = np.pad(values, ((0, 0), (0, PADDED - SOURCE.size), (0, 0)), constant_values=1e6)
    interpolation = getattr(arrays, name)
    expected = getattr(graph, name).apply(np.moveaxis(values, 1, 2).astype(np.float64))
    made = np.asarray(interpolation(np.swapaxes(padded, 0, 1)))
    np.testing.assert_allclose(np.transpose(made, (1, 2, 0)), expected, atol=3e-6)
    np.testing.assert_allclose(interpolation.weights.sum(axis=1), 1.0, atol=1e-6)
    assert interpolation.donors.shape[1] == bucket(interpolation.donors.shape[1])


@pytest.mark.parametrize("count", [1, 7, 46])
def test_around_lists_the_nodes_nearest_to_the_nearest_node(graph, count):
    around = np.asarray(graph_arrays(graph, STATICS, count).around)
    assert around.shape == (TARGET.size, count)
    mesh = graph.mesh.xyz
    nearest = np.argmax(TARGET.xyz @ mesh.T, axis=1)
    np.testing.assert_array_equal(around[:, 0], nearest)
    distance = np.linalg.norm(mesh[nearest][:, None] - mesh, axis=2)
    made = np.take_along_axis(distance, around, axis=1)
    np.testing.assert_allclose(made, np.sort(distance, axis=1)[:, :count], atol=1e-12)
    assert all(len(set(row)) == count for row in around.tolist())


def test_target_nodes_with_one_nearest_node_share_all_nodes_around_it(graph):
    around = np.asarray(graph_arrays(graph, STATICS, 7).around)
    groups = len(np.unique(around[:, 0]))
    assert len(np.unique(around, axis=0)) == groups < TARGET.size


def test_no_nodes_around_are_listed_unless_asked_for(arrays):
    assert arrays.around.shape == (TARGET.size, 0)


def test_more_nodes_around_than_the_mesh_has_are_refused_with_the_cure(graph):
    message = "'model.target_regression' asks for 47 mesh nodes, but the mesh has 46; lower it"
    with pytest.raises(ExperimentError, match=message):
        graph_arrays(graph, STATICS, 47)


def test_the_spacing_offset_reaches_the_spacing_of_the_encode_edges_alone(arrays, graph):
    column = graph.encode.feature_names.index(LOG_SPACING)
    moved = with_spacing_offset(arrays, np.float32(0.25))
    for new, old in zip(moved.encode.features, arrays.encode.features, strict=True):
        change = np.asarray(new - old)
        np.testing.assert_allclose(change[..., column], 0.25, atol=1e-6)
        assert np.all(np.delete(change, column, axis=-1) == 0.0)
    assert moved.encode.senders is arrays.encode.senders
    assert moved.process is arrays.process
    assert moved.decode is arrays.decode


def test_shifted_source_grids_of_one_size_share_their_shapes():
    target = Grid.regular(1.0, 1.0, (-4, 40, 6, 50))
    shapes = set()
    for shift in np.linspace(0, 1, 8):
        bounds = (-14 + shift, 31 + shift, 16 + shift, 61 + shift)
        graph = build_graph(Grid.regular(2.0, 2.0, bounds), target, GraphSpec(mesh_level=5))
        arrays = graph_arrays(graph, np.zeros((target.size, 1)))
        shapes.add(tuple(leaf.shape for leaf in jax.tree.leaves(arrays)))
    assert len(shapes) <= 2
