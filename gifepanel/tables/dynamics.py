"""Long-run effects and impulse responses as tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gifepanel.tables.blocks import Block, Notes, Row, Table
from gifepanel.tables.coefficients import number, probability, ratio

__all__ = ["long_run_report", "responses_report"]


def long_run_report(found: Any) -> tuple[str, list[Block]]:
    """Title and blocks of long-run effects."""
    low, high = (1 - found.level) / 2, (1 + found.level) / 2
    header = (
        "",
        "effect",
        "std err",
        found.statistic,
        f"P>|{found.statistic}|",
        f"[{low:.3g}",
        f"{high:.3g}]",
        "Fieller",
    )
    sections = [
        (
            _title(label, found.persistence, len(found.persistence) > 1),
            tuple(_row(str(name), row) for name, row in rows),
        )
        for label, rows in _by_group(found.table)
    ]
    notes = [f"Effects on {found.outcome} in the end of a unit more for ever; standard errors by the delta method."]
    if (found.table["fieller_lower"] > found.table["fieller_upper"]).any() or np.isinf(
        found.table["fieller_lower"]
    ).any():
        notes.append(
            "The sum of the lags is not significantly different from one where Fieller's set (1954) is not an "
            "interval: it then holds all that is not between its limits, or everything."
        )
    return "Long-run Effects", [Table(header, tuple(sections)), Notes((*notes, *_unstable(found)))]


def responses_report(found: Any) -> tuple[str, list[Block]]:
    """Title and blocks of impulse responses, their standard errors in parentheses."""
    table = found.table
    variables = list(dict.fromkeys(table.index.get_level_values("variable")))
    sections: list[tuple[str, tuple[Row, ...]]] = []
    for label, _ in _by_group(table):
        own = table if label is None else table.xs(label, level="group")
        rows: list[Row] = []
        for period in dict.fromkeys(own.index.get_level_values("period")):
            cells = own.xs(period, level="period")
            both = cells.loc[variables, ["response", "se"]].to_numpy()
            shown = [f"{number(response)} ({number(se)})" for response, se in both]
            rows.append((str(period), *shown))
        sections.append(("" if label is None else f"Group {label}", tuple(rows)))
    what = "from period 0 on" if found.permanent else "in period 0 only"
    notes = [f"Responses of {found.outcome} to a unit more {what}; standard errors in parentheses (delta method)."]
    return "Impulse Responses", [Table(("period", *variables), tuple(sections)), Notes((*notes, *_unstable(found)))]


def _by_group(table: pd.DataFrame) -> list[tuple[Any, Any]]:
    if "group" not in table.index.names:
        return [(None, table.iterrows())]
    labels = dict.fromkeys(table.index.get_level_values("group"))
    return [(label, table.xs(label, level="group").iterrows()) for label in labels]


def _title(label: Any, persistence: pd.Series, several: bool) -> str:
    total = f"lags add up to {number(float(persistence.loc[label] if several else persistence.iloc[0]))}"
    return total[0].upper() + total[1:] if label is None else f"Group {label}: {total}"


def _row(name: str, row: pd.Series) -> Row:
    return (
        name,
        number(row["effect"]),
        number(row["se"]),
        ratio(row["statistic"]),
        probability(row["pvalue"]) or "nan",
        number(row["lower"]),
        number(row["upper"]),
        _fieller(row["fieller_lower"], row["fieller_upper"]),
    )


def _fieller(lower: float, upper: float) -> str:
    if np.isinf(lower):
        return "everything"
    return f"{number(lower)}, {number(upper)}" if lower <= upper else f"not {number(upper)}, {number(lower)}"


def _unstable(found: Any) -> list[str]:
    if not found.unstable:
        return []
    return [f"The outcome's own lags do not die out ({', '.join(found.unstable)}): there is no long run."]
