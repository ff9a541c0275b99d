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
    y, x = np.ones((3, 4)), np.ones((3, 4, 1))
    y[1, 2] = np.nan
    design = design_from_arrays(y, x)
    assert design.n_dropped == 1
    assert not design.index.is_balanced
    assert design.index.missing_times(1).tolist() == [2]
    with pytest.raises(DataError, match=r"1 of 3 entities lack periods \(1 lacks 2\)") as caught:
        design.cubes()
    names = {"y": y, "x": x, "np": np}
    exec(caught.value.fix, names)
    assert design_from_arrays(names["y"], names["x"]).cubes()[0].shape == (3, 3)
