"""The wild cluster bootstrap against refitting the full dummy regression in every draw."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.inference import wild_cells
from gifepanel.inference.wild_bootstrap import wild_cluster_bootstrap
from gifepanel.inference.wild_weights import draw_weights, wild_scheme
from gifepanel.projections.absorb import Absorption
from tests.inference.linear_panels import panel


def naive(data, r, null, codes, draws, *, impose_null):
    """t statistic of the data and of every draw: least squares with all dummies each time."""
    root = data.root
    z, y = data.design * root[:, None], data.y * root
    full_r = np.concatenate([r, np.zeros(z.shape[1] - len(r))])
    inverse = np.linalg.inv(z.T @ z)
    indicator = np.eye(codes.max() + 1)[codes]
    solve = inverse @ z.T

    def t_statistic(outcome, value):
        b = solve @ outcome
        scores = indicator.T @ (z * (outcome - z @ b)[:, None])
        return (full_r @ b - value) / np.sqrt(full_r @ inverse @ scores.T @ scores @ inverse @ full_r)

    b = solve @ y
    centre = float(full_r @ b)
    if impose_null:
        b = b - inverse @ full_r * (full_r @ b - null) / (full_r @ inverse @ full_r)
        centre = null
    fitted, u = z @ b, y - z @ b
    return t_statistic(y, null), np.array([t_statistic(fitted + v[codes] * u, centre) for v in draws])


def arguments(data):
    params, x, u = data.partialled()
    return (x, u, params), {
        "effects": data.effects,
        "controls": None if data.effects else data.nuisance,
        "weights": data.weights,
    }


def weights_of(name, groups, count, seed=3):
    blocks = draw_weights(name, groups, count, enumerated=False, rng=np.random.default_rng(seed), block=count)
    return next(blocks).T


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("impose_null", [True, False])
@pytest.mark.parametrize("cluster", ["firm", "region", "year"])
@pytest.mark.parametrize("absorbed", ["constant", "firm", "year", "two", "slopes", "slopes alone"])
def test_every_draw_is_that_of_the_naive_loop(absorbed, cluster, impose_null, weighted):
    data = panel(absorbed, weighted=weighted)
    codes = getattr(data, cluster)
    r, null = np.array([1.0, 0.5]), 0.3
    draws = weights_of("webb", codes.max() + 1, 25)
    t, want = naive(data, r, null, codes, draws, impose_null=impose_null)
    args, options = arguments(data)
    got = wild_cluster_bootstrap(
        *args, r, clusters=codes, null=null, draws=draws, impose_null=impose_null, alpha=None, **options
    )
    np.testing.assert_allclose(got.statistic, t, rtol=1e-12)
    np.testing.assert_allclose(got.draws, want, rtol=1e-11, atol=1e-12)
    assert got.pvalue == np.mean(np.abs(want) > np.abs(t))


@pytest.mark.parametrize("weighted", [False, True])
def test_large_systems_go_through_the_absorption(monkeypatch, weighted):
    data = panel("two", weighted=weighted)
    args, options = arguments(data)
    r, draws = np.array([0.0, 1.0]), weights_of("mammen", 8, 40)
    same = {"clusters": data.region, "draws": draws, "alpha": None, **options}
    by_cells = wild_cluster_bootstrap(*args, r, **same)
    monkeypatch.setattr(wild_cells, "_DENSE", 0)
    monkeypatch.setattr(wild_cells, "_COLUMNS", 3)
    by_columns = wild_cluster_bootstrap(*args, r, **same)
    np.testing.assert_allclose(by_columns.draws, by_cells.draws, rtol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_controls_beside_effects(weighted):
    data = panel("firm", weighted=weighted)
    extra = np.sin(np.arange(len(data.y)))[:, None]
    whole = type(data)(**{**vars(data), "nuisance": np.column_stack([data.nuisance, extra])})
    params, x, u = whole.partialled()
    controls = Absorption(data.effects, data.weights).residualize(extra)[0]
    draws, r = weights_of("rademacher", 6, 30), np.array([1.0, 0.0])
    _, want = naive(whole, r, 0.0, data.year, draws, impose_null=True)
    options = {"effects": data.effects, "controls": controls, "weights": data.weights, "draws": draws, "alpha": None}
    got = wild_cluster_bootstrap(x, u, params, r, clusters=data.year, **options)
    np.testing.assert_allclose(got.draws, want, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("pvalue_type", ["symmetric", "equal-tailed"])
@pytest.mark.parametrize("impose_null", [True, False])
def test_interval_holds_the_nulls_that_are_not_rejected(impose_null, pvalue_type):
    data = panel("two")
    args, options = arguments(data)
    r, draws = np.array([1.0, 0.0]), weights_of("webb", 24, 199)
    options = {**options, "clusters": data.firm, "draws": draws, "impose_null": impose_null, "alpha": 0.1}
    got = wild_cluster_bootstrap(*args, r, pvalue_type=pvalue_type, **options)
    low, high = got.conf_int
    assert low < got.estimate < high

    def p(null):
        return wild_cluster_bootstrap(*args, r, null=null, pvalue_type=pvalue_type, **options).pvalue

    step = 1e-7 * got.bse
    assert p(low + step) >= 0.1 > p(low - step)
    assert p(high - step) >= 0.1 > p(high + step)


def test_few_clusters_leave_many_ties():
    data = panel("two", regions=4)
    args, options = arguments(data)
    got = wild_cluster_bootstrap(*args, [1.0, 0.0], clusters=data.region, distribution="rademacher", **options)
    assert got.enumerated
    assert got.n_draws == 16
    assert got.n_ties == 2  # the data as they are, and their mirror image
    assert got.pvalue == np.mean(np.abs(got.draws) > np.abs(got.statistic) + 1e-9)


def test_enumeration_holds_every_pattern_once():
    data = panel("two", regions=7)
    args, options = arguments(data)
    r = np.array([0.0, 1.0])
    patterns = np.array(list(itertools.product([-1.0, 1.0], repeat=7)))
    _, want = naive(data, r, -0.4, data.region, patterns, impose_null=True)
    same = {"null": -0.4, "clusters": data.region, **options}
    got = wild_cluster_bootstrap(*args, r, distribution="rademacher", **same)
    assert got.enumerated
    np.testing.assert_allclose(np.sort(got.draws), np.sort(want), rtol=1e-11)
    np.testing.assert_allclose(got.draws[0], got.statistic, rtol=1e-11)  # the data as they are
    assert not wild_cluster_bootstrap(*args, r, n_draws=127, distribution="rademacher", **same).enumerated


def test_seeds_and_blocks(monkeypatch):
    data = panel("two")
    args, options = arguments(data)
    options = {"clusters": data.firm, "n_draws": 500, **options}
    first = wild_cluster_bootstrap(*args, [1.0, 0.0], random_state=5, **options)
    monkeypatch.setattr("gifepanel.inference.wild_bootstrap._BLOCK", 1000)
    again = wild_cluster_bootstrap(*args, [1.0, 0.0], random_state=np.random.default_rng(5), **options)
    np.testing.assert_allclose(again.draws, first.draws, rtol=1e-12)
    assert (again.pvalue, again.conf_int) == (first.pvalue, pytest.approx(first.conf_int, rel=1e-9))
    other = wild_cluster_bootstrap(*args, [1.0, 0.0], random_state=6, **options)
    assert len(np.unique(np.concatenate([first.draws, other.draws]))) > 990
    assert first.distribution == "rademacher"


def test_factor_scales_the_standard_error_alone():
    data = panel("two")
    args, options = arguments(data)
    options = {"clusters": data.firm, "n_draws": 199, "random_state": 1, **options}
    plain = wild_cluster_bootstrap(*args, [1.0, 0.0], **options)
    scaled = wild_cluster_bootstrap(*args, [1.0, 0.0], scale=4.0, **options)
    assert scaled.bse == pytest.approx(2 * plain.bse)
    assert scaled.statistic == pytest.approx(plain.statistic / 2)
    assert (scaled.pvalue, scaled.conf_int) == (plain.pvalue, plain.conf_int)


@pytest.mark.parametrize("name", ["rademacher", "webb", "mammen"])
def test_moments_of_the_weights(name):
    v = weights_of(name, 1000, 400)
    third = 1.0 if name == "mammen" else 0.0
    for power, want in ((1, 0.0), (2, 1.0), (3, third)):
        assert np.mean(v**power) == pytest.approx(want, abs=0.01)
    assert len(np.unique(v)) == {"rademacher": 2, "webb": 6, "mammen": 2}[name]


def test_size_under_the_null_with_few_clusters():
    """Rejections at 10 % in 300 samples of 12 clusters: the wild bootstrap keeps its level, the t test does not."""
    rng = np.random.default_rng(12)
    codes = np.repeat(np.arange(12), 15)
    p, t = [], []
    for _ in range(300):
        x = rng.normal(size=180) + 1.5 * rng.normal(size=12)[codes]
        y = rng.normal(size=180) + 1.5 * rng.normal(size=12)[codes]
        x, y = x - x.mean(), y - y.mean()
        b = x @ y / (x @ x)
        got = wild_cluster_bootstrap(
            x[:, None], y - b * x, [b], [1.0], clusters=codes, controls=np.ones((180, 1)), alpha=None, n_draws=399,
            distribution="webb", random_state=rng,
        )  # fmt: skip
        p.append(got.pvalue)
        t.append(got.statistic)
    assert 0.05 < np.mean(np.array(p) < 0.1) < 0.15  # 2.9 standard errors of 300 draws
    assert np.mean(np.abs(t) > 1.645) > 0.15


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"distribution": "normal"}, SpecificationError, "'normal'"),
        ({"n_draws": 0}, SpecificationError, "0 draws"),
        ({"alpha": 5}, SpecificationError, "alpha is 5"),
        ({"pvalue_type": "two"}, SpecificationError, "pvalue_type"),
        ({"draws": np.ones((10, 3))}, DataError, r"\(10, 3\)"),
        ({"clusters": np.full(100, 7)}, SpecificationError, "1 value"),
        ({"restriction": [1.0]}, DataError, "restriction"),
        ({"restriction": [0.0, 0.0]}, DataError, "all zero"),
    ],
)
def test_what_is_refused(options, error, text):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(100, 2)), rng.normal(size=100)
    b = np.linalg.lstsq(x, y, rcond=None)[0]
    whole = {"restriction": [1.0, 0.0], "clusters": np.arange(100) // 5, **options}
    with pytest.raises(error, match=text):
        wild_cluster_bootstrap(x, y - x @ b, b, whole.pop("restriction"), **whole)


def test_perfect_fit_is_refused():
    x = np.random.default_rng(0).normal(size=(40, 1))
    with pytest.raises(DataError, match="variance of the restriction is zero"):
        wild_cluster_bootstrap(x, np.zeros(40), [1.0], [1.0], clusters=np.arange(40) // 4)


def test_scheme():
    assert wild_scheme("auto", 30, 999) == ("rademacher", False, 999)
    assert wild_scheme("rademacher", 10, 1024) == ("rademacher", True, 1024)
    assert wild_scheme("rademacher", 10, 1023) == ("rademacher", False, 1023)


@pytest.mark.parametrize("impose_null", [True, False])
def test_package_wildboottest(impose_null):
    """PyPI package wildboottest on the full dummy regression, all sign patterns."""
    module = pytest.importorskip("wildboottest.wildboottest")
    data = panel("two")
    args, options = arguments(data)
    groups = 8
    r = np.array([1.0, 0.0])
    full = np.concatenate([r, np.zeros(data.rank)])
    theirs = module.WildboottestCL(
        X=data.design, Y=data.y, cluster=data.region, bootcluster=data.region, R=full, B=99999, seed=1
    )
    theirs.get_scores(bootstrap_type="11", impose_null=impose_null)
    theirs.get_weights(weights_type="rademacher")
    theirs.get_numer()
    theirs.get_denom()
    theirs.get_tboot()
    theirs.get_vcov()
    theirs.get_tstat()
    theirs.get_pvalue(pval_type="two-tailed")
    same = {"clusters": data.region, "distribution": "rademacher", "impose_null": impose_null, **options}
    n = len(data.y)
    factor = groups / (groups - 1) * (n - 1) / (n - 2 - data.rank)
    got = wild_cluster_bootstrap(*args, r, n_draws=256, scale=factor, alpha=None, **same)
    np.testing.assert_allclose(np.ravel(theirs.t_stat)[0], got.statistic, rtol=1e-9)
    # unrestricted, the draw of ones alone is zero: the sum of all scores
    np.testing.assert_allclose(np.sort(np.ravel(theirs.t_boot)), np.sort(got.draws), rtol=1e-8, atol=1e-14)


@pytest.mark.slow
def test_speed():
    """9999 draws at 17,000 rows, 50 clusters, two effects of 1,000 and 30 levels."""
    rng = np.random.default_rng(0)
    from gifepanel.projections.system import Effect

    n = 17_000
    codes, a, b = rng.integers(0, 50, n), rng.integers(0, 1000, n), rng.integers(0, 30, n)
    effects = (Effect("a", a, 1000), Effect("b", b, 30))
    columns = rng.normal(size=(n, 3)) + rng.normal(size=1000)[a][:, None]
    columns, _ = Absorption(effects).residualize(columns)
    params = np.linalg.lstsq(columns[:, 1:], columns[:, 0], rcond=None)[0]
    resid = columns[:, 0] - columns[:, 1:] @ params
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        wild_cluster_bootstrap(columns[:, 1:], resid, params, [1.0, 0.0], clusters=codes, effects=effects)
        best = min(best, time.perf_counter() - start)
    assert best < 1.0  # 0.2 s on an idle core


def test_a_p_value_is_never_zero():
    """No draw lies farther out: the p-value is below one over the draws and the sample, and is printed so."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 1))
    y = 5 * x[:, 0] + 0.1 * rng.normal(size=300)
    b = x[:, 0] @ y / (x[:, 0] @ x[:, 0])
    same = {"clusters": np.arange(300) // 10, "random_state": 0, "alpha": None}
    for draws, kind, text in (
        (9999, "symmetric", "< 0.0001"),
        (999, "symmetric", "< 0.0010"),
        (999, "equal-tailed", "< 0.0020"),
    ):
        boot = wild_cluster_bootstrap(
            x, y - x[:, 0] * b, [b], [1.0], n_draws=draws, pvalue_type=kind, impose_null=False, **same
        )
        assert boot.none_beyond and boot.pvalue == (1 if kind == "symmetric" else 2) / (draws + 1)
        assert boot.pvalue_text == text and f"p {text}" in str(boot)
    null = wild_cluster_bootstrap(x, y - x[:, 0] * b, [b], [1.0], null=b + 0.001, n_draws=999, **same)
    assert null.pvalue == np.mean(np.abs(null.draws) > np.abs(null.statistic)) > 0 and "p = " in str(null)
    few = {**same, "clusters": np.arange(300) // 60}
    exact = wild_cluster_bootstrap(x, y - x[:, 0] * b, [b], [1.0], distribution="rademacher", **few)
    assert exact.enumerated and exact.pvalue_text.startswith("<= ") and "all sign patterns" in str(exact)
