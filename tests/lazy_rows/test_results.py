"""What results of rows elsewhere tell without them, what comes as a lazy frame, what is refused, what is stored."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import gifepanel as gife
from gifepanel.exceptions import DataError, GifepanelError, SpecificationError
from tests.lazy_rows.panels import fit, panel

FORMULAS = ["y ~ x1 + x2 | firm + year", "y ~ x1 | name + job + year", "y ~ x1 + x2", "y ~ x1 | firm^region"]
NEED_ROWS = [
    "res.resid",
    "res.fittedvalues",
    "res.wresid",
    "res.predict()",
    "res.predict(data)",
    "res.get_influence()",
    "res.outlier_test()",
    "res.wild_bootstrap('x1', groups='firm')",
    "res.fwl()",
    "res.augment()",
    "res.plot.residuals()",
    "res.get_prediction()",
    "res.model.loglike(res.params)",
    "res.model.exog + 1",
    "np.asarray(res.model.endog)",
]


@pytest.fixture(scope="module")
def res(path: Path) -> Any:
    """A fit of a file."""
    return fit(path, FORMULAS[0], {"cov_type": "cluster"})[0]


@pytest.mark.parametrize("formula", FORMULAS[:2] + [pytest.param(one, marks=pytest.mark.slow) for one in FORMULAS[2:]])
def test_lazy_frame_and_effects(path: Path, formula: str) -> None:
    """Residuals and fitted values row by row, effects level by level."""
    wanted, _ = fit(panel(), formula)
    found, _ = fit(path, formula)
    frame = found.lazy_frame().df().sort_values(["firm", "year"], ignore_index=True)
    rows = panel()[wanted.model.design.esample].assign(resid=wanted.resid, fitted=wanted.fittedvalues)
    rows = rows.sort_values(["firm", "year"], ignore_index=True)
    assert list(frame.columns) == [*panel().columns, "fitted", "resid"]
    for name in ("y", "resid", "fitted"):
        assert_allclose(frame[name], rows[name], atol=1e-9)
    if "|" not in formula:
        return
    for (name, own), (other, theirs) in zip(found.effects().items(), wanted.effects().items(), strict=True):
        assert name == other and own.index.names == theirs.index.names
        assert_allclose(own.sort_index(), theirs.sort_index(), atol=1e-8)


def test_predictions_of_the_linear_part(res: Any) -> None:
    """New rows in memory, with the categories of the sample."""
    wanted, _ = fit(panel(), FORMULAS[0])
    assert_allclose(res.predict(panel(), effects=False), wanted.predict(panel(), effects=False), rtol=1e-10)


@pytest.mark.parametrize("call", NEED_ROWS)
def test_what_needs_rows_says_where_they_are(res: Any, path: Path, call: str) -> None:
    """An error that names the data and what to do, and nothing else."""
    with pytest.raises(DataError, match=r"panel\.parquet") as caught:
        eval(call, {"res": res, "data": panel(), "np": np})
    assert caught.value.fix == "res.lazy_frame()"


def test_rows_in_memory_have_no_lazy_frame() -> None:
    with pytest.raises(SpecificationError, match="in memory"):
        fit(panel(), FORMULAS[0])[0].lazy_frame()


def test_what_needs_no_rows(res: Any) -> None:
    """Tables, tests, comparisons and pictures of coefficients."""
    wanted, _ = fit(panel(), FORMULAS[0], {"cov_type": "cluster"})
    assert_allclose(res.test_absorbed()[0], wanted.test_absorbed()[0], rtol=1e-8)
    assert_allclose(res.conf_int(), wanted.conf_int(), rtol=1e-8)
    assert_allclose(res.tidy()["std_error"], wanted.tidy()["std_error"], rtol=1e-8)
    assert res.glance()["nobs"].iloc[0] == wanted.nobs
    smaller, _ = fit(panel(), "y ~ x1 | firm + year")
    assert_allclose(res.get_robustcov_results("nonrobust").compare_f_test(smaller)[0],
                    wanted.get_robustcov_results("nonrobust").compare_f_test(smaller)[0], rtol=1e-8)  # fmt: skip
    assert "x1" in str(gife.compare(res, wanted))
    assert "<table" in res.report(plots=False)
    assert "Rows: " in str(res.summary()) and "panel.parquet" in str(res.summary())


def test_stored_and_released(path: Path, tmp_path: Path) -> None:
    """The summary stands without a connection; what would need one says so."""
    first, _ = fit(path, FORMULAS[0], {"cov_type": "cluster"})
    again = pickle.loads(pickle.dumps(first))
    for stored in (again, first):
        text = str(first.summary())
        if stored is first:
            first.remove_data()
        assert str(stored.summary()) == text
        assert_allclose(stored.f_test("x1 = x2").pvalue, again.f_test("x1 = x2").pvalue)
        assert_allclose(stored.predict(panel().head(3), effects=False), again.predict(panel().head(3), effects=False))
        for call in (stored.lazy_frame, stored.effects, lambda one=stored: one.get_robustcov_results("HC1")):
            if stored is again and call not in (stored.lazy_frame, stored.effects):
                continue
            with pytest.raises(GifepanelError):
                call()


def test_progress_is_told(path: Path) -> None:
    """A callable gets how far the queries are."""
    seen: list[tuple[int, int]] = []
    model = gife.PartialledOLS.from_formula(FORMULAS[0], path)
    model.fit(progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] and len(seen) > 3
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_an_index_is_columns_at_the_engine() -> None:
    """Levels of an index of pandas can be named."""
    pytest.importorskip("duckdb")
    indexed = panel().drop_duplicates(["firm", "year"]).set_index(["firm", "year"])
    wanted = gife.PartialledOLS.from_formula("y ~ x1 | firm + year", indexed).fit()
    found = gife.PartialledOLS.from_formula("y ~ x1 | firm + year", indexed, engine="lazy").fit()
    assert_allclose(found.params, wanted.params, rtol=1e-10)
    assert isinstance(found.params, pd.Series)
