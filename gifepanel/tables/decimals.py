"""How many decimals a number gets, and how numbers of different decimals stand under each other at the point."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from gifepanel.tables.blocks import Cell, Row, Table, expanded

__all__ = ["aligned", "column_decimals", "decimals_of", "needed", "pair_decimals", "short_by"]

_NUMBER = re.compile(r"\s*[(\[]?[-+]?[\d,]+\.(\d+)[)\]]?\**\s*")


def needed(value: float, digits: int, significant: int = 2) -> int:
    """`digits` decimals, or as many more as `significant` digits of the value take."""
    if not math.isfinite(value) or value == 0:
        return digits
    return max(digits, significant - 1 - math.floor(math.log10(abs(value))))


def pair_decimals(value: float, error: float, digits: int) -> tuple[int, int]:
    """Decimals of a coefficient and of its standard error.

    `digits`, or more for two significant ones of each; a coefficient has no more of them than its error calls for.
    """
    own, of_error = needed(value, digits), needed(error, digits)
    exact = not math.isfinite(error) or error <= 1e-8 * abs(value)
    return (own if exact else min(own, of_error)), of_error


def decimals_of(text: str) -> int:
    """Decimals of a cell that is a number, marks and brackets aside; 0 of all others."""
    found = _NUMBER.fullmatch(text)
    return len(found[1]) if found else 0


def column_decimals(block: Table) -> list[int]:
    """The most decimals in each column."""
    most = [0] * len(block.header)
    for row in block.rows:
        for start, n, text in expanded(row):
            if start and n == 1:
                most[start] = max(most[start], decimals_of(text))
    return most


def short_by(text: str, most: int) -> int:
    """Decimals that a number has less than its column; 0 of what has none."""
    own = decimals_of(text)
    return most - own if own else 0


def aligned(block: Table) -> Table:
    """Numbers filled up with blanks, so that points stand under each other where cells are flush right."""
    most = column_decimals(block)
    if not any(short_by(text, most[j]) for row in block.rows for j, n, text in expanded(row) if j and n == 1):
        return block
    return replace(
        block, sections=tuple((title, tuple(_filled(row, most) for row in rows)) for title, rows in block.sections)
    )


def _filled(row: Row, most: list[int]) -> Row:
    cells: list[Cell] = []
    for cell, (start, n, text) in zip(row, expanded(row), strict=True):
        cells.append(cell if n > 1 or not start else text + " " * short_by(text, most[start]))
    return tuple(cells)
