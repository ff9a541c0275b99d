"""Order of times and their positions on a grid, against hand-made answers and pandas' Periods."""

from __future__ import annotations

import datetime as dt
import decimal

import numpy as np
import pandas as pd
import pytest

from gifepanel.exceptions import DataError
from gifepanel.panel.times import order_times

dates = pd.DatetimeIndex


def grid(labels):
    found = order_times(labels if isinstance(labels, pd.Index) else pd.Index(labels), "when")
    return [labels[i] for i in found.order], found.periods.tolist(), found.unit


CASES = {
    "years": ([1992, 1990, 1993], [0, 2, 3], "1"),
    "two years with a gap": ([1990, 1992], [0, 2], "1"),
    "small integers": (np.array([3, 1], dtype=np.int8), [0, 2], "1"),
    "unsigned": (np.array([3, 1], dtype=np.uint16), [0, 2], "1"),
    "one time": ([7], [0], "1"),
    "whole floats": ([2003.0, 2001.0], [0, 2], "1"),
    "quarters as floats": ([2000.0, 2000.25, 2001.0], [0, 1, 4], "0.25"),
    "irregular floats": ([0.1, 0.7, 3.2], [0, 1, 2], "rank"),
    "truth values": ([True, False], [0, 1], "1"),
    "numbers as text": (["10", "9", "12"], [0, 1, 3], "1"),
    "numbered text": (["t9", "t10", "t12"], [0, 1, 3], "1"),
    "padded text": (["wave 01", "wave 02"], [0, 1], "1"),
    "quarters as text": (["2001Q4", "2002Q1", "2002Q3"], [0, 1, 3], "quarter"),
    "quarters with a dash": (["2001-Q4", "2002-Q1"], [0, 1], "quarter"),
    "months as text": (["2001-12", "2002-01", "2002-03"], [0, 1, 3], "month"),
    "months with m": (["2001m12", "2002m1", "2002m10"], [0, 1, 10], "month"),
    "dates as text": (["2001-01-31", "2001-02-28", "2001-04-30"], [0, 1, 3], "month"),
    "weeks as text": (["2001W52", "2002W01", "2002W03"], [0, 1, 3], "week"),
    "letters": (["b", "a", "d"], [0, 1, 2], "rank"),
    "years as dates": (dates(["1990-12-31", "1991-12-31", "1994-12-31"]), [0, 1, 4], "year"),
    "half-years": (dates(["2000-01-01", "2000-07-01", "2001-07-01"]), [0, 1, 3], "half-year"),
    "quarter ends": (dates(["2000-03-31", "2000-06-30", "2000-12-31"]), [0, 1, 3], "quarter"),
    "month ends": (dates(["2000-01-31", "2000-02-29", "2000-03-31"]), [0, 1, 2], "month"),
    "business month ends": (dates(["2000-01-31", "2000-02-29", "2000-03-31", "2000-04-28"]), [0, 1, 2, 3], "month"),
    "weeks": (dates(["2000-01-03", "2000-01-10", "2000-01-24"]), [0, 1, 3], "week"),
    "days": (dates(["2000-01-01", "2000-01-02", "2000-01-05"]), [0, 1, 4], "day"),
    "business days": (
        dates(["2000-01-06", "2000-01-07", "2000-01-10", "2000-01-11"]),
        [0, 1, 2, 3],
        "business day",
    ),
    "hours": (dates(["2000-01-01 00:00", "2000-01-01 03:00", "2000-01-02 00:00"]), [0, 3, 24], "hour"),
    "dates with a zone": (dates(["2000-01-01", "2000-01-02"], tz="Europe/Berlin"), [0, 1], "day"),
    "python dates": ([dt.date(2000, 1, 1), dt.date(2002, 1, 1), dt.date(2003, 1, 1)], [0, 2, 3], "year"),
    "decimals": ([decimal.Decimal(3), decimal.Decimal(1)], [0, 2], "1"),
    "python integers": (pd.Index([3, 1], dtype=object), [0, 2], "1"),
}


@pytest.mark.parametrize(("labels", "periods", "unit"), CASES.values(), ids=CASES)
def test_positions(labels, periods, unit):
    for shuffled in (list(labels), list(labels)[::-1]):
        ordered, found, found_unit = grid(shuffled if not isinstance(labels, pd.DatetimeIndex) else dates(shuffled))
        assert found == periods
        assert found_unit == unit
    if unit != "rank" and not isinstance(ordered[0], (str, bool)):
        assert ordered == sorted(ordered)


@pytest.mark.parametrize("freq", ["Y", "Q", "M", "W", "D"])
def test_periods_go_by_ordinal_and_dates_agree(freq):
    periods = pd.period_range("2001-02", periods=9, freq=freq)[[0, 1, 3, 4, 8]]
    assert grid(periods[::-1])[1] == [0, 1, 3, 4, 8]
    assert grid(periods.astype(object))[1] == [0, 1, 3, 4, 8]
    assert grid(periods.to_timestamp(how="start"))[1] == [0, 1, 3, 4, 8]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["Jan", "Feb", "Mar"], "no order in time"),
        (["pre", "post"], "no order in time"),
        (["Jan 2001", "Feb 2001"], "no order in time"),
        (["01/02/2001", "01/03/2001"], "year last"),
        ([2001, "2002"], "do not sort against each other"),
        (["1", "01"], "same time"),
        (["t1", "t01"], "same time"),
        ([1.0, np.inf], "infinite"),
        ([pd.Period("2001", "Y"), pd.Period("2001-02", "M")], "several frequencies"),
    ],
)
def test_labels_without_an_order_are_refused(labels, words):
    with pytest.raises(DataError, match=words) as caught:
        order_times(pd.Index(labels, dtype=object) if not isinstance(labels[1], float) else pd.Index(labels), "when")
    assert "'when'" in str(caught.value)
    assert caught.value.fix
