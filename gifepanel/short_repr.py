"""What a dataclass full of arrays prints at the prompt: its fields, shapes in the place of numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from numbers import Number
from textwrap import wrap
from typing import Any

__all__ = ["ShortRepr"]

_WIDTH, _LINES = 78, 5


class ShortRepr:
    """Mixed in before the fields of ``@dataclass(repr=False)``; at most five lines."""

    __slots__ = ()

    def __repr__(self) -> str:
        name = type(self).__name__
        text = f"{name}({', '.join(_fields(self))})"
        lines = wrap(text, _WIDTH, subsequent_indent=" " * 4, break_long_words=False, break_on_hyphens=False)
        if len(lines) > _LINES:
            lines = [*lines[: _LINES - 1], "    ...)"]
        return "\n".join(lines)


def _fields(owner: Any) -> Iterator[str]:
    for field in dataclasses.fields(owner):
        if field.repr and not field.name.startswith("_"):
            yield f"{field.name}={_brief(getattr(owner, field.name))}"


def _brief(value: Any) -> str:
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"<{type(value).__name__.removeprefix('nd')} {' x '.join(f'{size:,}' for size in shape)}>"
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, Number) or shape == ():
        return f"{value:.6g}" if isinstance(value, (int, float)) or shape == () else repr(value)
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:37] + "...")
    if isinstance(value, (tuple, list, dict)) and len(repr(value)) > 40:
        return f"<{type(value).__name__} of {len(value)}>"
    if dataclasses.is_dataclass(value) or " object at 0x" in (text := repr(value)) or len(text) > 60:
        return f"<{type(value).__name__}>"
    return text
