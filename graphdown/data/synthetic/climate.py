"""Local climate: effects of mountains, valleys and coasts on the large-scale weather.

All of it but `noise` is a smooth function of the weather at the cell and of the cell's height,
slope, valley depth and land fraction. Over land the air follows the large-scale temperature, over
sea it relaxes to the lagged temperature of the water. It cools by 6.5 K per km; on calm, clear,
cold days land cools further, valleys most; air that flows down a slope is warmed and dried (foehn
and rain shadow), air that flows up rains more. Land and heights warm faster than the sea.
"""

from dataclasses import dataclass

import numpy as np

from graphdown.data.synthetic.orography import Terrain
from graphdown.data.synthetic.weather import Weather

LAPSE_RATE = 6.5e-3
SEA_FREEDOM = 0.4
EXTRA_WARMING_LAND, EXTRA_WARMING_PER_KM = 0.2, 0.15
COLD_POOL_K, COLD_POOL_DEPTH_M = 8.0, 120.0
FOEHN_K = 4.0
SLOPE_WIND = 0.12
UPSLOPE_RAIN, SHADOW = 2.0, 1.2
RAIN_RATE = 4.5
TAS_NOISE_K, TAS_NOISE_MEMORY, PR_NOISE = 0.25, 0.5, 0.25


@dataclass(frozen=True)
class Physics:
    """Strength of the effects of terrain in a regional model: factors, 1 for the truth.

    Attributes:
        foehn, cold_pool: of the foehn's warming and of the cooling in cold pools.
        rain: of all rain.
        upslope: exponent of the factor of the rain due to slopes.
    """

    foehn: float = 1.0
    cold_pool: float = 1.0
    rain: float = 1.0
    upslope: float = 1.0


TRUE = Physics()


def surface_temperature(weather: Weather, orog: np.ndarray, sftlf: np.ndarray) -> np.ndarray:
    """Temperature of the air in K [T, ny, nx] over terrain of that height (m) and land fraction."""
    over_sea = weather.sea_temperature + SEA_FREEDOM * (
        weather.temperature - weather.sea_temperature
    )
    extra = EXTRA_WARMING_LAND * sftlf + EXTRA_WARMING_PER_KM * 1e-3 * orog
    mixed = over_sea + sftlf * (weather.temperature - over_sea)
    return mixed - LAPSE_RATE * orog + extra * weather.warming


def upslope_wind(weather: Weather, terrain: Terrain) -> np.ndarray:
    """Vertical speed of air that follows the ground, m s-1 [T, ny, nx]."""
    return weather.u * terrain.slope_x + weather.v * terrain.slope_y


def cold_pool(weather: Weather, terrain: Terrain) -> np.ndarray:
    """Cooling in K [T, ny, nx] (0 or more) of calm, clear, cold days over land."""
    calm = _step(5.5 - np.hypot(weather.u, weather.v), 1.0)
    clear = _step(0.55 - weather.humidity, 0.06) * _step(weather.psl - 101300.0, 200.0)
    cold = _step(284.0 - weather.temperature, 2.0)
    hollow = 0.25 + 0.75 * np.tanh(terrain.valley_depth / COLD_POOL_DEPTH_M)
    return COLD_POOL_K * terrain.sftlf * hollow * calm * clear * cold


def foehn(weather: Weather, terrain: Terrain) -> np.ndarray:
    """Warming in K [T, ny, nx] (0 or more) of air that flows down a slope."""
    down = np.maximum(-upslope_wind(weather, terrain), 0.0)
    return FOEHN_K * np.tanh(down / SLOPE_WIND) * _step(weather.humidity - 0.45, 0.1)


def frontal_rain(weather: Weather) -> np.ndarray:
    """Rain in mm per day [T, ny, nx] as it would be without mountains."""
    moist = 2.4 * (weather.humidity - 0.5)
    excess = np.maximum(weather.lift + moist, 0.0)
    return RAIN_RATE * excess**1.3 * np.sqrt(weather.hus700 / 2.5e-3)


def orographic_factor(weather: Weather, terrain: Terrain) -> np.ndarray:
    """Factor of the rain due to slopes [T, ny, nx], above 1 where air rises."""
    rise = upslope_wind(weather, terrain) / SLOPE_WIND
    upslope = UPSLOPE_RAIN * np.tanh(np.maximum(rise, 0.0) / 2.0) * weather.humidity / 0.6
    return (1.0 + upslope) * np.exp(-SHADOW * np.tanh(np.maximum(-rise, 0.0)))


def truth(
    weather: Weather, terrain: Terrain, physics: Physics = TRUE
) -> tuple[np.ndarray, np.ndarray]:
    """True tas in K and pr in mm per day [T, ny, nx], without noise."""
    tas = surface_temperature(weather, terrain.orog, terrain.sftlf)
    cooling = physics.cold_pool * cold_pool(weather, terrain)
    tas += physics.foehn * foehn(weather, terrain) - cooling
    slopes = orographic_factor(weather, terrain) ** physics.upslope
    return tas, physics.rain * frontal_rain(weather) * slopes


def noise(
    shape: tuple[int, ...], count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Unpredictable part of `count` days [count, *shape].

    Returns:
        An addend of tas in K, AR(1) in time, and a lognormal factor of pr with mean 1.
    """
    tas, pr = rng.standard_normal((2, count, *shape), dtype=np.float32)
    fresh = float(np.sqrt(1.0 - TAS_NOISE_MEMORY**2))
    for day in range(1, count):
        tas[day] = TAS_NOISE_MEMORY * tas[day - 1] + fresh * tas[day]
    return TAS_NOISE_K * tas, np.exp(PR_NOISE * pr - 0.5 * PR_NOISE**2)


def _step(value: np.ndarray, width: float) -> np.ndarray:
    """Smooth step, 0 far below 0 and 1 far above."""
    return 0.5 + 0.5 * np.tanh(value / (2.0 * width))
