"""Ten misuses are named before anything is written; ten honest inputs raise no alarm."""

import logging

import numpy as np
import pytest

from graphdown.errors import DataError
from meshes import Grid

from .conftest import member, regridded

pytestmark = pytest.mark.slow


def reversed_rows(ds):
    return ds.map(lambda v: v.copy(data=v.isel(lat=slice(None, None, -1)).transpose(*v.dims)))


def shuffled(ds):
    order = np.random.default_rng(0).permutation(ds.sizes["time"])
    return ds.isel(time=order).assign_coords(time=ds.time)


def moved(ds):
    """Fields of half a box to the east under the coordinates of this one."""
    half = ds.sizes["lon"] // 2
    return ds.map(lambda v: v.copy(data=np.roll(v, half, axis=v.get_axis_num("lon"))))


def smoothed(ds):
    window = {"lat": 5, "lon": 5, "center": True, "min_periods": 1}
    return ds.map(lambda v: v.rolling(**window).mean().assign_attrs(v.attrs))


def changed(name, function):
    return lambda ds: ds.assign({name: function(ds[name]).assign_attrs(ds[name].attrs)})


MISUSES = {
    "degC labelled K": (changed("tas", lambda v: v - 273.15), r"'?tas'?.*degC"),
    "shuffled calendar": (shuffled, "calendar seems to be shuffled"),
    "upside down": (reversed_rows, "'tas'.*upside down"),
    "another region": (moved, "another region"),
    "6 K too warm": (lambda ds: member("d", 8, warmth=7.2), "'tas' is .* K warmer"),
    "humidity in g/kg": (changed("hus700", lambda v: v * 1000.0), "hus700.*(units|g kg-1)"),
    "levels exchanged": (
        lambda ds: ds.assign(ta850=ds.ta500, ta500=ds.ta850),
        "'ta850' looks like the training's 'ta500'",
    ),
    "no wet days": (changed("pr", lambda v: 0.05 * v), "'pr'.*hardly any wet days"),
    "smoothed": (smoothed, "seems to be smoothed"),
    "zeros": (changed("va850", lambda v: 0.0 * v), "'va850' has the same value"),
}


@pytest.mark.parametrize("name", MISUSES)
def test_a_misuse_is_named(emulator, test_days, name):
    spoil, words = MISUSES[name]
    with pytest.raises(DataError, match=words):
        emulator.check_applicability(spoil(test_days["d"]), refuse_beyond=True)


def coarser(ds, spacing):
    grid = Grid.from_dataset(ds)
    box = grid.lon.min(), grid.lat.min(), grid.lon.max(), grid.lat.max()
    return regridded(ds, Grid.regular(spacing, spacing, box))


HONEST = {
    "gcm-a": lambda days: days["a"],
    "gcm-b": lambda days: days["b"],
    "gcm-c": lambda days: days["c"],
    "an unknown GCM": lambda days: days["d"],
    "a summer": lambda days: days["d"].sel(time=slice("1986-06", "1986-08")),
    "ten days": lambda days: days["d"].isel(time=slice(40, 50)),
    "a coarser grid": lambda days: coarser(days["d"], 2.5),
    "a much coarser grid": lambda days: coarser(days["b"], 2.8),
    "another member of gcm-a": lambda days: member("a", 6),
    "another member of gcm-d": lambda days: member("d", 7),
}


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_input_raises_no_alarm(emulator, test_days, name):
    days = HONEST[name](test_days)
    found = emulator.applicability(days)
    assert found.verdict != "outside", found.to_text()
    assert not [f for f in found.findings if f.name != "mean"]
    emulator.check_applicability(days, refuse_beyond=True)


def test_the_verdict_has_five_lines_and_the_days(emulator, test_days):
    found = emulator.applicability(test_days["a"])
    assert found.verdict == "inside" and len(found.to_text().splitlines()) == 5
    assert found.to_dataset().novelty.sizes == {"time": 365}
    assert float(found.novelty.median()) < 1.0


def test_downscaling_warns_in_one_sentence_and_has_the_novelty(emulator, test_days, caplog):
    days = changed("tas", lambda v: v + 9.0)(test_days["a"]).isel(time=slice(0, 60))
    with caplog.at_level(logging.WARNING):
        fine = emulator.downscale(days)
    assert sum("range of the training:" in r.message for r in caplog.records) == 1
    np.testing.assert_allclose(fine.novelty, emulator.applicability(days).novelty, rtol=1e-4)
    assert float(fine.novelty.min()) > 1.0


def test_lazy_days_have_the_novelty_of_days_in_memory(emulator, test_days):
    days = test_days["d"].isel(time=slice(0, 40))
    lazy = emulator.downscale(days.chunk(time=15))
    assert lazy.novelty.chunks is not None
    np.testing.assert_allclose(lazy.novelty, emulator.downscale(days).novelty, rtol=1e-5)
