"""Lags, leads, differences: against pandas on gap-free panels, against answers by hand on panels with gaps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gifepanel.exceptions import FormulaError
from gifepanel.panel import PanelIndex
from gifepanel.panel.frames import read_frame
from gifepanel.panel.transforms import PanelFunctions, shift

nan = np.nan


@pytest.mark.parametrize("k", [1, 2, 5, 19, 20, 30, 0, -1, -3])
@pytest.mark.parametrize("balanced", [True, False])
def test_gap_free_panels_agree_with_groupby_shift(k, balanced):
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"u": np.repeat(np.arange(7), 20), "t": np.tile(np.arange(20), 7)})
    frame["x"] = rng.normal(size=140)
    if not balanced:  # entities that enter late and leave early, no holes
        frame = frame[(frame["t"] >= frame["u"]) & (frame["t"] < 20 - frame["u"])]
    frame = frame.sample(frac=1, random_state=0)
    index = read_frame(frame, entity="u", time="t").panel_index()
    expected = frame.sort_values(["u", "t"]).groupby("u")["x"].shift(k).reindex(frame.index)
    np.testing.assert_array_equal(shift(frame["x"], k, index), expected)
    functions = PanelFunctions(lambda: index)
    np.testing.assert_array_equal(functions.lead(frame["x"], -k), expected)
    if k > 0:
        change = frame.sort_values(["u", "t"]).groupby("u")["x"].diff(k).reindex(frame.index)
        np.testing.assert_array_equal(functions.diff(frame["x"], k), change)


def test_gaps_by_hand():
    #            a: 1990 1991 1993 1994   b: 1991 1992 1994
    index = PanelIndex.from_labels(list("aaaabbb"), [1990, 1991, 1993, 1994, 1991, 1992, 1994])
    x = np.array([1.0, 2, 4, 8, 16, 32, 64])
    np.testing.assert_array_equal(shift(x, 1, index), [nan, 1, nan, 4, nan, 16, nan])
    np.testing.assert_array_equal(shift(x, 2, index), [nan, nan, 2, nan, nan, nan, 32])
    np.testing.assert_array_equal(shift(x, -1, index), [2, nan, 8, nan, 32, nan, nan])
    np.testing.assert_array_equal(shift(x, 3, index), [nan, nan, 1, 2, nan, nan, 16])


def test_a_gap_common_to_all_entities_is_a_gap():
    index = PanelIndex.from_labels(list("aaabbb"), [1990, 1991, 1993] * 2)
    assert index.is_balanced
    x = np.arange(6.0)
    np.testing.assert_array_equal(shift(x, 1, index), [nan, 0, nan, nan, 3, nan])
    np.testing.assert_array_equal(shift(x, 2, index), [nan, nan, 1, nan, nan, 4])


@settings(max_examples=60, deadline=None)
@given(
    cells=st.sets(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=40),
    k=st.integers(-11, 11),
    seed=st.integers(0, 100),
)
def test_any_panel_agrees_with_a_lookup(cells, k, seed):
    pairs = sorted(cells)
    np.random.default_rng(seed).shuffle(pairs)
    values = {pair: float(i + 1) for i, pair in enumerate(pairs)}
    index = PanelIndex.from_labels([unit for unit, _ in pairs], [time for _, time in pairs])
    expected = [values.get((unit, time - k), nan) for unit, time in pairs]
    np.testing.assert_array_equal(shift(list(values.values()), k, index), expected)


def test_arguments_are_checked_and_inputs_are_left_alone():
    index = PanelIndex.from_labels([1, 1], [1, 2])
    functions = PanelFunctions(lambda: index)
    x = pd.Series([1.0, 2.0])
    functions.lag(x)
    assert x.tolist() == [1.0, 2.0]
    with pytest.raises(FormulaError, match="not a whole number"):
        functions.lag(x, 1.5)
    with pytest.raises(FormulaError, match=r"L\(x, \(1, 2\)\) as a term"):
        functions.lag(x, (1, 2))
    with pytest.raises(FormulaError, match="not one column of numbers"):
        functions.lag(pd.Series(["a", "b"]))
    with pytest.raises(FormulaError, match="a single number"):
        functions.lag(3.0)
    with pytest.raises(FormulaError, match="got 3 values for 2 rows"):
        functions.lag(np.ones(3))
    with pytest.raises(FormulaError, match="1 or more"):
        functions.diff(x, 0)
