"""PanelIndex: codes, order, gaps, cubes, and the errors it raises."""

from __future__ import annotations

import datetime as dt
import pickle

import numpy as np
import pandas as pd
import pytest

from gifepanel.exceptions import DataError
from gifepanel.panel import PanelIndex
from gifepanel.panel.balance import completeness, labels_without
from gifepanel.panel.codes import code_labels, sort_codes
from gifepanel.panel.frames import read_frame

ENTITIES = {
    "integers": [30, 10, 20],
    "text": ["c", "a", "b"],
    "floats": [3.5, 1.5, 2.5],
    "dates": list(pd.to_datetime(["2003-01-01", "2001-01-01", "2002-01-01"])),
    "periods": list(pd.PeriodIndex(["2003", "2001", "2002"], freq="Y")),
    "mixed": ["b", 2, 1],
    "tuples": [("b", 1), ("a", 2), ("a", 1)],
}
TIMES = {
    "integers": [1991, 1990, 1992],
    "text": ["2001Q2", "2001Q1", "2001Q3"],
    "dates": list(pd.to_datetime(["2001-06-30", "2001-03-31", "2001-09-30"])),
    "python dates": [dt.date(2001, 1, 2), dt.date(2001, 1, 1), dt.date(2001, 1, 3)],
    "periods": list(pd.PeriodIndex(["2001-02", "2001-01", "2001-03"], freq="M")),
    "floats": [2.0, 1.0, 3.0],
}


def rows(entities, times):
    """All pairs, the times running fastest, as two object columns."""
    first = np.empty(len(entities) * len(times), dtype=object)
    second = first.copy()
    for i, entity in enumerate(entities):
        for j, time in enumerate(times):
            first[i * len(times) + j], second[i * len(times) + j] = entity, time
    return first, second


@pytest.mark.parametrize("entities", ENTITIES.values(), ids=ENTITIES)
@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
def test_any_label_type_in_any_order(entities, times):
    first, second = rows(entities, times)
    index = PanelIndex.from_labels(first, second)
    assert (index.n_entities, index.n_times, index.nobs, index.is_balanced) == (3, 3, 9, True)
    assert index.periods.tolist() == [0, 1, 2]
    assert list(index.times[index.time_codes]) == [
        pd.Timestamp(t) if isinstance(t, dt.date) and not isinstance(index.times[0], dt.date) else t for t in second
    ]
    assert [index.entities[code] for code in index.entity_codes] == list(first)
    values = np.arange(9.0)
    shuffle = np.random.default_rng(0).permutation(9)
    again = PanelIndex.from_labels(first[shuffle], second[shuffle])
    assert np.array_equal(index.to_cube(values), again.to_cube(values[shuffle]))
    assert np.array_equal(again.from_cube(again.to_cube(values[shuffle])), values[shuffle])
    assert np.array_equal(index.to_cube(values)[:, 0], values.reshape(3, 3)[np.argsort(index.entity_codes[::3]), 1])


def test_codes_are_int64_and_cubes_are_contiguous_float64():
    frame = pd.DataFrame({"x": [1, 2, 3, 4]}, index=pd.MultiIndex.from_product([["a", "b"], [1, 2]]))
    index = read_frame(frame).panel_index()
    for array in (index.entity_codes, index.time_codes, index.periods, index.order, index.counts):
        assert array.dtype == np.int64
    cube = index.to_cube(np.ones((4, 3), dtype=np.float32))
    assert cube.shape == (2, 2, 3)
    assert cube.dtype == np.float64
    assert cube.flags.c_contiguous
    assert index.entity_name == "entity"
    assert index.time_name == "time"


def test_a_cube_shares_memory_with_rows_in_order_where_that_is_asked_for():
    pairs = pd.MultiIndex.from_product([list("abc"), range(4)], names=["unit", "year"])
    rows = np.arange(24.0).reshape(12, 2)
    for keep, shared in ((np.arange(12), True), (np.arange(12)[::-1], False), (np.arange(11), False)):
        own = np.ascontiguousarray(rows[keep])
        index = read_frame(pd.DataFrame(own, index=pairs[keep])).panel_index()
        cube = index.to_cube(own, copy=False)
        np.testing.assert_array_equal(cube, index.to_cube(own))
        np.testing.assert_array_equal(index.from_cube(cube, copy=False), own)
        assert np.shares_memory(cube, own) == np.shares_memory(index.from_cube(cube, copy=False), cube) == shared
        assert not np.shares_memory(index.to_cube(own), own) and not np.shares_memory(index.from_cube(cube), cube)


def test_cube_matches_pandas_unstack():
    rng = np.random.default_rng(1)
    pairs = pd.MultiIndex.from_product([list("dbca"), range(5)], names=["unit", "year"])
    series = pd.Series(rng.normal(size=20), index=pairs).sample(frac=1, random_state=3)
    index = read_frame(series.to_frame("x")).panel_index()
    assert np.array_equal(index.to_cube(series.to_numpy()), series.unstack().sort_index().to_numpy())
    assert index.frame_index().equals(series.index)


def test_unused_levels_vanish_and_categoricals_keep_their_order():
    pairs = pd.MultiIndex.from_product([["a", "b", "c"], [1, 2, 4]], names=["unit", "year"])
    frame = pd.DataFrame({"x": np.arange(9.0)}, index=pairs)
    index = read_frame(frame[(frame.index.codes[0] != 1) & (frame.index.codes[1] != 0)]).panel_index()
    assert list(index.entities) == ["a", "c"]
    assert index.periods.tolist() == [0, 2]
    assert index.has_gaps

    seasons = pd.Categorical(["low", "high"] * 2, categories=["low", "mid", "high"], ordered=True)
    index = PanelIndex.from_labels(np.repeat(["a", "b"], 2), seasons)
    assert list(index.times) == ["low", "high"]
    assert index.periods.tolist() == [0, 2]
    frame = pd.DataFrame({"u": np.repeat(["a", "b"], 2), "s": seasons, "x": 1.0}).set_index(["u", "s"])
    assert list(read_frame(frame).panel_index().times) == ["low", "high"]
    with pytest.raises(DataError, match="no order in time"):
        PanelIndex.from_labels(np.repeat(["a", "b"], 2), pd.Categorical(["low", "high"] * 2))


def test_subset_compresses_codes_and_keeps_gaps():
    index = PanelIndex.from_labels(np.repeat([5, 6, 7], 4), np.tile([0, 1, 2, 3], 3))
    keep = (index.entity_codes != 1) & ~np.isin(index.time_codes, [0, 2])
    part = index.subset(keep)
    assert list(part.entities) == [5, 7]
    assert list(part.times) == [1, 3]
    assert part.periods.tolist() == [0, 2]
    assert part.is_balanced
    assert index.subset(np.ones(12, dtype=bool)) is index


def test_pickle_round_trip():
    index = PanelIndex.from_labels(["a", "a", "b", "b"], pd.PeriodIndex(["2001", "2002"] * 2, freq="Y"))
    again = pickle.loads(pickle.dumps(index))
    assert np.array_equal(again.entity_codes, index.entity_codes)
    assert again.times.equals(index.times)


def test_cubes_of_panels_with_holes_have_zeros_where_no_row_is():
    rng = np.random.default_rng(2)
    pairs = pd.MultiIndex.from_product([list("dbca"), range(5)], names=["unit", "year"])
    frame = pd.DataFrame(rng.normal(size=(20, 2)), index=pairs, columns=["p", "q"])
    frame = frame[rng.random(20) > 0.3].sample(frac=1, random_state=3)
    index = read_frame(frame).panel_index()
    wide = frame["p"].unstack().sort_index()
    assert not index.is_balanced
    assert index.observed.dtype == bool
    np.testing.assert_array_equal(index.observed, wide.notna())
    np.testing.assert_array_equal(index.to_cube(frame["p"]), wide.fillna(0.0))
    cube = index.to_cube(frame)
    assert cube.shape == (*wide.shape, 2)
    assert cube.flags.c_contiguous
    cube[~index.observed] = 9.0
    rows = index.from_cube(cube)
    assert rows.flags.c_contiguous
    np.testing.assert_array_equal(rows, frame)
    np.testing.assert_array_equal(index.from_cube(cube[:, :, 1]), frame["q"])
    np.testing.assert_array_equal(np.take(cube[:, :, 0], index.cells), frame["p"])
    part = index.subset(index.entity_codes != 2)
    np.testing.assert_array_equal(part.observed, wide.drop(index="c").dropna(axis=1, how="all").notna())


def test_complete_panels_have_no_mask():
    pairs = pd.MultiIndex.from_product([["a", "b"], [1, 2]])
    index = read_frame(pd.DataFrame({"x": np.arange(4.0)}, index=pairs)).panel_index()
    assert index.observed is None
    found = completeness(index)
    assert (found.n_observed, found.n_cells, found.shortest, found.longest) == (4, 4, ("a", 2), ("a", 2))


def test_completeness_names_the_shortest_and_the_longest():
    index = PanelIndex.from_labels([3, 3, 1, 2, 2, 2, 1], [1, 2, 1, 1, 2, 4, 2])
    found = completeness(index)
    assert (found.n_observed, found.n_cells, found.shortest, found.longest) == (7, 9, (1, 2), (2, 3))
    assert all(type(label) is int for label, _ in (found.shortest, found.longest))
    assert labels_without(index.entities, index.subset(index.counts[index.entity_codes] > 2).entities) == (1, 3)


def test_duplicates_and_missing_ids():
    with pytest.raises(DataError, match=r"1 \(entity, time\) pairs occur more than once, first \('a', 1\)"):
        PanelIndex.from_labels(["a", "a", "b"], [1, 1, 1])
    allowed = PanelIndex.from_labels(["a", "a", "b"], [1, 1, 1], allow_duplicates=True)
    assert allowed.has_duplicates
    for call in (allowed.to_cube, allowed.from_cube):
        with pytest.raises(DataError, match="more than once"):
            call(np.ones(3))
    with pytest.raises(DataError, match=r"1 rows have no 'time' \(first at positions 1\)"):
        PanelIndex.from_labels(["a", "a", "b"], [1.0, np.nan, 1.0])
    with pytest.raises(DataError, match="2 rows have no 'entity'"):
        PanelIndex.from_labels(["a", None, None], [1, 2, 3])


@pytest.mark.parametrize(
    "values",
    [
        np.array([-128, 127, 0, 5, 127], dtype=np.int8),
        np.array([3, 0, 255, 3, 9, 250] * 50, dtype=np.uint8),
        np.array([2**64 - 1, 2**64 - 5, 2**64 - 1], dtype=np.uint64),
        np.array([2**63 - 1, 2**63 - 3, -(2**63)], dtype=np.int64),
        np.array([7, -2, 7, 3, 2, 5], dtype=np.int64),
        np.array([5], dtype=np.int16),
    ],
    ids=["int8", "uint8", "uint64", "far apart", "close together", "one"],
)
def test_integers_are_coded_as_they_are(values):
    """Marking is the same as hashing and sorting, up to the limits of the types."""
    codes, labels = sort_codes(code_labels(pd.Series(values)))
    expected, inverse = np.unique(values, return_inverse=True)
    assert labels.dtype == values.dtype
    assert labels.tolist() == expected.tolist()
    assert codes.tolist() == inverse.tolist()
