"""Formulas read by formulaic's parser: terms, their factors and the code in them, and its errors in plain words."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from formulaic import Formula
from formulaic.errors import FormulaicError
from formulaic.parser.algos.tokenize import tokenize
from formulaic.parser.types import Token

from gifepanel.exceptions import FormulaError
from gifepanel.panel.formulaic_operators import strict_parser

__all__ = ["FactorInfo", "clean", "code_in", "factors_of", "parse", "uses_dot"]

_DOT = re.compile(r"(?<![\w.])\.(?![\w.])")


@dataclass(frozen=True)
class FactorInfo:
    """One factor of a formula: a bare column (``lookup``), an expression, or a literal number."""

    text: str
    kind: str


def parse(endog: str, exog: str, available: Iterable[str], *, intercept: bool) -> Any:
    """Parse both sides with formulaic's grammar.

    Parameters
    ----------
    endog, exog : str
    available : iterable of str
        What ``.`` stands for.
    intercept : bool
        Keep an intercept even where the formula removes it, so that categories are coded against it.

    Raises
    ------
    FormulaError
    """
    text = f"{endog} ~ 1 + ({exog})" if intercept else f"{endog} ~ {exog}"
    try:
        names = {"__formulaic_variables_available__": list(available)}
        formula = Formula.from_spec(text, parser=strict_parser(removals=not uses_dot(exog)), context=names)
        if not hasattr(formula, "lhs") or not hasattr(formula, "rhs"):
            raise FormulaError(f"the formula {endog} ~ {exog} has no two sides", "outcome ~ regressors is needed")
    except (FormulaicError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise _unreadable(f"{endog} ~ {exog}", error) from None
    return formula


def code_in(text: str) -> list[FactorInfo]:
    """Whatever of one side formulaic's parser takes for Python; it runs calls on the left to find their names.

    Raises
    ------
    FormulaError
    """
    try:
        tokens = [token for token in tokenize(text) if token.kind is Token.Kind.PYTHON]
    except FormulaicError as error:
        raise _unreadable(text, error) from None
    return [FactorInfo(token.token, "python") for token in tokens]


def _unreadable(text: str, error: BaseException) -> FormulaError:
    why = "its terms are nested too deeply" if isinstance(error, (RecursionError, MemoryError)) else clean(error)
    shown = text if len(text) <= 300 else f"{text[:200]}..."
    word = next((name for name in re.findall(r"`([^`]*)`", text) if keyword.iskeyword(name)), None)
    if word is not None:
        return FormulaError(
            f"the formula {shown} can't be read: {word!r} is a word of Python",
            "inside of functions a column needs another name",
            f'data = data.rename(columns={{"{word}": "{word}_"}})',
        )
    return FormulaError(
        f"the formula {shown} can't be read: {why}",
        "the grammar is that of formulaic: names, functions, + - : * and C(...); any other Python goes into braces",
        "y ~ x1 + log(x2) + C(region) + {x3 > 0}",
    )


def uses_dot(text: str) -> bool:
    """Whether a formula has the sign for all other columns."""
    return _DOT.search(text) is not None


def clean(error: BaseException | str) -> str:
    """The words of an error of formulaic without colours, markers and line breaks."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    text = text.replace("⧛", "").replace("⧚", "").replace("PanelFunctions.", "").replace("'Counted'", "'Series'")
    return re.sub(r"\s+", " ", text).strip().rstrip(".")


def factors_of(terms: Any) -> list[FactorInfo]:
    """Factors of one side, in order, each once."""
    found: dict[str, FactorInfo] = {}
    for term in terms:
        for factor in term.factors:
            found.setdefault(factor.expr, FactorInfo(factor.expr, factor.eval_method.value))
    return list(found.values())
