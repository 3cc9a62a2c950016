"""The invariants of the design hold: for many kinds of source grid, and with EOFs.

About any axis, not the Earth's alone (invariant 3), the graph turns with its north, and a network
that uses no direction predicts the same. One that does cannot: its frames are east, north and up,
as are its wind vectors, so east and north mean what they say, wherever the region lies.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from meshes import Grid, RandomGrids, random_grids
from meshes.grids.random_grids import KINDS

from . import invariants
from .invariants import STORAGES, case, data_on, downscaled
from .model.conftest import SOURCE, TARGET, weather
from .training.conftest import COARSE, FINE, OTHER

pytestmark = pytest.mark.usefixtures("compiled_in_haste")
BINDING = {"target_embedding": 2, "target_regression": 3}
SEEDS = st.integers(0, 2**16)
NETWORKS = {
    "plain": (0, "linear"),
    "eofs": (6, "linear"),
    "mlp": (0, "mlp"),
    "attention": (0, "attention"),
    "innovations": (0, "linear", 2),
}
CASES = pytest.mark.parametrize("which", NETWORKS.values(), ids=NETWORKS)
few = settings(max_examples=4, deadline=None, derandomize=True)
many = settings(max_examples=200, deadline=None, derandomize=True)


@st.composite
def sources(draw):
    """A source grid of any kind, as a list of cells with their corners."""
    kind, seed = draw(st.sampled_from([*KINDS, "scattered"])), draw(SEEDS)
    if kind == "scattered":
        lon, lat = np.random.default_rng(seed).uniform((-8, 36), (20, 56), (150, 2)).T
        return Grid.from_points(lon, lat)
    spacing = draw(st.floats(1.2, 3.0))
    (grid,) = random_grids(TARGET, RandomGrids(1, (spacing, spacing), (kind,), seed))
    return grid.select(np.arange(grid.size))


@CASES
@few
@given(source=sources(), seed=SEEDS)
def test_1_order_of_nodes_and_edges(which, source, seed):
    invariants.check_order_of_source(case(*which), source, seed)
    invariants.check_order_of_target(case(*which), source, seed)
    invariants.check_order_of_edges(case(*which), source, seed)


def test_1_each_target_node_is_predicted_as_if_it_were_alone():
    invariants.check_alone(case(), SOURCE, np.arange(38, 80, 3))


@CASES
@few
@given(source=sources(), seed=SEEDS)
def test_2_split_points(which, source, seed):
    invariants.check_split(case(*which), source, seed)


@CASES
def test_2_padding(which):
    invariants.check_padding(case(*which), SOURCE)


@CASES
@few
@given(source=sources(), turns=st.sampled_from([-2, -1, 1, 3]))
def test_3_whole_turns(which, source, turns):
    invariants.check_whole_turns(case(*which), source, turns)


@CASES
@pytest.mark.parametrize("how", STORAGES)
def test_3_storage(which, how):
    invariants.check_storage(case(*which), SOURCE, how)


@CASES
@few
@given(source=sources(), degrees=st.floats(-360.0, 360.0))
def test_3_turns_about_the_axis_of_the_earth(which, source, degrees):
    invariants.check_turn(case(*which), source, degrees)


@few
@given(source=sources(), seed=SEEDS)
def test_3_rotations_about_any_axis(source, seed):
    matrix = Rotation.from_quat(np.random.default_rng(seed).normal(size=4)).as_matrix()
    invariants.check_rotation(source, matrix)
    invariants.check_rotation_of_direct_edges(source, matrix)
    invariants.check_rotation_undirected(case(), source, matrix)


def test_3_a_turn_of_the_source_alone_is_noticed():
    source = SOURCE.select(np.arange(SOURCE.size))
    values = weather(SOURCE.size)
    made = downscaled(case(), invariants.turned(source, 0.5), values)
    assert np.abs(made - downscaled(case(), source, values)).max() > 0.1


def test_4_refinement():
    invariants.check_refinement(case(), seed=0)


@pytest.mark.slow
def test_4_refinement_with_innovations():
    grids = invariants.BELOW_TARGET, invariants.AROUND_TARGET
    invariants.check_refinement(case(0, "linear", 1), 0, *grids)


def test_4_refinement_of_modes():
    invariants.check_refinement_of_modes(seed=0)


RUNS = {"first": (COARSE, FINE), "other source": (OTHER, FINE), "other target": (COARSE, OTHER)}


@pytest.mark.parametrize("bound", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_5_no_array_depends_on_a_source_grid_and_only_the_targets_own_on_the_target(
    bound, tmp_path
):
    for name, grids in RUNS.items():
        invariants.leave_files(tmp_path / name, data_on(*grids), BINDING if bound else None)
    own = (
        ("node_embedding.numbers", "node_embedding.readout", "node_embedding.bias", "regression.")
        if bound
        else ()
    )
    invariants.check_free_of(tmp_path / "first", tmp_path / "other source")
    invariants.check_free_of(tmp_path / "first", tmp_path / "other target", own)


@pytest.mark.slow
def test_6_fast_path():
    invariants.check_fast_path()


@pytest.mark.slow
def test_7_shares_of_a_batch():
    invariants.check_shares(invariants.trainer_with_gaps())


def test_8_saved_and_loaded(tmp_path):
    emulator, coarse = invariants.small_emulator(), invariants.predictors()
    invariants.check_saved(emulator, coarse, tmp_path)


@many
@given(
    lon=st.floats(-360.0, 360.0),
    lat=st.floats(-89.0, 89.0),
    azimuth=st.floats(0.0, 360.0),
    angle=st.floats(0.01, 30.0),
)
def test_9_directions(lon, lat, azimuth, angle):
    invariants.check_direction(lon, lat, azimuth, angle)
