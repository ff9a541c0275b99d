"""Text that needs a line of code to become times: dates with the year last, names of months, words."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

__all__ = ["code_of_text_times"]

_FORMATS = (
    *(f"%d{s}%m{s}%Y" for s in "./- "),
    *(f"%m{s}%d{s}%Y" for s in "/-. "),
    *(f"%d{s}{m}{s}%Y" for m in ("%b", "%B") for s in (" ", "-", "/", "")),
    *(f"{m} %d, %Y" for m in ("%b", "%B")),
    *(f"{m}{s}%Y" for m in ("%b", "%B", "%m") for s in " -/."),
    *(f"%Y{s}{m}" for m in ("%b", "%B") for s in " -/."),
    "%b%Y",
    "%b-%y",
    "%b %y",
    *(f"%d{s}%m{s}%y" for s in "./-"),
    *(f"%m{s}%d{s}%y" for s in "/-"),
    *(f"{date} {clock}" for date in ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y") for clock in ("%H:%M", "%H:%M:%S")),
)
_SWAPPED = {"%d": "%m", "%m": "%d"}
_NAMES = (
    calendar.month_abbr[1:],
    calendar.month_name[1:],
    calendar.day_abbr[:],
    calendar.day_name[:],
)


def code_of_text_times(labels: Sequence[Any]) -> tuple[str, str]:
    """Code that makes times of text, ``{}`` for the column, and what to look at; "" where there is nothing.

    No label is lost: dates are read by one format that all of them follow, anything else gets an order.
    """
    if all(isinstance(label, str) for label in labels):
        quarters = [re.fullmatch(r"\s*[Qq]?([1-4])[Qq]?[\s\-/.]*(\d{4})\s*", label) for label in labels]
        if all(quarters) and all("q" in label.casefold() for label in labels):
            digits = '{0}.astype(str).str.extract(r"([1-4])\\D*(\\d{{4}})").astype(int)'
            return f'pd.PeriodIndex.from_fields(year={digits}[1], quarter={digits}[0], freq="Q")', ""
        found = next(_formats(labels), None)
        if found is not None:
            other = re.sub("%[dm]", lambda part: _SWAPPED[part[0]], found)
            ambiguous = "%d" in found and "%m" in found and _reads(labels, other)
            note = f'  # day first; "{other}" if the month is' if ambiguous else ""
            return f'pd.to_datetime({{0}}, format="{found}")', note
    order = _in_order(labels)
    column = "{0}" if all(isinstance(label, str) for label in labels) else "{0}.astype(str)"
    listed = ", ".join(repr(str(label)) for label in order).replace("{", "{{").replace("}", "}}")
    return f"pd.Categorical({column}, categories=[{listed}], ordered=True)", "  # their order in time"


def _formats(labels: Sequence[str]) -> Iterator[str]:
    yield from (format for format in _FORMATS if _reads(labels[:1], format) and _reads(labels, format))


def _reads(labels: Sequence[str], format: str) -> bool:
    dates = pd.to_datetime(pd.Series(list(labels)), format=format, errors="coerce")
    return bool(dates.notna().all() and dates.nunique() == len(labels))


def _in_order(labels: Sequence[Any]) -> list[Any]:
    """Names of months and days in their order, anything else in order of appearance."""
    for names in _NAMES:
        place = {name.casefold(): k for k, name in enumerate(names)}
        if all(str(label).strip().casefold() in place for label in labels):
            return sorted(labels, key=lambda label: place[str(label).strip().casefold()])
    return list(labels)
