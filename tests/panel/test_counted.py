"""Arithmetic of whole numbers and truth values in formulas: as with numbers on paper."""

from __future__ import annotations

import operator

import numpy as np
import pandas as pd
import pytest

from gifepanel.exceptions import FormulaError
from gifepanel.panel import design_from_formula
from gifepanel.panel.counted import Counted


@pytest.fixture
def whole(flat: pd.DataFrame) -> pd.DataFrame:
    """The panel with whole numbers whose products need more than 63 bits, short ones, and truth values."""
    large = 4_000_000_000 + np.arange(len(flat))
    return flat.assign(
        big=large,
        rest=large[::-1].copy(),
        short=flat["count"].astype("int8") + 100,
        plus=flat["count"].astype("uint8"),
        less=np.uint8(9),
        other=flat["x1"] > 0,
    )


def column(data: pd.DataFrame, term: str) -> np.ndarray:
    return design_from_formula(f"y ~ {term}", data, entity="firm", time="year").exog[:, 1]


@pytest.mark.parametrize(
    ("term", "wanted"),
    [
        ("I(big*big)", lambda d: d.big**2),
        ("I(big**2)", lambda d: d.big**2),
        ("np.square(big)", lambda d: d.big**2),
        ("np.multiply(big, rest)", lambda d: d.big * d.rest),
        ("big:rest", lambda d: d.big * d.rest),
        ("I(Q('big') * big)", lambda d: d.big**2),
        ("I(count**70)", lambda d: d["count"] ** 70.0),
        ("I(count**-1)", lambda d: 1 / d["count"]),
        ("I(2.5 + (big + 2**62) + 2**62)", lambda d: d.big + 2.0**63 + 2.5),
        ("I(np.where(x1 > 0, big, 0)**2)", lambda d: (d.x1 > 0) * d.big**2),
        ("scale(big, center=False)", lambda d: d.big / np.sqrt((d.big**2).sum() / (len(d) - 1))),
        ("I(short * 2)", lambda d: 2 * d.short),
        ("I(plus - less)", lambda d: d.plus - d.less),
        ("I(-plus)", lambda d: -d.plus),
        ("I(flag + other)", lambda d: d.flag + d.other),
        ("I(flag - other)", lambda d: d.flag - d.other),
        ("I(-flag)", lambda d: -d.flag),
        ("I(True + flag)", lambda d: 1 + d.flag),
        ("{(x1 > 0) + (x2 > 1)}", lambda d: d.other + 1.0 * (d.x2 > 1)),
        ("exp(flag)", lambda d: np.exp(d.flag)),
        ("{flag & other}", lambda d: d.flag * d.other),
        ("{flag | other}", lambda d: np.maximum(d.flag, d.other)),
        ("{~flag}", lambda d: 1 - d.flag),
        ("{flag == other}", lambda d: 1.0 * (d.flag == d.other)),
        ("I(count % 2 + count // 2)", lambda d: d["count"] % 2 + d["count"] // 2),
    ],
)
def test_arithmetic(whole: pd.DataFrame, term: str, wanted) -> None:
    numbers = whole.select_dtypes(["number", "bool"]).astype(np.float64)
    np.testing.assert_allclose(column(whole, term), wanted(numbers), rtol=1e-14)


def test_a_callers_own_functions_count_the_same_way(whole: pd.DataFrame) -> None:
    def twice(x):
        return x.mul(x) + x.add(x)

    found = design_from_formula("y ~ twice(big)", whole, entity="firm", time="year", context=0).exog[:, 1]
    big = whole["big"].astype(float)
    np.testing.assert_allclose(found, big**2 + 2 * big, rtol=1e-14)


def test_categories_of_whole_numbers_keep_their_names(whole: pd.DataFrame) -> None:
    frame = whole.assign(two=1 + np.arange(len(whole)) % 2)
    for term, level in (("C(two + 1)", "3"), ("C(two * two)", "4"), ("C(-two)", "-1"), ("C(1 * (two > 1))", "1")):
        design = design_from_formula(f"y ~ {term}", frame, entity="firm", time="year")
        assert design.exog_names[1].endswith(f"[T.{level}]")
        np.testing.assert_array_equal(design.spec.exog_for(frame.set_index(["firm", "year"])).exog, design.exog)
    design = design_from_formula("y ~ C(flag + other)", whole, entity="firm", time="year")
    assert design.exog_names[1:] == ("C(flag + other)[T.1]", "C(flag + other)[T.2]")


@pytest.mark.parametrize("dtype", ["int64", "int8", "bool", "float64"])
def test_new_data_are_counted_alike(whole: pd.DataFrame, dtype: str) -> None:
    """Whatever their numbers and storage are."""
    design = design_from_formula("y ~ I(big*big) + I(flag + flag) + big:count", whole, entity="firm", time="year")
    new = whole.iloc[:8].assign(big=1, flag=1, count=1).astype({"big": dtype, "flag": dtype, "count": dtype})
    np.testing.assert_array_equal(design.spec.exog_for(new).exog, np.tile([1.0, 1.0, 2.0, 1.0], (8, 1)))


@pytest.mark.parametrize("name", ["add", "sub", "mul"])
def test_whole_numbers_stay_whole_where_they_have_room(name: str) -> None:
    operation = getattr(operator, name)
    for large in (2**31, 2**40, 2**62, 2**63 - 1):
        for one, other in (([large, -large, 3], [large, large, -2]), ([large, 1, 1], 1), ([large, 1, 1], -1)):
            exact = [operation(int(a), int(b)) for a, b in zip(one, np.broadcast_to(other, 3), strict=True)]
            found = operation(Counted(one), other if isinstance(other, int) else np.array(other))
            np.testing.assert_allclose(np.asarray(found, dtype=float), np.array(exact, dtype=float), rtol=1e-15)
            if max(map(abs, exact)) < 2**60:
                assert found.dtype == np.int64 and found.tolist() == exact


def test_errors_name_the_column_as_pandas_does(whole: pd.DataFrame) -> None:
    with pytest.raises(FormulaError, match="'Series' and 'int'"):
        design_from_formula("y ~ I(count << 2)", whole, entity="firm", time="year", context=0)
