"""Builders of a user's own file: registered, chosen by name, built, saved and loaded."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

from meshes import (
    EdgeSet,
    GraphSpec,
    Grid,
    build_graph,
    edge_builder,
    icosphere,
    load_graph,
    mesh_builder,
)
from meshes.graphs.builder_registry import EDGE_BUILDERS, EDGE_KINDS, MESH_BUILDERS
from meshes.graphs.features import DECODE_FEATURES, ENCODE_FEATURES, PROCESS_FEATURES

TARGET = Grid.regular(1.0, 1.0, (0.0, 42.0, 8.0, 50.0))
SOURCE = Grid.regular(2.0, 2.0, (-14.0, 30.0, 22.0, 62.0))
SPEC = GraphSpec(mesh_level=4, coarsest_level=3)
FILE = '''
"""Mesh nodes that listen to their six nearest source points, and know how large these are."""

import numpy as np

import meshes
from meshes.graphs.edges import k_nearest, kernel
from meshes.graphs.features import POSITION, relative_position

FEATURES = (*POSITION, "log_area")


@meshes.edge_builder("encode", "six nearest", FEATURES)
def six_nearest(nodes):
    """Link six source points to every mesh node, weighted by distance."""
    source, mesh, unit_km = nodes.source, nodes.mesh, nodes.spec.encode_radius_km
    used = np.flatnonzero(source.mask)
    senders, receivers = k_nearest(source.xyz[used], mesh.xyz, 6)
    senders = used[senders]
    position, distance = relative_position(source.xyz[senders], mesh.xyz[receivers], unit_km)
    farthest = np.zeros(mesh.size)
    np.maximum.at(farthest, receivers, distance)
    weights = kernel(distance / (1.5 * farthest[receivers]))
    features = np.column_stack([position, np.log(source.area[senders])])
    return meshes.EdgeSet.normalised(senders, receivers, features, weights, FEATURES)
'''


@pytest.fixture(autouse=True)
def registries():
    """Forget after a test what it registered."""
    registries = [MESH_BUILDERS, *EDGE_BUILDERS.values()]
    entries = [dict(registry) for registry in registries]
    yield
    for registry, before in zip(registries, entries, strict=True):
        registry.clear()
        registry.update(before)


def load(path):
    spec = importlib.util.spec_from_file_location("nearest_six", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def module(tmp_path):
    """The user's file, imported."""
    path = tmp_path / "nearest_six.py"
    path.write_text(FILE, encoding="utf-8")
    return load(path)


def test_an_encoder_of_a_users_own_builds_saves_and_loads(module, tmp_path):
    spec = replace(SPEC, encoder="six nearest")
    graph = build_graph(SOURCE, TARGET, spec)
    graph.validate()
    assert graph.encode.feature_names == module.FEATURES
    np.testing.assert_array_equal(np.bincount(graph.encode.receivers), 6)
    areas = SOURCE.area[graph.encode.senders]
    np.testing.assert_allclose(graph.encode.feature("log_area"), np.log(areas), rtol=1e-6)
    plain = build_graph(SOURCE, TARGET, SPEC)
    np.testing.assert_array_equal(graph.process.features, plain.process.features)
    np.testing.assert_array_equal(graph.decode.features, plain.decode.features)
    graph.save(tmp_path / "graph.npz")
    again = load_graph(tmp_path / "graph.npz")
    again.validate()
    assert again.spec == spec
    assert again.encode.feature_names == module.FEATURES
    np.testing.assert_array_equal(again.encode.features, graph.encode.features)
    assert set(graph.to_jraph()) == set(EDGE_KINDS)
    assert f"encode   {graph.encode.size} edges, 6 to 6 per receiver" in graph.describe()


def test_a_file_of_a_graph_names_the_builder_that_is_missing(module, tmp_path):
    build_graph(SOURCE, TARGET, replace(SPEC, encoder="six nearest")).save(tmp_path / "graph.npz")
    del EDGE_BUILDERS["encode"]["six nearest"]
    with pytest.raises(ValueError, match="import the module that registers 'six nearest'"):
        load_graph(tmp_path / "graph.npz")


def test_the_numbers_of_features_follow_the_builders(module):
    names = [SPEC.edge_builder(kind).features for kind in EDGE_KINDS]
    assert names == [ENCODE_FEATURES, PROCESS_FEATURES, DECODE_FEATURES]
    assert SPEC.feature_counts == (5, 5, 4)

    @edge_builder("decode", "blind", ())
    def blind(nodes):
        edges = SPEC.edge_builder("decode").build(nodes)
        return replace(edges, features=edges.features[:, :0], feature_names=())

    spec = replace(SPEC, encoder="six nearest", decoder="blind")
    assert spec.feature_counts == (5, 5, 0)
    build_graph(SOURCE, TARGET, spec).validate()


def test_edges_have_the_features_that_their_builder_registered():
    @edge_builder("process", "unnamed", (*PROCESS_FEATURES, "slope"))
    def unnamed(nodes):
        return SPEC.edge_builder("process").build(nodes)

    message = "processor 'unnamed' is registered with the features .*slope, but its edges have"
    with pytest.raises(ValueError, match=message):
        build_graph(SOURCE, TARGET, replace(SPEC, processor="unnamed"))


def test_a_feature_is_found_by_name():
    edges = build_graph(SOURCE, TARGET, SPEC).process
    np.testing.assert_array_equal(edges.feature("level"), edges.features[:, 4])
    with pytest.raises(ValueError, match="no feature 'log_spacing', only east, north, up"):
        edges.feature("log_spacing")


def test_a_mesh_of_a_users_own_carries_a_graph(tmp_path):
    @mesh_builder("global")
    def whole(_, spec):
        return icosphere(spec.mesh_level, spec.coarsest_level)

    graph = build_graph(Grid.regular(5.0, 4.0), TARGET, replace(SPEC, mesh="global"))
    graph.validate()
    assert graph.mesh.size == 2562
    graph.save(tmp_path / "graph.npz")
    assert load_graph(tmp_path / "graph.npz").spec.mesh == "global"


def test_the_rules_of_a_builder_are_checked_with_the_graph():
    def refuse_long(graph):
        if graph.edge_lengths_km("encode").max() > 100.0:
            raise ValueError("too long")

    @edge_builder("encode", "short", ENCODE_FEATURES, check=refuse_long)
    def short(nodes):
        return SPEC.edge_builder("encode").build(nodes)

    @edge_builder("encode", "sum", ENCODE_FEATURES, normalised=False)
    def summed(nodes):
        edges = SPEC.edge_builder("encode").build(nodes)
        return replace(edges, weights=np.ones_like(edges.weights))

    with pytest.raises(ValueError, match="too long"):
        build_graph(SOURCE, TARGET, replace(SPEC, encoder="short")).validate()
    build_graph(SOURCE, TARGET, replace(SPEC, encoder="sum")).validate()


@pytest.mark.parametrize(
    ("setting", "name", "message"),
    [
        ("encoder", "kernal", "encoder must be one of graphcast, kernel, got 'kernal'; take 'ker"),
        ("processor", "multi-mesh", "processor must be one of multimesh, got .*take 'multimesh'"),
        ("decoder", "closest", "decoder must be one of nearest, got 'closest'; take"),
        (
            "mesh",
            "HEALPix",
            "mesh must be one of icosahedral, got 'HEALPix'; take one of these,",
        ),
    ],
)
def test_unknown_builders_are_refused_with_the_nearest_name(setting, name, message):
    with pytest.raises(ValueError, match=message):
        replace(SPEC, **{setting: name})


def test_a_file_may_be_loaded_again(module):
    again = load(module.__file__)
    assert EDGE_BUILDERS["encode"]["six nearest"].build is again.six_nearest


def test_names_are_given_once_and_kinds_are_known():
    def build(nodes):
        return EdgeSet.normalised(*np.zeros((2, 0), int), np.zeros((0, 0)), np.zeros(0), ())

    with pytest.raises(ValueError, match="'kernel' is registered for encoder already"):
        edge_builder("encode", "kernel", ())(build)
    with pytest.raises(ValueError, match="'icosahedral' is registered for mesh already"):
        mesh_builder("icosahedral")(build)
    with pytest.raises(ValueError, match="kind encode, process, decode, not 'encoder'"):
        edge_builder("encoder", "kernel", ())
