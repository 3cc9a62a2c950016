"""Day-by-day large-scale weather on the box: drifting waves with a geostrophic wind."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from graphdown.config.synthetic import WorldSpec
from graphdown.data.synthetic.target_region import WorldRegion
from graphdown.data.synthetic.waves import Waves

CORIOLIS, AIR_DENSITY = 1.1e-4, 1.25
WESTERLY, WESTERLY_SEASON = 7.0, 2.5
WIND_STD = 6.5
# Wavelengths in km of the pressure, of air mass and moisture, and of fronts, with their shares of
# the variance. The views would not resolve finer ones, so their effects could not be learned.
PRESSURE = ((2000.0, 0.85), (900.0, 0.15))
AIR_MASS = ((2000.0, 0.7), (900.0, 0.26), (550.0, 0.04))
FRONTS = ((1000.0, 0.6), (600.0, 0.4))
STEERING_KM_PER_DAY = 450.0
WINTER_VIGOUR = 0.2
WARMING_PER_YEAR = 0.12
SEA_MEMORY_DAYS = 30.0


@dataclass(frozen=True)
class Character:
    """Traits of the weather of one global model.

    Attributes:
        warmth: K that all years are warmer.
        vigour: factor of pressure systems, winds and their effects.
        warming: factor of the warming.
        moisture: addend of the argument of the relative humidity's logistic curve.
    """

    warmth: float = 0.0
    vigour: float = 1.0
    warming: float = 1.0
    moisture: float = 0.0


PLAIN = Character()


@dataclass(frozen=True, eq=False)
class Weather:
    """The large-scale state of some days, float32 [T, ny, nx] where not said otherwise.

    Attributes:
        times: days, datetime64[ns] [T].
        temperature: of the air, reduced to sea level over land, K.
        sea_temperature: of the sea surface, K [T, ny, 1].
        warming: K since the first year [T, 1, 1].
        u, v: wind along the box's axes at 850 hPa, m s-1.
        psl: sea level pressure, Pa.
        humidity: relative humidity at 700 hPa, 0 to 1.
        hus700: specific humidity at 700 hPa, 1.
        lift: how strongly air rises in fronts and lows, about -3 to 3.
    """

    times: np.ndarray
    temperature: np.ndarray
    sea_temperature: np.ndarray
    warming: np.ndarray
    u: np.ndarray
    v: np.ndarray
    psl: np.ndarray
    humidity: np.ndarray
    hus700: np.ndarray
    lift: np.ndarray


def simulate(
    spec: WorldSpec,
    region: WorldRegion,
    waves: Waves,
    rng: np.random.Generator,
    character: Character = PLAIN,
) -> Iterator[Weather]:
    """Yield the weather year by year; each wave is an AR(1) process carried by the westerlies."""
    kept = np.sqrt(1.0 - waves.memory**2)
    carry = waves.memory * np.exp(-1j * waves.kx * STEERING_KM_PER_DAY * 1e3)
    kept, carry = kept.astype(np.float32), carry.astype(np.complex64)
    state = waves.draw(rng, 4)
    sea_anomaly = 0.0
    for year in range(spec.start_year, spec.start_year + spec.years):
        times = np.arange(f"{year}-01-01", f"{year + 1}-01-01", dtype="datetime64[D]")
        days = np.empty((len(times), *state.shape), dtype=np.complex64)
        for day, fresh in enumerate(waves.draw(rng, len(times), 4)):
            days[day] = state = carry * state + kept * fresh
        weather, sea_anomaly = _state(spec, region, waves, times, days, sea_anomaly, character)
        yield weather


def _state(
    spec: WorldSpec,
    region: WorldRegion,
    waves: Waves,
    times: np.ndarray,
    days: np.ndarray,
    sea_anomaly: float,
    character: Character,
) -> tuple[Weather, float]:
    """Weather of one year from its waves [T, 4, Y, X], and the sea's last anomaly."""
    start = np.datetime64(f"{spec.start_year}-01-01")
    age = ((times - start).astype(np.float32) / 365.25)[:, None, None]
    phase = 2.0 * np.pi * (age - np.floor(age))
    winter = _cosine(phase, 15)
    vigour = character.vigour * (1.0 + WINTER_VIGOUR * winter)
    pressure, air_mass, fronts = (waves.spectrum(s) for s in (PRESSURE, AIR_MASS, FRONTS))
    pressure *= WIND_STD / float(np.sqrt(np.sum((pressure * waves.number) ** 2) / 2.0))
    stream = days[:, 0] * pressure
    kx, ky, turning = (k.astype(np.float32) for k in (waves.kx, waves.ky, -(waves.number**2)))
    westerly = WESTERLY + WESTERLY_SEASON * winter
    u = vigour * waves.field(-1j * ky * stream) + westerly
    v = vigour * waves.field(1j * kx * stream)
    y_m = (1e3 * region.y_km).astype(np.float32)[None, :, None]
    psl = 101400.0 + AIR_DENSITY * CORIOLIS * (vigour * waves.field(stream) - westerly * y_m)
    spin = waves.field(turning * stream) / float(np.sqrt(np.sum((pressure * turning) ** 2)))
    air, moist = (waves.field(days[:, i] * air_mass) for i in (1, 2))
    front = waves.field(days[:, 3] * fronts)
    anomaly = vigour * (2.0 * air + 0.2 * v)
    memory = 1.0 / SEA_MEMORY_DAYS
    slow = np.empty_like(age)
    for day, mean in enumerate(anomaly.mean(axis=(1, 2))):
        sea_anomaly += memory * (float(mean) - sea_anomaly)
        slow[day] = sea_anomaly
    warming = character.warming * WARMING_PER_YEAR * age
    lat = region.box.lat.reshape(region.box.shape).astype(np.float32)
    base = 283.5 + character.warmth - 0.6 * (lat - 50.0)
    temperature = base + 9.0 * _cosine(phase, 199) + anomaly + warming
    sea_base = base.mean(axis=1, keepdims=True) + 1.0
    sea = sea_base + 4.5 * _cosine(phase, 234) + slow + 0.7 * warming
    wetness = 0.9 * moist + 0.6 * spin + 0.25 * winter + character.moisture
    humidity = 1.0 / (1.0 + np.exp(-wetness))
    weather = Weather(
        times=times.astype("datetime64[ns]"),
        temperature=temperature,
        sea_temperature=sea,
        warming=warming,
        u=u,
        v=v,
        psl=psl,
        humidity=humidity,
        hus700=humidity * saturation(temperature - 17.0, 7e4),
        lift=0.7 * spin + 0.6 * front,
    )
    return weather, sea_anomaly


def saturation(temperature: np.ndarray, pressure: float) -> np.ndarray:
    """Specific humidity at saturation for K and Pa (Bolton 1980, eq. 10)."""
    celsius = temperature - 273.15
    return 0.622 * 611.2 / pressure * np.exp(17.67 * celsius / (celsius + 243.5))


def _cosine(phase: np.ndarray, peak_day: float) -> np.ndarray:
    """Yearly cosine, 1 on `peak_day` of the year."""
    return np.cos(phase - 2.0 * np.pi * peak_day / 365.25)
