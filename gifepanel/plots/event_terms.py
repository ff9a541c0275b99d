"""Which regressors are one over time: leads and lags of a variable, or a variable by period."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

__all__ = ["EventSeries", "event_series"]

_FEWEST = 3
_LEVEL = re.compile(r"^(?P<before>.*?)\[(?:T\.)?(?P<level>[^\[\]]+)\](?P<after>[^\[\]]*)$")
_LAG = re.compile(r"^(?P<name>L|F|lag|lead)\((?P<inner>.*?)(?:,\s*(?:k\s*=\s*)?(?P<k>-?\d+))?\)$")
_REFERENCE = re.compile(r"\bTreatment\(\s*(?:reference\s*=\s*)?(?P<a>[^()]+?)\s*\)|\b(?:base|ref)\s*=\s*(?P<b>[^(),]+)")


@dataclass(frozen=True)
class EventSeries:
    """Coefficients over time.

    Attributes
    ----------
    name : str
        What they are of.
    regressors : tuple of int
        Positions among the regressors, in the order of time.
    at : Index
        Periods: of the calendar, since an event, or leads (negative) and lags.
    reference : Any
        The period whose coefficient is zero by definition; None if there is none, or nobody knows.
    relative : bool
        Whether `at` counts from something, so that zero is a special period.
    lags : bool
        Whether they are leads and lags.
    """

    name: str
    regressors: tuple[int, ...]
    at: pd.Index
    reference: Any
    relative: bool
    lags: bool


def event_series(names: Sequence[str], time: str) -> list[EventSeries]:
    """Series among regressors, each of three or more.

    Categories are one where they are periods: those of the variable `time`, dates, or whole numbers that are negative
    as well, as counted from an event.
    """
    found: dict[str, list[tuple[int, Any]]] = {}
    lags: dict[str, list[tuple[int, int]]] = {}
    for j, name in enumerate(names):
        lag, level = _LAG.match(name), _LEVEL.match(name)
        if lag:
            size = int(lag["k"] or 1)
            lags.setdefault(lag["inner"].strip(), []).append((j, size if lag["name"] in ("L", "lag") else -size))
        elif level:
            found.setdefault(f"{level['before']}{level['after']}", []).append((j, level["level"]))
    series = [_of_lags(name, members, names) for name, members in lags.items()]
    series += [_of_levels(name, members, time) for name, members in found.items()]
    return [one for one in series if one is not None]


def _of_lags(name: str, members: list[tuple[int, int]], names: Sequence[str]) -> EventSeries | None:
    if name in names and all(k for _, k in members):
        members = [*members, (list(names).index(name), 0)]
    members = sorted(members, key=lambda one: one[1])
    if len(members) < _FEWEST or len({k for _, k in members}) < len(members):
        return None
    at = pd.Index([k for _, k in members], name=f"periods since {name}")
    return EventSeries(name, tuple(j for j, _ in members), at, None, True, True)


def _of_levels(name: str, members: list[tuple[int, str]], time: str) -> EventSeries | None:
    if len(members) < _FEWEST:
        return None
    variable = _variable(name)
    levels = _periods([level for _, level in members])
    if levels is None:
        return None
    dates = isinstance(levels, pd.DatetimeIndex)
    written = _REFERENCE.search(name)
    reference = None
    if written is not None:
        known = _periods([(written["a"] or written["b"]).strip(" '\"")])
        reference = None if known is None or isinstance(known, pd.DatetimeIndex) != dates else known[0]
    # the reference may be the only period below zero
    relative = not dates and (bool((levels < 0).any()) or (reference is not None and reference < 0))
    if not dates and not relative and variable != time:
        return None
    order = levels.argsort()
    at = levels[order].rename(variable)
    return EventSeries(name, tuple(members[k][0] for k in order), at, reference, relative, False)


def _variable(name: str) -> str:
    """The variable of ``C(year, Treatment(1977)):treated``; of plain ``year:treated``, the first part."""
    call = re.search(r"(?:^|:)\s*\w+\(\s*([^(),]+)", name)
    return call[1].strip() if call else name.split(":")[0].strip()


def _periods(levels: list[str]) -> pd.Index | None:
    """Whole numbers or dates; None if these are neither."""
    try:
        values = [float(level) for level in levels]
    except ValueError:
        if not all(re.match(r"\d{4}-\d{2}", level) for level in levels):
            return None
        found = pd.to_datetime(pd.Series(levels), errors="coerce", format="ISO8601")
        return None if found.isna().any() else pd.DatetimeIndex(found)
    whole = all(value == round(value) for value in values)
    return pd.Index([int(value) for value in values]) if whole else None
