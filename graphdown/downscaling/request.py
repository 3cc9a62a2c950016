"""Arguments of `graphdown downscale`, and checks that need no file."""

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from graphdown.downscaling.file_options import FileOptions
from graphdown.errors import GraphdownError
from graphdown.output.store_plan import Shard


@dataclass(frozen=True)
class DownscaleRequest:
    """Arguments of `graphdown downscale`.

    Attributes:
        run: the run's folder.
        inputs: netCDF, zarr or GRIB files or globs, joined along time and by variable.
        output: a name in .nc or .zarr.
        target: another target than that of the training: a file with its coordinates and, if known,
            orog and sftlf; a grid's name; or a .csv file of stations with the columns lon, lat
            and, if known, station, orog, sftlf.
        statics: files with orog and sftlf on any grid, where the target lacks them; for stations
            they describe the terrain around.
        historical: files of the same model in the years of the training period, for an emulator
            that was trained with `standardise: per-source`.
        members: of an ensemble, along a dimension `realization`, if the emulator makes members;
            0 writes one field a day.
        seed: of the members; the same seed, member and date give the same field.
        file_options: metadata that the inputs lack.
        refuse_beyond: refuse predictors more than 3 standard deviations outside the range of the
            training; without, a sentence names them.
        expected_error: write the errors to expect beside the fields, by month or season, if the run
            was scored by `graphdown evaluate`; the inputs are read once more for it.
        overwrite: replace the output if it exists, and the unfinished part of another one.
        shard: make part I of N parts of a zarr output.
        merge: make the output of its shards.
        drs: write files with the names, folders and attributes of the CORDEX-CMIP6 archive, below
            the folder that the output names.
        drs_attributes: a YAML file with the attributes that these files need, such as
            institution_id.
        years_per_file: years in each of these files.
    """

    run: Positional[Annotated[Path, arg(metavar="RUN")]]
    inputs: Positional[Annotated[tuple[str, ...], arg(metavar="INPUT...")]]
    output: Annotated[Path, arg(aliases=["-o"])]
    target: Annotated[str, arg(metavar="FILE_OR_NAME")] = ""
    statics: Annotated[tuple[str, ...], arg(metavar="FILE...")] = ()
    historical: Annotated[tuple[str, ...], arg(metavar="FILE...")] = ()
    members: int = 0
    seed: int = 0
    file_options: Annotated[FileOptions, arg(name="")] = field(default_factory=FileOptions)
    refuse_beyond: bool = False
    expected_error: bool = False
    overwrite: bool = False
    shard: Annotated[str, arg(metavar="I/N")] = ""
    merge: bool = False
    drs: Literal["cordex"] | None = None
    drs_attributes: Annotated[Path | None, arg(metavar="FILE.yaml")] = None
    years_per_file: Literal[1, 5] = 5

    @property
    def part(self) -> Shard | None:
        """The shard to make, None for the whole output.

        Raises:
            GraphdownError: `shard` names none.
        """
        return Shard.parse(self.shard) if self.shard else None

    @property
    def options(self) -> list[str]:
        """Words of the command line, beside inputs and output, that change values."""
        words = ["--members", str(self.members), "--seed", str(self.seed)] if self.members else []
        words += ["--expected-error"] if self.expected_error else []
        return words + self.file_options.words()

    @property
    def command(self) -> str:
        """The command line, without options that change no value."""
        words = ["graphdown", "downscale", str(self.run), *self.inputs, "-o", str(self.output)]
        words += ["--target", self.target] if self.target else []
        words += ["--statics", *self.statics] if self.statics else []
        words += ["--historical", *self.historical] if self.historical else []
        words += ["--drs", self.drs] if self.drs else []
        return shlex.join(words + self.options)

    def check(self) -> None:
        """Refuse arguments that contradict each other.

        Raises:
            GraphdownError: they do.
        """
        if not self.inputs:
            raise GraphdownError("No input is given; name the files after the run's folder.")
        if self.statics and not self.target:
            raise GraphdownError("--statics belongs to another target; name that with --target.")
        if self.seed and not self.members:
            raise GraphdownError("--seed is that of --members; give their number, or drop it.")
        if self.output.suffix == ".nc" and (self.part is not None or self.merge):
            raise GraphdownError(
                "Shards are made of zarr outputs only; name one that ends in .zarr."
            )
        if self.part is not None and self.merge:
            raise GraphdownError("Give --merge when all shards are made, without --shard.")
        self._check_drs()

    def _check_drs(self) -> None:
        if self.drs is None:
            if self.drs_attributes is not None:
                raise GraphdownError("--drs-attributes belongs to --drs cordex; give both.")
            return
        if self.part is not None or self.merge or self.expected_error:
            raise GraphdownError("--drs goes without --shard, --merge and --expected-error.")
        if self.output.suffix in (".nc", ".zarr") or self.output.is_file():
            raise GraphdownError(
                f"With --drs the output is a folder, which {str(self.output)!r} is not; name one."
            )
