"""Whether a run's emulator may be used on files: `graphdown check --run`."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from graphdown.applicability.assessment import Assessment
from graphdown.downscaling.driving_inputs import DrivingInputs, historical_fields
from graphdown.downscaling.file_options import FileOptions
from graphdown.emulator.storage import load


def check_for_run(
    run: str | Path,
    files: Sequence[str],
    options: FileOptions | None = None,
    historical: Sequence[str] = (),
) -> dict[str, Assessment]:
    """Compare files with the training climate of a run.

    Args:
        run: the run's folder.
        files: netCDF, zarr or GRIB paths or globs of one driving model; see `driving_members`.
        options: metadata that the files lack.
        historical: files of the same model in the years of the training period, for an emulator
            that was trained with `standardise: per-source`.

    Returns:
        The assessment of each member of the driving model by its label, "" where it is one.

    Raises:
        DataError, GraphdownError: as for `Emulator.applicability`.
    """
    emulator, options = load(run), options or FileOptions()
    past, _ = historical_fields(historical, options, emulator)
    request = options.request(emulator.needed, ["orog", *emulator.optional_predictors])
    with closing(DrivingInputs(files, request)) as driving:
        return {
            member.label: emulator.applicability(driving.dataset(number), historical=past)
            for number, member in enumerate(driving.members)
        }
