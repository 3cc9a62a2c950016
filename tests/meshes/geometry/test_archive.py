"""Damage to an archive of arrays is one of the errors that readers expect, wherever it is."""

from zipfile import BadZipFile

import numpy as np
import pytest

from meshes.geometry.archive import read_arrays

DAMAGED = (OSError, EOFError, ValueError, KeyError, BadZipFile)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_changed_bytes_are_noticed_or_change_nothing(save, tmp_path):
    values = {"a": np.arange(300.0), "b": np.random.default_rng(0).normal(size=50)}
    save(tmp_path / "whole.npz", **values)
    whole, rng = (tmp_path / "whole.npz").read_bytes(), np.random.default_rng(1)
    noticed = 0
    for place in rng.integers(0, len(whole), 300):
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        (tmp_path / "damaged.npz").write_bytes(damaged)
        try:
            read = read_arrays(tmp_path / "damaged.npz")
        except DAMAGED:
            noticed += 1
        else:
            assert all(np.array_equal(read[name], values[name]) for name in set(read) & set(values))
    assert noticed > 200
