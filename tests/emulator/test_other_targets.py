"""An emulator put onto another target: finer, another region, stations; or refused."""

import warnings
from dataclasses import replace

import jax
import numpy as np
import pytest
import xarray as xr

from graphdown.cli import main
from graphdown.data.normalise import Climate, Normaliser
from graphdown.data.reading.stations import read_stations
from graphdown.emulator import inference
from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.emulator import Emulator
from graphdown.emulator.storage import load, save
from graphdown.errors import DataError, GraphdownError
from graphdown.model import ModelSpec
from meshes import GraphSpec, Grid, bilinear, conservative

from ..emulators import random_emulator

NORMALISER = Normaliser(("tas", "pr"), ("tas", "pr"), (283, 2, 0.8), (9, 2, 0.6), (0, 0), (0.5, 1))
MODEL = ModelSpec(channels=6, rounds=1, target_channels=6)
SPEC = GraphSpec(mesh_level=5, encode_radius_km=500.0)
BOX = (0.0, 42.0, 4.0, 46.0)
TRAINED = Grid.regular(1.0, 1.0, BOX)
FINER = Grid.regular(0.5, 0.5, BOX)
ELSEWHERE = Grid.rotated(-162.0, 39.25, np.arange(-5, -2.0, 0.44), np.arange(-3, 0, 0.44))
TERRAIN = Grid.regular(0.25, 0.25, (-3.0, 38.0, 18.0, 52.0))


def statics(grid):
    height = 600 + 500 * np.sin(np.radians(60 * grid.lon)) * np.cos(np.radians(45 * grid.lat))
    land = 0.5 + 0.5 * np.sin(np.radians(80 * grid.lat))
    made = {"orog": (height, "m"), "sftlf": (land, "1")}
    return xr.Dataset(
        {
            n: grid.dataarray(v.astype(np.float32), n, attrs={"units": u})
            for n, (v, u) in made.items()
        }
    )


def emulator(model=MODEL, known=("orog", "sftlf")):
    """An emulator with random parameters."""
    innovations = model.innovation_rounds > 0
    known_statics = statics(TRAINED)[list(known)]
    domain = TargetDomain(TRAINED, known_statics, SPEC, innovations=innovations)
    return random_emulator(model, NORMALISER, domain)


def fields(bounds=(-14.0, 30.0, 24.0, 58.0)):
    grid = Grid.regular(2.0, 2.0, bounds)
    wave = np.sin(np.radians(8 * grid.lon) + np.arange(2)[:, None]) * np.sin(np.radians(grid.lat))
    made = {"tas": (285 + 6 * wave, "K"), "pr": (3 + 2 * wave, "mm day-1")}
    time = {"time": xr.date_range("2001-03-28", periods=2)}
    return xr.Dataset(
        {
            n: grid.dataarray(v.astype(np.float32), n, ("time",), time, {"units": u})
            for n, (v, u) in made.items()
        }
    )


def stations(grid, names=True):
    """Every cell of a grid as a point, in another order."""
    order = np.random.default_rng(0).permutation(grid.size)
    ds = xr.Dataset(coords={"lon": ("site", grid.lon[order]), "lat": ("site", grid.lat[order])})
    if names:
        ds["name"] = ("site", [f"S{k:03}" for k in order], {"cf_role": "timeseries_id"})
    ds["orog"] = ("site", grid.values(statics(grid)["orog"])[order], {"units": "m"})
    return ds, order


@pytest.fixture(scope="module", autouse=True)
def compiled_in_haste():
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="module")
def free():
    return emulator()


def assert_close(made, expected, atol=2e-4):
    """Equal but for rounding; float32 resolves 3e-5 K."""
    for name in ("tas", "pr"):
        np.testing.assert_allclose(made[name].values, expected[name].values, atol=atol, rtol=0)


def test_onto_its_own_target_it_is_the_same(free):
    same = free.onto(TRAINED, statics(TRAINED))
    assert same.sha256 == free.sha256
    xr.testing.assert_identical(same.downscale(fields()), free.downscale(fields()))


@pytest.mark.parametrize("grid", [FINER, ELSEWHERE], ids=["finer", "elsewhere"])
def test_onto_another_grid_it_is_what_the_same_network_would_be_there(free, grid):
    there = statics(grid)
    expected = replace(free, domain=TargetDomain(grid, there, SPEC)).downscale(fields())
    xr.testing.assert_identical(free.onto(there).downscale(fields()), expected)
    xr.testing.assert_identical(free.onto(grid, there).domain.statics, there)
    assert expected["tas"].dims == ("time", *grid.dims)


def test_innovations_go_along_to_a_grid_with_cells_and_not_to_stations(tmp_path):
    innovating = emulator(replace(MODEL, innovation_rounds=1))
    there = innovating.onto(FINER, statics(FINER)).downscale(fields())
    expected = replace(
        innovating, domain=TargetDomain(FINER, statics(FINER), SPEC, innovations=True)
    )
    xr.testing.assert_identical(there, expected.downscale(fields()))
    save(innovating, tmp_path)
    xr.testing.assert_identical(load(tmp_path).downscale(fields()), innovating.downscale(fields()))
    with pytest.raises(GraphdownError, match="a list of stations has none"):
        innovating.onto(stations(FINER)[0], statics(TRAINED))


def test_the_network_knows_no_longitude(free):
    """A fifth of a turn takes the icosahedral mesh to itself, and everything with it."""

    def turned(ds):
        return ds.assign_coords(lon=ds["lon"] + 72.0)

    moved = free.onto(turned(statics(TRAINED))).downscale(turned(fields()))
    assert_close(moved, free.downscale(fields()))


def test_statics_of_another_grid_become_cell_means_or_are_interpolated(free):
    of_terrain, of_trained = statics(TERRAIN), statics(TRAINED)
    from_finer = free.onto(FINER, of_terrain).domain.statics
    from_coarser = free.onto(FINER, of_trained[["orog"]].merge(of_trained[["sftlf"]]))
    for name in ("orog", "sftlf"):
        means = conservative(TERRAIN, FINER).apply(TERRAIN.values(of_terrain[name]))
        np.testing.assert_allclose(FINER.values(from_finer[name]), means, rtol=1e-6)
        between = bilinear(TRAINED, FINER).apply(TRAINED.values(of_trained[name]))
        np.testing.assert_allclose(
            FINER.values(from_coarser.domain.statics[name]), between, rtol=1e-6
        )


def test_what_the_target_has_itself_counts_before_the_statics(free):
    own = statics(FINER)[["orog"]] + 100.0
    own["orog"].attrs["units"] = "m"
    placed = free.onto(own, statics(TERRAIN)).domain.statics
    np.testing.assert_allclose(placed["orog"], own["orog"])
    means = conservative(TERRAIN, FINER).apply(TERRAIN.values(statics(TERRAIN)["sftlf"]))
    np.testing.assert_allclose(FINER.values(placed["sftlf"]), means, rtol=1e-6)


def test_cells_as_stations_give_what_the_grid_gives(free):
    ds, order = stations(TRAINED)
    made = free.onto(ds, statics(TRAINED)).downscale(fields())
    assert made["tas"].dims == ("time", "site")
    expected = free.downscale(fields()).stack(site=TRAINED.dims).isel(site=order)
    assert_close(made, expected)
    assert_close(made.sel(site=["S003"]), made.isel(site=list(np.flatnonzero(order == 3))), 0)


def test_a_station_has_its_own_height_in_the_terrain_around_it(free):
    ds, _ = stations(FINER)
    place = free.onto(ds, statics(TERRAIN)).domain
    higher = free.onto(
        ds.assign(orog=(ds["orog"] + 300.0).assign_attrs(units="m")), statics(TERRAIN)
    )
    names = list(place.static_names)
    raised = higher.domain.terrain.for_source(200.0, None) - place.terrain.for_source(200.0, None)
    up = [n.startswith("height") for n in names]
    np.testing.assert_allclose(raised[:, up], 0.3, atol=1e-5)
    np.testing.assert_array_equal(raised[:, np.logical_not(up)], 0.0)
    bare = free.onto(ds.drop_vars("orog"), statics(TERRAIN)).domain
    at = bilinear(TERRAIN, bare.target).apply(TERRAIN.values(statics(TERRAIN)["orog"]))
    np.testing.assert_allclose(bare.statics["orog"], at, rtol=1e-6)


def test_one_station_far_from_any_terrain_point_takes_the_nearest(free):
    sparse = Grid.regular(6.0, 6.0, (-9.0, 33.0, 15.0, 57.0))
    one = xr.Dataset(coords={"lon": ("site", [3.0]), "lat": ("site", [45.0])})
    domain = free.onto(one, statics(sparse)).domain
    features = domain.terrain.for_source(20.0, None)
    assert features.shape == (1, len(domain.static_names)) and np.isfinite(features).all()
    nearest = sparse.values(statics(sparse)["sftlf"])[np.argmax(sparse.xyz @ domain.target.xyz[0])]
    assert features[0, -1] == pytest.approx(nearest)


def test_terrain_that_is_missing_over_the_sea_is_left_out(free):
    ds, _ = stations(TRAINED)
    west = TERRAIN.dataarray(TERRAIN.lon < -1.0)
    place = free.onto(ds, statics(TERRAIN).where(~west)).domain
    assert place.ground.grid.size == int((~west).sum())
    assert np.isfinite(place.terrain.for_source(200.0, None)).all()


def test_stations_are_saved_loaded_and_written_as_time_series(free, tmp_path):
    ds, _ = stations(TRAINED)
    placed = free.onto(ds, statics(TERRAIN))
    save(placed, tmp_path / "there")
    again, made = load(tmp_path / "there"), placed.downscale(fields())
    xr.testing.assert_identical(again.downscale(fields()), made)
    assert again.sha256 == free.sha256 and made.attrs["featureType"] == "timeSeries"
    assert made["site"].attrs["cf_role"] == "timeseries_id"
    np.testing.assert_array_equal(made["site"], ds["name"])
    moved = again.onto(statics(FINER)).domain
    assert moved.ground is None and moved.target.size == FINER.size


def test_stations_without_names_are_numbered(free):
    placed = free.onto(stations(TRAINED, names=False)[0], statics(TERRAIN))
    time = fields()[["time"]]
    made = placed.dataset(np.zeros((2, TRAINED.size, 2), np.float32), time, {})
    np.testing.assert_array_equal(made["site"], np.arange(TRAINED.size))
    on_grid = free.dataset(np.zeros((2, TRAINED.size, 2), np.float32), time, {})
    assert made.attrs["featureType"] == "timeSeries" and "featureType" not in on_grid.attrs


BOUND = {
    "target_embedding": {"target_embedding": 2},
    "target_regression": {"target_regression": 3},
    "eofs": {"eofs": 5},
}


@pytest.mark.parametrize("name", BOUND)
def test_an_emulator_that_is_bound_to_its_target_is_refused(name, free):
    bound = replace(free, model=ModelSpec(**BOUND[name]))
    with pytest.raises(GraphdownError, match=f"^The emulator 'tiny' is bound to .*'model.{name}'"):
        bound.onto(FINER, statics(FINER))


def test_an_emulator_that_gives_sources_the_climate_over_its_target_is_refused(free):
    own = NORMALISER.standardising_to(Climate((280.0, 3.0), (5.0, 4.0)), {})
    with pytest.raises(GraphdownError, match="bound to its own target by 'standardise'"):
        replace(free, normaliser=own).onto(FINER, statics(FINER))


def without(ds, name, **index):
    values = ds[name].copy(deep=True)
    values[index] = np.nan
    return ds.assign({name: values})


REFUSED = {
    "no height": (
        lambda: (statics(FINER)[["sftlf"]], None),
        "'orog', which is neither in the target nor in the statics; add it",
    ),
    "no statics": (lambda: (FINER, None), "trained with 'orog', which is neither"),
    "a gap in the target": (
        lambda: (without(statics(FINER), "orog", lat=3), None),
        "'orog' is missing at 8 target points",
    ),
    "statics of another region": (
        lambda: (ELSEWHERE, statics(FINER)),
        r"'orog' is missing at \d+ target points; give a field that covers",
    ),
    "stations alone": (
        lambda: (stations(TRAINED)[0], None),
        "a list of stations does not include the terrain around them; give 'orog' on a grid",
    ),
    "stations outside": (
        lambda: (stations(ELSEWHERE)[0], statics(FINER)),
        r"the statics: \d+ of the 49 stations lie outside, the first at lon .*; give statics",
    ),
    "no coordinates": (lambda: (xr.Dataset({"x": ("a", [1.0])}), None), "the target: .*latitude"),
    "units": (
        lambda: (statics(FINER).drop_attrs(), None),
        "the target: .*'orog' has no units",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_target_that_cannot_be_used_is_answered_by_one_sentence(case, free):
    make, pattern = REFUSED[case]
    with pytest.raises(DataError, match=pattern) as caught:
        free.onto(*make())
    assert "\n" not in str(caught.value)


def test_a_source_that_does_not_cover_the_new_target_is_refused(free):
    placed = free.onto(statics(ELSEWHERE))
    with pytest.raises(DataError, match=r"covers \d.* % of the target .*choose a source around"):
        placed.downscale(fields((-12.0, 32.0, 8.0, 56.0)))


def test_without_statics_in_training_a_list_of_points_is_enough():
    bare = emulator(known=()).onto(stations(TRAINED)[0])
    assert bare.domain.static_names == () and bare.domain.ground is None
    assert np.isfinite(bare.downscale(fields())["tas"]).all()


@pytest.fixture
def run(free, tmp_path, monkeypatch):
    """Save a run and files; the network answers with the target's heights in m."""
    monkeypatch.chdir(tmp_path)
    save(free, tmp_path / "run")
    fields().to_netcdf("in.nc")
    statics(TERRAIN)[["orog"]].to_netcdf("orog.nc")
    statics(TERRAIN)[["sftlf"]].to_netcdf("sftlf.nc")

    def heights(network, normaliser, graph, values, season):
        height = 1000.0 * np.asarray(graph.target_statics)[:, 0]
        return np.broadcast_to(height[:, None], (len(values), len(height), 2))

    monkeypatch.setattr(inference, "run_network", heights)
    monkeypatch.setattr(Emulator, "_network", None)


def downscale(*options):
    main(["downscale", "run", "in.nc", "-o", "fine.nc", "--overwrite", *options])
    with xr.open_dataset("fine.nc") as fine:
        return fine.load()


def test_a_file_with_grid_and_heights_is_a_target_on_the_command_line(run):
    statics(FINER).assign(tas=fields()["tas"].isel(lat=0, lon=0)).to_netcdf("there.nc")
    fine = downscale("--target", "there.nc")
    np.testing.assert_allclose(fine["tas"][0], statics(FINER)["orog"], rtol=1e-5)
    assert "-o fine.nc --target there.nc" in fine.attrs["history"]


def test_a_named_grid_takes_its_statics_from_files(run, monkeypatch):
    monkeypatch.setattr(Grid, "named", lambda name: {"NEAR-1": FINER}[name])
    fine = downscale("--target", "NEAR-1", "--statics", "orog.nc", "sftlf.nc")
    means = conservative(TERRAIN, FINER).apply(TERRAIN.values(statics(TERRAIN)["orog"]))
    np.testing.assert_allclose(FINER.values(fine["tas"])[0], means, rtol=1e-5)
    assert "--target NEAR-1 --statics orog.nc sftlf.nc" in fine.attrs["history"]


def table(separator=","):
    rows = [("Station", "Latitude", "lon", "altitude"), ("A, upper", 44.0, 1.5, 1234.0)]
    rows += [("Bé", 45.25, 2.0, 12.0), ("C", 43.5, 3.5, 300.0)]
    quoted = [[f'"{v}"' if isinstance(v, str) else str(v) for v in row] for row in rows]
    return "\n".join(separator.join(row) for row in quoted)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_tables_may_have_other_separators_and_a_byte_order_mark(separator, tmp_path):
    (tmp_path / "a.csv").write_text(table(), encoding="utf-8")
    (tmp_path / "b.csv").write_text(table(separator), encoding="utf-8-sig")
    read = [read_stations(str(tmp_path / name)) for name in ("a.csv", "b.csv")]
    xr.testing.assert_identical(*read)


def test_a_table_of_stations_is_a_target_on_the_command_line(run, tmp_path):
    (tmp_path / "stations.csv").write_text(table(), encoding="utf-8")
    fine = downscale("--target", "stations.csv", "--statics", "orog.nc", "sftlf.nc")
    np.testing.assert_allclose(fine["tas"][0], [1234.0, 12.0, 300.0], rtol=1e-5)
    np.testing.assert_allclose(fine["lat"], [44.0, 45.25, 43.5])
    names = fine["station_name"]
    assert list(names.values.astype(str)) == ["A, upper", "Bé", "C"]
    assert names.attrs["cf_role"] == "timeseries_id"
    assert fine.attrs["featureType"] == "timeSeries"


def test_stations_written_by_downscale_are_a_target_again(run):
    ds, _ = stations(TRAINED)
    ds.to_netcdf("stations.nc")
    words = ["--statics", "orog.nc", "sftlf.nc"]
    first = downscale("--target", "stations.nc", *words)
    main(["downscale", "run", "in.nc", "-o", "again.nc", "--target", "fine.nc", *words])
    with xr.open_dataset("again.nc") as again:
        np.testing.assert_array_equal(again["site_name"], first["site_name"])
        np.testing.assert_array_equal(again["site_name"], ds["name"])


TABLES = {
    "no position": ("x,y\n1,2\n", "there is no column 'lon' .there are: x, y.; name the columns"),
    "words": ("lon,lat\n1,north\n", "the column 'lat' holds no numbers"),
    "absent": (None, "No file matches 'stations.csv'"),
    "empty": ("", "this is no table of stations"),
    "impossible": ("lon,lat\n1,97\n2,40\n", "the target: .*97"),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_table_that_cannot_be_used_is_answered_by_one_sentence(case, free, tmp_path, monkeypatch):
    text, pattern = TABLES[case]
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "stations.csv").write_text(text, encoding="utf-8")
    with warnings.catch_warnings(), pytest.raises(DataError, match=pattern) as caught:
        warnings.simplefilter("error")
        free.onto(read_stations("stations.csv"), statics(TERRAIN))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--statics", "orog.nc"], "--statics belongs to another target; name that with --target"),
        (["--target", "nowhere-11"], "No file is called 'nowhere-11', and no grid: "),
        (["--target", "in.nc"], "trained with 'orog', which is neither in the target nor in the"),
        (["--target", "in.nc", "--statics", "in.nc"], "neither 'orog' nor 'sftlf' is in it"),
    ],
)
def test_what_the_command_line_cannot_use_is_one_sentence(run, options, part, capsys):
    with pytest.raises(SystemExit) as left:
        downscale(*options)
    said = capsys.readouterr().err.splitlines()
    assert left.value.code == 2 and part in said[-1] and said[-1].startswith("graphdown: ")
