"""Downscaling that is interrupted, gone on with, shared out: the same bytes, or one sentence."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from graphdown.cf import encoding
from graphdown.cli import main
from graphdown.data.normalise import Normaliser
from graphdown.data.reading.ensemble_members import driving_members
from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.storage import save
from graphdown.errors import DataError
from graphdown.model import ModelSpec
from graphdown.output import disk_space, resumable
from graphdown.output.journal import Journal
from graphdown.output.store_plan import Shard, StorePlan
from graphdown.runtime.locks import locked
from graphdown.runtime.progress import Progress, duration
from meshes import GraphSpec, Grid
from tests.emulators import random_emulator

pytestmark = pytest.mark.usefixtures("compiled_in_haste")

DAYS, CHUNK_BYTES = 200, 1500
MODEL = ModelSpec(channels=4, rounds=1, target_channels=4)
NORMALISER = Normaliser(("tas", "pr"), ("tas", "pr"), (280, 2, 1), (9, 3, 1), (0, 0), (1, 1))
TARGET = Grid.regular(0.5, 0.5, (-1.0, 43.0, 2.0, 45.5))
FILES = ("in_a.nc", "in_b.nc")
CALL = ["downscale", "run", "in_*.nc", "-o"]
KILLED = """
import os, sys
from graphdown.cf import encoding
from graphdown.output import chunk_buffer, resumable
from graphdown.cli import main

encoding.CHUNK_BYTES = {chunk_bytes}
real, calls = {module}.{name}, []

def struck(*arguments, **options):
    calls.append(1)
    if len(calls) == {call}:
        os.kill(os.getpid(), {signal})
    return real(*arguments, **options)

{module}.{name} = struck
main(sys.argv[1:])
"""


def source(seed, days=DAYS, **members):
    """Return made-up predictors [time, *members, lat, lon]."""
    grid = Grid.regular(4.0, 4.0, (-12.0, 34.0, 12.0, 54.0))
    rng = np.random.default_rng(seed)
    coords = {"time": xr.date_range("2000-01-01", periods=days), **members}
    shape = tuple(len(labels) for labels in coords.values())
    return xr.Dataset(
        {
            name: grid.dataarray(
                (mean + rng.random((*shape, grid.size))).astype(np.float32),
                name,
                tuple(coords),
                coords,
                {"units": units},
            )
            for name, mean, units in (("tas", 280, "K"), ("pr", 2, "mm day-1"))
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory, compiled_in_haste):
    """Return a folder with an emulator, inputs, and an output that nothing interrupted."""
    folder = tmp_path_factory.mktemp("long")
    domain = TargetDomain(TARGET, xr.Dataset(), GraphSpec(mesh_level=5, encode_radius_km=600.0))
    save(random_emulator(MODEL, NORMALISER, domain), folder / "run" / "emulator")
    for name, days in zip(FILES, (slice(0, 90), slice(90, None)), strict=True):
        source(0).isel(time=days).to_netcdf(folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(encoding, "CHUNK_BYTES", CHUNK_BYTES)
        main([*CALL, "whole.zarr"])
    return folder


@pytest.fixture
def here(folder, monkeypatch):
    """Work in the folder with small chunks; leave it as it was."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(encoding, "CHUNK_BYTES", CHUNK_BYTES)
    before = set(os.listdir())
    yield folder
    for path in map(Path, set(os.listdir()) - before):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def values_of(path):
    """Return the bytes of all chunks of a store by name."""
    files = [p for p in Path(path).rglob("*") if p.is_file() and not p.name.startswith(".z")]
    return {str(p.relative_to(path)): p.read_bytes() for p in files}


def said(capsys, *call):
    """Return what a call that is refused says."""
    with pytest.raises(SystemExit) as left:
        main(list(call))
    assert left.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def stop_at(monkeypatch, call):
    """Have the rows of chunks that are counted interrupted at one of the calls."""
    real, calls = Journal.write, []

    def write(self):
        calls.append(1)
        if len(calls) == call:
            raise RuntimeError("out of luck")
        real(self)

    monkeypatch.setattr(Journal, "write", write)


def test_it_is_cut_into_several_chunks_along_time_and_space():
    counts = [len(range(0, n, c)) for n, c in zip((DAYS, 5, 6), lengths(), strict=True)]
    assert counts[0] > 3 and counts[0] * counts[1] * counts[2] > 8


def lengths():
    sizes = {"time": DAYS, "lat": 5, "lon": 6}
    before, encoding.CHUNK_BYTES = encoding.CHUNK_BYTES, CHUNK_BYTES
    try:
        return tuple(encoding.chunk_sizes(sizes, 4).values())
    finally:
        encoding.CHUNK_BYTES = before


def test_interrupted_again_and_again_it_is_byte_for_byte_the_same(here, monkeypatch, capsys):
    for call in (1, 2, 2):
        with monkeypatch.context() as patch:
            stop_at(patch, call)
            line = said(capsys, *CALL, "new.zarr")
            assert "out of luck; the days made so far are kept in 'new.zarr.part', and the" in line
        assert not Path("new.zarr").exists()
    main([*CALL, "new.zarr"])
    first = lengths()[0]
    out = capsys.readouterr().out.splitlines()[-1]
    assert out.endswith(f"to new.zarr; {2 * first} of the days were there from an earlier start")
    assert values_of("new.zarr") == values_of("whole.zarr")
    assert not Path("new.zarr.part").exists()


def in_a_process(output, module, name, call, number):
    """Downscale in a process of its own, which gets a signal when a function is called."""
    script = KILLED.format(
        module=module, name=name, call=call, signal=int(number), chunk_bytes=CHUNK_BYTES
    )
    command = [sys.executable, "-c", script, *CALL, output]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
def test_killed_processes_leave_what_the_same_command_finishes(here):
    strikes = [
        ("resumable", "new_zarr", 1, signal.SIGKILL, -9),
        ("chunk_buffer.Rows", "append", 3, signal.SIGKILL, -9),
        ("resumable.Journal", "write", 1, signal.SIGTERM, 143),
        ("resumable", "move_into_place", 1, signal.SIGKILL, -9),
        ("resumable", "clear_away", 1, signal.SIGKILL, -9),
    ]
    for strike in strikes:
        assert not Path("new.zarr").exists()
        done, status = in_a_process("new.zarr", *strike[:-1]), strike[-1]
        assert done.returncode == status, done.stderr
        if status > 0:
            assert "; the same command resumes the work." in done.stderr
    in_a_process("alone.zarr", "resumable", "new_zarr", 2, signal.SIGKILL)  # called but once
    assert values_of("new.zarr") == values_of("alone.zarr")
    main([*CALL, "new.zarr"])
    assert sorted(p for p in os.listdir() if "new" in p) == ["new.zarr"]


def test_shards_in_any_order_make_the_same_store(here, capsys, monkeypatch):
    main([*CALL, "new.zarr", "--shard", "3/3"])
    assert "There are no shards" in said(capsys, *CALL, "other.zarr", "--merge")
    main([*CALL, "new.zarr", "--shard", "1/3"])
    assert capsys.readouterr().out.startswith("Shard 1 of 3 is whole: ")
    assert "lacks 1 (2) of 3 shards; make them" in said(capsys, *CALL, "new.zarr", "--merge")
    assert "was begun by 3 shards; finish" in said(capsys, *CALL, "new.zarr")
    assert "was begun by 3 shards; finish" in said(capsys, *CALL, "new.zarr", "--shard", "1/4")
    with monkeypatch.context() as patch:
        stop_at(patch, 2)
        said(capsys, *CALL, "new.zarr", "--shard", "2/3")
    main([*CALL, "new.zarr", "--shard", "2/3"])
    kept = Path("new.zarr.part/2-of-3.json")
    before = kept.read_text()
    kept.write_text(json.dumps(json.loads(before) | {"used": {"0": "others"}}))
    assert "shards of 'new.zarr' used other source" in said(capsys, *CALL, "new.zarr", "--merge")
    kept.write_text(before)
    main([*CALL, "new.zarr", "--merge"])
    assert values_of("new.zarr") == values_of("whole.zarr")
    assert not Path("new.zarr.part").exists()


def test_more_shards_than_chunks_leave_some_without_work():
    plan = StorePlan({}, 20, ["tas"], days=50, length=7, members=3)
    shards = [Shard(k + 1, 50) for k in range(50)]
    made = [s for shard in shards for s in plan.stretches(shard)]
    assert sum(s.days for s in made) == 150
    days = [(s.member, day) for s in made for day in range(s.first, s.end)]
    assert days == [(m, day) for m in range(3) for day in range(50)]
    assert any(not list(plan.stretches(shard)) for shard in shards)


def test_a_finished_output_is_known_and_another_one_refused(here, capsys):
    before = values_of("whole.zarr")
    main([*CALL, "whole.zarr"])
    assert capsys.readouterr().out == "whole.zarr is whole already: 200 days of tas, pr\n"
    line = said(capsys, *CALL, "whole.zarr", "--units", "tas=K")
    assert "'whole.zarr' exists and was made by other options; choose another name or" in line
    line = said(capsys, "downscale", "run", "in_a.nc", "-o", "whole.zarr")
    assert "exists and was made by other inputs and other times; choose" in line
    assert values_of("whole.zarr") == before


def test_what_another_command_began_is_kept_unless_it_is_to_be_overwritten(
    here, monkeypatch, capsys
):
    with monkeypatch.context() as patch:
        stop_at(patch, 2)
        said(capsys, *CALL, "new.zarr")
    other = ["downscale", "run", "in_a.nc", "-o", "new.zarr"]
    line = said(capsys, *other)
    assert (
        "'new.zarr.part' holds an output that was begun by other inputs and other times; finish"
        in line
    )
    with locked(Path("new.zarr.part/1-of-1.lock"), "it"):
        assert "is in use by process" in said(capsys, *CALL, "new.zarr")
        assert "is in use by process" in said(capsys, *other, "--overwrite")
    main([*other, "--overwrite"])
    with xr.open_zarr("new.zarr") as ds:
        assert ds.sizes["time"] == 90
    assert not Path("new.zarr.part").exists()


def test_chunks_that_are_lost_or_damaged_are_made_again(here, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(resumable, "move_into_place", broken)
        said(capsys, *CALL, "new.zarr")
    Path("new.zarr.part/new.zarr/tas/1.0.0").unlink()
    Path("new.zarr.part/new.zarr/tas/0.0.0.1234.partial").touch()
    with monkeypatch.context() as patch:
        patch.setattr(resumable, "move_into_place", broken)
        with pytest.raises(SystemExit):
            main([*CALL, "new.zarr"])
    told = "chunks are damaged or absent; they, and those that follow, are made again"
    assert told in capsys.readouterr().err
    chunk = Path("new.zarr.part/new.zarr/pr/1.0.0")
    bits = bytearray(chunk.read_bytes())
    bits[len(bits) // 2] ^= 4
    chunk.write_bytes(bits)
    bounds = Path("new.zarr.part/new.zarr/lon_bnds/0.0")
    bounds.write_bytes(bounds.read_bytes()[:20])
    Path("new.zarr.part/new.zarr/tas/.zarray").unlink()
    main([*CALL, "new.zarr"])
    assert told in capsys.readouterr().err
    assert values_of("new.zarr") == values_of("whole.zarr")


def broken(*_, **__):
    raise OSError(5, "Input/output error")


def test_a_damaged_journal_counts_for_nothing_and_a_damaged_plan_is_told(here, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        stop_at(patch, 3)
        said(capsys, *CALL, "new.zarr")
    plan, again = (Path("new.zarr.part") / name for name in ("plan.json", "plan-copy.json"))
    whole = plan.read_text()
    for one in (plan, again):
        one.write_text(whole[:50])
    assert "is in the way and cannot be resumed" in said(capsys, *CALL, "new.zarr")
    again.write_text(whole)
    Path("new.zarr.part/1-of-1.json").write_text('{"done": 2, "us')
    main([*CALL, "new.zarr"])
    assert values_of("new.zarr") == values_of("whole.zarr")


def test_an_output_that_the_disk_has_no_room_for_is_refused_at_once(here, monkeypatch, capsys):
    usage = SimpleNamespace(free=40_000)
    monkeypatch.setattr(disk_space.shutil, "disk_usage", lambda _: usage)
    for name in ("new.zarr", "new.nc"):
        line = said(capsys, *CALL, name)
        assert "needs about 0.0412 MiB, but its disk has 0.0381 MiB free; make room" in line


def test_a_netcdf_file_is_known_too(here, capsys):
    main([*CALL, "new.nc"])
    main([*CALL, "new.nc"])
    assert "new.nc is whole already" in capsys.readouterr().out
    assert "was made by other options" in said(capsys, *CALL, "new.nc", "--units", "tas=K")
    with xr.open_dataset("new.nc") as one, xr.open_zarr("whole.zarr") as other:
        np.testing.assert_array_equal(one.tas.values, other.tas.values)
    assert "Shards are made of zarr" in said(capsys, *CALL, "new.nc", "--shard", "1/2")


def test_each_member_of_the_driving_model_is_downscaled(here, capsys):
    labels = ["r1i1p1f1", "r2i1p1f1"]
    both = source(1, days=70, member_id=labels).assign_attrs(variant_label="r1i1p1f1")
    both.to_netcdf("both.nc")
    for label in labels:
        both.sel(member_id=label, drop=True).to_netcdf(f"{label}.nc")
    main(["downscale", "run", "both.nc", "-o", "new.zarr"])
    with xr.open_zarr("new.zarr") as ds:
        along = ds.load()
    assert along.tas.dims[:2] == ("driving_member", "time")
    assert list(along.driving_variant_label.values) == labels
    assert "driving_variant_label" not in along.attrs
    named = [f"{label}={label}.nc" for label in labels]
    call = ["downscale", "run", *named, "-o", "new.zarr", "--overwrite"]
    main([*call, "--shard", "2/2"])
    main([*call, "--shard", "1/2"])
    main([*call, "--merge"])
    out = capsys.readouterr().out.splitlines()[-1]
    assert "70 days of tas, pr for 2 members of the driving model from 2 shards" in out
    with xr.open_zarr("new.zarr") as ds:
        xr.testing.assert_identical(ds.load().drop_attrs(), along.drop_attrs())
    for number, label in enumerate(labels):
        main(["downscale", "run", f"{label}.nc", "-o", "new.nc", "--overwrite"])
        with xr.open_dataset("new.nc") as one:
            np.testing.assert_array_equal(one.pr, along.pr.isel(driving_member=number))
    assert "Several members of the driving model go to one zarr store" in said(
        capsys, "downscale", "run", *named, "-o", "both_fine.nc"
    )
    source(1, days=60).to_netcdf("short.nc")
    line = said(capsys, "downscale", "run", "a=both.nc", "b=short.nc", "-o", "other.zarr")
    assert "--select" in line or "dimension" in line
    line = said(capsys, "downscale", "run", f"a={FILES[0]}", "b=short.nc", "-o", "other.zarr")
    assert "The members 'a' and 'b' have other times; give files of one period" in line


def test_members_are_told_from_files_of_one_member(here):
    Path("a=b.nc").write_bytes(Path(FILES[0]).read_bytes())
    assert [m.label for m in driving_members(["a=b.nc"])] == [""]
    assert [m.files for m in driving_members(["x=a*.nc", "y=b.nc", "x=c.nc"])] == [
        ("a*.nc", "c.nc"),
        ("b.nc",),
    ]
    with pytest.raises(DataError, match=r"'b.nc' has no member's name, but 'x' is one"):
        driving_members(["x=a.nc", "b.nc"])


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "a/b", "-1/3"])
def test_a_shard_that_is_none_is_refused(text, here, capsys):
    assert f"'{text}' is no shard; give I/N" in said(capsys, *CALL, "new.zarr", f"--shard={text}")


def test_progress_is_a_line_now_and_then(monkeypatch, caplog):
    clock = iter(np.arange(0.0, 1000.0, 40.0))
    monkeypatch.setattr("graphdown.runtime.progress.time.monotonic", lambda: next(clock))
    with caplog.at_level("INFO"), Progress(54_000, before=14_000) as progress:
        for _ in range(5):
            progress.add(1000)
    assert caplog.messages == [
        "16,000 of 54,000 days, 25 days a second, 25 min left",
        "18,000 of 54,000 days, 25 days a second, 24 min left",
    ]


def test_durations_are_told_in_words():
    told = [duration(s) for s in (3.2, 99, 100, 3599, 3700, 86400 * 3.5)]
    assert told == ["3 s", "99 s", "2 min", "1 h 00 min", "1 h 02 min", "3 d 12 h"]


def test_the_plan_and_the_journal_are_plain_to_read(here, monkeypatch, capsys):
    stop_at(monkeypatch, 3)
    said(capsys, *CALL, "new.zarr")
    plan = json.loads(Path("new.zarr.part/plan.json").read_text())["plan"]
    assert plan["days"] == DAYS and plan["shards"] == 1 and plan["fields"] == ["tas", "pr"]
    assert json.loads(Path("new.zarr.part/1-of-1.json").read_text())["done"] == 2
