"""Words for messages: labels, lists, near names."""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import caller_level

__all__ = ["caller_level", "did_you_mean", "first_of", "literal", "show"]


def show(label: Any) -> str:
    """A label as its owner would type it: no ``np.int64(1)``, no ``Timestamp(...)``."""
    if isinstance(label, tuple):
        return "(" + ", ".join(show(part) for part in label) + ")"
    if isinstance(label, pd.Timestamp):
        return str(label.date()) if label == label.normalize() else str(label)
    if isinstance(label, pd.Period):
        return str(label)
    if isinstance(label, np.generic):
        label = label.item()
    if isinstance(label, float) and label.is_integer() and abs(label) < 1e15:
        return str(int(label))  # years beside a missing one are stored as 2007.0
    return repr(label)


def literal(label: Any) -> str:
    """A label as it can stand in a formula: dates in quotes."""
    text = show(label)
    return repr(text) if isinstance(label, (datetime.date, pd.Period, np.datetime64)) else text


def first_of(labels: Iterable[Any], limit: int = 5) -> str:
    """The first labels, and how many more there are."""
    labels = list(labels)
    text = ", ".join(show(label) for label in labels[:limit])
    return text + (f" and {len(labels) - limit} more" if len(labels) > limit else "")


def did_you_mean(name: Hashable, names: Iterable[Hashable]) -> str | None:
    """The name nearest to a misspelt one, None if none is near."""
    known = {str(known).casefold(): str(known) for known in names}
    length = len(str(name))
    alike = [other for other in known if length >= 4 or len(other) == length]
    near = difflib.get_close_matches(str(name).casefold(), alike, n=1, cutoff=0.5 if length < 4 else 0.6)
    near = near or difflib.get_close_matches(str(name).casefold(), known, n=1, cutoff=0.75)
    return known[near[0]] if near else None
