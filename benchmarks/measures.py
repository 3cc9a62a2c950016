"""Time each measure of the protocol beside a plain numpy implementation, on the same values.

Example: python benchmarks/measures.py

The plain implementations are those of tests/evaluation/plain.py, which the tests compare with the
measures; without missing values they use numpy's faster functions (mean, quantile), with them the
ones that leave missing values out (nanmean, nanquantile). Both take turns, each turn gives a ratio.
The table is written to benchmarks/results/measures.md, the figures to measures.json.
"""

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from common_arguments import benchmark_parser, parse
from results_table import markdown_table, page_head, write_results

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
from graphdown.evaluation.spectrum import ralsd as log_spectral_distance

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "evaluation"))
import plain

MEMBERS, ENSEMBLE_DAYS = 8, 365
LEVELS = np.array([0.02, 0.98, 0.99])
Task = tuple[str, Callable[[], Any], Callable[[], Any]]


def main() -> None:
    """Time all measures and write the table."""
    parser = benchmark_parser(__doc__, years=5, side=40)
    parser.add_argument("--turns", type=int, default=9)
    options = parse(parser)
    rows = []
    for gaps in (False, True):
        for task in tasks(Sample.make(options.years, options.side, gaps)):
            rows.append(timed(*task, gaps, options.turns))
            print(rows[-1], flush=True)
    write_results(options, "measures", page(rows, options), {"rows": rows})


def values(years: int, side: int, gaps: bool) -> dict[str, plain.Plain]:
    """Return tas and pr, float32, with a tenth of the values missing or none."""
    days = pd.date_range("2001-01-01", f"{2000 + years}-12-31")
    rng = np.random.default_rng(0)
    size = (len(days), side * side)
    season = 10 * np.sin(np.arange(len(days)) / 365.25 * 2 * np.pi)[:, None]
    tas = 288 + season + rng.normal(0, 4, size)
    pr = np.where(rng.random(size) < 0.5, 0, rng.gamma(0.6, 8, size))
    sides_of = {
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
        for name, sides in sides_of.items()
    }


def as_pair(name: str, p: plain.Plain) -> Pair:
    """Return the values as graphdown's measures take them, not sorted yet."""
    time_index = pd.date_range(f"{p.year[0]}-01-01", periods=len(p.year))
    return Pair.of(name, p.y, p.x, p.area, Days.from_index(time_index))


@dataclass(frozen=True)
class Sample:
    """Temperature and rain, each as plain numpy and as graphdown's measures take them."""

    plain_tas: plain.Plain
    plain_pr: plain.Plain
    tas: Pair
    pr: Pair
    side: int
    gaps: bool

    @classmethod
    def make(cls, years: int, side: int, gaps: bool) -> "Sample":
        tas, pr = values(years, side, gaps).values()
        return cls(tas, pr, as_pair("tas", tas), as_pair("pr", pr), side, gaps)


def tasks(sample: Sample) -> Iterator[Task]:
    """Yield (measure, by graphdown, by plain numpy)."""
    yield from error_tasks(sample)
    yield from variance_tasks(sample)
    yield from distribution_tasks(sample)
    yield from extreme_tasks(sample)
    yield from spatial_tasks(sample)
    yield from signal_tasks(sample)
    yield from ensemble_tasks(sample)
    t, area = sample.plain_tas, sample.tas.area
    bias = error.bias_map(t.y, t.x)
    yield "area mean of a map", lambda: area_mean(bias, area), lambda: t.over_area(bias)


def error_tasks(sample: Sample) -> Iterator[Task]:
    t, tas = sample.plain_tas, sample.tas
    y, x, area, month = tas.prediction, tas.truth, tas.area, tas.days.month
    yield "bias", lambda: error.bias_map(y, x), lambda: plain.bias(t)
    yield "rmse", lambda: error.rmse_map(y, x), lambda: plain.rmse(t)
    yield "rmse_total", lambda: error.rmse_total(y, x, area), lambda: plain.rmse_total(t)
    yield "correlation", lambda: error.correlation_map(y, x), lambda: plain.correlation(t)
    yield (
        "anomaly_correlation",
        lambda: error.correlation_map(
            error.without_monthly_mean(y, month), error.without_monthly_mean(x, month)
        ),
        lambda: plain.anomaly_correlation(t),
    )


def variance_tasks(sample: Sample) -> Iterator[Task]:
    t, tas = sample.plain_tas, sample.tas
    y, x, area, consecutive = tas.prediction, tas.truth, tas.area, tas.days.consecutive
    yield (
        "variance_ratio",
        lambda: variance.variance_ratio_map(y, x),
        lambda: plain.variance_ratio(t),
    )
    yield (
        "day_to_day_change_bias",
        lambda: (
            variance.day_to_day_change(y, consecutive) - variance.day_to_day_change(x, consecutive)
        ),
        lambda: plain.day_to_day_change_bias(t),
    )
    yield (
        "spatial_std_bias",
        lambda: variance.spatial_std(y, area) - variance.spatial_std(x, area),
        lambda: plain.spatial_std_bias(t),
    )


def unsorted(pair: Pair) -> Pair:
    """Return a copy, whose values are sorted anew when a measure needs it."""
    return replace(pair, of_truth={})


def distribution_tasks(sample: Sample) -> Iterator[Task]:
    t, tas = sample.plain_tas, sample.tas

    def quantile_biases() -> np.ndarray:
        pair = unsorted(tas)
        sides = (pair.sorted_prediction, pair.sorted_truth)
        first, second = (quantiles.quantiles(ordered, LEVELS) for ordered in sides)
        return first - second

    def wasserstein() -> np.ndarray:
        pair = unsorted(tas)
        return distribution.wasserstein1_map(pair.sorted_prediction, pair.sorted_truth)

    yield "p02_bias, p98_bias, p99_bias", quantile_biases, lambda: plain.quantile_biases(t)
    yield "wasserstein1", wasserstein, lambda: plain.wasserstein1(t)
    perkins = distribution.perkins_map
    yield "perkins", lambda: perkins(tas.prediction, tas.truth), lambda: plain.perkins(t)


def extreme_tasks(sample: Sample) -> Iterator[Task]:
    t, r, days = sample.plain_tas, sample.plain_pr, sample.tas.days

    def index(name: str, measure: Callable[..., Any], plainly: Callable[..., Any], p: Any) -> Task:
        return name, lambda: measure(p.y) - measure(p.x), lambda: plainly(p, p.y) - plainly(p, p.x)

    yield index("txx_bias", lambda v: temperature.annual_maximum(v, days), plain.highest, t)
    yield index("tnn_bias", lambda v: temperature.annual_minimum(v, days), plain.lowest, t)
    yield index("su_bias", lambda v: temperature.days_above(v, days), plain.summer_days, t)
    yield index("r01_bias", precipitation.wet_day_frequency, plain.wet_days, r)
    yield index("dry_days_bias", precipitation.dry_day_frequency, plain.dry_days, r)
    yield index("sdii_bias", precipitation.wet_day_intensity, plain.intensity, r)
    yield index("rx1day_bias", lambda v: precipitation.wettest_day(v, days), plain.highest, r)
    spell = precipitation.longest_spell
    yield index("cdd_bias", lambda v: spell(v < 1, v, days), plain.dry_spell, r)
    yield index("cwd_bias", lambda v: spell(v >= 1, v, days), plain.wet_spell, r)


def spatial_tasks(sample: Sample) -> Iterator[Task]:
    r, side = sample.plain_pr, sample.side
    pairs = {"tas": sample.tas, "pr": sample.pr}
    fields = [v.reshape(-1, side, side) for v in (sample.pr.prediction, sample.pr.truth)]
    yield (
        "ralsd",
        lambda: log_spectral_distance(*(power_spectrum(v, 1.0)[1] for v in fields)),
        lambda: plain.ralsd(r),
    )
    yield "fss", lambda: fractions_skill_score(*fields), lambda: plain.fss(r)
    yield (
        "pr_correlation_bias",
        lambda: multivariate.correlation_bias(replace(sample.tas, others=pairs)),
        lambda: plain.pr_correlation_bias(sample.plain_tas, r),
    )


def signal_tasks(sample: Sample) -> Iterator[Task]:
    t, area = sample.plain_tas, sample.tas.area
    half = len(t.month) // 730 * 365
    before, after = (
        replace(t, y=t.y[k], x=t.x[k], year=t.year[k], month=t.month[k])
        for k in (slice(None, half), slice(half, None))
    )
    past, future = as_pair("tas", before), as_pair("tas", after)

    def mean_signal() -> Any:
        changes = [
            signal.change(time_mean(f), time_mean(p), False)
            for f, p in ((future.prediction, past.prediction), (future.truth, past.truth))
        ]
        return signal.scores(*changes, area)

    def p98_signal() -> Any:
        late, early = unsorted(future), unsorted(past)
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
        mean_signal,
        lambda: plain.pattern(after, *plain.mean_change(after, before, False)),
    )
    yield (
        "signal_p98_*",
        p98_signal,
        lambda: plain.pattern(after, *plain.p98_change(after, before, False)),
    )


def ensemble_tasks(sample: Sample) -> Iterator[Task]:
    t, area = sample.plain_tas, sample.tas.area
    rng = np.random.default_rng(1)
    truth, centre = t.y[-ENSEMBLE_DAYS:], t.x[-ENSEMBLE_DAYS:]
    noise = rng.normal(0, 1, (MEMBERS, *t.x[:ENSEMBLE_DAYS].shape)).astype(np.float32)
    members = centre + noise
    if sample.gaps:
        truth = np.where(rng.random(truth.shape) < 0.1, np.float32(np.nan), truth)
        members = np.where(np.isnan(truth), np.float32(np.nan), members)

    def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.sqrt(t.over_area((a - b) ** 2))

    mean = np.nanmean if sample.gaps else np.mean
    pair = members, truth
    yield "crps", lambda: ensemble.crps_map(*pair), lambda: plain.crps(*pair, mean)
    yield (
        "energy_score",
        lambda: ensemble.energy_score(*pair, area),
        lambda: plain.energy_score(*pair, distance),
    )
    yield (
        "spread_skill",
        lambda: ensemble.spread_skill(*pair, area),
        lambda: plain.spread_skill(*pair, area),
    )
    yield (
        "rank_histogram",
        lambda: ensemble.rank_histogram(*pair),
        lambda: plain.rank_histogram(*pair),
    )


def timed(
    name: str, measure: Callable[[], Any], plainly: Callable[[], Any], gaps: bool, turns: int
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
                    (measure, plainly)[which]()
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


def page(rows: list[dict[str, Any]], options: argparse.Namespace) -> list[str]:
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
        "numpy, median and range of the turns' ratios. Sorting counts for each measure that needs "
        f"it, although graphdown sorts once for all of them. Ensembles: {MEMBERS} members of "
        f"{ENSEMBLE_DAYS} days. numpy: tests/evaluation/plain.py."
    )
    return [
        *page_head("Each measure beside plain numpy", options, ", shared with other work"),
        text,
        "",
        *markdown_table((*head, "numpy [ms]", "ratio"), lines),
    ]


if __name__ == "__main__":
    main()
