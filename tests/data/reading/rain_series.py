"""Rain of each hour, and files that hold it as intervals or running totals of any kind."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from ..files import LAT, LON

HOURS = 96
START = np.datetime64("2020-06-01T00", "s")


def hourly_rain(seed):
    """Rain in mm of each hour [hour, lat, lon], wet and dry by turns at each place."""
    random = np.random.default_rng(seed)
    wet = random.random((HOURS, 5, 8)) < random.uniform(0.3, 0.9)
    return np.where(wet, random.gamma(0.5, 2.0, (HOURS, 5, 8)), 0.0)


def daily_rain(rain):
    """Rain in mm of each day by its date."""
    days = rain.reshape(-1, 24, *rain.shape[1:]).sum(axis=1)
    return {str(START + np.timedelta64(k, "D"))[:10]: day for k, day in enumerate(days)}


@dataclass(frozen=True)
class Records:
    """Totals of rain.

    Attributes:
        begin, end: hours that each total covers [record].
        stamp: the hour of its time stamp [record].
    """

    begin: np.ndarray
    end: np.ndarray
    stamp: np.ndarray

    def dataset(self, rain, bounds=None, **attrs):
        """Totals of hourly rain in mm; `bounds` names the bounds, "attribute" by attribute."""
        ends = zip(self.begin, self.end, strict=True)
        totals = np.stack([rain[b:e].sum(axis=0) for b, e in ends])
        hours = {"units": "hours since 2020-06-01", "calendar": "standard"}
        coords = {
            "time": ("time", self.stamp.astype(float), hours),
            "lat": ("lat", LAT, {"units": "degrees_north"}),
            "lon": ("lon", LON, {"units": "degrees_east"}),
        }
        fields = {"pr": (("time", "lat", "lon"), totals, {"units": "mm", **attrs})}
        if bounds is not None:
            name = "limits_of_times" if bounds == "attribute" else bounds
            fields[name] = ("time", "nv"), np.stack([self.begin, self.end], -1).astype(float)
        ds = xr.Dataset(fields, coords)
        if bounds == "attribute":
            ds.time.attrs["bounds"] = "limits_of_times"
        return ds


def steps(random, kind):
    """Hours at which records end: regular, changing once, or random with midnights."""
    if kind == "regular":
        step = int(random.choice([1, 2, 3, 4, 6]))
        return np.arange(step, HOURS + 1, step)
    if kind == "changing":
        return np.concatenate([np.arange(1, 25), np.arange(27, HOURS + 1, 3)])
    ends = np.cumsum(random.choice([1, 2, 3, 6], HOURS))
    return np.union1d(ends[ends < HOURS], np.arange(24, HOURS + 1, 24))


def begins(random, kind, ends):
    """Hours at which the totals that end then began."""
    before, number = np.concatenate([[0], ends[:-1]]), np.arange(len(ends))
    if kind == "interval":
        return before
    if kind == "from the start":
        return np.zeros_like(ends)
    if kind == "from 00 UTC":
        return (ends - 1) // 24 * 24
    if kind == "buckets":
        size = int(random.integers(2, 9))
        return before[number // size * size]
    again = (random.random(len(ends)) < 0.1) | (number == 0)
    return before[np.maximum.accumulate(np.where(again, number, 0))]
