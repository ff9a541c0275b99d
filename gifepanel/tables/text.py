"""Reports as text, of 78 columns where nothing else is said."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from gifepanel.tables.blocks import Block, Notes, Pairs, Row, Table, expanded, heads
from gifepanel.tables.decimals import aligned
from gifepanel.tables.panels import LONGEST_STUB, panels, stub_width, value_widths
from gifepanel.tables.text_width import WIDTH, centered, clip, columns, ljust, rjust, wrap

__all__ = ["text_report"]

_SHORTEST_NOTE = 66


def text_report(title: str, blocks: Sequence[Block], width: int = WIDTH, *, stretch: bool = True) -> str:
    """The report in `width` columns; without `stretch` in as many of them as its tables need."""
    parts: list[Block] = []
    for block in blocks:
        parts += panels(aligned(block), width) if isinstance(block, Table) else [block]
    page = width if stretch else min(width, max([0, *map(_needed, parts)]) or width)
    lines = [centered(part, page) for part in wrap(title, page)] if title else []
    lines.append("=" * page)
    for block in parts:
        if isinstance(block, Pairs):
            lines += _text_pairs(block, page)
        elif isinstance(block, Table):
            lines += _text_table(block, page, stretch)
        else:
            lines += _text_notes(block, page if stretch else max(page, min(width, _SHORTEST_NOTE)))
        lines.append("=" * page)
    if parts and isinstance(parts[-1], Notes):
        lines.pop()
    return "\n".join(line.rstrip() for line in lines)


def _needed(block: Block) -> int:
    """Columns that a table needs; notes need none."""
    if isinstance(block, Table):
        return min(stub_width(block), LONGEST_STUB) + sum(value_widths(block))
    return WIDTH if isinstance(block, Pairs) else 0


# ---- labels and values


def _text_pairs(block: Pairs, page: int) -> list[str]:
    gap = 2
    need_left, need_right = (
        max([20, *(columns(label) + columns(value) + 2 for label, value in side)]) for side in (block.left, block.right)
    )
    right = max(min(need_right, page // 2 - gap), page - gap - need_left, min(30, page // 2 - gap))
    right = min(right, max(need_right, 30))
    left = page - right - gap
    lines = []
    for left_pair, right_pair in block.rows:
        for a, b in zip_longest(_fitted(left_pair, left), _fitted(right_pair, right), fillvalue=""):
            lines.append(ljust(a, left) + " " * gap + b)
    return lines


def _fitted(pair: tuple[str, str], width: int) -> list[str]:
    """Label flush left, value flush right; what does not fit beside each other goes on in further lines."""
    label, value = pair
    if not label and not value:
        return [""]
    short = width - columns(value) - 1
    fits = max(columns(word) for word in f"{label}:".split()) + 2 <= short < columns(label) + 1
    labels = wrap(f"{label}:", short if fits else width, " ")
    room = width - columns(labels[-1]) - 1
    if columns(value) <= room:
        return [*labels[:-1], labels[-1] + rjust(value, width - columns(labels[-1]))]
    first, rest = _first_words(value, room)
    labels[-1] += rjust(first, width - columns(labels[-1]))
    return [*labels, *(rjust(part, width) for part in wrap(rest, width - 2))]


def _first_words(text: str, room: int) -> tuple[str, str]:
    """As many words as there is room for, and the others."""
    words = text.split()
    count = 0
    while count < len(words) and columns(" ".join(words[: count + 1])) <= room:
        count += 1
    return " ".join(words[:count]), " ".join(words[count:])


# ---- tables


def _text_table(block: Table, page: int, stretch: bool) -> list[str]:
    stub, widths = _column_widths(block, page, stretch)
    lines = []
    for head, ruled in heads(block):
        lines += _head_lines(head, stub, widths, block)
        if ruled:
            lines.append(_dashes(head, stub, widths))
    lines.append("-" * page)
    for number, (title, rows) in enumerate(block.sections):
        if number and block.rules:
            lines.append("-" * page)
        if title:
            lines.append(clip(title, page))
        for row in rows:
            lines += _row_lines(row, stub, widths, block, page)
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


def _column_widths(block: Table, page: int, stretch: bool) -> tuple[int, list[int]]:
    widths = value_widths(block)
    stubs = stub_width(block)
    if block.text_last:
        widths[:-1] = _shrunk([min(width, 18) for width in widths[:-1]], page - 28)
        stub = min(stubs, max(10, page - sum(widths[:-1]) - min(30, page // 3)))
        widths[-1] = max(12, page - stub - sum(widths[:-1]))
        return page - sum(widths), widths
    if sum(widths) > page - 16 or stubs - len(widths) <= page - sum(widths) < stubs:
        widths = [width - 1 for width in widths]
    widths = _shrunk(widths, max(page - 8, min(sum(widths), page - 2)))  # numbers before names, which have own lines
    stub = max(min(16, page - sum(widths)), min(stubs, page - sum(widths)))
    if stretch:
        spare = page - stub - sum(widths)
        widths = [width + max(0, min(spare // len(widths), 4)) for width in widths]
    return page - sum(widths) if stretch else stub, widths


def _shrunk(widths: list[int], room: int) -> list[int]:
    """Take from the widest columns until all fit."""
    widths = list(widths)
    while sum(widths) > room and max(widths) > 2:
        widths[widths.index(max(widths))] -= 1
    return widths


def _row_lines(row: Row, stub: int, widths: Sequence[int], block: Table, page: int) -> list[str]:
    """A row, words wrapped; a stub without room stands on lines of its own."""
    name = expanded(row)[0][2]
    indent = " " * (len(name) - len(name.lstrip()))
    own = [indent + part for part in wrap(name, page - len(indent))] if columns(name) > stub else []
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


# ---- notes


def _text_notes(block: Notes, width: int) -> list[str]:
    if not block.numbered:
        return [line for note in block.lines for line in wrap(note, width)]
    lines = ["Notes:"] if block.lines else []
    for number, note in enumerate(block.lines, 1):
        lines += wrap(f"[{number}] {note}", width, "    ")
    return lines
