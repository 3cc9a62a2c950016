import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from graphdown.evaluation import Case, score_cases, write_report
from graphdown.evaluation.days_shown import days_to_show
from graphdown.evaluation.report.training_curves import training_curves
from graphdown.evaluation.table import format_value
from meshes.grids.grid import Grid

from ...browser import assert_opens, needs_browser

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Collects what the tests look at, and refuses tags that are not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.open: list[str] = []
        self.outside: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.outside += [
            v for k, v in attrs if k in ("src", "href") and not v.startswith(("data:", "#"))
        ]
        if tag == "img":
            self.images.append(values)
        if tag == "a":
            self.links.append(values["href"])
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if any(tag in ("td", "th") for tag in self.open):
            self.tables[-1][-1][-1] += data


@pytest.fixture(scope="module")
def cases(prediction, truth):
    methods = {"<smooth> & co": prediction, "own": prediction.assign(tas=truth.tas + 0.1)}
    methods["own"].tas.attrs["units"] = "K"
    coarse = truth.coarsen(lat=2, lon=3, boundary="trim").mean()
    half = slice(500, None)
    reference = ({m: p.isel(time=slice(500)) for m, p in methods.items()}, truth)
    return [
        Case("grid A", True, coarse, truth.isel(time=half), methods, reference),
        Case("grid B", False, coarse.drop_vars("pr"), truth, methods),
    ]


@pytest.fixture(scope="module")
def scores(cases):
    return score_cases(cases)


@pytest.fixture(scope="module")
def statics(grid):
    land = (grid.lon > 3).astype(float)
    return xr.Dataset({"sftlf": grid.dataarray(land), "orog": grid.dataarray(500 * land)})


@pytest.fixture(scope="module")
def metrics(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "metrics.csv"
    rows = {"step": [0, 10, 20], "loss": [3.0, 2, 1], "validation_loss": [2.5, np.nan, 1.5]}
    pd.DataFrame({**rows, "samples_per_second": 5}).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def text(cases, scores, statics, metrics, tmp_path_factory):
    folder = tmp_path_factory.mktemp("new") / "report"
    path = write_report(folder, "Title & more", cases, scores, statics, metrics, ["A note."], "own")
    assert path == folder / "index.html"
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def parsed(text):
    return Page(text)


def test_the_page_holds_everything_itself(text, parsed):
    assert parsed.images and not parsed.outside
    assert all(re.match(r"data:image/(png|svg\+xml);base64,", i["src"]) for i in parsed.images)
    assert all(i["alt"] for i in parsed.images)
    assert "<script" not in text and "@import" not in text and "url(" not in text
    assert len(text) < 2_000_000


@pytest.mark.slow
@needs_browser
def test_the_page_opens_in_a_browser(text, parsed, tmp_path):
    page = tmp_path / "index.html"
    page.write_text(text, encoding="utf-8")
    assert_opens(page, len(parsed.images), len(parsed.tables))


def test_links_lead_to_sections(parsed):
    assert {link[1:] for link in parsed.links} == set(parsed.ids)
    assert parsed.ids == ["scores", "region", "case-1", "case-2", "training", "measures"]


def test_the_tables_show_the_scores(parsed, scores):
    main = [t for t in parsed.tables if t[1][1:5] == ["RMSE", "bias", "P98 bias", "W1"]]
    assert len(main) == 2
    for table, case in zip(main, ("grid A", "grid B"), strict=True):
        assert table[0][1:] == ["tas [K]", "pr [mm/day]"]
        assert [row[0] for row in table[2:]] == ["<smooth> & co", "own"]
        for row in table[2:]:
            own = scores[(scores["case"] == case) & (scores["method"] == row[0])]
            values = own.set_index(["variable", "measure"])["value"]
            names = ("rmse", "bias", "p98_bias", "wasserstein1")
            assert row[1:] == [format_value(values[v, m]) for v in ("tas", "pr") for m in names]


def test_every_measure_has_its_column(parsed, scores):
    shown = sum(len(t[1]) - 1 for t in parsed.tables)
    per_case = scores.drop_duplicates(["case", "variable", "measure"]).groupby("case").size().sum()
    assert shown == per_case + 2 * 8


def test_text_is_escaped_and_says_who_is_seen_and_best(text):
    assert "<title>Title &amp; more</title>" in text
    assert "<smooth>" not in text and "&lt;smooth&gt; &amp; co" in text
    assert "source grid trained on" in text and "source grid never trained on" in text
    assert "A note." in text
    assert re.search(r"On grid B \(never trained on\): own has the lowest RMSE", text)


def test_pictures_follow_what_the_cases_hold(parsed):
    count = [i["alt"] for i in parsed.images]
    # Grid A has a coarse tas and pr on each of its days, grid B only tas.
    assert count.count("coarse input") == 4 + 2
    assert count.count("true change") == 2
    assert count.count("bias of own") == count.count("RMSE of own") == 4
    assert count.count("power spectrum of pr") == 2
    assert count.count("loss during training") == 1


def test_pictures_are_the_same_each_time(text, cases, scores, statics, metrics, tmp_path):
    again = write_report(
        tmp_path, "Title & more", cases, scores, statics, metrics, ["A note."], "own"
    )
    assert again.read_text(encoding="utf-8") == text


def test_one_method_on_an_unstructured_grid_with_missing_values(tmp_path):
    rng = np.random.default_rng(0)
    grid = Grid.from_points(rng.uniform(5, 12, 60), rng.uniform(44, 50, 60))
    time = xr.date_range("2001-01-01", periods=60, calendar="360_day", use_cftime=True)
    values = 280 + rng.normal(size=(60, 60))
    values[:, 3] = np.nan
    x = xr.Dataset(
        {"tas": grid.dataarray(values, dims=("time",), coords={"time": time}, attrs={"units": "K"})}
    )
    y = x.map(lambda da: da + 1, keep_attrs=True)
    statics = xr.Dataset({"sftlf": grid.dataarray((grid.lon > 8).astype(float))})
    case = Case("points", False, x.isel(cell=slice(20)), x, {"only": y})
    path = write_report(tmp_path, "Points", [case], score_cases([case]), statics)
    page = Page(path.read_text(encoding="utf-8"))
    assert len([i for i in page.images if i["alt"] == "error of only"]) == 2
    assert not any("spectrum" in i["alt"] for i in page.images)


def test_a_method_without_every_variable_is_shown_where_it_has_values(truth, tmp_path):
    methods = {"both": truth, "tas only": truth[["tas"]]}
    case = Case("A", True, truth, truth, methods)
    path = write_report(tmp_path, "t", [case], score_cases([case]))
    page = Page(path.read_text(encoding="utf-8"))
    assert page.tables[0][3][5:] == ["-"] * 4
    assert {i["alt"] for i in page.images} >= {"bias of both", "bias of tas only"}


def test_the_chosen_days():
    means = {"tas": np.array([5.0, 1, 3, 9, 3.1]), "pr": np.array([0.0, 2, 1, 7, np.nan])}
    assert days_to_show(means) == [
        ("Wettest day", 3, ["pr"]),
        ("Coldest day", 1, ["tas"]),
        ("Ordinary day", 2, ["tas", "pr"]),
    ]


def test_training_curves_leave_out_rows_without_a_value(metrics):
    curves, step = training_curves(metrics)
    assert step == "step" and set(curves) == {"loss", "validation_loss"}
    assert curves["validation_loss"][0].tolist() == [0, 20]


def test_wrong_input_is_refused(cases, scores, tmp_path):
    empty = tmp_path / "metrics.csv"
    empty.write_text("step,speed\n1,2\n")
    with pytest.raises(ValueError, match="no training curve"):
        training_curves(empty)
    with pytest.raises(ValueError, match="at least one case"):
        write_report(tmp_path, "t", [], scores)
    with pytest.raises(ValueError, match="lead 'ours'"):
        write_report(tmp_path, "t", cases, scores, lead="ours")
    with pytest.raises(ValueError, match=r"lack the cases \['grid B'\]"):
        write_report(tmp_path, "t", cases, scores[scores["case"] == "grid A"])
