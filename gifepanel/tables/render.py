"""Blocks as a report in any of the formats."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gifepanel.tables.blocks import Alternatives, Block, cleaned
from gifepanel.tables.latex import latex_report
from gifepanel.tables.markup import csv_report, html_report, markdown_report
from gifepanel.tables.panels import chosen
from gifepanel.tables.text import text_report
from gifepanel.tables.text_width import WIDTH, plain

__all__ = ["render"]

_SETTERS: dict[str, Callable[..., str]] = {
    "text": text_report,
    "html": html_report,
    "latex": latex_report,
    "markdown": markdown_report,
    "csv": csv_report,
}


def render(
    title: str, blocks: Sequence[Block | Alternatives], fmt: str, *, width: int = WIDTH, **options: object
) -> str:
    """The report in one of "text", "html", "latex", "markdown", "csv"; rows are indented in text alone.

    `width` is that of text, by which one of several forms of a table is chosen; `options` are those of the format.
    """
    shown = [cleaned(block) for block in chosen(blocks, width)]
    if fmt == "text":
        options["width"] = width
    return _SETTERS[fmt](plain(title), shown, **options)
