"""Printed reports as they were looked at and stored, in every format."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

import gifepanel as gife

from .snapshots import agree, difference

DEMAND = "log(sales) ~ log(real_price) + log(real_income)"


def cigar() -> pd.DataFrame:
    return gife.datasets.load_cigar()


def grouped(**options: Any) -> Any:
    fit = options.pop("fit", {})
    given = {"n_groups": 2, "n_factors": 2} | options
    return gife.GroupedIFE.from_formula(f"{DEMAND} | state", cigar(), **given).fit(**fit)


def not_converged() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return grouped(fit={"max_iter": 2, "max_sweeps": 1})


def lagged() -> Any:
    formula = "log(sales) ~ L(log(sales)) + log(real_price) + log(real_income) | state"
    model = gife.GroupedIFE.from_formula(formula, cigar(), n_groups=2, n_factors=1, common=["log(real_income)"])
    return model.fit(cov_type="HC1")


def weighted() -> Any:
    """Weights, an absorbed regressor, a missing value, a row alone in its level."""
    data = cigar().reset_index()
    data["south"] = data["state"].isin(["Texas", "Florida", "Georgia"]).astype(float)
    data.loc[5, "real_income"] = np.nan
    data["region"] = data["state"].str[0]
    data.loc[40, "region"] = "alone"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = gife.PartialledOLS.from_formula(f"{DEMAND} + south | state + region", data, weights="pop")
        return model.fit(cov_type="HC1", ssc="stata")


def clustered() -> Any:
    model = gife.PartialledOLS.from_formula("sales ~ price | state + year", cigar(), partial="log(real_income) + pop16")
    return model.fit(cov_type="cluster", cov_kwds={"groups": ["state", "year"]})


def learned() -> Any:
    formula = "log(sales) ~ log(real_price) | state"
    model = gife.PartialledOLS.from_formula(formula, cigar(), partial="log(real_income)", learner=LinearRegression())
    return model.fit(n_folds=4, n_repeats=3)


def interactive() -> Any:
    return gife.InteractiveFE.from_formula(f"{DEMAND} | state + year", cigar(), n_factors=2).fit(cov_type="cluster")


FITS: dict[str, Callable[[], Any]] = {
    "grouped_three": lambda: grouped(n_groups=3),
    "grouped_two": grouped,
    "grouped_common": lagged,
    "grouped_corrected": lambda: grouped(fit={"bias_correction": True, "cov_type": "HAC"}),
    "grouped_chosen": lambda: grouped(n_groups=range(1, 4), n_factors=range(4)),
    "grouped_not_converged": not_converged,
    "interactive": interactive,
    "partialled_plain": lambda: gife.PartialledOLS.from_formula(f"{DEMAND} | state + year", cigar()).fit(),
    "partialled_clustered": clustered,
    "partialled_weighted": weighted,
    "learned": learned,
}
SUFFIX = {"text": "txt", "html": "html", "latex": "tex", "markdown": "md"}
IN_EVERY_FORMAT = ("grouped_three", "grouped_common", "interactive", "partialled_weighted", "learned")


@cache
def fitted(name: str) -> Any:
    return FITS[name]()


@pytest.mark.parametrize("name", FITS)
def test_text(name: str) -> None:
    text = fitted(name).summary().as_text()
    assert max(map(len, text.splitlines())) <= 78
    agree(f"{name}.txt", text)


@pytest.mark.parametrize("fmt", ["html", "latex", "markdown"])
@pytest.mark.parametrize("name", IN_EVERY_FORMAT)
def test_other_formats(name: str, fmt: str) -> None:
    agree(f"{name}.{SUFFIX[fmt]}", getattr(fitted(name).summary(), f"as_{fmt}")())


def test_stacked() -> None:
    agree("grouped_three_stacked.txt", fitted("grouped_three").summary(layout="stacked").as_text())


@pytest.mark.parametrize("fmt", SUFFIX)
def test_comparison(fmt: str) -> None:
    fits = {"Two-way": fitted("partialled_plain"), "Factors": fitted("interactive"), "Groups": fitted("grouped_common")}
    table = gife.compare(fits, rename={"L(log(sales))": "lag"}, notes="Source: Baltagi (2008).")
    agree(f"compare.{SUFFIX[fmt]}", getattr(table, f"as_{fmt}")())


def test_selection() -> None:
    agree("selection.txt", str(fitted("grouped_chosen").selection))


# ---- the comparison itself


def test_one_unit_of_the_last_digit_is_forgiven_and_no_more() -> None:
    assert difference("a  0.1234 (1.20)", "a  0.1235 (1.21)") is None
    assert difference("a  0.1234", "a  0.1236") is not None
    assert difference("N 46", "N 47") is not None
    assert difference("a  0.1234", "b  0.1234") is not None
    assert difference("a  0.1234", "a   0.1234") is not None
    assert difference("x 1.234e-05", "x 1.235e-05") is None
    assert difference("x 1.234e-05", "x 1.236e-05") is not None
    assert difference("1 line", "1 line\nmore") is not None
    assert difference("after 4 sweeps and 12 descent steps", "after 5 sweeps and 9 descent steps") is None
