"""Printed reports: what all models share, and the pieces of models with factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from statsmodels.iolib.summary import Summary
from statsmodels.iolib.table import SimpleTable

from gifepanel.exceptions import SpecificationError
from gifepanel.statsmodels_bridge.hypotheses import check_level
from gifepanel.tables.blocks import Block, Notes, Pairs, Table, expanded
from gifepanel.tables.coefficients import coefficient_blocks, coefficient_table, counted, number, probability
from gifepanel.tables.printed import Printed

__all__ = [
    "LAYOUTS",
    "PanelSummary",
    "ReportParts",
    "joined",
    "notes_on_edges",
    "notes_on_few",
    "notes_on_variances",
    "report",
    "report_parts",
    "without_errors",
]

_FEW = 10  # clusters below which the normal distribution is far off
LAYOUTS = ("auto", "side", "stacked")


class PanelSummary(Printed, Summary):
    """A printed report: text, HTML, LaTeX, Markdown and CSV.

    ``tables`` holds the content as statsmodels' SimpleTables, for code that goes through them: information first, then
    the coefficients, one a row and under their full names whatever the layout, then tests. The CSV has them so as well.
    """

    def __init__(self, title: str, blocks: Sequence[Block], complete: Sequence[Block] = ()) -> None:
        super().__init__()
        self.title = title
        self.blocks = tuple(blocks)
        self._complete = tuple(complete) or self.blocks
        self.tables = [_simple(block) for block in self._complete if not isinstance(block, Notes)]

    def _content(self, fmt: str) -> tuple[str, Sequence[Block]]:
        extra = (Notes(tuple(self.extra_txt.splitlines())),) if self.extra_txt else ()
        return self.title, (*(self._complete if fmt == "csv" else self.blocks), *extra)


def _simple(block: Block) -> SimpleTable:
    if isinstance(block, Pairs):
        return SimpleTable([[f"{label}:", value] for label, value in (*block.left, *block.right)])
    assert isinstance(block, Table)
    rows = [[text for _, _, text in expanded(row)] for row in block.rows]
    return SimpleTable([row[1:] for row in rows], block.header[1:], [row[0] for row in rows])


# ---- the report


@dataclass(frozen=True)
class ReportParts:
    """What of a report depends neither on the level of the intervals nor on the layout.

    Attributes
    ----------
    information : Pairs
    tables : tuple of Table
        Under the coefficients: groups, tests.
    notes : Notes
    """

    information: Pairs
    tables: tuple[Table, ...]
    notes: Notes


def report(
    res: Any,
    alpha: float,
    layout: str,
    title: str | None,
    slim: bool,
    yname: str | None = None,
    xname: Sequence[str] | None = None,
) -> PanelSummary:
    """The report of a fit."""
    check_level(alpha)
    if layout not in LAYOUTS:
        raise SpecificationError(f"layout is {layout!r}.", f"It must be one of {', '.join(LAYOUTS)}.", 'layout="auto"')
    parts: ReportParts = res._report_parts
    if layout == "auto" and alpha != 0.05:
        layout = "stacked"  # who sets the level wants to see the intervals
    table = coefficient_table(res, alpha)
    coefficients = coefficient_blocks(res, alpha, layout)
    if xname is not None:
        table = _renamed(table, xname, list(res._names))
        coefficients = (table,)
    information = parts.information
    if yname is not None:
        left = ((label, str(yname) if label == "Dep. variable" else value) for label, value in information.left)
        information = replace(information, left=tuple(left))
    tables, notes = ((), ()) if slim else (parts.tables, (_with_pointer(parts.notes, coefficients),))
    complete = (information, table, *tables, *notes)
    blocks = (information, *coefficients, *tables, *notes)
    return PanelSummary(res.report_title if title is None else str(title), blocks, complete)


def _renamed(table: Table, given: Sequence[str], own: Sequence[str]) -> Table:
    """The table of coefficients under other names."""
    names = [given] if isinstance(given, str) else [str(name) for name in given]
    if len(names) != len(own):
        raise SpecificationError(
            f"xname has {len(names)} names, and there are {len(own)} coefficients.",
            "Each needs one, in their order.",
            f"xname={list(own)}",
        )
    title, rows = table.sections[0]
    return replace(table, sections=((title, tuple((name, *row[1:]) for name, row in zip(names, rows, strict=True))),))


def _with_pointer(notes: Notes, coefficients: tuple[Table, ...]) -> Notes:
    """Where groups stand side by side, what stands where and where the rest is to be found."""
    side = coefficients[-1]
    if not (side.spanners or side.hang):
        return notes
    where = ""
    if side.hang:
        where = "Under the coefficients: standard errors in parentheses"
        where += "; " if side.spanners else ", p-values in brackets; "
    line = f'{where}summary(layout="stacked") adds t statistics and confidence intervals.'
    return replace(notes, lines=(*notes.lines, line))


def report_parts(res: Any) -> ReportParts:
    """The pieces of models with factors: information, groups, tests on residuals (none for a tiny panel), notes."""
    tables = [*res._group_tables(), _diagnostics(res)]
    return ReportParts(_information(res), tuple(t for t in tables if t is not None), Notes(tuple(_notes(res))))


def _information(res: Any) -> Pairs:
    sample = res.sample
    left = [
        ("Dep. variable", sample.endog_name),
        ("Model", type(res.model).__name__),
        ("Method", res._method),
        ("Absorbed", ", ".join(sample.absorbed) or "none"),
        ("Factors", f"{res.n_factors}{_chosen_from(res.selection, 'factors')}"),
        *res._group_information(),
        ("Covariance", covariance_words(res)),
        ("Bias correction", res.bias_correction_words),
        *([] if res.converged else [("Converged", "NO")]),
    ]
    right = [
        ("Observations", f"{int(res.nobs)}"),
        (f"Entities ({sample.entity_name})", f"{res.n_entities}"),
        (f"Periods ({sample.time_name})", f"{res.n_times}"),
        ("Df residuals", f"{int(res.df_resid)}"),
        ("R-squared", f"{res.rsquared:.4f}"),
        ("R-squared within", f"{res.rsquared_within:.4f}"),
        ("Residual std. dev.", number(float(np.sqrt(res.mse_resid)))),
        ("Log-likelihood", f"{res.llf:.2f}"),
        ("AIC", f"{res.aic:.1f}"),
        ("BIC", f"{res.bic:.1f}"),
    ]
    return Pairs(tuple(left), tuple(right))


def _chosen_from(selection: Any, what: str) -> str:
    """ " of 0 to 8, by IC2" where the number was left open."""
    table = None if selection is None else getattr(selection, what)
    if table is None or not len(table):
        return ""
    rule = f", by {selection.rule.upper()}" if what == "factors" and selection is not None else ""
    return f" (of {table.index[0]} to {table.index[-1]}{rule})"


def covariance_words(res: Any) -> str:
    """The covariance of a model with factors, in words."""
    found = res._covariance
    ways = ", ".join(f"{name} ({n})" for name, n in zip(res._cluster_names, found.n_groups, strict=False))
    kinds = {
        "nonrobust": "nonrobust (iid)",
        "HC0": "HC0 (heteroskedastic)",
        "HC1": "HC1 (heteroskedastic)",
        "HAC": f"HAC, {found.kernel}, {found.maxlags} lags",
        "driscoll-kraay": f"Driscoll-Kraay, {found.kernel}, {found.maxlags} lags",
        "cluster": f"clustered by {ways}",
    }
    return kinds[res.cov_type]


def _diagnostics(res: Any) -> Table | None:
    if res._diagnostics.empty:
        return None
    rows = []
    for name, row in res._diagnostics.iterrows():
        by_construction = abs(row.statistic) < 1e-8 * np.sqrt(res.mse_resid) and np.isnan(row.pvalue)
        rows.append(
            (
                str(name),
                number(0.0 if by_construction else row.statistic, 3),
                probability(row.pvalue) or "-",
                "zero by construction" if by_construction else str(row.null),
            )
        )
    return Table(("Residual test", "statistic", "p-value", "null hypothesis"), (("", tuple(rows)),), text_last=True)


# ---- notes


def _notes(res: Any) -> list[str]:
    parts = [part for part, there in (("effects", res.sample.absorbed), ("factors", res.n_factors)) if there]
    with_slopes = joined(["slopes", *parts])
    notes = [] if res.converged else [res._note_on_convergence()]
    notes.append(
        f"R-squared counts {with_slopes}{'' if res._centered else ', about zero since there is no constant'}"
        + (f"; R-squared within is the share the slopes explain of what {joined(parts)} leave." if parts else ".")
    )
    if res.n_factors:
        shares = joined([f"{100 * share:.1f}%" for share in res.factor_shares])
        verb = "factor explains" if res.n_factors == 1 else "factors explain"
        effects = " and additive effects" if res.sample.absorbed else ""
        notes.append(f"The {verb} {shares} of what slopes{effects} leave of the outcome.")
    if res.selection is not None:
        notes.append(_note_on_selection(res.selection))
        notes += notes_on_edges(res.selection)
    if res.n_times < 10 and getattr(res, "n_groups", 1) > 1:
        notes.append(
            f"Groups are found from {res.n_times} periods of each entity: with fewer than 10, many entities may be in "
            "another group than their own, and standard errors take the groups as known (see .membership)."
        )
    notes += res._group_notes()
    notes += _notes_on_inference(res)
    notes += _notes_on_sample(res)
    minima = res.minima
    if "n_groupings" in minima:
        notes += _note_on_groupings(minima)
        minima = minima[minima["n_starts"] > 0]
    if len(minima) > 1:
        notes.append(
            f"Least squares with factors has local minima: {len(minima)} found from {minima['n_starts'].sum()} "
            f"starts. The best is reported; the next has a sum of squares {minima['excess_percent'].iloc[1]:.3g}% "
            "higher (see .minima)."
        )
    return notes


def _note_on_groupings(minima: Any) -> list[str]:
    """A word where the best grouping was met once only, out of many minima."""
    tried = int(minima["n_groupings"].sum())
    if minima["n_groupings"].iloc[0] > 1:
        return []
    return [
        f"Of {tried} groupings tried, one alone led to the smallest sum of squares (see .minima): there may be better "
        "ones, which fit(n_starts=10) searches for longer."
    ]


def _note_on_selection(selection: Any) -> str:
    chosen = []
    if len(selection.factors):
        span = f"{selection.factors.index[0]} to {selection.factors.index[-1]}"
        chosen.append(f"the number of factors ({span}) by {selection.rule.upper()}")
    if len(selection.groups):
        span = f"{selection.groups.index[0]} to {selection.groups.index[-1]}"
        chosen.append(f"the number of groups ({span}) by an information criterion")
    return f"Chosen from the data: {joined(chosen)} (see .selection); inference takes it as given."


def notes_on_edges(selection: Any) -> list[str]:
    """What to say of a choice at the largest candidate, which may be the limit of the range and no optimum."""
    out = []
    for what, table, chosen in (
        ("factors", selection.factors, selection.n_factors),
        ("groups", selection.groups, selection.n_groups),
    ):
        if len(table) > 1 and chosen == table.index[-1]:
            out.append(
                f"The number of {what}, {chosen}, is the largest of those tried: the criterion may go on falling; it "
                "says nothing of more."
            )
    return out


def joined(parts: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([*([", ".join(parts[:-1])] if len(parts) > 1 else []), *parts[-1:]])


def _notes_on_inference(res: Any) -> list[str]:
    notes = []
    if res.bias_correction == "dynamic":
        why = "A lag of the outcome is among the regressors" if res.model._lags else "Regressors are predetermined"
        asked = ", without being asked for; bias_correction=False leaves it in." if res.model._lags else "."
        notes.append(f"{why}: their bias of order 1/T was corrected (B1 of Moon and Weidner 2017){asked}")
    elif res.bias_correction != "none":
        notes.append(f"Coefficients are corrected for bias: {res.bias_correction_words}.")
    if not res.cov_kwds["ssc"]:
        notes.append("The covariance has no small-sample factor (ssc=False).")
    return notes + notes_on_variances(res) + notes_on_few(res, "use_t=True compares with t")


def notes_on_variances(res: Any) -> list[str]:
    """Which coefficients have no standard error, and what was done about negative eigenvalues."""
    found, notes = res._covariance, []
    if found.clipped:
        notes.append("Negative eigenvalues of the covariance were set to zero (Cameron, Gelbach and Miller 2011).")
    if found.without:
        notes.append(without_errors([res._names[j] for j in found.without], found))
    elif found.min_eigenvalue < -1e-12 and not found.clipped:
        notes.append("The covariance is not positive semidefinite: single standard errors stand, joint tests may not.")
    return notes


def notes_on_few(res: Any, instead: str) -> list[str]:
    """Sums over few clusters or periods beside p-values of the normal distribution."""
    found = res._covariance
    if found.n_groups:
        count, what = min(found.n_groups), "clusters"
    elif found.kind in ("hac-groupsum", "driscoll-kraay"):
        count, what = res._n_summed, "periods"
    else:
        return []
    if res.use_t or count >= _FEW:
        return []
    return [f"{count} {what} are few for p-values and intervals of the normal distribution: {instead}."]


def without_errors(names: Sequence[str], found: Any) -> str:
    """Why coefficients have no standard error."""
    why = "negative or zero" if found.clipped or found.min_eigenvalue >= -1e-12 else "negative"
    kind = "several ways of clustering" if len(found.n_groups) > 1 else "the covariance chosen"
    return f"No standard error for {', '.join(names)}: with {kind} the estimated variance is {why}."


def _notes_on_sample(res: Any) -> list[str]:
    sample, notes = res.sample, []
    if sample.dropped:
        notes.append(f"Dropped, since effects or other regressors span them: {', '.join(sample.dropped)}.")
    if sample.n_incomplete:
        lost = ", ".join(f"{name} in {count}" for name, count in sample.incomplete.items())
        notes.append(f"{counted(sample.n_incomplete, 'row')} left out for missing values or lags: {lost}.")
    return notes
