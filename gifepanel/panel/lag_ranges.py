"""Several lags at once, written out as a sum of terms."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from gifepanel.exceptions import FormulaError
from gifepanel.panel.brackets import split_top, walk

__all__ = ["expand_lags"]

_MOST_LAGS = 1000
_LAG_NAMES = ("L", "F", "D", "lag", "lead", "diff")


def expand_lags(text: str) -> str:
    """Write ``L(x, (1, 2))``, ``L(x, [1, 2])``, ``L(x, 1:3)`` and ``L(x, range(1, 3))`` out as sums of terms.

    Only whole terms are written out; inside other functions several lags at once are an error later on.
    """
    out, position = [], 0
    for start, stop in _calls(text):
        written = _expanded(text[start:stop])
        if written is not None:
            out += [text[position:start], written]
            position = stop
    return "".join([*out, text[position:]])


def _calls(text: str) -> Iterator[tuple[int, int]]:
    """Outermost function calls as (start, stop)."""
    start, hidden = -1, -1
    for i, char, depth in walk(text):
        if hidden < 0 and char in "({[":
            name = re.search(r"[^\W\d][\w.]*$", text[:i])
            if name or char == "{":
                start, hidden = (name.start() if name else -1), depth
        elif hidden == depth and char in ")}]":
            if start >= 0:
                yield start, i + 1
            hidden = -1


def _expanded(call: str) -> str | None:
    name, _, rest = call.partition("(")
    arguments = split_top(rest[:-1], ",")
    if name not in _LAG_NAMES or len(arguments) != 2:
        return None
    periods = _periods(re.sub(r"^\s*k\s*=", "", arguments[1]).strip())
    if not periods:
        return None
    if periods[_MOST_LAGS:]:
        fix = f"{name}({arguments[0].strip()}, 1:4)"
        raise FormulaError(f"{call} stands for a term each", f"{_MOST_LAGS} are written out at most", fix)
    return "(" + " + ".join(f"{name}({arguments[0].strip()}, {k})" for k in periods) + ")"


def _periods(text: str) -> Sequence[int] | None:
    through = re.fullmatch(r"(-?\d+)\s*:\s*(-?\d+)", text)
    if through:
        first, last = int(through.group(1)), int(through.group(2))
        return range(first, last + 1) if first <= last else range(first, last - 1, -1)
    steps = re.fullmatch(r"range\(\s*(-?\d+)\s*(?:,\s*(-?\d+)\s*)?(?:,\s*(-?\d+)\s*)?\)", text)
    if steps:
        numbers = [int(number) for number in steps.groups() if number is not None]
        return range(*numbers) if numbers[2:] != [0] else None
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None
    if isinstance(value, (tuple, list)) and value and all(type(k) is int for k in value):
        return list(value)
    return None
