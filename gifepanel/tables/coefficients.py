"""Tables of coefficients: one a row with everything, by group one below the other, by group side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gifepanel.tables.blocks import Row, Span, Table
from gifepanel.tables.text import WIDTH, natural_width

__all__ = ["coefficient_blocks", "coefficient_table", "counted", "number", "probability", "ratio"]

# ---- numbers


def number(value: float, digits: int = 4) -> str:
    """A coefficient: `digits` decimals, scientific where that would lose it."""
    if not np.isfinite(value):
        return str(value)
    if value != 0 and (abs(value) < 10.0**-digits * 5 or abs(value) >= 1e6):
        return f"{value:.3e}"
    return f"{value:.{digits}f}"


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
        (name, number(coef), number(se), ratio(t), probability(p) or "nan", number(low), number(high))
        for name, coef, se, t, p, (low, high) in zip(
            res._names, *map(np.asarray, values), np.asarray(res.conf_int(alpha)), strict=True
        )
    ]


def coefficient_blocks(res: Any, alpha: float, layout: str) -> tuple[Table, ...]:
    """The coefficients as `layout` has them: "side" by side, "stacked", or "auto", the former where it fits."""
    rows = _rows(res, alpha)
    groups = res._columns_by_group(rows)
    stacked = Table(_header(res, alpha), tuple(res._sections(rows)))
    if layout == "stacked" or len(groups) < 2:
        return (stacked,)
    letter = "t" if res.use_t else "z"
    forms = [form(groups, letter) for form in (_one_line, _two_lines, _three_lines)]
    side = next((table for table in forms if natural_width(table) <= WIDTH), None)
    if side is None:
        if layout == "auto":
            return (stacked,)
        side = forms[1]  # in panels
    common = res._common_rows(rows)
    return (Table(stacked.header, (("All groups", tuple(common)),)), side) if common else (side,)


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
