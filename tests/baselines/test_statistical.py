"""Analogue, GLM and boosted trees against scipy, maximum likelihood, and relations by hand."""

import numpy as np
import pytest
import scipy.optimize
import scipy.spatial
import xarray as xr

from graphdown.baselines import GLM, Analogue, BoostedTrees, make_baselines
from graphdown.baselines.analogue import nearest_days
from graphdown.baselines.linear_model import PENALTY, expit, gamma, gaussian, logistic
from graphdown.baselines.predictands import Predictands
from graphdown.baselines.principal_components import PrincipalComponents

from .conftest import block_means, rmse


@pytest.fixture(scope="module")
def halves(coarse, fine):
    past, later = slice(0, 180), slice(180, None)
    return (coarse.isel(time=past), fine.isel(time=past)), (
        coarse.isel(time=later),
        fine.isel(time=later),
    )


def constant(fine, days):
    return fine.mean("time", keep_attrs=True).expand_dims(time=days["time"])


def test_the_nearest_day_is_that_of_a_search_tree():
    rng = np.random.default_rng(0)
    places, known = rng.normal(size=(700, 6)), rng.normal(size=(300, 6))
    expected = scipy.spatial.cKDTree(known).query(places)[1]
    np.testing.assert_array_equal(nearest_days(places, known), expected)


def test_components_are_uncorrelated_and_have_unit_variance(coarse, fine):
    target = Predictands.of(fine).grid
    components = PrincipalComponents(coarse, target, 0.99, 50)(coarse)
    np.testing.assert_allclose(
        np.cov(components.T, bias=True), np.eye(components.shape[1]), atol=1e-3
    )
    assert PrincipalComponents(coarse, target, 0.99, 2)(coarse).shape[1] == 2


def test_an_analogue_of_a_day_of_training_is_that_day(halves):
    (coarse, fine), (later, truth) = halves
    method = Analogue().fit([(coarse, fine)])
    again = method.predict(coarse.isel(time=[5, 170, 31]))
    for name in ("tas", "pr"):
        np.testing.assert_array_equal(again[name], fine[name].isel(time=[5, 170, 31]))
    made = method.predict(later)
    assert rmse(made, truth, "tas") < rmse(constant(fine, later), truth, "tas")
    known = {row.tobytes() for row in fine["pr"].values.reshape(180, -1)}
    assert all(row.tobytes() in known for row in made["pr"].values.reshape(len(later.time), -1))


def test_days_that_lack_values_are_no_analogues_and_lacking_predictors_give_none(halves):
    (coarse, fine), _ = halves
    gappy = fine.copy(deep=True)
    gappy["pr"][7, 3, 3] = np.nan
    gappy["tas"][:, 0, 0] = np.nan
    made = Analogue().fit([(coarse, gappy)]).predict(coarse.isel(time=slice(0, 12)))
    assert np.isfinite(made["pr"]).all() and np.isnan(made["tas"][:, 0, 0]).all()
    hole = coarse.copy(deep=True)
    hole["tas"][2, 1, 1] = np.nan
    made = Analogue().fit([(coarse, fine)]).predict(hole.isel(time=slice(0, 4)))
    assert np.isnan(made["pr"][2]).all() and np.isfinite(made["pr"][[0, 1, 3]]).all()


KINDS = {
    "gaussian": (gaussian, lambda eta, y: 0.5 * (y - eta) ** 2),
    "logistic": (logistic, lambda eta, y: np.logaddexp(0, eta) - y * eta),
    "gamma": (gamma, lambda eta, y: eta + y * np.exp(-eta)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_coefficients_are_those_of_the_greatest_likelihood(kind):
    """By scipy's minimiser, one cell after the other; missing days are left out."""
    fit, loss = KINDS[kind]
    rng = np.random.default_rng(3)
    design = np.concatenate([np.ones((400, 5, 1)), rng.normal(size=(400, 5, 3))], axis=-1)
    eta = design @ np.array([0.3, 0.8, -0.5, 0.2])
    truth = {
        "gaussian": rng.normal(eta),
        "logistic": (rng.uniform(size=eta.shape) < expit(eta)).astype(float),
        "gamma": rng.gamma(0.6, np.exp(eta) / 0.6),
    }[kind]
    truth[rng.uniform(size=truth.shape) < 0.2] = np.nan
    truth[:, 4] = np.nan
    made = fit(design, truth)
    assert np.isnan(made[4]).all()
    for n in range(4):
        days = np.isfinite(truth[:, n])

        def total(b, n=n, days=days):
            mean = loss(design[days, n] @ b, truth[days, n]).mean()
            return mean + 0.5 * PENALTY * (b[1:] ** 2).sum()

        best = scipy.optimize.minimize(total, np.zeros(4), tol=1e-10)
        np.testing.assert_allclose(made[n], best.x, atol=2e-3)


def test_rain_that_a_predictor_tells_without_error_has_finite_coefficients():
    x = np.linspace(-2, 2, 200)
    design = np.stack([np.ones(200), x], axis=-1)[:, None]
    made = logistic(design, (x > 0).astype(float)[:, None])
    assert np.isfinite(made).all() and made[0, 1] > 2


def test_the_glm_beats_constants_and_keeps_the_mean_of_rain(halves):
    (coarse, fine), (later, truth) = halves
    made = GLM().fit([(coarse, fine)]).predict(later)
    for name in ("tas", "pr"):
        assert rmse(made, truth, name) < 0.8 * rmse(constant(fine, later), truth, name)
    wet = fine["pr"].where(fine["pr"] >= 1, 0)
    again = GLM().fit([(coarse, fine)]).predict(coarse)
    # Exactly that of wet days; amounts with a logarithmic link keep theirs roughly.
    assert float(again["pr"].mean()) == pytest.approx(float(wet.mean()), rel=0.1)


def test_the_glm_of_cells_that_are_dry_or_missing(halves):
    (coarse, fine), (later, _) = halves
    odd = fine.copy(deep=True)
    odd["pr"][:, 0, 0], odd["pr"][:, 0, 1], odd["tas"][:, 0, 2] = 0.0, np.nan, np.nan
    made = GLM().fit([(coarse, odd)]).predict(later)
    assert float(made["pr"][:, 0, 0].max()) < 0.05
    assert np.isnan(made["pr"][:, 0, 1]).all() and np.isnan(made["tas"][:, 0, 2]).all()
    assert np.isfinite(made["pr"][:, 1:]).all() and np.isfinite(made["tas"][:, 1:]).all()
    extreme = later.assign(pr=later["pr"] * 0 + 500.0)
    assert float(GLM().fit([(coarse, fine)]).predict(extreme)["pr"].max()) <= 3 * float(
        fine["pr"].max()
    ) * (1 + 1e-5)


def test_methods_are_made_by_their_names(statics):
    made = make_baselines(["analogue", "GLM", "boosted trees"], statics)
    assert [type(method) for method in made] == [Analogue, GLM, BoostedTrees]


def test_trees_without_their_library_are_refused_in_one_sentence(halves, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.ensemble", None)
    with pytest.raises(ValueError, match="needs scikit-learn, .* pip install"):
        BoostedTrees().fit([halves[0]])


def test_trees_learn_from_every_source_and_leave_missing_cells_missing(halves, statics):
    pytest.importorskip("sklearn")
    (coarse, fine), (later, truth) = halves
    odd = fine.copy(deep=True)
    odd["pr"][:, 0, 1] = np.nan
    other = block_means(fine, 3)
    shared = coarse[[n for n in other.data_vars if n in coarse]]
    method = BoostedTrees(trees=40).fit(
        [(shared, odd), (other[list(shared.data_vars)], odd)], statics
    )
    made = method.predict(later[list(shared.data_vars)])
    assert np.isnan(made["pr"][:, 0, 1]).all() and float(made["pr"].min()) >= 0
    for name in ("tas", "pr"):
        assert rmse(made, truth, name) < 0.95 * rmse(constant(fine, later), truth, name)
    again = BoostedTrees(trees=40).fit(
        [(shared, odd), (other[list(shared.data_vars)], odd)], statics
    )
    xr.testing.assert_identical(again.predict(later[list(shared.data_vars)]), made)
