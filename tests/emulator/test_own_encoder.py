"""An emulator with an encoder of the user's own, which has features of its own."""

from dataclasses import replace

import numpy as np
import pytest

import graphdown
from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.storage import save
from graphdown.model.arrays import with_spacing_offset
from meshes import edge_builder
from meshes.graphs.builder_registry import EDGE_BUILDERS
from meshes.graphs.features import LOG_SPACING, POSITION

from ..emulators import random_emulator
from ..invariants import check_saved
from .conftest import MODEL, NORMALISER, SOURCES, SPEC, TARGETS, dataset, statics

pytestmark = pytest.mark.usefixtures("compiled_in_haste")
FEATURES = (LOG_SPACING, *POSITION, "distance_squared")


@pytest.fixture
def domain():
    """A target whose encoder has one feature more, and the spacing in another column."""
    registry = EDGE_BUILDERS["encode"]

    @edge_builder("encode", "squared", FEATURES)
    def squared(nodes):
        edges = registry["kernel"].build(nodes)
        columns = [edges.feature(name) for name in FEATURES[:-1]]
        features = np.column_stack([*columns, edges.feature("distance") ** 2])
        return replace(edges, features=features, feature_names=FEATURES)

    grid = TARGETS["regular"]
    yield TargetDomain(grid, statics(grid), replace(SPEC, encoder="squared"))
    registry.pop("squared", None)


def test_the_network_is_as_wide_as_the_features(domain, tmp_path):
    emulator = random_emulator(MODEL, NORMALISER, domain)
    widths = {name: v.shape[-2] for name, v in emulator.params.items() if "edge.kernel" in name}
    assert widths == {"encode.edge.kernel": 6, "messages.edge.kernel": 5, "decode.edge.kernel": 4}
    check_saved(emulator, dataset(SOURCES["regular"]), tmp_path)
    assert graphdown.load(tmp_path).domain.spec.encoder == "squared"


def test_the_spacing_offset_finds_its_column(domain):
    arrays = domain.arrays(SOURCES["regular"])
    moved = with_spacing_offset(arrays, np.float32(0.25))
    for new, old in zip(moved.encode.features, arrays.encode.features, strict=True):
        change = np.asarray(new - old)
        np.testing.assert_allclose(change[..., 0], 0.25, atol=1e-6)
        assert np.all(change[..., 1:] == 0.0)
    names = replace(arrays.encode.names, names=POSITION)
    bare = arrays._replace(encode=arrays.encode._replace(names=names))
    assert with_spacing_offset(bare, np.float32(0.25)).encode is bare.encode


def test_a_saved_emulator_names_the_encoder_that_is_missing(domain, tmp_path):
    save(random_emulator(MODEL, NORMALISER, domain), tmp_path)
    del EDGE_BUILDERS["encode"]["squared"]
    with pytest.raises(graphdown.GraphdownError, match="needs the encoder 'squared', which"):
        graphdown.load(tmp_path)
