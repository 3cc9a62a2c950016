"""Contents of an embedded world."""

from dataclasses import dataclass, field

import xarray as xr


@dataclass(frozen=True, eq=False)
class World:
    """A made-up climate.

    Attributes:
        statics: orog (m) and sftlf (1, 0 to 1) on the target grid.
        truth: daily tas (K) and pr (mm day-1) on the target grid.
        views: fields of each GCM on its grid: daily tas, pr, psl, hus700, ua850, va850 and
            its own orog (m, without time); "perfect" among them if it was requested.
        noise_floor: per variable of the truth, the RMSE over all days and cells below which no
            emulator can get: the RMS of the part that does not depend on the weather.
        truths: for an ensemble, the truth of each view; `truth` is the first one.
    """

    statics: xr.Dataset
    truth: xr.Dataset
    views: dict[str, xr.Dataset]
    noise_floor: dict[str, float]
    truths: dict[str, xr.Dataset] = field(default_factory=dict)
