"""Dates packed into numbers: 201907, 20001 (year and quarter), 2000.1, 20200131.

As numbers they have an order, mostly the right one, and distances that are wrong: from 201912 to 202001 it is 89.
What needs distances has to know the dates, see ``PanelIndex.require_distances``.  A number is taken for a date only if
all labels can be read that way and the dates are not the same distances apart as the numbers: 1990, 1991, ... and
200001, ..., 200100 are plain numbers, and so are the months of one year.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["PackedDates", "packed_dates", "packed_text"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Positions = Callable[[pd.Index], IntArray]

_YEARS = (1800, 2199)
_MONTH = 'pd.PeriodIndex.from_fields(year=when // 100, month=when % 100, freq="M")'
_QUARTER = 'pd.PeriodIndex.from_fields(year=when // 10, quarter=when % 10, freq="Q")'
_HALF = 'pd.PeriodIndex.from_fields(year=when // 10, quarter=when % 10 * 2 - 1, freq="Q").to_timestamp()'


@dataclass(frozen=True, eq=False)
class PackedDates:
    """What numbers stand for.

    Attributes
    ----------
    form : str
        In words: "year and month".
    whole : str
        Code that makes whole numbers of a column, with ``{}`` for the column.
    code : str
        Code that makes dates of the whole numbers, ``when``.
    dates : (T,) pandas.Index
        The dates, in the order of the labels.
    """

    form: str
    whole: str
    code: str
    dates: pd.Index


def packed_dates(values: FloatArray, plain: IntArray | None, positions: Positions) -> PackedDates | None:
    """The dates that numbers stand for, None if they are plain numbers.

    Parameters
    ----------
    values : (T,) float64
        Different finite numbers.
    plain : (T,) int64 or None
        Their positions if they are plain numbers; None if those have no regular distance.
    positions : callable
        Positions of dates on their grid.
    """
    if values.size < 2:
        return None
    for form, whole, code, dates in _readings(values):
        if plain is None or not np.array_equal(positions(dates), plain):
            return PackedDates(form, whole, code, dates)
    return None


def packed_text(labels: list[str], positions: Positions) -> PackedDates | None:
    """The dates in text such as "2000-1" ... "2000-4", which are no months if the year ends with the fourth."""
    parts = [re.fullmatch(r"\s*(\d{4})[-_/ .:]([1-4])\s*", label) for label in labels]
    if len(labels) < 2 or not all(parts):
        return None
    when = np.array([int(part[1]) * 10 + int(part[2]) for part in parts if part], dtype=np.int64)
    years, within = when // 10, when % 10
    if len(set(years)) < 2 or within.max() < 2 or within.max() == 3 or set(within) < set(range(1, within.max() + 1)):
        return None
    whole = '{}.astype(str).str.replace(r"\\D", "", regex=True).astype(int)'
    for form, code, dates in _parts_of_years(when):
        return PackedDates(form, whole, code, dates)
    return None


_Reading = tuple[str, str, str, pd.Index]


def _readings(values: FloatArray) -> Iterator[_Reading]:
    """Every way in which all numbers can be read as dates, the likeliest first."""
    if values.min() <= 0 or values.max() > 99_999_999:
        return
    if np.array_equal(values, np.round(values)):
        whole = "{}.astype(float).astype(int)"
        for form, code, dates in _of_whole(values.astype(np.int64)):
            yield form, whole, code, dates
        return
    if not (_YEARS[0] <= values.min() and values.max() < _YEARS[1] + 1):
        return
    for digits, read in ((10, _parts_of_years), (100, _months)):
        when = np.round(values * digits).astype(np.int64)
        if np.abs(values * digits - when).max() < 2e-4 * digits:  # float32 has seven digits
            for form, code, dates in read(when):
                yield form, f"({{}}.astype(float) * {digits}).round().astype(int)", code, dates


def _of_whole(when: IntArray) -> Iterator[tuple[str, str, pd.Index]]:
    low, high = int(when.min()), int(when.max())
    digits = len(str(low)), len(str(high))
    if digits == (5, 5):
        yield from _parts_of_years(when)
    if digits == (6, 6):
        yield from _months(when)
        yield from _formatted(when, "two digits of the year, month and day", "%y%m%d")
        yield from _weeks(when)
    if digits in ((5, 5), (5, 6), (6, 6)):
        yield from _months_first(when)
    if digits == (7, 7):
        yield from _formatted(when, "year and day of the year", "%Y%j", _years_of(when // 1000))
    if digits == (8, 8):
        yield from _formatted(when, "year, month and day", "%Y%m%d", _years_of(when // 10_000))
    if digits[0] >= 7:
        yield from _days_first(when)
    if digits[1] <= 4 and not (low >= 1500 and high <= 2199):
        yield from _short(when)


def _years_of(years: IntArray) -> bool:
    return bool(years.min() >= _YEARS[0] and years.max() <= _YEARS[1])


def _months(when: IntArray) -> Iterator[tuple[str, str, pd.Index]]:
    years, months = when // 100, when % 100
    if _years_of(years) and months.min() >= 1 and months.max() <= 12:
        yield _dates("year and month", _MONTH, pd.PeriodIndex.from_fields(year=years, month=months, freq="M"))


def _parts_of_years(when: IntArray) -> Iterator[tuple[str, str, pd.Index]]:
    years, parts = when // 10, when % 10
    if not _years_of(years) or parts.min() < 1 or parts.max() > 4:
        return
    if set(parts) == {1, 2} and len(set(years)) > 1:
        dates = pd.PeriodIndex.from_fields(year=years, quarter=parts * 2 - 1, freq="Q").to_timestamp()
        yield "year and half-year", _HALF, dates
        return
    yield _dates("year and quarter", _QUARTER, pd.PeriodIndex.from_fields(year=years, quarter=parts, freq="Q"))


def _dates(form: str, code: str, periods: pd.PeriodIndex) -> tuple[str, str, pd.Index]:
    """Periods; days where none are next to each other, whose grid is then as wide as their distances."""
    if np.gcd.reduce(np.diff(np.sort(periods.asi8))) > 1:
        return form, f"{code}.to_timestamp()", periods.to_timestamp()
    return form, code, periods


def _weeks(when: IntArray) -> Iterator[tuple[str, str, pd.Index]]:
    """Weeks 1 to 53: only numbers that jump from the end of one year to the start of the next."""
    weeks = when % 100
    if not _years_of(when // 100) or weeks.min() < 1 or weeks.max() > 53 or weeks.max() <= 12:
        return
    dates = pd.to_datetime(pd.Series(when.astype(str)) + "1", format="%G%V%u", errors="coerce")
    if dates.notna().all():
        code = 'pd.to_datetime(when.astype(str) + "1", format="%G%V%u")'
        yield "year and week", code, pd.DatetimeIndex(dates)


def _months_first(when: IntArray) -> Iterator[tuple[str, str, pd.Index]]:
    months, years = when // 10_000, when % 10_000
    if years.min() >= 1900 and years.max() <= 2099 and months.min() >= 1 and months.max() <= 12:
        code = 'pd.PeriodIndex.from_fields(year=when % 10000, month=when // 10000, freq="M")'
        yield _dates("month and year", code, pd.PeriodIndex.from_fields(year=years, month=months, freq="M"))


def _days_first(when: IntArray) -> Iterator[tuple[str, str, pd.Index]]:
    """Day, month, year; or month, day, year: the reading with the shorter span where both are possible."""
    years = when % 10_000
    if years.min() < 1900 or years.max() > 2099:
        return
    found = [
        *_formatted(when, "day, month and year", "%d%m%Y", width=8),
        *_formatted(when, "month, day and year", "%m%d%Y", width=8),
    ]
    yield from sorted(found, key=lambda reading: reading[2].max() - reading[2].min())


def _formatted(
    when: IntArray, form: str, format: str, possible: bool = True, width: int = 0
) -> Iterator[tuple[str, str, pd.Index]]:
    if not possible or (format == "%y%m%d" and when.size < 4):
        return
    text = pd.Series(when.astype(str)).str.zfill(width)
    dates = pd.to_datetime(text, format=format, errors="coerce")
    if dates.notna().all():
        padded = f".str.zfill({width})" if width else ""
        yield form, f'pd.to_datetime(when.astype(str){padded}, format="{format}")', pd.DatetimeIndex(dates)


def _short(when: IntArray) -> Iterator[tuple[str, str, pd.Index]]:
    """Two digits of the year and a month, or a year and a quarter: without a hole, and over the ends of years."""
    for per_year, base, form in ((12, 100, "year and month"), (4, 10, "year and quarter")):
        years, parts = when // base, when % base
        if parts.min() < 1 or parts.max() > per_year:
            continue
        count = np.sort(years * per_year + parts)
        ends = int(((count[1:] - 1) % per_year == 0).sum())
        if (np.diff(count) == 1).all() and ends >= (1 if per_year == 12 else 2):
            code = f"{per_year} * (when // {base}) + when % {base}"
            yield form, code, pd.Index(years * per_year + parts)
