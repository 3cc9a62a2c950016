"""Settings that cannot work, or weaken the scores, are told before the training."""

from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphdown.config.data import Periods
from graphdown.config.experiment_file import parse_experiment
from graphdown.data.setting_notices import setting_notices, unusable_baselines

RAW = {
    "name": "tiny",
    "output": "unused",
    "predictors": ["tas", "pr"],
    "targets": ["tas", "pr"],
    "data": {"world": {"years": 3, "size": 20}, "sources": [{"name": "a", "view": "regular"}]},
    "periods": {
        "train": ["1981", "1982"],
        "validation": ["1983", "1983"],
        "test": ["1984", "1984"],
    },
}


def experiment(**changes):
    return parse_experiment({**RAW, **changes}, "the test")


def texts(asked, height=True):
    return [str(note) for note in setting_notices(asked, height)]


def test_nothing_is_said_of_settings_that_work():
    assert texts(experiment()) == []


def test_baselines_that_need_each_target_among_the_predictors():
    (line,) = texts(experiment(predictors=["tas", "ua850"]))
    assert "left out: nearest, bilinear, lapse rate, mean bias, quantile mapping" in line
    assert "these are none: pr [baselines-left-out]" in line and "ridge" not in line


FROM_FILES = {
    "target": {"files": ["rcm.nc"]},
    "sources": [{"name": "a", "files": ["gcm.nc"]}],
}


@pytest.mark.parametrize(
    "changes, noticed",
    [
        ({}, True),
        ({"training": {"warming_offset": [-2, 5]}}, False),
        ({"targets": ["pr"]}, False),
        ({"data": RAW["data"]}, False),
    ],
)
def test_temperatures_without_warming_in_training(changes, noticed):
    lines = texts(experiment(**{"data": FROM_FILES, **changes}))
    assert any("an emulator of tas may dampen" in line for line in lines) == noticed


def test_baselines_that_need_the_height():
    (line,) = texts(experiment(), height=False)
    assert line == (
        "'baselines': left out: lapse rate; the target's height 'orog' is not known "
        "[baselines-left-out]"
    )


def test_baselines_that_learn_each_season():
    winter = experiment(
        periods={
            "train": ["1981-12", "1982-02"],
            "validation": ["1983-01", "1983-02"],
            "test": ["1984-02", "1984-04"],
        }
    )
    assert unusable_baselines(winter, True) == dict.fromkeys(
        ("quantile mapping", "scaled delta"), "no day of training lies in MAM"
    )


@pytest.mark.parametrize("key", ["validation", "test"])
def test_days_of_training_that_are_scored(key):
    periods = {**RAW["periods"], key: ["1982-07", "1983-03-31"]}
    lines = texts(experiment(periods=periods))
    assert any(
        line.startswith(f"'periods.{key}': shares 1982-07-01 to 1982-12-31 with 'periods.train'")
        for line in lines
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=6, max_size=6))
def test_a_shared_day_is_noticed_and_none_is_imagined(months):
    ends = [sorted(months[i : i + 2]) for i in (0, 2, 4)]
    first = pd.Period("1981-01", "M")
    texts_of = [tuple(str(first + month) for month in pair) for pair in ends]
    asked = replace(experiment(), periods=Periods(*texts_of))
    found = sum(note.rule == "periods-overlap" for note in setting_notices(asked, True))
    days = [set(pd.period_range(*pair, freq="M")) for pair in texts_of]
    expected = sum(bool(days[i] & days[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    assert found == expected
