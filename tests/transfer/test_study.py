"""Whole studies on tiny made-up data: what they write, and how they go on when killed."""

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import graphdown
from graphdown.comparison import fit_baselines
from graphdown.errors import ExperimentError
from graphdown.training.parallel import DataParallel
from graphdown.transfer import study as study_module
from graphdown.transfer.findings import compared_values
from graphdown.transfer.plan import Task
from graphdown.transfer.spec import parse_study
from graphdown.transfer.study import transfer
from graphdown.transfer.study_run import StudyRun
from meshes import Grid

from ..browser import assert_opens, needs_browser
from ..training.conftest import COARSE, OTHER, make_data, source

THIRD = Grid.regular(1.0, 1.2, (0.0, 40.0, 6.0, 46.0))
TINY = {
    "name": "Tiny <study>",
    "seeds": 2,
    "draws": 20,
    "experiment": {
        "predictors": ["tas", "pr", "ua850"],
        "targets": ["tas", "pr"],
        "data": {
            "target": {"files": ["unused.nc"]},
            "sources": [{"name": n, "files": ["unused.nc"]} for n in "abc"],
        },
        "periods": {
            "train": ["2001-01-01", "2001-02-20"],
            "validation": ["2001-02-21", "2001-03-10"],
            "test": ["2001-03-11", "2001-03-31"],
        },
        "graph": {"mesh_level": 4, "encode_radius_km": 400},
        "model": {"channels": 8, "rounds": 1, "target_channels": 8},
        "training": {"steps": 8, "batch_size": 4, "validate_every": 4, "devices": 1},
    },
    "strategies": {
        "bilinear": {"baseline": "bilinear"},
        "mean bias": {"baseline": "mean bias"},
    },
    "blocks": {
        "Leave one out": {
            "text": "Who serves a source that it never saw?",
            "shows": "matrix",
            "strategies": ["bilinear", "mean bias"],
            "train": [["a"], ["a", "b"]],
            "apply": ["a", "c"],
        },
    },
}
NETWORK = {
    "strategies": {
        "network": {},
        "full": {"start": "network", "set": {"training": {"steps": 4, "validate_every": 2}}},
    },
    "blocks": {
        "Few": {
            "shows": "curves",
            "strategies": ["full"],
            "train": [["a"]],
            "tune": ["c"],
            "apply": ["a", "c"],
        },
    },
    "seeds": 1,
}


def study(folder, **changes):
    return parse_study({**TINY, **changes, "output": str(folder)}, "the test")


@pytest.fixture(scope="module")
def data():
    return make_data(a=source(COARSE), b=source(OTHER), c=source(THIRD))


@pytest.fixture(scope="module")
def outcome(data, tmp_path_factory):
    return transfer(study(tmp_path_factory.mktemp("studies") / "tiny"), data)


def value(table, **wanted):
    for key, own in wanted.items():
        table = table[table[key] == own]
    assert len(table) == 1
    return float(table["value"].iloc[0])


def test_scores_are_those_of_evaluate_and_of_each_fit_where_a_method_is_bound(outcome, data):
    experiment = outcome.study.experiment_of("mean bias")
    own = dataclasses.replace(data, sources={n: data.sources[n] for n in "ab"})
    fitted = fit_baselines(experiment, own)
    coarse, truth = data.pair(experiment, "c", "test")
    past_coarse, past = data.pair(experiment, "c", "validation")
    made = [
        graphdown.evaluate(predict(coarse), truth, (predict(past_coarse), past))
        for predict in fitted.methods("c").values()
    ]
    assert len(made) == 2
    for measure in ("rmse", "wasserstein1", "signal_rmse"):
        expected = np.mean([float(m[measure].sel(variable="tas")) for m in made])
        where = {"strategy": "mean bias", "train": "a + b", "source": "c", "variable": "tas"}
        assert value(outcome.scores, measure=measure, **where) == pytest.approx(expected, rel=1e-6)


def test_strategies_are_compared_on_the_same_values_where_all_can_learn(data, tmp_path):
    fine = data.fine
    late = xr.zeros_like(fine.pr, bool)
    late[:60, 3, 3] = True  # a cell with rain in the test period alone
    sea = xr.zeros_like(fine.pr, bool)
    sea[:, :, 8:] = True
    partial = dataclasses.replace(data, fine=fine.assign(pr=fine.pr.where(~late & ~sea)))
    found = transfer(study(tmp_path, seeds=1), partial)
    used = found.scores[(found.scores["measure"] == "used") & (found.scores["source"] == "c")]
    values = used.groupby("variable")["value"].unique()
    assert {v: list(n) for v, n in values.items()} == {"tas": [21 * 144], "pr": [21 * 95]}
    page = found.page.read_text(encoding="utf-8")
    assert "Values that all strategies and the truth have: a 3,024 of tas, 1,995 of pr" in page


def test_a_baseline_that_cannot_be_used_is_refused_before_anything_runs(tmp_path):
    seasonal = {"scaled delta": {"baseline": "scaled delta"}, **TINY["strategies"]}
    with pytest.raises(ExperimentError, match=r"scaled delta.*no day of training lies in MAM"):
        study(tmp_path / "none", strategies=seasonal)
    assert not (tmp_path / "none").exists()


def test_a_strategy_with_fewer_values_is_marked():
    rows = [("a", "s", "tas", "used", 10.0), ("b", "s", "tas", "used", 8.0)]
    columns = ["strategy", "source", "variable", "measure", "value"]
    first, second = compared_values(pd.DataFrame(rows, columns=columns))
    assert first == "Values that all strategies and the truth have: s 10 of tas."
    assert second == "\N{DAGGER} b on s is scored on 8 values of tas only."


def test_what_a_study_writes(outcome):
    folder = outcome.page.parents[1]
    stored = pd.read_csv(folder / "scores.csv")
    np.testing.assert_allclose(stored["value"], outcome.scores["value"], rtol=1e-5)
    with xr.open_dataset(folder / "scores.nc", engine="netcdf4") as scores:
        assert scores.sizes["run"] == 4 and {"rmse", "perkins", "signal_rmse"} <= set(scores)
    for name in ("gaps", "groups", "adaptation"):
        assert (folder / f"{name}.csv").is_file()
    runs = sorted(str(p.parent.relative_to(folder)) for p in folder.glob("runs/**/scores.nc"))
    assert runs == [
        f"runs/{m}/{t}/seed0" for m in ("bilinear", "mean-bias") for t in ("a+b", "a")
    ]  # methods without random numbers have one seed


def test_the_page_holds_everything_itself(outcome):
    text = outcome.page.read_text(encoding="utf-8")
    assert "Tiny &lt;study&gt;" in text and "Who serves a source" in text
    for part in ("How to read it", "Generalisation gap", "climate-change signal", "All cells"):
        assert part in text
    links = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert links and all(link.startswith(("data:", "#")) for link in links)
    # Scores of two variables as heat maps, and the maps of the truth and of both methods.
    assert text.count("<figure>") == 2 * 4 + 2 * 3
    assert "mean bias: a + b on c" in text


def test_what_is_done_is_not_done_again_and_another_study_is_refused(
    outcome, data, capsys, monkeypatch
):
    before = outcome.scores
    monkeypatch.setattr(StudyRun, "_learned", None)
    monkeypatch.setattr(study_module, "write_page", lambda outcome: None)
    again = transfer(outcome.study)  # not even the data are needed
    pd.testing.assert_frame_equal(again.scores, before)
    assert "4 runs, 4 of them done; about 0 min" in capsys.readouterr().out
    other = study(outcome.study.output, draws=21)
    with pytest.raises(ExperimentError, match="holds scores of another study"):
        transfer(other)


def test_scores_are_known_by_the_values_that_they_are_of(outcome, data, monkeypatch):
    monkeypatch.setattr(study_module, "write_page", lambda outcome: None)
    moved = {
        "target": {"files": ["elsewhere.nc"]},
        "sources": [{"name": n, "files": ["elsewhere.nc"]} for n in "abc"],
    }
    more = {"Other": {"strategies": ["bilinear"], "train": [["b"]], "apply": ["c"]}}
    blocks = {**TINY["blocks"], **more}
    changes = {"experiment": {**TINY["experiment"], "data": moved}, "blocks": blocks}
    again = study(outcome.study.output, **changes)
    changed = dataclasses.replace(data, sources={**data.sources, "b": data.sources["b"] * 1.01})
    with pytest.raises(ExperimentError, match="The values of the source 'b' are not those"):
        transfer(again, changed)
    kept = transfer(again, data).scores
    kept = kept[kept["block"] == "Leave one out"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, outcome.scores)


@pytest.mark.slow
@needs_browser
def test_the_page_opens_in_a_browser(outcome):
    assert_opens(outcome.page, pictures=14, tables=4)


def test_a_further_source_is_scored_anew(outcome, data, monkeypatch):
    monkeypatch.setattr(study_module, "write_page", lambda outcome: None)
    more = {"More": {"strategies": ["bilinear"], "train": [["a"]], "apply": ["b"]}}
    found = transfer(study(outcome.study.output, blocks={**TINY["blocks"], **more}), data)
    assert value(found.scores, block="More", source="b", variable="tas", measure="rmse") > 0
    kept = found.scores[found.scores["block"] == "Leave one out"]
    pd.testing.assert_frame_equal(kept.reset_index(drop=True), outcome.scores)


@pytest.mark.slow
def test_a_killed_study_goes_on_and_gives_the_same_scores(data, tmp_path, monkeypatch):
    whole = transfer(study(tmp_path / "whole", **NETWORK), data)
    cut = study(tmp_path / "cut", **NETWORK)
    original, calls = DataParallel.__call__, []

    def killed(*arguments):
        calls.append(1)
        if len(calls) in (6, 13):  # in the first training after a checkpoint, then in the second
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(DataParallel, "__call__", killed)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            transfer(cut, data)
    found = transfer(cut, data)
    assert len(calls) == 6 + 4 + 3 + 2  # steps since the last checkpoint were done again, no others
    pd.testing.assert_frame_equal(found.scores, whole.scores)
    pd.testing.assert_frame_equal(found.adaptation, whole.adaptation)
    assert set(found.results) == {Task("network", ("a",)), Task("full", ("a",), ("c",))}
