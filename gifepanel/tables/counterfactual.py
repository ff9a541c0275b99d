"""The printed report of what would have been, and its column in a comparison of models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gifepanel.tables.blocks import Block, Notes, Pairs, Row, Table
from gifepanel.tables.coefficients import counted, number, probability, ratio
from gifepanel.tables.compare_columns import Estimate, ModelColumn

__all__ = ["counterfactual_column", "counterfactual_report"]

_ERRORS = {
    "cluster": "clustered by entity",
    "HC2": "HC2 (heteroskedastic)",
    "nonrobust": "nonrobust (iid)",
}
_MOST = 40


def counterfactual_report(cf: Any, alpha: float) -> tuple[str, list[Block]]:
    """Title and blocks."""
    parts, words = cf._parts, cf._parts.words
    left = (
        ("Dep. variable", words["outcome"]),
        ("Treatment", words["treatment"]),
        ("Model", parts.model_name),
        ("Factors", f"{words['factors']}"),
        *([("Groups", f"{words['groups']}")] if words["groups"] > 1 else []),
        ("Absorbed", ", ".join(words["absorbed"]) or "none"),
    )
    overall = parts.overall.frame(alpha)
    right = (
        ("Untreated cells", f"{words['untreated']}"),
        ("Treated cells", f"{int(overall['n_cells'].iloc[0])}"),
        ("Treated entities", f"{int(overall['n_entities'].iloc[0])}"),
        ("Anticipation", counted_periods(words["anticipation"])),
        ("Standard errors", _ERRORS[cf.cov_type]),
    )
    sections = [
        ("", _rows(overall)),
        ("By event time (0: first treated)", _rows(parts.by_event.frame(alpha))),
        (f"By cohort (first treated {words['time']})", _rows(parts.by_cohort.frame(alpha))),
    ]
    if parts.by_group is not None:
        sections.append(("By group of slopes", _rows(parts.by_group.frame(alpha))))
    header = ("", "effect", "std err", "t", "P>|t|", f"[{alpha / 2:.3g}", f"{1 - alpha / 2:.3g}]", "cells")
    blocks: list[Block] = [Pairs(left, right), Table(header, tuple(sections)), Notes(tuple(_notes(cf, overall)))]
    title = f"Placebo: {counted_periods(parts.placebo)} before treatment" if parts.placebo else "Effects on the Treated"
    return title, blocks


def counted_periods(n: int) -> str:
    """``none``, ``1 period``, ``2 periods``."""
    return "none" if not n else f"{n} period{'s' * (n > 1)}"


def _rows(frame: pd.DataFrame) -> tuple[Row, ...]:
    rows: list[Row] = [
        (
            str(label),
            number(row["effect"]),
            number(row["se"]),
            ratio(row["statistic"]),
            probability(row["pvalue"]) or "nan",
            number(row["lower"]),
            number(row["upper"]),
            f"{row['n_cells']:.0f}",
        )
        for label, row in frame.iterrows()
    ]
    if len(rows) > _MOST:
        rows = [*rows[:_MOST], (f"... {len(rows) - _MOST} more", *[""] * 7)]
    return tuple(rows)


def _notes(cf: Any, overall: pd.DataFrame) -> list[str]:
    words = cf._parts.words
    equal = "cells" if words["average"] == "cells" else "entities"
    notes = [f"Averages give {equal} equal weight. Effects are those of the cells that were treated."]
    if cf.left_out:
        lost = "; ".join(f"{count} ({why})" for why, count in cf.left_out.items())
        notes.append(f"Treated cells in no average: {lost}.")
    if words["switches_off"]:
        off = words["switches_off"]
        whom = "1 entity" if off == 1 else f"{off} entities"
        notes.append(f"Treatment ends in {whom}: rows after it are untreated and in the fit.")
    if "se_bootstrap" in overall:
        se, low, high = overall[["se_bootstrap", "lower_bootstrap", "upper_bootstrap"]].iloc[0]
        draws = len(cf._parts.overall.draws)
        notes.append(
            f"Bootstrap of entities, {counted(draws, 'draw').rsplit(' ', 1)[0]}: standard error {number(se)}, "
            f"interval {number(low)} to {number(high)}."
        )
    return notes


def counterfactual_column(cf: Any, alpha: float) -> ModelColumn:
    """The column of a comparison: the overall average and averages by event time."""
    parts, words = cf._parts, cf._parts.words
    estimates = [*_estimates(parts.overall, alpha, ["ATT"])]
    labels = [f"event time {label}" for label in parts.by_event.labels]
    estimates += _estimates(parts.by_event, alpha, labels)
    overall = parts.overall
    facts: dict[str, str | tuple[str, ...]] = {
        "Observations": f"{words['untreated'] + len(cf.cells):,}",
        "Factors": f"{words['factors']}",
        "Standard errors": _ERRORS[cf.cov_type].partition(" (")[0],
    }
    note = f"{{name}}: effects on the treated ({words['treatment']}), {int(overall.n_cells[0]):,} cells."
    return ModelColumn(parts.model_name, words["outcome"], tuple(estimates), "t", 1, words["absorbed"], facts, (note,))


def _estimates(averages: Any, alpha: float, terms: list[str]) -> list[Estimate]:
    frame = averages.frame(alpha)
    columns = ["effect", "se", "statistic", "pvalue", "lower", "upper"]
    values = np.asarray(frame[columns], dtype=np.float64)
    return [Estimate(term, None, *row) for term, row in zip(terms, values.tolist(), strict=True)]
