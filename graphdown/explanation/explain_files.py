"""The `explain` command: files explained to a netCDF file and a picture."""

from contextlib import closing

from graphdown.downscaling.driving_inputs import DrivingInputs, historical_fields
from graphdown.emulator.storage import load
from graphdown.errors import GraphdownError
from graphdown.explanation.explain import explain
from graphdown.explanation.explain_request import ExplainRequest
from graphdown.explanation.picture import draw_explanation
from graphdown.output.writer import check_output, write


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
    picture = request.output.with_suffix(".png")
    write(found, request.output, request.command)
    draw_explanation(found, picture)
    by_predictor = found["saliency_by_distance"].sum("distance").to_series()
    leading = by_predictor.sort_values(ascending=False)[:3]
    shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in leading.items())
    return (
        f"{found.attrs['explained_variable']} follows {shares}, from "
        f"{float(found['dispersion'].mean()):.0f} km away in the mean; see {request.output} and "
        f"{picture}"
    )
