"""Reports and storage of partialled-out least squares."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose
from statsmodels.iolib.smpickle import load_pickle
from statsmodels.iolib.summary2 import summary_col

from gifepanel import PartialledOLS
from gifepanel.exceptions import DataError
from gifepanel.projections import reduced
from tests.models.partialled_data import panel


def fit(formula: str = "y ~ x1 + x2 | firm + year", **options: Any) -> Any:
    partial = options.pop("partial", "z1 + bs(z2, df=4)")
    return PartialledOLS.from_formula(formula, panel(), partial=partial).fit(**options)


def assert_same(one: Any, two: Any) -> None:
    pd.testing.assert_series_equal(one.params, two.params)
    pd.testing.assert_frame_equal(one.cov_params(), two.cov_params())
    pd.testing.assert_series_equal(one.resid, two.resid)
    assert one.summary().as_text() == two.summary().as_text()
    new = panel().head(5)
    pd.testing.assert_series_equal(one.predict(new), two.predict(new))
    assert_allclose(two.get_robustcov_results("HC3").bse, one.get_robustcov_results("HC3").bse)
    assert_allclose(two.get_prediction(new, effects=False).se_mean, one.get_prediction(new, effects=False).se_mean)


@pytest.mark.parametrize("formula", ["y ~ x1 + x2 | firm + year", "y ~ x1 | firm[trend] + year^region", "y ~ x1"])
def test_copies(formula: str, tmp_path: Path) -> None:
    res = fit(formula, cov_type="cluster", cov_kwds={"groups": "block"})
    for other in (pickle.loads(pickle.dumps(res)), copy.deepcopy(res), copy.copy(res)):
        assert_same(res, other)
        assert other.wild_bootstrap("x1", n_draws=99).pvalue == res.wild_bootstrap("x1", n_draws=99).pvalue
    res.save(tmp_path / "res.pickle")
    assert_same(res, load_pickle(tmp_path / "res.pickle"))


def test_models_can_be_copied() -> None:
    model = PartialledOLS.from_formula("y ~ x1 | firm[trend] + year", panel(), weights="w")
    expected = model.fit(cov_type="cluster", cov_kwds={"groups": "block"})
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_same(expected, other.fit(cov_type="cluster", cov_kwds={"groups": "block"}))


def test_pickle_after_a_sparse_factor(monkeypatch: pytest.MonkeyPatch) -> None:
    """A factor of SuperLU can't be pickled: it is left out."""
    monkeypatch.setattr(reduced, "DENSE", -1)
    monkeypatch.setattr(reduced, "_SPARSE_DEGREE", 10**9)
    monkeypatch.setattr(reduced, "_SLOW", -1.0)
    monkeypatch.setattr(reduced, "_PROBE", 1)
    monkeypatch.setattr(reduced, "_BANDED", -1)
    res = fit()
    assert res.absorption.method == "sparse factorisation"
    assert_same(res, pickle.loads(pickle.dumps(res)))


def test_remove_data() -> None:
    res = fit(cov_type="cluster", cov_kwds={"groups": "block"})
    whole = len(pickle.dumps(res))
    text, params = res.summary().as_text(), res.params.copy()
    names = ["aic", "bic", "rsquared", "rsquared_adj", "rsquared_within", "fvalue", "f_pvalue", "mse_total", "llf"]
    names += ["condition_number", "nobs"]
    before = {name: getattr(res, name) for name in names}
    res.remove_data()
    assert len(pickle.dumps(res)) < whole / 5
    for other in (res, pickle.loads(pickle.dumps(res))):
        assert other.summary().as_text() == text
        pd.testing.assert_series_equal(other.params, params)
        assert {name: getattr(other, name) for name in names} == before
        assert np.isfinite(other.f_test("x1 = x2").fvalue)
        assert "x1" in str(summary_col([other]))
        for call in (
            lambda other=other: other.predict(),
            lambda other=other: other.resid,
            lambda other=other: other.fittedvalues,
            lambda other=other: other.effects(),
            lambda other=other: other.fwl(),
            lambda other=other: other.get_robustcov_results("HC1"),
            lambda other=other: other.get_prediction(),
            lambda other=other: other.get_influence(),
            lambda other=other: other.wild_bootstrap("x1"),
            lambda other=other: other.test_absorbed(),
        ):
            with pytest.raises(DataError, match=r"remove_data\(\) was called"):
                call()


def test_tests_of_bell_and_mccaffrey_without_data() -> None:
    res = fit(cov_type="CR2", cov_kwds={"groups": "block"}, partial="")
    pvalue = res.t_test("x1 = 0").pvalue
    res.remove_data()
    assert_allclose(res.t_test("x1 = 0").pvalue, pvalue)


# ---- reports


FORMS = {
    "plain": ("y ~ x1 + x2", ""),
    "effects": ("y ~ x1 + x2 | firm + year", ""),
    "everything": ("y ~ x1 + x2 + log(w) | firm[trend, z1] + year^region", "z1 + bs(z2, df=5) + kind"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cov_type", ["nonrobust", "HC3", "cluster", "CR2"])
@pytest.mark.filterwarnings("ignore:.* nothing to effects and other controls")  # z1 is one of the aliased
def test_report_in_every_format(form: str, cov_type: str) -> None:
    formula, partial = FORMS[form]
    data = panel()
    kwds = {"groups": "block"} if cov_type in ("cluster", "CR2") else None
    model = PartialledOLS.from_formula(formula, data, partial=partial, weights="w0", singletons="keep")
    res = model.fit(cov_type=cov_type, cov_kwds=kwds)
    summary = res.summary()
    assert max(map(len, summary.as_text().splitlines())) <= 80
    for text in (summary.as_text(), summary.as_html(), summary.as_markdown(), summary.as_csv(), summary.as_latex()):
        assert "PartialledOLS" in text
        assert f"{res.params['x1']:.4f}" in text
        assert cov_type in text
        for effect in res.model.design.absorbed:
            assert effect.split("^")[0].split("[")[0] in text
    assert summary.as_latex().count(r"\begin{tabular}") == summary.as_latex().count(r"\end{tabular}")
    assert res.to_html() == summary.as_html()
    text = " ".join(summary.as_text().split())
    assert "rows with weight zero were left out" in text
    if form == "effects":
        assert "firm 25 levels" in text
        assert "year 8 levels (7 new)" in text
        assert "the absorbed effects are zero" in text


def test_side_by_side() -> None:
    res, other = fit(), smf.ols("y ~ x1 + x2", panel()).fit()
    table = str(summary_col([res, other, res.get_robustcov_results("HC1")], model_names=["a", "b", "c"]))
    assert "firm, year" in table
    assert "HC1" in table


def test_fwl_check() -> None:
    """The three regressions agree, by statsmodels on the columns handed out."""
    res = fit()
    check = res.fwl()
    rows = check.table["estimate"].unstack("regression")
    assert_allclose(rows.to_numpy(), np.repeat(res.params.to_numpy()[:, None], 3, axis=1), rtol=1e-8)
    printed = smf.ols("y ~ x1 + x2", check.columns).fit()
    both = check.table.xs("residualised y on residualised x", level="regression")
    assert_allclose(both["std err as printed"], printed.bse[["x1", "x2"]], rtol=1e-8)
    raw = smf.ols("y ~ x1 + x2", check.columns.assign(y=panel()["y"])).fit()
    first = check.table.xs("y on residualised x", level="regression")
    assert_allclose(first["std err as printed"], raw.bse[["x1", "x2"]], rtol=1e-8)
    assert_allclose(first["intercept"], raw.params["Intercept"], rtol=1e-10)
    full = check.table.xs("full regression", level="regression")
    assert_allclose(full["std err as printed"], res.bse, rtol=1e-10)
    ratio = np.sqrt((300 - 2 - 1) / res.df_resid)
    assert_allclose(printed.bse[["x1", "x2"]] * ratio, res.bse, rtol=1e-8)
    assert "Frisch" in str(check)
    assert "<table" in check._repr_html_()
