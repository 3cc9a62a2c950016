"""The data section of an experiment, and its periods."""

from dataclasses import dataclass, field
from typing import Literal

from graphdown.config.synthetic import WorldSpec
from meshes import RandomGrids

Daily = Literal["mean", "max", "min", "sum"]


@dataclass(frozen=True)
class Static:
    """A field without time, from a file on any grid; it is interpolated to the target grid.

    Attributes:
        file: netCDF file.
        variable: its name there.
    """

    file: str
    variable: str


@dataclass(frozen=True)
class Target:
    """The regional model's or observations' fields that the network learns to make.

    Attributes:
        files: netCDF, zarr or GRIB paths or globs, joined along time and by variable.
        units: units of variables that carry none or wrong ones.
        rename: name in the file: CF/CMIP name.
        daily: how sub-daily values become daily ones; tasmax and tasmin always become maximum and
            minimum.
        select: index to take of a dimension beside time and space, as in {member: 0}.
        accumulated: variables whose totals run up from 00 UTC of each day.
        cut: dimension: [first, end) index, to use a part of the grid.
        statics: orog (m) and sftlf (1) of the target, where they are not in the files.
    """

    files: tuple[str, ...]
    units: dict[str, str] = field(default_factory=dict)
    rename: dict[str, str] = field(default_factory=dict)
    daily: Daily | None = None
    select: dict[str, int] = field(default_factory=dict)
    accumulated: tuple[str, ...] = ()
    cut: dict[str, tuple[int, int]] = field(default_factory=dict)
    statics: dict[Literal["orog", "sftlf"], Static] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """Predictors on their own grid, from exactly one of files, a view of the world, an upscaling.

    Attributes:
        name: how tables call it.
        files: netCDF, zarr or GRIB paths or globs, joined along time and by variable; a variable
            on another grid than the first predictor is interpolated to its grid, bilinearly.
        units, rename, daily, select, accumulated: as for the target.
        view: name of a view of the embedded world.
        upscale: perfect framework: block means of this many cells along each dimension; 1 with
            `grids`.
        grids: upscale the fields conservatively to random grids, another one in each step of
            training; validation and evaluation use further ones.
        target_files: the target's files that go with this source's days, if others than those of
            `data.target`: the same regional model, driven by this GCM. They hold the same grid;
            units, names and all else are as for `data.target`.
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
    """Where the fields come from: files, or the embedded world.

    Attributes:
        target: files of the target; pretraining in a `region` needs none.
        world: the embedded world, instead of a target in files.
        sources: sources to train on.
        unseen: sources that are only evaluated on.
    """

    sources: tuple[Source, ...]
    target: Target | None = None
    world: WorldSpec | None = None
    unseen: tuple[Source, ...] = ()


@dataclass(frozen=True)
class Periods:
    """First and last day or month of each part, inclusive, as in ["1982-12", "2000-02"].

    Attributes:
        train: learned from.
        validation: chooses the stopping point and the baselines' settings.
        test: opened once, at the end.
    """

    train: tuple[str, str]
    validation: tuple[str, str]
    test: tuple[str, str]
