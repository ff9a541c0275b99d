"""Blocks of a printed report: pairs, tables and notes, whatever they are set as."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import zip_longest

from gifepanel.tables.text_width import plain

__all__ = [
    "Alternatives",
    "Block",
    "Cell",
    "Form",
    "Notes",
    "Pairs",
    "Row",
    "Span",
    "Table",
    "cleaned",
    "expanded",
    "heads",
]


@dataclass(frozen=True)
class Pairs:
    """Labels and values, in two columns side by side."""

    left: tuple[tuple[str, str], ...]
    right: tuple[tuple[str, str], ...]

    @property
    def rows(self) -> list[tuple[tuple[str, str], tuple[str, str]]]:
        """Pairs side by side, the shorter column filled up with empty ones."""
        return list(zip_longest(self.left, self.right, fillvalue=("", "")))


@dataclass(frozen=True)
class Span:
    """A cell over `n` columns."""

    text: str
    n: int


Cell = str | Span
Row = tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """A table with stubs: the first column is text, the others numbers.

    Attributes
    ----------
    header : tuple of str
        One cell a column.
    sections : tuple of (title, rows)
        The title is printed over the rows where it is not empty.
    text_last : bool
        The last column is text too.
    spanners : tuple of rows
        Over the header; their cells may span several columns.
    units : tuple of int
        Numbers of columns that stay together, as far as they can, when the table is set in panels one below the other
        because it is too wide. Empty: it is never split.
    rules : bool
        Lines between sections.
    hang : int
        Number of characters at the end of the cells that hang out beyond the digits: stars, brackets or blanks.
    """

    header: tuple[str, ...]
    sections: tuple[tuple[str, tuple[Row, ...]], ...]
    text_last: bool = False
    spanners: tuple[Row, ...] = ()
    units: tuple[int, ...] = ()
    rules: bool = True
    hang: int = 0

    @property
    def rows(self) -> list[Row]:
        """All rows but the header's."""
        return [row for _, section in self.sections for row in section]


@dataclass(frozen=True)
class Notes:
    """Sentences, numbered unless `numbered` is false; `pointer` says where there is more, the last of them."""

    lines: tuple[str, ...]
    numbered: bool = True
    pointer: str = ""


Block = Pairs | Table | Notes


@dataclass(frozen=True)
class Form:
    """Tables, and what a reader is told of how they are set, which may be nothing; some are for narrow pages alone."""

    tables: tuple[Table, ...]
    words: str = ""
    narrow: bool = False


@dataclass(frozen=True)
class Alternatives:
    """The same content in several forms, the most spacious first; the first that fits is set, or the last."""

    forms: tuple[Form, ...]


def cleaned(block: Block) -> Block:
    """The block with every text on one line."""
    if isinstance(block, Notes):
        return replace(block, lines=tuple(map(plain, block.lines)))
    if isinstance(block, Pairs):
        sides = [tuple((plain(label), plain(value)) for label, value in side) for side in (block.left, block.right)]
        return Pairs(sides[0], sides[1])
    sections = tuple((plain(title), tuple(map(_clean_row, rows))) for title, rows in block.sections)
    header = tuple(map(plain, block.header))
    return replace(block, header=header, sections=sections, spanners=tuple(map(_clean_row, block.spanners)))


def _clean_row(row: Row) -> Row:
    return tuple(Span(plain(cell.text), cell.n) if isinstance(cell, Span) else plain(cell) for cell in row)


def expanded(row: Row) -> list[tuple[int, int, str]]:
    """First column, number of columns and text of the cells of a row."""
    out, start = [], 0
    for cell in row:
        n = cell.n if isinstance(cell, Span) else 1
        out.append((start, n, cell.text if isinstance(cell, Span) else cell))
        start += n
    return out


def heads(block: Table) -> list[tuple[Row, bool]]:
    """Rows over the body, each with whether lines belong under its cells over several columns: under the last such."""
    rows = [row for row in (*block.spanners, block.header) if any(row)]
    spans = [j for j, row in enumerate(rows) if any(n > 1 for _, n, _ in expanded(row))]
    return [(row, bool(spans) and j == spans[-1]) for j, row in enumerate(rows)]
