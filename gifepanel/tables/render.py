"""Blocks as a report in any of the formats."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gifepanel.tables.blocks import Block, cleaned
from gifepanel.tables.markup import csv_report, html_report, latex_report, markdown_report
from gifepanel.tables.text import text_report
from gifepanel.tables.text_width import plain

__all__ = ["render"]

_SETTERS: dict[str, Callable[[str, Sequence[Block]], str]] = {
    "text": text_report,
    "html": html_report,
    "latex": latex_report,
    "markdown": markdown_report,
    "csv": csv_report,
}


def render(title: str, blocks: Sequence[Block], fmt: str) -> str:
    """The report in one of "text", "html", "latex", "markdown", "csv"; rows are indented in text alone."""
    return _SETTERS[fmt](plain(title), [cleaned(block) for block in blocks])
