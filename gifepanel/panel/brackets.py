"""What of a text stands outside of brackets and quotes."""

from __future__ import annotations

from collections.abc import Iterator

from gifepanel.exceptions import FormulaError

__all__ = ["CLOSERS", "split_top", "walk"]

CLOSERS = {"(": ")", "[": "]", "{": "}"}


def walk(text: str) -> Iterator[tuple[int, str, int]]:
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
        elif char in CLOSERS:
            yield i, char, len(stack)
            stack.append(CLOSERS[char])
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
    cuts = [i for i, char, depth in walk(text) if depth == 0 and char in separators]
    bounds = zip([-1, *cuts], [*cuts, len(text)], strict=True)
    return [text[start + 1 : stop] for start, stop in bounds]
