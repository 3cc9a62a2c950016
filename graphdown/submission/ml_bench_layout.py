"""Layout of CORDEX-ML-Bench: domains, trainings, periods, and the predictors of its tests.

As in the folders `data` and `submission` of WCRP-CORDEX/ml-benchmark on GitHub.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import xarray as xr

from graphdown.errors import DataError

Years = tuple[int, int]
TARGETS = ("pr", "tasmax")
TRAININGS: Mapping[str, Years] = MappingProxyType(
    {"ESD_pseudo_reality": (1961, 1980), "Emulator_hist_future": (1961, 2099)}
)
PERIODS: dict[str, Years] = {
    "historical": (1981, 2000),
    "mid_century": (2041, 2060),
    "end_century": (2080, 2099),
}
FRAMEWORKS = ("perfect", "imperfect")
INPUT = re.compile(r"(?P<gcm>.+)_(?P<first>\d{4})-(?P<last>\d{4})\.nc")
LEAP_DAY = "02-29"  # some driving models have none, and regional ones do


@dataclass(frozen=True)
class BenchDomain:
    """One of the benchmark's regions.

    Attributes:
        name: as in file names.
        gcm: the driving model of the training; the tests have another one beside it.
        dims: horizontal dimensions of the targets.
    """

    name: str
    gcm: str
    dims: tuple[str, str]


DOMAINS = (
    BenchDomain("ALPS", "CNRM-CM5", ("y", "x")),
    BenchDomain("NZ", "ACCESS-CM2", ("lat", "lon")),
    BenchDomain("SA", "ACCESS-CM2", ("lat", "lon")),
)


@dataclass(frozen=True)
class BenchInput:
    """Predictors of one test.

    Attributes:
        domain, period, framework: as in the benchmark's folders.
        path: of the file.
    """

    domain: BenchDomain
    period: str
    framework: str
    path: Path

    def output(self, root: Path, training: str) -> Path:
        """Place of the prediction in a submission's folder."""
        folder = root / f"{self.domain.name}_Domain" / training / self.period / self.framework
        return folder / f"Predictions_pr_tasmax_{self.path.name}"

    def check_days(self, time: xr.DataArray) -> None:
        """Refuse predictors that are not of every day of their period.

        Raises:
            DataError: days are absent, or of other years.
        """
        first, last = PERIODS[self.period]
        ends = f"{first}-01-01", f"{last}-12-{30 if time.dt.calendar == '360_day' else 31}"
        every = xr.date_range(*ends, calendar=time.dt.calendar, use_cftime=True)
        wanted = [date.strftime("%Y-%m-%d") for date in every]
        found = time.dt.strftime("%Y-%m-%d").values
        if _without_leap_days(found) != _without_leap_days(wanted):
            raise DataError(
                f"{self.path} has {len(found)} days from {found[0]} to {found[-1]}, but the period "
                f"{self.period} is every day from {ends[0]} to {ends[1]}; take the benchmark's own "
                "file."
            )


def bench_inputs(data: Path, domain: BenchDomain) -> list[BenchInput]:
    """Predictors of all tests of a domain.

    Args:
        data: folder with the unpacked domains, each in one of its own or not.
        domain: the domain.

    Raises:
        DataError: a folder or a driving model is absent, or a file has another period's years.
    """
    name = f"{domain.name}_domain"
    roots = [root for root in (data / name, data / domain.name / name) if root.is_dir()]
    if not roots:
        raise DataError(f"{str(data)!r} has no folder {name}; unpack the benchmark's data there.")
    found = []
    for period in PERIODS:
        for framework in FRAMEWORKS:
            folder = roots[0] / "test" / period / "predictors" / framework
            inputs = [
                BenchInput(domain, period, framework, path) for path in sorted(folder.glob("*.nc"))
            ]
            _check_models(inputs, folder, domain)
            found += inputs
    return found


def _check_models(inputs: list[BenchInput], folder: Path, domain: BenchDomain) -> None:
    models = []
    for one in inputs:
        named = INPUT.fullmatch(one.path.name)
        first, last = PERIODS[one.period]
        if named is None or (int(named["first"]), int(named["last"])) != (first, last):
            raise DataError(
                f"{one.path} is not named MODEL_{first}-{last}.nc, as the tests of {one.period} "
                "are; take the benchmark's own files."
            )
        models.append(named["gcm"])
    if domain.gcm not in models or len(models) < 2:
        raise DataError(
            f"{folder} should have the predictors of {domain.gcm} and of another driving model, "
            f"but has {', '.join(models) or 'none'}; unpack all of the benchmark's test data."
        )


def _without_leap_days(days: np.ndarray | list[str]) -> list[str]:
    return [str(day) for day in days if not str(day).endswith(LEAP_DAY)]
