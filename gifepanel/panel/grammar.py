"""The text of a formula: its parts, and what would silently be misread.

Nothing here knows the data, or calls formulaic.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gifepanel.exceptions import FormulaError
from gifepanel.panel.absorbed import AbsorbedEffect, parse_absorbed
from gifepanel.panel.brackets import split_top
from gifepanel.panel.lag_ranges import expand_lags
from gifepanel.panel.outcome import outcome_term
from gifepanel.panel.powers import check_powers
from gifepanel.panel.text import first_of

__all__ = ["FormulaParts", "FormulaSides", "read_formula", "split_formula"]


@dataclass(frozen=True)
class FormulaSides:
    """``endog ~ exog | absorbed`` as text; ``absorbed`` is empty where there is no second part."""

    endog: str
    exog: str
    absorbed: str = ""


@dataclass(frozen=True)
class FormulaParts:
    """What a formula says, as text that formulaic can parse.

    Attributes
    ----------
    formula : str
        As written.
    outcome : str
        One term.
    exog, partial : str
        Sums of terms, several lags at once written out; `partial` holds the controls.
    absorbed : str
        As written after ``|``.
    effects : tuple of AbsorbedEffect
        The same, read.
    """

    formula: str
    outcome: str
    exog: str
    partial: str
    absorbed: str
    effects: tuple[AbsorbedEffect, ...]


def read_formula(formula: str, partial: str = "") -> FormulaParts:
    """Read a formula and its controls.

    Raises
    ------
    FormulaError
        What can't be read, or would be misread: more than an outcome, powers, a term twice.
    """
    sides = split_formula(formula)
    outcome = outcome_term(sides.endog)
    check_powers(sides.exog)
    effects = parse_absorbed(sides.absorbed)
    check_powers(partial)
    _refuse_doubled(sides.exog, partial)
    return FormulaParts(formula, outcome, expand_lags(sides.exog), expand_lags(partial), sides.absorbed, effects)


def split_formula(formula: str) -> FormulaSides:
    """Split a formula into outcome, regressors and absorbed effects.

    Raises
    ------
    FormulaError
        No ``~`` or more than one, an empty side, more than two parts after ``~``.
    """
    if not isinstance(formula, str):
        raise FormulaError(f"the formula is a {type(formula).__name__}", "text is needed", '"y ~ x1 + x2 | firm"')
    sides = split_top(formula, "~")
    if len(sides) != 2 or not sides[0].strip():
        raise FormulaError(
            f"the formula {formula.strip()!r} has {len(sides) - 1} '~'"
            if len(sides) != 2
            else f"the formula {formula.strip()!r} has nothing before '~'",
            "outcome ~ regressors is needed",
            "y ~ x1 + x2 | firm",
        )
    endog, right = sides
    parts = [part.strip() for part in split_top(right, "|")]
    if len(split_top(endog, "|")) > 1 or len(parts) > 2:
        effects = [part for part in parts[1:] if part]
        plain = parts[0] and all(re.fullmatch(r"[\w.^+ ]+", part) for part in effects)
        raise FormulaError(
            f"the formula has {max(len(parts), 2)} parts: {formula.strip()}",
            "regressors and, after one '|', absorbed effects are what it can have; instruments are not",
            f"{endog.strip()} ~ {parts[0]} | {' + '.join(effects)}" if plain else "y ~ x1 + x2 | firm + year",
        )
    if not parts[0]:
        raise FormulaError(
            f"the formula {formula.strip()!r} has no regressors", "name them, or 1 for none", "y ~ x1 + x2"
        )
    if len(parts) == 2 and not parts[1]:
        raise FormulaError(
            f"nothing follows '|' in {formula.strip()!r}",
            "absorbed effects are expected there",
            "y ~ x | firm",
        )
    return FormulaSides(endog.strip(), parts[0], parts[1] if len(parts) == 2 else "")


def _refuse_doubled(exog: str, partial: str) -> None:
    """A term that stands by itself among the regressors has a coefficient: it is no control."""
    own = {part.strip() for part in split_top(exog, "+")}
    both = [term.strip() for term in split_top(partial, "+") if term.strip() in own - {"", "0", "1"}]
    if both:
        rest = " + ".join(term.strip() for term in split_top(partial, "+") if term.strip() not in both)
        raise FormulaError(
            f"{first_of(both)} is among the regressors and in partial=",
            "a regressor has a coefficient, a control is partialled out and has none",
            f'partial="{rest}", or leave it out of the formula',
        )
