"""Arguments of `graphdown explain`."""

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from graphdown.downscaling.file_options import FileOptions
from graphdown.errors import GraphdownError

DAYS, POINTS = 24, 24


@dataclass(frozen=True)
class ExplainRequest:
    """Arguments of `graphdown explain`.

    Attributes:
        run: the run's folder.
        inputs: netCDF, zarr or GRIB files or globs, as for `graphdown downscale`.
        at: longitude and latitude in degrees of a point of the target, as in --at 8.5,46; negative
            ones as in --at=-3.7,40.4
        region: instead, the name of a PRUDENCE region such as alps, or west,south,east,north in
            degrees; with neither, all of the target.
        variable: one that the emulator makes; the first if empty.
        season: explain the days of this season alone.
        days: number of days to explain, spread evenly.
        points: number of points of a region to explain one by one.
        truth: files of the true fields on the emulator's target; the lapse rate, the rain on
            slopes and the scaling of extreme rain of both are printed.
        output: a name in .nc; the picture, in .png, is written beside it.
        historical: files as for `graphdown downscale --historical`.
        file_options: metadata that the inputs lack.
        overwrite: replace the output if it exists.
    """

    run: Positional[Annotated[Path, arg(metavar="RUN")]]
    inputs: Positional[Annotated[tuple[str, ...], arg(metavar="INPUT...")]]
    at: Annotated[str, arg(metavar="LON,LAT")] = ""
    region: Annotated[str, arg(metavar="NAME_OR_BOX")] = ""
    variable: Annotated[str, arg(metavar="NAME")] = ""
    season: Literal["DJF", "MAM", "JJA", "SON"] | None = None
    days: int = DAYS
    points: int = POINTS
    truth: Annotated[tuple[str, ...], arg(metavar="FILE...")] = ()
    output: Annotated[Path, arg(aliases=["-o"])] = Path("explanation.nc")
    historical: Annotated[tuple[str, ...], arg(metavar="FILE...")] = ()
    file_options: Annotated[FileOptions, arg(name="")] = field(default_factory=FileOptions)
    overwrite: bool = False

    @property
    def place(self) -> tuple[float, float] | None:
        """Longitude and latitude of the point, None for none.

        Raises:
            GraphdownError: `at` is no pair of numbers.
        """
        if not self.at:
            return None
        try:
            lon, lat = map(float, self.at.split(","))
        except ValueError:
            raise GraphdownError(
                f"--at: {self.at!r} is no place; give longitude,latitude in degrees, as in 8.5,46."
            ) from None
        return lon, lat

    @property
    def command(self) -> str:
        """The command line that decides the values."""
        words = ["graphdown", "explain", str(self.run), *self.inputs, "-o", str(self.output)]
        options = {"at": self.at, "region": self.region, "variable": self.variable}
        options |= {"season": self.season or ""}
        words += [f"--{name}={value}" for name, value in options.items() if value]
        words += ["--days", str(self.days), "--points", str(self.points)]
        return shlex.join(words + self.file_options.words())
