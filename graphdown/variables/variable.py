"""Variable: the entry of a variable in the catalogue."""

import math
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["temperature", "precipitation", "amount", "state", "static"]
Range = tuple[float, float]

ANY: Range = (-math.inf, math.inf)
NOT_NEGATIVE: Range = (0.0, math.inf)
SHARE: Range = (0.0, 1.0)
MEAN, MAXIMUM, MINIMUM = "time: mean", "time: maximum", "time: minimum"
LOW_TROPOSPHERE_HPA = 200
HEIGHT_MARGIN_M = 1800.0  # around a level's height in the standard atmosphere
NEAR_GROUND_HPA, NEAR_GROUND_MARGIN_M = 850, 900.0


@dataclass(frozen=True)
class Variable:
    """What a variable is: its names, its units and the values that it can have.

    Attributes:
        name: CF/CMIP name.
        units: canonical units, in which it is computed and written; empty if unknown.
        long_name: for people.
        standard_names: CF standard names. The first belongs to `units` and is written; all are
            recognised in files.
        aliases: names in files of other origin.
        amount_names: CF standard names of its total over an interval.
        other_units: units that files often have it in, the likeliest first; for hints.
        cell_methods: CF cell methods of daily values; empty for a field without time.
        plausible: least and greatest value accepted from files, with room for packing errors.
        usual_maximum: maxima of many values below which units are refused, and doubted.
        usual_mean: means of many values outside of which units are doubted.
        often_zero: whether it is zero over whole regions for days, as rain is and pressure is not.
        bounds: least and greatest value written.
        kind: "temperature" (of the air; takes warming offsets), "precipitation" (a rate of rain
            or snow; has dry days, changes in %, takes factors), "amount" (never negative; takes
            factors), "state" (takes offsets) or "static" (without time).
        transform: name of the transform of it that is a predictor too, such as "log1p"; see
            `graphdown.model.transforms`.
        northward: the northward component of the wind whose eastward component this is.
        extreme_of: the variable whose daily maximum or minimum this is, see `cell_methods`.
        levels: whether it is on pressure levels, as in ta850.

    Raises:
        ValueError: the name is empty, or a range holds no value.
    """

    name: str
    units: str = ""
    long_name: str = ""
    standard_names: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    amount_names: tuple[str, ...] = ()
    other_units: tuple[str, ...] = ()
    cell_methods: str = MEAN
    plausible: Range = ANY
    usual_maximum: Range = (0.0, 0.0)
    usual_mean: Range = ANY
    often_zero: bool = False
    bounds: Range = ANY
    kind: Kind = "state"
    transform: str = "none"
    northward: str = ""
    extreme_of: str = ""
    levels: bool = False

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a variable needs a name")
        for key in ("plausible", "usual_mean", "bounds"):
            low, high = getattr(self, key)
            if not low < high:
                raise ValueError(f"{key!r} of {self.name!r} must ascend, not be {low}, {high}")

    @property
    def method(self) -> str:
        """CF method along time of daily values: "mean", "maximum" or "minimum"."""
        return self.cell_methods.rpartition(" ")[2]

    @property
    def is_extreme(self) -> bool:
        """Whether it is the maximum or minimum of a day."""
        return self.method in ("maximum", "minimum")

    @property
    def reduction(self) -> str:
        """Name of the function of arrays that makes daily values: "mean", "max" or "min"."""
        return {"maximum": "max", "minimum": "min"}.get(self.method, "mean")

    @property
    def phrase(self) -> str:
        """Long name within a sentence; the name for a variable without one."""
        first = self.long_name.partition(" ")[0]
        is_abbreviation = first.isupper() and len(first) > 1
        start = first if is_abbreviation else first.lower()
        return f"{start}{self.long_name[len(first) :]}" or self.name

    @property
    def is_temperature(self) -> bool:
        """Whether it is a temperature of the air."""
        return self.kind == "temperature"

    @property
    def is_precipitation(self) -> bool:
        """Whether it is a rate of rain or snow."""
        return self.kind == "precipitation"

    @property
    def is_amount(self) -> bool:
        """Whether it is never negative and changes by factors rather than offsets."""
        return self.kind in ("precipitation", "amount")

    @property
    def is_non_negative(self) -> bool:
        """Whether its lower bound is zero."""
        return self.bounds[0] == 0.0

    def at_level(self, level: int) -> "Variable":
        """Return the variable on a pressure level in hPa."""
        plausible = self.plausible
        if self.name == "zg" and level >= LOW_TROPOSPHERE_HPA:
            height = 44330.0 * (1.0 - (level / 1013.25) ** 0.1903)
            margin = NEAR_GROUND_MARGIN_M if level >= NEAR_GROUND_HPA else HEIGHT_MARGIN_M
            plausible = (height - margin, height + margin)
        if self.name == "hus":  # the colder, the less water air can hold
            plausible = (plausible[0], plausible[1] * min(1.0, level / 1000.0) ** 2)
        return replace(
            self,
            name=f"{self.name}{level}",
            long_name=f"{self.long_name} at {level} hPa",
            plausible=plausible,
            northward=f"{self.northward}{level}" if self.northward else "",
        )
