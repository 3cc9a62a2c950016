"""The weather in made-up GCMs: area means on each GCM's grid, with its errors.

A GCM has smooth mountains and coasts, hence no cold pools, no foehn and no rain on slopes; it
drizzles when the air is moist. The errors of each are listed in `GCMS`. A view without
errors or noise, on cells of twice the target's spacing, can be upscaled to any grid.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.sparse import csr_array, vstack

from graphdown.data.synthetic.climate import frontal_rain, surface_temperature
from graphdown.data.synthetic.orography import Terrain
from graphdown.data.synthetic.target_region import POLE_LAT, POLE_LON, WorldRegion
from graphdown.data.synthetic.weather import Weather
from meshes import EARTH_RADIUS_KM, Grid, coarsen, conservative

MARGIN_KM = 370.0
DRIZZLE = 0.4
NOISE = {"tas": 0.15, "psl": 30.0, "hus700": 3e-5, "ua850": 0.2, "va850": 0.2}
PR_NOISE = 0.05
ATTRS = {
    "tas": {"standard_name": "air_temperature", "units": "K"},
    "pr": {"standard_name": "lwe_precipitation_rate", "units": "mm day-1"},
    "psl": {"standard_name": "air_pressure_at_mean_sea_level", "units": "Pa"},
    "hus700": {"standard_name": "specific_humidity", "units": "1"},
    "ua850": {"standard_name": "eastward_wind", "units": "m s-1"},
    "va850": {"standard_name": "northward_wind", "units": "m s-1"},
    "orog": {"standard_name": "surface_altitude", "units": "m"},
    "sftlf": {"standard_name": "land_area_fraction", "units": "1"},
}
PERFECT = "perfect"
PERFECT_CELLS = 2
PREDICTORS = ("tas", "pr", "psl", "hus700", "ua850", "va850")


@dataclass(frozen=True)
class Errors:
    """Systematic errors of a GCM: an addend in K and factors."""

    tas: float
    pr: float
    wind: float
    humidity: float


GCMS = {
    "regular": Errors(tas=0.2, pr=1.06, wind=0.98, humidity=1.02),
    "gaussian": Errors(tas=-0.25, pr=0.94, wind=1.03, humidity=0.98),
    "rotated": Errors(tas=0.1, pr=1.08, wind=1.04, humidity=0.96),
    "shifted": Errors(tas=-0.15, pr=0.92, wind=0.96, humidity=1.04),
}


def view_grids(target: Grid) -> dict[str, Grid]:
    """Grid of each GCM, covering the target and a margin around it."""
    margin = np.degrees(MARGIN_KM / EARTH_RADIUS_KM)
    wide = margin / np.cos(np.radians(target.lat.mean()))
    west, east = target.lon.min() - wide, target.lon.max() + wide
    south, north = target.lat.min() - margin, target.lat.max() + margin
    rlon, rlat = (target.coords[name].values for name in ("rlon", "rlat"))
    return {
        "regular": Grid.regular(1.875, 1.25, (west, south, east, north)),
        "gaussian": Grid.gaussian(96, (west, south, east, north)),
        "rotated": Grid.rotated(
            POLE_LON,
            POLE_LAT,
            np.arange(rlon.min() - margin, rlon.max() + margin, 1.5),
            np.arange(rlat.min() - margin, rlat.max() + margin, 1.5),
        ),
        "shifted": Grid.regular(1.25, 1.0, (west + 0.4, south + 0.3, east, north)),
    }


class Views:
    """Collects the days of each GCM, and of the perfect view if it is requested."""

    def __init__(self, region: WorldRegion, terrain: Terrain, perfect: bool = False):
        self._region, self._terrain = region, terrain
        self.grids = view_grids(region.target)
        self._means = means_to(region.box, list(self.grids.values()))
        self._days: list[dict[str, np.ndarray]] = []
        self._perfect = coarsen(region.box, PERFECT_CELLS) if perfect else None
        if self._perfect is not None:
            self._perfect_means = means_to(region.box, [self._perfect])
            self._perfect_days: list[dict[str, np.ndarray]] = []

    def add(self, weather: Weather, rng: np.random.Generator) -> None:
        """Show some days of the weather to all GCMs."""
        fields = global_fields(weather, self._region, self._terrain)
        if self._perfect is not None:
            means = {name: area_means(self._perfect_means, field) for name, field in fields.items()}
            self._perfect_days.append(means)
        days = {name: area_means(self._means, field) for name, field in fields.items()}
        self._days.append(with_noise(days, rng))

    def datasets(self, times: np.ndarray) -> dict[str, xr.Dataset]:
        """Datasets of all days as each GCM shows them, its errors included."""
        series = {name: np.concatenate([day[name] for day in self._days]) for name in PREDICTORS}
        ends = np.cumsum([grid.size for grid in self.grids.values()])[:-1]
        parts = {name: np.split(values, ends, axis=1) for name, values in series.items()}
        orog = np.split(area_means(self._means, self._terrain.model_orog[None])[0], ends)
        shown = {}
        for i, (gcm, grid) in enumerate(self.grids.items()):
            fields = {name: with_errors(name, parts[name][i], GCMS[gcm]) for name in PREDICTORS}
            shown[gcm] = dataset(grid, fields, {"orog": orog[i]}, times)
        if self._perfect is not None:
            fields = {n: np.concatenate([day[n] for day in self._perfect_days]) for n in PREDICTORS}
            height = area_means(self._perfect_means, self._terrain.model_orog[None])[0]
            shown[PERFECT] = dataset(self._perfect, fields, {"orog": height}, times)
        return shown


def global_fields(weather: Weather, region: WorldRegion, terrain: Terrain) -> dict[str, np.ndarray]:
    """Daily fields of a GCM without errors on the box's cells [T, ny, nx]."""
    drizzle = DRIZZLE / (1.0 + np.exp((0.5 - weather.humidity) / 0.08))
    return {
        "tas": surface_temperature(weather, terrain.model_orog, terrain.model_sftlf),
        "pr": frontal_rain(weather) + drizzle,
        **flow(weather, region),
    }


def flow(weather: Weather, region: WorldRegion) -> dict[str, np.ndarray]:
    """Pressure, humidity and the wind in true directions [T, ny, nx]."""
    turn = region.turn.astype(np.float32)
    cos, sin = np.cos(turn), np.sin(turn)
    return {
        "psl": weather.psl,
        "hus700": weather.hus700,
        "ua850": weather.u * cos - weather.v * sin,
        "va850": weather.u * sin + weather.v * cos,
    }


def with_noise(days: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Daily fields with independent noise at each point; the input may be changed in place."""
    for name, values in days.items():
        random = rng.standard_normal(values.shape, dtype=np.float32)
        if name == "pr":
            values *= np.exp(PR_NOISE * random)
        else:
            values += NOISE[name] * random
    return {**days, "hus700": np.maximum(days["hus700"], 1e-6)}


def means_to(box: Grid, grids: list[Grid]) -> csr_array:
    """Matrix [cells of all grids, cells of the box] of area means."""
    return csr_array(vstack([conservative(box, grid).matrix() for grid in grids], dtype=np.float32))


def area_means(means: csr_array, field: np.ndarray) -> np.ndarray:
    """Area means [T, cells] of a field [T, ny, nx]."""
    return np.ascontiguousarray((means @ field.reshape(len(field), -1).T).T)


def with_errors(name: str, values: np.ndarray, errors: Errors) -> np.ndarray:
    """Variable with the systematic errors of a GCM."""
    if name == "tas":
        return values + errors.tas
    factors = {"pr": errors.pr, "hus700": errors.humidity, "psl": 1.0}
    return values * factors.get(name, errors.wind)


def dataset(
    grid: Grid, daily: dict[str, np.ndarray], static: dict[str, np.ndarray], times: np.ndarray
) -> xr.Dataset:
    """Daily [T, N] and static [N] fields on a grid as a dataset with CF attributes."""
    variables = {
        name: grid.dataarray(values, name, attrs=ATTRS[name]) for name, values in static.items()
    }
    for name, values in daily.items():
        variables[name] = grid.dataarray(values, name, ("time",), {"time": times}, ATTRS[name])
    return xr.Dataset(variables)
