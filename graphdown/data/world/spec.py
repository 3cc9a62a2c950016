"""What a world is made from, and what it consists of."""

from dataclasses import dataclass, field
from typing import Literal

import xarray as xr


@dataclass(frozen=True)
class WorldSpec:
    """Size, period and seed of a world.

    Attributes:
        seed: seed of terrain, weather and noise.
        start_year: first year of the daily series.
        years: number of whole years (standard calendar).
        size: cells along either side of the target grid.
        rcm: a regional model of the ensemble (see `graphdown.data.world.ensemble`), whose fields
            are the target; if not given, there is one weather and one truth.
    """

    seed: int = 0
    start_year: int = 1981
    years: int = 12
    size: int = 48
    rcm: Literal["rcm-1", "rcm-2"] | None = None

    def __post_init__(self) -> None:
        if self.seed < 0 or self.years < 1 or self.size < 8 or self.size > 80:
            raise ValueError(
                f"{self} cannot be made: the seed must not be negative, years be at least 1 and "
                "size lie between 8 and 80."
            )


@dataclass(frozen=True, eq=False)
class World:
    """A made-up climate.

    Attributes:
        statics: orog (m) and sftlf (1, 0 to 1) on the target grid.
        truth: daily tas (K) and pr (mm day-1) on the target grid.
        views: what each GCM shows, on its own grid: daily tas, pr, psl, hus700, ua850, va850 and
            its own orog (m, without time); "perfect" among them if it was asked for.
        noise_floor: per variable of the truth, the RMSE over all days and cells that no emulator
            can go below: the RMS of the part which does not depend on the weather.
        truths: of an ensemble, the truth that each view drives; `truth` is the first one.
    """

    statics: xr.Dataset
    truth: xr.Dataset
    views: dict[str, xr.Dataset]
    noise_floor: dict[str, float]
    truths: dict[str, xr.Dataset] = field(default_factory=dict)
