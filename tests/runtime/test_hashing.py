"""Hashes depend on types, shapes and values, and on nothing else."""

import numpy as np
import pytest

from graphdown.runtime import hashing
from graphdown.runtime.hashing import array_digest, checkpoint_sha256


def test_a_digest_depends_on_types_shapes_and_values_alone(monkeypatch):
    array = np.arange(24.0).reshape(4, 3, 2)
    own = array_digest([array])
    turned = np.ascontiguousarray(array.T).T
    assert not turned.flags.c_contiguous and array_digest([turned]) == own
    others = [
        [array.astype(np.float32)],
        [array.reshape(4, 6)],
        [np.nextafter(array, 99.0)],
        [array[:2], array[2:]],
        [array, np.empty((0, 3))],
        [],
    ]
    assert len({own, *map(array_digest, others), array_digest([array], "named")}) == 8
    monkeypatch.setattr(hashing, "PART_VALUES", 7)
    assert array_digest([array]) == own


def test_scalars_text_and_empty_arrays_are_hashed_and_objects_refused():
    arrays = [np.float64(3.0), np.array(["a", "b"]), np.empty((0, 3)), np.zeros((2, 0))]
    assert len({array_digest([array]) for array in arrays}) == 4
    with pytest.raises(TypeError, match="Python objects"):
        array_digest([np.array([object()])])


def test_the_hash_tells_checkpoints_apart_and_nothing_else():
    params = {"a": np.arange(6.0), "b": np.ones((2, 3), np.float32)}
    schema = {"name": "x", "graph": {"mesh_level": 5, "levels": (1, 2)}}
    own = checkpoint_sha256(params, schema)
    assert len(own) == 64
    reordered = {"b": params["b"], "a": params["a"].copy()}
    assert (
        checkpoint_sha256(reordered, {**schema, "graph": {"levels": [1, 2], "mesh_level": 5}})
        == own
    )
    others = [
        ({**params, "a": np.nextafter(params["a"], 9)}, schema),
        ({**params, "b": params["b"].reshape(3, 2)}, schema),
        ({"a": params["a"], "c": params["b"]}, schema),
        (params, {**schema, "name": "y"}),
    ]
    assert len({own, *(checkpoint_sha256(*other) for other in others)}) == 5
