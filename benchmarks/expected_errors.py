"""Expected against true errors of an emulator, on GCMs and warmings that calibration never saw.

Example: python benchmarks/expected_errors.py --steps 600

The network of configs/ensemble.yaml is trained on three made-up GCMs. Its expected errors are
calibrated on these GCMs in later years, as they are and 2 and 4 K warmer, and compared with the
true ones on three other GCMs, as they are and 2 and 4 K warmer. Warmer GCMs are simulated as such,
with the regional model that they drive, so that their truth is no assumption. The table is
written to benchmarks/results/expected_errors.md. The folder `run` in --folder keeps the training.
"""

import argparse
import dataclasses
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import xarray as xr
from common_arguments import benchmark_parser, parse
from results_table import markdown_table, page_head, write_results
from scipy.stats import spearmanr

import graphdown
from graphdown.applicability.day_measures import SEASONS, months_of, seasons_of
from graphdown.applicability.error_calibration import EXPECTED, ErrorCalibration
from graphdown.config.experiment_file import load_experiment
from graphdown.config.synthetic import WorldSpec
from graphdown.data.synthetic import gcm_ensemble
from graphdown.data.synthetic.gcm_ensemble import GCMS, Gcm
from graphdown.data.synthetic.views import Errors
from graphdown.data.synthetic.weather import Character
from graphdown.sharing.keep_evaluation import HeldOutErrors, calibrated, errors_of

FURTHER = {
    "e": Gcm(
        "gaussian",
        Character(warmth=-1.5, vigour=0.95, warming=1.1, moisture=0.15),
        Errors(tas=0.1, pr=1.15, wind=1.05, humidity=1.03),
    ),
    "f": Gcm(
        "shifted",
        Character(warmth=0.3, vigour=1.15, warming=1.4, moisture=-0.05),
        Errors(tas=-0.1, pr=0.9, wind=0.97, humidity=0.96),
    ),
}
LEARNED, OTHERS, WARMINGS = "abc", "def", (0.0, 2.0, 4.0)
FIRST_YEAR = 1989


def main() -> None:
    parser = benchmark_parser(
        __doc__,
        experiment=Path("configs/ensemble.yaml"),
        steps=600,
        years=2,
        overrides=(),
        folder=None,
    )
    options = parse(parser)
    with tempfile.TemporaryDirectory() as temporary:
        run = Path(options.folder or temporary) / "run"
        changes = [f"output={run}", f"training.steps={options.steps}", *options.overrides]
        experiment = load_experiment(options.experiment, changes)
        if not (run / "emulator").is_dir():
            graphdown.train(experiment)
        emulator = graphdown.load(run)
        spec = dataclasses.replace(
            experiment.data.world, start_year=FIRST_YEAR, years=options.years
        )
        learned = predictions(emulator, LEARNED, spec)
        calibration = calibrated(emulator, learned)
        assert calibration is not None
        rows = compare(calibration, predictions(emulator, OTHERS, spec))
    write(options, calibration, pd.DataFrame(rows))


def predictions(
    emulator: graphdown.Emulator, letters: str, spec: WorldSpec
) -> dict[str, HeldOutErrors]:
    """Return the emulator's errors for GCMs at each warming, by name."""
    made = {}
    for letter in letters:
        for warming in WARMINGS:
            coarse, truth = simulated(letter, warming, spec)
            found = emulator.applicability(coarse)
            fine = emulator.downscale(coarse)
            made[f"{letter}+{warming:g}"] = errors_of(emulator, found, fine, truth)
            print(f"gcm-{letter} + {warming:g} K: {found.verdict}", flush=True)
    return made


def simulated(letter: str, warming: float, spec: WorldSpec) -> tuple[xr.Dataset, xr.Dataset]:
    """Return the fields of a warmer GCM, and the truth that it drives."""
    every = {**GCMS, **FURTHER}
    character = every[letter].character
    warmer = dataclasses.replace(character, warmth=character.warmth + warming)
    every[letter] = dataclasses.replace(every[letter], character=warmer)
    views = tuple(f"gcm-{name}" for name in every)
    with mock.patch.multiple(gcm_ensemble, GCMS=every, VIEWS=views):
        world = gcm_ensemble.make_ensemble(spec, [f"gcm-{letter}"])
    return world.views[f"gcm-{letter}"], world.truth


def compare(calibration: ErrorCalibration, made: dict[str, HeldOutErrors]) -> list[dict]:
    """Return expected and true RMSE by GCM, warming, season and target."""
    rows = []
    for name, (found, errors) in made.items():
        expected = calibration.of_days(found.novelty, found.means)
        season = seasons_of(months_of(found.novelty.time))
        gcm, _, warming = name.partition("+")
        for t, target in enumerate(calibration.targets):
            for s, label in enumerate(SEASONS):
                days = season == s
                ends = {
                    ending or "expected": rms(expected[f"{target}{EXPECTED}{ending}"].values[days])
                    for ending in ("", "_low", "_high")
                }
                true = float(errors.rmse(days)[t])
                row = {"gcm": gcm, "warming": float(warming), "season": label, "target": target}
                rows.append({**row, **ends, "true": true, "novelty": rms(found.novelty[days])})
    return rows


def rms(values: np.ndarray | xr.DataArray) -> float:
    return float(np.sqrt(np.mean(np.square(np.asarray(values)))))


def write(options: argparse.Namespace, calibration: ErrorCalibration, rows: pd.DataFrame) -> None:
    summary, table = [], []
    for target, part in rows.groupby("target", sort=False):
        rank = spearmanr(part.expected, part.true).statistic
        inside = ((part.true >= part["_low"]) & (part.true <= part["_high"])).mean()
        ratio = part.true / part.expected
        cells = f"{rank:.2f}", f"{100 * inside:.0f} %", f"{ratio.min():.2f} to {ratio.max():.2f}"
        summary.append((str(target), str(len(part)), *cells))
        by_case = part.groupby(["gcm", "warming"], sort=False)
        for (gcm, warming), case in by_case:
            pairs = (f"{row.expected:.2f} / {row.true:.2f}" for row in case.itertuples())
            table.append((str(target), f"gcm-{gcm} + {warming:g} K", *pairs))
    lines = [
        *page_head("Expected and true errors of an emulator", options),
        f"Calibrated on {int(calibration.spans)} {calibration.span}s of three GCMs at three "
        "warmings; three other GCMs at the same warmings, by season. Goals: a rank correlation of "
        "at least 0.8, and 85 to 95 % within the 90 % interval.",
        "",
        *markdown_table(
            ("target", "blocks", "rank correlation", "in the interval", "true to expected"), summary
        ),
        "",
        "Expected / true RMSE (tas in K, pr in mm per day):",
        "",
        *markdown_table(("target", "case", *SEASONS), table),
    ]
    write_results(options, "expected_errors", lines, {"blocks": rows.to_dict("records")})


if __name__ == "__main__":
    main()
