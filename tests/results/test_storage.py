"""Results survive pickling, copying, saving and the removal of their data."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from statsmodels.iolib.smpickle import load_pickle
from statsmodels.iolib.summary2 import summary_col

from gifepanel import GroupedIFE, InteractiveFE
from gifepanel.datasets import load_cigar
from gifepanel.exceptions import DataError, SpecificationError


def assert_same(one: Any, two: Any) -> None:
    pd.testing.assert_series_equal(one.params, two.params)
    pd.testing.assert_frame_equal(one.cov_params(), two.cov_params())
    pd.testing.assert_series_equal(one.resid, two.resid)
    pd.testing.assert_series_equal(one.predict(), two.predict())
    assert one.summary().as_text() == two.summary().as_text()
    new = load_cigar().iloc[40:50]
    pd.testing.assert_series_equal(one.predict(new), two.predict(new))


def test_pickle_and_copies(res: Any) -> None:
    assert_same(res, pickle.loads(pickle.dumps(res)))
    assert_same(res, copy.deepcopy(res))
    assert_same(res, copy.copy(res))


def test_files(res: Any, tmp_path: Path) -> None:
    res.save(tmp_path / "res.pickle")
    assert_same(res, load_pickle(tmp_path / "res.pickle"))
    assert_same(res, type(res._results).load(tmp_path / "res.pickle"))
    joblib.dump(res, tmp_path / "res.joblib")
    assert_same(res, joblib.load(tmp_path / "res.joblib"))


def test_a_pickle_leaves_the_frame_out(grouped: Any) -> None:
    unused = pd.DataFrame({f"unused{k}": float(k) for k in range(200)}, index=load_cigar().index)
    wide = pd.concat([load_cigar(), unused], axis=1)
    formula = "log(sales) ~ log(real_price) + log(real_income) | state"
    fit = GroupedIFE.from_formula(formula, wide, n_groups=3, n_factors=2).fit()
    assert len(pickle.dumps(fit)) < 1.1 * len(pickle.dumps(grouped)) + 50_000
    assert fit.get_robustcov_results("cluster", groups="year").bse.notna().all()
    again = pickle.loads(pickle.dumps(fit))
    np.testing.assert_allclose(
        again.get_robustcov_results("cluster", groups="year").bse,
        fit.get_robustcov_results("cluster", groups="year").bse,
    )
    with pytest.raises(DataError, match="no frame to look 'unused1' up in"):
        again.get_robustcov_results("cluster", groups="unused1")


def test_models_before_the_fit_can_be_copied_and_sent_elsewhere() -> None:
    model = InteractiveFE.from_formula("log(sales) ~ log(real_price) | state", load_cigar(), n_factors=1)
    expected = model.fit(cov_type="cluster", cov_kwds={"groups": "year"})
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_same(expected, other.fit(cov_type="cluster", cov_kwds={"groups": "year"}))


def test_another_process(tmp_path: Path) -> None:
    """A formula with an importable function, a lag and a spline is predicted from by a process that knows neither."""
    (tmp_path / "transforms_of_mine.py").write_text("def squeeze(x):\n    return x / (1 + abs(x))\n")
    fit = textwrap.dedent(
        """
        import numpy as np
        from transforms_of_mine import squeeze
        from gifepanel import InteractiveFE
        from gifepanel.datasets import load_cigar
        for k, term in enumerate(["squeeze(real_income) + bs(pimin, 4) + L(ndi)", "np.log(real_income)"]):
            formula = f"log(sales) ~ log(real_price) + {term} | state"
            res = InteractiveFE.from_formula(formula, load_cigar(), n_factors=1).fit()
            res.save(f"res{k}.pickle")
            res.predict(load_cigar()).to_pickle(f"expected{k}.pickle")
            res.remove_data()
            res.save(f"small{k}.pickle")
        """
    )
    read = textwrap.dedent(
        """
        import pickle
        import pandas as pd
        from gifepanel.datasets import load_cigar
        for k in (0, 1):
            with open(f"res{k}.pickle", "rb") as file:
                res = pickle.load(file)
            pd.testing.assert_series_equal(res.predict(load_cigar()), pd.read_pickle(f"expected{k}.pickle"))
            with open(f"small{k}.pickle", "rb") as file:
                small = pickle.load(file)
            assert small.summary().as_text() == res.summary().as_text()
        """
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path.cwd())])}
    for source in (fit, read):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", source], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def test_remove_data(res: Any) -> None:
    small = copy.deepcopy(res)
    small.remove_data()
    assert len(pickle.dumps(small)) < 0.25 * len(pickle.dumps(res))
    for alpha in (0.05, 0.1):
        assert small.summary(alpha=alpha).as_text() == res.summary(alpha=alpha).as_text()
    pd.testing.assert_frame_equal(small.diagnostics(), res.diagnostics())
    pd.testing.assert_frame_equal(small.factors, res.factors)
    pd.testing.assert_frame_equal(small.loadings, res.loadings)
    pd.testing.assert_frame_equal(small.minima, res.minima)
    for name in (
        *("rsquared", "rsquared_within", "rsquared_adj", "llf", "aic", "bic", "ssr", "fvalue", "f_pvalue", "nobs"),
        *("mse_total", "centered_tss", "uncentered_tss", "within_tss", "n_entities", "n_times"),
    ):
        assert getattr(small, name) == pytest.approx(getattr(res, name)), name
    np.testing.assert_allclose(small.conf_int(), res.conf_int())
    np.testing.assert_allclose(small.HC1_se, res.HC1_se)
    text = f"{res.params.index[0]} = {res.params.index[1]}"
    assert float(small.f_test(text).fvalue) == float(res.f_test(text).fvalue)
    if res.n_groups > 1:
        pd.testing.assert_series_equal(small.groups, res.groups)
        pd.testing.assert_frame_equal(small.membership, res.membership)
        pd.testing.assert_frame_equal(small.unit_params, res.unit_params)
        pd.testing.assert_frame_equal(small.params_by_group, res.params_by_group)
    assert_same_columns(small, res)
    assert len(pickle.dumps(pickle.loads(pickle.dumps(small)))) > 0
    for gone in (lambda: small.resid, lambda: small.fittedvalues, small.predict):
        with pytest.raises(DataError, match=r"remove_data\(\) was called"):
            gone()
    with pytest.raises(SpecificationError, match="estimate with its data"):
        small.get_robustcov_results("HC1")


def assert_same_columns(small: Any, res: Any) -> None:
    one, two = (summary_col([r], model_names=["a"]).as_text() for r in (small, res))
    assert one == two


def test_removing_data_from_results_leaves_the_model_usable() -> None:
    model = InteractiveFE.from_formula("log(sales) ~ log(real_price) | state", load_cigar(), n_factors=1)
    first = model.fit()
    params = first.params.copy()
    first.remove_data()
    pd.testing.assert_series_equal(model.fit().params, params)


def test_summary_col_beside_statsmodels(grouped: Any, single: Any) -> None:
    ols = smf.ols("np.log(sales) ~ np.log(real_price)", load_cigar()).fit()
    text = summary_col([grouped, single, ols], stars=True, model_names=["grouped", "single", "ols"]).as_text()
    rows = {line[:20].strip(): line for line in text.splitlines()}
    assert "-0.5917***" in rows["log(real_price)[1]"] and "46" in rows["Entities"]
    assert rows["Groups"].split() == ["Groups", "3"] and rows["Factors"].split() == ["Factors", "2", "2"]
    assert "state, year" in rows["Absorbed"] and "cluster" in rows["Covariance"]
    assert rows["N"].split() == ["N", "1380", "1380"]


def test_summary2_counts_everything(grouped: Any) -> None:
    text = grouped.summary2().as_text()
    assert f"{grouped.aic:.4f}" in text and f"{grouped.bic:.4f}" in text and "uncentered" not in text
