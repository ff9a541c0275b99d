"""Designs from frames and arrays agree with those from formulas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from gifepanel.exceptions import DataError
from gifepanel.panel import design_from_arrays, design_from_formula, design_from_frames


@pytest.mark.parametrize("seed", [None, 0])
def test_frames_agree_with_a_formula(flat, seed):
    frame = flat if seed is None else flat.sample(frac=1, random_state=seed)
    by_formula = design_from_formula("y ~ 0 + x1 + count | firm + year", frame, entity="firm", time="year")
    indexed = frame.set_index(["firm", "year"])
    columns = ["firm", "year", "x1", "count"]
    for design in (
        design_from_frames(frame["y"], frame[columns], entity="firm", time="year", absorbed=["firm", "year"]),
        design_from_frames(indexed["y"], indexed[["x1", "count"]], absorbed="firm + year", common="x1"),
        design_from_frames(indexed[["y"]], indexed[["x1", "count"]]),
        design_from_frames(frame["y"].to_numpy(), pl.from_pandas(frame[columns]), entity="firm", time="year"),
        design_from_frames(pl.Series("y", frame["y"]), pl.from_pandas(frame[columns]), entity="firm", time="year"),
        design_from_frames(frame["y"], frame[["x1", "count"]], entity=frame["firm"], time=frame["year"]),
    ):
        np.testing.assert_array_equal(design.exog, by_formula.exog)
        np.testing.assert_array_equal(design.endog, by_formula.endog)
        assert design.exog_names == ("x1", "count")
        assert np.array_equal(design.index.order, by_formula.index.order)
        for name in design.absorbed:
            assert np.array_equal(design.absorbed_codes[name][0], by_formula.absorbed_codes[name][0])


def test_frames_drop_missing_rows_and_take_a_series(indexed):
    indexed.iloc[4, indexed.columns.get_loc("x1")] = np.nan
    indexed.iloc[6, indexed.columns.get_loc("y")] = np.nan
    design = design_from_frames(indexed["y"], indexed["x1"])
    assert design.exog.shape == (46, 1)
    assert design.dropped_by == {"y": 1, "x1": 1}
    assert design.endog_name == "y"


def test_slopes_and_combinations_in_frames(indexed):
    design = design_from_frames(indexed["y"], indexed[["x1", "x2", "region"]], absorbed=["firm[x2]", "region^year"])
    assert design.exog_names == ("x1",)
    np.testing.assert_array_equal(design.absorbed_slopes["x2"], indexed["x2"])
    assert len(design.absorbed_codes["region^year"][1]) == 24


def test_arrays_come_back_as_they_were():
    rng = np.random.default_rng(0)
    y, x = rng.normal(size=(5, 7)), rng.normal(size=(5, 7, 3))
    design = design_from_arrays(y, x)
    for own, given in zip(design.cubes(), (y, x), strict=True):
        np.testing.assert_array_equal(own, given)
    assert design.exog_names == ("x1", "x2", "x3")
    assert design.spec is None
    assert design_from_arrays(y, x[:, :, 0]).exog.shape == (35, 1)
    before = x.copy()
    design.exog[:] = 0
    np.testing.assert_array_equal(x, before)


def test_arrays_with_labels_agree_with_the_stacked_frame():
    rng = np.random.default_rng(1)
    y, x = rng.normal(size=(3, 4)), rng.normal(size=(3, 4, 2))
    entities, times = ["c", "a", "b"], pd.period_range("2003", periods=4, freq="Y")[::-1]
    design = design_from_arrays(y, x, exog_names=["p", "q"], entities=entities, times=times, common=["q"])
    rows = pd.MultiIndex.from_product([entities, times], names=["entity", "time"])
    frame = pd.DataFrame(x.reshape(-1, 2), index=rows, columns=["p", "q"]).assign(y=y.ravel())
    other = design_from_formula("y ~ 0 + p + q", frame, common=["q"])
    for own, given in zip(design.cubes(), other.cubes(), strict=True):
        np.testing.assert_array_equal(own, given)
    np.testing.assert_array_equal(design.cubes()[0], y[[1, 2, 0]][:, ::-1])
    assert design.row_index.equals(other.row_index)
    assert design.common == other.common == (1,)
    assert design.endog_name == other.endog_name


def test_holes_in_arrays_are_missing_rows():
    rng = np.random.default_rng(3)
    y, x = rng.normal(size=(6, 8)), rng.normal(size=(6, 8, 2))
    y[rng.random(y.shape) < 0.2] = np.nan
    y[:, 5], y[4] = np.nan, np.nan
    x[1, 3, 1] = np.nan
    design = design_from_arrays(y, x)
    rows = pd.MultiIndex.from_product([range(6), range(8)], names=["entity", "time"])
    frame = pd.DataFrame(x.reshape(-1, 2), index=rows, columns=["x1", "x2"]).assign(y=y.ravel())
    other = design_from_formula("y ~ 0 + x1 + x2", frame)
    masked = design_from_arrays(np.ma.masked_invalid(y), np.ma.masked_invalid(x))
    assert (design.index.n_entities, design.index.n_times) == (5, 7)
    assert [labels.tolist() for labels in design.empty] == [[4], [5]]
    for again in (other, masked):
        assert [labels.tolist() for labels in again.empty] == [[4], [5]]
        assert (again.n_dropped, again.dropped_by) == (design.n_dropped, design.dropped_by)
        np.testing.assert_array_equal(again.index.observed, design.index.observed)
        for own, given in zip(design.cubes(), again.cubes(), strict=True):
            np.testing.assert_array_equal(own, given)
    kept = np.delete(np.delete(y, 4, 0), 5, 1)
    np.testing.assert_array_equal(design.index.observed, np.isfinite(kept) & (design.cubes()[1] != 0).all(axis=2))
    with pytest.raises(DataError, match="missing values in 'y'"):
        design_from_arrays(y, x, missing="raise")


def test_a_masked_outcome_beside_a_frame():
    rows = pd.MultiIndex.from_product([[1, 2], [1, 2, 3]], names=["u", "t"])
    exog = pd.DataFrame({"x": np.arange(6.0)}, index=rows)
    design = design_from_frames(np.ma.array(np.ones(6), mask=[0, 0, 1, 0, 0, 0]), exog)
    assert (design.nobs, design.dropped_by) == (5, {"y": 1})
    assert design.index.missing_times(0).tolist() == [3]


def test_lines_for_arrays_run_on_arrays():
    rng = np.random.default_rng(4)
    y, x = rng.normal(size=(5, 6)), rng.normal(size=(5, 6, 2))
    y[0, 1], x[2, 3, 1], x[4, 0, 0] = np.inf, -np.inf, np.nan
    with pytest.raises(DataError, match="infinite values in 'y': 1 of 30") as caught:
        design_from_arrays(y, x)
    names = {"y": y, "x": x, "np": np}
    exec(caught.value.fix, names)
    design = design_from_arrays(names["y"], names["x"])
    assert (design.nobs, design.dropped_by) == (27, {"y": 1, "x1": 1, "x2": 1})
    with pytest.raises(DataError, match="missing values in 'y'") as caught:
        design_from_arrays(names["y"], names["x"], missing="raise")
    assert eval(
        f"design_from_arrays(y, x, {caught.value.fix})", {"design_from_arrays": design_from_arrays, **names}
    ).nobs
    with pytest.raises(DataError) as caught:
        design_from_arrays(y, x, missing="raise")
    assert len(caught.value.problems) == 2


def test_weights_of_cells_that_are_masked():
    y, x = np.ones((2, 3)), np.arange(6.0).reshape(2, 3)
    weights = np.ma.array([[1.0, 2.0, 0.0], [1.0, 2.0, 3.0]], mask=[[0, 0, 0], [0, 1, 0]])
    for given in (weights, weights.filled(np.nan), weights.ravel()):
        design = design_from_arrays(y, x, weights=given)
        assert (design.nobs, design.n_zero_weights, design.dropped_by) == (4, 1, {"weights": 1})
        assert design.weights.tolist() == [1, 2, 1, 3]
