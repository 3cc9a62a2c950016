"""Every measure once more, written with numpy and scipy as they come, to test and to time against.

Nothing here is graphdown's. Missing values are NaN on both sides alike.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.stats


@dataclass
class Plain:
    """Daily values of one variable with all that the measures need.

    Attributes:
        y, x: prediction and truth [T, N].
        area: of the cells [N].
        year, month: of the days [T]; whole years, no day absent.
        shape: (ny, nx).
        gaps: whether values may be missing; without, the faster functions of numpy do.
        spacing: distance of neighbouring cells in km.
    """

    y: np.ndarray
    x: np.ndarray
    area: np.ndarray
    year: np.ndarray
    month: np.ndarray
    shape: tuple[int, int]
    gaps: bool
    spacing: float = 1.0

    def mean(self, values, axis=0):
        mean = np.nanmean if self.gaps else np.mean
        return mean(values, axis=axis, dtype=np.float64)

    def over_area(self, values):
        """Area mean [...] of values [..., N]."""
        if not self.gaps:
            return np.average(values, axis=-1, weights=self.area)
        weight = np.where(np.isnan(values), 0.0, self.area)
        return np.nansum(values * weight, axis=-1) / weight.sum(axis=-1)

    def of_years(self, function, values):
        return self.mean(np.stack([function(values[self.year == y]) for y in np.unique(self.year)]))


def bias(p):
    return p.mean(p.y - p.x)


def rmse(p):
    return np.sqrt(p.mean((p.y - p.x) ** 2))


def rmse_total(p):
    square = (p.y - p.x) ** 2
    weight = np.where(np.isnan(square), 0.0, p.area) if p.gaps else p.area
    total = np.nansum(square * weight, dtype=np.float64) if p.gaps else (square @ p.area).sum()
    return np.sqrt(total / (weight.sum() if p.gaps else p.area.sum() * len(square)))


def correlation(p, y=None, x=None):
    y, x = (p.y, p.x) if y is None else (y, x)
    a, b = y - p.mean(y), x - p.mean(x)
    return p.mean(a * b) / np.sqrt(p.mean(a**2) * p.mean(b**2))


def anomaly_correlation(p):
    sides = []
    for values in (p.y, p.x):
        anomaly = np.empty(values.shape)
        for m in np.unique(p.month):
            anomaly[p.month == m] = values[p.month == m] - p.mean(values[p.month == m])
        sides.append(anomaly)
    return correlation(p, *sides)


def variance_ratio(p):
    variance = np.nanvar if p.gaps else np.var
    y, x = (variance(v, axis=0, dtype=np.float64) for v in (p.y, p.x))
    return 100 * y / x


def day_to_day_change_bias(p):
    return p.mean(np.abs(np.diff(p.y, axis=0))) - p.mean(np.abs(np.diff(p.x, axis=0)))


def spatial_std_bias(p):
    def std(values):
        deviation = values - p.over_area(values)[:, None]
        return p.mean(np.sqrt(p.over_area(deviation**2)))

    return std(p.y) - std(p.x)


def quantile_biases(p, levels=(0.02, 0.98, 0.99)):
    quantile = np.nanquantile if p.gaps else np.quantile
    return quantile(p.y, levels, axis=0) - quantile(p.x, levels, axis=0)


def wasserstein1(p):
    return p.mean(np.abs(np.sort(p.y, axis=0) - np.sort(p.x, axis=0)))


def wasserstein1_scipy(p):
    present = ~np.isnan(p.x)
    return [
        scipy.stats.wasserstein_distance(p.y[k, n], p.x[k, n]) if k.any() else np.nan
        for n, k in enumerate(present.T)
    ]


def perkins(p):
    scores = np.full(p.y.shape[1], np.nan)
    for n in range(p.y.shape[1]):
        a, b = p.y[:, n], p.x[:, n]
        if p.gaps:
            a, b = a[~np.isnan(a)], b[~np.isnan(b)]
        if len(a):
            span = (min(a.min(), b.min()), max(a.max(), b.max()))
            one, other = (np.histogram(v, bins=100, range=span)[0] / len(v) for v in (a, b))
            scores[n] = np.minimum(one, other).sum()
    return scores


def highest(p, values):
    return p.of_years(lambda v: (np.nanmax if p.gaps else np.max)(v, axis=0), values)


def lowest(p, values):
    return p.of_years(lambda v: (np.nanmin if p.gaps else np.min)(v, axis=0), values)


def summer_days(p, values):
    def count(v):
        days = (v > 298.15).sum(axis=0)
        return np.where(np.isnan(v).all(axis=0), np.nan, days) if p.gaps else days

    return p.of_years(count, values)


def share(p, values, condition):
    days = (~np.isnan(values)).sum(axis=0) if p.gaps else len(values)
    return 100 * condition.sum(axis=0) / days


def wet_days(p, values):
    return share(p, values, values >= 1)


def dry_days(p, values):
    return share(p, values, values < 0.1)


def intensity(p, values):
    return np.nanmean(np.where(values >= 1, values, np.nan), axis=0, dtype=np.float64)


def longest(p, condition, values):
    def run(c):
        t = np.arange(len(c))[:, None]
        return (t - np.maximum.accumulate(np.where(c, -1, t))).max(axis=0)

    spells = p.of_years(run, condition)
    return np.where(np.isnan(values).all(axis=0), np.nan, spells) if p.gaps else spells


def dry_spell(p, values):
    return longest(p, values < 1, values)


def wet_spell(p, values):
    return longest(p, values >= 1, values)


def spectrum(p, values):
    """Cosine modes by matrices, averaged over rings of like wavenumber."""
    fields = values.reshape(-1, *p.shape).astype(np.float64)
    if p.gaps:
        fields = fields[~np.isnan(fields).any(axis=(1, 2))]

    def modes(n):
        k, x = np.arange(n)[:, None], np.arange(n) + 0.5
        return np.cos(np.pi * k * x / n) * np.sqrt(np.where(k == 0, 1, 2) / n)

    ny, nx = p.shape
    power = ((modes(ny) @ fields @ modes(nx).T) ** 2).mean(axis=0) / (ny * nx)
    radius = np.hypot(np.arange(ny)[:, None] / ny, np.arange(nx) / nx) * min(p.shape)
    rings = range(1, min(p.shape))
    return np.array([power[(radius >= k - 1e-9) & (radius < k + 1 - 1e-9)].mean() for k in rings])


def ralsd(p):
    ratio = 10 * np.log10(spectrum(p, p.y) / spectrum(p, p.x))
    return np.sqrt((ratio**2).mean())


def fss(p, threshold=5.0, window=5):
    def fractions(values):
        fields = values.reshape(-1, *p.shape)
        squares = [
            np.lib.stride_tricks.sliding_window_view(v, (window, window), (1, 2)).sum((-2, -1))
            for v in (fields >= threshold, ~np.isnan(fields))
        ]
        return squares[0] / np.maximum(squares[1], 1)

    y, x = fractions(p.y), fractions(p.x)
    return 1 - ((y - x) ** 2).sum() / ((y**2).sum() + (x**2).sum())


def pr_correlation_bias(p, rain):
    sides = []
    for values, wet in ((p.y, rain.y), (p.x, rain.x)):
        if p.gaps:
            missing = np.isnan(values) | np.isnan(wet)
            values, wet = np.where(missing, np.nan, values), np.where(missing, np.nan, wet)
        sides.append(correlation(p, values, wet))
    return sides[0] - sides[1]


def lag1_autocorrelation(p, values):
    """By pandas, cell by cell."""
    table = pd.DataFrame(values.astype(float))
    table = table - table.groupby(p.month).transform("mean")
    return np.array([table[n].autocorr(1) for n in table])


def interannual_std(p, values):
    return pd.DataFrame(values.astype(float)).groupby(p.year).mean().std(ddof=0).values


def season_spell(p, values, condition):
    """Runs of days of each season, winters by the year of their January; parts do not count."""
    label = pd.Series(
        [f"{y + (m == 12)}-{m % 12 // 3}" for y, m in zip(p.year, p.month, strict=True)]
    )
    days = label.groupby(label).transform("size")
    spells = []
    for n in range(values.shape[1]):
        runs = pd.Series(condition[:, n])
        number = (runs.ne(runs.shift()) | label.ne(label.shift())).cumsum()
        length = runs.groupby(number).transform("sum")
        longest_of = length[days >= 0.5 * days.max()].groupby(label).max()
        spells.append(longest_of.mean() if np.isfinite(values[:, n]).any() else np.nan)
    return np.array(spells)


def joint_exceedance(p, values, wet):
    missing = np.isnan(values) | np.isnan(wet)
    values, wet = (np.where(missing, np.nan, v) for v in (values, wet))
    both = np.ones(values.shape, bool)
    for v in (values, wet):
        both &= v > np.nanquantile(v, 0.9, axis=0)
    return 100 * both.sum(axis=0) / (~missing).sum(axis=0)


def change(p, before, statistic, relative):
    """Change of y's and x's index between two periods, in % if relative."""
    maps = []
    for side in ("y", "x"):
        new, old = (statistic(q, getattr(q, side)) for q in (p, before))
        maps.append(100 * (new - old) / old if relative else new - old)
    return maps


def mean_change(p, before, relative):
    return change(p, before, lambda q, v: q.mean(v), relative)


def p98_change(p, before, relative):
    quantile = np.nanquantile if p.gaps else np.quantile
    return change(p, before, lambda q, v: quantile(v, 0.98, axis=0), relative)


def pattern(p, y, x):
    """Scores of a map of changes by numpy's weighted covariance."""
    there = ~(np.isnan(y) | np.isnan(x))
    y, x, area = y[there], x[there], p.area[there]
    covariance = np.cov(y, x, aweights=area, bias=True)
    return {
        "bias": np.average(np.abs(y - x), weights=area),
        "mean_bias": np.average(y - x, weights=area),
        "rmse": np.sqrt(np.average((y - x) ** 2, weights=area)),
        "pattern_correlation": covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]),
        "std_ratio": np.sqrt(covariance[0, 0] / covariance[1, 1]),
        "truth_mean": np.average(x, weights=area),
    }


def every_measure(p, name, rain, before):
    """All measures of a variable by name, as graphdown.evaluate reduces them."""
    maps = {
        "bias": bias(p),
        "rmse": rmse(p),
        "correlation": correlation(p),
        "anomaly_correlation": anomaly_correlation(p),
        "variance_ratio": variance_ratio(p),
        "day_to_day_change_bias": day_to_day_change_bias(p),
        **dict(zip(("p02_bias", "p98_bias", "p99_bias"), quantile_biases(p), strict=True)),
        "wasserstein1": np.asarray(wasserstein1_scipy(p)),
        "perkins": perkins(p),
    }
    for key, index in (
        ("lag1_autocorrelation", lag1_autocorrelation),
        ("interannual_std", interannual_std),
    ):
        maps[f"{key}_bias"] = index(p, p.y) - index(p, p.x)
    if name == "tas":
        both = joint_exceedance(p, p.y, rain.y) - joint_exceedance(p, p.x, rain.x)
        maps["joint_exceedance_bias"] = both
        for key, index in (("txx", highest), ("tnn", lowest), ("su", summer_days)):
            maps[f"{key}_bias"] = index(p, p.y) - index(p, p.x)
        maps["pr_correlation_bias"] = pr_correlation_bias(p, rain)
    else:
        indices = {
            "r01": wet_days,
            "dry_days": dry_days,
            "sdii": intensity,
            "rx1day": highest,
            "cdd": dry_spell,
            "cwd": wet_spell,
        }
        for key, wet in (("dry", False), ("wet", True)):
            y, x = (season_spell(p, v, (v >= 1) if wet else (v < 1)) for v in (p.y, p.x))
            maps[f"season_{key}_spell_bias"] = y - x
        for key, index in indices.items():
            maps[f"{key}_bias"] = index(p, p.y) - index(p, p.x)
    values = {key: p.over_area(np.abs(m) if key.endswith("bias") else m) for key, m in maps.items()}
    values["mean_bias"] = p.over_area(bias(p))
    values["rmse_total"] = rmse_total(p)
    values["spatial_std_bias"] = spatial_std_bias(p)
    values["ralsd"] = ralsd(p)
    if name == "pr":
        values["fss"] = fss(p)
    for prefix, changes in (("signal", mean_change), ("signal_p98", p98_change)):
        scores = pattern(p, *changes(p, before, name == "pr"))
        values |= {f"{prefix}_{key}": value for key, value in scores.items()}
    values["used"] = (~np.isnan(p.x)).sum()
    values["missing"] = np.isnan(p.x).sum()
    return values


def crps(members, truth, mean):
    """Fair CRPS, time mean per cell, by all pairs of members [M, T, N]."""
    count = len(members)
    apart = sum(np.abs(a - b, dtype=np.float64) for a in members for b in members)
    error = np.abs(members - truth).mean(axis=0, dtype=np.float64)
    return mean(error - apart / (2 * count * (count - 1)), axis=0)


def energy_score(members, truth, distance):
    """Fair energy score, time mean, by all pairs; distance maps two [T, N] to [T]."""
    count = len(members)
    error = np.mean([distance(m, truth) for m in members], axis=0)
    apart = sum(distance(a, b) for a in members for b in members)
    return (error - apart / (2 * count * (count - 1))).mean()


def spread_skill(members, truth, area):
    count, there = len(members), ~np.isnan(truth)
    weight = np.broadcast_to(area, truth.shape)[there]
    mean, variance = members.mean(axis=0, dtype=float), members.var(axis=0, ddof=1, dtype=float)
    variance = np.average(variance[there], weights=weight)
    error = np.average(((mean - truth) ** 2)[there], weights=weight)
    return np.sqrt((count + 1) / count * variance / error)


def rank_histogram(members, truth):
    """Shares of the ranks, by one loop over the ranks."""
    there = ~np.isnan(truth)
    low = (members < truth).sum(axis=0)[there]
    high = (members <= truth).sum(axis=0)[there]
    ranks = range(len(members) + 1)
    share = [np.where((low <= k) & (k <= high), 1 / (high - low + 1), 0).sum() for k in ranks]
    return np.array(share) / there.sum()
