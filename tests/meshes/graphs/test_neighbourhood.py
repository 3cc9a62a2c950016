"""A source is cut to what bears on the region; nothing may change by that."""

from dataclasses import replace

import numpy as np
import pytest

from meshes import GraphSpec, Grid, bilinear, build_graph
from meshes.graphs import neighbourhood

TARGET = Grid.named("MED-44")
SPEC = GraphSpec(mesh_level=5)


@pytest.mark.parametrize("name", ["T85", "R2B4", "C40", "O48", "f19", "HEALPix-24"])
def test_the_cut_changes_nothing(name, monkeypatch):
    source = Grid.named(name)
    graph = build_graph(source, TARGET, SPEC)
    monkeypatch.setattr(neighbourhood, "WORTH_A_CUT", source.size)
    whole = build_graph(source, TARGET, SPEC)
    for field in ("senders", "receivers", "features", "weights"):
        np.testing.assert_array_equal(getattr(graph.encode, field), getattr(whole.encode, field))
    for cut, full in ((graph.to_target, whole.to_target), (graph.to_mesh, whole.to_mesh)):
        assert abs(cut.matrix() - full.matrix()).max() < 1e-12


def test_the_cut_is_made():
    source = Grid.named("T106")
    near = neighbourhood.Neighbourhood(source, TARGET.xyz, 350.0)
    assert len(near.points) < 0.4 * source.size
    assert near.reach_km < 1200.0


def test_a_region_with_a_rim_or_a_hole_is_interpolated_from_all_of_it():
    """Triangles at a rim may change with points far away, so the cut is given up."""
    globe = Grid.named("T63")
    hole = (np.abs(globe.lon - 10) < 15) & (np.abs(globe.lat - 50) < 8)
    west = globe.lon < 15.0
    for mask in (~hole, west):
        source = replace(globe, mask=mask)
        graph = build_graph(source, TARGET, SPEC)
        expected = bilinear(source, TARGET)
        np.testing.assert_array_equal(graph.to_target.cols, expected.cols)
        np.testing.assert_array_equal(graph.to_target.values, expected.values)
