"""Categories of formulaic: the reference that was named, and its twin of ``C``."""

from __future__ import annotations

import copy
import datetime
import inspect
from collections.abc import Sequence
from typing import Any

import pandas as pd
from formulaic.materializers.types import FactorValues
from formulaic.transforms import TRANSFORMS
from formulaic.transforms.contrasts import Contrasts, SASContrasts, TreatmentContrasts

from gifepanel.exceptions import FormulaError
from gifepanel.panel.text import first_of, literal, show

__all__ = ["NoSuchLevel", "category", "names_reference", "usual_reference"]

_UNSET = TreatmentContrasts().base


class NoSuchLevel(FormulaError):
    """The reference of a category does not occur in the sample."""


def category(data: Any, contrasts: Any = None, *, levels: Any = None, spans_intercept: bool = True) -> FactorValues:
    """Mark data as categorical: ``C`` of formulaic, with a reference that has to occur.

    A reference written as text finds numbers and dates too: ``Treatment("2002-01-01")``.
    """
    if inspect.isclass(contrasts) and issubclass(contrasts, Contrasts):
        contrasts = contrasts()
    if not isinstance(contrasts, TreatmentContrasts) or contrasts.base is _UNSET:
        made = TRANSFORMS["C"](data, contrasts, levels=levels, spans_intercept=spans_intercept)
        made.__formulaic_metadata__.encoder.contrasts = contrasts
        made.__formulaic_metadata__.encoder.levels = levels
        return made
    given, contrasts = contrasts.base, copy.copy(contrasts)
    made = TRANSFORMS["C"](data, contrasts, levels=levels, spans_intercept=spans_intercept)
    encode = made.__formulaic_metadata__.encoder

    def encoder(
        values: Any, reduced_rank: bool, drop_rows: Any, encoder_state: dict[str, Any], model_spec: Any
    ) -> FactorValues:
        known = encoder_state.get("categories")
        if known is None:
            bare = values.__wrapped__ if isinstance(values, FactorValues) else values
            known = pd.Series(bare).astype("category").cat.remove_unused_categories().cat.categories
        contrasts.base = _level(given, list(known))
        return encode(values, reduced_rank, drop_rows, encoder_state, model_spec)

    encoder.contrasts = contrasts  # type: ignore[attr-defined]
    made.__formulaic_metadata__.encoder = encoder
    return made


def names_reference(values: FactorValues) -> bool:
    """Whether a factor was given the level to be left out."""
    return getattr(_contrasts(values), "base", _UNSET) is not _UNSET


def usual_reference(values: FactorValues) -> Any:
    """The level that is left out where none was named; None for contrasts that leave out none, or one without rows."""
    contrasts = _contrasts(values)
    if contrasts is not None and not isinstance(contrasts, TreatmentContrasts):
        return None
    given = getattr(values.__formulaic_metadata__.encoder, "levels", None)
    found = pd.Series(values.__wrapped__).astype("category").cat.categories
    levels = list(found if given is None else given)
    level = levels[-1 if isinstance(contrasts, SASContrasts) else 0]
    return level if level in found else None


def _contrasts(values: FactorValues) -> Any:
    return getattr(values.__formulaic_metadata__.encoder, "contrasts", None)


def _level(given: Any, levels: Sequence[Any]) -> Any:
    """The level that was meant."""
    for level in levels:
        if level == given:
            return level
    for level in levels:
        if str(level) == str(given) or (isinstance(given, str) and _same_date(given, level)):
            return level
    raise NoSuchLevel(
        f"the reference {show(given)} does not occur in the sample",
        f"its levels are {first_of(levels, 12)}",
        f"Treatment({literal(levels[0])})" if levels else None,
    )


def _same_date(text: str, level: Any) -> bool:
    try:
        if isinstance(level, pd.Period):
            return bool(pd.Period(text, freq=level.freq) == level)
        return isinstance(level, datetime.date) and bool(pd.Timestamp(text) == pd.Timestamp(level))
    except ValueError:
        return False
