"""Designs of panels with holes, and designs on some of their rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gifepanel.panel import design_from_formula

NAMES = {"entity": "firm", "time": "year"}


@pytest.mark.parametrize("seed", [None, 1])
def test_take_is_the_design_of_a_frame_without_the_other_rows(flat: pd.DataFrame, seed: int | None) -> None:
    flat = flat if seed is None else flat.sample(frac=1, random_state=seed)
    flat = flat.assign(w=np.arange(48.0) % 5, x1=flat["x1"].where(flat["year"] != 2003))
    flat.loc[flat["firm"] == "f2", "w"] = 0.0
    formula, options = (
        "y ~ x1 + region | firm + year + size + firm[x2]",
        {**NAMES, "partial": "count", "weights": "w", "singletons": "drop"},
    )
    design = design_from_formula(formula, flat, **options)
    rows = (design.index.entity_codes != 1) & (np.asarray(design.index.times)[design.index.time_codes] != 2005)
    rows[7] = False
    taken = design.take(rows, "pruned")
    kept = flat[flat.index.isin(design.row_index[rows])]
    other = design_from_formula(formula, kept, **options)
    for name in ("endog", "exog", "controls", "weights"):
        np.testing.assert_array_equal(getattr(taken, name), getattr(other, name))
    assert taken.exog.flags.c_contiguous
    assert taken.row_index.equals(other.row_index)
    assert flat.index[taken.esample].equals(other.row_index)
    np.testing.assert_array_equal(taken.absorbed_slopes["x2"], other.absorbed_slopes["x2"])
    for effect, coded in taken.absorbed_codes.items():
        np.testing.assert_array_equal(coded.codes, other.absorbed_codes[effect].codes)
        assert coded.levels.equals(other.absorbed_codes[effect].levels)
    for mine, given in ((taken.index.entities, other.index.entities), (taken.index.times, other.index.times)):
        assert mine.equals(given)
    for name in ("entity_codes", "time_codes", "order", "periods", "observed"):
        np.testing.assert_array_equal(getattr(taken.index, name), getattr(other.index, name))
    assert (taken.n_dropped, taken.dropped_by) == (design.n_dropped, design.dropped_by) == (6, {"x1": 6})
    assert list(taken.lost_levels["firm"]["had weights of zero"]) == ["f2"]
    assert list(taken.lost_levels["firm"]["pruned"]) == ["f3"]
    np.testing.assert_array_equal(taken.codes_of(flat, "count")[0], other.codes_of(kept, "count")[0])
    assert design.take(np.ones(design.nobs, dtype=bool)) is design


def test_a_hole_costs_a_lag_its_own_row_and_the_next(flat: pd.DataFrame) -> None:
    values = flat.set_index(["firm", "year"])
    values.loc[[("f1", 2004), ("f3", 2008)], "y"] = np.nan  # a missing outcome
    values = values.drop(index=[("f2", 2005), ("f4", 2001)])  # missing rows, the second an entry
    values.loc[("f5", 2003), "x1"] = np.nan  # a missing regressor
    design = design_from_formula("y ~ 0 + L(y) + x1", values)
    observed = pd.DataFrame(design.index.observed, design.index.entities, design.index.times)
    holes = [(firm, int(year)) for firm, row in observed.iterrows() for year in row.index[~row]]
    assert holes == [("f1", 2004), ("f1", 2005), ("f2", 2005), ("f2", 2006), ("f3", 2008), ("f4", 2002), ("f5", 2003)]
    assert design.index.times.tolist() == list(range(2002, 2009))
    y, x = design.cubes()
    wide = values["y"].unstack()
    seen = design.index.observed
    np.testing.assert_array_equal(y[seen], wide.loc[:, 2002:].to_numpy()[seen])
    np.testing.assert_array_equal(x[:, :, 0][seen], wide.shift(axis=1).loc[:, 2002:].to_numpy()[seen])
    assert not y[~seen].any()
    assert not x[~seen].any()
    assert design.dropped_by == {"y": 2, "x1": 1, "L(y)": 8}
    assert [len(labels) for labels in design.empty] == [0, 0]  # a lag costs the first period, which is no loss to tell


def test_entities_and_periods_without_a_usable_row(flat: pd.DataFrame) -> None:
    flat = flat.assign(w=1.0)
    flat.loc[flat["firm"] == "f2", "y"] = np.nan
    flat.loc[flat["firm"] == "f4", "w"] = 0.0
    flat.loc[flat["year"] == 2004, "x1"] = np.nan
    alone = flat[(flat["firm"] != "f6") | (flat["year"] == 2007)]  # one row, which the lag takes
    design = design_from_formula("y ~ 0 + x1 + L(x2)", alone, weights="w", **NAMES)
    assert [labels.tolist() for labels in design.empty] == [["f2", "f4", "f6"], [2004]]
    assert design.take(design.index.time_codes > 1).empty is design.empty
    assert [len(labels) for labels in design_from_formula("y ~ x2", flat[flat["firm"] == "f1"], **NAMES).empty] == [
        0,
        0,
    ]


def test_entry_exit_and_periods_nobody_has(flat: pd.DataFrame) -> None:
    start = {"f1": 2001, "f2": 2002, "f3": 2003}
    kept = flat[(flat["year"] >= flat["firm"].map(start).fillna(2001)) & (flat["year"] != 2006)]
    kept = kept[(kept["firm"] != "f6") | (kept["year"] < 2005)]
    design = design_from_formula("y ~ 0 + x1 | firm", kept, **NAMES)
    np.testing.assert_array_equal(design.cubes()[0], kept.pivot(index="firm", columns="year", values="y").fillna(0.0))
    assert design.index.counts.tolist() == [7, 6, 5, 7, 7, 4]
    assert design.index.has_gaps
    assert 2006 not in design.index.times
    lagged = design_from_formula("y ~ 0 + L(x1)", kept, **NAMES)
    assert 2007 not in lagged.index.times
