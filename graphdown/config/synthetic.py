"""What an embedded world is made from."""

from dataclasses import dataclass
from typing import Literal


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
