"""Size, period and seed of the embedded world."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Interval

from graphdown.ranges import check_ranges


@dataclass(frozen=True)
class WorldSpec:
    """Size, period and seed of a world.

    Attributes:
        seed: seed of terrain, weather and noise.
        start_year: first year of the daily series.
        years: number of whole years (standard calendar).
        size: cells along either side of the target grid.
        rcm: a regional model of the ensemble (see `graphdown.data.synthetic.gcm_ensemble`), whose
            fields are the target; if not given, there is one weather and one truth.
    """

    seed: Annotated[int, Ge(0)] = 0
    start_year: int = 1981
    years: Annotated[int, Ge(1)] = 12
    size: Annotated[int, Interval(ge=8, le=80)] = 48
    rcm: Literal["rcm-1", "rcm-2"] | None = None

    def __post_init__(self) -> None:
        """Refuse a size, period or seed that no world has."""
        check_ranges(self)
