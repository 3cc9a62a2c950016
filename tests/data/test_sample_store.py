"""Fields in stores: what they hold, when they are written, and that memory and disk agree."""

import json
import os
import threading
import time

import numpy as np
import pytest
import xarray as xr

from graphdown.config.experiment_file import parse_experiment
from graphdown.data import holders, sample_packing, sample_store
from graphdown.data.load import load_data, source_store
from graphdown.data.reading import value_samples
from graphdown.data.sample_store import store_folder
from graphdown.errors import DataError, GraphdownError
from graphdown.runtime import locks
from meshes import Grid

from .files import levels, make

DAYS = 30
PERIODS = {
    "train": ["2000-01-01", "2000-01-16"],
    "validation": ["2000-01-17", "2000-01-22"],
    "test": ["2000-01-23", "2000-01-31"],
}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Let parts hold a few days and shards others, so that one does not end with the other."""
    monkeypatch.setattr(value_samples, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(sample_store, "PART_BYTES", 2000)
    monkeypatch.setattr(sample_packing, "PART_BYTES", 2000)
    monkeypatch.setattr(sample_packing, "SHARD_BYTES", 700)


def coarse():
    """Two variables, one on a level with points below ground, and a day without values."""
    ds = xr.merge([make(days=DAYS), levels([850, 500], "hPa", days=DAYS)], compat="override")
    ds["ta"] = ds.ta.copy()
    ds["ta"][4:20, 0, 1, 2] = np.nan
    ds["tas"] = ds.tas.copy()
    ds["tas"][7] = np.nan
    return ds


def fine():
    """A target with a sea mask, a day missing at one point, and two days without values."""
    lat, lon = np.arange(39.0, 43.0), np.arange(-6.0, 1.0)
    ds = make(days=DAYS, lat=lat, lon=lon, seed=1)
    ds["tas"][:, 1, 2] = np.nan
    ds["tas"][5, 0, 0] = np.nan
    ds["tas"][11:13] = np.nan
    return ds


def experiment_data(tmp_path):
    return {
        "target": {"files": [str(tmp_path / "fine.nc")]},
        "sources": [{"name": "a b", "files": [str(tmp_path / "coarse.nc")]}],
    }


def experiment(tmp_path, **changes):
    if not (tmp_path / "coarse.nc").exists():
        coarse().to_netcdf(tmp_path / "coarse.nc")
        fine().to_netcdf(tmp_path / "fine.nc")
    raw = {
        "name": "x",
        "output": str(tmp_path / "run"),
        "predictors": ["tas", "ta850"],
        "targets": ["tas"],
        "data": experiment_data(tmp_path),
        "periods": PERIODS,
        "training": {"sample_storage": "disk"},
    }
    return parse_experiment({**raw, **changes}, "x.yaml")


def both(asked, tmp_path):
    return load_data(asked), load_data(asked, tmp_path / "samples")


def written(tmp_path):
    return {p: p.stat().st_mtime_ns for p in sorted((tmp_path / "samples").rglob("zarr.json"))}


def test_fields_on_disk_are_those_in_memory(tmp_path):
    memory, disk = both(experiment(tmp_path), tmp_path)
    for one, other in ((memory.fine, disk.fine), (memory.sources["a b"], disk.sources["a b"])):
        assert all(v.chunks for v in other.data_vars.values())
        assert other.sizes["time"] < DAYS
        xr.testing.assert_identical(one, other.compute())
    assert disk.sources["a b"].ta850.notnull().all()
    assert memory.understood == disk.understood
    rules = {note.rule for u in disk.understood.values() for note in u.notes}
    assert {"empty-days-dropped", "below-ground-filled", "unpaired"} <= rules


def test_an_upscaled_target_and_a_view_of_the_world_are_stored_too(tmp_path, monkeypatch):
    sources = [{"name": "up", "upscale": 2}]
    data = {"target": {"files": [str(tmp_path / "fine.nc")]}, "sources": sources}
    made = both(experiment(tmp_path, predictors=["tas"], data=data), tmp_path)
    xr.testing.assert_identical(made[0].sources["up"], made[1].sources["up"].compute())
    monkeypatch.setattr(sample_packing, "PART_BYTES", 30000)
    sources = [{"name": "up", "view": "regular"}]
    data = {"world": {"years": 1, "size": 8, "start_year": 2000}, "sources": sources}
    made = both(experiment(tmp_path, predictors=["tas", "psl"], data=data), tmp_path)
    for one, other in zip(*([m.fine, m.sources["up"]] for m in made), strict=True):
        xr.testing.assert_identical(one, other.compute())
    assert "orog" in made[1].sources["up"]


def test_days_are_read_by_index_and_slice_with_nodes_and_padding(tmp_path):
    memory, disk = both(experiment(tmp_path), tmp_path)
    stored = disk.stored[source_store("a b")]
    ds = memory.sources["a b"].isel(time=slice(3, None))
    grid = Grid.from_dataset(ds)
    table = np.stack([grid.values(ds[n]) for n in ("ta850", "tas")], axis=-1)
    days = stored.days(ds.time, ("ta850", "tas"))
    assert days.shape == table.shape and len(days) == len(table)
    for index in (np.asarray([9, 0, 4, 4]), slice(2, 9), slice(None), slice(3, 3)):
        np.testing.assert_array_equal(days[index], table[index])
    moved = stored.days(ds.time, ("tas",), np.arange(grid.size)[::-1]).padded(grid.size + 3)
    assert moved.shape == (len(table), grid.size + 3, 1)
    values = moved[np.asarray([2, 8])]
    np.testing.assert_array_equal(values[:, : grid.size, 0], table[[2, 8], ::-1, 1])
    assert not values[:, grid.size :].any()
    with pytest.raises(KeyError, match="lacks 2 of the times"):
        stored.days(xr.DataArray(xr.date_range("1990-01-01", periods=2), dims="time"), ("tas",))


def test_a_store_serves_again_until_files_or_settings_change(tmp_path, monkeypatch):
    asked = experiment(tmp_path)
    first = load_data(asked, tmp_path / "samples")
    before = written(tmp_path)
    read = []
    monkeypatch.setattr(
        sample_store, "read", lambda ds, w: read.append(ds.sizes["time"]) or holders.read(ds, w)
    )
    again = load_data(asked, tmp_path / "samples")
    assert written(tmp_path) == before and read == [1, 1]
    assert again.understood == first.understood
    xr.testing.assert_identical(again.fine.compute(), first.fine.compute())
    os.utime(tmp_path / "coarse.nc", (1, 1))
    load_data(asked, tmp_path / "samples")
    after = written(tmp_path)
    assert [p for p in before if after[p] != before[p]] == [
        tmp_path / "samples" / "source-a b.zarr" / "zarr.json"
    ]
    shorter = {**PERIODS, "train": ["2000-01-01", "2000-01-14"]}
    load_data(experiment(tmp_path, periods=shorter), tmp_path / "samples")
    assert all(written(tmp_path)[p] != after[p] for p in after)


def test_a_store_that_lost_a_part_is_written_again(tmp_path):
    asked = experiment(tmp_path)
    whole = load_data(asked, tmp_path / "samples").fine.compute()
    shards = [p for p in (tmp_path / "samples" / "target.zarr" / "c").rglob("*") if p.is_file()]
    assert len(shards) > 2
    shards[1].unlink()
    xr.testing.assert_identical(load_data(asked, tmp_path / "samples").fine.compute(), whole)
    (tmp_path / "samples" / "target.zarr" / "zarr.json").write_text("{", encoding="utf-8")
    xr.testing.assert_identical(load_data(asked, tmp_path / "samples").fine.compute(), whole)


def interrupted(asked, folder, monkeypatch, number):
    """Load an experiment into stores until a part of its number is asked for."""
    parts, read = sample_packing.parts_of, []

    def some_parts(ds, size):
        for part in parts(ds, size):
            if len(read) == number:
                raise KeyboardInterrupt
            read.append(part)
            yield part

    with monkeypatch.context() as patch:
        patch.setattr(sample_packing, "parts_of", some_parts)
        with pytest.raises(KeyboardInterrupt):
            load_data(asked, folder)


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_an_interrupted_store_is_resumed_from_the_days_that_are_on_the_disk(
    parts, tmp_path, monkeypatch
):
    asked, folder, read = experiment(tmp_path), tmp_path / "samples", []
    interrupted(asked, folder, monkeypatch, parts)
    journals = [json.loads(path.read_text()) for path in folder.rglob(sample_packing.JOURNAL)]
    left = DAYS * (2 - len(list(folder.glob("*.zarr")))) - sum(found["day"] for found in journals)
    counted = sample_packing.read

    def counting(ds, where):
        read.append(ds.sizes["time"])
        return counted(ds, where)

    monkeypatch.setattr(sample_packing, "read", counting)
    memory, disk = load_data(asked), load_data(asked, folder)
    for one, other in ((memory.fine, disk.fine), (memory.sources["a b"], disk.sources["a b"])):
        xr.testing.assert_identical(one, other.compute())
    assert memory.understood == disk.understood
    assert sum(read) == left and (left < DAYS) == (parts == 5)
    assert {path.name for path in folder.iterdir()} == {"target.zarr", "source-a b.zarr"}


def test_a_leftover_that_is_no_store_is_replaced(tmp_path):
    asked = experiment(tmp_path)
    leftover = tmp_path / "samples" / ".target.zarr.new"
    leftover.mkdir(parents=True)
    (leftover / "zarr.json").write_text("{}", encoding="utf-8")
    memory = load_data(asked)
    xr.testing.assert_identical(load_data(asked, tmp_path / "samples").fine.compute(), memory.fine)
    assert not leftover.exists()


def test_runs_share_a_store_by_what_is_in_it(tmp_path, monkeypatch):
    data = experiment_data(tmp_path)
    shared = tmp_path / "shared"
    first = experiment(tmp_path, data={**data, "store": str(shared)}, training={})
    assert store_folder(first, "runs/a") == shared
    known = load_data(first, shared).sources["a b"].compute()
    stores = sorted(path.name for path in shared.iterdir())
    assert len(stores) == 2
    renamed = [{**data["sources"][0], "name": "other"}]
    same = experiment(
        tmp_path, name="y", seed=3, data={**data, "sources": renamed, "store": str(shared)}
    )
    with monkeypatch.context() as patch:
        patch.setattr(sample_store, "pack", None)
        xr.testing.assert_identical(load_data(same, shared).sources["other"].compute(), known)
    fewer = {**PERIODS, "test": ["2000-01-23", "2000-01-25"]}
    other = experiment(tmp_path, data=data, periods=fewer)
    assert load_data(other, shared).fine.sizes["time"] < load_data(first, shared).fine.sizes["time"]
    assert len(list(shared.iterdir())) == 4 and set(stores) < {p.name for p in shared.iterdir()}


def test_a_store_that_another_process_writes_is_waited_for(tmp_path, monkeypatch):
    asked, folder = experiment(tmp_path), tmp_path / "samples"
    results, pack, started = [], sample_store.pack, []

    def slow(*words):
        started.append(words[0])
        time.sleep(0.3)
        pack(*words)

    monkeypatch.setattr(sample_store, "pack", slow)
    monkeypatch.setattr(locks, "PAUSE_S", 0.05)
    threads = [
        threading.Thread(target=lambda: results.append(load_data(asked, folder).fine.compute()))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    xr.testing.assert_identical(*results)
    assert len(started) == len(set(started)) == 2


def test_a_value_out_of_range_anywhere_is_refused_and_leaves_no_store(tmp_path):
    asked, ds = experiment(tmp_path), fine()
    ds["tas"][20, 0, 0] = 900.0
    os.unlink(tmp_path / "fine.nc")
    ds.to_netcdf(tmp_path / "fine.nc")
    with pytest.raises(DataError, match="fine.nc on 2000-01-21: 'tas' has values of 900"):
        load_data(asked, tmp_path / "samples")
    assert not list((tmp_path / "samples").iterdir())


def test_days_that_all_lack_values_are_refused_on_disk_too(tmp_path):
    asked, ds = experiment(tmp_path), coarse()
    ds["ta"][:, 0] = np.where(np.arange(DAYS)[:, None, None] % 2, ds.ta[:, 0], np.nan)
    ds["tas"][1::2] = np.nan
    os.unlink(tmp_path / "coarse.nc")
    ds.to_netcdf(tmp_path / "coarse.nc")
    messages = []
    for folder in (None, tmp_path / "samples"):
        with pytest.raises(DataError, match="no day has values of all variables") as caught:
            load_data(asked, folder)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_a_store_that_cannot_be_written_is_one_sentence(tmp_path):
    asked = experiment(tmp_path)
    (tmp_path / "samples").write_text("no folder", encoding="utf-8")
    with pytest.raises(GraphdownError, match=r"'.*target.zarr' was not written \(.*\); see that"):
        load_data(asked, tmp_path / "samples")


def test_parts_keep_chunks_whole_and_lose_no_day():
    ds = xr.Dataset({"a": (("time", "x"), np.zeros((40, 100), np.float32))})
    for chunks, expected in ((None, [5] * 8), (2, [4] * 10), (15, [15, 15, 10])):
        chunked = ds if chunks is None else ds.chunk(time=chunks)
        assert [part.sizes["time"] for part in sample_packing.parts_of(chunked, 2000)] == expected


def test_the_experiment_decides_where_days_are_kept(tmp_path):
    asked = experiment(tmp_path)
    assert store_folder(asked, "runs/a").parts == ("runs", "a", "samples")
    assert store_folder(experiment(tmp_path, training={}), "runs/a") is None
