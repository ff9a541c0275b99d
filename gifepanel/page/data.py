"""The data of a fit in a report: how many rows, of whom and when, which were left out and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.tables.blocks import Pairs, Table
from gifepanel.tables.factor_summary import pruned_words

__all__ = ["DataFacts", "data_facts", "described_columns", "rows_in_memory"]

Array = np.ndarray[Any, np.dtype[np.float64]]
Facts = list[tuple[str, str]]


@dataclass(frozen=True)
class DataFacts:
    """What is known of the data, in words.

    Attributes
    ----------
    rows : Pairs
    variables : Pairs
    index : (str, str) or None
        Names of entity and time.
    """

    rows: Pairs
    variables: Pairs
    index: tuple[str, str] | None


def data_facts(res: Any) -> DataFacts:
    """Shape of the data, rows used and left out, variables and what became of them."""
    design, model, index = res.model.design, res.model, _index(res.model)
    rows: Facts = [("Rows in the data", f"{design.n_rows:,}"), ("Rows used", f"{int(res.nobs):,}")]
    rows += _left_out(design, model) + _pruned(res)
    if index is not None:
        rows.append(_span("Entities", index.entity_name, index.entities))
        rows.append(_span("Periods", index.time_name, index.times))
        cells = index.n_entities * index.n_times
        balanced = int(res.nobs) == cells
        shape = "balanced" if balanced else f"unbalanced: {100 * res.nobs / cells:.1f}% of entities times periods"
        rows.append(("Panel", shape))
        fewest, most = int(index.counts.min()), int(index.counts.max())
        if fewest < most and not index.has_duplicates:
            rows.append(("Periods of an entity", f"{fewest:,} to {most:,}"))
    return DataFacts(
        Pairs(tuple(rows), ()),
        Pairs(tuple(_variables(res, design)), ()),
        None if index is None else (str(index.entity_name), str(index.time_name)),
    )


def _index(model: Any) -> Any:
    """Who and when, None where the data don't say."""
    if hasattr(model, "panel_index"):
        return model.panel_index(model._entity, model._time, required=False)
    return model.design.panel


def _left_out(design: Any, model: Any) -> Facts:
    out: Facts = []
    lagged = set(design.lagged_terms)
    for name, count in design.dropped_by.items():
        out.append((f"of which without {name}", f"{count:,} " + ("(lost to lags)" if name in lagged else "(missing)")))
    if design.n_dropped:
        out.insert(0, ("Rows left out, incomplete", f"{design.n_dropped:,}"))
    if getattr(model, "n_singletons", 0):
        out.append(("Rows left out, alone in a level of an effect", f"{model.n_singletons:,}"))
    if getattr(model, "n_zero_weights", 0):
        out.append(("Rows left out, weight zero", f"{model.n_zero_weights:,}"))
    return out


def _pruned(res: Any) -> Facts:
    """What says nothing about slopes."""
    sample = getattr(res, "sample", None)
    if sample is None or not getattr(sample, "n_pruned", 0):
        return []
    return [("Rows left out, no part of the fit", f"{sample.n_pruned:,}: {pruned_words(sample)}")]


def _span(label: str, name: Any, values: pd.Index) -> tuple[str, str]:
    ends = [_plain(values[0]), _plain(values[-1])]
    return f"{label} ({name})", f"{len(values):,}: {ends[0]} to {ends[1]}" if len(values) > 1 else f"1: {ends[0]}"


def _plain(value: Any) -> str:
    if isinstance(value, pd.Timestamp) and value == value.normalize():
        return str(value.date())
    return str(value)


def _variables(res: Any, design: Any) -> Facts:
    dropped = tuple(res.model.dropped if hasattr(res.model, "dropped") else res.dropped)
    regressors = [str(name) for name in design.exog_names if name not in dropped]
    out: Facts = [("Outcome", str(design.endog_name)), ("Regressors", ", ".join(regressors))]
    lags = [str(design.exog_names[j]) for j in design.lags_of_endog]
    common = [str(design.exog_names[j]) for j in design.common]
    controls = [str(name) for name in design.control_names if name != "Intercept"]
    levels = [
        f"{name} ({len(design.absorbed_codes[name][1]):,} levels)" if name in design.absorbed_codes else str(name)
        for name in design.absorbed
    ]
    for label, values in (
        ("Regressors left out (spanned by others or by effects)", map(str, dropped)),
        ("Lags of the outcome", lags),
        ("Same slope in all groups", common),
        ("Absorbed effects", levels),
        ("Controls, partialled out", controls),
    ):
        text = ", ".join(values)
        if text:
            out.append((label, text))
    if design.weights is not None:
        out.append(("Weights", str(design.weights_name or "given by row")))
    return out


def rows_in_memory(res: Any) -> bool:
    """Whether the data are there: not removed, and not elsewhere."""
    return res.model.design is not None and getattr(res.model, "_rows", None) is None


def described_columns(res: Any) -> Table | None:
    """Mean, standard deviation and range of outcome and regressors; None where there are no rows in memory."""
    design = res.model.design
    if not rows_in_memory(res):
        return None
    kept = [j for j, name in enumerate(design.exog_names) if not _is_constant(design.exog[:, j])]
    columns: Mapping[str, Array] = {
        str(design.endog_name): design.endog,
        **{str(design.exog_names[j]): design.exog[:, j] for j in kept},
    }
    index = _index(res.model)
    within = index is not None and index.n_entities < len(design.endog)
    rows = []
    for name, values in columns.items():
        row = [values.mean(), values.std(ddof=1), values.min(), values.max()]
        if within:
            row.insert(2, _within(values, index.entity_codes))
        rows.append((name, *(_figure(one) for one in row)))
    header = ("Variable", "mean", "std. dev.", *(["within entities"] if within else []), "min", "max")
    return Table(header, (("", tuple(rows)),))


def _is_constant(values: Array) -> bool:
    return bool(values[0] == values.min() == values.max())


def _within(values: Array, codes: Any) -> float:
    """Standard deviation about the means of the entities, degrees of freedom counted."""
    counts = np.bincount(codes)
    means = np.bincount(codes, weights=values) / np.maximum(counts, 1)
    left = values - means[codes]
    return float(np.sqrt(left @ left / max(len(values) - int((counts > 0).sum()), 1)))


def _figure(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 9999.5 else f"{value:,.0f}" if abs(value) < 1e12 else f"{value:.3e}"
