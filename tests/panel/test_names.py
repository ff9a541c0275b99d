"""Columns named like numbers or the constant: refused wherever a name can stand, with a line that renames them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import gifepanel as gife
from gifepanel.exceptions import DataError
from gifepanel.panel import design_from_arrays
from gifepanel.panel.names import reserved

ODD = ["1", "0", "-1", "2", "2.5", "1e3", "Intercept"]


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"firm": np.repeat(range(12), 6), "year": np.tile(range(6), 12)})
    for name in ("y", "x", "z", "odd"):
        frame[name] = rng.normal(size=72)
    frame["odd"] = np.abs(frame.odd).round(1)
    return frame


def repaired(fix: str, **names: Any) -> dict[str, Any]:
    """The objects after the line of the error was run, and the new name."""
    exec(fix, names)
    return names


def new_name(fix: str) -> str:
    return re.findall(r'"(x[\w]*|const_?)"', fix)[0]


FORMULAS = {
    "y ~ x + {}": {},
    "{} ~ x": {},
    "{} - x ~ z": {},
    "y ~ log(1 + {}) + x": {},
    "y ~ x:{}": {},
    "y ~ C({}):x + x": {},
    "y ~ x | {}": {},
    "y ~ x | firm^{}": {},
    "y ~ x | firm[{}]": {},
    "y ~ L({}) + x": {"entity": "firm", "time": "year"},
    "y ~ x": {"partial": "{}"},
}


@pytest.mark.parametrize("formula", FORMULAS)
def test_in_formulas(data: pd.DataFrame, formula: str) -> None:
    options = FORMULAS[formula]
    for odd in ODD:
        own = data.rename(columns={"odd": odd})
        written = {key: value.format(f"`{odd}`") for key, value in options.items()}
        with pytest.raises(DataError, match="another name is needed") as error:
            gife.PartialledOLS.from_formula(formula.format(f"`{odd}`"), own, **written)
        fixed = repaired(error.value.fix, data=own)["data"]
        name = new_name(error.value.fix)
        assert fixed.shape == own.shape
        written = {key: value.format(name) for key, value in options.items()}
        model = gife.PartialledOLS.from_formula(formula.format(name), fixed, **written)
        want = {key: value.format("odd") for key, value in options.items()}
        other = gife.PartialledOLS.from_formula(formula.format("odd"), data, **want)
        np.testing.assert_array_equal(model.exog, other.exog)
        np.testing.assert_array_equal(model.endog, other.endog)


@pytest.mark.parametrize("odd", ["1", "Intercept"])
def test_as_options(data: pd.DataFrame, odd: str) -> None:
    own = data.rename(columns={"odd": odd})
    for options in (
        {"weights": odd},
        {"entity": odd, "time": "year"},
        {"entity": "firm", "time": odd},
    ):
        with pytest.raises(DataError, match="another name is needed"):
            gife.PartialledOLS.from_formula("y ~ x | firm", own, **options)
    model = gife.PartialledOLS.from_formula("y ~ x | firm", own)
    for kwds in ({"groups": odd}, {"groups": ["firm", odd]}):
        with pytest.raises(DataError, match="another name is needed"):
            model.fit(cov_type="cluster", cov_kwds=kwds)
    assert model.fit().nobs == 72  # a column that is not used is nobody's business


def test_numbers_and_values_as_names(data: pd.DataFrame) -> None:
    """Of arrays, dummies and cross tables; Python reads `True` inside a call, and a name of text renames no number."""
    for odd in (1, 0, 2.5, True, False, "True", "None"):
        own = data.rename(columns={"odd": odd})
        for formula in ("y ~ x + `{}`", "y ~ I(x * `{}`)"):
            with pytest.raises(DataError, match="another name is needed") as error:
                gife.PartialledOLS.from_formula(formula.format(odd), own)
            fixed = repaired(error.value.fix, data=own)["data"]
            model = gife.PartialledOLS.from_formula(formula.format(new_name(error.value.fix)), fixed)
            other = gife.PartialledOLS.from_formula(formula.format("odd"), data)
            np.testing.assert_array_equal(model.exog, other.exog)


def test_all_columns_at_once(data: pd.DataFrame) -> None:
    for odd in ODD:
        with pytest.raises(DataError, match="another name is needed"):
            gife.PartialledOLS.from_formula("y ~ . | firm", data.rename(columns={"odd": odd}))


def test_names_that_are_not_there(data: pd.DataFrame) -> None:
    """Formulaic takes them for numbers."""
    for formula in ("y ~ x + `1`", "y ~ x + `0`", "`1` ~ x"):
        with pytest.raises(DataError, match="not in the data"):
            gife.PartialledOLS.from_formula(formula, data)


def test_frames_and_outcomes(data: pd.DataFrame) -> None:
    panel = data.set_index(["firm", "year"])
    for odd in ODD:
        exog = panel[["x", "odd"]].rename(columns={"odd": odd})
        for model in (gife.PartialledOLS, gife.InteractiveFE, gife.GroupedIFE):
            options = {} if model is gife.PartialledOLS else {"n_factors": 0}
            options |= {"n_groups": 1} if model is gife.GroupedIFE else {}
            with pytest.raises(DataError, match="another name is needed") as error:
                model(panel["y"], exog, **options)
            fixed = repaired(error.value.fix, exog=exog)["exog"]
            assert model(panel["y"], fixed, **options).exog_names == ["x", new_name(error.value.fix)]
            for endog in (panel["y"].rename(odd), panel[["y"]].rename(columns={"y": odd})):
                with pytest.raises(DataError, match="another name is needed") as error:
                    model(endog, panel[["x"]], **options)
                fixed = repaired(error.value.fix, endog=endog)["endog"]
                assert model(fixed, panel[["x"]], **options).endog_names == new_name(error.value.fix)


def test_index_levels(data: pd.DataFrame) -> None:
    for levels in (["1", "year"], ["firm", "2"], [0, 1]):
        panel = data.set_index(["firm", "year"]).rename_axis(index=levels)
        while True:
            try:
                model = gife.InteractiveFE.from_formula("y ~ x", panel, n_factors=1)
                break
            except DataError as error:
                panel = repaired(str(error.fix), data=panel)["data"]
        assert model.n_entities == 12
        assert not any(map(reserved, map(str, panel.index.names)))


def test_other_frames(data: pd.DataFrame) -> None:
    own = data.rename(columns={"odd": "1"})
    for frame in (pl.from_pandas(own), pa.Table.from_pandas(own)):
        with pytest.raises(DataError, match="another name is needed") as error:
            gife.PartialledOLS.from_formula("y ~ x + `1`", frame)
        fixed = repaired(error.value.fix, data=frame)["data"]
        assert gife.PartialledOLS.from_formula("y ~ x + x1", fixed).exog_names == ["Intercept", "x", "x1"]


def test_a_name_that_is_free(data: pd.DataFrame) -> None:
    own = data.rename(columns={"odd": "1", "x": "x1"})
    with pytest.raises(DataError) as error:
        gife.PartialledOLS.from_formula("y ~ x1 + `1`", own)
    fixed = repaired(error.value.fix, data=own)["data"]
    assert gife.PartialledOLS.from_formula("y ~ x1 + x1_", fixed).exog_names == ["Intercept", "x1", "x1_"]


def test_arrays() -> None:
    with pytest.raises(DataError, match="no number"):
        design_from_arrays(np.ones((3, 2)), np.ones((3, 2, 2)), exog_names=["a", "1"])


def test_reserved() -> None:
    assert all(map(reserved, [*ODD, "+3", ".5", "1E-4", " 1 "]))
    assert not any(map(reserved, ["x1", "1a", "intercept", "const", "nan", "inf", "", "-", "1_", "L1", 1, None]))
