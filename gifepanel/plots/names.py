"""Names beside rows and points: where they have to be cut, they are cut where they are alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from gifepanel.plots.style import escaped, one_line

__all__ = ["short_names"]

_FEWEST = 3  # letters of a common beginning worth showing


def short_names(names: Iterable[Any], limit: int = 28) -> list[str]:
    """Names as lines of text of `limit` letters at most, which differ where the names do, in the order given.

    What the names that are too long have in common at their beginnings and ends goes first, from the end; then the
    middles of those that are still too long, unless two would become the same.
    """
    texts = [one_line(name) for name in names]
    distinct = list(dict.fromkeys(texts))
    cut = dict(zip(distinct, _cut(distinct, limit), strict=True))
    return [escaped(cut[text]) for text in texts]


def _cut(texts: Sequence[str], limit: int, depth: int = 0) -> list[str]:
    out = list(texts)
    long = [k for k, text in enumerate(texts) if len(text) > limit]
    start, end = _alike([texts[k] for k in long]) if len(long) > 1 else (0, 0)
    for k in long:
        out[k] = _around(texts[k], start, end, limit)
    same: dict[str, list[int]] = {}
    for k, text in enumerate(out):
        same.setdefault(text, []).append(k)
    for members in same.values():
        if len(members) == 1:
            continue
        if depth < 4 and len(members) < len(texts):
            again = _cut([texts[k] for k in members], limit, depth + 1)
        else:
            again = [out[k] for k in members]
        if len(set(again)) < len(again):
            again = [f"{text[: limit - len(mark)]}{mark}" for text, mark in _marked(again)]
        for k, text in zip(members, again, strict=True):
            out[k] = text
    return out


def _marked(texts: Sequence[str]) -> Iterable[tuple[str, str]]:
    """Where nothing tells them apart, their numbers do."""
    return ((text, f" ({number})") for number, text in enumerate(texts, start=1))


def _alike(texts: Sequence[str]) -> tuple[int, int]:
    """How many letters of the beginnings and of the ends are the same, words and numbers left whole."""
    start = _shared(texts)
    while start and any(_inside_word(text, start) for text in texts):
        start -= 1
    rest = [text[start:][::-1] for text in texts]
    end = _shared(rest)
    while end and any(_inside_word(text, len(text) - end) for text in texts):
        end -= 1
    return start, end


def _shared(texts: Sequence[str]) -> int:
    """How many letters all of them begin with."""
    low, high = min(texts), max(texts)
    apart = (k for k, (one, other) in enumerate(zip(low, high, strict=False)) if one != other)
    return next(apart, min(len(low), len(high)))


def _inside_word(text: str, position: int) -> bool:
    return bool(re.match(r"\w\w", text[position - 1 : position + 1])) if 0 < position < len(text) else False


def _around(text: str, start: int, end: int, limit: int) -> str:
    """What differs of a text, with as much of its beginning and then of its end as there is room for."""
    middle, tail = text[start : len(text) - end], text[len(text) - end :]
    room = limit - len(middle)
    if not (start or end) or room < 2:
        return _without_middle(middle if start or end else text, limit)
    if start + 1 <= room:  # the whole beginning and some of the end
        kept = tail[: room - start - 1].rstrip()
        return f"{text[:start]}{middle}{kept}…" if end else f"{text[:start]}{middle}"
    if not end:
        return f"{_beginning(text, start, room - 1)}…{middle.lstrip()}"
    if len(tail) <= room - 1 - _FEWEST and len(tail) <= limit // 3:
        return f"{_beginning(text, start, room - 1 - len(tail))}…{middle.lstrip()}{tail}"
    return f"{_beginning(text, start, room - 2)}…{middle.strip()}…"


def _beginning(text: str, start: int, room: int) -> str:
    return text[: min(room, start)].rstrip() if room >= _FEWEST else ""


def _without_middle(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    tail = 2 * limit // 5
    return text[: limit - tail - 1].rstrip() + "…" + text[-tail:].lstrip()
