"""What a term looks back at: ``L(log(y), 2)`` is the polynomial z^2 in ``log(y)``, ``D(x)`` is 1 - z in ``x``."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from gifepanel.panel.expressions import Expression, lags_of, panel_call, read_expression, spelled, weights_of

__all__ = ["LagPolynomial", "lag_polynomial", "looks_back"]


@dataclass(frozen=True)
class LagPolynomial:
    """A term as lags of an expression.

    Attributes
    ----------
    core : str
        The expression inside lags, leads and differences.
    weights : dict of int to float
        By lag; leads are negative.
    """

    core: str
    weights: Mapping[int, float]


def lag_polynomial(name: str) -> LagPolynomial:
    """Read the name of a term; one that is no expression is its own core.

    Parameters
    ----------
    name : str
        As coefficients are called: ``L(y)``, ``D(L(x, 2))``, ``x:z``.

    Examples
    --------
    >>> lag_polynomial("D(L(x, 2))")
    LagPolynomial(core='x', weights={2: 1.0, 3: -1.0})
    """
    try:
        expression = read_expression(name)
    except SyntaxError:
        return LagPolynomial(name, {0: 1.0})
    tree, weights = expression.tree, {0: 1.0}
    while panel_call(tree):
        assert isinstance(tree, ast.Call)
        weights = _times(weights, weights_of(tree))
        tree = tree.args[0]
    return LagPolynomial(_text(tree, expression, name, weights), weights)


def looks_back(endog: str, name: str) -> bool:
    """Whether a term, a product of factors perhaps, holds a lag of the outcome or of the column it is made of."""
    try:
        left = read_expression(endog)
        called = {ast.unparse(node.func) for node in ast.walk(left.tree) if isinstance(node, ast.Call)}
        columns = [column for column in left.names if column not in called]
        return any(lags_of(left, columns, read_expression(part)) for part in name.split(":"))
    except SyntaxError:
        return False


def _text(tree: ast.expr, expression: Expression, name: str, weights: Mapping[int, float]) -> str:
    return name if weights == {0: 1.0} else spelled(tree, expression)


def _times(one: Mapping[int, float], other: Mapping[int, float]) -> dict[int, float]:
    out: dict[int, float] = {}
    for lag, weight in one.items():
        for further, factor in other.items():
            out[lag + further] = out.get(lag + further, 0.0) + weight * factor
    return {lag: weight for lag, weight in out.items() if weight != 0.0}
