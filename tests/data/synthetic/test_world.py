import dataclasses

import numpy as np
import pytest

from graphdown.data.synthetic import WorldSpec, climate, make_world
from graphdown.data.synthetic.orography import Terrain, make_terrain
from graphdown.data.synthetic.target_region import make_region
from graphdown.data.synthetic.views import GCMS, PREDICTORS
from graphdown.data.synthetic.waves import Waves
from graphdown.data.synthetic.weather import AIR_DENSITY, CORIOLIS, Weather, saturation
from meshes import EARTH_RADIUS_KM, Grid

SMALL = WorldSpec(seed=3, years=1, size=16)


@pytest.fixture(scope="module")
def world():
    return make_world(WorldSpec(years=3))


@pytest.fixture(scope="module")
def terrain():
    region = make_region(48)
    waves = Waves(region.x_km, region.y_km)
    land = np.random.default_rng(np.random.SeedSequence(0).spawn(4)[0])
    return make_terrain(region, waves, land)


def weather(**changes):
    """One day at one cell: warm, windless, neither dry nor moist."""
    one = dict.fromkeys(("warming", "u", "v", "lift"), 0.0)
    one |= {"temperature": 290.0, "sea_temperature": 285.0, "psl": 101300.0}
    one |= {"humidity": 0.5, "hus700": 2.5e-3, **changes}
    fields = {k: np.full((1, 1, 1), v, dtype=np.float32) for k, v in one.items()}
    return Weather(times=np.zeros(1, "datetime64[ns]"), **fields)


def value(array):
    return np.asarray(array).item()


def ground(**changes):
    fields = {f.name: 0.0 for f in dataclasses.fields(Terrain)} | {"sftlf": 1.0} | changes
    return Terrain(**{k: np.full((1, 1), v, dtype=np.float32) for k, v in fields.items()})


def test_datasets_are_canonical(world):
    assert set(world.statics) == {"orog", "sftlf"}
    assert set(world.truth) == {"tas", "pr"}
    assert world.truth.tas.shape == (365 * 3, 48, 48)
    assert world.truth.time.values[-1] == np.datetime64("1983-12-31")
    for shown in (world.truth, *world.views.values()):
        for name, values in shown.data_vars.items():
            assert values.dtype == np.float32
            assert np.isfinite(values).all(), name
        assert shown.tas.attrs["units"] == "K"
        assert float(shown.pr.min()) >= 0
        assert np.array_equal(shown.time, world.truth.time)
    assert set(world.views) == set(GCMS)
    for shown in world.views.values():
        assert set(shown) == {*PREDICTORS, "orog"}
        assert shown.orog.ndim == 2


def test_views_have_grids_of_their_own_that_surround_the_target(world):
    target = Grid.from_dataset(world.truth)
    kinds = {name: Grid.from_dataset(shown[["tas"]]) for name, shown in world.views.items()}
    assert kinds["regular"].kind == "regular"
    assert kinds["gaussian"].kind == "gaussian"
    assert kinds["rotated"].kind == target.kind == "rotated_pole"
    for grid in kinds.values():
        distance = np.arccos(np.clip(target.xyz @ grid.xyz.T, -1, 1)).min(axis=1)
        assert distance.max() * EARTH_RADIUS_KM < 0.8 * grid.spacing_km
        for side in ("lon", "lat"):
            own, inner = getattr(grid, side), getattr(target, side)
            assert own.min() < inner.min() - 2 and own.max() > inner.max() + 2
    assert not np.isin(world.views["shifted"].lat, world.views["regular"].lat).any()


def test_the_same_seed_gives_the_same_world():
    one, two = make_world(SMALL), make_world(SMALL)
    other = make_world(dataclasses.replace(SMALL, seed=4))
    assert one.truth.identical(two.truth)
    assert one.noise_floor == two.noise_floor
    assert all(one.views[name].identical(two.views[name]) for name in GCMS)
    assert not np.allclose(one.truth.tas, other.truth.tas, atol=1)
    assert not np.allclose(one.statics.orog, other.statics.orog, atol=1)


def test_a_longer_world_begins_as_the_shorter_one():
    longer = make_world(dataclasses.replace(SMALL, years=2))
    assert make_world(SMALL).truth.identical(longer.truth.isel(time=slice(0, 365)))


def test_noise_floor_is_what_noise_changes(monkeypatch):
    noisy = make_world(SMALL)
    monkeypatch.setattr(climate, "TAS_NOISE_K", 0.0)
    monkeypatch.setattr(climate, "PR_NOISE", 0.0)
    known = make_world(SMALL)
    assert known.noise_floor == {"tas": 0.0, "pr": 0.0}
    for name, floor in noisy.noise_floor.items():
        difference = (noisy.truth[name] - known.truth[name]).astype(float)
        assert floor == pytest.approx(float(np.sqrt((difference**2).mean())), rel=1e-3)
        assert abs(float(difference.mean())) < 0.02 * floor


@pytest.mark.parametrize("bad", [{"seed": -1}, {"years": 0}, {"size": 4}, {"size": 500}])
def test_an_impossible_spec_is_refused(bad):
    with pytest.raises(ValueError, match="is .*, but must"):
        WorldSpec(**bad)


def test_terrain_has_sea_coast_mountains_and_valleys(terrain):
    assert 0.1 < (terrain.sftlf == 0).mean() < 0.5
    assert 1500 < terrain.orog.max() < 4500
    assert (terrain.orog[terrain.sftlf == 0] == 0).all()
    assert terrain.valley_depth.min() == 0
    assert np.percentile(terrain.valley_depth[terrain.sftlf == 1], 99) > 200
    assert terrain.model_orog.std() < terrain.orog.std()


def test_air_cools_with_height_and_warms_faster_there():
    low, high = (np.full((1, 1), z, dtype=np.float32) for z in (0, 1000))
    land = np.ones((1, 1), dtype=np.float32)
    day, later = weather(), weather(warming=1.0)
    at = climate.surface_temperature
    assert value(at(day, high, land) - at(day, low, land)) == pytest.approx(-6.5, abs=1e-3)
    trend = [value(at(later, z, land) - at(day, z, land)) for z in (low, high)]
    assert 0 < trend[0] < trend[1]


def test_sea_holds_the_air_to_the_temperature_of_the_water():
    flat = np.zeros((1, 1), dtype=np.float32)
    sea, coast, land = (
        value(climate.surface_temperature(weather(), flat, flat + share)) for share in (0, 0.5, 1)
    )
    assert (sea, coast, land) == pytest.approx((287.0, 288.5, 290.0))


def test_sea_has_a_smaller_and_later_year(world):
    sftlf = world.statics.sftlf
    year = world.truth.tas.groupby("time.month").mean()
    sea = year.where(sftlf == 0).mean(("rlat", "rlon"))
    land = year.where((sftlf == 1) & (world.statics.orog < 500)).mean(("rlat", "rlon"))
    assert np.ptp(sea.values) < 0.8 * np.ptp(land.values)
    angle = np.exp(-2j * np.pi * year.month.values / 12)
    delay = np.angle((land.values * angle).sum()) - np.angle((sea.values * angle).sum())
    assert 5 < np.degrees(delay) < 60


def test_cold_pools_need_a_valley_and_a_calm_clear_cold_day():
    still = {"temperature": 272.0, "humidity": 0.2, "psl": 102500.0}
    valley = ground(valley_depth=300.0)
    full = value(climate.cold_pool(weather(**still), valley))
    assert full > 6
    assert value(climate.cold_pool(weather(**still), ground())) < 0.3 * full
    assert value(climate.cold_pool(weather(**still), ground(sftlf=0.0))) == 0
    for spoilt in ({"u": 12.0}, {"humidity": 0.8}, {"psl": 100000.0}, {"temperature": 295.0}):
        assert value(climate.cold_pool(weather(**still | spoilt), valley)) < 0.05 * full


def test_foehn_warms_and_dries_the_lee_and_rain_grows_upslope():
    moist = weather(u=10.0, humidity=0.8, lift=1.0)
    up, flat, down = (ground(slope_x=slope) for slope in (0.03, 0.0, -0.03))
    assert value(climate.foehn(moist, down)) > 3
    assert value(climate.foehn(moist, up)) == value(climate.foehn(moist, flat)) == 0
    rain = [value(climate.orographic_factor(moist, slope)) for slope in (up, flat, down)]
    assert rain[0] > 2
    assert rain[1] == 1
    assert rain[2] < 0.5


def test_windward_slopes_are_wetter_than_lee_slopes(world, terrain):
    window = make_region(48).window[1:]
    slope = terrain.slope_x[window]
    mean = world.truth.pr.mean("time").values
    assert mean[slope > 0.01].mean() > 1.5 * mean[slope < -0.01].mean()


def test_rain_has_the_statistics_of_rain(world):
    pr = world.truth.pr
    assert 0.3 < float((pr >= 1).mean()) < 0.6
    wettest = np.quantile(pr, 0.98)
    assert 10 < wettest < 40
    assert 1.5 < float(pr.mean()) < 5
    for shown in world.views.values():
        assert float((shown.pr > 0.1).mean()) > float((pr > 0.1).mean())
        assert np.quantile(shown.pr, 0.98) < wettest


def test_saturation_is_that_of_the_tables():
    assert saturation(np.array(273.15), 1e5) == pytest.approx(0.622 * 611.2 / 1e5)
    assert saturation(np.array(293.15), 1e5) == pytest.approx(0.622 * 2339 / 1e5, rel=5e-3)


def test_wind_is_geostrophic_in_true_directions(world):
    shown = world.views["regular"]
    metres = np.radians(1) * EARTH_RADIUS_KM * 1e3
    scale = 1 / (AIR_DENSITY * CORIOLIS)
    north = shown.psl.differentiate("lat") / metres
    east = shown.psl.differentiate("lon") / (metres * np.cos(np.radians(shown.lat)))
    inner = {"lat": slice(2, -2), "lon": slice(2, -2)}
    for wind, expected in (("ua850", -scale * north), ("va850", scale * east)):
        a, b = (v.isel(inner).values.ravel() for v in (shown[wind], expected))
        assert np.corrcoef(a, b)[0, 1] > 0.95
        assert 0.8 < np.polyfit(a, b, 1)[0] < 1.1


def test_weather_moves_east_with_the_westerlies(world):
    psl = world.views["shifted"].psl.sel(lat=50, method="nearest")
    today, tomorrow = psl.values[:-1], psl.values[1:]
    lag = [np.mean((tomorrow[:, s:] - today[:, : today.shape[1] - s]) ** 2) for s in range(7)]
    assert 2 <= int(np.argmin(lag)) <= 6


def test_errors_of_the_views_are_modest_and_differ():
    for errors in GCMS.values():
        assert abs(errors.tas) <= 0.3
        assert abs(errors.pr - 1) <= 0.1
        assert abs(errors.wind - 1) <= 0.05 and abs(errors.humidity - 1) <= 0.05
    assert len(set(GCMS.values())) == len(GCMS)


def test_later_years_are_warmer_most_over_high_land():
    world = make_world(WorldSpec(years=12, size=24))
    year = world.truth.tas.groupby("time.year").mean()
    trend = year.polyfit("year", 1).polyfit_coefficients.sel(degree=1).values
    assert 0.07 < trend.mean() < 0.2
    height, sftlf = world.statics.orog.values, world.statics.sftlf.values
    assert trend[height > 1000].mean() > trend[(sftlf == 1) & (height < 500)].mean()


@pytest.mark.slow
def test_ridge_per_cell_stays_well_above_the_noise_floor():
    world = make_world(WorldSpec())
    year = world.truth.time.dt.year.values
    train, test = year < 1990, year >= 1990
    shown = world.views["regular"]
    columns = [np.log1p(shown[n]) if n == "pr" else shown[n] for n in PREDICTORS]
    x = np.concatenate([c.values.reshape(len(year), -1) for c in columns], axis=1, dtype=float)
    x = (x - x[train].mean(axis=0)) / x[train].std(axis=0)
    gram = x[train].T @ x[train]
    for name, factor in (("tas", 1.7), ("pr", 1.3)):
        y = world.truth[name].values.reshape(len(year), -1)[:, ::7].astype(float)
        z = np.log1p(y) if name == "pr" else y
        best = np.inf
        for penalty in (1.0, 10.0, 100.0, 1000.0):
            weights = np.linalg.solve(
                gram + penalty * np.eye(len(gram)), x[train].T @ (z[train] - z[train].mean(axis=0))
            )
            guess = x[test] @ weights + z[train].mean(axis=0)
            guess = np.maximum(np.expm1(guess), 0) if name == "pr" else guess
            best = min(best, float(np.sqrt(np.mean((guess - y[test]) ** 2))))
        assert best > factor * world.noise_floor[name]
