"""Effects on the rows that a fit left out, and their averages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.inference.counterfactual import (
    FittedCells,
    OutsideCells,
    cell_variances,
    cell_weights,
    check_kind,
    clustered_variances,
    noise_variances,
    plain_variances,
    single_cells,
)
from gifepanel.results.counterfactual import Averages, Counterfactual, CounterfactualParts
from gifepanel.results.pretrend import Pretrend

if TYPE_CHECKING:
    from gifepanel.panel.treatment import Treatment

__all__ = ["counterfactual_of", "placebo_of", "with_draws"]

Array = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]


def counterfactual_of(
    res: Any, *, cov_type: str, average: str, window: tuple[int, int] | None = None
) -> Counterfactual:
    """Effects on the rows that a fit left out.

    Parameters
    ----------
    res : FactorResults
    cov_type : {"cluster", "HC2", "nonrobust"}
    average : {"cells", "entities"}
        What the overall average gives equal weight.
    window : pair of int, optional
        First and last event time of the overall average; by default from 0 on.

    Raises
    ------
    SpecificationError
        If the model was given no treatment.
    DataError
        If nothing can be said of any treated cell.
    """
    estimate, kind = res._estimate, check_kind(cov_type)
    if average not in ("cells", "entities"):
        raise SpecificationError(f"average is {average!r}.", "It must be 'cells' or 'entities'.", 'average="cells"')
    treatment = res.model._treatment
    if treatment is None:
        raise SpecificationError(
            "The model has no treated rows.",
            "They are named when the model is made, and left out of the fit.",
            f'{type(res.model).__name__}.from_formula(formula, data, treated="name of a column")',
        )
    what_if = res.model._what_if()
    rows = np.flatnonzero(treatment.left_out)
    outside = what_if.outside(estimate, treatment.design, rows)
    known = outside.entity_known & outside.time_known
    fit = what_if.fitted_cells(estimate)
    table = _Cells.of(treatment, rows, outside, fit, estimate, kind)
    window = (0, np.iinfo(np.int64).max) if window is None else window
    inside = table.averaged & (table.event >= window[0]) & (table.event <= window[1])
    if not inside.any():
        raise DataError(
            "There is no treated cell with an untreated past of which the untreated cells say anything.",
            "A counterfactual needs untreated periods of the entity, more than the model has coefficients of it, and "
            "untreated entities in the period.",
            f"n_factors={max(res.n_factors - 1, 0)}" if res.n_factors else "Absorb fewer effects.",
        )
    parts = _averages(table, fit, kind, average, inside, treatment.times)
    left_out = _lost(treatment, rows, known, outside, table)
    frame = _cell_frame(treatment, rows[known], table, res)
    whole = _whole(treatment, res, frame, np.unique(table.cells.entity[inside]), estimate)
    by_group = _by_group(res, table, fit, kind, inside) if res.n_groups > 1 else None
    return Counterfactual(
        CounterfactualParts(
            frame,
            *parts,
            by_group,
            left_out,
            kind,
            type(res.model).__name__,
            _words(res, treatment, average),
            Pretrend(estimate, treatment, res.model.design, fit, kind),
            whole,
            res,
            placebo_of,
        )
    )


def with_draws(cf: Counterfactual, n_bootstrap: int, **how: Any) -> Counterfactual:
    """The same with standard errors and intervals of a bootstrap of entities beside the analytic ones."""
    parts, res = cf._parts, cf._parts.res
    treatment = res.model._treatment
    kinds = ("overall", "by_event", "by_cohort", "by_group")
    given = {name: getattr(parts, name) for name in kinds if getattr(parts, name) is not None}
    stacked = np.vstack([part.weights for part in given.values()])
    rows = np.flatnonzero(treatment.left_out)
    draws, converged = res.model._what_if().bootstrap(
        res._estimate, treatment.design, rows, stacked, n_bootstrap, **how
    )
    if converged.sum() < 2:
        raise SpecificationError(
            f"{int(converged.sum())} of {n_bootstrap} fits to samples of entities converged.",
            "A bootstrap needs more.",
            "n_bootstrap=0",
        )
    at, own = 0, {}
    for name, part in given.items():
        own[name] = replace(part, draws=draws[converged, at : at + len(part.effect)])
        at += len(part.effect)
    return Counterfactual(replace(parts, **own))


def placebo_of(cf: Counterfactual, periods: int) -> Counterfactual:
    """Effects where there were none: the last periods before treatment are left out, and the model fitted again."""
    res = cf._parts.res
    treatment, kind = res.model._treatment, cf.cov_type
    event = treatment.event_time
    last = -treatment.anticipation - 1
    some = (event <= last) & (event > last - periods)
    if not some.any() or not ((event <= last - periods) & ~treatment.treated).any():
        earliest = int(last - np.nanmin(event, initial=last))
        raise SpecificationError(
            f"{periods} placebo periods were asked, and treated entities have at most {earliest + 1} periods before "
            "treatment.",
            "Some untreated periods must be left to fit the model to.",
            f"cf.placebo({max(earliest // 2, 1)})",
        )
    wider = treatment.with_anticipation(treatment.anticipation + periods)
    again = res.model._what_if().refitted(wider.untreated(), wider, dict(res._fit_options))
    found = counterfactual_of(
        getattr(again, "_results", again),
        cov_type=kind,
        average=cf._parts.words["average"],
        window=(last - periods + 1, last),
    )
    return Counterfactual(replace(found._parts, placebo=periods))


@dataclass(frozen=True, eq=False)
class _Cells:
    """Outside cells with their effects; `averaged` are those with a past and a counterfactual."""

    cells: OutsideCells
    observed: Array
    levels: Array
    variance: Array
    noise: Array
    event: Array
    cohort: IntArray
    averaged: BoolArray

    @property
    def effect(self) -> Array:
        return self.observed - self.levels

    @classmethod
    def of(
        cls, treatment: Treatment, rows: IntArray, outside: Any, fit: FittedCells, estimate: Any, kind: str
    ) -> _Cells:
        at = rows[outside.entity_known & outside.time_known]
        index = treatment.design.index
        single = single_cells(fit, outside.cells, fit.weighted(estimate.y - estimate.resid))
        levels = single.dot if np.isnan(outside.levels).any() else outside.levels
        variance, reached = cell_variances(fit, outside.cells, single, kind), single.reached
        event = treatment.event_time[at]
        return cls(
            outside.cells,
            treatment.design.endog[at],
            np.where(reached, levels, np.nan),
            np.where(reached, variance, np.nan),
            noise_variances(fit, outside.cells.entity, kind),
            event,
            treatment.cohort[index.entity_codes[at]],
            reached & ~np.isnan(event),
        )


def _averages(
    table: _Cells, fit: FittedCells, kind: str, average: str, inside: BoolArray, times: pd.Index
) -> tuple[Averages, Averages, Averages]:
    """Overall, by event time (those of anticipation too) and by cohort."""
    entity = table.cells.entity
    w = inside.astype(np.float64)
    if average == "entities":
        w = w / np.maximum(np.bincount(entity, weights=w, minlength=len(fit.observed)), 1)[entity]
    overall = _average(table, fit, kind, pd.Index(["ATT"]), (w / w.sum())[None])
    events = np.unique(table.event[table.averaged]).astype(np.int64)
    by_event = (table.event[None] == events[:, None]) & table.averaged
    cohorts = np.unique(table.cohort[inside])
    by_cohort = (table.cohort[None] == cohorts[:, None]) & inside
    return (
        overall,
        _average(table, fit, kind, pd.Index(events, name="event_time"), _equal(by_event)),
        _average(table, fit, kind, times[cohorts].rename("cohort"), _equal(by_cohort)),
    )


def _by_group(res: Any, table: _Cells, fit: FittedCells, kind: str, inside: BoolArray) -> Averages:
    groups = np.asarray(res._estimate.groups)[table.cells.entity] + 1
    found = np.unique(groups[inside])
    return _average(table, fit, kind, pd.Index(found, name="group"), _equal((groups[None] == found[:, None]) & inside))


def _equal(members: BoolArray) -> Array:
    return members / np.maximum(members.sum(axis=1, keepdims=True), 1)


def _average(table: _Cells, fit: FittedCells, kind: str, labels: pd.Index, w: Array) -> Averages:
    """Averages with weights w (k, m) of the cells."""
    used = (w != 0).any(axis=0)
    cells, effect = table.cells.take(used), table.effect[used]
    weights = cell_weights(fit, cells, w[:, used])
    if kind == "cluster":
        events = table.event[used].astype(np.int64)
        variance, df = clustered_variances(fit, cells, w[:, used], weights, effect, table.cohort[used], events)
    else:
        variance = plain_variances(fit, cells, w[:, used], weights, kind)
        df = np.full(len(w), fit.df_resid)
    entities = [len(np.unique(table.cells.entity[row != 0])) for row in w]
    return Averages(labels, w, w[:, used] @ effect, variance, df, (w != 0).sum(axis=1), np.array(entities))


def _lost(treatment: Treatment, rows: IntArray, known: BoolArray, outside: Any, table: _Cells) -> dict[str, int]:
    """Treated cells that are in no average, by reason."""
    treated = treatment.treated[rows]
    no_past = treated[known] & np.isnan(table.event)
    counts = {
        "entities without enough untreated periods": int((treated & ~outside.entity_known).sum()),
        "periods without enough untreated entities": int((treated & outside.entity_known & ~outside.time_known).sum()),
        "no untreated past": int(no_past.sum()),
        "not determined by untreated cells": int((treated[known] & ~no_past & ~table.averaged).sum()),
    }
    return {why: count for why, count in counts.items() if count}


def _cell_frame(treatment: Treatment, at: IntArray, table: _Cells, res: Any) -> pd.DataFrame:
    index = treatment.design.index
    labels = pd.MultiIndex.from_arrays(
        [index.entities[index.entity_codes[at]], index.times[index.time_codes[at]]],
        names=[index.entity_name, index.time_name],
    )
    cohort = table.cohort
    columns = {
        "observed": table.observed,
        "counterfactual": table.levels,
        "effect": table.effect,
        "se": np.sqrt(table.variance + table.noise),
        "se_counterfactual": np.sqrt(table.variance),
        "event_time": pd.array(np.where(np.isnan(table.event), 0, table.event).astype(np.int64), dtype="Int64"),
        "cohort": treatment.times[np.maximum(cohort, 0)],
    }
    frame = pd.DataFrame(columns, index=labels)
    frame.loc[np.isnan(table.event), "event_time"] = pd.NA
    if res.n_groups > 1:
        frame["group"] = np.asarray(res._estimate.groups)[table.cells.entity] + 1
    return frame.sort_index()


def _whole(treatment: Treatment, res: Any, frame: pd.DataFrame, entities: IntArray, estimate: Any) -> pd.DataFrame:
    """All rows of the treated entities: observed, what the model says without treatment, event time, treated or not."""
    index, own = treatment.design.index, res.model.design.index
    chosen = own.entities[entities]
    design = treatment.design
    labels = pd.MultiIndex.from_arrays(
        [index.entities[index.entity_codes], index.times[index.time_codes]], names=[index.entity_name, index.time_name]
    )
    out = pd.DataFrame(
        {"observed": design.endog, "event_time": treatment.event_time, "treated": treatment.treated}, index=labels
    )
    fitted = pd.Series(own.from_cube(estimate.y - estimate.resid), index=own.frame_index())
    out["counterfactual"] = pd.concat([fitted, frame["counterfactual"]]).reindex(labels).to_numpy()
    return out[out.index.get_level_values(0).isin(chosen)].sort_index()


def _words(res: Any, treatment: Treatment, average: str) -> dict[str, Any]:
    """What reports and pictures say."""
    sample = res.sample
    return {
        "outcome": str(sample.endog_name),
        "treatment": treatment.name,
        "anticipation": treatment.anticipation,
        "switches_off": treatment.switches_off,
        "average": average,
        "entity": sample.entity_name,
        "time": sample.time_name,
        "factors": int(res.n_factors),
        "groups": int(res.n_groups),
        "absorbed": tuple(map(str, sample.absorbed)),
        "untreated": int(res.nobs),
    }
