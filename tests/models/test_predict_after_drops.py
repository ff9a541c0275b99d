"""Predictions where rows were dropped: each level its own effect, dropped levels NaN with a word."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from gifepanel import PartialledOLS
from gifepanel.exceptions import DataWarning
from gifepanel.interop.tidy import augment

IDS: dict[str, Callable[[pd.Series], Any]] = {
    "integers": lambda s: s,
    "negative": lambda s: -7 * s,
    "text": lambda s: "f" + s.astype(str),
    "objects": lambda s: s.astype(object),
    "floats": lambda s: s * 1.5,
    "dates": lambda s: pd.Timestamp("2000-01-01") + pd.to_timedelta(s, "D"),
    "categories": lambda s: pd.Categorical(s, categories=range(30, -5, -1)),
    "pyarrow": lambda s: ("f" + s.astype(str)).astype("string[pyarrow]"),
}
FORMULAS = (
    "y ~ x | firm",
    "y ~ x | firm + year",
    "y ~ x | firm^g",
    "y ~ x | year + firm^g",
    "y ~ x | firm[z] + year",
    "y ~ x | firm[[z]] + year",
    "y ~ x | firm + year[z]",
)


def panel() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    d = pd.DataFrame({"firm": np.repeat(range(12), 6), "year": np.tile(range(2000, 2006), 12)})
    d["x"], d["z"], d["g"] = rng.normal(size=72), rng.normal(size=72), np.tile([0, 1, 2], 24)
    d["y"] = d["x"] + d["firm"] + 0.2 * d["year"] + rng.normal(size=72)
    d["w"] = 1.0 + rng.random(72)
    return d


def drop(data: pd.DataFrame, how: str) -> pd.DataFrame:
    """A panel in which some levels lose all their rows after effects were coded, or before."""
    if how == "singletons":
        return data[((data["firm"] != 3) | (data["year"] == 2002)) & ((data["year"] != 2004) | (data["firm"] == 7))]
    if how == "weights":
        return data.assign(w=data["w"].where(~data["firm"].isin([0, 4]), 0.0))
    return data.assign(x=data["x"].where(data["firm"] != 0), y=data["y"].where(data["year"] != 2000))


def quiet(call: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return call()


@pytest.mark.parametrize("how", ["singletons", "weights", "missing"])
@pytest.mark.parametrize("ids", IDS)
@pytest.mark.parametrize("formula", FORMULAS)
def test_rows_of_the_sample_get_their_fitted_values(formula: str, ids: str, how: str) -> None:
    data = drop(panel(), how).sample(frac=1, random_state=1)
    data["firm"] = IDS[ids](data["firm"])
    res = PartialledOLS.from_formula(formula, data, weights="w" if how == "weights" else None).fit()
    fitted = res.fittedvalues
    predicted = quiet(lambda: res.predict(data))
    assert_allclose(predicted[fitted.index], fitted, atol=1e-8)
    assert predicted.drop(fitted.index).isna().all() or how == "missing"
    frame = quiet(lambda: res.get_prediction(data).summary_frame())
    assert_allclose(frame["mean"], predicted, atol=1e-8)
    assert frame["mean_se"][fitted.index].notna().all()
    effects = quiet(lambda: augment(res))
    assert_allclose(effects[".fitted"][fitted.index], fitted)


def test_dropped_levels_are_missing_with_the_reason() -> None:
    data = drop(panel(), "singletons")
    res = PartialledOLS.from_formula("y ~ x | firm + year", data).fit()
    with pytest.warns(DataWarning) as said:
        predicted = res.predict(panel().assign(firm=lambda d: d["firm"].replace(11, 99)))
    assert len(said) == 1
    assert said[0].filename == __file__
    text = str(said[0].message)
    assert "firm (1 level dropped with singletons, 1 level not in the sample)" in text
    assert "year (1 level dropped with singletons)" in text
    gone = panel()["firm"].isin([3, 11]) | (panel()["year"] == 2004)
    assert predicted.isna().tolist() == gone.tolist()
    assert res.predict(panel(), effects=False).notna().all()

    weighted = PartialledOLS.from_formula("y ~ x | firm", drop(panel(), "weights"), weights="w").fit()
    with pytest.warns(DataWarning, match=r"12 of 72 rows .* firm \(2 levels had weights of zero\)") as said:
        weighted.get_prediction(panel())
    assert len(said) == 1


def test_frames_and_kept_results_have_the_same_coding(tmp_path: Any) -> None:
    data = drop(panel(), "singletons")
    res = PartialledOLS(data["y"], data[["x", "firm", "year"]], absorb="firm + year").fit()
    assert_allclose(quiet(lambda: res.predict(data))[res.fittedvalues.index], res.fittedvalues)
    res.save(tmp_path / "res.pickle")
    again = type(res).load(tmp_path / "res.pickle")
    assert_allclose(quiet(lambda: again.predict(data)), quiet(lambda: res.predict(data)))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), ids=st.sampled_from(sorted(IDS)), formula=st.sampled_from(FORMULAS))
def test_random_panels(seed: int, ids: str, formula: str) -> None:
    rng = np.random.default_rng(seed)
    data = panel().iloc[np.sort(rng.choice(72, 40, replace=False))]
    data["w"] = np.where(rng.random(40) < 0.15, 0.0, data["w"])
    data["x"] = data["x"].where(rng.random(40) > 0.1)
    data["firm"] = IDS[ids](data["firm"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            res = PartialledOLS.from_formula(formula, data, weights="w").fit()
        except ValueError:
            return
        predicted = res.predict(data)
    assert_allclose(predicted[res.fittedvalues.index], res.fittedvalues, atol=1e-6)
