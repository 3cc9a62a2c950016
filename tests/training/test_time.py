"""Windows and sub-steps through training, saving, downscaling and scoring."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import xarray as xr

from graphdown.baselines import Bilinear
from graphdown.cli import main
from graphdown.comparison import evaluate_run
from graphdown.config.experiment_file import parse_experiment
from graphdown.data.load import load_data
from graphdown.data.time_windows import linear_in_time, unfolded
from graphdown.emulator.emulator import Emulator
from graphdown.emulator.storage import load, save
from graphdown.errors import DataError, ExperimentError
from graphdown.model.conserve import step_means
from graphdown.model.parameters import named_values
from graphdown.output.writer import write_parts
from graphdown.training import Trainer, finetune_experiment, prepare_training, train
from graphdown.variables.time_steps import TimeSpec
from meshes import Grid

from .conftest import perturbed

GRID = Grid.regular(0.5, 0.5, (0.0, 40.0, 3.0, 43.0))
DAYS, SUBSTEPS = 24, 3
PREDICTORS = ("tas", "psl")
TIME = {"step_hours": 6, "window": [-1, 0, 1], "substeps": SUBSTEPS}


def weather():
    """Fields every 2 hours: a diurnal cycle that is larger in the south, and slower waves."""
    time = xr.date_range("2001-01-01T01", periods=DAYS * 12, freq="2h")
    hours = np.arange(len(time))[:, None] * 2 + 1
    phase = np.radians(15 * hours)
    x, y = np.radians(40 * GRID.lon), np.radians(40 * GRID.lat)
    slow = np.sin(hours / 17 + x) + np.cos(hours / 29 + y)
    tas = 285 + 3 * slow + (44 - GRID.lat) * np.sin(phase - 2)
    pr = np.maximum(2 * slow + np.sin(2 * phase + 3 * x), 0.0)
    fields = {"tas": (tas, "K"), "psl": (101000 + 300 * slow, "Pa"), "pr": (pr, "mm day-1")}
    return xr.Dataset(
        {
            n: GRID.dataarray(v.astype("f4"), n, ("time",), {"time": time}, {"units": u})
            for n, (v, u) in fields.items()
        }
    )


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "fine.nc"
    weather().to_netcdf(path)
    return str(path)


def make(file, output, targets=("tas",), time=TIME, model=None, **training):
    raw = {
        "name": "tiny steps",
        "output": str(output),
        "predictors": [*dict.fromkeys((*PREDICTORS, *targets))],
        "targets": list(targets),
        "data": {"target": {"files": [file]}, "sources": [{"name": "own", "upscale": 2}]},
        "periods": {
            "train": ["2001-01-01", "2001-01-15"],
            "validation": ["2001-01-16", "2001-01-19"],
            "test": ["2001-01-20", "2001-01-24"],
        },
        "graph": {"mesh_level": 4, "encode_radius_km": 400},
        "model": {"channels": 8, "rounds": 1, "target_channels": 8, **(model or {})},
        "training": {
            "steps": 8,
            "batch_size": 4,
            "validate_every": 4,
            "learning_rate": 0.02,
            "warmup_steps": 2,
            "backend": "shard_map",
            "devices": 1,
            **training,
        },
        "time": time,
        "baselines": ["bilinear", "ridge"],
    }
    return parse_experiment(raw, "the test")


@pytest.fixture(scope="module")
def data(file):
    return load_data(make(file, "unused"))


@pytest.fixture(scope="module")
def run(file, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "steps"
    experiment = make(file, folder)
    train(experiment, data)
    return folder, experiment


def untrained(experiment, data, move=0.0):
    """The emulator before the first step, or with its weights moved at random."""
    trainer = Trainer(prepare_training(experiment.by_steps, data), "unused")
    params = perturbed(trainer.params, move) if move else trainer.params
    parts = experiment.name, experiment.model, trainer.normaliser, trainer.domain
    return Emulator(*parts, named_values(params), experiment.time)


def test_a_network_begins_as_bilinear_interpolation_and_straight_lines_in_time(file, data):
    experiment = make(file, "unused")
    coarse, fine = data.pair(experiment, "own", "test")
    made = untrained(experiment, data).downscale(coarse)
    bilinear = Bilinear().fit([(coarse, fine[["tas"]])]).predict(coarse)
    expected = linear_in_time(bilinear, experiment.time)
    assert (made.indexes["time"] == expected.indexes["time"]).all()
    np.testing.assert_allclose(made.tas, expected.tas, atol=1e-3)
    truth = unfolded(fine, experiment.time, ["tas"])
    assert (made.indexes["time"] == truth.indexes["time"]).all()


def test_an_output_says_when_and_of_what_it_is(run, data):
    coarse, _ = data.pair(run[1], "own", "test")
    made = load(run[0]).downscale(coarse)
    assert made.tas.attrs["cell_methods"] == "time: mean"
    assert "Daily" not in made.tas.attrs["long_name"]
    bounds = made["time_bnds"].values
    np.testing.assert_array_equal(bounds[1:, 0], bounds[:-1, 1])
    assert str(bounds[0, 0])[:16] == "2001-01-20T00:00" and made.sizes["time"] == 5 * 12


def test_a_saved_emulator_is_the_same_and_knows_its_steps(run, data, tmp_path):
    coarse, _ = data.pair(run[1], "own", "test")
    emulator = load(run[0])
    assert emulator.time == run[1].time and emulator.predictors == PREDICTORS
    save(emulator, tmp_path / "again")
    again = load(tmp_path / "again").downscale(coarse)
    xr.testing.assert_identical(again, emulator.downscale(coarse))


def test_training_lowers_the_error_of_sub_steps(run, data):
    _, experiment = run
    coarse, fine = data.pair(experiment, "own", "validation")
    truth = unfolded(fine, experiment.time, ["tas"]).tas
    errors = [
        float(((emulator.downscale(coarse).tas - truth) ** 2).mean())
        for emulator in (untrained(experiment, data), load(run[0]))
    ]
    assert errors[1] < 0.95 * errors[0]


def test_a_stream_from_a_file_is_the_whole(run, file, data, tmp_path, monkeypatch):
    """Parts of a few steps, whose neighbours are in other parts."""
    monkeypatch.setattr("graphdown.data.streaming.PART_BYTES", 5 * 2 * 9 * 4 * 3)
    monkeypatch.setattr("graphdown.emulator.inference.BATCH", 4)
    coarse, _ = data.pair(run[1], "own", "test")
    emulator = load(run[0])
    whole = emulator.downscale(coarse)
    coarse[list(PREDICTORS)].isel(time=[*range(9), *range(12, 20)]).to_netcdf(tmp_path / "gap.nc")
    coarse[list(PREDICTORS)].to_netcdf(tmp_path / "coarse.nc")
    for chunks in (None, {"time": 3}):
        with xr.open_dataset(tmp_path / "coarse.nc", chunks=chunks) as opened:
            stream = emulator.stream(opened)
            parts = list(stream.parts)
            assert len(parts) > 3
            np.testing.assert_allclose(xr.concat(parts, "time").tas, whole.tas, atol=1e-4)
            assert (stream.time.indexes["time"] == whole.indexes["time"]).all()
    with xr.open_dataset(tmp_path / "gap.nc") as opened:
        stream = emulator.stream(opened)
        write_parts(stream.parts, stream.time, tmp_path / "fine.nc", "test")
    with xr.open_dataset(tmp_path / "fine.nc") as made:
        assert made.sizes["time"] == 17 * SUBSTEPS and made.time_bnds.shape == (51, 2)
        untouched = made.indexes["time"][: 8 * SUBSTEPS]
        np.testing.assert_allclose(
            made.tas.sel(time=untouched), whole.tas.sel(time=untouched), atol=1e-4
        )


def test_shards_of_sub_steps_make_the_whole(run, data, tmp_path, monkeypatch, capsys):
    """Chunks and shards begin within a step, batches do not."""
    monkeypatch.setattr("graphdown.cf.encoding.CHUNK_BYTES", 7 * 4 * GRID.size)
    for module in ("emulator.inference", "downscaling.store"):
        monkeypatch.setattr(f"graphdown.{module}.BATCH", 4)
    coarse, _ = data.pair(run[1], "own", "test")
    coarse[list(PREDICTORS)].to_netcdf(tmp_path / "coarse.nc")
    call = ["downscale", str(run[0]), str(tmp_path / "coarse.nc"), "-o"]
    for k in (2, 1, 3):
        main([*call, str(tmp_path / "parts.zarr"), "--shard", f"{k}/3"])
    main([*call, str(tmp_path / "parts.zarr"), "--merge"])
    assert "Wrote 60 times of tas" in capsys.readouterr().out
    whole = load(run[0]).downscale(coarse)
    with xr.open_zarr(tmp_path / "parts.zarr", chunks=None) as made:
        np.testing.assert_allclose(made.tas, whole.tas, atol=1e-4)
        assert (made.indexes["time"] == whole.indexes["time"]).all()
        np.testing.assert_array_equal(made.time_bnds, whole.time_bnds)


@pytest.mark.parametrize("window", [[0], [-2, -1, 0, 1]])
def test_weights_keep_their_shapes_with_a_window_of_one(file, window):
    time = {"step_hours": 2, "window": window}
    experiment = make(file, "unused", time=time)
    plain = untrained(make(file, "unused", time={"step_hours": 2}), load_data(experiment))
    wide = untrained(experiment, load_data(experiment))
    shapes = [{n: v.shape for n, v in own.params.items()} for own in (plain, wide)]
    assert (shapes[0] == shapes[1]) == (window == [0])
    assert wide.normaliser.channels == 2 * len(window)


def test_days_on_disk_train_the_same_parameters(file, run, tmp_path):
    experiment = make(file, tmp_path / "disk", sample_storage="disk")
    train(experiment)
    one, other = load(run[0]), load(tmp_path / "disk")
    for name, value in one.params.items():
        np.testing.assert_array_equal(value, other.params[name])


def test_windows_end_with_the_period(file, data):
    experiment = make(file, "unused")
    for period in ("train", "validation", "test"):
        coarse, _ = data.pair(experiment, "own", period)
        np.testing.assert_array_equal(coarse["tas@-1"][0], coarse["tas"][0])
        np.testing.assert_array_equal(coarse["tas@-1"][1:], coarse["tas"][:-1])
        np.testing.assert_array_equal(coarse["tas@+1"][-1], coarse["tas"][-1])


def test_the_mean_over_sub_steps_is_that_which_is_predicted_for_the_step(file):
    experiment = make(file, "unused", ("tas", "pr"), model={"conserve_mean": True})
    own = load_data(experiment)
    coarse, _ = own.pair(experiment, "own", "test")
    emulator = untrained(experiment, own, move=0.3)
    made, means = emulator.downscale(coarse), emulator.means().downscale(coarse)
    steps = made.coarsen(time=SUBSTEPS).mean()
    np.testing.assert_allclose(steps.tas, means.tas, atol=1e-4, rtol=0)
    np.testing.assert_allclose(steps.pr, means.pr, atol=1e-5, rtol=1e-5)
    assert float(made.pr.min()) >= 0 and float(means.pr.max()) > 0.5
    assert means.tas.attrs["cell_methods"] == "time: mean"
    loose = untrained(make(file, "unused", ("tas", "pr")), own, move=0.3)
    apart = loose.downscale(coarse).coarsen(time=SUBSTEPS).mean() - loose.means().downscale(coarse)
    assert float(abs(apart.tas).max()) > 0.1


def test_conserved_amounts_are_shares_of_the_step_with_finite_gradients():
    (step,) = step_means(("pr", "pr#1", "pr#2"))
    values = np.asarray([[0, 0, 0], [2, -1, -1], [2, 0, 1], [-1, 2, 3]], np.float32)

    @jax.jit
    def both(values):
        made = step.conserved(values)
        return (made**2).sum(), made

    gradient, made = jax.grad(both, has_aux=True)(values)
    assert np.isfinite(gradient).all()
    expected = [[0, 0, 0], [2, 2, 2], [2, 0, 4], [-1, 0, 0]]
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_coarse_files_of_other_steps_are_refused(run, data):
    coarse, _ = data.pair(run[1], "own", "test")
    daily = coarse.coarsen(time=4).mean()
    with pytest.raises(DataError, match="the values are daily, but 6-hourly ones are needed"):
        load(run[0]).downscale(daily)


@pytest.mark.slow
def test_fine_tuning_goes_on_with_the_same_steps(run, file, data, tmp_path):
    tuned = finetune_experiment(run[0], "own", tmp_path / "tuned", validation_share=0.0)
    assert tuned.time == run[1].time
    train(replace(tuned, training=replace(tuned.training, steps=2, validate_every=2)), data)
    assert load(tmp_path / "tuned").time == run[1].time
    other = replace(tuned, time=TimeSpec(6, (-1, 0, 1), SUBSTEPS, "point"), output="unused")
    with pytest.raises(ExperimentError, match="time"):
        train(other, data)


def test_a_run_is_scored_by_sub_step_beside_interpolation_in_time(run, data):
    scores, page = evaluate_run(run[0], data)
    table = scores.pivot(index="method", columns="measure", values="value")
    assert set(table.index) == {"graphdown", "bilinear", "ridge"}
    assert (table["used"] == 5 * 12 * GRID.size).all()
    assert table["diurnal_cycle_rmse"].notna().all() and page.is_file()
