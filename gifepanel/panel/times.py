"""Order of time labels, and their positions on a regular grid.

A lag means "one period earlier", so the distance between two labels has to be known: codes alone would hide a
gap that all entities share.  What one period is, by type of label:

========================  ==============================================================================
integers, whole floats    one unit: 1990, 1992 are two periods apart
other floats              their smallest distance, if all distances are multiples of it; otherwise the rank
``Period``                one period of its frequency
dates                     the longest calendar unit that fits all of them: year, half-year, quarter, month, week,
                          business day, day, hour, minute, second; otherwise the rank.  Dates within the same seven
                          days of each month, or at its end, are months; pyarrow's types count as NumPy's
times of day              as dates of one day
text with numbers         the number in it ("t9" comes before "t10"), "2001Q2", "2001-04", "2001-04-30" as dates;
                          otherwise the rank in numerical order
single letters            the rank
ordered categories        the place among the categories, so that an unused one in between is a gap
========================  ==============================================================================

Numbers and digits that stand for dates (201907, 2000.1) are marked, see ``panel.packed``: their distances are wrong.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gifepanel.exceptions import DataError
from gifepanel.panel.labels import native_labels
from gifepanel.panel.packed import PackedDates, packed_dates, packed_text
from gifepanel.panel.repairs import with_column, without_rows
from gifepanel.panel.textdates import code_of_text_times

__all__ = ["TimeGrid", "looks_like_dates", "order_times"]

IntArray = npt.NDArray[np.int64]

_DAY = 86_400
_CLOCK = 2 * 3600  # how far the time of day of dates moves with summer time
_SECONDS = {"hour": 3600, "minute": 60, "second": 1}


@dataclass(frozen=True, eq=False)
class TimeGrid:
    """Chronological order and positions of time labels.

    Attributes
    ----------
    order : (T,) int64
        Positions of the labels in chronological order: ``labels[order]`` is sorted.
    periods : (T,) int64
        Position of each *sorted* label on the regular grid; the first is 0, a jump above 1 is a gap.
    unit : str
        What one step is: "1", "month", "rank", ...
    packed : PackedDates or None
        Set where the labels are numbers that stand for dates: positions are those of the numbers.
    """

    order: IntArray
    periods: IntArray
    unit: str
    packed: PackedDates | None = None


def order_times(labels: pd.Index, name: str = "time", source: str = "columns") -> TimeGrid:
    """Find the order of unique time labels and where each stands on its regular grid.

    Parameters
    ----------
    labels : (T,) pandas.Index
        Unique labels without missing values.
    name : str
        Name of the time variable, for messages.
    source : str
        Where it is, for messages: see ``PanelIndex``.

    Returns
    -------
    TimeGrid

    Raises
    ------
    DataError
        Labels of mixed types, or text whose order in time can't be told.
    """
    labels = native_labels(labels)
    if isinstance(labels, pd.PeriodIndex):
        step = int(getattr(labels.freq, "n", 1)) or 1
        return _grid(labels.asi8 // step, labels.freqstr)
    if isinstance(labels, (pd.DatetimeIndex, pd.TimedeltaIndex)):
        return _moments(labels)
    if labels.dtype == object:
        labels = _typed(labels, name, source)
        if labels.dtype != object and not isinstance(labels.dtype, pd.StringDtype):
            return order_times(labels, name, source)
    if isinstance(labels.dtype, pd.StringDtype) or labels.dtype == object:
        return _text([str(label) for label in labels], name, source)
    return _numbers(labels.to_numpy(dtype=np.float64), labels, name, source)


def looks_like_dates(labels: pd.Index) -> bool:
    """Whether the labels are dates or Periods, hence certainly times."""
    labels = native_labels(labels)
    if isinstance(labels, (pd.DatetimeIndex, pd.PeriodIndex)):
        return True
    return labels.dtype == object and pd.api.types.infer_dtype(labels, skipna=True) in (
        "date",
        "datetime",
        "period",
    )


def _grid(values: npt.ArrayLike, unit: str) -> TimeGrid:
    values = np.asarray(values, dtype=np.int64)
    order = np.argsort(values, kind="stable").astype(np.int64)
    periods = values[order]
    return TimeGrid(order, periods - periods[:1].sum(), unit)


def _ranks(order: npt.ArrayLike) -> TimeGrid:
    order = np.asarray(order, dtype=np.int64)
    return TimeGrid(order, np.arange(order.size, dtype=np.int64), "rank")


def _typed(labels: pd.Index, name: str, source: str) -> pd.Index:
    """Give a column of Python objects the type its values have."""
    kind = pd.api.types.infer_dtype(labels, skipna=False)
    if kind in ("string", "empty"):
        return labels
    if all(isinstance(label, pd.Period) for label in labels):
        if len({label.freqstr for label in labels}) == 1:
            return pd.PeriodIndex(labels)
        raise DataError(
            f"the time variable {name!r} mixes Periods of several frequencies",
            "one frequency is needed",
            with_column(name, 'pd.PeriodIndex({}.astype(str), freq="M")', source),
        )
    if kind in ("date", "datetime", "datetime64"):
        return pd.DatetimeIndex([pd.Timestamp(label) for label in labels])
    if kind == "time":
        return pd.TimedeltaIndex([str(label) for label in labels])
    if kind in ("integer", "floating", "mixed-integer-float", "decimal", "boolean"):
        return pd.Index(np.array([float(label) for label in labels]))
    found = sorted({type(label).__name__ for label in labels})
    examples = ", ".join(repr(label) for label in labels[:4])
    numbers = pd.to_numeric(pd.Series([str(label) for label in labels]), errors="coerce").notna().all()
    code, note = ("pd.to_numeric({})", "") if numbers else code_of_text_times(list(labels))
    raise DataError(
        f"the time variable {name!r} has labels of types that do not sort against each other: "
        f"{', '.join(found)} (such as {examples})",
        "times need one type with an order: integers, dates, Periods, or an ordered categorical",
        with_column(name, code, source) + note,
    )


def _numbers(values: npt.NDArray[np.float64], labels: pd.Index, name: str, source: str = "columns") -> TimeGrid:
    if not np.isfinite(values).all():
        raise DataError(
            f"the time variable {name!r} has infinite values",
            "times have to be finite",
            with_column(name, "{}.replace([np.inf, -np.inf], np.nan)", source) + "; " + without_rows([name], source),
        )
    grid = _plain_numbers(values, labels)
    within = np.empty(values.size, dtype=np.int64)
    within[grid.order] = grid.periods
    return replace(grid, packed=packed_dates(values, None if grid.unit == "rank" else within, _positions))


def _positions(dates: pd.Index) -> IntArray:
    """Positions of dates on their grid, in the order of the labels."""
    grid = order_times(dates)
    out = np.empty(len(dates), dtype=np.int64)
    out[grid.order] = grid.periods
    return out


def _plain_numbers(values: npt.NDArray[np.float64], labels: pd.Index) -> TimeGrid:
    if labels.dtype.kind in "iu":
        return _grid(labels.to_numpy(dtype=np.int64), "1")
    if np.array_equal(values, np.round(values)) and np.abs(values).max(initial=0.0) < 2**53:
        return _grid(values.astype(np.int64), "1")
    order = np.argsort(values, kind="stable").astype(np.int64)
    distances = np.diff(values[order])
    steps = distances / distances.min()
    if np.all(np.abs(steps - np.round(steps)) < 1e-6):
        periods = np.concatenate([[0], np.cumsum(np.round(steps).astype(np.int64))]).astype(np.int64)
        return TimeGrid(order, periods, f"{distances.min():g}")
    months = np.round(values * 12).astype(np.int64)
    if np.abs(values * 12 - months).max() < 0.07 and np.unique(months).size == months.size:
        return _grid(months, "1/12")  # years with fractions of two digits: 2000.08, 2000.17
    return _ranks(order)


def _moments(labels: pd.DatetimeIndex | pd.TimedeltaIndex) -> TimeGrid:
    """Dates on the longest calendar unit that fits every one of them."""
    if isinstance(labels, pd.DatetimeIndex):
        labels = labels.tz_localize(None)
    if len(labels) < 2:
        return _grid(np.zeros(len(labels)), "rank")
    try:
        nanoseconds = labels.as_unit("ns").asi8
    except (ValueError, OverflowError):  # before 1678 or after 2261
        return _days(labels, labels.as_unit("s").asi8 // _DAY)
    day = _DAY * 10**9
    if np.all(nanoseconds % day == 0):
        return _days(labels, nanoseconds // day)
    if np.diff(np.sort(nanoseconds)).min() >= day - _CLOCK * 10**9:
        shift = _to_midnight(nanoseconds % day, day)
        if shift is not None:
            labels = labels + pd.Timedelta(shift, unit="ns")
            return _days(labels, labels.as_unit("ns").asi8 // day)
    for unit, seconds in _SECONDS.items():
        if np.all((nanoseconds - nanoseconds.min()) % (seconds * 10**9) == 0):
            return _grid((nanoseconds - nanoseconds.min()) // (seconds * 10**9), unit)
    return _ranks(np.argsort(nanoseconds, kind="stable"))


def _to_midnight(clock: IntArray, day: int) -> int | None:
    """What to add so that moments at one time of day, give or take summer time, fall into their days.

    Evening hours are midnight elsewhere: they belong to the day that follows.
    """
    if np.unique(clock).size == 1 and clock[0] < day // 12 * 11:
        return 0
    late = np.where(clock > day // 2, clock - day, clock)
    if late.min() >= -_CLOCK * 10**9 and late.max() <= 0:
        return _CLOCK * 10**9
    return 0 if np.ptp(clock) <= _CLOCK * 10**9 else None


def _days(labels: pd.DatetimeIndex | pd.TimedeltaIndex, days: IntArray) -> TimeGrid:
    distances = np.diff(np.sort(days))
    if isinstance(labels, pd.DatetimeIndex):
        months = labels.year.to_numpy(dtype=np.int64) * 12 + labels.month.to_numpy(dtype=np.int64) - 1
        if distances.min() >= 24 and np.unique(months).size == months.size and _once_a_month(labels):
            spacing = int(np.gcd.reduce(np.diff(np.sort(months))))
            for unit, length in {"year": 12, "half-year": 6, "quarter": 3, "month": 1}.items():
                if spacing % length == 0:
                    return _grid((months - months.min()) // length, unit)
        weekday = labels.day_of_week.to_numpy()
        if np.gcd.reduce(distances) == 1 and weekday.max() < 5 and {0, 4} <= set(weekday):
            dates = labels.to_numpy().astype("datetime64[D]")
            return _grid(np.busday_count(dates.min(), dates), "business day")
    if np.gcd.reduce(distances) % 7 == 0:
        return _grid((days - days.min()) // 7, "week")
    return _grid(days - days.min(), "day")


def _once_a_month(labels: pd.DatetimeIndex) -> bool:
    """The same week of each month, or its end (business days before or after a date included)."""
    day = labels.day.to_numpy()
    return bool(day.max() - day.min() < 7 or np.all(day >= 24))


def _text(labels: list[str], name: str, source: str = "columns") -> TimeGrid:
    """Text, ordered by the numbers in it where all labels follow one pattern."""
    numbers = _all_numeric(labels)
    if numbers is not None:
        months = _dotted_months(labels)
        if months is not None:
            return _grid(months, "month")
        _refuse_ties(list(numbers), labels, name, source)
        return _numbers(numbers, pd.Index(numbers), name, source)
    if all(len(label) == 1 and label.isalpha() for label in labels):
        return _ranks(np.argsort(np.array(labels), kind="stable"))
    parts = [re.findall(r"\d+|\D+", label.strip()) for label in labels]
    skeletons = {tuple("#" if part.isdigit() else part.casefold() for part in found) for found in parts}
    groups = [tuple(int(part) for part in found if part.isdigit()) for found in parts]
    widths = [tuple(len(part) for part in found if part.isdigit()) for found in parts]
    if len(skeletons) != 1 or not groups[0]:
        raise _no_order(labels, name, source)
    if len(groups[0]) > 1 and all(width[0] < 4 and width[-1] == 4 for width in widths):
        raise _no_order(labels, name, source, "they look like dates written with the year last")
    _refuse_ties(groups, labels, name, source)
    if len(groups[0]) == 1:
        return _numbered(np.array([group[0] for group in groups], dtype=np.int64))
    packed = packed_text(labels, _positions)
    calendar = _calendar(skeletons.pop(), groups, widths)
    if calendar is not None:
        return replace(calendar, packed=packed)
    return _ranks(sorted(range(len(groups)), key=groups.__getitem__))


def _numbered(numbers: IntArray) -> TimeGrid:
    """Text with one number, "t9" or "m201907"."""
    grid = _grid(numbers, "1")
    packed = packed_dates(numbers.astype(np.float64), numbers - numbers.min(), _positions)
    if packed is not None:
        packed = replace(packed, whole='{}.astype(str).str.extract(r"(\\d+)")[0].astype(int)')
    return replace(grid, packed=packed)


def _dotted_months(labels: list[str]) -> IntArray | None:
    """Positions of "2000.1", ..., "2000.9", "2000.10", ..., which are numbers only to look at."""
    parts = [re.fullmatch(r"\s*(\d{4})\.(\d{1,2})\s*", label) for label in labels]
    if not all(parts):
        return None
    found = np.array([(int(part[1]), int(part[2]), len(part[2])) for part in parts if part], dtype=np.int64)
    years, months, widths = found.T
    mixed = widths.min() == 1 and np.any((widths == 2) & (months >= 10))
    if not mixed or np.any((widths == 2) & (months < 10)) or months.min() < 1 or months.max() > 12:
        return None
    return years * 12 + months - 1


def _all_numeric(labels: list[str]) -> npt.NDArray[np.float64] | None:
    if not all(re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)\s*", label) for label in labels):
        return None
    return np.array([float(label) for label in labels])


def _calendar(
    skeleton: tuple[str, ...], groups: list[tuple[int, ...]], widths: list[tuple[int, ...]]
) -> TimeGrid | None:
    """Read "2001Q2", "2001-04" and "2001-04-30" as positions on the calendar."""
    if any(width[0] != 4 for width in widths):
        return None
    between = [part.strip(" -_/:") for part in skeleton if part != "#"]
    if len(groups[0]) == 2:
        for letter, unit, per_year in (
            ("q", "quarter", 4),
            ("m", "month", 12),
            ("", "month", 12),
        ):
            if between == [letter] and all(1 <= part <= per_year for _, part in groups):
                return _grid([year * per_year + part - 1 for year, part in groups], unit)
        return _weeks_of_years(groups) if between == ["w"] else None
    if len(groups[0]) == 3 and between == ["", ""]:
        try:
            return _moments(pd.DatetimeIndex([pd.Timestamp(*group) for group in groups]))
        except ValueError:
            return None
    return None


def _weeks_of_years(groups: list[tuple[int, ...]]) -> TimeGrid | None:
    """Weeks of ISO 8601, "2001W52"."""
    try:
        return _grid([dt.date.fromisocalendar(year, week, 1).toordinal() // 7 for year, week in groups], "week")
    except ValueError:
        return None


def _refuse_ties(values: list[Any], labels: list[str], name: str, source: str) -> None:
    seen: dict[Any, str] = {}
    for value, label in zip(values, labels, strict=True):
        if value in seen:
            raise DataError(
                f"the time labels {seen[value]!r} and {label!r} of {name!r} read as the same time",
                "each time needs one label",
                with_column(name, _unpadded(labels), source),
            )
        seen[value] = label


def _unpadded(labels: list[str]) -> str:
    if _all_numeric(labels) is not None:
        return "pd.to_numeric({})"
    return '{}.astype(str).str.extract(r"(\\d+)")[0].astype(int)'


def _no_order(
    labels: list[str], name: str, source: str, why: str = "their alphabetical order need not be their order in time"
) -> DataError:
    examples = ", ".join(repr(label) for label in sorted(labels)[:4])
    code, note = code_of_text_times(labels)
    return DataError(
        f"the time variable {name!r} is text with no order in time ({examples}): {why}",
        "times need an order: integers, dates, Periods, or a categorical that states it",
        with_column(name, code, source) + note,
    )
