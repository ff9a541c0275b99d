"""Reports as text of 78 columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from gifepanel.tables.blocks import Block, Cell, Notes, Pairs, Row, Span, Table, expanded, heads
from gifepanel.tables.text_width import centered, clip, columns, ljust, rjust, wrap

__all__ = ["WIDTH", "natural_width", "text_report"]

WIDTH = 78
LONGEST_STUB = 34
LONGEST_WORDS = 16


def text_report(title: str, blocks: Sequence[Block]) -> str:
    lines = [centered(part, WIDTH) for part in wrap(title, WIDTH)] if title else []
    lines.append("=" * WIDTH)
    for block in blocks:
        if isinstance(block, Pairs):
            lines += _text_pairs(block)
        elif isinstance(block, Table):
            for number, panel in enumerate(_panels(block)):
                lines += [*(["=" * WIDTH] if number else []), *_text_table(panel)]
        else:
            lines += _text_notes(block)
        lines.append("=" * WIDTH)
    if blocks and isinstance(blocks[-1], Notes):
        lines.pop()
    return "\n".join(line.rstrip() for line in lines)


def _text_pairs(block: Pairs) -> list[str]:
    gap = 2
    right_width = max([30, *(columns(label) + columns(value) + 2 for label, value in block.right)])
    right_width = min(right_width, WIDTH // 2 + 4)
    left_width = WIDTH - right_width - gap
    lines = []
    for left_pair, right_pair in block.rows:
        left, right = _fitted(left_pair, left_width), _fitted(right_pair, right_width)
        for a, b in zip_longest(left, right, fillvalue=""):
            lines.append(ljust(a, left_width) + " " * gap + b)
    return lines


def _fitted(pair: tuple[str, str], width: int) -> list[str]:
    """Label flush left, value flush right; a value that is too long continues on the next lines."""
    label, value = pair
    if not label and not value:
        return [""]
    label = clip(label, width - 12) + ":"
    room = width - columns(label) - 1
    parts = [value] if columns(value) <= room else wrap(value, max(room, 8)) or [""]
    return [label + rjust(parts[0], width - columns(label)), *(rjust(part, width) for part in parts[1:])]


def _text_table(block: Table) -> list[str]:
    stub, widths = _column_widths(block)
    lines = []
    for head, ruled in heads(block):
        lines += _head_lines(head, stub, widths, block)
        if ruled:
            lines.append(_dashes(head, stub, widths))
    lines.append("-" * WIDTH)
    for number, (title, rows) in enumerate(block.sections):
        if number and block.rules:
            lines.append("-" * WIDTH)
        if title:
            lines.append(clip(title, WIDTH))
        for row in rows:
            lines += _row_lines(row, stub, widths, block)
    return lines


def _head_lines(row: Row, stub: int, widths: Sequence[int], block: Table) -> list[str]:
    """A row of headings, wrapped upwards."""
    cells = []
    for start, n, text in expanded(row):
        width = stub if start == 0 else sum(widths[start - 1 : start - 1 + n])
        parts = wrap(text.strip(), max(width - bool(start), 2))
        if start == 0:
            cells.append([ljust(part, width) for part in parts])
        elif block.text_last and start == len(widths):
            cells.append(["  " + ljust(part, width - 2) for part in parts])
        elif n > 1:
            cells.append(["  " + centered(part, width - 2) for part in parts])
        else:
            cells.append([rjust(part + _pad(part, block.hang, width), width) for part in parts])
    height = max(map(len, cells))
    filled = [[" " * columns(parts[0])] * (height - len(parts)) + parts for parts in cells]
    return ["".join(parts) for parts in zip(*filled, strict=True)]


def _pad(text: str, hang: int, width: int) -> str:
    """Blanks under what hangs out of the column, so that headings stand over the digits."""
    return " " * min(hang - text.endswith((")", "]")), width - 1 - columns(text)) if hang else ""


def _dashes(row: Row, stub: int, widths: Sequence[int]) -> str:
    line = ""
    for start, n, text in expanded(row):
        width = stub if start == 0 else sum(widths[start - 1 : start - 1 + n])
        line += "  " + "-" * (width - 2) if n > 1 and text else " " * width
    return line


def natural_width(block: Table, shortest_stub: int = 12) -> int:
    """Columns that the table needs with all its stubs in full."""
    stub = max([shortest_stub, *(columns(row[0]) for row in [block.header, *block.rows] if isinstance(row[0], str))])
    return stub + sum(_value_widths(block))


def _value_widths(block: Table) -> list[int]:
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


def _column_widths(block: Table) -> tuple[int, list[int]]:
    widths = _value_widths(block)
    stubs = [columns(row[0]) for row in (block.header, *block.rows) if isinstance(row[0], str)]
    if block.text_last:
        widths[:-1] = _shrunk([min(width, 18) for width in widths[:-1]], WIDTH - 28)
        stub = min(max(stubs), max(10, WIDTH - sum(widths[:-1]) - 30))
        widths[-1] = max(12, WIDTH - stub - sum(widths[:-1]))
        return WIDTH - sum(widths), widths
    if sum(widths) > WIDTH - 16:
        widths = [width - 1 for width in widths]
    widths = _shrunk(widths, WIDTH - 8)
    stub = max(min(16, WIDTH - sum(widths)), min(max(stubs), WIDTH - sum(widths)))
    spare = WIDTH - stub - sum(widths)
    widths = [width + max(0, min(spare // len(widths), 4)) for width in widths]
    return WIDTH - sum(widths), widths


def _shrunk(widths: list[int], room: int) -> list[int]:
    """Take from the widest columns until all fit."""
    widths = list(widths)
    while sum(widths) > room and max(widths) > 2:
        widths[widths.index(max(widths))] -= 1
    return widths


def _row_lines(row: Row, stub: int, widths: Sequence[int], block: Table) -> list[str]:
    """A row, words wrapped; a stub without room stands on lines of its own."""
    name = expanded(row)[0][2]
    indent = " " * (len(name) - len(name.lstrip()))
    own = [indent + part for part in wrap(name, WIDTH - len(indent))] if columns(name) > stub else []
    cells = [[ljust("" if own else name, stub)]]
    for start, n, text in expanded(row)[1:]:
        width = sum(widths[start - 1 : start - 1 + n])
        if block.text_last and start == len(widths):
            cells.append(["  " + ljust(part, width - 2) for part in wrap(text, width - 2)])
        elif n > 1:
            cells.append(["  " + centered(part, width - 2) for part in wrap(text.strip(), width - 2)])
        elif columns(text) <= width:
            cells.append([rjust(text, width)])
        else:
            room = max(width - 1 - block.hang, 2)
            cells.append([rjust(part + " " * block.hang, width) for part in wrap(text.strip(), room)])
    lines = zip_longest(*cells)
    blank = [" " * columns(parts[0]) for parts in cells]
    return [*own, *("".join(b if p is None else p for p, b in zip(line, blank, strict=True)) for line in lines)]


def _text_notes(block: Notes) -> list[str]:
    if not block.numbered:
        return [line for note in block.lines for line in wrap(note, WIDTH)]
    lines = ["Notes:"]
    for number, note in enumerate(block.lines, 1):
        lines += wrap(f"[{number}] {note}", WIDTH, "    ")
    return lines


# ---- tables that are too wide


def _panels(block: Table) -> list[Table]:
    """The table itself where it fits; otherwise panels of as many columns as do, one below the other."""
    stubs = [columns(row[0]) for row in (block.header, *block.rows) if isinstance(row[0], str)]
    stub = min(max(stubs), LONGEST_STUB)
    if not block.units or stub + sum(_value_widths(block)) <= WIDTH:
        return [block]
    room = WIDTH - stub
    panels, start, width, stop = [], 1, 0, 1
    for lo, hi in _pieces(block, room):
        own = sum(_value_widths(_cut(block, lo, hi)))
        if width and width + own > room:
            panels.append(_cut(block, start, stop))
            start, width = lo, 0
        width, stop = width + own, hi
    return [*panels, _cut(block, start, stop)]


def _pieces(block: Table, room: int) -> list[tuple[int, int]]:
    """Ranges of columns that stay together: units, or their columns where a unit is too wide by itself."""
    pieces, start = [], 1
    for n in block.units:
        if sum(_value_widths(_cut(block, start, start + n))) <= room:
            pieces.append((start, start + n))
        else:
            pieces += [(j, j + 1) for j in range(start, start + n)]
        start += n
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
