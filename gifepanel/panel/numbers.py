"""Numbers that are stored as text: what keeps them from being numbers, and the line that makes them so.

The line names the cells that are no numbers.  It never coerces: a thousands separator would cost the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gifepanel.panel.repairs import prepared

__all__ = ["TextNumbers", "is_text", "read_text_numbers", "repair_of_text"]

_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_COMMA_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
_DOT_THOUSANDS = re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d*)?")
_DOTS = re.compile(r"[+-]?\d{1,3}(\.\d{3}){2,}")
_DECIMAL_COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?")
_AROUND = re.compile(r"[\s$€£¥']|(?i:usd|eur|gbp|chf)")
_LISTED = 12


@dataclass(frozen=True, eq=False)
class TextNumbers:
    """A column of text that was meant to hold numbers.

    Attributes
    ----------
    share : float
        Part of the different cells that are numbers, blanks left out.
    marked : bool
        Some cell has a decimal mark, a thousands separator, a currency or a percent sign.
    strange : tuple of str
        Different cells that are no numbers, blanks among them.
    rows : (m,) int64
        Rows of those cells, blanks left out.
    code : str
        Turns the column, ``{}``, into numbers.
    """

    share: float
    marked: bool
    strange: tuple[str, ...]
    rows: npt.NDArray[np.int64]
    code: str


def is_text(values: Any) -> bool:
    """Whether a column holds text, categories of text included."""
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        dtype = dtype.categories.dtype
    if isinstance(dtype, pd.StringDtype):
        return True
    if dtype.kind != "O":
        return False
    return pd.api.types.infer_dtype(values, skipna=True) in ("string", "mixed", "mixed-integer")


def read_text_numbers(values: Any) -> TextNumbers:
    """How a column of text, (n,), reads as numbers."""
    cells = pd.Series(np.asarray(values, dtype=object))
    present = cells.notna().to_numpy()
    text = cells.astype(str)
    different = list(dict.fromkeys(text[present]))
    percent = [cell for cell in different if cell.rstrip().endswith("%")]
    bare = {cell: _bare(cell) for cell in different}
    decimal_comma = _has_decimal_comma(list(bare.values()))
    as_number = _european if decimal_comma else _english
    numbers = {cell: as_number(value) for cell, value in bare.items()}
    good = [cell for cell in different if numbers[cell]]
    everywhere = bool(percent) and {cell for cell in good if not cell.rstrip().endswith("%")} <= {"0"}
    blank = [cell for cell in different if not cell.strip()]
    strange = [cell for cell in different if not numbers[cell]]
    if percent and not everywhere:
        strange = [cell for cell in different if not numbers[cell] or cell in percent]
    shown = {cell for cell in strange if cell.strip()}
    rows = np.flatnonzero(present & text.isin(shown).to_numpy())
    signed = bool(percent) or any(not _PLAIN.fullmatch(cell.strip()) for cell in good)
    code = _code(good, strange, decimal_comma=decimal_comma, percent=everywhere)
    share = len(good) / max(len(different) - len(blank), 1)
    return TextNumbers(share, signed or any("." in cell for cell in good), tuple(strange), rows, code)


def _bare(cell: str) -> str:
    """A cell without currency, spaces and percent sign; minus signs and brackets of accountants as "-"."""
    text = _AROUND.sub("", cell.replace("\N{MINUS SIGN}", "-")).removesuffix("%")
    inside = re.fullmatch(r"\((.*)\)", text)
    return f"-{inside[1]}" if inside else text


def _english(text: str) -> bool:
    return bool(_PLAIN.fullmatch(text) or _COMMA_THOUSANDS.fullmatch(text))


def _european(text: str) -> bool:
    return bool(_PLAIN.fullmatch(text) or _DECIMAL_COMMA.fullmatch(text) or _DOT_THOUSANDS.fullmatch(text))


def _has_decimal_comma(cells: Sequence[str]) -> bool:
    """Whether the comma is the decimal mark: some cell can be read in no other way."""
    marked = [cell for cell in cells if "," in cell or _DOTS.fullmatch(cell)]
    english = [cell for cell in marked if _COMMA_THOUSANDS.fullmatch(cell)]
    european = [cell for cell in marked if _DECIMAL_COMMA.fullmatch(cell) or _DOT_THOUSANDS.fullmatch(cell)]
    return len(european) > len(english)


def _code(good: Sequence[str], strange: Sequence[str], *, decimal_comma: bool, percent: bool) -> str:
    cells = {cell: pd.NA for cell in strange}
    steps = [".replace({" + ", ".join(f"{cell!r}: pd.NA" for cell in cells) + "})"] if cells else []
    around = sorted(set(_AROUND.findall("".join(good))))
    if around:
        words = [mark for mark in around if len(mark) > 1]
        marks = "".join("\\s" if mark.isspace() else re.escape(mark) for mark in around if len(mark) == 1)
        pattern = "|".join(([f"[{marks}]"] if marks else []) + words)
        steps.append(_replacing(pattern, "", regex=True))
    if any("\N{MINUS SIGN}" in cell for cell in good):
        steps.append(_replacing("\N{MINUS SIGN}", "-"))
    if any(cell.lstrip("$€£¥ ").startswith("(") for cell in good):
        steps.append(_replacing(r"^\((.*)\)$", r"-\1", regex=True))
    if percent:
        steps.append(_replacing("%", ""))
    if decimal_comma:
        if any("." in cell for cell in good):
            steps.append(_replacing(".", ""))
        steps.append(_replacing(",", "."))
    elif any("," in cell for cell in good):
        steps.append(_replacing(",", ""))
    column = '{}.astype("string")' + "".join(steps).replace("{", "{{").replace("}", "}}") if steps else "{}"
    return f"pd.to_numeric({column})" + (" / 100" if percent else "")


def _replacing(old: str, new: str, *, regex: bool = False) -> str:
    if regex:
        return (
            f".str.replace(r{_quoted(old)}, r{_quoted(new)}, regex=True)"
            if new
            else (f'.str.replace(r{_quoted(old)}, "", regex=True)')
        )
    return f".str.replace({_quoted(old)}, {_quoted(new)}, regex=False)"


def _quoted(text: str) -> str:
    return f"'{text}'" if '"' in text else f'"{text}"'


def repair_of_text(
    name: str, values: Any, source: str, rows_named: Callable[[Any], str]
) -> tuple[str, str, str] | None:
    """What is wrong with a column of text, what is needed, and the line that makes numbers of it.

    Parameters
    ----------
    name : str
    values : (n,) array_like
    source : str
        Where the column is, see ``panel.repairs``.
    rows_named : callable
        Names rows by position.

    Returns
    -------
    tuple of str or None
        None if hardly a cell is a number: the column is a category.
    """
    found = read_text_numbers(values)
    if found.share < 0.5:
        return None
    cells = [repr(cell) for cell in found.strange if cell.strip()]
    blanks = len(found.strange) > len(cells)
    said = f"{name!r} holds numbers as text"
    if cells:
        more = f" and {len(cells) - _LISTED} more" if len(cells) > _LISTED else ""
        said += (
            f", and cells that are no numbers in {len(found.rows)} rows: {', '.join(cells[:_LISTED])}{more}, "
            f"first {rows_named(found.rows)}"
        )
    said += ", blank cells too" if blanks and cells else ", and blank cells" if blanks else ""
    if found.marked and not cells:
        example = next((str(cell) for cell in values if pd.notna(cell) and not _PLAIN.fullmatch(str(cell).strip())), "")
        said += f", such as {example!r}" if example else ""
    fix = prepared(source) + f'data["{name}"] = {found.code.format(f"data[{chr(34)}{name}{chr(34)}]")}'
    needed = "numbers are needed; cells that are none become missing" if found.strange else "numbers are needed"
    return said, needed, fix
