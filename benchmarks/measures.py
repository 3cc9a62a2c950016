"""Time each measure of the protocol beside a plain numpy writing of the same, on the same values.

The plain writings are those of tests/evaluation/plain.py, which the tests hold equal to the
measures; without missing values they take numpy's faster functions (mean, quantile), with them the
ones that leave missing values out (nanmean, nanquantile). Both take turns, each turn gives a ratio.
"""

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from results_table import RESULTS, machine, markdown_table, write_text

from graphdown.evaluation import (
    distribution,
    ensemble,
    error,
    multivariate,
    precipitation,
    quantiles,
    signal,
    temperature,
    variance,
)
from graphdown.evaluation.days import Days
from graphdown.evaluation.fractions import fractions_skill_score
from graphdown.evaluation.paired import Pair
from graphdown.evaluation.reduce import area_mean, time_mean
from graphdown.evaluation.spectrum import power_spectrum
from graphdown.evaluation.spectrum import ralsd as own_ralsd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "evaluation"))
import plain

MEMBERS, ENSEMBLE_DAYS = 8, 365
LEVELS = np.array([0.02, 0.98, 0.99])
Task = tuple[str, Callable[[], Any], Callable[[], Any]]


def main() -> None:
    """Time all measures and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--years", type=int, default=5)
    parser.add_argument("--side", type=int, default=40, help="cells along each side of the grid")
    parser.add_argument("--turns", type=int, default=9)
    options = parser.parse_args()
    rows = []
    for gaps in (False, True):
        for task in tasks(options.years, options.side, gaps):
            rows.append(timed(*task, gaps, options.turns))
            print(rows[-1], flush=True)
    command = (
        f"python benchmarks/measures.py --years {options.years} --side {options.side} "
        f"--turns {options.turns}"
    )
    (RESULTS / "measures.json").write_text(
        json.dumps({"command": command, "machine": machine(), "rows": rows}, indent=1) + "\n"
    )
    write_text("measures.md", table(rows, command, options))


def values(years: int, side: int, gaps: bool) -> dict[str, plain.Plain]:
    """Return tas and pr, float32, with a tenth of the values missing or none."""
    days = pd.date_range("2001-01-01", f"{2000 + years}-12-31")
    rng = np.random.default_rng(0)
    size = (len(days), side * side)
    season = 10 * np.sin(np.arange(len(days)) / 365.25 * 2 * np.pi)[:, None]
    tas = 288 + season + rng.normal(0, 4, size)
    pr = np.where(rng.random(size) < 0.5, 0, rng.gamma(0.6, 8, size))
    made = {
        "tas": (tas + rng.normal(0, 1, size), tas),
        "pr": (pr * rng.uniform(0.6, 1.3, size), pr),
    }
    area = rng.uniform(0.8, 1.0, side * side)
    missing = (rng.random(size) < 0.1) if gaps else np.zeros(size, bool)
    missing[-400:] = False  # some fields are whole, or there is no spectrum
    return {
        name: plain.Plain(
            *(np.where(missing, np.nan, v).astype(np.float32) for v in sides),
            area,
            days.year.to_numpy(),
            days.month.to_numpy(),
            (side, side),
            gaps,
        )
        for name, sides in made.items()
    }


def as_pair(name: str, p: plain.Plain) -> Pair:
    """Return the values as graphdown keeps them, its sorted values not made yet."""
    time_index = pd.date_range(f"{p.year[0]}-01-01", periods=len(p.year))
    return Pair.of(name, p.y, p.x, p.area, Days.from_index(time_index))


def tasks(years: int, side: int, gaps: bool) -> Iterator[Task]:
    """Yield (measure, by graphdown, by plain numpy)."""
    made = values(years, side, gaps)
    pairs = {name: as_pair(name, p) for name, p in made.items()}
    t, r = made["tas"], made["pr"]
    tas, pr = pairs["tas"], pairs["pr"]
    y, x, area, days = tas.prediction, tas.truth, tas.area, tas.days
    wet, rain = pr.prediction, pr.truth

    def index(own: Callable[..., Any], other: Callable[..., Any], p: plain.Plain) -> Any:
        return (lambda: own(p.y) - own(p.x)), (lambda: other(p, p.y) - other(p, p.x))

    def fresh_sorted(pair: Pair) -> Pair:
        return replace(pair)  # a copy, whose sorted values are not made yet

    yield "bias", lambda: error.bias_map(y, x), lambda: plain.bias(t)
    yield "rmse", lambda: error.rmse_map(y, x), lambda: plain.rmse(t)
    yield "rmse_total", lambda: error.rmse_total(y, x, area), lambda: plain.rmse_total(t)
    yield "correlation", lambda: error.correlation_map(y, x), lambda: plain.correlation(t)
    yield (
        "anomaly_correlation",
        lambda: error.correlation_map(
            error.without_monthly_mean(y, days.month), error.without_monthly_mean(x, days.month)
        ),
        lambda: plain.anomaly_correlation(t),
    )
    yield (
        "variance_ratio",
        lambda: variance.variance_ratio_map(y, x),
        lambda: plain.variance_ratio(t),
    )
    yield (
        "day_to_day_change_bias",
        lambda: (
            variance.day_to_day_change(y, days.consecutive)
            - variance.day_to_day_change(x, days.consecutive)
        ),
        lambda: plain.day_to_day_change_bias(t),
    )
    yield (
        "spatial_std_bias",
        lambda: variance.spatial_std(y, area) - variance.spatial_std(x, area),
        lambda: plain.spatial_std_bias(t),
    )

    def own_quantiles() -> np.ndarray:
        pair = fresh_sorted(tas)
        sides = (pair.sorted_prediction, pair.sorted_truth)
        first, second = (quantiles.quantiles(ordered, LEVELS) for ordered in sides)
        return first - second

    def own_wasserstein() -> np.ndarray:
        pair = fresh_sorted(tas)
        return distribution.wasserstein1_map(pair.sorted_prediction, pair.sorted_truth)

    yield "p02_bias, p98_bias, p99_bias", own_quantiles, lambda: plain.quantile_biases(t)
    yield "wasserstein1", own_wasserstein, lambda: plain.wasserstein1(t)
    yield "perkins", lambda: distribution.perkins_map(y, x), lambda: plain.perkins(t)
    yield "txx_bias", *index(lambda v: temperature.annual_maximum(v, days), plain.highest, t)
    yield "tnn_bias", *index(lambda v: temperature.annual_minimum(v, days), plain.lowest, t)
    yield "su_bias", *index(lambda v: temperature.days_above(v, days), plain.summer_days, t)
    yield "r01_bias", *index(precipitation.wet_day_frequency, plain.wet_days, r)
    yield "dry_days_bias", *index(precipitation.dry_day_frequency, plain.dry_days, r)
    yield "sdii_bias", *index(precipitation.wet_day_intensity, plain.intensity, r)
    yield "rx1day_bias", *index(lambda v: precipitation.wettest_day(v, days), plain.highest, r)
    yield (
        "cdd_bias",
        *index(lambda v: precipitation.longest_spell(v < 1, v, days), plain.dry_spell, r),
    )
    yield (
        "cwd_bias",
        *index(lambda v: precipitation.longest_spell(v >= 1, v, days), plain.wet_spell, r),
    )

    def own_spectra() -> float:
        fields = (v.reshape(-1, side, side) for v in (wet, rain))
        return own_ralsd(*(power_spectrum(v, 1.0)[1] for v in fields))

    yield "ralsd", own_spectra, lambda: plain.ralsd(r)
    fields = [v.reshape(-1, side, side) for v in (wet, rain)]
    yield "fss", lambda: fractions_skill_score(*fields), lambda: plain.fss(r)
    yield (
        "pr_correlation_bias",
        lambda: multivariate.correlation_bias(replace(tas, others=pairs)),
        lambda: plain.pr_correlation_bias(t, r),
    )
    half = len(days.month) // 730 * 365
    parts = [slice(None, half), slice(half, None)]
    before, after = (
        replace(t, y=t.y[k], x=t.x[k], year=t.year[k], month=t.month[k]) for k in parts
    )
    past, future = as_pair("tas", before), as_pair("tas", after)

    def own_signal() -> Any:
        changes = [
            signal.change(time_mean(f), time_mean(p), False)
            for f, p in ((future.prediction, past.prediction), (future.truth, past.truth))
        ]
        return signal.scores(*changes, area)

    def own_p98() -> Any:
        late, early = fresh_sorted(future), fresh_sorted(past)
        level = np.array([0.98])
        changes = [
            quantiles.quantiles(f, level)[0] - quantiles.quantiles(p, level)[0]
            for f, p in (
                (late.sorted_prediction, early.sorted_prediction),
                (late.sorted_truth, early.sorted_truth),
            )
        ]
        return signal.scores(*changes, area)

    yield (
        "signal_*",
        own_signal,
        lambda: plain.pattern(after, *plain.mean_change(after, before, False)),
    )
    yield (
        "signal_p98_*",
        own_p98,
        lambda: plain.pattern(after, *plain.p98_change(after, before, False)),
    )
    rng = np.random.default_rng(1)
    drawn = rng.normal(0, 1, (MEMBERS, *x[:ENSEMBLE_DAYS].shape)).astype(np.float32)
    members, true = x[-ENSEMBLE_DAYS:] + drawn, y[-ENSEMBLE_DAYS:]
    if gaps:
        true = np.where(rng.random(true.shape) < 0.1, np.float32(np.nan), true)
        members = np.where(np.isnan(true), np.float32(np.nan), members)

    def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.sqrt(t.over_area((a - b) ** 2))

    yield (
        "crps",
        lambda: ensemble.crps_map(members, true),
        lambda: plain.crps(members, true, np.nanmean if gaps else np.mean),
    )
    yield (
        "energy_score",
        lambda: ensemble.energy_score(members, true, area),
        lambda: plain.energy_score(members, true, distance),
    )
    yield (
        "spread_skill",
        lambda: ensemble.spread_skill(members, true, area),
        lambda: plain.spread_skill(members, true, area),
    )
    yield (
        "rank_histogram",
        lambda: ensemble.rank_histogram(members, true),
        lambda: plain.rank_histogram(members, true),
    )
    one = error.bias_map(y, x)
    yield "area mean of a map", lambda: area_mean(one, area), lambda: t.over_area(one)


def timed(
    name: str, own: Callable[[], Any], other: Callable[[], Any], gaps: bool, turns: int
) -> dict[str, Any]:
    """Return seconds of both and the ratios of the turns, after one turn that does not count."""
    seconds: list[list[float]] = [[], []]
    repeats = 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for turn in range(turns + 1):
            order = (0, 1) if turn % 2 else (1, 0)
            measured = [0.0, 0.0]
            for which in order:
                start = time.perf_counter()
                for _ in range(repeats):
                    (own, other)[which]()
                measured[which] = (time.perf_counter() - start) / repeats
            if turn == 0:
                repeats = max(1, int(0.02 / max(measured)))
                continue
            for which in (0, 1):
                seconds[which].append(measured[which])
    ratios = [a / b for a, b in zip(*seconds, strict=True)]
    return {
        "measure": name,
        "missing values": gaps,
        "graphdown [s]": statistics.median(seconds[0]),
        "numpy [s]": statistics.median(seconds[1]),
        "ratio": statistics.median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
    }


def table(rows: list[dict[str, Any]], command: str, options: argparse.Namespace) -> list[str]:
    """Return the lines of the page."""
    head = ("measure", "graphdown [ms]", "numpy [ms]", "ratio", "with 10 % missing: graphdown [ms]")
    gappy = {row["measure"]: row for row in rows if row["missing values"]}

    def ratio(row: dict[str, Any]) -> str:
        return f"{row['ratio']:.2f} ({row['lowest']:.2f} to {row['highest']:.2f})"

    lines = [
        (
            row["measure"],
            f"{1e3 * row['graphdown [s]']:.1f}",
            f"{1e3 * row['numpy [s]']:.1f}",
            ratio(row),
            f"{1e3 * gappy[row['measure']]['graphdown [s]']:.1f}",
            f"{1e3 * gappy[row['measure']]['numpy [s]']:.1f}",
            ratio(gappy[row["measure"]]),
        )
        for row in rows
        if not row["missing values"]
    ]
    text = (
        f"{options.years} years of days on {options.side} x {options.side} cells, float32; sums in "
        f"float64 on both sides. Seconds: medians of {options.turns} turns; ratio: graphdown over "
        "numpy, median and range of the turns' ratios. Sorting counts in whatever needs it, though "
        f"graphdown sorts once for all of them. Ensembles: {MEMBERS} members of {ENSEMBLE_DAYS} "
        "days. numpy: tests/evaluation/plain.py."
    )
    return [
        "# Each measure beside plain numpy",
        "",
        f"Command: `{command}`. Machine: {machine()}, shared with other work.",
        "",
        text,
        "",
        *markdown_table((*head, "numpy [ms]", "ratio"), lines),
    ]


if __name__ == "__main__":
    main()
