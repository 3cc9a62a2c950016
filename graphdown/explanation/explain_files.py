"""The `explain` command: files explained to a netCDF file and a picture."""

from contextlib import closing

import xarray as xr

from graphdown.data.reading.fields import OpenFiles
from graphdown.data.reading.file_request import Request
from graphdown.downscaling.driving_inputs import DrivingInputs, historical_fields
from graphdown.emulator.emulator import Emulator
from graphdown.emulator.storage import load
from graphdown.errors import DataError, GraphdownError
from graphdown.evaluation.align import paired_times
from graphdown.evaluation.one_grid import on_one_grid
from graphdown.explanation.explain import explain
from graphdown.explanation.explain_request import ExplainRequest
from graphdown.explanation.physical_checks import checks_table, physical_checks
from graphdown.explanation.picture import draw_explanation
from graphdown.output.writer import check_output, write

LEAST_SHARE = 0.005  # that is printed


def explain_files(request: ExplainRequest) -> str:
    """Explain files as of a request; return a sentence on what came out.

    Raises:
        DataError, GraphdownError: an input, option or output cannot be used.
    """
    if not request.inputs:
        raise GraphdownError("No input is given; name the files after the run's folder.")
    if request.output.suffix != ".nc":
        raise GraphdownError(f"The output {str(request.output)!r} must end in .nc.")
    place = request.place
    check_output(request.output, request.overwrite)
    emulator, options = load(request.run), request.file_options
    past, _ = historical_fields(request.historical, options, emulator)
    predictors = options.request(emulator.needed, ["orog", *emulator.optional_predictors])
    with closing(DrivingInputs(request.inputs, predictors)) as driving:
        if len(driving.members) > 1:
            raise GraphdownError("The input has several members; take one, as with --select.")
        found = explain(
            emulator,
            driving.dataset(0),
            request.variable,
            at=place,
            region=request.region,
            season=request.season or "",
            days=request.days,
            points=request.points,
            historical=past,
        )
        checks = _checked(request, emulator, driving.dataset(0), past)
    picture = request.output.with_suffix(".png")
    write(found, request.output, request.command)
    draw_explanation(found, picture)
    by_predictor = found["saliency_by_distance"].sum("distance").to_series()
    leading = by_predictor[by_predictor >= LEAST_SHARE].sort_values(ascending=False)[:3]
    shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in leading.items())
    return (
        f"{found.attrs['explained_variable']} follows {shares}, from "
        f"{float(found['dispersion'].mean()):.0f} km away in the mean; see {request.output} and "
        f"{picture}{checks}"
    )


def _checked(
    request: ExplainRequest, emulator: Emulator, coarse: xr.Dataset, past: xr.Dataset | None
) -> str:
    """Physical checks of the downscaled and of the true fields as text, empty without truth.

    Raises:
        DataError: the truth cannot be read, is on another grid or has other days.
    """
    if not request.truth:
        return ""
    if "orog" not in emulator.domain.statics:
        raise GraphdownError("The emulator knows no heights (orog), which --truth is checked by.")
    with closing(OpenFiles(request.truth, Request(emulator.targets))) as opened:
        true = opened.read()[0].compute()
    fine = emulator.downscale(coarse, historical=past)[list(emulator.targets)]
    fine, true = on_one_grid(fine, true)
    first, second = paired_times(fine, true)
    if not first.size:
        raise DataError("The input and the truth have no day in common; give files of one period.")
    fine, true = fine.isel(time=first), true.isel(time=second)
    statics = on_one_grid(emulator.domain.statics, fine)[0]
    winds = coarse.isel(time=first // emulator.times_a_step).compute()
    return "\n" + checks_table(*(physical_checks(ds, statics, winds) for ds in (fine, true)))
