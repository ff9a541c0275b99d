"""Prediction on new data, and results that travel: files, copies, other processes, without their data."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from joblib.externals.loky import get_reusable_executor
from numpy.testing import assert_allclose
from statsmodels.iolib.summary2 import summary_col

from gifepanel.exceptions import DataError, GifepanelError
from tests.integration.panels import MODELS, Pair, all_columns, fit, panel

ROOT = Path(__file__).parents[2]


def new_rows() -> pd.DataFrame:
    """Known firms and years, other regressors."""
    rng = np.random.default_rng(1)
    rows = panel().sample(9, random_state=2).drop(columns="y")
    return rows.assign(x1=rows["x1"] + rng.normal(size=9), z1=rng.normal(size=9))


def test_prediction_on_new_data(both: Pair) -> None:
    rows = new_rows()
    columns = all_columns(both.name, both.ours, rows)[both.full.params.index]
    predicted = both.ours.predict(rows)
    assert predicted.index.equals(rows.index)
    assert_allclose(predicted, columns @ both.full.params, rtol=1e-6, atol=1e-8)
    linear = columns[both.ours.params.index] @ both.ours.params
    assert_allclose(both.ours.predict(rows, effects=False), linear, rtol=1e-8)


@pytest.mark.parametrize("cov_type", ["nonrobust", "HC0", "HC1", "HC2", "HC3"])
def test_intervals_on_new_data(cov_type: str, linear: Pair) -> None:
    rows = new_rows()
    ours, full = linear.ours, linear.full
    if cov_type != "nonrobust":
        ours, full = linear.robust(cov_type)
    got = ours.get_prediction(rows).summary_frame(alpha=0.1)
    columns = all_columns(linear.name, linear.ours, rows)[linear.full.params.index]
    want = full.get_prediction(columns.to_numpy()).summary_frame(alpha=0.1)
    assert got.index.equals(rows.index)
    assert_allclose(got, want, rtol=1e-6)


# ---- storage


def same(one: Any, two: Any) -> bool:
    pd.testing.assert_series_equal(one.params, two.params)
    pd.testing.assert_frame_equal(one.cov_params(), two.cov_params())
    pd.testing.assert_series_equal(one.resid, two.resid)
    pd.testing.assert_series_equal(one.predict(new_rows()), two.predict(new_rows()))
    assert one.summary().as_text() == two.summary().as_text()
    text = f"{one.params.index[0]} = {one.params.index[1]} = 0"
    return float(one.f_test(text).fvalue) == float(two.f_test(text).fvalue)


def test_files_and_copies(both: Pair, tmp_path: Path) -> None:
    res = both.ours
    res.save(tmp_path / "res.pickle")
    joblib.dump(res, tmp_path / "res.joblib")
    others = (
        *(sm.load(tmp_path / "res.pickle"), type(res).load(tmp_path / "res.pickle")),
        *(joblib.load(tmp_path / "res.joblib"), pickle.loads(pickle.dumps(res)), copy.deepcopy(res), copy.copy(res)),
    )
    assert all(same(res, other) for other in others)


def test_results_with_a_learner_travel(learner: Any) -> None:
    res = learner[0]
    for other in (pickle.loads(pickle.dumps(res)), copy.deepcopy(res)):
        assert other.summary().as_text() == res.summary().as_text()
        pd.testing.assert_frame_equal(other.nuisance, res.nuisance)


READ = """
import pickle, sys
import pandas as pd
with open(sys.argv[1], "rb") as file:
    results, rows, expected = pickle.load(file)
for res, (text, predicted, fvalue) in zip(results, expected, strict=True):
    assert res.summary().as_text() == text
    pd.testing.assert_series_equal(res.predict(rows), predicted)
    names = list(res.params.index)
    assert float(res.f_test(f"{names[0]} = {names[1]} = 0").fvalue) == fvalue
    assert res.get_robustcov_results("HC1").bse.notna().all()
print("read", len(results))
"""


def test_another_process(pairs: dict[str, Pair], engine: str, tmp_path: Path) -> None:
    """One that is set to the other formula engine."""
    if engine != "patsy":
        pytest.skip("once is enough")
    results = [pairs[name].ours for name in MODELS]
    expected = [(r.summary().as_text(), r.predict(new_rows()), _joint(r)) for r in results]
    with (tmp_path / "all.pickle").open("wb") as file:
        pickle.dump((results, new_rows(), expected), file)
    environment = {**os.environ, "SM_FORMULA_ENGINE": "formulaic", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", READ, str(tmp_path / "all.pickle")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "read 4", done.stderr[-2000:]


def _joint(res: Any) -> float:
    return float(res.f_test(f"{res.params.index[0]} = {res.params.index[1]} = 0").fvalue)


def test_loky(pairs: dict[str, Pair], engine: str) -> None:
    """Results go to a worker, and come back with another covariance."""
    if engine != "patsy":
        pytest.skip("once is enough")

    def robust(results: Any) -> Any:
        return results.get_robustcov_results("HC1")

    workers = get_reusable_executor(max_workers=1, timeout=60)
    try:
        for pair in pairs.values():
            back = workers.submit(robust, pair.ours).result()
            pd.testing.assert_series_equal(back.bse, pair.ours.get_robustcov_results("HC1").bse)
            assert back.summary().as_text() == pair.ours.get_robustcov_results("HC1").summary().as_text()
    finally:
        workers.shutdown(wait=True)


@pytest.mark.parametrize("name", [*MODELS, "learner"])
def test_results_without_their_data(name: str) -> None:
    res = fit(name)
    whole = len(pickle.dumps(res))
    text, second = res.summary().as_text(), res.summary2().tables[1]
    joint, column = _joint(res), summary_col([res]).as_text()
    numbers = {key: getattr(res, key) for key in ("nobs", "aic", "bic", "llf", "rsquared", "fvalue", "scale", "ssr")}
    terms = res.wald_test_terms().table
    res.remove_data()
    assert len(pickle.dumps(res)) < whole
    for other in (res, pickle.loads(pickle.dumps(res))):
        assert other.summary().as_text() == text
        pd.testing.assert_frame_equal(other.summary2().tables[1], second)
        assert summary_col([other]).as_text() == column
        assert _joint(other) == joint
        pd.testing.assert_frame_equal(other.wald_test_terms().table, terms)
        assert_allclose([getattr(other, key) for key in numbers], list(numbers.values()), rtol=1e-12)
        for gone in (
            lambda o=other: o.resid,
            lambda o=other: o.fittedvalues,
            lambda o=other: o.predict(),
            lambda o=other: o.vif(),
        ):
            with pytest.raises(DataError, match=r"remove_data\(\) was called"):
                gone()
        with pytest.raises(GifepanelError):
            other.get_robustcov_results("HC1")
