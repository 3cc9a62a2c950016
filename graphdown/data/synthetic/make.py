"""Build an embedded world."""

import numpy as np

from graphdown.config.synthetic import WorldSpec
from graphdown.data.synthetic import climate
from graphdown.data.synthetic.orography import Terrain, make_terrain
from graphdown.data.synthetic.target_region import make_region
from graphdown.data.synthetic.views import Views, dataset
from graphdown.data.synthetic.waves import Waves
from graphdown.data.synthetic.weather import Weather, simulate
from graphdown.data.synthetic.world import World


def make_world(spec: WorldSpec | None = None, perfect: bool = False) -> World:
    """Make the world of a spec, the same one each time; the default takes some ten seconds.

    Args:
        spec: size, period and seed.
        perfect: whether to add the view "perfect", without errors, which can be upscaled to any
            grid.
    """
    spec = spec or WorldSpec()
    seeds = np.random.SeedSequence(spec.seed).spawn(4)
    land, sky, local, model = (np.random.default_rng(seed) for seed in seeds)
    region = make_region(spec.size)
    waves = Waves(region.x_km, region.y_km)
    terrain = make_terrain(region, waves, land)
    window = region.window
    target = Terrain(*(field[window[1:]] for field in vars(terrain).values()))
    views = Views(region, terrain, perfect)
    times, tas, pr, unknown_tas, unknown_pr = [], [], [], [], []
    for weather in simulate(spec, region, waves, sky):
        views.add(weather, model)
        known_tas, known_pr = climate.truth(cut(weather, window), target)
        addend, factor = climate.noise(region.target.shape, len(weather.times), local)
        times.append(weather.times)
        tas.append((known_tas + addend).reshape(len(addend), -1))
        pr.append((known_pr * factor).reshape(len(addend), -1))
        unknown_tas.append(np.mean(addend**2, dtype=np.float64) * len(addend))
        unknown_pr.append(np.mean((known_pr * (factor - 1)) ** 2, dtype=np.float64) * len(addend))
    days = np.concatenate(times)
    statics = {"orog": target.orog.ravel(), "sftlf": target.sftlf.ravel()}
    daily = {"tas": np.concatenate(tas), "pr": np.concatenate(pr)}
    return World(
        statics=dataset(region.target, {}, statics, days),
        truth=dataset(region.target, daily, {}, days),
        views=views.datasets(days),
        noise_floor={
            "tas": float(np.sqrt(sum(unknown_tas) / len(days))),
            "pr": float(np.sqrt(sum(unknown_pr) / len(days))),
        },
    )


def cut(weather: Weather, window: tuple[slice, slice, slice]) -> Weather:
    """Weather of a window of the box."""
    fields = {
        name: value[window[:2]] if value.ndim == 3 and value.shape[2] == 1 else value[window]
        for name, value in vars(weather).items()
        if name not in ("times", "warming")
    }
    return Weather(times=weather.times, warming=weather.warming, **fields)
