"""The ensemble: four made-up GCMs with weather of their own, and two RCMs that each can drive.

A GCM has its own realisation of the weather and its own climate (`Character`), and is seen on its
own grid with its own errors: the view "gcm-a". An RCM follows the weather of the GCM that drives
it, on a target grid and with a physics of its own; its fields on cells of twice the spacing of the
simulated box, to be upscaled to any grid, are the view "rcmu-a". So every pair of a GCM and an RCM
has its truth, in the perfect and in the imperfect framework.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from graphdown.config.synthetic import WorldSpec
from graphdown.data.synthetic import climate
from graphdown.data.synthetic.climate import Physics
from graphdown.data.synthetic.orography import Terrain, make_terrain
from graphdown.data.synthetic.target_region import WorldRegion, make_region
from graphdown.data.synthetic.views import (
    PERFECT_CELLS,
    Errors,
    area_means,
    dataset,
    flow,
    global_fields,
    means_to,
    view_grids,
    with_errors,
    with_noise,
)
from graphdown.data.synthetic.waves import Waves
from graphdown.data.synthetic.weather import Character, Weather, simulate
from graphdown.data.synthetic.world import World
from meshes import Grid, coarsen

RCM2_SPACING = (0.36, 0.24)


@dataclass(frozen=True)
class Gcm:
    """A global model.

    Attributes:
        grid: name of its grid, see `view_grids`.
        character: of its climate.
        errors: of its fields.
    """

    grid: str
    character: Character
    errors: Errors


GCMS = {
    "a": Gcm("regular", Character(), Errors(tas=0.2, pr=1.06, wind=0.98, humidity=1.02)),
    "b": Gcm(
        "gaussian",
        Character(warmth=-0.9, vigour=1.1, warming=1.3, moisture=0.1),
        Errors(tas=-0.4, pr=0.92, wind=1.04, humidity=0.97),
    ),
    "c": Gcm(
        "rotated",
        Character(warmth=0.7, vigour=0.9, warming=0.8, moisture=-0.1),
        Errors(tas=0.3, pr=1.1, wind=1.03, humidity=0.95),
    ),
    "d": Gcm(
        "shifted",
        Character(warmth=1.2, vigour=1.05, warming=1.6, moisture=-0.15),
        Errors(tas=-0.3, pr=0.88, wind=0.95, humidity=1.05),
    ),
}
RCMS = {
    "rcm-1": Physics(),
    "rcm-2": Physics(foehn=0.7, cold_pool=1.25, rain=0.9, upslope=1.2),
}
VIEWS = (*(f"gcm-{letter}" for letter in GCMS), *(f"rcmu-{letter}" for letter in GCMS))


@dataclass(frozen=True)
class _Place:
    """What all members of an ensemble share."""

    region: WorldRegion
    waves: Waves
    terrain: Terrain
    target: Grid


def make_ensemble(spec: WorldSpec, views: Sequence[str]) -> World:
    """World of one RCM of the ensemble: some views, and the truth that belongs to each.

    Args:
        spec: size, period and seed, and the RCM.
        views: among `VIEWS`; other GCMs are not simulated.
    """
    assert spec.rcm is not None
    region = make_region(spec.size)
    waves = Waves(region.x_km, region.y_km)
    land = np.random.default_rng(np.random.SeedSequence(spec.seed).spawn(4)[0])
    terrain = make_terrain(region, waves, land)
    place = _Place(region, waves, terrain, target_grid(region, spec.rcm))
    shown: dict[str, xr.Dataset] = {}
    truths: dict[str, xr.Dataset] = {}
    squares: dict[str, list[float]] = {"tas": [], "pr": []}
    for letter in GCMS:
        names = [view for view in VIEWS if view in views and view.endswith(f"-{letter}")]
        if names:
            datasets, truth, unknown = _member(spec, place, letter, names)
            shown |= datasets
            truths |= dict.fromkeys(names, truth)
            for name, value in unknown.items():
                squares[name].append(value)
    means = means_to(region.box, [place.target])
    statics = {
        name: area_means(means, getattr(terrain, name)[None])[0] for name in ("orog", "sftlf")
    }
    return World(
        statics=dataset(place.target, {}, statics, np.empty(0, "datetime64[ns]")),
        truth=truths[views[0]],
        views=shown,
        noise_floor={name: float(np.sqrt(np.mean(errors))) for name, errors in squares.items()},
        truths=truths,
    )


def target_grid(region: WorldRegion, rcm: str) -> Grid:
    """Target grid of an RCM: rotated cells, or regular ones over the same area."""
    if rcm == "rcm-1":
        return region.target
    lon, lat = region.target.lon, region.target.lat
    return Grid.regular(*RCM2_SPACING, (lon.min(), lat.min(), lon.max(), lat.max()))


def _member(
    spec: WorldSpec, place: _Place, letter: str, views: Sequence[str]
) -> tuple[dict[str, xr.Dataset], xr.Dataset, dict[str, float]]:
    """Views of one GCM, the truth that it drives, and the mean squares of the noise."""
    gcm, number = GCMS[letter], [*GCMS].index(letter)
    sky, model = (
        np.random.default_rng(s) for s in np.random.SeedSequence((spec.seed, number)).spawn(2)
    )
    local = np.random.default_rng((spec.seed, number, 1 + [*RCMS].index(str(spec.rcm))))
    box, to_target = place.region.box, means_to(place.region.box, [place.target])
    grids = {"gcm": view_grids(place.region.target)[gcm.grid], "rcmu": coarsen(box, PERFECT_CELLS)}
    kinds = {view: view.partition("-")[0] for view in views}
    means = {view: means_to(box, [grids[kind]]) for view, kind in kinds.items()}
    days: dict[str, list[dict[str, np.ndarray]]] = {view: [] for view in views}
    fine: list[dict[str, np.ndarray]] = []
    times, squares = [], []
    for weather in simulate(spec, place.region, place.waves, sky, gcm.character):
        known, regional = _regional(spec, place, weather, local)
        fine.append({name: area_means(to_target, field) for name, field in regional.items()})
        missed = {n: fine[-1][n] - area_means(to_target, known[n]) for n in regional}
        squares.append({name: float(np.mean(field**2)) for name, field in missed.items()})
        times.append(weather.times)
        for view, kind in kinds.items():
            if kind == "rcmu":
                fields = {**regional, **flow(weather, place.region)}
            else:
                fields = global_fields(weather, place.region, place.terrain)
            daily = {name: area_means(means[view], field) for name, field in fields.items()}
            days[view].append(daily if kind == "rcmu" else with_noise(daily, model))
    dates = np.concatenate(times)
    shown = {}
    for view, kind in kinds.items():
        series = _joined(days[view])
        if kind == "gcm":
            series = {n: with_errors(n, values, gcm.errors) for n, values in series.items()}
        height = place.terrain.orog if kind == "rcmu" else place.terrain.model_orog
        orog = {"orog": area_means(means[view], height[None])[0]}
        shown[view] = dataset(grids[kind], series, orog, dates)
    truth = dataset(place.target, _joined(fine), {}, dates)
    return shown, truth, {n: float(np.mean([s[n] for s in squares])) for n in ("tas", "pr")}


def _regional(
    spec: WorldSpec, place: _Place, weather: Weather, rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """An RCM's fields on the box [T, ny, nx] for the weather, without and with noise."""
    tas, pr = climate.truth(weather, place.terrain, RCMS[str(spec.rcm)])
    addend, factor = climate.noise(place.region.box.shape, len(weather.times), rng)
    return {"tas": tas, "pr": pr}, {"tas": tas + addend, "pr": pr * factor}


def _joined(parts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
