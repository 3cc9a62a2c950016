"""Data and periods of an experiment."""

from dataclasses import dataclass, field
from typing import Literal

from graphdown.config.regions import Box
from graphdown.config.synthetic import WorldSpec
from meshes import RandomGrids

Daily = Literal["mean", "max", "min", "sum"]


@dataclass(frozen=True)
class Static:
    """A field without time, from a file on any grid; it is interpolated to the target grid.

    Attributes:
        file: netCDF file.
        variable: name of the field in the file.
    """

    file: str
    variable: str


@dataclass(frozen=True)
class Target:
    """Fields of a regional model or of observations that the network learns to predict.

    Attributes:
        files: netCDF, zarr or GRIB paths or globs, joined along time and by variable; relative
            ones start at the working directory.
        units: units of variables whose units attribute is absent or wrong.
        rename: CF/CMIP names of variables, by their names in the files.
        daily: statistic that aggregates sub-daily values to days; tasmax and tasmin are always
            the maximum and the minimum.
        select: index along each dimension besides time and space, as in {member: 0}.
        accumulated: variables that are running totals, where too few times show it by
            themselves; from 00 UTC of each day if the values do not say since when.
        cut: the part of the grid to use: ranges [first, end) of indices by dimension, as in
            {rlon: [0, 28]}; or a box [west, south, east, north] in degrees; or the name of a
            region of PRUDENCE ("alps", "iberian-peninsula", ...) or of a grid ("EUR-44"). Of the
            smallest part of the rows and columns around a box or region, cells whose centres lie
            outside are left out.
        outside: what becomes of cells that a source does not cover: "refuse" refuses sources
            that leave out more than 1 % of the area, "mask" leaves those cells out.
        statics: orog (m) and sftlf (1) of the target, where the files lack them.
    """

    files: tuple[str, ...]
    units: dict[str, str] = field(default_factory=dict)
    rename: dict[str, str] = field(default_factory=dict)
    daily: Daily | None = None
    select: dict[str, int] = field(default_factory=dict)
    accumulated: tuple[str, ...] = ()
    cut: dict[str, tuple[int, int]] | Box | str = field(default_factory=dict)
    outside: Literal["refuse", "mask"] = "refuse"
    statics: dict[Literal["orog", "sftlf"], Static] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """Predictors on their own grid, from files, a view of the world or an upscaled target.

    Exactly one of `files`, `view` and `upscale` is set.

    Attributes:
        name: name of the source in tables.
        files: netCDF, zarr or GRIB paths or globs, joined along time and by variable; a variable
            on another grid than the first predictor's is interpolated to that grid, bilinearly.
        units, rename, daily, select, accumulated: as for the target.
        view: name of a view of the embedded world.
        upscale: perfect framework: number of target cells along each dimension that are averaged
            to a block mean; 1 with `grids`.
        grids: random grids to which the fields are upscaled conservatively, another one in each
            step of training; validation and evaluation use further grids.
        target_files: files of the target that belong to this source's days, if they are not those
            of `data.target`: the same regional model, driven by this GCM. Their grid is the same;
            units, names and all other keys are those of `data.target`.
    """

    name: str
    files: tuple[str, ...] = ()
    units: dict[str, str] = field(default_factory=dict)
    rename: dict[str, str] = field(default_factory=dict)
    daily: Daily | None = None
    select: dict[str, int] = field(default_factory=dict)
    accumulated: tuple[str, ...] = ()
    view: str | None = None
    upscale: int | None = None
    grids: RandomGrids | None = None
    target_files: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataSpec:
    """Fields of the target and of the sources, from files or from the embedded world.

    Attributes:
        target: files of the target; pretraining in a `region` needs none.
        world: the embedded world, instead of a target in files.
        sources: sources to train on.
        unseen: sources that are used for evaluation only.
        store: folder in which the days are kept on disk, packed for training, instead of each
            run's own. Runs with the same fields and periods, such as seeds and the tasks of a job
            array, pack them once; the folder may serve other experiments as well.
    """

    sources: tuple[Source, ...]
    target: Target | None = None
    world: WorldSpec | None = None
    unseen: tuple[Source, ...] = ()
    store: str = ""


@dataclass(frozen=True)
class Periods:
    """First and last day or month of each part, inclusive, as in ["1982-12", "2000-02"].

    Attributes:
        train: days to train on.
        validation: days that determine the stopping point and the baselines' settings.
        test: days for the final evaluation.
    """

    train: tuple[str, str]
    validation: tuple[str, str]
    test: tuple[str, str]
