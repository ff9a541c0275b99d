"""What a partialled-out model is made from, and what it says about bad input before any work starts."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose

import gifepanel.formula.api as gfa
from gifepanel import PartialledOLS
from gifepanel.exceptions import (
    CollinearityWarning,
    ConvergenceError,
    ConvergenceWarning,
    DataError,
    FormulaError,
    SpecificationError,
)
from gifepanel.projections import absorb, reduced
from tests.models.partialled_data import panel
from tests.projections.effects import ring

FORMULA = "y ~ x1 + x2 | firm + year"


def model(formula: str = FORMULA, data: Any = None, **options: Any) -> PartialledOLS:
    return PartialledOLS.from_formula(formula, panel() if data is None else data, **options)


# ---- kinds of data


def test_kinds_of_frames() -> None:
    """The same numbers, whatever holds the data; the caller's is not changed."""
    data = panel()
    expected = model().fit(cov_type="cluster", cov_kwds={"groups": "block"})
    flat = data.reset_index(drop=True)
    for frame in (
        flat,
        pl.from_pandas(flat),
        pa.Table.from_pandas(flat),
        dict(flat),
        flat.astype({"firm": "category"}),
    ):
        res = model(data=frame).fit(cov_type="cluster", cov_kwds={"groups": "block"})
        assert_allclose(res.params, expected.params, rtol=1e-12)
        assert_allclose(res.bse, expected.bse, rtol=1e-12)
        assert_allclose(res.predict(frame), expected.predict(), rtol=1e-10)
    pd.testing.assert_frame_equal(data, panel())
    assert expected.resid.index.equals(data.index)


def test_order_of_rows() -> None:
    data = panel()
    shuffled = data.sample(frac=1.0, random_state=3)
    one, two = model(data=data).fit(cov_type="HC3"), model(data=shuffled).fit(cov_type="HC3")
    assert_allclose(two.params, one.params, rtol=1e-11)
    assert_allclose(two.bse, one.bse, rtol=1e-10)
    pd.testing.assert_series_equal(two.resid.loc[data.index], one.resid, atol=1e-10)


def test_frames_with_ids() -> None:
    """An index (entity, time), or names: lags, panel covariances, clusters by level."""
    indexed = panel().groupby(["firm", "year"]).first()
    flat = indexed.reset_index()
    formula = "y ~ L(x1) + x2 | firm + year"
    one = model(formula, indexed).fit(cov_type="hac-panel", cov_kwds={"maxlags": 2})
    two = model(formula, flat, entity="firm", time="year").fit(cov_type="hac-panel", cov_kwds={"maxlags": 2})
    assert_allclose(two.bse, one.bse, rtol=1e-12)
    options = {"groups": "firm", "time": "year", "maxlags": 2}
    three = model("y ~ x1 | firm", flat).fit(cov_type="hac-panel", cov_kwds=options)
    four = model("y ~ x1 | firm", indexed).fit(cov_type="hac-panel", cov_kwds={"maxlags": 2})
    assert_allclose(three.bse, four.bse, rtol=1e-12)
    five = model("y ~ x1 | firm", flat).fit(cov_type="driscoll-kraay", cov_kwds={"time": "year"})
    assert_allclose(five.bse, model("y ~ x1 | firm", indexed).fit(cov_type="driscoll-kraay").bse, rtol=1e-12)
    by_level = model("y ~ x1 | firm", indexed).fit(cov_type="cluster", cov_kwds={"groups": "year"})
    assert by_level._covariance.n_groups == (8,)


def test_frames_and_arrays_without_a_formula() -> None:
    data = panel()
    expected = model().fit()
    frames = PartialledOLS(data["y"], data[["x1", "x2", "firm", "year"]], absorb=["firm", "year"]).fit()
    assert_allclose(frames.params, expected.params, rtol=1e-12)
    arrays = PartialledOLS(data["y"].to_numpy(), data[["x1", "x2"]].to_numpy(), weights=data["w"].to_numpy()).fit()
    weighted = PartialledOLS.from_formula("y ~ 0 + x1 + x2", data, weights="w").fit()
    assert_allclose(arrays.params, weighted.params, rtol=1e-12)
    assert arrays.params.index.tolist() == ["x1", "x2"]
    rng = np.random.default_rng(0)
    y, x = rng.normal(size=(9, 7)), rng.normal(size=(9, 7, 2))
    cubes = PartialledOLS(y, x, absorb="entity + time").fit()
    frame = pd.DataFrame(x.reshape(-1, 2), columns=["a", "b"]).assign(
        y=y.ravel(), i=np.repeat(range(9), 7), t=np.tile(range(7), 9)
    )
    assert_allclose(cubes.params, PartialledOLS.from_formula("y ~ a + b | i + t", frame).fit().params, rtol=1e-12)
    with pytest.raises(DataError, match=r"endog has the shape \(9, 7\)"):
        PartialledOLS(y, x[:, :5])
    with pytest.raises(SpecificationError, match="no regressors"):
        PartialledOLS(data["y"])


def test_formula_function() -> None:
    def half(values: Any) -> Any:
        return values / 2

    res = gfa.pols("y ~ half(x1) + x2 | firm", panel(), partial=["z1", "half(z2)"], weights="w").fit()
    same = model("y ~ I(x1 / 2) + x2 | firm", partial="z1 + z2", weights="w").fit()
    assert_allclose(res.params, same.params, rtol=1e-12)
    assert gfa.pols("y ~ x1", panel(), partial=None).fit().params.index.tolist() == ["Intercept", "x1"]


def test_an_integer_effect_is_a_category() -> None:
    assert model("y ~ x1 | year").fit().degrees.total == 8
    assert model("y ~ x1 | year", panel().astype({"year": float})).fit().degrees.total == 8


# ---- rows that fall away


def test_singletons() -> None:
    """A chain of them: each one dropped makes the next one."""
    data = panel().reset_index(drop=True)
    data.loc[0, ["firm", "year"]] = [900, 3000]
    data.loc[1, ["firm", "year"]] = [901, 3000]
    data.loc[2, ["firm", "year"]] = [901, 3001]
    res = model(data=data).fit()
    assert res.n_singletons == 3
    assert res.nobs == 297
    assert res.model.design.esample.tolist() == [False] * 3 + [True] * 297
    assert "3 rows were dropped: each alone" in " ".join(str(res.summary()).split())
    kept = model(data=data, singletons="keep").fit()
    assert (kept.nobs, kept.n_singletons) == (300, 0)
    assert_allclose(kept.params, res.params, rtol=1e-10)
    assert_allclose(kept.bse, res.bse, rtol=1e-10)
    assert kept.df_resid == res.df_resid
    robust = kept.get_robustcov_results("HC2")
    assert_allclose(robust.bse, res.get_robustcov_results("HC2").bse, rtol=1e-9)


def test_no_row_left() -> None:
    with pytest.raises(DataError, match=r"No row is left of 300: 300 are alone.*\(levels: id 300\).*coarser than id"):
        model("y ~ x1 | id", panel().assign(id=range(300)))
    with pytest.raises(DataError, match="300 have weight zero"):
        model(data=panel().assign(w=0.0), weights="w")


def test_missing_values() -> None:
    data = panel().astype({"firm": float})
    data.iloc[:3, data.columns.get_loc("firm")] = np.nan
    data.iloc[3:5, data.columns.get_loc("w")] = np.nan
    data.iloc[5, data.columns.get_loc("x1")] = np.nan
    res = model(data=data, weights="w").fit()
    assert res.nobs == 294
    assert_allclose(res.params, model(data=data.iloc[6:], weights="w").fit().params, rtol=1e-12)
    assert "firm in 3, x1 in 1, w in 2" in " ".join(str(res.summary()).split())
    with pytest.raises(DataError, match="missing values in"):
        model(data=data, weights="w", missing="raise")
    groups = panel().assign(k=np.where(np.arange(300) < 4, np.nan, 1.0 * panel()["block"]))
    with pytest.raises(DataError, match="'k' is missing in 4 rows"):
        model(data=groups).fit(cov_type="cluster", cov_kwds={"groups": "k"})


# ---- columns that fall away


def test_regressors_that_are_absorbed() -> None:
    data = panel().assign(size=lambda d: 2.0 * d["firm"], both=lambda d: d["x1"] - 3 * d["x2"], none=0.0)
    with pytest.warns(CollinearityWarning) as caught:
        res = model("y ~ x1 + size + x2 + both + none | firm + year", data).fit()
    said = [str(w.message) for w in caught]
    assert len(said) == 3
    assert said[0].startswith("size was dropped: it is spanned by firm and year")
    assert said[1].startswith("none was dropped: it is zero throughout")
    assert said[2].startswith("both was dropped: it is a linear combination of x1, x2")
    assert caught[0].filename == __file__
    assert res.dropped == ("size", "both", "none")
    assert res.spanned == ("size", "none")
    assert_allclose(res.params, model(data=data).fit().params, rtol=1e-12)
    text = " ".join(str(res.summary()).split())
    assert "Absorbed regressors, left out: size, none." in text
    assert "Collinear regressors, left out: both." in text
    with pytest.warns(CollinearityWarning), pytest.raises(DataError, match="No regressor is left: size"):
        model("y ~ size | firm", data).fit()
    with pytest.warns(CollinearityWarning, match="spanned by firm and the controls"):
        model("y ~ x1 + double | firm", data.assign(double=2 * data["x2"]), partial="x2").fit()


def test_controls_that_add_nothing() -> None:
    data = panel().assign(both=lambda d: d["z1"] + d["x2"])
    with pytest.warns(CollinearityWarning, match=r"^block adds nothing to effects and other controls") as caught:
        res = model("y ~ x1 | firm", data, partial="z1 + block").fit()
    assert caught[0].filename == __file__
    assert res.degrees.total == 26
    assert "Controls that add nothing to effects and other controls: block." in " ".join(str(res.summary()).split())
    with pytest.warns(CollinearityWarning, match="^(z1|x2|both), block add nothing"):
        three = model("y ~ x1 | firm", data, partial="z1 + x2 + both + block").fit()
    assert_allclose(three.params, model("y ~ x1 | firm", data, partial="z1 + x2").fit().params, rtol=1e-10)


@pytest.mark.parametrize("method", ["Cholesky", "iterations"])
def test_a_regressor_absorbed_on_a_slow_graph(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """An iteration's error must not pass for variation, nor little variation for error."""
    worker, firm = ring(400, 200, 6)
    rng = np.random.default_rng(0)
    spanned = rng.normal(size=400).cumsum()[worker.codes] + rng.normal(size=200).cumsum()[firm.codes]
    noise = rng.normal(size=2400)
    data = pd.DataFrame({"i": worker.codes, "j": firm.codes, "x": rng.normal(size=2400), "g": spanned})
    data["faint"] = spanned + 1e-6 * noise
    data["y"] = data["x"] + 1e6 * data["faint"] - 1e6 * spanned + spanned + rng.normal(size=2400)
    if method == "iterations":
        monkeypatch.setattr(reduced, "DENSE", -1)
        monkeypatch.setattr(reduced, "_SLOW", 2.0)
        monkeypatch.setattr(absorb, "DENSE", -1)
    with pytest.warns(CollinearityWarning, match="g was dropped"):
        res = PartialledOLS.from_formula("y ~ x + faint + g | i + j", data).fit(tol=1e-10)
    exact = PartialledOLS.from_formula("y ~ x + n | i + j", data.assign(n=noise)).fit()
    assert_allclose(res.params["x"], exact.params["x"], rtol=1e-6)
    assert_allclose(res.params["faint"], 1e6 * exact.params["n"], rtol=1e-4)


def test_an_outcome_without_variation() -> None:
    with pytest.raises(DataError, match=r"outcome y doesn't vary beyond firm"):
        model("y ~ x1 | firm", panel().assign(y=lambda d: 2.0 * d["firm"])).fit()
    with pytest.raises(DataError, match="doesn't vary"):
        model("y ~ x1 | firm", panel().assign(y=5.0)).fit()
    exact = model("y ~ x1 | firm", panel().assign(y=lambda d: 2.0 * d["x1"] + d["firm"])).fit()
    assert_allclose(exact.params, 2)
    assert "1.0000" in str(exact.summary())


# ---- clusters


def test_clusters_as_arrays_and_words() -> None:
    data = panel()
    expected = model().fit(cov_type="cluster", cov_kwds={"groups": "block"}).bse
    words = data["block"].astype(str).to_numpy()
    for groups in (data["block"], data["block"].to_numpy(), words, [words], words[:, None], data[["block"]]):
        assert_allclose(model().fit(cov_type="cluster", cov_kwds={"groups": groups}).bse, expected, rtol=1e-12)
    two = model().fit(cov_type="cluster", cov_kwds={"groups": ["block", "region"]}).bse
    assert_allclose(
        model().fit(cov_type="cluster", cov_kwds={"groups": data[["block", "region"]]}).bse, two, rtol=1e-12
    )
    wrong = words.astype(object)
    wrong[3] = None
    with pytest.raises(DataError, match="clusters hold NaN"):
        model().fit(cov_type="cluster", cov_kwds={"groups": wrong})
    with pytest.raises(DataError, match=r"clusters have shape \(5,\)"):
        model().fit(cov_type="cluster", cov_kwds={"groups": np.arange(5)})
    with pytest.raises(DataError, match="one have one level"):
        model(data=data.assign(one=1)).fit(cov_type="cluster", cov_kwds={"groups": "one"})


# ---- options and names


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: model(wieghts="w"), SpecificationError, "unknown option 'wieghts'.*weights='w'"),
        (lambda: model().fit(covtype="HC1"), SpecificationError, "unknown option 'covtype'.*cov_type='HC1'"),
        (lambda: model().fit(cov_type="HC5"), SpecificationError, "cov_type is 'HC5'"),
        (lambda: model().fit(ssc="fixst"), SpecificationError, "ssc='fixest'"),
        (lambda: model().fit(tol="small"), SpecificationError, "tol is 'small'"),
        (lambda: model().fit(tol=-1), SpecificationError, "tol is -1"),
        (lambda: model().fit(use_t="yes"), SpecificationError, "use_t is 'yes'"),
        (lambda: model().fit(nonconvergence="ignore"), SpecificationError, "nonconvergence is 'ignore'"),
        (lambda: model(singletons="none"), SpecificationError, "singletons is 'none'"),
        (lambda: model().fit(cov_type="cluster", cov_kwds={"group": "firm"}), SpecificationError, "groups='firm'"),
        (lambda: model().fit(cov_type="cluster", cov_kwds={"groups": "frm"}), DataError, "names 'frm'"),
        (lambda: model("y ~ x1").fit(cov_type="cluster"), SpecificationError, "without clusters"),
        (lambda: model().fit(cov_type="driscoll-kraay"), SpecificationError, r'cov_kwds=\{"time": "year"\}'),
        (lambda: model("y ~ x1 | frm"), FormulaError, "names 'frm'"),
        (lambda: model("y ~ xx1 | firm"), FormulaError, "names 'xx1'"),
        (lambda: model("y ~ x1 | firm | year"), FormulaError, "3 parts"),
        (lambda: model(partial="zz1"), FormulaError, "names 'zz1'"),
        (lambda: model(partial="y ~ z1"), SpecificationError, "no '~'"),
        (lambda: model(partial="z1 | year"), SpecificationError, r"no '\|'"),
        (lambda: model(partial=3), SpecificationError, "partial is 3"),
        (lambda: model(weights="ww"), SpecificationError, "weights= names 'ww'"),
        (lambda: model(weights="kind"), DataError, "not numbers"),
        (lambda: model(weights=np.ones(3)), DataError, r"shape \(3,\)"),
        (lambda: model(weights=-np.ones(300)), DataError, "negative in 300 rows"),
        (lambda: model("y ~ x1", partial="z1 + x1"), FormulaError, "'x1' is among the regressors"),
        (lambda: model("y ~ 1 | firm").fit(), DataError, "No regressor is left"),
    ],
)
def test_refused(call: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()


def test_no_degrees_of_freedom() -> None:
    data = panel().iloc[:4].assign(firm=[1, 1, 2, 2])
    with pytest.raises(SpecificationError, match="4 observations, 4 parameters"):
        model("y ~ x1 + x2 | firm", data).fit()


def test_nonconvergence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduced, "DENSE", -1)
    monkeypatch.setattr(reduced, "_SPARSE_DEGREE", 10**9)
    monkeypatch.setattr(reduced, "_SLOW", 2.0)
    monkeypatch.setattr(absorb, "_REFINEMENTS", 1)
    tight = model("y ~ x1 | firm + year + region")
    with pytest.raises(ConvergenceError, match=r"absorption stopped at .* nonconvergence=\"warn\""):
        tight.fit(tol=1e-19)
    with pytest.warns(ConvergenceWarning, match="absorption stopped") as caught:
        res = tight.fit(tol=1e-19, nonconvergence="warn")
    assert caught[0].filename == __file__
    assert not res.absorption.converged
    assert "NOT CONVERGED" in str(res.summary())


def test_nothing_is_said_where_nothing_is_wrong() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        str(model(partial="z1", weights="w").fit(cov_type="cluster", cov_kwds={"groups": "firm"}).summary())
