from dataclasses import replace

import numpy as np
import pytest

from meshes import DownscalingGraph, GraphSpec, Grid, build_graph, icosphere, load_graph
from meshes.geometry import row_blocks
from meshes.geometry.sphere import EARTH_RADIUS_KM, tangent_frame

TARGET = Grid.rotated(-162.0, 39.25, np.arange(-5.0, 5.1, 0.5), np.arange(-5.0, 5.1, 0.5))
SOURCE = Grid.regular(1.875, 1.25, (0.0, 38.75, 37.5, 62.5))
SPEC = GraphSpec(mesh_level=5, coarsest_level=3)
GRAPH = build_graph(SOURCE, TARGET, SPEC)
EDGES = ("encode", "process", "decode")


def dense(edges, n_receivers, n_senders):
    """Return weights and features as arrays [receiver, sender, ...]."""
    table = np.zeros((n_receivers, n_senders, edges.features.shape[1] + 1))
    table[edges.receivers, edges.senders] = np.column_stack([edges.weights, edges.features])
    return table


def test_the_graph_is_whole():
    GRAPH.validate()
    np.testing.assert_array_equal(GRAPH.decode.receivers, np.repeat(np.arange(TARGET.size), 4))
    for name in EDGES:
        edges = getattr(GRAPH, name)
        assert edges.senders.dtype == edges.receivers.dtype == np.int32
        assert edges.features.dtype == edges.weights.dtype == np.float32
        assert edges.features.shape == (edges.size, len(edges.feature_names))
    assert GRAPH.to_target.shape == (TARGET.size, SOURCE.size)
    assert GRAPH.to_mesh.shape == (GRAPH.mesh.size, SOURCE.size)


@pytest.mark.parametrize(
    "source",
    [
        Grid.named("T63"),
        Grid.named("HEALPix-16"),
        Grid.from_points(icosphere(4).lon, icosphere(4).lat),
        Grid.regular(1.0, 1.0, (10.0, 45.0, 25.0, 55.0)),
    ],
    ids=["gaussian", "healpix", "icosahedral", "inside-the-target"],
)
def test_any_source_gives_a_whole_graph(source):
    build_graph(source, TARGET, SPEC).validate()


@pytest.mark.parametrize(
    "source",
    [SOURCE, Grid.regular(1.0, 1.0, (10.0, 45.0, 25.0, 55.0)), Grid.from_points([14.0], [50.0])],
    ids=["around", "inside-the-target", "one-point"],
)
def test_the_graph_does_not_depend_on_how_many_targets_are_worked_on_at_once(source, monkeypatch):
    whole = build_graph(source, TARGET, SPEC)
    monkeypatch.setattr(row_blocks, "POINTS", 70)
    assert len(list(row_blocks.blocks(TARGET.size))) == 7
    parts = build_graph(source, TARGET, SPEC)
    for name in EDGES:
        for what in ("senders", "receivers", "features", "weights"):
            own, other = (getattr(getattr(graph, name), what) for graph in (whole, parts))
            np.testing.assert_array_equal(own, other)
            assert own.dtype == other.dtype
    for name in ("to_target", "to_mesh"):
        own, other = getattr(whole, name), getattr(parts, name)
        assert own.shape == other.shape
        for what in ("rows", "cols", "values"):
            np.testing.assert_array_equal(getattr(own, what), getattr(other, what))


def test_encode_links_all_points_within_the_radius():
    distance = np.arccos(np.clip(GRAPH.mesh.xyz @ SOURCE.xyz.T, -1, 1)) * EARTH_RADIUS_KM
    near = distance <= SPEC.encode_radius_km
    linked = np.zeros_like(near)
    linked[GRAPH.encode.receivers, GRAPH.encode.senders] = True
    plenty = near.sum(axis=1) > 20
    assert plenty.mean() > 0.5
    np.testing.assert_array_equal(linked[plenty], near[plenty])
    assert linked.sum(axis=1).min() >= 3


def test_encode_weights_are_area_times_kernel():
    node = int(np.argmax(np.bincount(GRAPH.encode.receivers)))
    mine = GRAPH.encode.receivers == node
    senders = GRAPH.encode.senders[mine]
    distance = np.arccos(GRAPH.mesh.xyz[node] @ SOURCE.xyz[senders].T) * EARTH_RADIUS_KM
    raw = SOURCE.area[senders] * (1 - (distance / 350.0) ** 2) ** 2
    np.testing.assert_allclose(GRAPH.encode.weights[mine], raw / raw.sum(), rtol=1e-4)
    np.testing.assert_allclose(GRAPH.encode.feature("distance")[mine], distance / 350.0, rtol=1e-4)
    spacing = np.log(np.sqrt(SOURCE.area[senders]) * EARTH_RADIUS_KM / 100.0)
    np.testing.assert_allclose(
        GRAPH.encode.feature("log_spacing")[mine], spacing, rtol=1e-5, atol=1e-6
    )


def test_features_are_the_position_in_the_receivers_frame():
    edge = 7
    receiver = GRAPH.mesh.xyz[GRAPH.encode.receivers[edge]]
    sender = SOURCE.xyz[GRAPH.encode.senders[edge]]
    expected = tangent_frame(receiver) @ (sender - receiver) * EARTH_RADIUS_KM / 350.0
    np.testing.assert_allclose(GRAPH.encode.features[edge, :3], expected, atol=1e-6)
    north = GRAPH.mesh.lat[GRAPH.encode.receivers] < SOURCE.lat[GRAPH.encode.senders] - 0.5
    assert np.all(GRAPH.encode.feature("north")[north] > 0)


def test_no_feature_is_scaled_by_what_the_source_happens_to_be():
    other = build_graph(Grid.regular(0.9375, 1.25, (-40.0, 0.0, 80.0, 90.0)), TARGET, SPEC)
    np.testing.assert_array_equal(GRAPH.process.features, other.process.features)
    np.testing.assert_array_equal(GRAPH.decode.features, other.decode.features)


def test_process_runs_both_ways_on_every_level():
    edges = GRAPH.process
    pairs = set(zip(edges.senders.tolist(), edges.receivers.tolist(), strict=True))
    assert pairs == {(b, a) for a, b in pairs}
    assert set(edges.feature("level")) == {0.0, 1.0, 2.0}
    degree = np.bincount(edges.receivers)
    np.testing.assert_allclose(edges.weights, 1.0 / degree[edges.receivers])


def test_decode_links_the_nearest_nodes():
    cosine = TARGET.xyz @ GRAPH.mesh.xyz.T
    nearest = np.sort(np.argsort(-cosine, axis=1)[:, :4], axis=1)
    np.testing.assert_array_equal(GRAPH.decode.senders.reshape(-1, 4), nearest)
    closest = np.argmax(GRAPH.decode.weights.reshape(-1, 4), axis=1)
    chosen = GRAPH.decode.senders.reshape(-1, 4)[np.arange(TARGET.size), closest]
    np.testing.assert_array_equal(chosen, np.argmax(cosine, axis=1))


def test_order_of_the_source_points_does_not_matter():
    order = np.random.default_rng(0).permutation(SOURCE.size)
    shuffled = build_graph(SOURCE.select(order), TARGET, SPEC)
    size = (GRAPH.mesh.size, SOURCE.size)
    np.testing.assert_allclose(
        dense(shuffled.encode, *size), dense(GRAPH.encode, *size)[:, order], atol=1e-6
    )
    np.testing.assert_allclose(
        shuffled.to_mesh.matrix().toarray(), GRAPH.to_mesh.matrix().toarray()[:, order], atol=1e-12
    )


def test_splitting_source_points_halves_their_weights_and_keeps_their_features():
    twice = Grid.from_points(*(np.tile(v, 2) for v in (SOURCE.lon, SOURCE.lat, SOURCE.area / 2)))
    split = dense(build_graph(twice, TARGET, SPEC).encode, GRAPH.mesh.size, twice.size)
    plain = dense(GRAPH.encode, GRAPH.mesh.size, SOURCE.size)
    for half in (split[:, : SOURCE.size], split[:, SOURCE.size :]):
        np.testing.assert_allclose(half[..., 0], plain[..., 0] / 2, atol=1e-7)
        np.testing.assert_allclose(half[..., 1:], plain[..., 1:], atol=1e-5)


def test_shifted_longitudes_change_nothing():
    moved = Grid.from_points(SOURCE.lon + 360.0, SOURCE.lat, SOURCE.area)
    other = build_graph(moved, TARGET, SPEC).encode
    np.testing.assert_array_equal(other.senders, GRAPH.encode.senders)
    np.testing.assert_allclose(other.features, GRAPH.encode.features, atol=1e-6)


def test_masked_source_points_send_nothing():
    mask = SOURCE.lon < 15.0
    masked = build_graph(Grid.from_dataset(SOURCE.coords, mask), TARGET, SPEC)
    masked.validate()
    assert mask[masked.encode.senders].all()
    assert mask[masked.to_target.cols].all()


def test_a_very_coarse_source_enlarges_the_radius_smoothly():
    sparse = Grid.regular(10.0, 10.0)
    graph = build_graph(sparse, TARGET, SPEC)
    graph.validate()
    assert np.bincount(graph.encode.receivers, minlength=graph.mesh.size).min() >= 3
    assert graph.encode.weights.min() >= 0


def test_save_and_load_give_the_same_graph(tmp_path):
    GRAPH.save(tmp_path / "g.npz")
    again = load_graph(tmp_path / "g.npz")
    assert type(again) is DownscalingGraph
    assert type(again.source) is type(again.target) is Grid
    for name in EDGES:
        for field in ("senders", "receivers", "features", "weights"):
            np.testing.assert_array_equal(
                getattr(getattr(again, name), field), getattr(getattr(GRAPH, name), field)
            )
        assert getattr(again, name).feature_names == getattr(GRAPH, name).feature_names
    assert again.spec == SPEC
    assert again.to_target.shape == GRAPH.to_target.shape
    np.testing.assert_array_equal(again.to_mesh.values, GRAPH.to_mesh.values)
    assert again.target.coords.identical(TARGET.coords)
    assert again.source.kind == "regular"
    assert again.mesh.finest == 5
    again.validate()
    assert again.describe() == GRAPH.describe()


def test_files_that_are_no_graphs_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    (tmp_path / "text.npz").write_text("no graph")
    for name in ("other.npz", "text.npz"):
        with pytest.raises(ValueError, match="no graph file"):
            load_graph(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        load_graph(tmp_path / "absent.npz")


def test_description_names_sizes_and_lengths():
    text = GRAPH.describe()
    assert "rotated_pole, 21 rlat x 21 rlon = 441 points" in text
    assert f"{GRAPH.mesh.size} nodes, levels 3 to 5" in text
    assert "4 to 4 per receiver" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: replace(e, weights=e.weights * 2), "do not sum to 1"),
        (lambda e: replace(e, senders=e.senders + 100_000), "outside the nodes"),
        (lambda e: replace(e, receivers=e.receivers[::-1]), "out of order"),
        (lambda e: replace(e, features=e.features * np.nan), "not finite"),
        (lambda e: trimmed(e, e.receivers > 0), "receives no edge"),
    ],
)
def test_broken_graphs_do_not_validate(change, message):
    with pytest.raises(ValueError, match=message):
        replace(GRAPH, encode=change(GRAPH.encode)).validate()


def trimmed(edges, keep):
    return replace(
        edges,
        senders=edges.senders[keep],
        receivers=edges.receivers[keep],
        features=edges.features[keep],
        weights=edges.weights[keep],
    )


def test_a_margin_too_small_for_the_decoder_is_named():
    spec = GraphSpec(mesh_level=4, coarsest_level=3, margin_km=1.0)
    with pytest.raises(ValueError, match="margin_km"):
        build_graph(SOURCE, TARGET, spec).validate()


def test_impossible_specifications_are_refused():
    with pytest.raises(ValueError, match="encode_radius_km"):
        GraphSpec(encode_radius_km=0.0)
    with pytest.raises(ValueError, match="decode_neighbours"):
        GraphSpec(decode_neighbours=0)
    with pytest.raises(ValueError, match="lower decode_neighbours"):
        build_graph(SOURCE, TARGET, replace(SPEC, decode_neighbours=500))
    empty = Grid.from_dataset(TARGET.coords, np.zeros(TARGET.shape, dtype=bool))
    with pytest.raises(ValueError, match="target grid has no used point"):
        build_graph(SOURCE, empty, SPEC)


def test_jraph_graphs_hold_the_same_edges():
    import jraph

    graphs = GRAPH.to_jraph()
    assert set(graphs) == set(EDGES)
    encode = graphs["encode"]
    assert isinstance(encode, jraph.GraphsTuple)
    assert encode.n_node.tolist() == [SOURCE.size + GRAPH.mesh.size]
    np.testing.assert_array_equal(encode.receivers - SOURCE.size, GRAPH.encode.receivers)
    summed = jraph.segment_sum(
        encode.edges["weights"], encode.receivers, num_segments=int(encode.n_node[0])
    )
    np.testing.assert_allclose(summed[SOURCE.size :], 1.0, rtol=1e-5)
    position = encode.nodes[encode.senders] - encode.nodes[encode.receivers]
    length = np.linalg.norm(position, axis=1) * EARTH_RADIUS_KM / SPEC.encode_radius_km
    np.testing.assert_allclose(length, encode.edges["features"][:, 3], rtol=2e-3)


def test_the_spacing_of_the_source_does_not_change_when_points_are_split():
    source, target = (
        Grid.regular(2.0, 2.0, (-10, 35, 20, 60)),
        Grid.regular(1.0, 1.0, (0, 44, 8, 52)),
    )
    twice = (np.tile(v, 2) for v in (source.lon, source.lat, source.area / 2))
    spec = GraphSpec(mesh_level=5)
    graphs = [build_graph(s, target, spec) for s in (source, Grid.from_points(*twice))]
    assert graphs[0].source_spacing_km == pytest.approx(source.spacing_km, rel=0.1)
    assert graphs[1].source_spacing_km == pytest.approx(graphs[0].source_spacing_km, rel=1e-5)


def test_the_spacing_of_the_source_counts_points_that_are_split_once():
    source, target = (
        Grid.gaussian(96, (-10.0, 36.0, 12.0, 54.0)),
        Grid.regular(1, 1, (0, 44, 8, 52)),
    )
    north = np.flatnonzero(source.lat > 45.0)
    parts = np.append(np.arange(source.size), np.repeat(north, 4))
    share = 1.0 / np.bincount(parts)[parts]
    split = Grid.from_points(source.lon[parts], source.lat[parts], source.area[parts] * share)
    spacing = [
        build_graph(s, target, GraphSpec(mesh_level=5)).source_spacing_km for s in (source, split)
    ]
    assert spacing[1] == pytest.approx(spacing[0], rel=1e-9)


def test_nodes_that_are_equally_near_are_not_chosen_by_rounding():
    lat = np.arange(30.0, 60.0, 0.25)
    senders = []
    for lon in (36.0, 36.0 - 1e-11, 36.0 + 1e-11):
        target = Grid.from_points(np.full(lat.size, lon), lat, np.full(lat.size, 1e-5))
        senders.append(build_graph(Grid.regular(5.0, 4.0), target, SPEC).decode.senders)
    np.testing.assert_array_equal(senders[1], senders[0])
    np.testing.assert_array_equal(senders[2], senders[0])


def test_graphcasts_encoder_sums_and_measures_in_the_longest_edge():
    spec = GraphSpec(mesh_level=5, encode_radius_km=300.0, encoder="graphcast")
    target = Grid.regular(0.5, 0.5, (0.0, 40.0, 6.0, 45.0))
    coarse, fine = (Grid.regular(d, d, (-12.0, 30.0, 18.0, 56.0)) for d in (2.0, 0.5))
    graphs = [build_graph(source, target, spec) for source in (coarse, fine)]
    for graph in graphs:
        graph.validate()
        assert np.all(graph.encode.weights == 1.0)
        assert graph.encode.feature("distance").max() == pytest.approx(1.0)
        assert np.all(graph.encode.feature("log_spacing") == 0.0)
    sums = [np.bincount(g.encode.receivers, g.encode.weights).mean() for g in graphs]
    assert sums[1] > 10 * sums[0]


def test_an_encoder_of_another_name_is_refused():
    with pytest.raises(ValueError, match="encoder must be one of graphcast, kernel, got 'sum'"):
        GraphSpec(encoder="sum")


def test_the_graph_from_the_used_source_points_says_the_same():
    source = Grid.named("T63")
    whole = build_graph(source, TARGET, SPEC)
    kept = np.union1d(whole.used_sources(), [5])
    part = whole.of_sources(kept)
    part.validate()
    assert part.source.size == len(kept) < source.size / 10
    np.testing.assert_array_equal(part.source.lon, source.lon[kept])
    np.testing.assert_array_equal(kept[part.encode.senders], whole.encode.senders)
    values = np.random.default_rng(0).normal(size=(2, source.size))
    for name in ("to_target", "to_mesh"):
        expected = getattr(whole, name).apply(values)
        np.testing.assert_array_equal(getattr(part, name).apply(values[:, kept]), expected)
