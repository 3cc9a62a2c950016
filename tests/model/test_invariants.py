"""What must not change the prediction: the order, the splitting and the naming of places."""

from dataclasses import replace

import numpy as np
import pytest

from graphdown.model import graph_arrays
from meshes import DownscalingGraph, Grid, bilinear, build_graph
from meshes.graph import decode_edges, encode_edges, process_edges
from meshes.local import Neighbourhood
from meshes.remap import bilinear_to_points

from .conftest import (
    GRAPH_SPEC,
    MODEL,
    SOURCE,
    STATICS,
    TARGET,
    new_network,
    predicted,
    randomised,
    weather,
)

VALUES = weather(SOURCE.size)
ROUNDING = 3e-5
both_messages = pytest.mark.parametrize("network", ["linear", "mlp"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def network(request):
    spec = replace(MODEL, messages=getattr(request, "param", "linear"))
    return randomised(lambda: new_network(spec))


@pytest.fixture(scope="module")
def expected(network, arrays):
    return predicted(network, VALUES, arrays)


def downscaled(network, source, values, target=TARGET, statics=STATICS):
    return predicted(
        network, values, graph_arrays(build_graph(source, target, GRAPH_SPEC), statics)
    )


def points(grid, order=slice(None), turn=0.0):
    return Grid.from_points(grid.lon[order] + turn, grid.lat[order], grid.area[order])


@both_messages
def test_the_order_of_the_source_nodes_does_not_matter(network, expected):
    order = np.random.default_rng(1).permutation(SOURCE.size)
    made = downscaled(network, points(SOURCE, order), VALUES[:, order])
    np.testing.assert_allclose(made, expected, atol=ROUNDING)


@both_messages
def test_reordered_target_nodes_reorder_the_prediction(network, expected):
    order = np.random.default_rng(2).permutation(TARGET.size)
    made = downscaled(network, SOURCE, VALUES, points(TARGET, order), STATICS[order])
    np.testing.assert_allclose(made, expected[:, order], atol=ROUNDING)


def test_each_target_node_is_predicted_as_if_it_were_alone(network, graph, expected):
    some = np.arange(5, TARGET.size, 7)
    few = replace(
        graph,
        target=points(TARGET, some),
        decode=decode_edges(graph.mesh, points(TARGET, some), 4),
        to_target=bilinear(SOURCE, points(TARGET, some)),
    )
    made = predicted(network, VALUES, graph_arrays(few, STATICS[some]))
    np.testing.assert_allclose(made, expected[:, some], atol=ROUNDING)


@both_messages
def test_source_points_split_in_two_of_half_the_area_change_nothing(network, expected):
    twice = (np.tile(v, 2) for v in (SOURCE.lon, SOURCE.lat, SOURCE.area / 2))
    made = downscaled(network, Grid.from_points(*twice), np.tile(VALUES, (1, 2, 1)))
    np.testing.assert_allclose(made, expected, atol=ROUNDING)


def test_one_point_split_in_unequal_parts_changes_nothing(network, expected):
    parts = np.append(np.arange(SOURCE.size), [100, 100])
    area = SOURCE.area[parts]
    area[[100, -2, -1]] *= 0.2, 0.3, 0.5
    source = Grid.from_points(SOURCE.lon[parts], SOURCE.lat[parts], area)
    made = downscaled(network, source, VALUES[:, parts])
    np.testing.assert_allclose(made, expected, atol=ROUNDING)


def test_longitudes_shifted_by_360_change_nothing(network, expected):
    made = downscaled(network, points(SOURCE, turn=360.0), VALUES, points(TARGET, turn=-360.0))
    np.testing.assert_allclose(made, expected, atol=ROUNDING)


@pytest.mark.parametrize("storage", ["downwards", "0..360", "transposed"])
def test_the_storage_of_the_source_changes_nothing(network, expected, storage):
    index = SOURCE.dataarray(np.arange(SOURCE.size, dtype=float), "index")
    ds = index.to_dataset().assign_coords(SOURCE.coords.coords)
    if storage == "downwards":
        ds = ds.isel(lat=slice(None, None, -1))
    elif storage == "0..360":
        turn = 360.0 * (ds.lon < 0.0)
        lon = (ds.lon + turn).assign_attrs(ds.lon.attrs)
        ds = ds.assign_coords(lon=lon, lon_bnds=ds.lon_bnds + turn).sortby("lon")
    else:
        ds = ds.transpose("lon", "lat", ...)
    source = Grid.from_dataset(ds)
    order = source.values(ds["index"]).astype(int)
    assert np.any(order != np.arange(SOURCE.size))
    made = downscaled(network, source, VALUES[:, order])
    np.testing.assert_allclose(made, expected, atol=ROUNDING)


def test_a_turn_of_the_earth_that_maps_the_mesh_onto_itself_changes_nothing(network, expected):
    made = downscaled(network, points(SOURCE, turn=72.0), VALUES, points(TARGET, turn=72.0))
    np.testing.assert_allclose(made, expected, atol=ROUNDING)


@both_messages
def test_a_turn_of_source_mesh_and_target_changes_nothing(network, graph, expected):
    source, target = points(SOURCE, turn=131.0), points(TARGET, turn=131.0)
    cosine, sine = np.cos(np.radians(131.0)), np.sin(np.radians(131.0))
    turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    mesh, radius = replace(graph.mesh, xyz=graph.mesh.xyz @ turn.T), GRAPH_SPEC.encode_radius_km
    turned = DownscalingGraph(
        source,
        target,
        mesh,
        GRAPH_SPEC,
        encode_edges(source, mesh, radius, Neighbourhood(source, mesh.xyz, radius)),
        process_edges(mesh),
        decode_edges(mesh, target, GRAPH_SPEC.decode_neighbours),
        bilinear(source, target),
        bilinear_to_points(source, mesh.xyz),
    )
    made = predicted(network, VALUES, graph_arrays(turned, STATICS))
    np.testing.assert_allclose(made, expected, atol=ROUNDING)


def test_a_turn_of_the_source_alone_is_noticed(network, expected):
    made = downscaled(network, points(SOURCE, turn=0.5), VALUES)
    assert np.abs(made - expected).max() > 0.1
