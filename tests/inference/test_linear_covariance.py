"""Covariances after partialling out: the full dummy regression in statsmodels, dense formulas, and what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula

from gifepanel.exceptions import DataError, SpecificationError, SpecificationWarning
from gifepanel.inference.cluster_adjusted import nuisance_columns
from gifepanel.inference.clusters import cluster_ways, nested_dimensions, nested_effects
from gifepanel.inference.linear_covariance import linear_covariance
from gifepanel.inference.linear_sample import full_leverage
from gifepanel.projections.system import Effect
from tests.inference.linear_panels import dummies, panel


def covariance(data, kind, **options):
    _, x, u = data.partialled()
    if kind in ("HC2", "HC3"):
        absorbed = data.root**2 * np.sum(data.basis**2, axis=1)
        options["leverage"] = full_leverage(x, absorbed, weights=data.weights)
    options = {"df_absorbed": data.rank, "ssc": "statsmodels", "weights": data.weights, **options}
    return linear_covariance(x, u, kind=kind, **options)


def full_regression(data):
    if data.weights is None:
        return sm.OLS(data.y, data.design)
    return sm.WLS(data.y, data.design, weights=data.weights)


def by_firm_and_time(data):
    """Rows in the order that statsmodels' panel covariances need."""
    order = np.lexsort((data.year, data.firm))
    parts = {name: getattr(data, name)[order] for name in ("y", "x", "nuisance", "firm", "year", "region")}
    weights = None if data.weights is None else data.weights[order]
    return type(data)(effects=(), weights=weights, **parts)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("absorbed", ["constant", "firm", "two", "slopes"])
@pytest.mark.parametrize("kind", ["nonrobust", "HC0", "HC1", "HC2", "HC3"])
def test_heteroskedastic_kinds_are_those_of_the_full_regression(kind, absorbed, weighted):
    data = panel(absorbed, weighted=weighted)
    want = full_regression(data).fit(cov_type=kind)
    got = covariance(data, kind)
    np.testing.assert_allclose(got.cov, want.cov_params()[:2, :2], rtol=1e-9, atol=1e-14)
    assert got.df_resid == want.df_resid


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("correct", [True, False])
@pytest.mark.parametrize("ways", [["region"], ["firm"], ["region", "year"]], ids="+".join)
def test_clusters_are_those_of_the_full_regression(ways, correct, weighted):
    data = panel("two", weighted=weighted)
    codes = [getattr(data, w) for w in ways]
    kwds = {"groups": np.column_stack(codes) if len(codes) > 1 else codes[0], "use_correction": correct}
    want = full_regression(data).fit(cov_type="cluster", cov_kwds=kwds)
    got = covariance(data, "cluster", clusters=codes, use_correction=correct)
    np.testing.assert_allclose(got.cov, want.cov_params()[:2, :2], rtol=1e-9, atol=1e-14)
    if not correct:
        plain = covariance(data, "CR0", clusters=codes)
        np.testing.assert_allclose(plain.cov, got.cov, rtol=1e-12)
    assert got.df_inference[0] == min(c.max() for c in codes)


@pytest.mark.skipif(not hasattr(statsmodels.formula, "options"), reason="statsmodels before 0.15 has no jackknife")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("correct", [True, False])
@pytest.mark.parametrize("kind", ["cluster-crv3", "cluster-jk"])
def test_jackknife_is_that_of_the_full_regression(kind, correct, weighted):
    data = panel("year", weighted=weighted)
    kwds = {"groups": data.region, "use_correction": correct}
    want = full_regression(data).fit(cov_type=kind, cov_kwds=kwds)
    columns = nuisance_columns(cluster_ways([data.region], len(data.y)), effects=data.effects, weights=data.weights)
    got = covariance(data, kind, clusters=[data.region], nuisance=columns, use_correction=correct)
    np.testing.assert_allclose(got.cov, want.cov_params()[:2, :2], rtol=1e-9, atol=1e-14)
    assert got.exact


@pytest.mark.parametrize("absorbed", ["firm", "two", "slopes"])
@pytest.mark.parametrize("weighted", [False, True])
def test_jackknife_with_nested_effects_refits_everything(absorbed, weighted):
    data = panel(absorbed, weighted=weighted)
    params, _x, u = data.partialled()
    changes = []
    for g in np.unique(data.region):
        rest = data.region != g
        root = data.root[rest]
        full = np.column_stack([data.x, data.nuisance])[rest] * root[:, None]
        changes.append((np.linalg.pinv(full, rcond=1e-10) @ (data.y[rest] * root))[:2] - params)
    changes = np.array(changes)
    want = len(changes[:-1]) / len(changes) * changes.T @ changes
    columns = nuisance_columns(cluster_ways([data.region], len(u)), effects=data.effects, weights=data.weights)
    got = covariance(data, "cluster-crv3", clusters=[data.region], nuisance=columns)
    np.testing.assert_allclose(got.cov, want, rtol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kernel", ["bartlett", "uniform"])
@pytest.mark.parametrize("correction", ["hac", "cluster", False])
def test_newey_west_is_that_of_the_full_regression(kernel, correction, weighted):
    data = by_firm_and_time(panel("two", weighted=weighted))
    start = np.flatnonzero(np.diff(data.firm, prepend=-1))
    position = np.arange(len(data.firm)) - start[data.firm]  # statsmodels counts rows, not periods
    model = full_regression(data)
    kwds = {"groups": data.firm, "maxlags": 2, "kernel": kernel, "use_correction": correction}
    want = model.fit(cov_type="hac-panel", cov_kwds=kwds)
    options = {"entity": data.firm, "maxlags": 2, "kernel": kernel, "use_correction": correction}
    got = covariance(data, "hac-panel", time=position, **options)
    np.testing.assert_allclose(got.cov, want.cov_params()[:2, :2], rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("absorbed", "kernel", "maxlags"), [("two", "bartlett", 2), ("firm", "bartlett", 3), ("constant", "uniform", 1)]
)
@pytest.mark.parametrize("correction", ["hac", "cluster", False])
def test_driscoll_kraay_is_that_of_the_full_regression(absorbed, kernel, maxlags, correction, weighted):
    data = by_firm_and_time(panel(absorbed, weighted=weighted))
    options = {"maxlags": maxlags, "kernel": kernel, "use_correction": correction}
    want = full_regression(data).fit(cov_type="hac-groupsum", cov_kwds={"time": data.year, **options})
    got = covariance(data, "hac-groupsum", time=data.year, **options)
    np.testing.assert_allclose(got.cov, want.cov_params()[:2, :2], rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("correct", [True, False])
def test_newey_west_in_one_series(correct):
    data = panel("constant")
    kwds = {"maxlags": 3, "use_correction": correct}
    want = full_regression(data).fit(cov_type="HAC", cov_kwds=kwds)
    got = covariance(data, "HAC", maxlags=3, use_correction=correct)
    np.testing.assert_allclose(got.cov, want.cov_params()[:2, :2], rtol=1e-9)
    default = covariance(data, "HAC", maxlags=3)
    assert default.factor == (1.0,)  # statsmodels' default


@pytest.mark.parametrize("kind", ["hac-panel", "hac-groupsum"])
def test_lags_are_periods_and_gaps_count(kind):
    data = panel("two")
    _, x, u = data.partialled()
    time = 3 + 2 * data.year  # every other period
    s = x * u[:, None]
    lag = np.abs(time[:, None] - time[None, :])
    weight = np.maximum(0, 1 - lag / 5.0)
    if kind == "hac-panel":
        weight = weight * (data.firm[:, None] == data.firm[None, :])
    bread = np.linalg.inv(x.T @ x)
    want = bread @ s.T @ weight @ s @ bread
    options = {"entity": data.firm} if kind == "hac-panel" else {}
    got = covariance(data, kind, time=time, maxlags=4, ssc="none", **options)
    np.testing.assert_allclose(got.cov, want, rtol=1e-10)


def test_entity_clusters_are_newey_west_with_all_lags():
    data = panel("two")
    cluster = covariance(data, "CR0", clusters=[data.firm])
    everything = {"maxlags": 5, "kernel": "uniform", "ssc": "none"}
    newey = covariance(data, "hac-panel", entity=data.firm, time=data.year, **everything)
    np.testing.assert_allclose(newey.cov, cluster.cov, rtol=1e-10)


@pytest.mark.parametrize("kind", ["HC0", "HC2", "cluster", "CR2", "cluster-crv3", "hac-groupsum"])
def test_units_of_measurement_do_not_matter(kind):
    data = panel("two")
    scale = np.array([1e9, 1e-6])
    _, x, u = data.partialled()
    options = {}
    if kind in ("cluster", "CR2", "cluster-crv3"):
        options["clusters"] = [data.firm]
    if kind == "hac-groupsum":
        options["time"] = data.year
    absorbed = np.sum(data.basis**2, axis=1)
    both = []
    for a, b in ((x, u), (x * scale, u * 1e6)):
        leverage = {"leverage": full_leverage(a, absorbed)} if kind == "HC2" else {}
        both.append(linear_covariance(a, b, df_absorbed=data.rank, kind=kind, **options, **leverage))
    np.testing.assert_allclose(both[1].cov / 1e12 * np.outer(scale, scale), both[0].cov, rtol=1e-9)
    np.testing.assert_allclose(both[1].df_inference, both[0].df_inference, rtol=1e-9)


def test_conventions_differ_by_what_they_say():
    data = panel("two")
    ways = cluster_ways([data.firm, data.year], len(data.y))
    np.testing.assert_array_equal(nested_effects(data.effects, ways), [[True, False], [False, True]])
    assert nested_dimensions(data.effects, ways[:1], data.rank) == data.rank - 6  # the years stay
    assert nested_dimensions(data.effects, ways, data.rank) == data.rank - 1
    n, k = len(data.y), 2 + data.rank
    one = {"clusters": [data.firm], "df_nested": data.rank - 6}
    bse = {s: covariance(data, "cluster", ssc=s, **one).bse for s in ("fixest", "stata", "statsmodels", "none")}
    np.testing.assert_allclose(bse["fixest"], bse["stata"], rtol=1e-14)
    np.testing.assert_allclose((bse["statsmodels"] / bse["fixest"]) ** 2, (n - 8) / (n - k), rtol=1e-12)
    np.testing.assert_allclose((bse["fixest"] / bse["none"]) ** 2, 24 / 23 * (n - 1) / (n - 8), rtol=1e-12)


def test_negative_eigenvalues_are_clipped_and_said():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(40, 3))
    u = rng.normal(size=40)
    a, b = np.repeat(np.arange(4), 10), np.tile(np.arange(4), 10)
    options = {"df_absorbed": 0, "kind": "cluster", "clusters": [a, b], "ssc": "none"}
    with pytest.warns(SpecificationWarning, match="not positive semidefinite"):
        clipped = linear_covariance(x, u, **options, psd="eigen-scaled")
    assert clipped.clipped
    assert clipped.min_eigenvalue < 0
    assert np.linalg.eigvalsh(clipped.cov)[0] > -1e-16
    with pytest.warns(SpecificationWarning):
        scaled = linear_covariance(x * [1, 1e6, 1e-6], u, **options, psd="eigen-scaled")
    np.testing.assert_allclose(scaled.bse * [1, 1e6, 1e-6], clipped.bse, rtol=1e-8)
    with pytest.warns(SpecificationWarning):
        raw = linear_covariance(x, u, **options, psd="eigen")
    s = x * u[:, None]
    sums = [np.eye(g.max() + 1)[g].T @ s for g in (a, b, 4 * a + b)]
    meat = sum(sign * t.T @ t for sign, t in zip((1, 1, -1), sums, strict=True))
    bread = np.linalg.inv(x.T @ x)
    values, vectors = np.linalg.eigh(bread @ meat @ bread)
    np.testing.assert_allclose(raw.cov, vectors @ np.diag(np.maximum(values, 0)) @ vectors.T, rtol=1e-9, atol=1e-15)
    with pytest.warns(SpecificationWarning, match="joint tests may not"):
        kept = linear_covariance(x, u, **options)
    np.testing.assert_allclose(kept.cov, bread @ meat @ bread, rtol=1e-9)
    assert not kept.clipped


def test_negative_variances_give_no_standard_error():
    """NaN where inclusion and exclusion ends below zero, whatever the units; the matrix itself is the published one."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(40, 3))
    u = rng.normal(size=40)
    a, b = np.repeat(np.arange(4), 10), np.tile(np.arange(4), 10)
    options = {"df_absorbed": 0, "kind": "cluster", "clusters": [a, b], "ssc": "none"}
    words = r"negative variance for one, two.*no standard errors.*one way"
    with pytest.warns(SpecificationWarning, match=words) as caught:
        found = linear_covariance(x, u, **options, names=["one", "two", "three"])
    assert len(caught) == 1
    s, bread = x * u[:, None], np.linalg.inv(x.T @ x)
    sums = [np.eye(g.max() + 1)[g].T @ s for g in (a, b, 4 * a + b)]
    expected = bread @ sum(sign * t.T @ t for sign, t in zip((1, 1, -1), sums, strict=True)) @ bread
    np.testing.assert_allclose(found.cov, expected, rtol=1e-9, atol=1e-16)
    negative = np.diag(expected) < 0
    assert negative.tolist() == [True, True, False] and found.without == (0, 1)
    np.testing.assert_array_equal(np.isnan(found.bse), negative)
    for units in ([1e8, 1, 1e-8], [1e-5, 1e7, 1]):
        with pytest.warns(SpecificationWarning):
            scaled = linear_covariance(x * units, u, **options)
        np.testing.assert_allclose(scaled.bse * units, found.bse, rtol=1e-8)
    with pytest.warns(SpecificationWarning, match="for coefficient 1"):  # one slope: nothing to adjust to
        alone = linear_covariance(x[:, 1:2], u, **options, psd="eigen")
    assert np.isnan(alone.bse).all()


@pytest.mark.parametrize("kind", ["cluster", "CR0", "HC1", "hac-groupsum"])
def test_variances_of_zero_give_no_standard_error(kind):
    """A dummy of one cluster, period or row, without a constant: its scores cancel, and rounding would get stars."""
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(6), 5)
    single = np.arange(30) == 7 if kind == "HC1" else group == 2
    other, y = rng.normal(size=(2, 30))
    x = np.column_stack([other - single * other[single].mean(), single])
    u = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    given = {"clusters": [group]} if kind in ("cluster", "CR0") else {"time": group} if kind == "hac-groupsum" else {}
    lags = {"maxlags": 0} if kind == "hac-groupsum" else {}
    with pytest.warns(SpecificationWarning, match="variance of zero for coefficient 2"):
        found = linear_covariance(x, u, df_absorbed=0, kind=kind, **given, **lags)
    assert np.isfinite(found.bse[0]) and np.isnan(found.bse[1])


def test_rows_that_are_fitted_exactly_are_left_out():
    data = panel("firm")
    nuisance = np.column_stack([data.nuisance, np.eye(len(data.y))[:, :2]])
    data = type(data)(**{**vars(data), "nuisance": nuisance})
    got = covariance(data, "HC3")
    assert got.n_fitted == 2
    rest = type(data)(
        **{k: v[2:] if isinstance(v, np.ndarray) else v for k, v in vars(data).items() if k != "nuisance"},
        nuisance=nuisance[2:, :-2],
    )
    np.testing.assert_allclose(got.cov, covariance(rest, "HC3").cov, rtol=1e-9)


def test_leverages_must_be_those_of_the_full_regression():
    data = panel("two")
    _, x, u = data.partialled()
    with pytest.raises(DataError, match="sum to"):
        linear_covariance(x, u, df_absorbed=data.rank, kind="HC3", leverage=full_leverage(x))


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"kind": "HC9"}, SpecificationError, "Unknown covariance type"),
        ({"kind": "cluster"}, SpecificationError, "without clusters"),
        ({"kind": "HC1", "clusters": [np.zeros(60, int)]}, SpecificationError, "clusters came with"),
        ({"kind": "cluster", "clusters": [np.zeros(60, int)]}, SpecificationError, "has 1 value"),
        ({"kind": "cluster", "clusters": [np.arange(60) - 1]}, DataError, "missing in 1 rows"),
        ({"kind": "cluster", "clusters": [np.arange(60) / 2]}, DataError, "type float64"),
        ({"kind": "cluster", "clusters": []}, SpecificationError, "is empty"),
        ({"kind": "CR2", "clusters": [np.arange(60) // 2, np.arange(60) % 2]}, SpecificationError, "2 ways"),
        ({"kind": "hac-panel", "time": np.arange(60)}, SpecificationError, "without entity"),
        (
            {"kind": "hac-panel", "time": np.zeros(60, int), "entity": np.arange(60) // 2, "maxlags": 0},
            DataError,
            "repeat the time",
        ),
        ({"kind": "HAC", "maxlags": 60}, SpecificationError, "maxlags is 60"),
        ({"kind": "HAC", "kernel": "parzen"}, SpecificationError, "kernel='parzen'"),
        ({"ssc": "sas"}, SpecificationError, "ssc='sas'"),
        ({"kind": "HC1", "use_correction": True}, SpecificationError, "use_correction=True"),
        ({"kind": "nonrobust", "weights": -np.ones(60)}, DataError, "negative"),
        ({"df_absorbed": 58}, SpecificationError, "60 observations, 60 parameters"),
    ],
)
def test_what_is_refused(options, error, text):
    rng = np.random.default_rng(0)
    x, u = rng.normal(size=(60, 2)), rng.normal(size=60)
    with pytest.raises(error, match=text):
        linear_covariance(x, u, **{"df_absorbed": 0, **options})


def test_collinear_and_missing_columns_are_refused():
    x = np.random.default_rng(0).normal(size=(30, 2))
    with pytest.raises(DataError, match="collinear"):
        linear_covariance(np.column_stack([x, x.sum(axis=1)]), x[:, 0], df_absorbed=0)
    with pytest.raises(DataError, match="missing or infinite"):
        linear_covariance(np.where(x > 2, np.nan, x) * np.inf, x[:, 0], df_absorbed=0)


@pytest.mark.parametrize("label", ["iid", "hetero", "NW", "DK", "firm", "firm+year", "CRV3"])
def test_package_pyfixest(label):
    """PyPI package pyfixest at its defaults, on a balanced panel (its Newey-West counts rows)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pf = pytest.importorskip("pyfixest")
        rng = np.random.default_rng(2)
        firm, year = np.repeat(np.arange(20), 8), np.tile(np.arange(8), 20)
        x = rng.normal(size=(160, 2)) + rng.normal(size=8)[year][:, None]
        y = x @ [1.0, 0.3] + rng.normal(size=160) * (1 + 0.5 * np.abs(x[:, 0])) + rng.normal(size=20)[firm]
        frame = pd.DataFrame({"y": y, "a": x[:, 0], "b": x[:, 1], "firm": firm, "year": year})
        time = {"time_id": "year", "lag": 2}
        vcov, kwargs = {
            "NW": ("NW", {"vcov_kwargs": {**time, "panel_id": "firm"}}),
            "DK": ("DK", {"vcov_kwargs": {**time, "panel_id": "firm"}}),
            "firm": ({"CRV1": "firm"}, {}),
            "firm+year": ({"CRV1": "firm+year"}, {}),
            "CRV3": ({"CRV3": "year"}, {}),
        }.get(label, (label, {}))
        theirs = pf.feols("y ~ a + b | firm + year", frame, vcov=vcov, **kwargs)
    data = type(panel())(y, x, np.column_stack([dummies(firm), dummies(year)]), (), None, firm, year, firm)
    effects = (Effect("firm", firm, 20), Effect("year", year, 8))
    codes = {"firm": [firm], "firm+year": [firm, year], "CRV3": [year]}.get(label)
    kind = {"iid": "nonrobust", "hetero": "HC1", "NW": "hac-panel", "DK": "hac-groupsum", "CRV3": "cluster-crv3"}
    options: dict = {"ssc": "fixest"}
    if codes:
        ways = cluster_ways(codes, 160)
        options |= {"clusters": codes, "df_nested": nested_dimensions(effects, ways, 27)}
    if label in ("NW", "DK"):
        options |= {"time": year, "maxlags": 2} | ({"entity": firm} if label == "NW" else {})
    if label == "CRV3":
        options["nuisance"] = nuisance_columns(ways, effects=effects)
    got = covariance(data, kind.get(label, "cluster"), **options)
    want = theirs.se().to_numpy()
    if label == "CRV3":  # pyfixest multiplies by the factor of CRV1 besides
        want = want * np.sqrt((7 / 8) / theirs._ssc[0])
    np.testing.assert_allclose(got.bse, want, rtol=1e-9)
    assert got.df_inference[0] == theirs._df_t
