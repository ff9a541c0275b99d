"""Covariance of slopes: identities, least squares with dummies, dense formulas, and what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import statsmodels.api as sm

from gifepanel.exceptions import DataError, SpecificationError, SpecificationWarning
from gifepanel.inference import default_maxlags, factor_covariance, factor_space, project, residual_df
from tests.reference.ife_numpy import demean, dense_annihilator, fit_ife

N, T, Q = 17, 9, 3


@pytest.fixture(scope="module")
def panel():
    rng = np.random.default_rng(20240)
    x = rng.normal(size=(N, T, Q)) + rng.normal(size=(N, 1, 1)) * 0.5
    e = rng.normal(size=(N, T)) * np.exp(0.4 * x[:, :, 0]) + rng.normal(size=(N, 1)) + rng.normal(size=T)
    return x @ np.array([1.0, -0.5, 0.2]) + e, x


def ols(y, x):
    return sm.OLS(y.ravel(), x.reshape(-1, x.shape[2]))


def unit_codes():
    return np.repeat(np.arange(N), T)


def time_codes():
    return np.tile(np.arange(T), N)


CASES = {
    "nonrobust": ({"kind": "nonrobust"}, "nonrobust", {}, 1.0),
    "HC0": ({"kind": "HC0"}, "HC0", {}, 1.0),
    "HC1": ({"kind": "HC1"}, "HC1", {}, 1.0),
    "cluster": (
        {"kind": "cluster"},
        "cluster",
        {"groups": unit_codes(), "use_correction": True},
        N * T / (N * T - 1),
    ),
    "cluster over time": (
        {"kind": "cluster", "groups": [np.broadcast_to(np.arange(T), (N, T))], "ssc": False},
        "cluster",
        {"groups": time_codes(), "use_correction": False},
        1.0,
    ),
    "two ways": (
        {"kind": "cluster", "groups": [np.arange(N), np.broadcast_to(np.arange(T), (N, T))], "ssc": False},
        "cluster",
        {"groups": np.column_stack([unit_codes(), time_codes()]), "use_correction": False},
        1.0,
    ),
    "HAC bartlett": (
        {"kind": "HAC", "kernel": "bartlett", "maxlags": 3, "ssc": False},
        "hac-panel",
        {"groups": unit_codes(), "maxlags": 3, "use_correction": False},
        1.0,
    ),
    "Driscoll-Kraay": (
        {"kind": "driscoll-kraay", "maxlags": 2, "ssc": False},
        "hac-groupsum",
        {"time": time_codes(), "maxlags": 2, "use_correction": False},
        1.0,
    ),
}


@pytest.mark.parametrize("name", list(CASES))
def test_without_factors_it_is_ols(panel, name):
    ours, cov_type, kwds, factor = CASES[name]
    y, x = panel
    model = ols(y, x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        order = np.lexsort((unit_codes(), time_codes())) if cov_type == "hac-groupsum" else slice(None)
        if cov_type == "hac-groupsum":
            model = sm.OLS(y.ravel()[order], x.reshape(-1, Q)[order])
            kwds = {**kwds, "time": time_codes()[order]}
        reference = model.fit(cov_type=cov_type, cov_kwds=kwds)
    resid = y - x @ reference.params
    res = factor_covariance(x, resid, df_resid=residual_df(N, T, Q), **ours)
    np.testing.assert_allclose(res.cov, reference.cov_params() * factor, rtol=1e-10, atol=1e-16)


@pytest.mark.parametrize("effects", [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("kind", ["nonrobust", "HC1"])
def test_additive_effects_are_dummy_variables(panel, effects, kind):
    y, x = panel
    unit, time = np.eye(N)[unit_codes()], np.eye(T)[time_codes()]
    dummies = {(True, False): unit, (False, True): time, (True, True): np.hstack([unit, time[:, 1:]])}[effects]
    reference = sm.OLS(y.ravel(), np.hstack([x.reshape(-1, Q), dummies])).fit(cov_type=kind)
    z = demean(x, *effects)
    resid = demean(y, *effects) - z @ reference.params[:Q]
    df = residual_df(N, T, Q, entity_effects=effects[0], time_effects=effects[1])
    assert df == reference.df_resid
    res = factor_covariance(z, resid, df_resid=df, kind=kind)
    np.testing.assert_allclose(res.cov, reference.cov_params()[:Q, :Q], rtol=1e-9)
    space = factor_space(N, T, entity_effects=effects[0], time_effects=effects[1])
    np.testing.assert_allclose(project(x, space), z, atol=1e-13)
    assert space.residual_rank - Q == df


@pytest.mark.parametrize("effects", [(False, False), (True, False), (True, True)])
def test_degrees_of_freedom_are_the_rank_of_the_tangent_space(effects):
    """Count numerically: rank of all derivatives of effects and lambda_i'f_t, by their dense Jacobian."""
    n, t, r = 8, 7, 2
    rng = np.random.default_rng(3)
    f, lam = rng.normal(size=(t, r)), rng.normal(size=(n, r))
    columns = [np.kron(np.eye(n), f), np.kron(lam, np.eye(t))]
    if effects[0]:
        columns.append(np.kron(np.eye(n), np.ones((t, 1))))
    if effects[1]:
        columns.append(np.kron(np.ones((n, 1)), np.eye(t)))
    rank = np.linalg.matrix_rank(np.hstack(columns))
    assert residual_df(n, t, 3, r, entity_effects=effects[0], time_effects=effects[1]) == n * t - rank - 3


def test_projection_is_the_dense_one_and_copies():
    rng = np.random.default_rng(1)
    z, f, lam = rng.normal(size=(N, T, Q)), rng.normal(size=(T, 2)), rng.normal(size=(N, 3))
    before = z.copy()
    space = factor_space(N, T, factors=f, loadings=lam, entity_effects=True, time_effects=True)
    mf = dense_annihilator(np.column_stack([f, np.ones(T)]))
    ml = dense_annihilator(np.column_stack([lam, np.ones(N)]))
    np.testing.assert_allclose(project(z, space), np.einsum("ij,jtq,ts->isq", ml, z, mf), atol=1e-13)
    np.testing.assert_allclose(project(z[:, :, 0], space), ml @ z[:, :, 0] @ mf, atol=1e-13)
    np.testing.assert_array_equal(z, before)
    assert space.time.shape == (T, 3)
    assert space.unit.shape == (N, 4)


def test_space_drops_dependent_columns_whatever_their_units():
    f = np.random.default_rng(1).normal(size=(T, 2)) * [1e9, 1e-9]
    assert factor_space(N, T, factors=np.column_stack([f, f[:, 1], np.zeros(T)])).time.shape == (T, 2)


@pytest.fixture(scope="module")
def factor_fit():
    rng = np.random.default_rng(8)
    f, lam = rng.normal(size=(20, 2)), rng.normal(size=(30, 2)) + 0.5
    x = rng.normal(size=(30, 20, 2)) + 0.5 * (lam @ f.T)[:, :, None]
    y = x @ [1.0, -1.0] + lam @ f.T + rng.normal(size=(30, 20))
    return fit_ife(y, x, 2, n_starts=2)


ALL_KINDS = [
    {"kind": "nonrobust"},
    {"kind": "HC1"},
    {"kind": "HAC"},
    {"kind": "cluster"},
    {"kind": "driscoll-kraay"},
    {"kind": "cluster", "groups": [np.arange(30) % 13, np.add.outer(np.arange(30), np.arange(20)) % 11]},
]


@pytest.mark.parametrize("options", ALL_KINDS, ids=lambda o: o["kind"])
def test_rotating_factors_and_permuting_units_change_nothing(factor_fit, options):
    fit, rng = factor_fit, np.random.default_rng(2)
    rotation, order = rng.normal(size=(2, 2)), rng.permutation(30)

    def cov(f, lam, x, e, opts):
        space = factor_space(30, 20, factors=f, loadings=lam)
        return factor_covariance(project(x, space), e, df_resid=400, **opts).cov

    base = cov(fit.factors, fit.loadings, fit.x, fit.resid, options)
    rotated = cov(fit.factors @ rotation, fit.loadings @ np.linalg.inv(rotation).T, fit.x, fit.resid, options)
    moved = dict(options)
    if "groups" in moved:
        moved["groups"] = [g[order] for g in moved["groups"]]
    permuted = cov(fit.factors, fit.loadings[order], fit.x[order], fit.resid[order], moved)
    units = np.array([1e6, 1e-6])
    scaled = cov(fit.factors, fit.loadings, fit.x * units, fit.resid, options) * np.outer(units, units)
    for other in (rotated, permuted, scaled):
        np.testing.assert_allclose(other, base, rtol=1e-9)


def test_heteroskedastic_meat_is_a_sum_over_cells(factor_fit):
    fit = factor_fit
    z = project(fit.x, factor_space(30, 20, factors=fit.factors, loadings=fit.loadings))
    res = factor_covariance(z, fit.resid, df_resid=480, kind="HC1")
    cells = [(z[i, t], fit.resid[i, t]) for i in range(30) for t in range(20)]
    omega = sum(np.outer(row, row) * e**2 for row, e in cells) / 600
    np.testing.assert_allclose(res.meat, omega, rtol=1e-12)
    inverse = np.linalg.inv(res.bread)
    np.testing.assert_allclose(res.cov, inverse @ omega @ inverse / 480, rtol=1e-10)
    np.testing.assert_allclose(res.scale, 600 / 480)


def test_full_hac_is_entity_clustering(factor_fit):
    fit = factor_fit
    z = project(fit.x, factor_space(30, 20, factors=fit.factors, loadings=fit.loadings))
    hac = factor_covariance(z, fit.resid, df_resid=480, kind="HAC", maxlags=19, ssc=False)
    clustered = factor_covariance(z, fit.resid, df_resid=480, kind="cluster", ssc=False)
    np.testing.assert_allclose(hac.cov, clustered.cov, rtol=1e-10)
    assert clustered.n_groups == (30,)


def test_three_ways_equal_the_seven_terms(factor_fit):
    fit, rng = factor_fit, np.random.default_rng(9)
    z = project(fit.x, factor_space(30, 20, factors=fit.factors, loadings=fit.loadings))
    ways = [
        rng.integers(0, 9, size=30),
        rng.integers(0, 8, size=(30, 20)),
        rng.integers(5, 12, size=(30, 20)),
    ]
    dense = [np.broadcast_to(w[:, None], (30, 20)) if w.ndim == 1 else w for w in ways]
    scores = (z * fit.resid[:, :, None]).reshape(-1, 2)
    equal = [(w.ravel()[:, None] == w.ravel()[None]).astype(float) for w in dense]
    some = 1 - (1 - equal[0]) * (1 - equal[1]) * (1 - equal[2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpecificationWarning)
        res = factor_covariance(z, fit.resid, df_resid=480, kind="cluster", groups=ways)
    np.testing.assert_allclose(res.meat, scores.T @ some @ scores / 600, rtol=1e-9)
    assert res.n_groups == (9, 8, 7)
    assert res.scale == pytest.approx(600 / 480 * 7 / 6)


def test_blocks_over_units_do_not_matter(panel, monkeypatch):
    y, x = panel
    space = factor_space(N, T, factors=np.arange(T), loadings=np.arange(N), entity_effects=True)
    whole = project(x, space)
    cov = factor_covariance(whole, y, df_resid=50, kind="HAC").cov
    monkeypatch.setattr("gifepanel.inference.space._BLOCK_ELEMENTS", 60)
    np.testing.assert_allclose(project(x, space), whole, atol=1e-14)
    np.testing.assert_allclose(factor_covariance(whole, y, df_resid=50, kind="HAC").cov, cov, rtol=1e-12)


def test_negative_variance_of_the_uniform_kernel_gives_no_standard_error():
    z = np.ones((3, 4, 1))
    alternating = np.tile([1.0, -1.0, 1.0, -1.0], (3, 1))
    for psd in ("none", "eigen", "eigen-scaled"):
        with pytest.warns(SpecificationWarning, match=r"negative variance.*kernel='bartlett'|variance of zero"):
            found = factor_covariance(z, alternating, df_resid=11, kind="HAC", maxlags=1, psd=psd)
        assert np.isnan(found.bse[0]) and found.without == (0,)
    with pytest.warns(SpecificationWarning):
        assert factor_covariance(z, alternating, df_resid=11, kind="HAC", maxlags=1).cov[0, 0] < 0
    one = {"df_resid": 11, "kind": "HAC", "maxlags": 1, "kernel": "bartlett"}
    assert factor_covariance(z + alternating[:, :, None], alternating, **one).cov[0, 0] >= 0


def test_indefinite_covariance_with_positive_variances_warns():
    rng = np.random.default_rng(0)
    with pytest.warns(SpecificationWarning, match="not positive semidefinite"):
        for _ in range(50):
            z, e = rng.normal(size=(4, 6, 4)), rng.normal(size=(4, 6))
            factor_covariance(z, e, df_resid=20, kind="HAC", maxlags=2)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"kind": "HC9"}, SpecificationError, "Unknown covariance type 'HC9'"),
        ({"df_resid": 0}, SpecificationError, "df_resid is 0"),
        ({"kind": "HC1", "maxlags": 2}, SpecificationError, "maxlags"),
        ({"kind": "HC1", "groups": [np.arange(N)]}, SpecificationError, "groups"),
        ({"kind": "HAC", "maxlags": T}, SpecificationError, "maxlags is 9 with 9 periods"),
        ({"kind": "HAC", "kernel": "parzen"}, SpecificationError, "parzen"),
        ({"kind": "cluster", "groups": [np.arange(N + 1)]}, DataError, "number 1"),
        ({"kind": "cluster", "groups": [np.zeros(N, int)]}, SpecificationError, "one value only"),
        ({"kind": "cluster", "groups": []}, SpecificationError, "empty"),
    ],
)
def test_bad_options_say_what_is_wrong(panel, options, error, match):
    y, x = panel
    with pytest.raises(error, match=match):
        factor_covariance(x, y, **{"df_resid": 100, **options})


def test_collinear_and_misshaped_regressors(panel):
    y, x = panel
    with pytest.raises(DataError, match="collinear"):
        factor_covariance(np.concatenate([x, x[:, :, :1]], axis=2), y, df_resid=100)
    with pytest.raises(DataError, match="shape"):
        factor_covariance(x, y.T, df_resid=100)
    with pytest.raises(DataError, match="missing or infinite"):
        factor_covariance(x, np.full_like(y, np.nan), df_resid=100)
    with pytest.raises(DataError, match="shape"):
        project(x.transpose(1, 0, 2), factor_space(N, T))


def test_no_degrees_of_freedom_left():
    with pytest.raises(SpecificationError, match="between 0 and 4"):
        residual_df(5, 9, 1, 5)
    with pytest.raises(SpecificationError, match="No residual degrees"):
        residual_df(5, 6, 4, 4, entity_effects=False)


@pytest.mark.parametrize(("t", "hac", "dk"), [(16, 2, 2), (30, 3, 3), (81, 3, 3), (100, 4, 4), (2, 1, 1)])
def test_default_lags(t, hac, dk):
    assert default_maxlags(t, "HAC") == hac
    assert default_maxlags(t, "driscoll-kraay") == dk
