"""Printed reports: what all models share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from statsmodels.iolib.summary import Summary
from statsmodels.iolib.table import SimpleTable

from gifepanel.exceptions import SpecificationError
from gifepanel.statsmodels_bridge.hypotheses import check_level
from gifepanel.tables.blocks import Alternatives, Block, Notes, Pairs, Table, expanded
from gifepanel.tables.coefficients import coefficient_blocks, coefficient_table
from gifepanel.tables.panels import chosen
from gifepanel.tables.printed import Printed
from gifepanel.tables.remarks import Remarks

__all__ = [
    "LAYOUTS",
    "PanelSummary",
    "ReportParts",
    "joined",
    "notes_on_few",
    "notes_on_variances",
    "report",
    "without_errors",
]

_FEW = 10  # clusters below which the normal distribution is far off
LAYOUTS = ("auto", "side", "stacked")


class PanelSummary(Printed, Summary):
    """A printed report: text, HTML, LaTeX, Markdown and CSV.

    ``tables`` holds the content as statsmodels' SimpleTables, for code that goes through them: information first, then
    the coefficients, one a row and under their full names whatever the layout, then tests. The CSV has them so as well.
    """

    def __init__(self, title: str, blocks: Sequence[Block | Alternatives], complete: Sequence[Block] = ()) -> None:
        super().__init__()
        self.title = title
        self.blocks = tuple(blocks)
        self._complete = tuple(complete) or tuple(chosen(self.blocks))
        self.tables = [_simple(block) for block in self._complete if not isinstance(block, Notes)]

    def _content(self, fmt: str) -> tuple[str, Sequence[Block | Alternatives]]:
        extra = (Notes(tuple(self.extra_txt.splitlines())),) if self.extra_txt else ()
        return self.title, (*(self._complete if fmt == "csv" else self.blocks), *extra)


def _simple(block: Block) -> SimpleTable:
    if isinstance(block, Pairs):
        return SimpleTable([[f"{label}:", value] for label, value in (*block.left, *block.right)])
    assert isinstance(block, Table)
    rows = [[text for _, _, text in expanded(row)] for row in block.rows]
    return SimpleTable([row[1:] for row in rows], block.header[1:], [row[0] for row in rows])


# ---- the report


_POINTER = "summary(full=True) says more, summary(slim=True) less."


@dataclass(frozen=True)
class ReportParts:
    """What of a report depends neither on the level of the intervals nor on the layout.

    Attributes
    ----------
    information : Pairs
    tables : tuple of Table
        Under the coefficients: groups, tests.
    remarks : Remarks
    full_tables : tuple of Table
        The same in a full report; nothing where it is no other.
    """

    information: Pairs
    tables: tuple[Table, ...]
    remarks: Remarks
    full_tables: tuple[Table, ...] = ()


def report(
    res: Any,
    alpha: float,
    layout: str,
    title: str | None,
    slim: bool,
    yname: str | None = None,
    xname: Sequence[str] | None = None,
    full: bool = False,
) -> PanelSummary:
    """The report of a fit."""
    check_level(alpha)
    if layout not in LAYOUTS:
        raise SpecificationError(f"layout is {layout!r}.", f"It must be one of {', '.join(LAYOUTS)}.", 'layout="auto"')
    if slim and full:
        raise SpecificationError("slim and full are both true.", "A report is short or complete.", "slim=True")
    parts: ReportParts = res._report_parts
    if layout == "auto" and alpha != 0.05:
        layout = "stacked"  # who sets the level wants to see the intervals
    table = coefficient_table(res, alpha)
    coefficients: tuple[Table | Alternatives, ...] = coefficient_blocks(res, alpha, layout)
    if xname is not None:
        table = _renamed(table, xname, list(res._names))
        coefficients = (table,)
    information = parts.information
    if yname is not None:
        left = ((label, str(yname) if label == "Dep. variable" else value) for label, value in information.left)
        information = replace(information, left=tuple(left))
    everything = parts.full_tables or parts.tables
    tables = () if slim else everything if full else parts.tables
    more = not (slim or full) and bool(parts.remarks.details or parts.full_tables)
    notes = parts.remarks.shown(slim=slim, full=full, pointer=_POINTER if more else "")
    rest = () if slim else everything
    complete: tuple[Block, ...] = (information, table, *rest, *parts.remarks.shown(slim=slim, full=True))
    blocks: tuple[Block | Alternatives, ...] = (information, *coefficients, *tables, *notes)
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


def joined(parts: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([*([", ".join(parts[:-1])] if len(parts) > 1 else []), *parts[-1:]])


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
