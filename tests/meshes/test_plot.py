import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest

from meshes import GraphSpec, Grid, build_graph
from meshes.geometry.sphere import lonlat_to_xyz
from meshes.plot import map_km, middle, plot_graph, plot_grid, plot_mesh

TARGET = Grid.rotated(-162.0, 39.25, np.arange(-5.0, 5.1, 0.5), np.arange(-5.0, 5.1, 0.5))
GRAPH = build_graph(Grid.regular(2.0, 2.0), TARGET, GraphSpec(mesh_level=5))


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    figure.canvas.draw()
    plt.close(figure)


def test_the_map_is_in_km_and_keeps_directions():
    x, y = map_km(lonlat_to_xyz([10.0, 10.1], [50.1, 50.0]), (10.0, 50.0)).T
    np.testing.assert_allclose(x, [0.0, 11.12 * np.cos(np.radians(50.0))], atol=0.01)
    np.testing.assert_allclose(y, [11.12, 0.0], atol=0.01)


def test_cells_carry_their_values(ax):
    values = np.where(np.arange(TARGET.size) == 3, np.nan, np.arange(TARGET.size))
    collection = plot_grid(TARGET, values, ax)
    assert len(collection.get_paths()) == TARGET.size
    assert collection.get_array().mask.sum() == 1
    low, high = ax.get_xlim()
    assert 1000.0 < high - low < 1400.0


def test_a_globe_leaves_out_its_far_side(ax):
    grid = Grid.regular(10.0, 10.0)
    assert len(plot_grid(grid, ax=ax).get_paths()) < grid.size
    assert middle(grid) == (0.0, 0.0)


def test_mesh_and_graph_are_drawn(ax):
    plot_mesh(GRAPH.mesh, ax, levels=[4, 5])
    assert len(ax.collections) == 2
    plot_graph(GRAPH, ax=ax)
    assert ax.get_legend() is not None
