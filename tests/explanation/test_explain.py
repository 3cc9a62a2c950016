"""Explanations against differences of the emulator's own output, and their sanity tests."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy.stats import spearmanr

from graphdown.cli import main
from graphdown.emulator.storage import save
from graphdown.errors import GraphdownError
from graphdown.explanation.explain import explain
from graphdown.explanation.explained_target import explained_target

from ..output.test_writer import complaints
from .conftest import AT, DAYS, SOURCE, emulator, explanation, fields

KINDS = ("network", "regression", "eofs")
pytestmark = pytest.mark.usefixtures("compiled_in_haste")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variable", ["tas", "pr"])
def test_integrated_gradients_add_up_to_the_difference_to_within_1_percent(kind, variable):
    found = explanation(kind, variable)
    difference = found.value - found.reference_value
    added = found.integrated_gradients.sum(["predictor", "lat", "lon"])
    assert float(np.abs(difference).min()) > 1e-3
    np.testing.assert_allclose(added, difference, rtol=0, atol=0.01 * np.abs(difference).mean())
    np.testing.assert_allclose(added - difference, found.completeness_error, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_sensitivities_are_those_of_the_downscaled_field(kind):
    found, std = explanation(kind), emulator(kind).normaliser.std
    days = fields().sel(time=found.time)
    at = {"lon": AT[0], "lat": AT[1], "method": "nearest"}
    np.testing.assert_allclose(
        emulator(kind).downscale(days).tas.sel(**at), found.value, rtol=0, atol=2e-3
    )
    for name, step in (("tas", 0.5), ("ua850", 0.5)):
        place = {"lat": 44.25, "lon": 0.75}
        ends = []
        for sign in (-1, 1):
            moved = days.copy(deep=True)
            moved[name].loc[place] += sign * step
            ends.append(emulator(kind).downscale(moved).tas.sel(**at).mean().item())
        slope = (ends[1] - ends[0]) / (2 * step) * std[list(found.predictor).index(name)]
        own = found.sensitivity.sel(predictor=name, **place).item()
        assert own == pytest.approx(slope, rel=0.05, abs=2e-3)


def test_shares_add_up_to_one_and_are_near_the_point():
    found = explanation("network")
    for name in ("saliency", "aggregated_saliency"):
        assert float(found[name].sum()) == pytest.approx(1.0, abs=1e-5)
    assert float(found.saliency_by_distance.sum()) == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(found.saliency, found.aggregated_saliency, atol=1e-6)
    near = found.saliency_by_distance.sum("predictor")
    assert near.values.argmax() == 0 and 0 < found.dispersion.item() < 300


def test_randomised_weights_change_the_map():
    """Adebayo et al. 2018 (arXiv 1810.03292): a map that ignores the weights explains nothing."""
    one = emulator("network")
    rng = np.random.default_rng(5)
    params = {n: rng.permuted(v.ravel()).reshape(v.shape) for n, v in one.params.items()}
    options = {"variable": "pr", "at": AT, "days": DAYS, "steps": 1}
    own = explain(one, fields(), **options).sensitivity.values.ravel()
    other = explain(replace(one, params=params), fields(), **options).sensitivity.values.ravel()
    later = explain(one, fields().isel(time=slice(3, None)), **options).sensitivity.values.ravel()
    assert spearmanr(own, later).statistic > 0.9
    assert spearmanr(own, other).statistic < 0.7


def test_a_region_is_the_mean_over_its_points():
    one = emulator("network")
    box = "-1,43,1,44.2"
    found = explain(one, fields(), "tas", region=box, days=2, points=3, steps=2)
    fine = one.downscale(fields().sel(time=found.time)).tas
    inside = fine.sel(lon=slice(-1, 1), lat=slice(43, 44.2))
    weighted = inside.weighted(np.cos(np.radians(inside.lat))).mean(["lon", "lat"])
    np.testing.assert_allclose(found.value, weighted, atol=2e-3)
    assert found.sizes["point"] == 3
    assert bool(((found.point_lon >= -1) & (found.point_lon <= 1)).all())


def test_a_season_is_explained_alone():
    year = xr.concat(
        [fields(), fields().assign_coords(time=fields().time + np.timedelta64(90, "D"))], "time"
    )
    found = explain(emulator("network"), year, at=AT, season="JJA", days=3, steps=1)
    assert set(found.time.dt.season.values) == {"JJA"} and found.sizes["time"] == 3


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"variable": "psl"}, "does not make 'psl'; choose one of tas, pr"),
        ({"at": (30.0, 10.0)}, "choose a place within the target"),
        ({"at": (0.0, 44.0), "region": "alps"}, "give one of them"),
        ({"region": "atlantis"}, "'atlantis' is no region"),
        ({"region": "scandinavia"}, "choose one that overlaps it"),
    ],
)
def test_what_is_not_on_the_target_is_refused_in_one_sentence(options, part):
    with pytest.raises(GraphdownError, match=part) as refused:
        explained_target(emulator("network"), **options)
    assert str(refused.value).count("\n") == 0


def test_a_season_without_days_is_refused():
    with pytest.raises(GraphdownError, match="There is no day of DJF"):
        explain(emulator("network"), fields(), season="DJF")


def test_the_command_writes_a_cf_file_and_a_picture(tmp_path, monkeypatch, capsys):
    from matplotlib.image import imread

    monkeypatch.chdir(tmp_path)
    save(emulator("network"), tmp_path / "run" / "emulator")
    fields().to_netcdf("coarse.nc")
    call = ["explain", "run", "coarse.nc", "--at", "0.8,44.3", "--days", "2", "-o", "why.nc"]
    main(call)
    assert "tas follows" in capsys.readouterr().out
    assert complaints(tmp_path / "why.nc") == []
    assert imread("why.png").shape[0] > 500
    with xr.open_dataset("why.nc") as found:
        assert found.saliency.dims == ("predictor", "lat", "lon")
        assert found.attrs["explained_variable"] == "tas"
        np.testing.assert_allclose(found.lat, SOURCE.lat.reshape(SOURCE.shape)[:, 0])
    with pytest.raises(SystemExit):
        main(call)
    assert "--overwrite" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*call[:4], "here", "--overwrite"])
    assert "'here' is no place" in capsys.readouterr().err
