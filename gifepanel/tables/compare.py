"""Models side by side in one table, as journals print them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import SpecificationError
from gifepanel.statsmodels_bridge.hypotheses import check_level
from gifepanel.tables.blocks import Block, Cell, Notes, Row, Span, Table
from gifepanel.tables.coefficients import probability, ratio
from gifepanel.tables.compare_columns import FACTS, MORE_FACTS, SPECIFICATION, Estimate, ModelColumn, read_result
from gifepanel.tables.decimals import pair_decimals
from gifepanel.tables.printed import Printed

__all__ = ["Comparison", "compare"]

_STARS = {0.1: "*", 0.05: "**", 0.01: "***"}
_PRECISION = {
    "se": "Standard errors in parentheses.",
    "t": "{letter} statistics in parentheses.",
    "p": "p-values in parentheses.",
    "ci": "{level:g}% confidence intervals in brackets.",
    "none": "",
}
_CONSTANTS = ("Intercept", "const", "Constant", "(Intercept)")


@dataclass(frozen=True)
class _Style:
    precision: str
    alpha: float
    stars: tuple[tuple[float, str], ...]
    digits: int

    @property
    def hang(self) -> int:
        return max([int(self.precision != "none"), *(len(mark) for _, mark in self.stars)])


class Comparison(Printed):
    """A table of models.

    Attributes
    ----------
    table : DataFrame
        What is printed, as text: (row, value) by (model, group), or by model where no model has groups.
    estimates : DataFrame
        The numbers, one coefficient a row: model, group, term, coef, std err, statistic, p-value, lower, upper.

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
    >>> table = gife.compare(res, names=["Two-way"], stats=["Observations"])
    >>> print(table.as_csv())
    Dependent variable: sales
    ,Two-way
    ,PartialledOLS
    price,-0.823***
    ,(0.075)
    ndi,-0.0055***
    ,(0.00044)
    state effects,Yes
    year effects,Yes
    Standard errors,iid
    Observations,"1,380"
    note,"Standard errors in parentheses. * p<0.1, ** p<0.05, *** p<0.01."
    """

    def __init__(self, title: str, table: pd.DataFrame, estimates: pd.DataFrame, grid: Table, notes: list[str]) -> None:
        self.title = title
        self.table = table
        self.estimates = estimates
        self._blocks: tuple[Block, ...] = (grid, *([Notes(tuple(notes), numbered=False)] if notes else []))

    _stretched = False
    _widest = 158
    _escape = True

    def _content(self, fmt: str) -> tuple[str, Sequence[Block]]:
        return self.title, self._blocks


def compare(
    *results: Any,
    names: Sequence[str] | None = None,
    stars: bool | Mapping[float, str] = True,
    precision: str = "se",
    alpha: float = 0.05,
    keep: Sequence[str] | str | None = None,
    drop: Sequence[str] | str = (),
    order: Sequence[str] | str = (),
    rename: Mapping[str, str] | None = None,
    stats: Sequence[str] | None = None,
    rows: Mapping[str, Sequence[Any]] | None = None,
    notes: Sequence[str] | str = (),
    title: str | None = None,
    digits: int = 3,
    escape: bool = True,
) -> Comparison:
    """Put models side by side in one table, as journals print them.

    Groups of a model are columns side by side under one heading; slopes that they share stand in the middle. Text is as
    wide as the table needs; tables wider than 78 columns, or than the terminal, are set in panels one below the other.

    Parameters
    ----------
    *results : results
        Of gifepanel, statsmodels and linearmodels, mixed as you like; or one list of them, or one dict by name.
    names : sequence of str, optional
        Headings; by default (1), (2), ...
    stars : bool or dict
        Marks of significance by level; True is ``{0.1: "*", 0.05: "**", 0.01: "***"}``.
    precision : {"se", "t", "p", "ci", "none"}
        What stands under the coefficients.
    alpha : float
        One less the level of the confidence intervals.
    keep, drop : sequence of str
        Regressors to show or to leave out; ``*`` stands for any characters: ``drop="C(state)*"``.
    order : sequence of str
        Regressors that come first. The others follow as they appear, constants last.
    rename : dict, optional
        Names to be printed, of regressors and effects; those that get the same one share a row.
    stats : sequence of str, optional
        Rows of the last part: "Observations", "Entities", "Periods", "R-squared", "R-squared within" by default;
        besides, "Adj. R-squared", "Residual std. dev.", "Log-likelihood", "AIC", "BIC".
    rows : dict of str to sequence, optional
        Rows of your own, a value for each model.
    notes : str or sequence of str
        Sentences under the table.
    title : str, optional
        By default the outcome, where all models have the same.
    digits : int
        Decimals of coefficients; more where two significant digits of them and of their standard errors take more.
    escape : bool
        False takes mathematics and commands in names as LaTeX, in LaTeX: ``rename={"price": r"$\\beta_1$"}``.

    Returns
    -------
    Comparison
        Prints itself; ``as_text()``, ``as_html()``, ``as_latex()``, ``as_markdown()``, ``as_csv()``, ``table``,
        ``estimates``.

    Raises
    ------
    SpecificationError
        For no models, models not fitted, duplicate names, and names that are not there.

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> one = gife.PartialledOLS.from_formula("sales ~ price | state", cigar).fit()
    >>> two = gife.PartialledOLS.from_formula("sales ~ price | state + year", cigar).fit()
    >>> table = gife.compare(one, two, names=["One way", "Two ways"])
    >>> table.table.loc[("price", "coef")].tolist()
    ['-0.210***', '-1.085***']
    """
    fits, names = _named(results, names)
    style = _Style(_precision(precision), check_level(alpha), _levels(stars), _digits(digits))
    columns = [read_result(fit, j, alpha) for j, fit in enumerate(fits, 1)]
    columns = [_renamed(column, dict(rename or {}), name) for column, name in zip(columns, names, strict=True)]
    terms = _terms(columns, keep, drop, order)
    own_rows = _own_rows(rows, len(columns))
    outcomes = list(dict.fromkeys(column.endog for column in columns))
    grid = Table(
        ("", *_subheads(columns)),
        tuple(_sections(columns, terms, style, _facts(columns, stats), own_rows)),
        spanners=tuple(_spanners(columns, names, outcomes)),
        units=tuple(column.n_columns for column in columns),
        hang=style.hang,
    )
    if title is None:
        title = f"Dependent variable: {outcomes[0]}" if len(outcomes) == 1 and outcomes[0] else ""
    written = _notes(columns, names, style) + ([notes] if isinstance(notes, str) else list(notes))
    table = Comparison(title, _frame(grid, columns, names, style), _numbers(columns, names), grid, written)
    table._escape = bool(escape)
    return table


# ---- what was asked for


def _named(results: Sequence[Any], names: Sequence[str] | None) -> tuple[list[Any], list[str]]:
    """Results and headings."""
    fits = list(results)
    if len(fits) == 1 and isinstance(fits[0], Mapping):
        if names is not None:
            raise SpecificationError("Names were given twice, as keys and as names=.", "Once is enough.", None)
        fits, names = list(fits[0].values()), list(map(str, fits[0]))
    elif len(fits) == 1 and isinstance(fits[0], (list, tuple)):
        fits = list(fits[0])
    if not fits:
        raise SpecificationError("compare got no models.", "It needs one or more.", "gife.compare(res1, res2)")
    if names is None:
        return fits, [f"({j})" for j in range(1, len(fits) + 1)]
    if isinstance(names, str) or len(names) != len(fits):
        count = 1 if isinstance(names, str) else len(names)
        raise SpecificationError(
            f"There are {count} names for {len(fits)} models.", "One for each is needed.", 'names=["Pooled", "Grouped"]'
        )
    names = list(map(str, names))
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SpecificationError(
            f"Two models have the name {twice!r}.", "Names tell columns apart.", 'names=["Pooled", "Grouped"]'
        )
    return fits, names


def _precision(precision: str) -> str:
    if precision not in _PRECISION:
        known = ", ".join(map(repr, _PRECISION))
        raise SpecificationError(f"precision is {precision!r}.", f"It must be one of {known}.", 'precision="se"')
    return precision


def _levels(stars: Any) -> tuple[tuple[float, str], ...]:
    """Levels and marks, the strictest first."""
    marks = _STARS if stars is True else {} if stars is False else stars
    if isinstance(marks, Mapping):
        fine = all(isinstance(level, float) and 0 < level < 1 for level in marks)
        if fine and all(isinstance(mark, str) for mark in marks.values()):
            return tuple(sorted(marks.items()))
    raise SpecificationError(
        f"stars is {stars!r}.", "It takes True, False, or marks by level.", 'stars={0.05: "*", 0.01: "**"}'
    )


def _digits(digits: Any) -> int:
    if isinstance(digits, (int, np.integer)) and not isinstance(digits, bool) and 0 <= digits <= 12:
        return int(digits)
    raise SpecificationError(f"digits is {digits!r}.", "A whole number from 0 to 12 is needed.", "digits=3")


def _renamed(column: ModelColumn, names: dict[str, str], model: str) -> ModelColumn:
    estimates = tuple(replace(e, term=names.get(e.term, e.term)) for e in column.estimates)
    keys = [(e.term, e.group) for e in estimates]
    twice = next((term for term, group in keys if keys.count((term, group)) > 1), None)
    if twice is not None:
        raise SpecificationError(
            f"Two regressors of {model} are called {twice!r}.", "A row holds one coefficient of a model.", None
        )
    return replace(column, estimates=estimates, effects=tuple(names.get(e, e) for e in column.effects))


def _terms(columns: Sequence[ModelColumn], keep: Any, drop: Any, order: Any) -> list[str]:
    """Rows, in order."""
    found = list(dict.fromkeys(e.term for column in columns for e in column.estimates))
    terms = [t for t in found if t not in _CONSTANTS] + [t for t in found if t in _CONSTANTS]
    if keep is not None:
        wanted = [t for pattern in _listed(keep) for t in _matches(pattern, found, "keep")]
        terms = [t for t in terms if t in wanted]
    left_out = {t for pattern in _listed(drop) for t in _matches(pattern, found, "drop")}
    terms = [t for t in terms if t not in left_out]
    first = [t for pattern in _listed(order) for t in _matches(pattern, found, "order") if t in terms]
    terms = list(dict.fromkeys([*first, *terms]))
    if not terms:
        raise SpecificationError("No regressor is left.", f"There are {', '.join(found)}.", "keep=None, drop=()")
    return terms


def _listed(names: Sequence[str] | str) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _matches(pattern: str, found: Sequence[str], option: str) -> list[str]:
    regex = re.compile(".*".join(map(re.escape, str(pattern).split("*"))), re.DOTALL)
    hits = [pattern] if pattern in found else [term for term in found if regex.fullmatch(term)]
    if not hits:
        raise SpecificationError(
            f"{option} names {pattern!r}, which is no regressor of these models.",
            f"There are {', '.join(found)}.",
            _nearest(option, pattern, found),
        )
    return hits


def _nearest(option: str, name: str, known: Sequence[str]) -> str | None:
    """The option with the name that was probably meant."""
    folded = {other.casefold(): other for other in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    return f"{option}=[{folded[near[0]]!r}]" if near else None


def _facts(columns: Sequence[ModelColumn], stats: Sequence[str] | None) -> list[str]:
    """Labels of the last part."""
    there = [label for label in (*FACTS, "Pseudo R-squared", *MORE_FACTS) if any(label in c.facts for c in columns)]
    if stats is None:
        return [label for label in there if label not in MORE_FACTS]
    known = {label.casefold(): label for label in (*FACTS, "Pseudo R-squared", *MORE_FACTS)}
    asked = []
    for name in _listed(stats):
        if str(name).casefold() not in known:
            labels = list(known.values())
            raise SpecificationError(
                f"stats names {name!r}.", f"Known are {', '.join(labels)}.", _nearest("stats", str(name), labels)
            )
        asked.append(known[str(name).casefold()])
    return asked


def _own_rows(rows: Mapping[str, Sequence[Any]] | None, n_models: int) -> dict[str, list[str]]:
    out = {}
    for label, values in dict(rows or {}).items():
        cells = [values] if isinstance(values, str) else list(values)
        if len(cells) != n_models:
            raise SpecificationError(
                f"The row {label!r} has {len(cells)} values for {n_models} models.", "One for each is needed.", None
            )
        out[str(label)] = [_yes(cell) if isinstance(cell, (bool, np.bool_)) else str(cell) for cell in cells]
    return out


# ---- the table


def _yes(there: Any) -> str:
    return "Yes" if there else "No"


def _subheads(columns: Sequence[ModelColumn]) -> list[str]:
    if all(column.n_columns == 1 for column in columns):
        return [""] * len(columns)
    return [f"Group {k + 1}" if c.n_columns > 1 else "" for c in columns for k in range(c.n_columns)]


def _over(column: ModelColumn, text: str) -> Cell:
    return Span(text, column.n_columns) if column.n_columns > 1 else text


def _spanners(columns: Sequence[ModelColumn], names: Sequence[str], outcomes: Sequence[str]) -> list[Row]:
    spanners: list[Row] = [("", *(_over(c, name) for c, name in zip(columns, names, strict=True)))]
    if len(outcomes) > 1:
        spanners.append(("Outcome", *(_over(c, c.endog) for c in columns)))
    spanners.append(("", *(_over(c, c.model) for c in columns)))
    return spanners


def _sections(
    columns: Sequence[ModelColumn],
    terms: Sequence[str],
    style: _Style,
    facts: Sequence[str],
    own: Mapping[str, Sequence[str]],
) -> list[tuple[str, tuple[Row, ...]]]:
    blank = " " * style.hang
    coefficients: list[Row] = []
    for term in terms:
        coefficients.append((term, *_term_cells(columns, term, lambda e: _coefficient(e, style))))
        if style.precision != "none":
            coefficients.append(("", *_term_cells(columns, term, lambda e: _under(e, style))))
    effects = list(dict.fromkeys(effect for column in columns for effect in column.effects))
    absorbed: list[Row] = [
        (f"{effect} effects", *(_over(c, _yes(effect in c.effects) + blank) for c in columns)) for effect in effects
    ]
    about = [_fact_row(columns, label, blank) for label in SPECIFICATION if any(label in c.facts for c in columns)]
    added: list[Row] = [
        (label, *(_over(c, value + blank) for c, value in zip(columns, values, strict=True)))
        for label, values in own.items()
    ]
    fit = [_fact_row(columns, label, blank) for label in facts]
    parts = [coefficients, [*absorbed, *about, *added], fit]
    return [("", tuple(part)) for part in parts if part]


def _term_cells(columns: Sequence[ModelColumn], term: str, show: Callable[[Estimate], str]) -> list[Cell]:
    cells: list[Cell] = []
    for column in columns:
        own = {e.group: e for e in column.estimates if e.term == term}
        if None in own:
            cells.append(_over(column, show(own[None])))
        else:
            cells += [show(own[k]) if k in own else "" for k in range(column.n_columns)]
    return cells


def _decimals(value: float, decimals: int) -> str:
    """A number with its decimals, scientific where they would be many."""
    if not np.isfinite(value):
        return str(value)
    if value != 0 and (abs(value) >= 1e7 or (decimals > _MOST_DECIMALS and abs(value) < 10.0**-_MOST_DECIMALS)):
        return f"{value:.2e}"
    return f"{value:.{decimals}f}"


_MOST_DECIMALS = 6


def _coefficient(estimate: Estimate, style: _Style) -> str:
    errs = np.isfinite(estimate.se) and estimate.se > 0
    mark = next((mark for level, mark in style.stars if errs and estimate.pvalue < level), "")
    decimals, _ = _pair(estimate, style)
    return _decimals(estimate.coef, decimals) + mark.ljust(style.hang)


def _pair(estimate: Estimate, style: _Style) -> tuple[int, int]:
    """Decimals of the coefficient and of its standard error."""
    if not style.digits:
        return 0, 0
    return pair_decimals(estimate.coef, estimate.se, style.digits)


def _under(estimate: Estimate, style: _Style) -> str:
    if style.precision == "ci":
        decimals, _ = _pair(estimate, style)
        limits = f"[{_decimals(estimate.lower, decimals)}, {_decimals(estimate.upper, decimals)}]"
        return limits + " " * (style.hang - 1)
    value = {
        "se": lambda: _decimals(estimate.se, _pair(estimate, style)[1]),
        "t": lambda: ratio(estimate.statistic),
        "p": lambda: probability(estimate.pvalue) or "-",
    }[style.precision]()
    return f"({value})" + " " * (style.hang - 1)


def _fact_row(columns: Sequence[ModelColumn], label: str, blank: str) -> Row:
    cells: list[Cell] = []
    for column in columns:
        value = column.facts.get(label, "-")
        cells += [v + blank for v in value] if isinstance(value, tuple) else [_over(column, value + blank)]
    return (label, *cells)


def _notes(columns: Sequence[ModelColumn], names: Sequence[str], style: _Style) -> list[str]:
    letters = "/".join(dict.fromkeys(column.letter for column in columns))
    words = _PRECISION[style.precision].format(letter=letters, level=100 * (1 - style.alpha))
    marks = ", ".join(f"{mark} p<{level:g}" for level, mark in reversed(style.stars))
    lines = [" ".join(part for part in (words, f"{marks}." if marks else "") if part)]
    shared = any(c.n_columns > 1 and any(e.group is None for e in c.estimates) for c in columns)
    if shared:
        lines.append("Coefficients in the middle of several groups are common to them.")
    lines += [note.format(name=name) for c, name in zip(columns, names, strict=True) for note in c.notes]
    return [line for line in lines if line]


# ---- frames


def _frame(grid: Table, columns: Sequence[ModelColumn], names: Sequence[str], style: _Style) -> pd.DataFrame:
    """The table as text, without blanks that align."""
    index, cells = [], []
    above = ""
    under = {"se": "std err", "t": "statistic", "p": "p-value", "ci": "interval"}.get(style.precision, "")
    for number_of_part, (_, part) in enumerate(grid.sections):
        for row in part:
            label = row[0] if isinstance(row[0], str) else row[0].text
            index.append((label, "coef" if number_of_part == 0 else "") if label else (above, under))
            above = label or above
            values: list[str] = []
            for cell in row[1:]:
                values += [cell.text.strip()] * cell.n if isinstance(cell, Span) else [cell.strip()]
            cells.append(values)
    grouped = any(column.n_columns > 1 for column in columns)
    heads = [
        (name, str(k + 1) if c.n_columns > 1 else "")
        for c, name in zip(columns, names, strict=True)
        for k in range(c.n_columns)
    ]
    labels: Any = (
        pd.MultiIndex.from_tuples(heads, names=["model", "group"])
        if grouped
        else pd.Index([name for name, _ in heads], name="model")
    )
    return pd.DataFrame(cells, index=pd.MultiIndex.from_tuples(index, names=["row", "value"]), columns=labels)


def _numbers(columns: Sequence[ModelColumn], names: Sequence[str]) -> pd.DataFrame:
    rows = [
        (name, None if e.group is None else e.group + 1, *(getattr(e, key) for key in _NUMBERS))
        for column, name in zip(columns, names, strict=True)
        for e in column.estimates
    ]
    frame = pd.DataFrame(rows, columns=["model", "group", *_NUMBERS.values()])
    return frame.astype({"group": "Int64"})


_NUMBERS = {
    "term": "term",
    "coef": "coef",
    "se": "std err",
    "statistic": "statistic",
    "pvalue": "p-value",
    "lower": "lower",
    "upper": "upper",
}
