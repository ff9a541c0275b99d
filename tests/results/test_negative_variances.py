"""Covariances that are not positive semidefinite: no standard error, no stars, and a word in every table."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import gifepanel as gife
from gifepanel import GroupedIFE, InteractiveFE, PartialledOLS
from gifepanel.exceptions import SpecificationError, SpecificationWarning

TWO = {"groups": ["a", "b"]}
WORDS = "No standard error for x"


@cache
def noise() -> pd.DataFrame:
    """Ten entities, six periods, clusters a and b; x has a negative variance in all models below, z and w have not."""
    rng = np.random.default_rng(11)
    n, t = 10, 6
    index = pd.MultiIndex.from_product([range(n), range(t)], names=["firm", "year"])
    d = pd.DataFrame({"a": rng.integers(0, 4, n * t), "b": rng.integers(0, 4, n * t)}, index=index)
    d["c"] = rng.integers(0, 3, n * t)
    for name in ("x", "z", "w", "y"):
        d[name] = rng.normal(size=n * t)
    return d


def quiet(fit: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpecificationWarning)
        return fit(**options)


@cache
def found(kind: str) -> Any:
    """A fit in which some coefficient has a negative variance, and some has not."""
    from sklearn.linear_model import LinearRegression

    rng, data, pairs = np.random.default_rng(5), noise(), range(60)
    columns = {}
    for j in pairs:
        columns |= {f"a{j}": rng.integers(0, 3, len(data)), f"b{j}": rng.integers(0, 4, len(data))}
    data = pd.concat([data, pd.DataFrame(columns, index=data.index)], axis=1)
    build: Any = {
        "partialled": lambda d: PartialledOLS.from_formula("y ~ x + z + w | firm", d),
        "factors": lambda d: InteractiveFE.from_formula("y ~ 0 + x + z + w", d, n_factors=1),
        "groups": lambda d: GroupedIFE.from_formula("y ~ 0 + x", d, n_groups=2, n_factors=0),
        "learner": lambda d: PartialledOLS.from_formula("y ~ x + z | firm", d, partial="w", learner=LinearRegression()),
    }[kind]
    first = None if kind == "learner" else build(data).fit()
    for j in pairs:
        own = data[["x", "z", "w", "y"]].assign(a=data[f"a{j}"], b=data[f"b{j}"], c=data["c"])
        keywords = {"groups": [f"a{j}", f"b{j}"]}
        if first is not None:
            res = quiet(first.get_robustcov_results, cov_type="cluster", **keywords)
        else:
            res = quiet(build(data).fit, cov_type="cluster", cov_kwds=keywords)
        variances = np.diag(res.cov_params())
        if (variances < 0).any() and (variances > 0).any():
            return quiet(build(own).fit, cov_type="cluster", cov_kwds=TWO)
    raise AssertionError("no such draw")


KINDS = ("partialled", "factors", "groups", "learner")


@pytest.fixture(params=KINDS)
def res(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield found(request.param)


def test_no_standard_error(res: Any) -> None:
    cov = np.asarray(res.cov_params())
    negative = np.diag(cov) < 0
    assert negative.any() and not negative.all()
    for values in (res.bse, res.tvalues, res.pvalues, *np.asarray(res.conf_int()).T):
        assert (np.isnan(np.asarray(values)) == negative).all()
    assert_allclose(np.asarray(res.bse)[~negative], np.sqrt(np.diag(cov)[~negative]))
    single = res.t_test(np.eye(len(cov)))
    for values in (single.sd, single.tvalue, single.pvalue):
        assert (np.isnan(values) == negative).all()
    for j, name in enumerate(res.params.index):
        one = [res.f_test(f"{name} = 0").pvalue, res.t_test(f"{name} = 0").pvalue]
        one.append(res.wald_test(f"{name} = 0", use_f=False).pvalue)
        assert (np.isnan(one) == negative[j]).all()
    table = res.wald_test_terms().table
    assert table.isna().any(axis=None) and len(table) > 0
    again = pickle.loads(pickle.dumps(res))
    assert (np.isnan(again.bse) == negative).all() and np.isnan(again.t_test(np.eye(len(cov))).pvalue).sum()


def test_joint_tests_are_refused(res: Any) -> None:
    matrix = np.eye(len(res.params))
    with pytest.raises(SpecificationError, match="not positive definite: some combination has a negative variance"):
        res.f_test(matrix)
    assert np.isnan(res.fvalue) and np.isnan(res.f_pvalue)
    for units in (1e-8, 1e8):  # a property of the hypothesis, not of how it is written
        with pytest.raises(SpecificationError, match="not positive definite"):
            res.wald_test(np.diag(units ** np.arange(len(matrix))) @ matrix)


def test_combinations() -> None:
    """Any combination whose own variance is negative, though single ones may be fine; the same without data."""
    res = found("partialled")
    cov = np.asarray(res.cov_params())
    rows = np.random.default_rng(0).normal(size=(50, 3))
    expected = np.einsum("qk,kl,ql->q", rows, cov, rows)
    test = res.t_test(rows)
    assert (np.isnan(test.sd) == (expected < 0)).all() and (expected < 0).any() and (expected > 0).any()
    assert_allclose(test.sd[expected > 0], np.sqrt(expected[expected > 0]))
    frame = res.get_prediction(effects=False).summary_frame()
    x = noise()[["x", "z", "w"]].to_numpy()
    negative = np.einsum("qk,kl,ql->q", x, cov, x) < 0
    assert negative.any() and (frame["mean_se"].isna() == negative).all()
    assert (frame["mean_ci_lower"].isna() == negative).all() and frame["mean"].notna().all()


def test_every_table_says_so(res: Any) -> None:
    names = [res.params.index[j] for j in np.flatnonzero(np.isnan(res.bse))]
    words = f"No standard error for {', '.join(names)}"
    report, table = res.summary(), gife.compare(res)
    for fmt in ("text", "html", "latex", "markdown", "csv"):
        for shown in (report, table):
            text = getattr(shown, f"as_{fmt}")().replace("{[}", "[").replace("{]}", "]").replace("\\", "")
            assert words in " ".join(text.split()) and "nan" in text
    cells = table.table
    for name in cells.index.get_level_values("row").unique():
        for row in cells.loc[name].to_numpy().T:
            assert not (len(row) > 1 and row[1] == "(nan)" and "*" in row[0])
    from statsmodels.iolib.summary2 import summary_col

    text = str(summary_col([res], stars=True))
    assert "No std. error" in text and ", ".join(names) in text
    frame = gife.interop.tidy.tidy(res)
    assert (frame[["std_error", "p_value", "conf_low"]].isna().any(axis=1) == np.isnan(res.bse.to_numpy())).all()
    pictures = pytest.importorskip("matplotlib.pyplot")
    res.plot.coefficients()
    pictures.close("all")


def test_stargazer_and_maketables() -> None:
    res = found("partialled")
    name = res.params.index[int(np.flatnonzero(np.isnan(res.bse))[0])]
    pytest.importorskip("stargazer")
    lines = gife.interop.stargazer.table([res]).render_latex().splitlines()
    assert any("No std. error" in line for line in lines)
    assert not any(line.strip().startswith(f"{name} &") and "*" in line for line in lines)
    pytest.importorskip("maketables")
    assert "No std. error" in gife.interop.maketables.etable([res]).make("tex")


@pytest.mark.parametrize("psd", ["eigen", "eigen-scaled", True])
def test_eigenvalue_adjustment(res: Any, psd: Any) -> None:
    """Cameron, Gelbach and Miller (2011): V = U max(L, 0) U' of the covariance itself, or in unit-free units."""
    model, raw = res.model, np.asarray(res.cov_params())
    if hasattr(res, "orthogonal"):
        from sklearn.linear_model import LinearRegression

        data = res.model._source
        model = PartialledOLS.from_formula("y ~ x + z | firm", data, partial="w", learner=LinearRegression())
        fixed = quiet(model.fit, cov_type="cluster", cov_kwds={**TWO, "psd": psd})
        length = 1 / np.linalg.norm(res.orthogonal.influence, axis=0)
    else:
        given: dict[str, Any] = {} if not hasattr(res, "groups") else {"groups_known": True}
        raw = np.asarray(quiet(res.get_robustcov_results, cov_type="cluster", **TWO, **given).cov_params())
        fixed = quiet(res.get_robustcov_results, cov_type="cluster", **TWO, psd=psd, **given)
        length = np.linalg.norm(np.asarray(res.model.wexog), axis=0)
    outer = np.outer(length, length) if psd == "eigen-scaled" else 1.0
    values, vectors = np.linalg.eigh(raw * outer)
    expected = (vectors * np.maximum(values, 0)) @ vectors.T / outer
    assert_allclose(fixed.cov_params(), expected, rtol=1e-7, atol=1e-12 * np.abs(expected).max())
    assert np.isfinite(fixed.bse).all() and (fixed.bse > 0).all()
    assert "Negative eigenvalues of the covariance were set to zero" in " ".join(str(fixed.summary()).split())
    kept = quiet(res.get_robustcov_results, cov_type="cluster", **TWO, psd="none") if fixed is None else res
    assert np.isnan(kept.bse).any()


def test_one_warning_that_names_the_coefficient() -> None:
    data = found("partialled").model._source
    for model in (
        PartialledOLS.from_formula("y ~ x + z + w | firm", data),
        InteractiveFE.from_formula("y ~ x + z + w | firm", data, n_factors=0),
    ):
        for call in (model.fit, model.fit().get_robustcov_results):
            keywords = TWO if call != model.fit else {"cov_kwds": TWO}
            with pytest.warns(SpecificationWarning, match="negative variance for") as caught:
                res = call(cov_type="cluster", **keywords)
            assert len(caught) == 1 and caught[0].filename == __file__
            name = res.params.index[int(np.flatnonzero(np.isnan(res.bse))[0])]
            assert name in caught[0].message.found and "psd='eigen'" in caught[0].message.fix


def test_both_kinds_of_models_agree() -> None:
    """Without factors they are one regression, and refuse the same standard errors."""
    rng = np.random.default_rng(2)
    count = 0
    for _ in range(10):
        data = noise().assign(a=rng.integers(0, 3, 60), b=rng.integers(0, 4, 60), y=rng.normal(size=60))
        for kind, options in (("cluster", TWO), ("hac-panel", {"maxlags": 3, "kernel": "uniform"})):
            ours = [
                quiet(PartialledOLS.from_formula("y ~ x + z | firm", data).fit, cov_type=kind, cov_kwds=options),
                quiet(
                    InteractiveFE.from_formula("y ~ x + z | firm", data, n_factors=0).fit,
                    cov_type=kind,
                    cov_kwds=options,
                ),
            ]
            missing = [np.isnan(res.bse.to_numpy()) for res in ours]
            assert (missing[0] == missing[1]).all()
            count += int(missing[0].any())
            assert np.isnan(ours[0].fvalue) == np.isnan(ours[1].fvalue)
    assert count > 2


def test_three_ways() -> None:
    rng = np.random.default_rng(1)
    seen = 0
    for _ in range(40):
        data = noise().assign(a=rng.integers(0, 3, 60), b=rng.integers(0, 3, 60), y=rng.normal(size=60))
        model = PartialledOLS.from_formula("y ~ x + z", data)
        res = quiet(model.fit, cov_type="CR0", cov_kwds={"groups": ["a", "b", "c"]})
        negative = np.diag(res.cov_params()) < 0
        assert (np.isnan(res.bse) == negative).all()
        seen += int(negative.any())
    assert seen > 3


def test_pure_noise_has_no_stars_for_want_of_a_variance() -> None:
    """Of 60 draws of noise, none rejects because its variance is zero or negative: of 200, 19 did, with p < .01."""
    rng = np.random.default_rng(9)
    rejected = undefined = 0
    for _ in range(60):
        d = pd.DataFrame({"a": rng.integers(0, 4, 30), "b": rng.integers(0, 5, 30), "f": rng.integers(0, 3, 30)})
        d["x"], d["y"] = (rng.random(30) > 0.8) * 1.0, rng.normal(size=30)
        if not d["x"].any():
            continue
        res = quiet(PartialledOLS.from_formula("y ~ x | f", d).fit, cov_type="cluster", cov_kwds=TWO)
        missing = float(res.cov_params().iloc[0, 0]) < 1e-13
        undefined += missing
        assert np.isnan(res.bse.x) == np.isnan(res.pvalues.x) == missing
        rejected += missing and res.pvalues.x < 0.01
    assert rejected == 0 and undefined > 3


def test_a_variance_of_zero() -> None:
    """x moves in one firm alone: clustered by firm, its score is zero there to rounding, and t was 1e15."""
    data = noise().assign(x=lambda d: np.where(d.index.get_level_values(0) == 3, d["x"], 0.0))
    for model in (
        PartialledOLS.from_formula("y ~ x | firm", data),
        InteractiveFE.from_formula("y ~ x | firm", data, n_factors=0),
    ):
        with pytest.warns(SpecificationWarning, match="variance of zero for x"):
            res = model.fit(cov_type="cluster")
        assert np.isnan(res.bse.x) and WORDS in " ".join(str(res.summary()).split())
        assert np.isfinite(res.get_robustcov_results("HC1").bse.x)


def test_other_packages_results_without_a_standard_error() -> None:
    import statsmodels.formula.api as smf

    d = noise()
    theirs = smf.ols("y ~ x", d).fit()
    theirs._results.__dict__["_cache"] = {"bse": np.array([0.0, 0.1]), "tvalues": np.array([np.inf, 1.0])}
    theirs._results._cache["pvalues"] = np.array([0.0, 0.3])
    lines = gife.compare(theirs).as_text().splitlines()
    assert any("Intercept" in line for line in lines)
    assert not any("Intercept" in line and "*" in line for line in lines)


def test_options_of_the_wrong_kind() -> None:
    model = PartialledOLS.from_formula("y ~ x | firm", noise())
    with pytest.raises(SpecificationError, match="psd"):
        model.fit(cov_type="cluster", cov_kwds={**TWO, "psd": "fix"})
    for kind in ("HC1", "CR2", "nonrobust"):
        with pytest.raises(SpecificationError, match="psd"):
            model.fit(cov_type=kind, cov_kwds={"psd": "eigen"})
