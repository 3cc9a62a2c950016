"""The geometry of a network: what it keeps of a source."""

import jax
import numpy as np
import pytest
import xarray as xr

from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.eofs import EOFs
from graphdown.model import SourceArrays
from meshes import GraphSpec, Grid

TARGET = Grid.regular(0.5, 0.5, (-3.0, 42.0, 4.0, 47.0))
FIELDS = Grid.regular(1.0, 1.0, (-25.0, 25.0, 30.0, 65.0))  # beyond the reach of the graph
SPEC = GraphSpec(mesh_level=5, encode_radius_km=500.0)
SOURCE = Grid.regular(5.0, 4.0)
VALUES = np.random.default_rng(0).normal(size=(SOURCE.size, 3, 2))


def eofs() -> EOFs:
    rng = np.random.default_rng(1)
    patterns = rng.normal(size=(4, FIELDS.size, 2)).astype(np.float32)
    target = rng.normal(size=(4, TARGET.size, 1)).astype(np.float32)
    zero = np.zeros((FIELDS.size, 2)), np.zeros((TARGET.size, 1))
    return EOFs(
        FIELDS,
        zero[0],
        np.ones(2),
        patterns,
        zero[1],
        target,
        np.array([0]),
        np.ones(1),
        np.ones((1, 1)),
    )


@pytest.mark.parametrize(
    ("with_eofs", "innovations"), [(False, False), (True, False), (False, True)]
)
def test_nodes_of_a_source_that_do_not_count_are_left_out(with_eofs, innovations):
    parts = eofs() if with_eofs else None
    domain = TargetDomain(TARGET, xr.Dataset(), SPEC, parts, innovations=innovations)
    whole = domain.arrays(SOURCE)
    part, used = domain.used_arrays(SOURCE, None, 0)
    assert len(used) < SOURCE.size / (4 if with_eofs else 10)
    np.testing.assert_array_equal(part.to_target(VALUES[used]), whole.to_target(VALUES))
    np.testing.assert_array_equal(part.to_mesh(VALUES[used]), whole.to_mesh(VALUES))
    for places, ours, theirs in zip(
        whole.encode.senders.blocks, part.encode.senders.blocks, part.encode.weights, strict=True
    ):
        there = np.asarray(theirs) > 0
        np.testing.assert_array_equal(used[np.asarray(ours)[there]], np.asarray(places)[there])
    for ours, theirs in zip(part.encode.weights, whole.encode.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(part.source_axes[: len(used)], whole.source_axes[used])
    of_target = len(SourceArrays._fields)
    for ours, theirs in zip(
        jax.tree.leaves(part[of_target:]), jax.tree.leaves(whole[of_target:]), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    if innovations:
        fields = VALUES[: TARGET.size]
        ours, theirs = (arrays.feedback.means(fields, SOURCE.size) for arrays in (part, whole))
        np.testing.assert_array_equal(ours[: len(used)], theirs[used])
        weights = [np.asarray(arrays.feedback.edges.weights[0]) for arrays in (part, whole)]
        np.testing.assert_array_equal(np.sort(weights[0]), np.sort(weights[1]))
    if with_eofs:
        ours, theirs = part.observation.gain, whole.observation.gain
        np.testing.assert_allclose(ours[..., : len(used), :], theirs[..., used, :], atol=1e-7)
        others = np.setdiff1d(np.arange(SOURCE.size), used)
        assert np.all(theirs[..., others, :] == 0.0)
