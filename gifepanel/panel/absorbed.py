"""Absorbed effects: what stands after ``|`` in a formula."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gifepanel.exceptions import FormulaError
from gifepanel.panel.brackets import split_top

__all__ = ["AbsorbedEffect", "parse_absorbed"]


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
