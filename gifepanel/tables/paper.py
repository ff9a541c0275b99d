"""The coefficients of a fit as a paper has them: with what was estimated from what, and what warns of a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gifepanel.exceptions import SpecificationError
from gifepanel.tables.blocks import Alternatives, Form, Notes, Pairs, Row, Table
from gifepanel.tables.coefficients import coefficient_blocks, coefficient_table
from gifepanel.tables.summary import PanelSummary, ReportParts, report

__all__ = ["paper_report"]

_TOLD = ("Model", "Absorbed", "Partialled out", "Factors", "Groups", "Covariance", "Observations")  # of the information


def paper_report(
    res: Any, *, full: bool = False, rename: Mapping[str, str] | None = None, title: str | None = None
) -> PanelSummary:
    """The coefficients alone, or with `full` the whole summary."""
    names = {str(key): str(value) for key, value in (rename or {}).items()}
    known = list(dict.fromkeys([*(term for term, _ in res._terms()), *res._names]))
    strange = next((name for name in names if name not in known), None)
    if strange is not None:
        raise SpecificationError(
            f"rename names {strange!r}, which is no regressor of this model.", f"There are {', '.join(known)}.", None
        )
    if full:
        summary = report(res, 0.05, "auto", title, False, full=True)
        return PanelSummary(summary.title, [_renamed(block, names) for block in summary.blocks])
    parts: ReportParts = res._report_parts
    blocks = [_plainly(block) for block in coefficient_blocks(res, 0.05, "auto")]
    notes = (_specification(parts.information), *parts.remarks.warnings)
    outcome = dict(parts.information.left)["Dep. variable"]
    heading = f"Dependent variable: {outcome}" if title is None else str(title)
    complete = [_renamed(coefficient_table(res, 0.05), names), Notes(notes, numbered=False)]
    return PanelSummary(
        heading, [*(_renamed(block, names) for block in blocks), Notes(notes, numbered=False)], complete
    )


def _plainly(block: Alternatives) -> Alternatives:
    """Forms that say what stands in them, and nothing of calls."""
    forms = (Form(form.tables, f"{form.words.partition(';')[0]}." if ";" in form.words else "") for form in block.forms)
    return Alternatives(tuple(forms))


def _specification(information: Pairs) -> str:
    """ "GroupedIFE; absorbed: state; factors: 2; groups: 3; ... ."."""
    rows = [pair for pair in (*information.left, *information.right) if pair[0].startswith(_SIZES) or pair[0] in _TOLD]
    told = [value if label == "Model" else f"{label[0].lower()}{label[1:]}: {value}" for label, value in rows]
    return f"{'; '.join(text for text in told if not text.endswith(': none'))}."


_SIZES = ("Entities", "Periods (")


def _renamed(block: Any, names: Mapping[str, str]) -> Any:
    """Stubs under other names."""
    if isinstance(block, Alternatives):
        forms = (Form(tuple(_renamed(table, names) for table in form.tables), form.words) for form in block.forms)
        return Alternatives(tuple(forms))
    if not isinstance(block, Table) or not names:
        return block
    sections = tuple((title, tuple(_renamed_row(row, names) for row in rows)) for title, rows in block.sections)
    return replace(block, sections=sections)


def _renamed_row(row: Row, names: Mapping[str, str]) -> Row:
    name = row[0]
    if not isinstance(name, str) or not name.strip():
        return row
    bare, _, group = name.strip().rpartition("[")
    new = names.get(name.strip()) or (f"{names[bare]}[{group}" if bare in names and group.endswith("]") else None)
    return row if new is None else (name[: len(name) - len(name.lstrip())] + new, *row[1:])
