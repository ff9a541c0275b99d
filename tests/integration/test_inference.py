"""Hypotheses, intervals and covariances of coefficients against the full regression."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose

from gifepanel import GroupedIFE, PartialledOLS
from gifepanel.exceptions import SpecificationError
from tests.integration.panels import Pair, panel

# hypothesis in words, with {a} and {b} the first two coefficients: rows over them, values
WORDS: dict[str, tuple[list[list[float]], list[float]]] = {
    "{a} = 0": ([[1, 0]], [0]),
    "{a} = {b} = 0": ([[1, -1], [0, 1]], [0, 0]),
    "{a} = {b} = 0.5": ([[1, -1], [0, 1]], [0, 0.5]),
    "{a} = -0.5": ([[1, 0]], [-0.5]),
    "-{a} + 2*{b} = -1": ([[-1, 2]], [-1]),
    "{a} = 5e-1, {b} = -2.5E-1": ([[1, 0], [0, 1]], [0.5, -0.25]),
    "1e2*{a} - {b}/2 = 1e-3": ([[100, -0.5]], [1e-3]),
    "{b}": ([[0, 1]], [0]),
}


@pytest.mark.parametrize("words", WORDS)
def test_hypotheses_in_words(words: str, both: Pair) -> None:
    a, b = both.ours.params.index[:2]
    text = words.format(a=a, b=b)
    rows, values = (np.array(part, dtype=float) for part in WORDS[words])
    matrix = np.zeros((len(rows), len(both.full.params)))
    matrix[:, :2] = rows
    expected = both.full.f_test((matrix, values))
    got = both.ours.f_test(text)
    assert_allclose([got.fvalue, got.pvalue], [expected.fvalue, expected.pvalue], rtol=1e-7, atol=1e-30)
    assert (got.df_num, got.df_denom) == (expected.df_num, expected.df_denom)
    wald = both.ours.wald_test(text, use_f=False)
    assert_allclose(wald.statistic, both.full.wald_test((matrix, values), use_f=False, scalar=True).statistic)
    t, reference = both.ours.t_test(text), both.full.t_test((matrix, values))
    for name in ("effect", "sd", "tvalue", "pvalue"):
        assert_allclose(np.squeeze(getattr(t, name)), np.squeeze(getattr(reference, name)), rtol=1e-7, atol=1e-30)
    assert_allclose(t.conf_int(0.1), reference.conf_int(0.1), rtol=1e-7)


def test_mistyped_hypotheses(both: Pair) -> None:
    for test in (both.ours.t_test, both.ours.f_test, both.ours.wald_test):
        with pytest.raises(SpecificationError, match="x1") as caught:
            test("x9 = 0")
        test(str(caught.value.fix).strip('"'))


def test_intervals_of_some(both: Pair) -> None:
    a, b = both.ours.params.index[:2]
    expected = both.full.conf_int(0.1)
    frame = both.ours.conf_int(0.1)
    assert_allclose(frame, expected.iloc[: both.k])
    assert list(frame.index) == list(both.ours.params.index)
    for cols in ([1], 1, b, [b]):
        part = both.ours.conf_int(0.1, cols=cols)
        assert_allclose(part, expected.loc[[b]])
        assert list(part.index) == [b]
    assert list(both.ours.conf_int(cols=[b, a]).index) == [b, a]
    assert both.ours._results.conf_int(cols=[0]).shape == (1, 2)
    with pytest.raises(SpecificationError, match="no coefficient 'x9'"):
        both.ours.conf_int(cols="x9")
    with pytest.raises(SpecificationError, match="alpha"):
        both.ours.conf_int(alpha=95)


def test_covariance_of_some_and_of_combinations(both: Pair) -> None:
    a, b = both.ours.params.index[:2]
    full = both.full.cov_params().to_numpy()
    ours = both.ours.cov_params
    rows = np.zeros((2, both.k))
    rows[0, :2], rows[1, 1] = [1, -1], 2
    wide = np.zeros((2, len(full)))
    wide[:, : both.k] = rows
    assert_allclose(ours(r_matrix=rows), wide @ full @ wide.T, rtol=1e-7)
    assert_allclose(ours(r_matrix=f"{a} = {b}"), (wide @ full @ wide.T)[:1, :1], rtol=1e-7)
    assert_allclose(ours(r_matrix=rows, other=np.eye(both.k)), wide @ full[:, : both.k], rtol=1e-7, atol=1e-14)
    for column in (1, b):
        assert_allclose(ours(column=column), full[1, 1], rtol=1e-8)
    part = ours(column=[b, a])
    assert list(part.index) == list(part.columns) == [b, a]
    assert_allclose(part, full[np.ix_([1, 0], [1, 0])], rtol=1e-7)
    assert_allclose(ours(scale=2.0), both.block(both.full.normalized_cov_params) * 2, rtol=1e-7, atol=1e-14)
    assert_allclose(ours(cov_p=np.eye(both.k)), np.eye(both.k))
    with pytest.raises(SpecificationError, match="robust covariance has no common"):
        both.ours.get_robustcov_results("HC1").cov_params(scale=1.0)


def test_terms_of_a_formula() -> None:
    """All levels of a category at once, under either engine, as statsmodels tests its own terms."""
    data = panel()
    ours = PartialledOLS.from_formula("y ~ x1 + kind + x2:kind | firm", data).fit()
    theirs = smf.ols("y ~ x1 + kind + x2:kind + C(firm)", data.reset_index()).fit()
    got, want = ours.wald_test_terms().table, theirs.wald_test_terms(scalar=True).table
    assert set(got.index) == {"x1", "kind", "x2:kind"} or set(got.index) == {"x1", "kind", "kind:x2"}
    for term in ("x1", "kind"):
        assert_allclose(got.loc[term].astype(float), want.loc[term].astype(float), rtol=1e-7)
    assert got.iloc[2]["df_constraint"] == 3
    both = ours.wald_test_terms(skip_single=True, combine_terms=["x1", "kind"]).table
    assert list(both["df_constraint"]) == [2, 3, 1, 5]
    with pytest.raises(SpecificationError, match="'z9' in its name"):
        ours.wald_test_terms(combine_terms=["z9"])


def test_terms_of_groups(pairs: dict[str, Pair]) -> None:
    pair = pairs["grouped"]
    table = pair.ours.wald_test_terms(extra_constraints=[("same", [[1, 0, -1, 0]])]).table
    assert list(table.index) == ["x1", "x2", "same"] and list(table["df_constraint"]) == [2, 2, 1]
    rows = np.zeros((2, len(pair.full.params)))
    rows[0, 0] = rows[1, 2] = 1
    assert_allclose(table.loc["x1", "statistic"], pair.full.f_test(rows).fvalue, rtol=1e-8)


# ---- get_robustcov_results as statsmodels spells it

BLOCK, FIRM, YEAR = (panel().reset_index()[name].to_numpy() for name in ("block", "firm", "year"))
ALIKE: list[tuple[str, dict[str, Any]]] = [
    ("fixed scale", {"scale": 2.0}),
    ("fixed_scale", {}),
    ("HC0", {}),
    ("HC1", {}),
    ("hc1", {}),
    ("cluster", {"groups": BLOCK, "use_correction": False}),
    ("cluster", {"groups": BLOCK, "use_correction": False, "df_correction": False}),
    ("cluster", {"groups": np.column_stack([BLOCK, YEAR]), "use_correction": False}),
    ("hac-panel", {"groups": FIRM, "maxlags": 2, "kernel": "uniform", "use_correction": False}),
    ("nw-panel", {"time": YEAR, "maxlags": 1, "kernel": "bartlett", "use_correction": False}),
    ("hac-groupsum", {"time": YEAR - 2001, "maxlags": 2, "use_correction": False}),
    ("nw-groupsum", {"time": YEAR - 2001, "maxlags": 1, "kernel": "bartlett", "use_correction": False}),
]


@pytest.mark.parametrize(("cov_type", "options"), ALIKE, ids=lambda value: str(value)[:40])
def test_covariances_without_small_sample_factor(cov_type: str, options: dict[str, Any], both: Pair) -> None:
    ours, full = both.robust(cov_type, **options)
    expected = both.block(full.cov_params())
    assert_allclose(ours.cov_params(), expected, rtol=1e-6, atol=1e-9 * np.abs(expected).max())
    assert ours.use_t is True and full.use_t is True  # that of the fit they come from
    if "groupsum" not in cov_type and "panel" not in cov_type:
        assert ours.df_resid_inference == getattr(full, "df_resid_inference", full.df_resid)
        assert_allclose(ours.pvalues, np.asarray(full.pvalues)[: both.k], rtol=1e-6, atol=1e-30)


WITH_FACTOR: list[tuple[str, dict[str, Any]]] = [
    ("HC2", {}),
    ("HC3", {}),
    ("cluster", {"groups": BLOCK}),
    ("cluster", {"groups": np.column_stack([BLOCK, YEAR])}),
    ("hac-panel", {"groups": FIRM, "maxlags": 2}),
    ("nw-panel", {"time": YEAR, "maxlags": 2, "use_correction": "cluster"}),
    ("hac-groupsum", {"time": YEAR - 2001, "maxlags": 2}),
    ("nw-groupsum", {"time": YEAR - 2001, "maxlags": 2, "use_correction": "hac"}),
]


@pytest.mark.parametrize(("cov_type", "options"), WITH_FACTOR, ids=lambda value: str(value)[:40])
def test_statsmodels_small_sample_convention(cov_type: str, options: dict[str, Any], linear: Pair) -> None:
    full = linear.full.get_robustcov_results(cov_type, **options)
    ours = linear.ours.get_robustcov_results(cov_type, ssc="statsmodels", **options)
    expected = linear.block(full.cov_params())
    assert_allclose(ours.cov_params(), expected, rtol=1e-6, atol=1e-9 * np.abs(expected).max())


def test_small_sample_factors_of_models_with_factors(factors: Pair) -> None:
    """NT over what is left, where statsmodels has NT - 1."""
    ours, full = factors.robust("cluster", groups=BLOCK)
    assert_allclose(ours.bse**2, np.asarray(full.bse)[: factors.k] ** 2 * 160 / 159, rtol=1e-7)
    ours, full = factors.robust("hac-panel", groups=FIRM, maxlags=2, kernel="bartlett")
    assert_allclose(ours.bse, np.asarray(full.bse)[: factors.k], rtol=1e-7)


def test_jackknife_names(linear: Pair) -> None:
    """statsmodels can not leave out a cluster with its dummies; by hand, the pseudoinverse can."""
    y, x = np.asarray(linear.full.model.wendog), np.asarray(linear.full.model.wexog)
    without = np.array([(np.linalg.pinv(x[g != BLOCK]) @ y[g != BLOCK])[: linear.k] for g in np.unique(BLOCK)])
    for cov_type, center in (("cluster-crv3", linear.ours.params.to_numpy()), ("cluster-jk", without.mean(axis=0))):
        change = without - center
        got = linear.ours.get_robustcov_results(cov_type, groups=BLOCK, use_correction=True)
        assert_allclose(got.cov_params(), 0.9 * change.T @ change, rtol=1e-6)


@pytest.mark.parametrize("cov_type", ["HC2", "HC3", "cluster-crv3", "cluster-jk", "CR2"])
def test_covariances_without_a_meaning_beside_factors(cov_type: str, factors: Pair) -> None:
    with pytest.raises(SpecificationError, match=cov_type) as caught:
        factors.ours.get_robustcov_results(cov_type)
    assert caught.value.fix in ('cov_type="HC1"', 'cov_type="cluster"')


def test_plain_newey_west_is_not_for_panels(linear: Pair) -> None:
    with pytest.raises(SpecificationError, match="one time series") as caught:
        linear.ours.get_robustcov_results("HAC", maxlags=2)
    assert "hac-panel" in str(caught.value.fix)


def test_the_panel_says_who_and_when(factors: Pair) -> None:
    for options in ({"groups": BLOCK}, {"time": BLOCK}, {"groups": "block"}):
        with pytest.raises(SpecificationError, match=r"Leave '(groups|time)' out"):
            factors.ours.get_robustcov_results("hac-panel", maxlags=1, **options)
    named = factors.ours.get_robustcov_results("hac-panel", maxlags=1, groups="firm", time="year")
    assert_allclose(named.bse, factors.ours.get_robustcov_results("HAC", maxlags=1).bse)
    with pytest.raises(SpecificationError, match="use_correction"):
        factors.ours.get_robustcov_results("cluster", groups=BLOCK, use_correction="hc")


def test_use_t(both: Pair) -> None:
    """As in statsmodels: a fit with a robust covariance is normal, another covariance of a t fit stays t."""
    assert both.ours.get_robustcov_results("HC1").use_t
    assert not both.ours.get_robustcov_results("HC1", use_t=False).use_t
    normal = both.ours.get_robustcov_results("HC1", use_t=False)
    assert not normal.get_robustcov_results("cluster", groups="block").use_t
    assert normal.get_robustcov_results("nonrobust").use_t
    full = both.full.get_robustcov_results("HC1", use_t=False)
    assert_allclose(normal.pvalues, np.asarray(full.pvalues)[: both.k], rtol=1e-6, atol=1e-30)


def test_fit_takes_the_same_names() -> None:
    data = panel()
    linear = PartialledOLS.from_formula("y ~ x1 + x2 | firm", data)
    grouped = GroupedIFE.from_formula("y ~ x1 + x2 | firm", data, n_groups=2, n_factors=1)
    full = smf.ols("y ~ x1 + x2 + C(firm)", data.reset_index())
    for model in (linear, grouped):
        res = model.fit(cov_type="nw-groupsum", cov_kwds={"time": "year", "maxlags": 1})
        assert not res.use_t and res.bse.notna().all()
        assert model.fit(cov_type="HC1").use_t is False
        assert model.fit(cov_type="cluster", cov_kwds={"groups": BLOCK, "use_t": True}).use_t is True
    expected = full.fit(cov_type="hac-groupsum", cov_kwds={"time": YEAR - 2001, "maxlags": 1})
    got = linear.fit(cov_type="hac-groupsum", cov_kwds={"time": "year", "maxlags": 1}, ssc="statsmodels")
    assert_allclose(got.bse, expected.bse[["x1", "x2"]], rtol=1e-8)
    fixed = linear.fit(cov_type="fixed scale", cov_kwds={"scale": 3.0})
    assert_allclose(fixed.bse, full.fit(cov_type="fixed scale", cov_kwds={"scale": 3.0}).bse[["x1", "x2"]])
    assert fixed.scale == 3.0
    frame = fixed.get_prediction().summary_frame()
    reference = full.fit(cov_type="fixed scale", cov_kwds={"scale": 3.0}).get_prediction().summary_frame()
    assert_allclose(frame, reference, rtol=1e-7)
    assert_allclose(fixed.get_robustcov_results("nonrobust").bse, linear.fit().bse)
