"""The climate of a source over the target, and what gives it another one."""

import numpy as np
import pytest
import xarray as xr

from graphdown.data.normalise import Climate
from graphdown.data.source_adjustment import adjustment_to, climate_of, mean_climate
from meshes import Grid, bilinear

TARGET = Grid.regular(0.5, 0.5, (0.0, 40.0, 6.0, 46.0))
INNER = Grid.regular(1.5, 1.5, (-1.5, 38.5, 7.5, 47.5))
OUTER = Grid.regular(1.5, 1.5, (-9.0, 31.0, 15.0, 55.0))
NAMES = ("tas", "pr")


def fields(grid, days=12):
    rng = np.random.default_rng(2)
    daily = rng.normal(size=(days, 1))
    tas = 280.0 - 0.7 * (grid.lat - 43.0) + 0.1 * grid.lon + 4.0 * daily
    pr = np.maximum(daily + 0.02 * (grid.lon - 3.0), 0.0) + 0.1
    time = xr.date_range("2001-01-01", periods=days)
    units = {"tas": "K", "pr": "mm day-1"}
    return xr.Dataset(
        {
            n: grid.dataarray(v.astype(np.float32), n, ("time",), {"time": time}, {"units": u})
            for (n, u), v in zip(units.items(), (tas, pr), strict=True)
        }
    )


def test_the_mean_is_that_of_the_fields_interpolated_to_the_target():
    ds = fields(INNER)
    climate = climate_of(ds, NAMES, TARGET, "the source")
    weight = TARGET.area / TARGET.area.sum()
    for i, name in enumerate(NAMES):
        made = bilinear(INNER, TARGET).apply(INNER.values(ds[name]).astype(np.float64))
        assert climate.mean[i] == pytest.approx((made @ weight).mean(), rel=1e-6)


def test_the_spread_is_over_days_and_places():
    ds = fields(INNER)
    climate = climate_of(ds, ("tas",), TARGET, "the source")
    daily = np.random.default_rng(2).normal(size=12).std() * 4.0
    share = bilinear(INNER, TARGET).matrix().T @ (TARGET.area / TARGET.area.sum())
    means = INNER.values(ds.tas).mean(axis=0)
    places = np.sqrt(share @ (means - share @ means) ** 2)
    assert places > 0.3
    assert climate.std[0] == pytest.approx(np.hypot(daily, places), rel=1e-3)


def test_what_lies_beyond_the_target_does_not_matter():
    near, far = (climate_of(fields(g), NAMES, TARGET, "the source") for g in (INNER, OUTER))
    np.testing.assert_allclose(near.mean, far.mean, rtol=1e-6)
    np.testing.assert_allclose(near.std, far.std, rtol=1e-5)
    plain = fields(OUTER).tas.std().item()
    assert plain > 1.05 * near.std[0]


def test_a_source_is_given_the_mean_and_spread_of_the_reference():
    ds = fields(INNER)
    own = climate_of(ds, NAMES, TARGET, "the source")
    reference = Climate((290.0, 3.0), (2.0, 9.0))
    adjust = adjustment_to(reference, own, NAMES, {})
    values = np.stack([ds[n].values for n in NAMES], axis=-1)
    given = adjust(values)
    assert given.dtype == np.float32
    after = climate_of(
        ds.assign({n: ds[n].copy(data=given[..., i]) for i, n in enumerate(NAMES)}),
        NAMES,
        TARGET,
        "the source",
    )
    np.testing.assert_allclose(after.mean, reference.mean, rtol=1e-5)
    assert after.std[0] == pytest.approx(2.0, rel=1e-4)
    np.testing.assert_allclose(given[..., 1], values[..., 1] * 3.0 / own.mean[1], rtol=1e-5)


def test_a_share_goes_part_of_the_way():
    own, reference = Climate((280.0, 2.0), (4.0, 1.0)), Climate((284.0, 8.0), (1.0, 5.0))
    half = adjustment_to(reference, own, NAMES, {"tas": 0.5, "pr": 0.5})
    values = np.asarray([[280.0, 3.0], [284.0, 0.0]])
    np.testing.assert_allclose(half(values), [[282.0, 6.0], [284.0, 0.0]], rtol=1e-6)
    whole, given = (adjustment_to(reference, own, NAMES, s)(values) for s in ({"pr": 1.0}, {}))
    np.testing.assert_allclose(whole, [[280.0, 12.0], [284.0, 0.0]], rtol=1e-6)
    np.testing.assert_array_equal(whole[:, 1], given[:, 1])
    lagged = adjustment_to(reference, own, ("tas@-1", "pr@-1"), {"pr": 1.0})(values)
    np.testing.assert_array_equal(lagged, whole)


def test_a_source_that_is_the_reference_keeps_its_bits():
    own = climate_of(fields(INNER), NAMES, TARGET, "the source")
    values = np.random.default_rng(0).normal(280.0, 9.0, (4, 5, 2)).astype(np.float32)
    assert adjustment_to(own, own, NAMES, {})(values).tobytes() == values.tobytes()


def test_the_mean_climate_counts_each_source_alike():
    a, b = Climate((1.0, 2.0), (3.0, 4.0)), Climate((3.0, 2.0), (1.0, 4.0))
    assert mean_climate([a, b]) == Climate((2.0, 2.0), (2.0, 4.0))
