"""Formulaic's grammar without what it silently takes for something else: ``x:x``, ``x*x``, ``2:z``, ``x + -z``."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Callable, Iterable
from typing import Any

from formulaic.parser import DefaultFormulaParser, DefaultOperatorResolver
from formulaic.parser.types import Operator, Term

from gifepanel.exceptions import FormulaError

__all__ = ["strict_parser"]

_NUMBER = re.compile(r"[\d.]+e\d+")
_PRODUCTS = ("*", ":", "/", "in", "%in%")
_POWERS = ("**", "^")
_MOST_TERMS = 10_000


@functools.cache
def strict_parser(*, removals: bool = True) -> DefaultFormulaParser:
    """Formulaic's parser; products of a term with itself or a number, and the removal of a term that is not there, are
    errors.

    Parameters
    ----------
    removals : bool
        Whether a term has to be there to be removed; ``. - firm`` is right where ``.`` has no ids in it.
    """
    return DefaultFormulaParser(operator_resolver=_Strict() if removals else _StrictProducts())


class _StrictProducts(DefaultOperatorResolver):
    """The usual operators, with a look at what they are given."""

    removals = False

    @property
    def operators(self) -> list[Operator]:
        return [_checked(operator, self.removals) for operator in super().operators]


class _Strict(_StrictProducts):
    removals = True


def _checked(operator: Operator, removals: bool) -> Operator:
    check: Callable[..., None] | None = None
    if operator.symbol in _PRODUCTS:
        check = _check_product
    elif operator.symbol in _POWERS:
        check = _check_power
    elif operator.symbol == "-" and removals:
        check = _check_removal if operator.arity == 2 else _check_negative
    if check is None:
        return operator
    usual, own = operator.to_terms, copy.copy(operator)

    def to_terms(*terms: Any, **options: Any) -> Any:
        check(operator.symbol, *terms)
        return usual(*terms, **options)

    own.to_terms = to_terms
    return own


def _literal(term: Term) -> bool:
    return any(factor.eval_method.value == "literal" or _NUMBER.fullmatch(factor.expr) for factor in term.factors)


def _check_product(symbol: str, left: Iterable[Term], right: Iterable[Term]) -> None:
    left, right = list(left), list(right)
    _check_number(symbol, len(left) * len(right))
    for one in left:
        for other in right:
            if _literal(one) or _literal(other):
                number, term = (one, other) if _literal(one) else (other, one)
                product = f"{one}/{other}" if symbol == "/" else f"{number}*{term}"
                raise FormulaError(
                    f"{one}{symbol}{other} has a number, and in a formula operators join terms",
                    "arithmetic has to stand inside a function or braces",
                    f"I({product})",
                )
            twice = [factor for factor in one.factors if factor in other.factors]
            if twice:
                category = twice[0].expr.startswith("C(")
                raise FormulaError(
                    f"{one}{symbol}{other} joins {twice[0]} with itself, which in a formula means just {twice[0]}",
                    None if category else "a power has to stand inside a function or braces",
                    twice[0].expr if category else f"I({twice[0]}**2)",
                )


def _check_power(symbol: str, terms: Iterable[Term], power: Iterable[Term]) -> None:
    exponent = "".join(map(str, power))
    if exponent.isdigit():
        _check_number(symbol, len(list(terms)) ** min(int(exponent), 100))


def _check_number(symbol: str, count: int) -> None:
    """Products are written out term by term."""
    if count > _MOST_TERMS:
        raise FormulaError(
            f"the formula has a {symbol!r} that stands for more than {_MOST_TERMS} products of terms",
            "each of them is a regressor",
            "name the products that are meant: x:z",
        )


def _check_removal(symbol: str, left: Iterable[Term], right: Iterable[Term]) -> None:
    left = list(left)
    for term in right:
        if not _literal(term) and term not in left:
            raise _removed(term, "there is none before it")


def _check_negative(symbol: str, terms: Iterable[Term]) -> None:
    for term in terms:
        if not _literal(term):
            raise _removed(term, "nothing stands before it")


def _removed(term: Term, why: str) -> FormulaError:
    return FormulaError(
        f"-{term} removes the term {term} from those before it, and {why}",
        "arithmetic has to stand inside a function or braces",
        f"I(-{term})",
    )
