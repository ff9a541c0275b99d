"""The text of formulas: parts, absorbed effects, powers, several lags, lags of the outcome."""

from __future__ import annotations

import pytest

from gifepanel.exceptions import FormulaError
from gifepanel.panel.absorbed import AbsorbedEffect, parse_absorbed
from gifepanel.panel.expressions import lags_of, private_calls, read_expression
from gifepanel.panel.grammar import FormulaSides, split_formula
from gifepanel.panel.lag_ranges import expand_lags
from gifepanel.panel.powers import check_powers


@pytest.mark.parametrize(
    ("formula", "parts"),
    [
        ("y ~ x", FormulaSides("y", "x")),
        (" y ~ x + z | a + b ", FormulaSides("y", "x + z", "a + b")),
        ("y ~ {a | b} + I(c | d) | f", FormulaSides("y", "{a | b} + I(c | d)", "f")),
        ("`a ~ b` ~ `c | d` | e", FormulaSides("`a ~ b`", "`c | d`", "e")),
        ("y ~ f(x, '|~') | e", FormulaSides("y", "f(x, '|~')", "e")),
        ("y ~ f(x, 'it\\'s | ') | e", FormulaSides("y", "f(x, 'it\\'s | ')", "e")),
    ],
)
def test_parts(formula, parts):
    assert split_formula(formula) == parts


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("y + x", "has 0 '~'"),
        ("y ~ x ~ z", "has 2 '~'"),
        ("~ x", "nothing before '~'"),
        ("y ~ ", "no regressors"),
        ("y ~ | firm", "no regressors"),
        ("y ~ x | ", "nothing follows"),
        ("y ~ x | f | z ~ w", "'~'"),
        ("y ~ x | f | z", "instruments are not"),
        ("y | w ~ x", "2 parts"),
        ("y ~ log(x", "before '\\)' is closed"),
        ("y ~ x)", "without its opening bracket"),
        ("y ~ (x]", "without its opening bracket"),
        ("y ~ `x", "before '`' is closed"),
    ],
)
def test_unreadable_formulas(formula, words):
    with pytest.raises(FormulaError, match=words):
        split_formula(formula)


def test_formula_has_to_be_text():
    with pytest.raises(FormulaError, match="is a list"):
        split_formula(["y", "x"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "effects"),
    [
        ("", ()),
        ("0", ()),
        ("firm", (AbsorbedEffect("firm", ("firm",)),)),
        ("firm + year", (AbsorbedEffect("firm", ("firm",)), AbsorbedEffect("year", ("year",)))),
        ("firm+firm", (AbsorbedEffect("firm", ("firm",)),)),
        ("C(firm)", (AbsorbedEffect("firm", ("firm",)),)),
        ("firm ^ year", (AbsorbedEffect("firm^year", ("firm", "year")),)),
        ("firm:year", (AbsorbedEffect("firm^year", ("firm", "year")),)),
        ("`my firm`", (AbsorbedEffect("my firm", ("my firm",)),)),
        ("firm[t]", (AbsorbedEffect("firm[t]", ("firm",), ("t",)),)),
        ("firm[t, z]", (AbsorbedEffect("firm[t, z]", ("firm",), ("t", "z")),)),
        ("firm[[t]]", (AbsorbedEffect("firm[[t]]", ("firm",), ("t",), intercept=False),)),
        ("a^b[t]", (AbsorbedEffect("a^b[t]", ("a", "b"), ("t",)),)),
        ("ind.code", (AbsorbedEffect("ind.code", ("ind.code",)),)),
    ],
)
def test_absorbed(text, effects):
    assert parse_absorbed(text) == effects


@pytest.mark.parametrize(
    "text", ["firm * year", "log(firm)", "firm +", "firm[log(x)]", "firm[[x],]", "2firm", "f // 5"]
)
def test_unreadable_effects(text):
    with pytest.raises(FormulaError, match="can't be read"):
        parse_absorbed(text)


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("x**2", "I(x**2)"),
        ("z + x ^ 2", "I(x**2)"),
        ("log(x)**3", "I(log(x)**3)"),
        ("(x)**2", "I(x**2)"),
        ("`my x`**2", "I(`my x`**2)"),
        ("z + `my x` + x**2", "I(x**2)"),
        ("{x + 1}**2", "I({x + 1}**2)"),
        ("a:x**2", "I(x**2)"),
        ("(a + b**2)", "I(b**2)"),
    ],
)
def test_powers_that_would_mean_x(text, fix):
    with pytest.raises(FormulaError, match="crossing") as caught:
        check_powers(text)
    assert fix in caught.value.fix


@pytest.mark.parametrize(
    "text",
    ["I(x**2)", "{x**2}", "(a + b)**2", "(a*b)^2", "np.power(x, 2)", "f(x, '**2')", "x", "log(x**2) + z", "x[0]"],
)
def test_powers_that_mean_what_they_say(text):
    check_powers(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("L(x)", "L(x)"),
        ("L(x, 2)", "L(x, 2)"),
        ("L(x, (1, 2))", "(L(x, 1) + L(x, 2))"),
        ("L(x, [1,2]) + z", "(L(x, 1) + L(x, 2)) + z"),
        ("z + L(x, 1:3)", "z + (L(x, 1) + L(x, 2) + L(x, 3))"),
        ("lag(x, k=range(1, 3))", "(lag(x, 1) + lag(x, 2))"),
        ("F(log(x), range(2))", "(F(log(x), 0) + F(log(x), 1))"),
        ("D(x, 2:1)", "(D(x, 2) + D(x, 1))"),
        ("a:(L(x, (0, 1)))", "a:((L(x, 0) + L(x, 1)))"),
        ("L(x, (1,2)) + L(z, (1,2))", "(L(x, 1) + L(x, 2)) + (L(z, 1) + L(z, 2))"),
        ("L(f(x, 1), (1, 2))", "(L(f(x, 1), 1) + L(f(x, 1), 2))"),
        ("log(L(x, (1, 2)))", "log(L(x, (1, 2)))"),
        ("XL(x, (1, 2))", "XL(x, (1, 2))"),
        ("bs(x, df=4) + `L(x, (1,2))`", "bs(x, df=4) + `L(x, (1,2))`"),
        ("{L(x, (1,2))}", "{L(x, (1,2))}"),
    ],
)
def test_several_lags(text, written):
    assert expand_lags(text) == written


@pytest.mark.parametrize(
    ("endog", "exog", "looks_back"),
    [
        ("y", "L(y)", True),
        ("y", "lag(y, 2)", True),
        ("y", "F(y, -1)", True),
        ("y", "L(x)", False),
        ("y", "F(y)", False),
        ("y", "D(y)", False),
        ("y", "D(L(y))", True),
        ("y", "L(D(y))", True),
        ("y", "L(y) * x", True),
        ("log(y)", "L(log(y))", True),
        ("log(y)", "log(L(y))", True),
        ("log(y)", "L(y)", True),
        ("log(y / p)", "L(log(y / p))", True),
        ("log(y / p)", "log(L(y / p))", False),
        ("log(y / p)", "L(log(x / p))", False),
        ("D(y)", "L(y)", True),
        ("D(y)", "L(D(y))", True),
        ("D(log(y))", "L(log(y), k=2)", True),
        ("F(y)", "y", True),
        ("`my y`", "L(`my y`)", True),
        ("I(y - z)", "L(I(y - z))", True),
    ],
)
def test_lags_of_the_outcome(endog, exog, looks_back):
    assert lags_of(read_expression(endog), ["y", "x", "p", "z", "my y"], read_expression(exog)) is looks_back


def test_names_and_private_calls():
    expression = read_expression("f(`my x`, [a for a in b], lambda q: q + c, k=d) + np.log(D(D)) + Q('odd name')")
    assert set(expression.names) == {"f", "my x", "b", "c", "d", "np", "D", "Q", "odd name"}
    assert private_calls("D(D) + XD(x) + a.D(x) + `D(x)` + g('L(x)') + diff(z)") == (
        "__gife_D(D) + XD(x) + a.D(x) + `D(x)` + g('L(x)') + __gife_diff(z)"
    )
