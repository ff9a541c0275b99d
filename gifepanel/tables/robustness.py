"""The printed report of slopes under other choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.tables.blocks import Block, Notes, Pairs, Row, Table
from gifepanel.tables.coefficients import number

__all__ = ["robustness_report"]

_TITLES = {
    "factors": "Number of factors",
    "groups": "Number of groups",
    "penalty": "Weight of the penalty",
    "classification": "Groups",
    "bias": "Bias correction",
    "errors": "Standard errors",
}


def robustness_report(checks: Any, slopes: Sequence[str]) -> tuple[str, list[Block]]:
    """Title and blocks; of `slopes` with intervals, without such of all side by side."""
    words, table = checks._words, checks.table
    n = len(checks.settings)
    left = (("Dep. variable", words["outcome"]), ("Model", words["model"]))
    right = (("Specifications", f"{n}"), ("Intervals", f"{100 * checks.level:g}%"))
    blocks: list[Block] = [Pairs(left, right), _ranges(checks)]
    ends = f"[{(1 - checks.level) / 2:.3g}", f"{(1 + checks.level) / 2:.3g}]"
    if not slopes:
        blocks.append(_side_by_side(checks))
    for slope in slopes:
        own = table[table["slope"] == slope]
        blocks.append(Table((slope, "coef", "std err", *ends), _sections(own, _estimates), rules=False))
    fits = table[(table["slope"] == checks.slopes[0]) & ((table["choice"] != "errors") | (table["note"] != ""))]
    blocks.append(Table(("", "sum of squares", "notes"), _sections(fits, _fit), text_last=True, rules=False))
    blocks.append(Notes(tuple(_notes(checks, slopes))))
    return "Slopes under Other Choices", blocks


def _ranges(checks: Any) -> Table:
    rows: list[Row] = [
        (
            str(slope),
            number(row["estimate"]),
            number(row["se"]),
            number(row["lowest"]),
            number(row["highest"]),
            f"{row['same_sign']:.0f}/{row['n']:.0f}",
            f"{row['significant']:.0f}/{row['n']:.0f}",
        )
        for slope, row in checks.ranges().iterrows()
    ]
    return Table(("", "as fitted", "std err", "lowest", "highest", "same sign", "off zero"), (("", tuple(rows)),))


def _side_by_side(checks: Any) -> Table:
    """Estimates of all slopes with their standard errors below them."""
    sections: list[tuple[str, tuple[Row, ...]]] = []
    for choice, own in checks.table.groupby("choice", sort=False):
        rows: list[Row] = []
        for label, part in own.groupby("specification", sort=False):
            pairs = list(zip(part["estimate"], part["se"], strict=True))
            rows.append((f"  {label}", *("" if np.isnan(coef) else f"{number(coef)} " for coef, _ in pairs)))
            rows.append(("", *("" if np.isnan(coef) else f"({number(se)})" for coef, se in pairs)))
        sections.append((_TITLES.get(str(choice), str(choice)), tuple(rows)))
    header = ("", *map(str, checks.slopes))
    return Table(header, tuple(sections), units=(1,) * len(checks.slopes), rules=False, hang=1)


def _sections(own: pd.DataFrame, row_of: Any) -> tuple[tuple[str, tuple[Row, ...]], ...]:
    """Rows by choice."""
    out = []
    for choice in dict.fromkeys(own["choice"]):
        rows = tuple(row_of(row) for _, row in own[own["choice"] == choice].iterrows())
        out.append((_TITLES.get(choice, choice), rows))
    return tuple(out)


def _estimates(row: pd.Series) -> Row:
    values = [row["estimate"], row["se"], row["lower"], row["upper"]]
    return (f"  {row['specification']}", *("" if np.isnan(value) else number(value) for value in values))


def _fit(row: pd.Series) -> Row:
    ssr = "" if np.isnan(row["ssr"]) else f"{row['ssr']:.6g}"
    return (f"  {row['specification']}", ssr, str(row["note"]))


def _notes(checks: Any, slopes: Sequence[str]) -> list[str]:
    notes = ["One choice at a time is different from the fit; the others are as it has them."]
    if int(checks._words["groups"]) > 1:
        notes.append(
            "Slopes in another number of groups are those of the group in which most entities of the fit's group are."
        )
    if "factors" in checks.settings and (checks.table["choice"] == "factors").any():
        notes.append(
            "More factors than there are cost precision and little else, fewer bias the slopes (Moon and Weidner "
            "2015): where a larger number moves them, the fit has too few."
        )
    if not slopes:
        notes.append(f'Intervals: .summary("{checks.slopes[0]}"), .table, .plot().')
    return notes
