"""The left side as arithmetic, and terms of the right side that are none: against regressions on columns made first."""

from __future__ import annotations

import ast

import numpy as np
import pandas as pd
import pytest

import gifepanel as gife
from gifepanel.exceptions import FormulaError
from gifepanel.panel.expressions import lags_of, read_expression
from gifepanel.panel.outcome import outcome_term


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"firm": np.repeat(range(20), 8), "t": np.tile(range(8), 20), "x": rng.normal(size=160)})
    frame["z"] = rng.normal(size=160)
    frame["y"] = 5 + frame.x + 0.3 * frame.z + rng.normal(size=160)
    frame["my y"], frame["sales"], frame["pop"] = frame.y, np.exp(frame.y / 2), np.exp(frame.z)
    return frame


def lag(data: pd.DataFrame, name: str, k: int) -> pd.Series:
    return data.groupby("firm")[name].shift(k)


def outcome_name(left: str) -> str:
    return left.replace("`my y`", "my_y").replace("{y > 5}", "(y > 5)").strip("{}")


OUTCOMES = {
    "y - x": lambda d: d.y - d.x,
    "y-x": lambda d: d.y - d.x,
    "(y - x)": lambda d: d.y - d.x,
    "y - L(y)": lambda d: d.y - lag(d, "y", 1),
    "F(y, 2) - L(y)": lambda d: lag(d, "y", -2) - lag(d, "y", 1),
    "log(sales) - log(pop)": lambda d: np.log(d.sales) - np.log(d["pop"]),
    "-y": lambda d: -d.y,
    "y + 0": lambda d: d.y,
    "y - 1": lambda d: d.y - 1,
    "1 + y": lambda d: d.y + 1,
    "y / x": lambda d: d.y / d.x,
    "y*2": lambda d: 2 * d.y,
    "y*x": lambda d: d.x * d.y,
    "y**2": lambda d: d.y**2,
    "1e4*sales/pop": lambda d: 1e4 * d.sales / d["pop"],
    "sales/pop*1e4": lambda d: 1e4 * d.sales / d["pop"],
    "`my y` - x": lambda d: d.y - d.x,
    "(y - x)/2": lambda d: (d.y - d.x) / 2,
    "y + 2*x": lambda d: d.y + 2 * d.x,
    "y - x - x": lambda d: d.y - 2 * d.x,
    "y > 5": lambda d: (d.y > 5) * 1.0,
    "{y > 5} - x": lambda d: (d.y > 5) - d.x,
    "{y - x}": lambda d: d.y - d.x,
    "100*(log(y + 9) - log(pop))": lambda d: 100 * (np.log(d.y + 9) - np.log(d["pop"])),
    "(`my y`)": lambda d: d.y,
}


@pytest.mark.parametrize("left", OUTCOMES)
def test_the_left_side_is_arithmetic(data: pd.DataFrame, left: str) -> None:
    own = data.assign(made=OUTCOMES[left](data))
    res = gife.PartialledOLS.from_formula(f"{left} ~ z | firm", data, entity="firm", time="t").fit()
    want = gife.PartialledOLS.from_formula("made ~ z | firm", own).fit()
    assert res.nobs == want.nobs
    np.testing.assert_allclose(res.params["z"], want.params["z"], rtol=1e-10)
    name = res.model.endog_names.replace("`my y`", "my_y")
    assert name == ("my y" if left == "(`my y`)" else ast.unparse(ast.parse(outcome_name(left))))
    if not {"F(", "L("} & {left[:2], left[4:6]}:
        np.testing.assert_allclose(res.predict(data), res.fittedvalues, rtol=1e-8)


@pytest.mark.parametrize("left", ["y - x", "log(sales) - log(pop)", "F(y) - y"])
def test_in_factor_models_and_what_shows_them(data: pd.DataFrame, left: str) -> None:
    own = data.assign(made=OUTCOMES[left](data) if left in OUTCOMES else lag(data, "y", -1) - data.y)
    ids = {"entity": "firm", "time": "t", "n_factors": 1}
    res = gife.InteractiveFE.from_formula(f"{left} ~ 0 + z", data, **ids).fit()
    want = gife.InteractiveFE.from_formula("made ~ 0 + z", own, **ids).fit()
    np.testing.assert_allclose(res.params, want.params, rtol=1e-9)
    assert res.model.endog_names == left
    assert left in str(res.summary())
    assert all(word in str(gife.compare(res, want)) for word in left.split(" - "))  # a long name wraps


@pytest.mark.parametrize(
    ("left", "words", "fix"),
    [
        ("y + x", "2 columns: 'y', 'x'", "I(y + x)"),
        ("log(sales) + x + z", "3 columns", "I(log(sales) + x + z)"),
        ("y^2", "has a '\\^'", "y**2"),
        ("y:x", "has a ':'", "y*x"),
        ("1", "names no outcome", "y ~"),
        ("1 + 2", "names no outcome", "y ~"),
        ("y, x", "no arithmetic", "I(y"),
        ("y if x else z", "no arithmetic", "I(y"),
        ("[y]", "no arithmetic", "I(y"),
        ("not y", "no arithmetic", "I(y"),
        ("y @ x", "no arithmetic", "I(y"),
        ("lambda q: q", "no arithmetic", "I(y"),
    ],
)
def test_left_sides_that_are_refused(data: pd.DataFrame, left: str, words: str, fix: str) -> None:
    with pytest.raises(FormulaError, match=words) as error:
        gife.PartialledOLS.from_formula(f"{left} ~ z | firm", data)
    assert fix in str(error.value.fix)


@pytest.mark.parametrize("left", ["y", "log(y)", "`my y`", "D(y)", "I(y - x)", "{y - x}", "a.b", "x1_2"])
def test_single_terms_stay_as_they_are(left: str) -> None:
    assert outcome_term(left) in (left, f"{{{left.replace('{', '(').replace('}', ')')}}}")


@pytest.mark.parametrize(
    ("endog", "exog", "looks_back"),
    [
        ("y - x", "L(y - x)", True),
        ("y - x", "L(y)", True),
        ("y - x", "L(z)", False),
        ("y - x", "x", False),
        ("y - L(y)", "L(y)", True),
        ("F(y, 2) - L(y)", "y", True),
        ("F(y, 2) - L(y)", "F(y, 2)", False),
        ("log(p) - log(r)", "L(log(p))", True),
        ("log(p) - log(r)", "L(log(p) - log(r))", True),
        ("log(p) - log(r)", "L(z)", False),
        ("100*y/p", "L(100*y/p)", True),
        ("-y", "L(y)", True),
        ("2*y", "lag(y, 2)", True),
        ("y / p", "L(y / p)", True),
    ],
)
def test_lags_of_arithmetic(endog: str, exog: str, looks_back: bool) -> None:
    columns = ["y", "x", "z", "p", "r"]
    assert lags_of(read_expression(endog), columns, read_expression(exog)) is looks_back


# --- the right side -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("term", "fix"),
    [
        ("x:x", "I(x**2)"),
        ("x*x", "I(x**2)"),
        ("x*z*x", "I(x**2)"),
        ("x:z:x", "I(x**2)"),
        ("x*(x + z)", "I(x**2)"),
        ("x/x", "I(x**2)"),
        ("z %in% z", "I(z**2)"),
        ("log(pop):log(pop)", "I(log(pop)**2)"),
        ("C(t):C(t)", "C(t)"),
        ("2:z", "I(2*z)"),
        ("z:2", "I(2*z)"),
        ("2*z", "I(2*z)"),
        ("0.5:z", "I(0.5*z)"),
        ("1:z", "I(1*z)"),
        ("1e4*z", "I(1e4*z)"),
        ("z/2", "I(z/2)"),
        ("2/pop", "I(2/pop)"),
        ("(x + z):2", "I(2*x)"),
        ("-z", "I(-z)"),
        ("- z + x", "I(-z)"),
        ("x - z", "I(-z)"),
        ("x + -z", "I(-z)"),
        ("x + (z - pop)", "I(-pop)"),
        ("x - x:z", "I(-x:z)"),
    ],
)
def test_terms_that_formulas_silently_misread(data: pd.DataFrame, term: str, fix: str) -> None:
    for formula, partial in ((f"y ~ {term}", ""), ("y ~ sales", term)):
        with pytest.raises(FormulaError) as error:
            gife.PartialledOLS.from_formula(formula, data, partial=partial)
        assert error.value.fix == fix
    if ":" not in fix:
        assert gife.PartialledOLS.from_formula(f"y ~ {fix}", data).fit().nobs == 160


@pytest.mark.parametrize(
    ("term", "names"),
    [
        ("x + x", "x"),
        ("x:z + z:x", "x:z"),
        ("x + z - z", "x"),
        ("x*z - x:z", "x z"),
        ("(x + z)**2", "x z x:z"),
        ("x + z - 1", "x z"),
        ("-1 + x", "x"),
        ("0 + x", "x"),
        ("x + +z", "x z"),
        (". - pop - sales - `my y` - firm - t", "x z"),
        ("x + I(-z)", "x I(-z)"),
    ],
)
def test_terms_that_mean_what_they_say(data: pd.DataFrame, term: str, names: str) -> None:
    model = gife.PartialledOLS.from_formula(f"y ~ {term} | firm", data)
    assert model.exog_names == names.split()
