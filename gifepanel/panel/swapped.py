"""Entity and time in each other's place: an error where it is certain, a question where it is likely."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from gifepanel.exceptions import DataError, DataWarning
from gifepanel.panel.codes import Codes
from gifepanel.panel.text import caller_level, show
from gifepanel.panel.times import looks_like_dates, order_times

__all__ = ["check_swapped"]

_TIME_WORDS = {
    *("time", "year", "quarter", "month", "week", "day", "date", "period", "t", "yr", "datetime", "wave"),
    *("years", "months", "quarters", "fyear", "ym", "yq", "yearmonth", "yearqtr", "yyyymm", "hour"),
}
_YEARS = (1900, 2100)


def check_swapped(entity: Codes, time: Codes, entity_name: str, time_name: str, *, index: bool) -> None:
    """Refuse (time, entity) where it is certain, ask where names or values suggest it.

    Parameters
    ----------
    entity, time : Codes
    entity_name, time_name : str
    index : bool
        Whether they are index levels by their place, or columns by name.

    Raises
    ------
    DataError
        Dates as entities and something else as times; years as entities and text without an order, or something that
        is not named as a time, as times.
    """
    if looks_like_dates(time.labels) or time.ordered or not len(entity.labels) or not len(time.labels):
        return
    names = entity_name, time_name
    entity_name, time_name = entity_name or "entity", time_name or "time"
    named = names[0].casefold() in _TIME_WORDS and time_name.casefold() not in _TIME_WORDS
    holds = _what_of_time(entity.labels)
    text = pd.api.types.infer_dtype(time.labels) == "string"
    if looks_like_dates(entity.labels):
        raise _certain(entity_name, time_name, holds, "does not", index)
    if holds and text and not _has_order(time.labels, time_name):
        why = f"text without an order in time ({show(time.labels[0])}, ...)"
        raise _certain(entity_name, time_name, holds, why, index)
    if _what_of_time(time.labels) and not named:
        return
    if named and holds and index and not _what_of_time(time.labels):
        raise _certain(entity_name, time_name, holds, "does not", index)
    likely = holds and (text or names[1].casefold() not in _TIME_WORDS)
    if named or likely or _irregular(entity, time, names[1]):
        repair = _repair(entity_name, time_name, index)
        keep = f'; if not, pass entity="{entity_name}", time="{time_name}"' if index else ""
        what = f"the first index level, {entity_name!r}," if index else f"entity={entity_name!r}"
        found = f"{what} looks like time, but is taken as the entity"
        if not (named or likely):
            found = (
                f"there are {len(time.labels)} times in {time_name!r}, at uneven distances, and {len(entity.labels)} "
                f"entities in {entity_name!r}: they may be swapped"
            )
        warnings.warn(
            DataWarning(found, "entity has to come first, time second", f"if they are swapped: {repair}{keep}"),
            stacklevel=caller_level(),
        )


def _certain(entity_name: str, time_name: str, holds: str, other: str, index: bool) -> DataError:
    first, second = f"entity={entity_name!r}", f"time={time_name!r}"
    if index:
        first, second = f"the first index level, {entity_name!r},", f"the second, {time_name!r},"
    return DataError(
        f"{first} holds {holds} and {second} {other}",
        "entity has to come first, time second",
        _repair(entity_name, time_name, index),
    )


def _repair(entity_name: str, time_name: str, index: bool) -> str:
    return "data = data.swaplevel()" if index else f'entity="{time_name}", time="{entity_name}"'


def _what_of_time(labels: pd.Index) -> str:
    """Dates or years, where the labels are one of them."""
    if looks_like_dates(labels):
        return "dates"
    if len(labels) < 2:
        return ""
    numbers = pd.to_numeric(pd.Series(labels).astype(str), errors="coerce").to_numpy(dtype=np.float64)
    if np.isnan(numbers).any() or not np.array_equal(numbers, np.round(numbers)):
        return ""
    if numbers.min() >= _YEARS[0] and numbers.max() <= _YEARS[1]:
        return "years"
    packed = order_times(pd.Index(numbers)).packed
    return "dates" if packed is not None and numbers.min() > 10_000 and numbers.size >= 4 else ""


def _irregular(entity: Codes, time: Codes, time_name: str) -> bool:
    """More periods than entities, and numbers at uneven distances that nobody calls a time: ids of firms."""
    if time_name.casefold() in _TIME_WORDS or time.labels.dtype.kind not in "iu":
        return False
    if len(time.labels) <= 2 * len(entity.labels) or len(time.labels) < 10:
        return False
    steps = np.diff(np.sort(time.labels.to_numpy(dtype=np.int64)))
    return bool((steps > steps.min()).mean() > 0.5)


def _has_order(labels: pd.Index, name: str) -> bool:
    """Whether labels can be put in order of time."""
    try:
        order_times(labels, name)
    except DataError:
        return False
    return True
