"""Text by the columns it takes on a terminal: East Asian characters two, combining ones none."""

from __future__ import annotations

import re
import shutil
import sys
import unicodedata
from collections.abc import Sequence

__all__ = [
    "NARROWEST",
    "WIDTH",
    "centered",
    "clip",
    "columns",
    "first_names",
    "ljust",
    "page_width",
    "plain",
    "rjust",
    "terminal_width",
    "wrap",
]

WIDTH, NARROWEST = 78, 60


def terminal_width() -> int | None:
    """Columns of the terminal that is printed to; None where that is none."""
    try:
        terminal = sys.stdout.isatty()
    except (AttributeError, ValueError):  # no stream, or a closed one
        return None
    return shutil.get_terminal_size().columns if terminal else None


def page_width(widest: int = WIDTH) -> int:
    """Columns for text: `WIDTH`; in a terminal as many as it has, from 60 to `widest`."""
    found = terminal_width()
    return WIDTH if found is None else max(NARROWEST, min(found, widest))


def plain(text: object) -> str:
    """One line without control characters, whatever a name holds; leading and trailing blanks stay."""
    value = str(text)
    if value.isascii() and value.isprintable():
        return value
    return "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") else c for c in value)


def columns(text: str) -> int:
    """Columns that `text` takes."""
    if text.isascii():
        return len(text)
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def ljust(text: str, width: int) -> str:
    """`text` flush left in `width` columns."""
    return text + " " * (width - columns(text))


def rjust(text: str, width: int) -> str:
    """`text` flush right in `width` columns."""
    return " " * (width - columns(text)) + text


def centered(text: str, width: int) -> str:
    """`text` in the middle of `width` columns."""
    spare = max(0, width - columns(text))
    return " " * (spare // 2) + text + " " * (spare - spare // 2)


def clip(text: str, width: int) -> str:
    """`text`, its end replaced by three dots where it is wider than `width`."""
    if columns(text) <= width:
        return text
    return _head(text, max(width - 3, 0)) + "..."[:width]


def _head(text: str, width: int) -> str:
    taken, end = 0, 0
    for character in text:
        taken += _width(character)
        if taken > width:
            break
        end += 1
    return text[:end]


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """Lines of at most `width` columns (2 or more), broken at blanks, inside words wider than a line only.

    `indent` stands before all lines but the first; it leaves 2 columns or more.
    """
    lines: list[str] = []
    line, prefix = "", ""
    for word in text.split():
        if line and columns(prefix) + columns(line) + 1 + columns(word) <= width:
            line += " " + word
            continue
        if line:
            lines.append(prefix + line)
            prefix = indent
        line = word
        while columns(prefix) + columns(line) > width:
            head = _broken(_head(line, width - columns(prefix)) or line[0])
            lines.append(prefix + head)
            line, prefix = line[len(head) :], indent
    return [*lines, prefix + line] if line or not lines else lines


_SIGN = re.compile(r"[_.,:;/|)\]-](?=[^_.,:;/|)\]-]*$)")


def _broken(head: str) -> str:
    """The beginning of a long word up to its last sign, if that is not far from the end."""
    found = _SIGN.search(head)
    return head[: found.end()] if found and found.end() > len(head) // 2 else head


def first_names(names: Sequence[str], total: int, width: int) -> str:
    """As many of the first names as fit in `width` columns, with how many more there are of `total`."""
    for count in range(len(names), 0, -1):
        more = f" and {total - count} more" if count < total else ""
        text = ", ".join(names[:count]) + more
        if columns(text) <= width:
            return text
    return clip(names[0], max(width - columns(more), 4)) + more if names else ""
