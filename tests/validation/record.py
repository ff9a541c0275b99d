"""A number of others beside ours, and a section of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

FLOOR = 1e-10  # differences below are rounding of the machine at hand: all are shown as this


@dataclass(frozen=True)
class Number:
    """One number.

    Attributes
    ----------
    what : str
        What it is.
    expected, got : float
        Theirs and ours.
    tol : float
        Largest absolute difference allowed; by default, half a unit of the last digit that their number is given with.
    digits : int
        Decimals shown.
    """

    what: str
    expected: float
    got: float
    digits: int
    tol: float

    @property
    def difference(self) -> float:
        return abs(self.got - self.expected)

    @property
    def met(self) -> bool:
        return self.difference <= self.tol

    def row(self) -> tuple[str, ...]:
        """Cells of a table; a difference beyond rounding is shown itself, others by their order of magnitude."""
        visible = self.digits == 0 or (self.difference > 6 * 10.0**-self.digits and self.difference > 100 * FLOOR)
        return (
            self.what,
            f"{self.expected:.{self.digits}f}",
            f"{self.got:.{self.digits}f}",
            signed(self.got - self.expected, self.digits) if visible else bound(self.difference),
        )


@dataclass(frozen=True)
class Section:
    """Numbers of one source.

    Attributes
    ----------
    title, text : str
        Heading, and what was computed and by whom, in Markdown.
    numbers : callable
        Gives the numbers.
    data : path, optional
        A file that can't be copied: the section is kept as it is where it is absent.
    """

    title: str
    text: str
    numbers: Callable[[], Iterable[Number]]
    data: Path | None = field(default=None)

    @property
    def available(self) -> bool:
        return self.data is None or self.data.exists()


def signed(difference: float, digits: int) -> str:
    return "0" if digits == 0 and round(difference) == 0 else f"{difference:+.{digits}f}"


def bound(difference: float) -> str:
    """The power of ten that is no smaller."""
    if difference <= FLOOR:
        return "≤ 1e-10"
    return f"≤ 1e{math.ceil(math.log10(difference) - 1e-9)}"


def decimals(value: float, significant: int = 10) -> int:
    """Digits after the point that `value` is written with, at most `significant` from its first."""
    shortest = repr(float(value))
    mantissa, _, exponent = shortest.partition("e")
    given = len(mantissa.partition(".")[2]) - int(exponent or 0) if not mantissa.endswith(".0") else 0
    leading = math.floor(math.log10(abs(value))) if value else 0
    return max(0, min(given, significant - 1 - leading))


def number(what: str, expected: float, got: float, *, tol: float | None = None) -> Number:
    """A number shown with the digits it is given with."""
    digits = decimals(expected)
    return Number(what, float(expected), float(got), digits, 0.501 * 10.0**-digits if tol is None else tol)


def several(
    names: Sequence[str],
    expected: Sequence[float],
    got: Iterable[float],
    *,
    tol: float | None = None,
    digits: int | None = None,
) -> list[Number]:
    """Numbers that belong together: all are shown with the digits of the most precise one."""
    shown = max(decimals(value) for value in expected) if digits is None else digits
    allowed = 0.501 * 10.0**-shown if tol is None else tol
    ours = [float(value) for value in got]
    return [Number(n, float(e), g, shown, allowed) for n, e, g in zip(names, expected, ours, strict=True)]


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: int = 1) -> str:
    """A Markdown table; columns from `right` on are numbers."""
    cells = [list(head), *[list(row) for row in rows]]
    widths = [max(len(row[j]) for row in cells) for j in range(len(head))]
    rule = [("-" * w if j < right else "-" * (w - 1) + ":") for j, w in enumerate(widths)]
    body = chain([cells[0], rule], cells[1:])
    return "\n".join(
        "| "
        + " | ".join(c.ljust(w) if j < right else c.rjust(w) for j, (c, w) in enumerate(zip(row, widths, strict=True)))
        + " |"
        for row in body
    )
