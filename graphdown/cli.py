"""The `graphdown` command."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Positional, arg

from graphdown.config.packaged import packaged_config
from graphdown.config.renamed_keys import check_options
from graphdown.config.training import FinetuneOptions
from graphdown.downscaling.file_options import FileOptions, TargetOptions
from graphdown.downscaling.request import DownscaleRequest
from graphdown.errors import GraphdownError
from graphdown.runtime.console import notices_shown
from graphdown.runtime.signals import Interrupted, stopped_at_once

DEMO = packaged_config("demo")
NO_OPTIONS = FileOptions()
NO_TARGET_OPTIONS = TargetOptions()
FINETUNE_DEFAULTS = FinetuneOptions()
Overrides = Annotated[tuple[str, ...], arg(name="set", metavar="KEY=VALUE...")]


def demo(
    output: Annotated[str, arg(aliases=["-o"])] = "",
    experiment: Path = DEMO,
    *,
    quick: bool = False,
    overrides: Overrides = (),
) -> None:
    """Train on the embedded world, score it and write the report.

    Example: graphdown demo --quick

    With --quick nothing is trained: an emulator that is installed with graphdown downscales a month
    of a GCM that it never saw, in less than a minute.

    Args:
        output: the run's folder; that of the experiment, or graphdown-demo, if empty.
        experiment: the experiment file.
        quick: downscale a month with the installed emulator.
        overrides: key.sub=value, over the file's values, as in training.steps=200.
    """
    if quick:
        _quick_demo(output, experiment, overrides)
        return
    changes = (*overrides, f"output={output}") if output else overrides
    _train_and_evaluate(experiment, changes)


def _quick_demo(output: str, experiment: Path, overrides: Sequence[str]) -> None:
    from graphdown.demo.quick import FOLDER, quick_demo
    from graphdown.runtime.compilation_cache import keep_compiled

    if overrides or experiment != DEMO:
        raise GraphdownError("--quick trains nothing; leave out the experiment and --set.")
    keep_compiled()
    found = quick_demo(Path(output or FOLDER))
    print("", *found.sentences, sep="\n")


def train(
    experiment: Positional[Annotated[Path, arg(metavar="EXPERIMENT")]],
    *,
    overrides: Overrides = (),
    dry_run: bool = False,
) -> None:
    """Train an emulator, or resume an interrupted run.

    Example: graphdown train configs/demo.yaml --set training.steps=200 output=runs/short

    Several processes, as of `srun graphdown train ...`, train one emulator together.

    SIGINT, SIGTERM, SIGUSR1 and SIGUSR2 end it after the current step with a checkpoint, and status
    130, 143, 138 and 140. The same command resumes it, wherever its folder and its files are then;
    --set training.steps=N with a larger N trains longer.

    Args:
        experiment: the experiment file.
        overrides: key.sub=value, over the file's values.
        dry_run: train nothing; print the memory and the disk that the training takes, that of a
            step as it is compiled for this machine, and what to change if there is too little.
    """
    from graphdown.config.experiment_file import load_experiment
    from graphdown.data.load import survey_data
    from graphdown.runtime.compilation_cache import keep_compiled
    from graphdown.runtime.distributed import join_processes
    from graphdown.training import train as run_training
    from graphdown.training.estimate import estimate

    join_processes()
    keep_compiled()
    loaded = load_experiment(experiment, overrides)
    if dry_run:
        print(estimate(loaded, survey_data(loaded), compiled=True).to_text())
        return
    run_training(loaded)
    print(f"The emulator is in {loaded.output}; score it with: graphdown evaluate {loaded.output}")


def pretrain(
    experiment: Positional[Annotated[Path, arg(metavar="EXPERIMENT")]],
    *,
    overrides: Overrides = (),
) -> None:
    """Train encoder and mesh on the sources alone, without a target.

    Example: graphdown pretrain configs/pretrain_ensemble.yaml --set output=runs/pretrained

    A training starts from it with: graphdown train EXPERIMENT --set pretrained.run=runs/pretrained

    The same command resumes an interrupted run. SIGINT and SIGTERM end it after the current step
    with a checkpoint, and status 130 or 143.

    Args:
        experiment: the experiment file, with a section `pretrain`.
        overrides: key.sub=value, over the file's values.
    """
    from graphdown.config.experiment_file import load_experiment
    from graphdown.runtime.compilation_cache import keep_compiled
    from graphdown.training import pretrain as run_pretraining

    keep_compiled()
    loaded = load_experiment(experiment, overrides)
    run_pretraining(loaded)
    start = f"--set pretrained.run={loaded.output}"
    print(f"The pretraining is in {loaded.output}; start from it with: graphdown train ... {start}")


def finetune(
    run: Positional[Annotated[Path, arg(metavar="RUN")]],
    *,
    data: Annotated[str, arg(metavar="SOURCE|EXPERIMENT.yaml")],
    options: Annotated[FinetuneOptions, arg(name="")] = FINETUNE_DEFAULTS,
    output: Annotated[str, arg(aliases=["-o"])] = "",
    overrides: Overrides = (),
) -> None:
    """Train a run's emulator further on other data.

    Example: graphdown finetune runs/demo --data shifted --years 3 --trainable head --l2-sp 0.01

    The same command resumes an interrupted run. SIGINT and SIGTERM end it after the current step
    with a checkpoint, and status 130 or 143.

    Args:
        run: the run's folder, which stays as it is.
        data: name of a source that the run's experiment lists, seen or unseen, or an experiment
            file, whose data, periods and training are taken; what the run has otherwise is refused.
        options: which parameters train, and how far they may move.
        output: the new run's folder; empty takes one beside the run, named after data and options.
        overrides: key.sub=value, over the resulting experiment, as in training.steps=200.
    """
    from graphdown.config.experiment_file import load_experiment
    from graphdown.config.yaml_files import read_yaml
    from graphdown.training import finetune_experiment
    from graphdown.training import train as run_training

    is_file = Path(data).suffix in (".yaml", ".yml")
    new_data = load_experiment(data) if is_file else data
    stated = read_yaml(data) if is_file else None
    experiment = finetune_experiment(run, new_data, output, overrides, stated, **asdict(options))
    run_training(experiment)
    folder = experiment.output
    print(f"The emulator is in {folder}; score it with: graphdown evaluate {folder}")


def evaluate(
    run: Positional[Annotated[Path, arg(metavar="RUN|FILE")]],
    *,
    truth: Annotated[tuple[str, ...], arg(metavar="FILE...")] = (),
    truth_units: Annotated[tuple[str, ...], arg(metavar="NAME=UNITS...")] = (),
    truth_rename: Annotated[tuple[str, ...], arg(metavar="NAME=NAME...")] = (),
    baselines: Annotated[tuple[str, ...], arg(metavar="NAME...")] = (),
    season: Literal["DJF", "MAM", "JJA", "SON"] | None = None,
    floors: bool = False,
    overrides: Overrides = (),
) -> None:
    """Score a run beside the baselines and write the report.

    Example: graphdown evaluate runs/demo --baselines ridge bilinear

    Or score a downscaled file: graphdown evaluate fine.nc --truth runs/demo/inputs/truth.nc. The
    members of an ensemble, along a dimension `realization`, are scored together.

    Args:
        run: the run's folder, or a downscaled file.
        truth: files or globs to compare a downscaled one with, as they come from the archive: in
            any units and calendar, on the same grid or one that has its points.
        truth_units: units of its variables whose attribute is missing or wrong, as in rr=mm.
        truth_rename: its names for variables=CF/CMIP names, as in rr=pr.
        baselines: those to score a run beside, instead of its experiment's.
        season: score the days of this season of a downscaled file alone.
        floors: also show the scores that chance leaves to a perfect emulator: those of members for
            each other, or of the truth in resampled years, which has other weather.
        overrides: key.sub=value, over the run's experiment, for files that have moved since, as in
            data.sources.0.files=[new/place/*.nc], and for what is scored, as in periods.test.
    """
    from graphdown.comparison import evaluate_run, scored_experiment
    from graphdown.data.load import load_data
    from graphdown.data.sample_store import store_folder
    from graphdown.evaluation.score_files import evaluate_files
    from graphdown.runtime.compilation_cache import keep_compiled
    from graphdown.training.run.evaluated_inputs import check_learned_from

    if truth and (overrides or baselines):
        option = "--set" if overrides else "--baselines"
        raise GraphdownError(f"{option} is for a run, --truth for a file; give one of them.")
    of_file = {"season": season, "truth-units": truth_units, "truth-rename": truth_rename}
    needless = [option for option, value in of_file.items() if value and not truth]
    if needless:
        raise GraphdownError(
            f"--{needless[0]} is for a file that is given with --truth; leave it out."
        )
    if truth:
        statements = FileOptions(truth_units, truth_rename).request()
        print(evaluate_files(str(run), truth, season or "", floors, statements))
        return
    keep_compiled()
    data = None
    experiment = scored_experiment(run, overrides) if overrides else None
    if experiment is not None:
        data = load_data(experiment, store_folder(experiment, run))
        check_learned_from(run, experiment, data)
    _show(*evaluate_run(run, data, overrides, baselines, floors))


def transfer(
    study: Positional[Annotated[Path, arg(metavar="STUDY")]],
    *,
    quick: bool = False,
    seeds: int | None = None,
    jobs: int = 1,
    output: Annotated[str, arg(aliases=["-o"])] = "",
    overrides: Overrides = (),
) -> None:
    """Measure how strategies generalise from some sources to others.

    Example: graphdown transfer configs/transfer_ensemble.yaml --quick --seeds 1 --jobs 2

    Prints the number of runs and an estimate of their time; the same command resumes an interrupted
    study. Started several times, as by a SLURM array, the commands share the runs.

    Args:
        study: the study file: strategies, sets of training sources, sources applied to.
        quick: run the file's small version.
        seeds: runs of each cell, instead of the file's number.
        jobs: number of processes, each on its share of the processor's cores.
        output: the study's folder; that of the file if empty.
        overrides: key.sub=value, over the file's values.
    """
    from graphdown.runtime.compilation_cache import keep_compiled
    from graphdown.transfer.findings import findings
    from graphdown.transfer.spec import load_study
    from graphdown.transfer.study import transfer as run_study

    keep_compiled()
    options = [f"seeds={seeds}"] if seeds is not None else []
    options += [f"output={output}"] if output else []
    outcome = run_study(load_study(study, (*overrides, *options), quick), jobs=jobs)
    print("\n".join(findings(outcome)))
    print(f"\nThe page: {outcome.page}")


def downscale(request: Annotated[DownscaleRequest, arg(name="")]) -> None:
    """Downscale files on any source grid with a trained emulator.

    Example: graphdown downscale runs/demo runs/demo/inputs/shifted.nc -o fine.nc

    The example's files come from `graphdown demo`.

    To another target than that of the training, if the emulator is not bound to it:
    --target EUR-11 --statics orog.nc sftlf.nc, or --target stations.csv --statics orog.nc sftlf.nc

    The same command resumes a zarr output that was interrupted; the days made so far lie beside it,
    in OUTPUT.part. SIGINT ends the command with status 130, SIGTERM with 143. A netCDF output is
    written in one go.

    In parts, as by an array of batch jobs: the same command with --shard 1/8, ..., --shard 8/8,
    then with --merge.

    Several members of the driving model in one zarr store, along a dimension `driving_member`: from
    inputs that have a dimension of members, or as r1i1p1f1='*_r1i1p1f1_*.nc' r2i1p1f1='...'.
    """
    from graphdown.downscaling.downscale import downscale_files
    from graphdown.runtime.compilation_cache import keep_compiled
    from graphdown.runtime.malloc import share_freed_memory

    share_freed_memory()
    keep_compiled()
    print(downscale_files(request))


def check(
    files: Positional[Annotated[tuple[str, ...], arg(metavar="FILE...")]] = (),
    *,
    target: Annotated[tuple[str, ...], arg(metavar="FILE...")] = (),
    experiment: Annotated[Path | None, arg(metavar="EXPERIMENT")] = None,
    file_options: Annotated[FileOptions, arg(name="")] = NO_OPTIONS,
    target_options: Annotated[TargetOptions, arg(name="")] = NO_TARGET_OPTIONS,
    run: Annotated[Path | None, arg(metavar="RUN")] = None,
    historical: Annotated[tuple[str, ...], arg(metavar="FILE...")] = (),
    full: bool = False,
    json: bool = False,
) -> None:
    """Report what files contain and what would be refused, and why.

    Example: graphdown check runs/demo/inputs/shifted.nc

    The status is 1 if anything would be refused.

    May I use this emulator on them: graphdown check --run runs/demo runs/demo/inputs/shifted.nc
    says in five lines how far the files lie from what the emulator has learned.

    Args:
        files: netCDF, zarr or GRIB files or globs of one source.
        target: files or globs of the target that the source is to be downscaled to; the report then
            has the share of it, and of the margin around it, that the source covers, and the days
            in common.
        experiment: an experiment file, all of whose files are checked; the report then ends with an
            estimate of the memory and the disk that it takes.
        file_options: properties that the source's files lack.
        target_options: properties that the files of --target lack.
        run: a run's folder; the files are compared with the climate that its emulator was trained
            in, and nothing else is reported.
        historical: with --run, files as for `downscale --historical`.
        full: read all values; without, ranges, minima and maxima are those of a few times, whose
            number the report has.
        json: print JSON instead of text.
    """
    import logging

    from graphdown.data.check import check as run_check

    if not files and experiment is None:
        raise GraphdownError("Nothing to check; name files, or an experiment with --experiment.")
    if not files and file_options != NO_OPTIONS:
        option = file_options.words()[0]
        raise GraphdownError(f"{option} is for FILE...; an experiment has such keys for its files.")
    if not target and target_options != NO_TARGET_OPTIONS:
        option = target_options.options.words()[0].replace("--", "--target-")
        raise GraphdownError(f"{option} is for the files of --target; name them, or drop it.")
    logging.getLogger("graphdown").setLevel(logging.ERROR)  # the report lists all of it
    if run is not None:
        _show_applicability(run, files, file_options, historical, json)
        return
    stated = file_options.request(), target_options.options.request()
    report = run_check(files, target, experiment, *stated, full)
    _show_report(report, json)


def _show_report(report: Any, as_json: bool) -> None:
    """Print what a check found, and what its experiment takes; leave with 1 on a problem."""
    print(report.to_json() if as_json else report.to_text())
    if report.surveyed is not None and not as_json:
        from graphdown.training.estimate import estimate

        print(estimate(*report.surveyed).to_text())
    if not report.ok:
        sys.exit(1)


def _show_applicability(
    run: Path, files: Sequence[str], options: FileOptions, historical: Sequence[str], as_json: bool
) -> None:
    import json

    from graphdown.downscaling.applicability_check import check_for_run

    if not files:
        raise GraphdownError("--run needs the files that the run's emulator is to be used on.")
    found = check_for_run(run, files, options, historical)
    if as_json:
        print(json.dumps({label: one.to_dict() for label, one in found.items()}, indent=1))
        return
    for label, one in found.items():
        print(f"{label}:\n{one.to_text()}" if label else one.to_text())


def describe(run: Positional[Annotated[Path, arg(metavar="RUN")]], *, json: bool = False) -> None:
    """Print an emulator's passport: what it learned from, and its scores.

    Example: graphdown describe runs/demo

    Args:
        run: the run's folder, or one that `graphdown export` made.
        json: print JSON instead of text.
    """
    import json as json_format

    from graphdown.sharing.describe import passport_of, passport_text

    passport = passport_of(run)
    print(json_format.dumps(passport, indent=1) if json else passport_text(passport))


def export(
    run: Positional[Annotated[Path, arg(metavar="RUN")]],
    folder: Positional[Annotated[Path, arg(metavar="FOLDER")]],
    *,
    example: Annotated[tuple[str, ...], arg(metavar="FILE...")] = (),
) -> None:
    """Export an emulator for others, with passport, example and README.

    Example: graphdown export runs/demo demo-emulator

    Args:
        run: the run's folder.
        folder: the new folder.
        example: files to take the example's days from; the run's own data by default.
    """
    from graphdown.sharing.export import export as run_export

    print(f"{run_export(run, folder, example)} is ready; others check it with: graphdown verify")


def verify(folder: Positional[Annotated[Path, arg(metavar="FOLDER")]]) -> None:
    """Check an exported emulator, and that its example comes out alike.

    Example: graphdown verify demo-emulator

    Args:
        folder: that `graphdown export` made.
    """
    from graphdown.sharing.export import verify as run_verify

    print(run_verify(folder))


def graph(
    source: Positional[Annotated[str, arg(metavar="SOURCE")]],
    target: Positional[Annotated[str, arg(metavar="TARGET")]],
    *,
    output: Annotated[Path | None, arg(aliases=["-o"])] = None,
    plot: Path | None = None,
    mesh_level: int = 6,
    encode_radius_km: float = 350.0,
) -> None:
    """Build the graph between two grids, check it and describe it.

    Example: graphdown graph T63 EUR-44 --plot graph.png

    Args:
        source: a netCDF file or a grid's name.
        target: a netCDF file or a grid's name.
        output: where to save the graph (.npz).
        plot: where to draw it (.png).
        mesh_level: finest level of the icosahedral mesh.
        encode_radius_km: reach of the edges from source to mesh.
    """
    import meshes

    for path in (output, plot):
        if path is not None and not path.parent.is_dir():
            raise GraphdownError(f"The folder {str(path.parent)!r} does not exist; make it first.")
    spec = meshes.GraphSpec(mesh_level=mesh_level, encode_radius_km=encode_radius_km)
    try:
        built = meshes.build_graph(_grid(source), _grid(target), spec)
        built.validate()
    except ValueError as error:
        raise GraphdownError(str(error)) from None
    print(built.describe())
    if output is not None:
        built.save(output)
    if plot is not None:
        from matplotlib.figure import Figure

        from meshes.plot import plot_graph

        figure = Figure(figsize=(8, 8))
        plot_graph(built, ax=figure.subplots())
        figure.savefig(plot, dpi=150, bbox_inches="tight")


def _grid(name: str) -> Any:
    import meshes
    from graphdown.data.reading.files import close_pieces, open_pieces, unreadable

    if not Path(name).is_file():
        return meshes.Grid.named(name)
    pieces = list(open_pieces([name]))
    try:
        return meshes.Grid.from_dataset(pieces[0].ds)
    except (OSError, RuntimeError) as error:
        raise unreadable(name, error) from None
    finally:
        close_pieces(pieces)


def _train_and_evaluate(path: Path, overrides: Sequence[str]) -> None:
    from graphdown.comparison import evaluate_run, write_inputs
    from graphdown.config.experiment_file import load_experiment
    from graphdown.runtime.compilation_cache import keep_compiled
    from graphdown.training import load_for
    from graphdown.training import train as run_training

    keep_compiled()
    experiment = load_experiment(path, overrides)
    print(f"{experiment.name}: making the data ...", flush=True)
    data = load_for(experiment)
    run_training(experiment, data)
    print("Scoring against the baselines ...", flush=True)
    _show(*evaluate_run(experiment.output, data))
    for file in write_inputs(experiment.output, experiment, data):
        print(f"To downscale a file: graphdown downscale {experiment.output} {file} -o fine.nc")


def _show(scores: Any, page: Path) -> None:
    from graphdown.evaluation import format_table

    print(format_table(scores))
    print(f"\nThe report: {page}")


COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "check": check,
    "graph": graph,
    "train": train,
    "pretrain": pretrain,
    "finetune": finetune,
    "downscale": downscale,
    "evaluate": evaluate,
    "transfer": transfer,
    "describe": describe,
    "export": export,
    "verify": verify,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; errors that the user can mend are one sentence, with status 2.

    A signal ends it with status 128 and its number, as SIGINT with 130 and SIGTERM with 143.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    if not words or words[0] in ("-h", "--help"):
        print(_help(), file=sys.stdout if words else sys.stderr)
        sys.exit(0 if words else 2)
    if words[0] == "--version":
        from graphdown import __version__

        print(f"graphdown {__version__}")
        return
    try:
        check_options(words)
        with notices_shown(), stopped_at_once():
            command = _command(words[0])
            tyro.cli(command, prog=f"graphdown {words[0]}", args=words[1:])
    except GraphdownError as error:
        print(f"graphdown: {error}", file=sys.stderr)
        sys.exit(2)
    except Interrupted as stop:
        print(stop.sentence, file=sys.stderr)
        sys.exit(stop.status)


def _help() -> str:
    """Text of `graphdown --help`: the first line of each command's docstring."""
    width = max(map(len, COMMANDS))
    lines = (
        f"  {name:{width}}  {(command.__doc__ or '').splitlines()[0]}"
        for name, command in COMMANDS.items()
    )
    return "\n".join(
        (
            "usage: graphdown COMMAND ...",
            "",
            "Downscale climate models with a graph neural network, from any grid.",
            "",
            *lines,
            "",
            "graphdown COMMAND --help lists the options of a command, with an example.",
            "graphdown --version prints the version. To begin with: graphdown demo",
        )
    )


def _command(name: str) -> Callable[..., None]:
    if name in COMMANDS:
        return COMMANDS[name]
    close = get_close_matches(name, COMMANDS, n=1)
    cure = f"did you mean {close[0]!r}?" if close else "graphdown --help lists the commands."
    raise GraphdownError(f"There is no command {name!r}; {cure}")
