"""Powers that formulas take for crossings."""

from __future__ import annotations

import re

from gifepanel.exceptions import FormulaError
from gifepanel.panel.brackets import CLOSERS, split_top, walk

__all__ = ["check_powers"]


def check_powers(text: str) -> None:
    """Refuse ``x**2`` and ``x^2`` outside of functions: in formulas they are crossings and mean ``x``.

    ``(a + b)**2``, a true crossing, passes.
    """
    visible = _visible(text)
    for at in sorted(visible):
        operator = "^" if text[at] == "^" else text[at : at + 2]
        if operator not in ("^", "**") or (operator == "**" and at + 1 not in visible):
            continue
        base = _base_before(text, at)
        if base is None:
            continue
        exponent = re.match(r"\s*([\w.]+)", text[at + len(operator) :])
        power = exponent.group(1) if exponent else "2"
        raise FormulaError(
            f"{base}{operator}{power} is a crossing of terms in a formula and means just {base}",
            "a power has to stand inside a function or braces",
            f"I({base}**{power}) or {{{base}**{power}}}",
        )


def _visible(text: str) -> set[int]:
    """Positions that formula operators act on: outside of calls, braces, indexing and quotes."""
    found, hidden = set(), -1
    for i, char, depth in walk(text):
        if hidden < 0 and char in "([{" and (char == "{" or re.search(r"[\w\])`]$", text[:i])):
            hidden = depth
        elif hidden == depth and char in ")]}":
            hidden = -1
        elif hidden < 0:
            found.add(i)
    return found


def _base_before(text: str, at: int) -> str | None:
    """The single term in front of an operator; None where a sum or product stands there."""
    before = text[:at].rstrip()
    if before.endswith((")", "]", "}")):
        opener = _opening(text, len(before) - 1)
        called = re.search(r"[\w.]+$", before[:opener])
        if called:
            return before[called.start() :]
        inner = before[opener + 1 : -1]
        if before.endswith(")") and len(split_top(inner, "+-*/:")) > 1:
            return None
        return inner.strip() if before.endswith(")") else before[opener:]
    name = re.search(r"(`[^`]+`|[\w.]+)$", before)
    return name.group(1) if name else None


def _opening(text: str, closer: int) -> int:
    """Position of the bracket that the one at ``closer`` closes."""
    openers: list[int] = []
    for i, char, _ in walk(text):
        if char in CLOSERS:
            openers.append(i)
        elif char in ")]}":
            opener = openers.pop()
            if i == closer:
                return opener
    raise AssertionError("no bracket there")
