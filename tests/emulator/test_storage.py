"""An emulator's folder: written and read without pickle, refused in one sentence if damaged."""

import json
from functools import partial

import numpy as np
import pytest
import xarray as xr

from graphdown.emulator.storage import PARAMETERS, SCHEMA, TARGET, load, save
from graphdown.errors import GraphdownError

from ..invariants import check_saved
from .conftest import (
    ATTENTION,
    BOUND,
    MODEL,
    NORMALISER,
    SOURCES,
    SPEC,
    TARGETS,
    emulator,
)

pytestmark = pytest.mark.usefixtures("compiled_in_haste")


@pytest.mark.parametrize(
    ("target", "model"), [("regular", BOUND), ("rotated", ATTENTION), ("points", BOUND)]
)
def test_a_loaded_emulator_gives_the_same_bytes(target, model, coarse, tmp_path):
    check_saved(emulator(target, model), coarse, tmp_path / "emulator")
    xr.testing.assert_identical(
        load(tmp_path).downscale(coarse), load(tmp_path / "emulator").downscale(coarse)
    )


def test_an_emulator_saved_again_is_the_same(tmp_path):
    save(emulator("rotated"), tmp_path / "a")
    save(load(tmp_path / "a"), tmp_path / "b")
    assert (tmp_path / "a" / SCHEMA).read_bytes() == (tmp_path / "b" / SCHEMA).read_bytes()
    again = load(tmp_path / "b")
    assert json.loads((tmp_path / "a" / SCHEMA).read_text(encoding="utf-8"))["format"] == 1
    assert again.model == MODEL and again.normaliser == NORMALISER and again.domain.spec == SPEC
    for name, value in emulator("rotated").params.items():
        np.testing.assert_array_equal(again.params[name], value)


def test_parameters_are_plain_arrays_that_no_pickle_can_replace(tmp_path):
    save(emulator(), tmp_path)
    with np.load(tmp_path / PARAMETERS, allow_pickle=False) as archive:
        assert all(archive[name].dtype == np.float32 for name in archive.files)
        assert set(archive.files) == set(emulator().params)
    np.savez(tmp_path / PARAMETERS, **{"head.bias": np.asarray([{}], dtype=object)})
    with pytest.raises(ValueError, match="holds objects, which are never loaded"):
        load(tmp_path)


def sizes(target, source):
    """All numbers of nodes or edges that a graph has."""
    graph = emulator(target).domain.graph(source)
    nodes = {graph.source.size, graph.mesh.size, graph.target.size}
    return nodes | {graph.encode.size, graph.process.size, graph.decode.size}


def test_no_parameter_has_a_dimension_of_a_grid(tmp_path):
    save(emulator(), tmp_path)
    with np.load(tmp_path / PARAMETERS, allow_pickle=False) as archive:
        free = {size for name in archive.files for size in archive[name].shape}
    bound = {size for v in emulator("regular", BOUND).params.values() for size in v.shape}
    grids = sizes("regular", SOURCES["regular"])
    assert not free & grids
    assert bound & grids == {TARGETS["regular"].size}
    shapes = [{n: v.shape for n, v in emulator(t).params.items()} for t in TARGETS]
    assert shapes[0] == shapes[1] == shapes[2]


def test_a_folder_without_an_emulator_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(GraphdownError, match="holds no emulator; give the folder of a finish"):
            load(folder)


def test_an_emulator_of_a_newer_version_is_refused(tmp_path):
    save(emulator(), tmp_path)
    schema = json.loads((tmp_path / SCHEMA).read_text(encoding="utf-8"))
    assert set(schema["versions"]) >= {"graphdown", "jax"}
    (tmp_path / SCHEMA).write_text(json.dumps({**schema, "format": 99}), encoding="utf-8")
    with pytest.raises(GraphdownError, match="newer graphdown .format 99; .*update graphdown"):
        load(tmp_path)


def truncated(path, keep=0.6):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole))])


def garbled(path):
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 64] = bytes(64)
    path.write_bytes(whole)


def without(path, keys):
    schema = json.loads(path.read_text(encoding="utf-8"))
    held = schema
    for key in keys[:-1]:
        held = held[key]
    del held[keys[-1]]
    path.write_text(json.dumps(schema), encoding="utf-8")


def without_mask(path):
    with xr.open_dataset(path) as ds:
        changed = ds.load().drop_vars("target_mask")
    changed.to_netcdf(path)


def of_another_seed(path):
    with np.load(path) as archive:
        params = {name: archive[name] + np.float32(1) for name in archive.files}
    np.savez(path, **params)


DAMAGED = {
    "schema cut off": (SCHEMA, truncated, "Expecting"),
    "schema empty": (SCHEMA, partial(truncated, keep=0), "Expecting value"),
    "schema garbled": (SCHEMA, garbled, r"line \d+ column"),
    "schema is no mapping": (SCHEMA, lambda path: path.write_text("[1]"), "list indices"),
    "format gone": (SCHEMA, partial(without, keys=("format",)), "'format' is absent"),
    "model gone": (SCHEMA, partial(without, keys=("model",)), "'model' is absent"),
    "mean gone": (SCHEMA, partial(without, keys=("normaliser", "mean")), "'mean' is absent"),
    "unknown setting": (
        SCHEMA,
        lambda path: path.write_text(path.read_text().replace('"rounds"', '"loops"')),
        "model: unknown key 'loops'; known keys are",
    ),
    "a path for a variable": (
        SCHEMA,
        lambda path: path.write_text(path.read_text().replace('"tas"', '"../../tas"')),
        "'../../tas'",
    ),
    "hash of another": (
        SCHEMA,
        lambda path: path.write_text(path.read_text().replace('"tiny"', '"other"')),
        "do not have the hash",
    ),
    "parameters cut off": (PARAMETERS, truncated, "not a zip file"),
    "parameters empty": (PARAMETERS, partial(truncated, keep=0), "File is not a zip file"),
    "parameters garbled": (PARAMETERS, garbled, "Bad CRC-32"),
    "parameters gone": (PARAMETERS, lambda path: path.unlink(), "the file is absent"),
    "parameters of another": (PARAMETERS, of_another_seed, "do not have the hash"),
    "target cut off": (TARGET, truncated, "HDF error"),
    "target empty": (TARGET, partial(truncated, keep=0), "NetCDF: Unknown file format"),
    "target gone": (TARGET, lambda path: path.unlink(), "the file is absent"),
    "mask gone": (TARGET, without_mask, "'target_mask'"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_emulator_is_refused_in_one_sentence(case, tmp_path):
    file, damage, pattern = DAMAGED[case]
    save(emulator("rotated"), tmp_path)
    load(tmp_path)
    damage(tmp_path / file)
    with pytest.raises(GraphdownError, match=pattern) as caught:
        load(tmp_path)
    message = str(caught.value)
    assert str(tmp_path) in message and file in message and "\n" not in message
    assert message.endswith("copy the folder again or repeat the training.")
