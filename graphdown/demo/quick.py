"""The quick demo: from nothing to a downscaled month, its scores, a picture and a page."""

import shutil
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import xarray as xr

from graphdown.demo.day_picture import draw_day
from graphdown.demo.month import GCM, write_month
from graphdown.downscaling.applicability_check import check_for_run
from graphdown.downscaling.downscale import downscale_files
from graphdown.downscaling.request import DownscaleRequest
from graphdown.errors import GraphdownError
from graphdown.evaluation import evaluate
from graphdown.reports.html import HtmlTable, Picture, TableCell, write_page
from meshes import Grid, bilinear

FOLDER = Path("graphdown-demo")
RUN, FINE, PICTURE, PAGE = "emulator", "fine.nc", "demo.png", "index.html"
NAMES = {"tas": ("temperature", "K"), "pr": ("precipitation", "mm/day")}


def installed_emulator() -> Path:
    """Folder of the emulator of the experiment "demo" that is installed with graphdown."""
    return Path(str(files("graphdown.demo") / "emulator"))


@dataclass(frozen=True)
class QuickDemo:
    """What the quick demo found.

    Attributes:
        folder: of its files.
        date: of the day in the picture.
        scores: RMSE by method, then by variable.
        verdict: how far the GCM lies from those of the training, in lines.
    """

    folder: Path
    date: str
    scores: dict[str, dict[str, float]]
    verdict: str

    @property
    def sentences(self) -> tuple[str, str, str]:
        """What was done, how good it is, and what to do next."""
        made, plain = self.scores["graphdown"], self.scores["interpolation"]
        parts = [
            f"{word} {made[name]:.2f} {units} (interpolation {plain[name]:.2f})"
            for name, (word, units) in NAMES.items()
        ]
        return (
            "January 1992 of a made-up GCM, which the emulator never saw, was downscaled from its "
            f"own grid to one of 24 km: {self.folder / FINE}, to be seen in "
            f"{self.folder / PICTURE} and {self.folder / PAGE}.",
            f"RMSE over all cells and days: {', '.join(parts)}.",
            "Next: `graphdown demo` trains that emulator from the beginning, and `graphdown check "
            "FILE...` says what graphdown understands of your own files.",
        )


def quick_demo(folder: Path = FOLDER) -> QuickDemo:
    """Downscale a month with the installed emulator, score and draw it.

    Args:
        folder: a new one, for the files.

    Raises:
        GraphdownError: the folder is there already.
    """
    if folder.exists():
        raise GraphdownError(f"{str(folder)!r} is there already; delete it, or give another -o.")
    folder.mkdir(parents=True)
    run = folder / RUN
    shutil.copytree(installed_emulator(), run)
    _say("Making January 1992 of a made-up GCM ...")
    coarse, truth = write_month(folder)
    _say("Comparing it with the climate that the emulator learned from ...")
    files = str(folder / GCM)
    verdict = check_for_run(run, [files])[""].to_text()
    _say("Downscaling it, which is compiled first ...")
    downscale_files(DownscaleRequest(run, (files,), folder / FINE))
    _say("Scoring and drawing it ...")
    with xr.open_dataset(folder / FINE) as opened:
        fine = opened[list(truth.data_vars)].load()
    methods = {"graphdown": fine, "interpolation": interpolated(coarse, truth)}
    scores = {method: rmse(made, truth) for method, made in methods.items()}
    date = draw_day(folder / PICTURE, coarse, fine, truth)
    found = QuickDemo(folder, date, scores, verdict)
    _write_page(found)
    return found


def interpolated(coarse: xr.Dataset, truth: xr.Dataset) -> xr.Dataset:
    """The GCM's own fields of the targets, interpolated to the target grid."""
    source, target = Grid.from_dataset(coarse), Grid.from_dataset(truth)
    weights, time = bilinear(source, target), {"time": truth["time"]}
    return xr.Dataset(
        {
            name: target.dataarray(
                weights.apply(source.values(coarse[name])), str(name), ("time",), time
            )
            for name in truth.data_vars
        }
    )


def rmse(made: xr.Dataset, truth: xr.Dataset) -> dict[str, float]:
    """RMSE over all cells and days, by variable."""
    scores = evaluate(made, truth)["rmse_total"]
    return {str(name): float(scores.sel(variable=name)) for name in truth.data_vars}


def _say(sentence: str) -> None:
    print(sentence, flush=True)


def _write_page(found: QuickDemo) -> None:
    content = (found.folder / PICTURE).read_bytes()
    alt = "Maps of temperature and precipitation: the GCM's, graphdown's, the truth, the difference"
    best = {name: min(of[name] for of in found.scores.values()) for name in NAMES}
    rows = [
        (method, [TableCell(f"{of[name]:.2f}", of[name] == best[name]) for name in NAMES])
        for method, of in found.scores.items()
    ]
    headings = [(f"{word} [{units}]", "RMSE over cells and days") for word, units in NAMES.values()]
    values = {
        "sentences": found.sentences,
        "picture": Picture(content, f"The wettest day, {found.date}", "", alt),
        "scores": HtmlTable([("RMSE", len(NAMES))], headings, rows),
        "verdict": found.verdict.splitlines(),
        "sections": {"maps": "One day", "scores": "Scores", "trust": "May it be trusted here?"},
    }
    templates = ("graphdown.demo",)
    write_page(found.folder / PAGE, "quick.html", templates, "graphdown: first result", values)
