"""Which regressors are one over time."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from gifepanel.plots.event_terms import event_series

OTHER = ["log(price)", "x", "C(region)[T.2]", "C(region)[T.3]", "C(region)[T.4]"]


def levels(term: str, periods: Any, after: str = "") -> list[str]:
    return [f"{term}[T.{period}]{after}" for period in periods]


@pytest.mark.parametrize(
    ("names", "name", "at", "reference"),
    [
        (levels("C(year, Treatment(1977))", (1976, 1978, 1979), ":treated"), "year", [1976, 1978, 1979], 1977),
        (levels("C(year, contr.treatment(base=1977))", (1978, 1979, 1976)), "year", [1976, 1978, 1979], 1977),
        (levels("treated:C(year)", (1976, 1978, 1979)), "year", [1976, 1978, 1979], None),
        (levels("C(rel, Treatment(reference=-1))", (-3, -2, 0, 1)), "rel", [-3, -2, 0, 1], -1),
        (levels("C(rel, Treatment(-1))", (0.0, 1.0, 2.0)), "rel", [0, 1, 2], -1),
        (levels("i(rel, treated, ref=-1)", (-2, 0, 1)), "rel", [-2, 0, 1], -1),
        (["L(x, 1)", "L(x, 2)", "F(x, 1)"], "periods since x", [-1, 0, 1, 2], None),
        (["lag(log(price))", "lead(log(price))"], "periods since log(price)", [-1, 0, 1], None),
        (["L(z, k=0)", "L(z, k=1)", "L(z, k=2)"], "periods since z", [0, 1, 2], None),
    ],
)
def test_series(names: list[str], name: str, at: list[int], reference: int | None) -> None:
    table = [*OTHER, *names]
    (series,) = event_series(table, "year")
    assert (series.at.tolist(), series.at.name, series.reference) == (at, name, reference)
    assert set(series.regressors) <= set(range(len(table))) and len(series.regressors) == len(at)
    assert series.relative == (name != "year")


def test_dates() -> None:
    names = levels("C(month, Treatment('2020-03-01'))", ("2020-02-01 00:00:00", "2020-04-01 00:00:00", "2020-05-01"))
    (series,) = event_series(names, "month")
    assert isinstance(series.at, pd.DatetimeIndex) and series.reference == pd.Timestamp("2020-03-01")


def test_others_are_not() -> None:
    assert event_series([*OTHER, "L(y)", "L(x, 1)", "C(size)[T.small]", "C(size)[T.b]", "C(size)[T.c]"], "year") == []
    assert event_series(levels("C(share)", (0.1, 0.2, 0.3)), "year") == []
