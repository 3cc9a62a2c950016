"""Statistics of the training data against numpy by hand, and the channels they belong to."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphdown.data.normalise import (
    Moments,
    Normaliser,
    fit_normaliser,
    to_channels,
)
from graphdown.errors import DataError
from graphdown.model.channels import Channels, predictor_transforms
from graphdown.variables.catalogue import describe

PREDICTORS, TARGETS = ("pr", "tas", "zg500"), ("tas", "sfcWind", "pr")
RNG = np.random.default_rng(0)


def weather(days, nodes, seed):
    rng = np.random.default_rng(seed)
    shape = days, nodes
    pr, tas, zg = rng.gamma(0.5, 4.0, shape), rng.normal(285, 6, shape), rng.normal(5500, 90, shape)
    return np.stack([pr, tas, zg], axis=-1).astype(np.float32)


COARSE = [weather(40, 12, 1), weather(25, 30, 2) * 1.1]
CORRECTIONS = [
    np.random.default_rng(3).normal(4.0, [1.0, 0.3, 2.0], (40, 50, 3)),
    np.random.default_rng(4).normal(-1.0, [2.0, 0.1, 3.0], (25, 50, 3)),
]


def moments(values, size=7):
    """Moments of values that come some days at a time."""
    made = Moments()
    for start in range(0, len(values), size):
        made.add(values[start : start + size])
    return made


def channels(names):
    return Channels.of(names, predictor_transforms(names, {}))


def fit(coarse, corrections, base):
    tables = [to_channels(values, channels(PREDICTORS)) for values in coarse]
    entering = [moments(t.reshape(-1, t.shape[-1]), 100) for t in tables]
    corrected = [moments(c) for c in corrections]
    return fit_normaliser(PREDICTORS, TARGETS, entering, corrected, base, {})


@pytest.fixture(scope="module")
def normaliser():
    return fit(COARSE, CORRECTIONS, (0.0, 3.5, 0.0))


def test_precipitation_enters_plain_and_once_more_as_its_logarithm():
    kinds = [(own.predictor, own.transform) for own in channels(("tas", "pr", "psl")).each]
    assert kinds == [(0, "none"), (1, "none"), (2, "none"), (1, "log1p")]
    assert channels(("tas", "psl")).predictors == [0, 1]
    made = to_channels(np.array([[280.0, 3.0], [290.0, -0.5]]), channels(("tas", "pr")))
    assert made.dtype == np.float32
    expected = [[280.0, 3.0, np.log(4.0)], [290.0, -0.5, 0.0]]
    np.testing.assert_allclose(made, expected, rtol=1e-6)


def test_statistics_are_those_of_the_channels_each_source_counting_alike(normaliser):
    tables = [
        np.concatenate([v, np.log1p(v[..., :1])], axis=-1).reshape(-1, 4).astype(np.float64)
        for v in COARSE
    ]
    mean = (tables[0].mean(axis=0) + tables[1].mean(axis=0)) / 2
    variance = sum(((t - mean) ** 2).mean(axis=0) for t in tables) / 2
    np.testing.assert_allclose(normaliser.mean, mean, rtol=1e-6)
    np.testing.assert_allclose(normaliser.std, np.sqrt(variance), rtol=1e-6)
    assert normaliser.predictors == PREDICTORS
    assert normaliser.targets == TARGETS
    assert normaliser.base == (0.0, 3.5, 0.0)


def test_the_scale_is_the_spread_of_corrections_about_each_nodes_own_mean(normaliser):
    variance = [((c - c.mean(axis=0)) ** 2).mean(axis=(0, 1)) for c in CORRECTIONS]
    np.testing.assert_allclose(normaliser.scale, np.sqrt(sum(variance) / 2), rtol=1e-6)
    shifted = [c + RNG.normal(0, 50, (1, 50, 3)) for c in CORRECTIONS]
    again = fit(COARSE, shifted, normaliser.base)
    np.testing.assert_allclose(again.scale, normaliser.scale, rtol=1e-9)


def test_missing_values_do_not_count():
    coarse, correction = COARSE[0].copy(), CORRECTIONS[0].copy()
    coarse[::4, ::3] = np.nan
    correction[5:20] = np.nan
    made = fit([coarse], [correction], (0.0, 0.0, 0.0))
    there = coarse[np.isfinite(coarse).all(axis=-1)].astype(np.float64)
    np.testing.assert_allclose(made.mean[:3], there.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(made.std[:3], there.std(axis=0), rtol=1e-5)
    kept = np.delete(correction, np.arange(5, 20), axis=0)
    np.testing.assert_allclose(made.scale, np.sqrt(kept.var(axis=0).mean(axis=0)), rtol=1e-9)


def test_values_that_come_in_parts_of_any_size_give_the_same_moments():
    values = RNG.normal(1e5, 3.0, (40, 6))
    values[3:9, 0], values[:, 1] = np.nan, np.nan
    whole = moments(values, 40)
    for size in (1, 3, 39):
        made = moments(values, size)
        np.testing.assert_array_equal(made.count, whole.count)
        np.testing.assert_allclose(made.mean, whole.mean, rtol=1e-14)
        np.testing.assert_allclose(made.variance, whole.variance, rtol=1e-9)
    assert whole.count.tolist() == [34, 0, 40, 40, 40, 40]
    np.testing.assert_allclose(whole.variance[[0, 2]], np.nanvar(values[:, [0, 2]], axis=0))


def test_a_predictor_that_never_varies_is_refused():
    still = np.full((6, 4, 3), 2.0, np.float32)
    with pytest.raises(DataError, match="'pr' is 2 everywhere and always in training"):
        fit([still], [np.zeros((6, 5, 3))], (0.0,) * 3)


@settings(max_examples=30, deadline=None)
@given(st.floats(1e-9, 1e9), st.floats(0.0, 30.0))
def test_statistics_follow_the_units(factor, offset):
    rng = np.random.default_rng(1)
    coarse, corrections = rng.gamma(2, 1, (9, 4, 3)) + offset, rng.normal(0, 1, (9, 5, 3))
    plain = fit([coarse.astype(np.float32)], [corrections], (0.0,) * 3)
    scaled = fit([(factor * coarse).astype(np.float32)], [factor * corrections], (0.0,) * 3)
    for key in ("std", "scale", "least", "greatest"):
        expected = factor * np.asarray(getattr(plain, key)[:3])
        np.testing.assert_allclose(getattr(scaled, key)[:3], expected, rtol=1e-4)


def test_a_normaliser_survives_json(normaliser):
    again = Normaliser.from_dict(json.loads(json.dumps(normaliser.to_dict())))
    assert again == normaliser
    assert isinstance(again.mean, tuple)


def test_the_arrays_say_what_each_channel_and_target_is_made_of(normaliser):
    arrays = normaliser.arrays()
    assert normaliser.inputs.predictors == [0, 1, 2, 0]
    assert [own.transform for own in normaliser.inputs.each] == [*["none"] * 3, "log1p"]
    assert arrays["column"].tolist() == [1, 3, 0]  # 3: no predictor
    for name in ("mean", "std", "base", "scale"):
        np.testing.assert_allclose(arrays[name], getattr(normaliser, name), rtol=1e-6)
        assert arrays[name].dtype == np.float32
    assert arrays["column"].dtype == np.int32


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *[(n, True) for n in ("tas", "tasmax", "tasmin", "ta850", "ta500")],
        *[(n, False) for n in ("pr", "tos", "tauu", "hus850", "ts", "psl", "zg500")],
    ],
)
def test_temperatures_of_the_air_are_told_from_the_rest(name, expected):
    assert describe(name).is_temperature is expected


def test_warming_reaches_the_air_temperatures_alone(normaliser):
    predictors, targets = normaliser.warmed()
    assert predictors.tolist() == [0.0, 1.0, 0.0]
    assert targets.tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("key", "value", "part"),
    [
        ("mean", (0.0,), "must be 4 finite numbers"),
        ("base", (0.0, 0.0, float("nan")), "must be 3 finite numbers"),
        ("std", (1.0, 1.0, 0.0, 1.0), "must be positive"),
        ("predictors", ("tas", 3, "pr"), "valid string"),
    ],
)
def test_statistics_that_no_data_have_are_refused(key, value, part):
    ones = {"mean": (0.0,) * 4, "std": (1.0,) * 4, "base": (0.0,) * 3, "scale": (1.0,) * 3}
    right = Normaliser(PREDICTORS, TARGETS, **ones).to_dict()
    Normaliser.from_dict(right)
    with pytest.raises(ValueError, match=part):
        Normaliser.from_dict({**right, key: value})
