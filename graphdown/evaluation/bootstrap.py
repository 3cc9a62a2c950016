"""Block bootstrap: sampling uncertainty of scores from a limited number of days.

Days follow each other, so whole blocks of them are drawn with replacement, as many as there are
(Carlstein 1986, doi:10.1214/aos/1176350057; Kunsch 1989, doi:10.1214/aos/1176347265): years, or
calendar months of single years where there are fewer than ten years. Prediction and truth are drawn
together. A drawn block enters as a weight, so no resampled series is ever built.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from graphdown.evaluation.align import make_pairs, paired_times
from graphdown.evaluation.paired import Pair
from graphdown.evaluation.reduce import area_mean, divide
from graphdown.evaluation.signal import change
from meshes.grids.grid import Grid

DRAWN = ("rmse", "bias", "mean_bias", "wasserstein1", "signal_rmse")
LEAST_YEARS = 10
CELLS_AT_ONCE = 16
MOST_CELLS = 256


@dataclass(frozen=True, eq=False)
class Blocks:
    """Days in blocks, and how often each block is drawn.

    Attributes:
        of_day: number of the block of each day, int [T].
        times: how often each block is drawn, float32 [draws, B].
    """

    of_day: np.ndarray
    times: np.ndarray

    @classmethod
    def drawn(cls, year: np.ndarray, month: np.ndarray, draws: int, seed: int) -> "Blocks":
        """Return blocks of years or months [T], drawn `draws` times with replacement."""
        label = year if len(np.unique(year)) >= LEAST_YEARS else 12 * year + month
        of_day = np.unique(label, return_inverse=True)[1]
        count = int(of_day.max()) + 1
        times = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), draws)
        return cls(of_day, times.astype(np.float32))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return sums [draws, N] of values [T, N] over the drawn days, missing ones left out."""
        of_block = np.zeros((self.times.shape[1], values.shape[1]))
        np.add.at(of_block, self.of_day, np.nan_to_num(values))
        return self.times @ of_block


def bootstrap(
    prediction: xr.Dataset,
    truth: xr.Dataset,
    reference: tuple[xr.Dataset, xr.Dataset] | None = None,
    draws: int = 200,
    seed: int = 0,
) -> xr.Dataset:
    """Return some of the measures of `evaluate` on resampled days.

    Args:
        prediction, truth, reference: as for `evaluate`. The blocks of the reference are drawn
            independently of the others.
        draws: how often to draw.
        seed: of the draws. Predictions of the same days with the same seed meet the same draws, so
            their differences are paired.

    Returns:
        Dataset of the measures `DRAWN`, (variable, draw); signal_rmse with a reference only. On
        more than `MOST_CELLS` cells wasserstein1 is that of evenly spread ones: it serves for the
        spread of the draws, see `interval`.

    Raises:
        ValueError: as for `evaluate`.
    """
    grid = Grid.from_dataset(truth[[n for n, v in truth.data_vars.items() if "time" in v.dims]])
    pairs = make_pairs(prediction, truth, grid)
    blocks = _blocks(prediction, truth, draws, seed)
    values = {name: _scores(pair, blocks) for name, pair in pairs.items()}
    if reference is not None:
        before, past = make_pairs(*reference, grid), _blocks(*reference, draws, seed + 1)
        for name, pair in pairs.items():
            values[name]["signal_rmse"] = _signal_rmse(pair, blocks, before[name], past)
    names = list(values)
    measures = {
        m: (("variable", "draw"), np.stack([values[v][m] for v in names]).astype(np.float32))
        for m in values[names[0]]
    }
    return xr.Dataset(measures, coords={"variable": names})


def _blocks(prediction: xr.Dataset, truth: xr.Dataset, draws: int, seed: int) -> Blocks:
    times = truth["time"].isel(time=paired_times(prediction, truth)[1])
    return Blocks.drawn(times.dt.year.values, times.dt.month.values, draws, seed)


def _scores(pair: Pair, blocks: Blocks) -> dict[str, np.ndarray]:
    """Return the measures of one variable [draws]."""
    error, area = pair.prediction - pair.truth, pair.area
    count = blocks.sums(np.isfinite(error).astype(float))
    mean = divide(blocks.sums(error), count)
    square = divide(blocks.sums(np.square(error)), count)
    return {
        "rmse": area_mean(np.sqrt(square), area),
        "bias": area_mean(np.abs(mean), area),
        "mean_bias": area_mean(mean, area),
        "wasserstein1": _mean_wasserstein1(pair, blocks),
    }


def _mean_wasserstein1(pair: Pair, blocks: Blocks) -> np.ndarray:
    """Return the area mean [draws] over evenly spread cells, at most `MOST_CELLS`."""
    every = slice(None, None, -(-len(pair.area) // MOST_CELLS))
    distance = wasserstein1(pair.prediction[:, every], pair.truth[:, every], blocks)
    return area_mean(distance, pair.area[every])


def wasserstein1(prediction: np.ndarray, truth: np.ndarray, blocks: Blocks) -> np.ndarray:
    """Return the Wasserstein-1 distance of the drawn values [draws, N] of two series [T, N].

    It is the area between the two distribution functions, which change at the values of either
    side alone; those are sorted once, and each draw only weighs them.
    """
    draws, count = blocks.times.shape
    out = np.full((draws, prediction.shape[1]), np.nan)
    both = np.concatenate([prediction, truth]).T
    block = np.concatenate([blocks.of_day, blocks.of_day])
    sign = np.repeat(np.array([1, -1], np.float32), len(prediction))
    for first in range(0, both.shape[0], CELLS_AT_ONCE):
        values = both[first : first + CELLS_AT_ONCE]
        present = np.isfinite(values)
        order = np.argsort(values, axis=1)  # missing values last
        ordered = np.take_along_axis(values, order, axis=1)
        gaps = np.nan_to_num(np.diff(ordered, axis=1), posinf=0.0)
        signed = np.take_along_axis(sign * present, order, axis=1)
        steps = np.zeros((*values.shape, count), np.float32)
        np.put_along_axis(steps, block[order][..., None], signed[..., None], axis=2)
        between = np.cumsum(steps, axis=1, out=steps)[:, :-1] @ blocks.times.T
        area = (gaps[:, None].astype(np.float32) @ np.abs(between, out=between))[:, 0]
        days = _days(present[:, : len(prediction)], blocks)
        out[:, first : first + len(values)] = divide(area, days).T
    return out


def _days(present: np.ndarray, blocks: Blocks) -> np.ndarray:
    """Return the number [N, draws] of drawn days that are present, bool [N, T]."""
    return blocks.sums(present.T.astype(float)).T


def _signal_rmse(future: Pair, blocks: Blocks, historical: Pair, past: Blocks) -> np.ndarray:
    """Return the RMSE of the change of the time mean [draws]."""
    after, before = _means(future, blocks), _means(historical, past)
    relative = future.is_precipitation
    predicted, true = (change(a, b, relative) for a, b in zip(after, before, strict=True))
    return np.sqrt(area_mean(np.square(predicted - true), future.area))


def _means(pair: Pair, blocks: Blocks) -> tuple[np.ndarray, np.ndarray]:
    """Return the means of prediction and truth over the drawn days [draws, N]."""
    count = blocks.sums(np.isfinite(pair.truth).astype(float))
    return divide(blocks.sums(pair.prediction), count), divide(blocks.sums(pair.truth), count)


def interval(estimate: float, draws: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return the ends of a percentile interval (Efron and Tibshirani 1993, section 13.3).

    The draws are moved so that their mean is the estimate: measures of distance grow by the noise
    that resampling adds.

    Args:
        estimate: the measure on the days as they are.
        draws: the measure on resampled days [draws].
        level: share of the draws between the ends.
    """
    moved = estimate + draws - np.mean(draws)
    low, high = (float(np.quantile(moved, end / 2)) for end in (1 - level, 1 + level))
    return low, high
