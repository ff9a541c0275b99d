"""Which factor of which part of a formula uses which columns and functions; unknown names end here."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from gifepanel.exceptions import DataError, FormulaError
from gifepanel.panel.absorbed import AbsorbedEffect
from gifepanel.panel.allowed import OnlyKnown, check_allowed
from gifepanel.panel.expressions import Expression, lags_of, read_expression, uses_panel, without_backticks
from gifepanel.panel.frames import PanelFrame
from gifepanel.panel.grammar import FormulaParts
from gifepanel.panel.names import refuse_quoted, refuse_reserved, reserved, unknown_names

__all__ = ["Terms", "read_factors", "read_terms"]


@dataclass(frozen=True, eq=False)
class Terms:
    """A formula over the columns of a frame.

    Attributes
    ----------
    parsed : formulaic.Formula or ModelSpec
        Both sides; or the spec of an estimation, to be rebuilt on new data.
    left, right : dict of str to Expression
        Factors of the sides by their text.
    partial : set of frozenset of str, or None
        Terms that are controls, as sets of their factors; None where no controls were named.
    effects : tuple of AbsorbedEffect
    columns : tuple of str
        Columns and index levels that the factors use.
    context : dict
        The caller's names that they use.
    expressions : dict of str to Expression
        Factors of both sides.
    uses_lags : bool
        Whether a factor looks at other periods.
    of_regressors : tuple of str
        Columns that regressors and controls are made of.
    lags_of_outcome : frozenset of str
        Factors on the right that look back at the outcome.
    """

    parsed: Any
    left: dict[str, Expression]
    right: dict[str, Expression]
    partial: set[frozenset[str]] | None
    effects: tuple[AbsorbedEffect, ...]
    columns: tuple[str, ...]
    context: dict[str, Any]
    expressions: dict[str, Expression] = field(init=False)
    uses_lags: bool = field(init=False)
    of_regressors: tuple[str, ...] = field(init=False)
    lags_of_outcome: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        used = {name for expression in self.right.values() for name in expression.names}
        lags = {t for y in self.left.values() for t, x in self.right.items() if lags_of(y, self.columns, x)}
        both = {**self.left, **self.right}
        told = {
            "expressions": both,
            "uses_lags": any(uses_panel(expression) for expression in both.values()),
            "of_regressors": tuple(name for name in self.columns if name in used),
            "lags_of_outcome": frozenset(lags),
        }
        for name, value in told.items():
            object.__setattr__(self, name, value)


def read_terms(parts: FormulaParts, frame: PanelFrame, names: Mapping[str, Any], *, ids: bool) -> Terms:
    """Find what the factors of a formula are made of.

    Parameters
    ----------
    parts : FormulaParts
    frame : PanelFrame
    names : mapping
        What the formula may use besides columns.
    ids : bool
        Whether every row needs an entity and a time; lags need them anyway.

    Raises
    ------
    FormulaError
        Names that are nowhere; code that is not allowed; an outcome among the regressors.
    DataError
        Names that would be taken for numbers; no ids where they are needed.
    """
    from gifepanel.panel.formulaic_parsing import factors_of

    for text in (parts.outcome, parts.exog, parts.partial, parts.absorbed):
        refuse_quoted(text, frame.names, frame.data)
    outcome, exog, partial = (without_backticks(text) for text in (parts.outcome, parts.exog, parts.partial))
    if isinstance(names, OnlyKnown):
        _check_code((outcome, exog, partial), frame)
    parsed, controls = _parsed(outcome, exog, partial, parts.effects, frame)
    left, right = read_factors(factors_of(parsed.lhs)), read_factors(factors_of(parsed.rhs))
    unknown = [n for effect in parts.effects for n in (*effect.factors, *effect.slopes) if n not in frame.names]
    if unknown:
        raise unknown_names(unknown, frame.names)
    columns, context = _resolved({**left, **right}, frame, names)
    repeated = [text for text in left if text in right]
    if repeated:
        raise FormulaError(
            f"the outcome {repeated[0]} is also a regressor",
            "leave it out on the right",
            f"{outcome} ~ ...",
        )
    terms = Terms(parsed, left, right, controls, parts.effects, tuple(columns), context)
    if (ids or terms.uses_lags) and (frame.entity is None or frame.time is None):
        raise DataError(
            "the formula has lags or differences, and the data no entities and periods",
            "both are needed to know what came before",
            'entity="firm", time="year"',
        )
    return terms


def _check_code(texts: Iterable[str], frame: PanelFrame) -> None:
    """Formulaic's parser runs calls already: what it would run is looked at first."""
    from gifepanel.panel.formulaic_parsing import code_in

    for text in texts:
        check_allowed(read_factors(code_in(text)), frame.names)


def _parsed(
    outcome: str, exog: str, partial: str, effects: tuple[AbsorbedEffect, ...], frame: PanelFrame
) -> tuple[Any, set[frozenset[str]] | None]:
    """Both sides as formulaic has them, controls among the regressors; and the terms of the controls."""
    from gifepanel.panel.formulaic_parsing import factors_of, parse, uses_dot

    taken = {frame.entity_name, frame.time_name} | {name for effect in effects for name in effect.factors}
    available = [name for name in frame.names if name not in taken]
    if uses_dot(exog):
        for name in filter(reserved, available):
            refuse_reserved(name, frame.data)
    intercept = any(effect.intercept for effect in effects)
    parsed = parse(outcome, exog, available, intercept=intercept)
    if not partial.strip():
        return parsed, None
    # the intercept is the formula's: a 0 or -1 among the controls leaves it there
    own = " + 1" if any(not factors_of([term]) or str(term) == "1" for term in parsed.rhs) else ""
    parsed = parse(outcome, f"{exog} + {partial}{own}", available, intercept=intercept)
    of_controls = parse(outcome, partial, available, intercept=True)
    return parsed, {frozenset(factor.expr for factor in term.factors) for term in of_controls.rhs}


def read_factors(factors: Iterable[Any]) -> dict[str, Expression]:
    """Parse factors, leaving out literal numbers."""
    out = {}
    for factor in factors:
        if factor.kind == "literal":
            continue
        try:
            out[factor.text] = read_expression(factor.text, lookup=factor.kind == "lookup")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise FormulaError(
                f"the term {factor.text[:200]} can't be read: {getattr(error, 'msg', error)}",
                "it has to be a Python expression",
                "log(x / z)",
            ) from None
        _refuse_exclusive_or(out[factor.text])
    return out


def _refuse_exclusive_or(expression: Expression) -> None:
    """``I(x^2)``, a power elsewhere, flips a bit of whole numbers in Python."""
    for node in ast.walk(expression.tree):
        if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor)):
            continue
        if any(isinstance(part, ast.Constant) and type(part.value) in (int, float) for part in (node.left, node.right)):
            raise FormulaError(
                f"the term {expression.text} has a '^', which is no power in Python",
                "a power is written **",
                expression.text.replace("^", "**"),
            )


def _resolved(
    expressions: Mapping[str, Expression], frame: PanelFrame, context: Mapping[str, Any]
) -> tuple[list[str], dict[str, Any]]:
    """Columns and context names that factors use.

    Raises
    ------
    FormulaError
        A name that is nowhere; a bare name that is a variable of the caller's and not a column.
    """
    import builtins

    from gifepanel.panel.formulaic_functions import STANDARD_NAMES

    restricted = isinstance(context, OnlyKnown)
    if restricted:
        check_allowed(expressions, frame.names)
    columns: dict[str, None] = {}
    used: dict[str, Any] = {}
    unknown: dict[str, None] = {}
    for text, expression in expressions.items():
        for name in expression.names:
            if name in frame.names:
                columns[name] = None
            elif restricted and name in STANDARD_NAMES and text != name:
                continue
            elif name in context and text != name and not _shadows(name, context[name], STANDARD_NAMES):
                used[name] = context[name]
            elif (name in STANDARD_NAMES and text != name) or (hasattr(builtins, name) and text != name):
                continue
            else:
                unknown[name] = None
    if unknown:
        error = unknown_names(unknown, frame.names)
        local = next((name for name in unknown if name in context), None)
        if local is not None and error.fix is None:
            error = type(error)(error.found, error.needed, f"data = data.assign({local}={local})")
        raise error
    return list(columns), used


def _shadows(name: str, value: Any, standard: frozenset[str]) -> bool:
    """Whether a caller's name only happens to hide a formula function: ``from math import log``, ``C = 3``."""
    if name not in standard:
        return False
    return getattr(value, "__module__", None) in ("math", "cmath") or not (
        callable(value) or isinstance(value, ModuleType)
    )
