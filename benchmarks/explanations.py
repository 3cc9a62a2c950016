"""What an emulator of the embedded world follows, against the physics that the world was made by.

Example: python benchmarks/explanations.py --steps 1000

The network of configs/demo.yaml is trained without learned numbers by target node. Its derivatives
are compared with those of the world's own formulae (graphdown/data/synthetic/climate.py) at the
same points and days of the test period: the change of temperature with the target's height, with
the source's temperature, and that of rain with humidity where the source's own rain stays as it is:
more where air flows up a slope, and a little less elsewhere, since more of the source's rain is
drizzle then. The world is local: what happens upwind does not count. The table and a picture are
written to benchmarks/results. The folder `run` in --folder keeps the training.
"""

import argparse
import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import xarray as xr
from common_arguments import benchmark_parser, parse
from flax import nnx
from results_table import markdown_table, page_head, write_results
from scipy.stats import spearmanr

import graphdown
from graphdown.config.experiment_file import load_experiment
from graphdown.config.synthetic import WorldSpec
from graphdown.data.load import load_data
from graphdown.data.synthetic import climate
from graphdown.data.synthetic.make import cut
from graphdown.data.synthetic.orography import Terrain, make_terrain
from graphdown.data.synthetic.target_region import make_region
from graphdown.data.synthetic.views import DRIZZLE
from graphdown.data.synthetic.waves import Waves
from graphdown.data.synthetic.weather import Weather, simulate
from graphdown.emulator.build_network import new_network
from graphdown.explanation.explain import explain
from graphdown.explanation.gradients import DifferentiableEmulator
from graphdown.explanation.physical_checks import checks_table, physical_checks
from graphdown.explanation.picture import draw_explanation
from graphdown.model.parameters import named_values
from graphdown.variables.forcings import forcings

POINTS, SLOPE_POINTS = 24, 40
HIGHER, WARMER, MOISTER = 100.0, 1.0, 0.05  # m, K, share
RISING = 0.02  # m s-1
SOURCE = "regular"


def main() -> None:
    parser = benchmark_parser(
        __doc__,
        experiment=Path("configs/demo.yaml"),
        steps=1000,
        days=48,
        overrides=(),
        folder=None,
    )
    options = parse(parser)
    with tempfile.TemporaryDirectory() as temporary:
        run = Path(options.folder or temporary) / "run"
        changes = [f"output={run}", f"training.steps={options.steps}", "model.target_embedding=0"]
        experiment = load_experiment(options.experiment, [*changes, *options.overrides])
        data = load_data(experiment)
        if not (run / "emulator").is_dir():
            graphdown.train(experiment, data)
        emulator = graphdown.load(run)
    coarse = data.sources[SOURCE].sel(time=slice(*experiment.periods.test))
    terrain, weather = world_at(experiment.data.world, coarse.time)
    found = {
        name: explain(emulator, coarse, name, points=POINTS, days=options.days)
        for name in ("tas", "pr")
    }
    options.output.mkdir(parents=True, exist_ok=True)
    draw_explanation(found["pr"], options.output / "explanations.png")
    rows = [
        *lapse_rates(emulator, coarse, terrain, weather),
        *warmed(emulator, coarse, terrain, weather),
        *moistened(emulator, coarse, terrain, weather, options.days),
    ]
    fine = emulator.downscale(coarse)
    truth = data.fine.sel(time=fine.time)
    statics = emulator.domain.statics
    checks = checks_table(*(physical_checks(ds, statics, coarse) for ds in (fine, truth)))
    write(options, rows, found, sanity(emulator, coarse, found["pr"]), checks)


def world_at(spec: WorldSpec, times: xr.DataArray) -> tuple[Terrain, Weather]:
    """Return the terrain [1, N] of the target and its weather [time, N, 1] on some days."""
    land, sky = (
        np.random.default_rng(seed) for seed in np.random.SeedSequence(spec.seed).spawn(4)[:2]
    )
    region = make_region(spec.size)
    waves = Waves(region.x_km, region.y_km)
    terrain = make_terrain(region, waves, land)
    window = region.window
    target = Terrain(*(field[window[1:]] for field in vars(terrain).values()))
    kept: list[dict[str, np.ndarray]] = []
    for year in simulate(spec, region, waves, sky):
        days = np.isin(year.times, times.values)
        if days.any():
            here = vars(cut(year, window))
            kept.append({n: v[days] for n, v in here.items()})
    return target, Weather(**{n: np.concatenate([k[n] for k in kept]) for n in kept[0]})


def lapse_rates(
    emulator: graphdown.Emulator, coarse: xr.Dataset, terrain: Terrain, weather: Weather
) -> list[tuple[str, float, float, float]]:
    """Compare the change of temperature with the target's height, in K per km."""
    domain = emulator.domain
    statics = domain.statics.assign(orog=domain.statics.orog + HIGHER)
    higher = type(domain)(domain.target, statics, domain.spec)
    raised = dataclasses.replace(emulator, domain=higher, loader=None)
    change = raised.downscale(coarse).tas - emulator.downscale(coarse).tas
    above = dataclasses.replace(terrain, orog=terrain.orog + HIGHER)
    truth = [climate.truth(weather, place)[0] for place in (terrain, above)]
    land = terrain.sftlf > 0.5
    values = [1e3 / HIGHER * field[:, land] for field in (truth[1] - truth[0], change.values)]
    return [row("tas with the target's height over land (K per km)", *values)]


def warmed(
    emulator: graphdown.Emulator, coarse: xr.Dataset, terrain: Terrain, weather: Weather
) -> list[tuple[str, float, float, float]]:
    """Compare the change of temperature with that of the source, in K per K."""
    change = emulator.downscale(coarse.assign(tas=coarse.tas + WARMER)).tas
    change = change - emulator.downscale(coarse).tas
    warmer = dataclasses.replace(weather, temperature=weather.temperature + WARMER)
    # Over the sea, the source's temperature is mostly the water's; over land, the air's.
    truth = climate.truth(warmer, terrain)[0] - climate.truth(weather, terrain)[0]
    land = terrain.sftlf > 0.9
    return [
        row("tas with the source's tas over land (K per K)", truth[:, land], change.values[:, land])
    ]


def moistened(
    emulator: graphdown.Emulator,
    coarse: xr.Dataset,
    terrain: Terrain,
    weather: Weather,
    count: int,
) -> list[tuple[str, float, float, float]]:
    """Compare the change of rain with humidity, the source's own rain staying as it is."""
    rise = climate.upslope_wind(weather, terrain).reshape(len(weather.times), -1)
    steep = np.argsort(-np.hypot(terrain.slope_x, terrain.slope_y).ravel())
    points = steep[:: max(1, len(steep) // (3 * SLOPE_POINTS))][:SLOPE_POINTS]
    # The effect of slopes depends on humidity, and so does the drizzle in the source's rain.
    moister = dataclasses.replace(weather, humidity=weather.humidity * (1.0 + MOISTER))
    factors = [climate.orographic_factor(w, terrain) for w in (weather, moister)]
    drizzle = [DRIZZLE / (1.0 + np.exp((0.5 - w.humidity) / 0.08)) for w in (weather, moister)]
    rain = climate.frontal_rain(weather)
    fronts = np.maximum(rain - (drizzle[1] - drizzle[0]), 0.0)
    truth = fronts * factors[1] - rain * factors[0]
    days = np.linspace(0, len(weather.times) - 1, count).astype(int)
    truth = truth.reshape(len(weather.times), -1)[days][:, points]
    own = MOISTER * along_humidity(emulator, coarse, points, days)
    rise = rise[days][:, points]
    rising, sinking = rise > RISING, rise < -RISING
    return [
        row("pr with 5 % more hus700, air rising (mm/day)", truth[rising], own[rising]),
        row("pr with 5 % more hus700, air sinking (mm/day)", truth[sinking], own[sinking]),
    ]


def along_humidity(
    emulator: graphdown.Emulator, coarse: xr.Dataset, points: np.ndarray, days: np.ndarray
) -> np.ndarray:
    """Return the derivatives [days, points] of rain along the logarithm of hus700 everywhere."""
    inference = emulator.inference(coarse, None, None, 0, 0)
    fields = np.concatenate(list(inference.values()))[days]
    blocks, names = inference.blocks, emulator.normaliser.predictors
    network = DifferentiableEmulator(blocks.network, blocks.normaliser, blocks.graph)
    season, column = forcings(coarse.time[days], 24), names.index("hus700")
    made = []
    for point in points:
        weights = np.zeros((1, emulator.domain.target.size, len(emulator.targets)), np.float32)
        weights[0, point, emulator.targets.index("pr")] = 1.0
        gradients = network.gradients(fields, season, weights)[1]
        made.append((gradients[..., column] * fields[..., column]).sum(axis=1))
    return np.stack(made, axis=1)


def row(what: str, truth: np.ndarray, own: np.ndarray) -> tuple[str, float, float, float]:
    """Return means over points and days, and the rank correlation of both."""
    pair = np.ravel(truth), np.ravel(own)
    varies = len(pair[0]) > 1 and all(v.std() > 0.05 * abs(v.mean()) for v in pair)
    rank = spearmanr(*pair).statistic if varies else np.nan
    return what, float(np.mean(truth)), float(np.mean(own)), float(rank)


def sanity(emulator: graphdown.Emulator, coarse: xr.Dataset, own: xr.Dataset) -> float:
    """Return the rank correlation of maps of the sensitivity with those of an untrained network."""
    fresh = new_network(emulator.model, emulator.domain, emulator.normaliser, seed=1)
    rng = np.random.default_rng(0)
    params = {  # the last layers of a new network are zero
        n: v + 0.1 * rng.normal(size=v.shape).astype(np.float32)
        for n, v in named_values(nnx.state(fresh)).items()
    }
    random = dataclasses.replace(emulator, params=params, loader=None)
    other = explain(random, coarse, "pr", points=1, steps=1)
    pair = (np.nan_to_num(ds.sensitivity.values).ravel() for ds in (own, other))
    return float(spearmanr(*pair).statistic)


def write(
    options: argparse.Namespace,
    rows: list[tuple[str, float, float, float]],
    found: dict[str, xr.Dataset],
    likeness: float,
    checks: str,
) -> None:
    lines = [
        *page_head("What an emulator of the embedded world follows", options),
        "Derivatives of the emulator and of the world's own formulae, means over points and days "
        "of the test period, and the rank correlation between both.",
        "",
        *markdown_table(
            ("derivative", "world", "emulator", "rank correlation"),
            [
                (what, f"{a:.3f}", f"{b:.3f}", f"{c:.2f}" if np.isfinite(c) else "–")
                for what, a, b, c in rows
            ],
        ),
        "",
        f"Maps of the sensitivity of pr have a rank correlation of {likeness:.2f} with those of a "
        "network with random parameters.",
        "",
        "Physical checks of the downscaled and of the true fields:",
        "",
        *("```text", checks, "```"),
    ]
    for name, ds in found.items():
        shares = ds.saliency_by_distance.sum("distance").values
        error = float(
            np.abs(ds.completeness_error).max() / np.abs(ds.value - ds.reference_value).mean()
        )
        lines += [
            "",
            f"## {name}",
            "",
            f"Dispersion {float(ds.dispersion.mean()):.0f} km; the integrated gradients of single "
            f"days add up to within {100 * error:.2f} % of the mean difference.",
            "",
            *markdown_table(
                ("predictor", "share in the saliency", "distance upwind (km)"),
                [
                    (str(p), f"{100 * s:.1f} %", f"{km:+.0f}" if np.isfinite(km) else "–")
                    for p, s, km in zip(
                        ds.predictor.values, shares, ds.upwind_distance.values, strict=True
                    )
                ],
            ),
        ]
    write_results(options, "explanations", [*lines, "", "![Rain](explanations.png)"])


if __name__ == "__main__":
    main()
