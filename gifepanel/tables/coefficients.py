"""Tables of coefficients: one a row with everything, by group one below the other, by group side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gifepanel.tables.blocks import Alternatives, Form, Row, Span, Table
from gifepanel.tables.decimals import pair_decimals

__all__ = ["coefficient_blocks", "coefficient_table", "counted", "number", "probability", "ratio"]

# ---- numbers

_SMALLEST = 1e-6  # below it numbers are scientific


def number(value: float, digits: int = 4, error: float = math.nan) -> str:
    """A coefficient: `digits` decimals, or more for two significant ones that its standard error does not cover."""
    if not math.isfinite(value):
        return str(value)
    decimals, _ = pair_decimals(value, error, digits)
    if abs(value) >= 1e6 or (0 < abs(value) < _SMALLEST and decimals > digits):
        return f"{value:.3e}"
    return f"{value:.{decimals}f}"


def ratio(value: float) -> str:
    """A t statistic with three decimals, scientific from 100 000."""
    return f"{value:.3f}" if abs(value) < 1e5 or not np.isfinite(value) else f"{value:.3e}"


def probability(value: float) -> str:
    """A p-value with three decimals."""
    return "" if np.isnan(value) else f"{value:.3f}"


def counted(n: int, what: str) -> str:
    """``1 row was``, ``2 rows were``."""
    return f"1 {what} was" if n == 1 else f"{n} {what}s were"


# ---- tables


def coefficient_table(res: Any, alpha: float) -> Table:
    """Coefficients under their full names, standard errors, statistics, intervals."""
    return Table(_header(res, alpha), (("", tuple(_rows(res, alpha))),))


def _header(res: Any, alpha: float) -> tuple[str, ...]:
    letter = "t" if res.use_t else "z"
    return ("", "coef", "std err", letter, f"P>|{letter}|", f"[{alpha / 2:.3g}", f"{1 - alpha / 2:.3g}]")


def _rows(res: Any, alpha: float) -> list[tuple[str, ...]]:
    values = (res.params, res.bse, res.tvalues, res.pvalues)
    return [
        (
            name,
            number(coef, error=se),
            number(se),
            ratio(t),
            probability(p) or "nan",
            number(low, error=se),
            number(high, error=se),
        )
        for name, coef, se, t, p, (low, high) in zip(
            res._names, *map(np.asarray, values), np.asarray(res.conf_int(alpha)), strict=True
        )
    ]


def coefficient_blocks(res: Any, alpha: float, layout: str) -> tuple[Alternatives, ...]:
    """The coefficients as `layout` has them: "side" by side, "stacked", or "auto", the former where it fits."""
    rows = _rows(res, alpha)
    groups = res._columns_by_group(rows)
    stacked = Form((Table(_header(res, alpha), tuple(res._sections(rows))),))
    brief = Form((_without_statistics(stacked.tables[0]),), narrow=True)
    if layout == "stacked" or len(groups) < 2:
        return (Alternatives((stacked, brief, stacked)),)
    letter = "t" if res.use_t else "z"
    common = res._common_rows(rows)
    first = (Table(stacked.tables[0].header, (("All groups", tuple(common)),)),) if common else ()
    sides = ((_one_line, ""), (_two_lines, _IN_PARENTHESES + "; "), (_three_lines, _IN_PARENTHESES + _IN_BRACKETS))
    forms = [Form((*first, form(groups, letter)), f"{where}{_THE_REST}") for form, where in sides]
    if layout == "side":
        return (Alternatives((*forms, forms[1])),)  # in panels
    return (Alternatives((*forms, brief, stacked)),)


def _without_statistics(table: Table) -> Table:
    """The table without t statistics, which p-values and intervals say again."""
    sections = tuple((title, tuple((*row[:3], *row[4:]) for row in rows)) for title, rows in table.sections)
    return replace(table, header=(*table.header[:3], *table.header[4:]), sections=sections)


_IN_PARENTHESES, _IN_BRACKETS = "Under the coefficients: standard errors in parentheses", ", p-values in brackets; "
_THE_REST = 'summary(layout="stacked") adds t statistics and confidence intervals.'

Groups = Sequence[tuple[str, Sequence[tuple[str, ...]]]]


def _names(groups: Groups) -> list[str]:
    return [row[0] for row in groups[0][1]]


def _one_line(groups: Groups, letter: str) -> Table:
    """Coefficient, standard error and p-value of every group on one line."""
    spanner: Row = ("", *(Span(title, 3) for title, _ in groups))
    header = ("", *("coef", "std err", f"P>|{letter}|") * len(groups))
    rows = [
        (name, *(cell for _, own in groups for cell in (own[j][1], own[j][2], own[j][4])))
        for j, name in enumerate(_names(groups))
    ]
    return Table(header, (("", tuple(rows)),), spanners=(spanner,), units=(3,) * len(groups))


def _two_lines(groups: Groups, letter: str) -> Table:
    """The standard error in parentheses under the coefficient, the p-value beside it."""
    n = len(groups)
    spanner: Row = ("", *(Span(title, 2) for title, _ in groups))
    above: Row = ("", *("coef", f"P>|{letter}|") * n)
    rows: list[Row] = []
    for j, name in enumerate(_names(groups)):
        rows.append((name, *(cell for _, own in groups for cell in (own[j][1] + " ", own[j][4] + " "))))
        rows.append(("", *(cell for _, own in groups for cell in (f"({own[j][2]})", ""))))
    header = ("", *("(std err)", "") * n)
    return Table(header, (("", tuple(rows)),), spanners=(spanner, above), units=(2,) * n, hang=1)


def _three_lines(groups: Groups, letter: str) -> Table:
    """Coefficient, standard error in parentheses, p-value in brackets."""
    rows: list[Row] = []
    for j, name in enumerate(_names(groups)):
        rows.append((name, *(own[j][1] + " " for _, own in groups)))
        rows.append(("", *(f"({own[j][2]})" for _, own in groups)))
        rows.append(("", *(f"[{own[j][4]}]" for _, own in groups)))
    header = ("", *(title for title, _ in groups))
    return Table(header, (("", tuple(rows)),), units=(1,) * len(groups), hang=1)
