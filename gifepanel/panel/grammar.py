"""The text of a formula: its parts, absorbed effects, several lags at once, and what it would silently
misread.

Nothing here knows formulaic or the data.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gifepanel.exceptions import FormulaError

__all__ = [
    "AbsorbedEffect",
    "FormulaParts",
    "check_powers",
    "expand_lags",
    "parse_absorbed",
    "split_formula",
    "split_top",
]

_CLOSERS = {"(": ")", "[": "]", "{": "}"}
_MOST_LAGS = 1000
_LAG_NAMES = ("L", "F", "D", "lag", "lead", "diff")


@dataclass(frozen=True)
class AbsorbedEffect:
    """One effect named after ``|``.

    Attributes
    ----------
    name : str
        As written, without spaces: "firm", "firm^year", "firm[trend]".
    factors : tuple of str
        Columns whose combination makes the levels.
    slopes : tuple of str
        Columns with one slope per level.
    intercept : bool
        Whether the levels have an intercept of their own (``firm[[x]]`` has slopes only).
    """

    name: str
    factors: tuple[str, ...]
    slopes: tuple[str, ...] = ()
    intercept: bool = True


@dataclass(frozen=True)
class FormulaParts:
    """``endog ~ exog | absorbed`` as text; ``absorbed`` is empty where there is no second part."""

    endog: str
    exog: str
    absorbed: str = ""


def _walk(text: str) -> Iterator[tuple[int, str, int]]:
    """Characters outside of quotes and backticks, with the bracket depth around each."""
    stack: list[str] = []
    quote = ""
    skip = False
    for i, char in enumerate(text):
        if skip:
            skip = False
        elif quote:
            skip = char == "\\"
            quote = "" if char == quote else quote
        elif char in "'\"`":
            quote = char
        elif char in _CLOSERS:
            yield i, char, len(stack)
            stack.append(_CLOSERS[char])
        elif char in ")]}":
            if not stack or stack.pop() != char:
                raise FormulaError(
                    f"the formula has a {char!r} without its opening bracket: {text.strip()}",
                    "brackets have to match",
                    None,
                )
            yield i, char, len(stack)
        else:
            yield i, char, len(stack)
    if stack or quote:
        raise FormulaError(
            f"the formula ends before {quote or stack[-1]!r} is closed: {text.strip()}",
            "brackets and quotes have to match",
            text.strip() + (quote or stack[-1]),
        )


def split_top(text: str, separators: str) -> list[str]:
    """Split at separators that stand outside of brackets and quotes."""
    cuts = [i for i, char, depth in _walk(text) if depth == 0 and char in separators]
    bounds = zip([-1, *cuts], [*cuts, len(text)], strict=True)
    return [text[start + 1 : stop] for start, stop in bounds]


def split_formula(formula: str) -> FormulaParts:
    """Split a formula into outcome, regressors and absorbed effects.

    Raises
    ------
    FormulaError
        No ``~`` or more than one, an empty side, more than two parts after ``~``.
    """
    if not isinstance(formula, str):
        raise FormulaError(f"the formula is a {type(formula).__name__}", "text is needed", '"y ~ x1 + x2 | firm"')
    sides = split_top(formula, "~")
    if len(sides) != 2 or not sides[0].strip():
        raise FormulaError(
            f"the formula {formula.strip()!r} has {len(sides) - 1} '~'"
            if len(sides) != 2
            else f"the formula {formula.strip()!r} has nothing before '~'",
            "outcome ~ regressors is needed",
            "y ~ x1 + x2 | firm",
        )
    endog, right = sides
    parts = [part.strip() for part in split_top(right, "|")]
    if len(split_top(endog, "|")) > 1 or len(parts) > 2:
        effects = [part for part in parts[1:] if part]
        plain = parts[0] and all(re.fullmatch(r"[\w.^+ ]+", part) for part in effects)
        raise FormulaError(
            f"the formula has {max(len(parts), 2)} parts: {formula.strip()}",
            "regressors and, after one '|', absorbed effects are what it can have; instruments are not",
            f"{endog.strip()} ~ {parts[0]} | {' + '.join(effects)}" if plain else "y ~ x1 + x2 | firm + year",
        )
    if not parts[0]:
        raise FormulaError(
            f"the formula {formula.strip()!r} has no regressors", "name them, or 1 for none", "y ~ x1 + x2"
        )
    if len(parts) == 2 and not parts[1]:
        raise FormulaError(
            f"nothing follows '|' in {formula.strip()!r}",
            "absorbed effects are expected there",
            "y ~ x | firm",
        )
    return FormulaParts(endog.strip(), parts[0], parts[1] if len(parts) == 2 else "")


# --- absorbed effects ---------------------------------------------------------------------------------------


def parse_absorbed(text: str) -> tuple[AbsorbedEffect, ...]:
    """Read the part after ``|``: ``firm + year``, ``firm^year`` (combinations), ``firm[x]`` (slopes),
    ``firm[[x]]``.

    Raises
    ------
    FormulaError
        Anything else, such as functions or ``*``.
    """
    effects: dict[str, AbsorbedEffect] = {}
    for piece in split_top(text, "+") if text.strip() else []:
        written = piece.strip()
        if written in ("0", "1"):
            continue
        effect = _effect(written)
        if effect is None:
            raise FormulaError(
                f"the absorbed effect {written!r} can't be read",
                "after '|' stand names joined by '+': firm, firm^year for combinations, firm[x] for slopes by firm",
                _joined_by_plus(written)
                or "put anything else into a column first: data = data.assign(decade=data['year'] // 10)",
            )
        effects[effect.name] = effect
    return tuple(effects.values())


def _joined_by_plus(written: str) -> str | None:
    """``firm, year`` as it is written here."""
    pieces = [piece.strip() for piece in split_top(written, ",")]
    return f"y ~ x | {' + '.join(pieces)}" if len(pieces) > 1 and all(map(_effect, pieces)) else None


_NAME = r"(?:`[^`]+`|[^\W\d][\w.]*)"


def _effect(text: str) -> AbsorbedEffect | None:
    wrapped = re.fullmatch(rf"(?:C|factor|i)\(\s*({_NAME})\s*\)", text)
    text = wrapped.group(1) if wrapped else text
    found = re.fullmatch(rf"({_NAME}(?:\s*[\^:]\s*{_NAME})*)\s*(\[.*\])?", text, flags=re.DOTALL)
    if found is None:
        return None
    factors = tuple(_bare(name) for name in re.findall(_NAME, found.group(1)))
    slopes: tuple[str, ...] = ()
    bracket, intercept = found.group(2), True
    if bracket:
        inside = re.fullmatch(rf"\[(\[?)\s*({_NAME}(?:\s*,\s*{_NAME})*)\s*(\]?)\]", bracket)
        if inside is None or bool(inside.group(1)) != bool(inside.group(3)):
            return None
        slopes, intercept = (
            tuple(_bare(name) for name in re.findall(_NAME, inside.group(2))),
            not inside.group(1),
        )
    name = "^".join(factors)
    if slopes:
        name += f"[{', '.join(slopes)}]" if intercept else f"[[{', '.join(slopes)}]]"
    return AbsorbedEffect(name, factors, slopes, intercept)


def _bare(name: str) -> str:
    return name.strip().strip("`")


# --- what would be misread ----------------------------------------------------------------------------------


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
    for i, char, depth in _walk(text):
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
    for i, char, _ in _walk(text):
        if char in _CLOSERS:
            openers.append(i)
        elif char in ")]}":
            opener = openers.pop()
            if i == closer:
                return opener
    raise AssertionError("no bracket there")


# --- several lags at once -----------------------------------------------------------------------------------


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
    for i, char, depth in _walk(text):
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
