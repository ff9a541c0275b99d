"""The printed report of a bootstrap of slopes and groups."""

from __future__ import annotations

from typing import Any

import numpy as np

from gifepanel.tables.blocks import Block, Notes, Pairs, Row, Table
from gifepanel.tables.coefficients import number

__all__ = ["bootstrap_report", "small_probability"]

_FEW, _STABLE, _LISTED = 199, 0.95, 12
_APART, _MOST = 60, 2000  # draws from which on all pairs are drawn together, and entities whose pairs are looked at


def small_probability(value: float) -> str:
    """A p-value with three decimals that is never shown as zero."""
    return f"{value:.3f}" if value >= 0.0005 else "<0.001"


def bootstrap_report(boot: Any, level: float, method: str) -> tuple[str, list[Block]]:
    """Title and blocks."""
    words = boot._words
    ends = boot.conf_int(level, method)
    left = (
        ("Dep. variable", words["outcome"]),
        ("Model", words["model"]),
        ("Factors", words["factors"]),
        *([("Groups", str(boot.n_groups))] if boot.n_groups > 1 else []),
        ("Entities", f"{len(boot.groups):,}"),
    )
    right = (
        ("Draws", f"{boot.n:,}"),
        ("Used", f"{boot.n_used:,}"),
        *([("Lost a group", f"{boot.n_lost:,}")] if boot.n_groups > 1 else []),
        ("Not converged", f"{boot.n_not_converged:,}"),
        ("Intervals", f"{100 * level:g}%, {method}"),
    )
    header = ("", "coef", "bias", "std err", "P", f"[{(1 - level) / 2:.3g}", f"{(1 + level) / 2:.3g}]")
    columns = (boot.params, boot.bias, boot.bse, boot.pvalues, ends["lower"], ends["upper"])
    rows: list[Row] = [
        (str(name), number(coef), number(bias), number(se), small_probability(p), number(low), number(high))
        for name, coef, bias, se, p, low, high in zip(boot.draws.columns, *map(np.asarray, columns), strict=True)
    ]
    tables = [Table(header, (("", tuple(rows)),))]
    if boot.n_groups > 1:
        tables.append(_groups(boot))
    title = "Bootstrap of Entities" if boot.kind == "entity" else f"Wild Bootstrap (signs by {boot.by})"
    return title, [Pairs(left, right), *tables, Notes(tuple(_notes(boot)))]


def _groups(boot: Any) -> Table:
    """How stable each group is, and who is not."""
    rows: list[Row] = []
    for k in range(1, boot.n_groups + 1):
        own = boot.stability[boot.groups == k].sort_values(kind="stable")
        unstable = [str(name) for name in own.index[own < _STABLE]]
        more = f" and {len(unstable) - _LISTED} more" if len(unstable) > _LISTED else ""
        mean = f"{own.mean():.2f}" if own.notna().any() else ""
        rows.append((f"Group {k}", str(len(own)), mean, str(len(unstable)), ", ".join(unstable[:_LISTED]) + more))
    header = ("", boot._words["entity"], "stability", "unstable", "least stable first")
    return Table(header, (("", tuple(rows)),), text_last=True)


def _notes(boot: Any) -> list[str]:
    words, grouped = boot._words, boot.n_groups > 1
    if boot.kind == "entity":
        notes = ["Entities are drawn with replacement; draws start at the solution of the fit."]
    else:
        notes = [f"Residuals get random signs{_shared(boot)}; draws start at the solution of the fit."]
    if grouped:
        notes.append(
            "Groups are found again in every draw. That repeats the bias that finding groups has and does not take it "
            "away: intervals here hold the truth no more often than those of the summary, which allow for estimated "
            'groups (groups="soft" takes most of the bias away).'
        )
        notes.append(
            f"Stability: share of draws in which an entity is in its own group; unstable: below {_STABLE:g}; pairs: "
            ".comembership. Draws begin with the groups of the fit: other groupings that fit as well are not looked "
            "for, so that groups that are not separated look more stable than they are (.membership has probabilities)."
        )
    if boot.n_used < boot.n:
        notes.append(f"{_lost(boot)} of {boot.n:,} draws are in none of the numbers.")
    if boot.n_used < _FEW:
        notes.append(f"{boot.n_used} draws are few for the ends of intervals and for p-values: take 999.")
    if words["correction"]:
        notes.append(f"Slopes are corrected for bias ({words['correction']}): the correction of the fit, in all draws.")
    if words["classify"] == "nearest":
        notes.append(
            "The fit put entities to the nearest centre; draws refine groups by least squares, so that stability is "
            "that of refined groups."
        )
    if words["lags"] and boot.kind == "wild":
        notes.append(f"Lags ({words['lags']}) are kept as they are: only errors are drawn.")
    if grouped and boot.kind == "entity" and boot.n_used < _APART and _never_together(boot):
        notes.append("Some entities were never drawn together: take more draws.")
    return notes


def _never_together(boot: Any) -> bool:
    return len(boot.groups) <= _MOST and bool(np.isnan(boot.comembership.to_numpy()).any())


def _shared(boot: Any) -> str:
    return ", cell by cell" if boot.by == "cell" else f", the same within a {boot.by}"


def _lost(boot: Any) -> str:
    parts = [(boot.n_lost, "lost a group"), (boot.n_not_converged, "did not converge")]
    said = [f"{count:,} {what}" for count, what in parts if count]
    return f"{boot.n - boot.n_used:,} ({', '.join(said)})"
