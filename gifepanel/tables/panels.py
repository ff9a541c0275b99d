"""Tables by the columns they take as text: which of several forms fits, and panels of what is too wide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gifepanel.tables.blocks import Alternatives, Block, Cell, Notes, Row, Span, Table, expanded
from gifepanel.tables.text_width import WIDTH, columns

__all__ = [
    "LONGEST_STUB",
    "LONGEST_WORDS",
    "Measure",
    "chosen",
    "natural_width",
    "panels",
    "stub_width",
    "value_widths",
]

LONGEST_STUB = 34
LONGEST_WORDS = 16
_SHORTEST_STUB = 12


def chosen(blocks: Sequence[Block | Alternatives], width: int = WIDTH) -> list[Block]:
    """Blocks with the first form that fits in the place of several, what is to be said of it under the notes."""
    out: list[Block] = []
    words = ""
    for block in blocks:
        if isinstance(block, Alternatives):
            able = [form for form in block.forms if width < WIDTH or not form.narrow]
            fits = (form for form in able if all(_fits(table, width, form.narrow) for table in form.tables))
            form = next(fits, block.forms[-1])
            out += form.tables
            words = form.words
        elif isinstance(block, Notes):
            told = tuple(filter(None, [" ".join(filter(None, [words, block.pointer]))]))
            lines = (*block.lines, *told) if block.numbered else (*told, *block.lines)
            out.append(replace(block, lines=lines, pointer=""))
            words = ""
        else:
            out.append(block)
    return out


def _fits(block: Table, width: int, tight: bool) -> bool:
    """Whether the table fits with its stubs in full; `tight` has one blank less between columns."""
    return natural_width(block) - tight * (len(block.header) - 1) <= width


def natural_width(block: Table, shortest_stub: int = _SHORTEST_STUB) -> int:
    """Columns that the table needs with all its stubs in full."""
    return max(shortest_stub, stub_width(block)) + sum(value_widths(block))


def stub_width(block: Table) -> int:
    """Columns of the longest stub."""
    return max(columns(row[0]) for row in (block.header, *block.rows) if isinstance(row[0], str))


def value_widths(block: Table) -> list[int]:
    """Width of every column but the first, with the gap before it; words that can be wrapped need no more than some."""
    widths = [0] * len(block.header)
    spans = []
    for row in [block.header, *block.spanners, *block.rows]:
        for start, n, text in expanded(row):
            needed = columns(text) if not block.units or _is_number(text) else min(columns(text), LONGEST_WORDS)
            if n == 1:
                widths[start] = max(widths[start], needed + 2)
            else:
                spans.append((start, n, min(columns(text), WIDTH // 2) + 2))
    for start, n, needed in spans:
        short = needed - sum(widths[start : start + n])
        for k in range(max(short, 0)):
            widths[start + k % n] += 1
    return widths[1:]


def _is_number(text: str) -> bool:
    return not text.strip(" ()[]*+-.,%0123456789einfa")


# ---- tables that are too wide


@dataclass(frozen=True)
class Measure:
    """How wide columns and the longest stub of a table are, and what stubs may take at most and at least."""

    widths: Callable[[Table], Sequence[float]]
    stub: Callable[[Table], float]
    longest_stub: float
    shortest_stub: float


_TEXT = Measure(value_widths, stub_width, LONGEST_STUB, _SHORTEST_STUB)


def panels(block: Table, width: float, measure: Measure = _TEXT) -> list[Table]:
    """The table itself where it fits; otherwise panels of as many columns as do, one below the other."""
    stub = min(measure.stub(block), measure.longest_stub)
    if not block.units or stub + sum(measure.widths(block)) <= width:
        return [block]
    room = width - stub
    out, start, taken, stop = [], 1, 0.0, 1
    for lo, hi, alone in _pieces(block, max(room, width - measure.shortest_stub), measure):
        own = sum(measure.widths(_cut(block, lo, hi)))
        if taken and (alone or taken + own > room):
            out.append(_cut(block, start, stop))
            start, taken = lo, 0.0
        taken, stop = taken + own, hi
    return [*out, _cut(block, start, stop)]


def _pieces(block: Table, most: float, measure: Measure) -> list[tuple[int, int, bool]]:
    """Ranges of columns that stay together, and whether each begins a panel.

    They are units; the columns of a unit that is too wide even beside a short stub stand under no other's heading.
    """
    pieces, start, before = [], 1, False
    for n in block.units:
        whole = sum(measure.widths(_cut(block, start, start + n))) <= most
        parts = [(start, start + n)] if whole else [(j, j + 1) for j in range(start, start + n)]
        pieces += [(lo, hi, lo == start and (before or not whole)) for lo, hi in parts]
        start, before = start + n, not whole
    return pieces


def _cut(block: Table, lo: int, hi: int) -> Table:
    """The columns lo to hi - 1 beside the stubs."""

    def cut(row: Row) -> Any:
        cells: list[Cell] = [expanded(row)[0][2]]
        for start, n, text in expanded(row)[1:]:
            shown = min(start + n, hi) - max(start, lo)
            if shown > 0:
                cells.append(Span(text, shown) if shown > 1 else text)
        return tuple(cells)

    sections = [(title, _said(tuple(cut(row) for row in rows))) for title, rows in block.sections]
    spanners = tuple(cut(row) for row in block.spanners)
    kept = tuple((title, rows) for title, rows in sections if rows)
    return replace(block, header=cut(block.header), sections=kept, spanners=spanners, units=())


def _said(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Rows without those that say nothing of these columns."""
    return tuple(row for row in rows if any(text.strip() not in ("", "-") for _, _, text in expanded(row)[1:]))
