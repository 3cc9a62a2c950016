"""Steps in time: names of variables, weights of a start, refusals of an experiment."""

import numpy as np
import pytest

from graphdown.cf.attributes import variable_attrs
from graphdown.config.experiment_file import parse_experiment
from graphdown.errors import ExperimentError
from graphdown.variables.catalogue import describe
from graphdown.variables.names import lagged, part, variable_of, variables_of
from graphdown.variables.time_steps import TimeSpec, start_of

HOURLY = TimeSpec(step_hours=6, window=(-2, -1, 0, 1), substeps=6)


def test_a_step_alone_changes_no_name():
    alone = TimeSpec()
    assert alone.predictors(("tas", "pr")) == ("tas", "pr") == alone.targets(("tas", "pr"))


def test_names_tell_variable_step_and_sub_step():
    assert HOURLY.predictors(("tas", "pr")) == (
        *("tas", "pr", "tas@-2", "pr@-2", "tas@-1", "pr@-1", "tas@+1", "pr@+1"),
    )
    targets = HOURLY.targets(("tas", "pr"))
    assert targets[:6] == ("tas", "pr", "tas#1", "pr#1", "tas#2", "pr#2") and len(targets) == 14
    assert variables_of(targets) == ("tas", "pr")
    assert variable_of(lagged("ta850", -1)) == "ta850" == variable_of(part("ta850", 12))
    assert describe("pr#3").is_non_negative and not describe("tas#3").is_non_negative


def test_naming_steps_twice_changes_nothing():
    for names in (HOURLY.predictors(("tas", "pr")), HOURLY.predictors(())):
        assert HOURLY.predictors(names) == names
    assert HOURLY.targets(HOURLY.targets(("tas",))) == HOURLY.targets(("tas",))


@pytest.mark.parametrize("substeps", [2, 3, 4, 6, 24])
def test_a_start_is_the_straight_line_between_the_middles_of_steps(substeps):
    spec = TimeSpec(window=(-1, 0, 1), substeps=substeps)
    predictors, targets = spec.predictors(("tas",)), spec.targets(("tas", "pr"))
    value = {"tas@-1": 3.0, "tas": 4.0, "tas@+1": 8.0}
    middles = (np.arange(substeps) + 0.5) / substeps - 0.5
    expected = np.interp(middles, [-1, 0, 1], [3.0, 4.0, 8.0])
    for number, wanted in enumerate(expected, 1):
        start = start_of(part("tas", number), targets, predictors)
        assert sum(start.values()) == pytest.approx(1.0)
        made = sum(share * value[name] for name, share in start.items())
        assert made == pytest.approx(wanted)
    assert start_of("tas", targets, predictors) == {"tas": 1.0}
    assert start_of("pr#1", targets, predictors) == {} == start_of("pr", targets, predictors)


def test_values_are_unfolded_step_by_step():
    steps, members, nodes = 4, 3, 5
    names = HOURLY.targets(("tas", "pr"))
    values = np.zeros((steps, members, nodes, len(names)))
    for t, name in enumerate(names):
        number = int(name.partition("#")[2] or 0)
        values[..., t] = 10 * number + (variable_of(name) == "pr")
    values += 100 * np.arange(steps)[:, None, None, None]
    made = HOURLY.unfolded(values)
    assert made.shape == (24, members, nodes, 2)
    expected = 100 * (np.arange(24) // 6) + 10 * (np.arange(24) % 6 + 1)
    np.testing.assert_array_equal(made[:, 1, 2, 0], expected)
    np.testing.assert_array_equal(made[:, 1, 2, 1], expected + 1)
    np.testing.assert_array_equal(HOURLY.means_of(values), values[..., :2])


def test_attributes_say_what_the_values_are():
    assert variable_attrs("tas", TimeSpec()) == variable_attrs("tas")
    mean = variable_attrs("tas", HOURLY)
    assert mean["cell_methods"] == "time: mean"
    assert mean["long_name"] == "Near-surface air temperature"
    point = TimeSpec(window=(-1, 0, 1), substeps=4, values="point")
    assert variable_attrs("tas", point)["cell_methods"] == "time: point"
    assert variable_attrs("tas", point.of_means) == variable_attrs("tas")


def experiment(time, **changes):
    raw = {
        "name": "x",
        "output": "x",
        "predictors": ["tas"],
        "targets": ["tas"],
        "data": {"target": {"files": ["x.nc"]}, "sources": [{"name": "a", "upscale": 2}]},
        "periods": {
            "train": ["2001", "2001"],
            "validation": ["2002", "2002"],
            "test": ["2003"] * 2,
        },
        "time": time,
        **changes,
    }
    return parse_experiment(raw, "the test")


PARTS = {"window": [-1, 0, 1], "substeps": 4}


@pytest.mark.parametrize(
    ("time", "changes", "said"),
    [
        ({"step_hours": 5}, {}, "step_hours must divide 24"),
        ({"window": [-1, 1]}, {}, "window must hold 0"),
        ({"window": [0, 0]}, {}, "no step twice"),
        ({"window": [0, 1], "substeps": 4}, {}, "window must hold -1 and 1"),
        ({"window": [-1, 0, 1], "substeps": 7}, {}, "whole seconds"),
        (PARTS, {"targets": ["tas", "tasmax"]}, "'tasmax', an extreme of a day"),
        ({}, {"model": {"conserve_mean": True}}, "is about the sub-steps"),
        (PARTS, {"model": {"conserve_mean": True, "transforms": {"tas": "log1p"}}}, "not go with"),
        ({"window": [0, 1]}, {"model": {"eofs": 10}}, "'model.eofs' knows single days only"),
        (
            {"step_hours": 6},
            {"data": {"world": {}, "sources": [{"name": "a", "view": "regular"}]}},
            "the embedded world is daily",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(time, changes, said):
    with pytest.raises(ExperimentError, match=said):
        experiment(time, **changes)


def test_an_experiment_by_steps_names_every_step():
    by_steps = experiment(PARTS, optional_predictors=[]).by_steps
    assert by_steps.predictors == ("tas", "tas@-1", "tas@+1") and len(by_steps.targets) == 5
    assert by_steps.by_steps == by_steps
    plain = experiment({})
    assert plain.by_steps == plain
