"""Factors of a formula as expressions that an engine computes: a walk over their syntax trees.

What the walk knows is what means the same at every engine. A number outside of a function's domain is null there, never
an error of the engine in the middle of a query: rows in which a factor has no value though its columns have one are
counted, and refused, as in memory.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gifepanel.exceptions import FormulaError
from gifepanel.panel.expressions import Expression

__all__ = ["Walk", "category_column", "is_number", "is_text", "is_truth"]

_COMPARISONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
}
_SUMS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
}
_BITS: dict[type, Callable[[Any, Any], Any]] = {ast.BitAnd: lambda a, b: a & b, ast.BitOr: lambda a, b: a | b}
_FUNCTIONS = ("log", "log2", "log10", "exp", "sqrt", "abs")
KNOWN = "columns, numbers, + - * / **, comparisons, & |, log, exp, sqrt, abs, I() and C()"


def is_number(dtype: Any) -> bool:
    """Whether a type of narwhals' holds numbers."""
    return bool(dtype.is_numeric())


def is_truth(dtype: Any) -> bool:
    """Whether a type of narwhals' holds truth values."""
    return str(dtype) == "Boolean"


def is_text(dtype: Any) -> bool:
    """Whether a type of narwhals' holds text or categories."""
    return str(dtype).startswith(("String", "Categorical", "Enum", "Object"))


@dataclass(frozen=True)
class _Value:
    """An expression, and whether it is a "number", a "truth" value or "text"."""

    expr: Any
    kind: str


@dataclass(frozen=True, eq=False)
class Walk:
    """From syntax trees to expressions.

    Parameters
    ----------
    schema : mapping of str to narwhals dtype
    context : mapping
        The caller's names that the formula uses.
    engine : str
        For messages.
    """

    schema: Mapping[str, Any]
    context: Mapping[str, Any]
    engine: str

    def number(self, expression: Expression) -> Any:
        """A factor as a narwhals expression of float64; null or not finite where it has no value.

        Raises
        ------
        FormulaError
            The factor has something in it that is not among what every engine computes.
        """
        import narwhals.stable.v2 as nw

        value = self._walk(expression.tree, expression)
        if value.kind == "text":
            raise self._refused(expression, "it holds text")
        return nw.when(value.expr).then(nw.lit(1.0)).otherwise(nw.lit(0.0)) if value.kind == "truth" else value.expr

    def is_truth(self, expression: Expression) -> bool:
        """Whether a factor is a truth value."""
        return self._walk(expression.tree, expression).kind == "truth"

    def _walk(self, node: ast.expr, whole: Expression) -> _Value:
        match node:
            case ast.Name():
                return self._name(whole.name(node), whole)
            case ast.Constant(value=bool() | int() | float() | str()):
                return _literal(node.value)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                inner = self._as_number(self._walk(node.operand, whole), whole)
                return _Value(-inner if isinstance(node.op, ast.USub) else inner, "number")
            case ast.UnaryOp(op=ast.Invert()):
                return _Value(~self._truth(node.operand, whole), "truth")
            case ast.BinOp():
                return self._operation(node, whole)
            case ast.Compare(ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
                return self._comparison(node.left, op, right, whole)
            case ast.Call():
                return self._call(node, whole)
        raise self._refused(whole, f"{ast.unparse(node)} is in it" if node is not whole.tree else "")

    def _name(self, name: str, whole: Expression) -> _Value:
        import narwhals.stable.v2 as nw

        if name not in self.schema:
            value = self.context.get(name)
            if isinstance(value, (bool, int, float, str)):
                return _literal(value)
            raise self._refused(whole, f"{name} is no column")
        dtype = self.schema[name]
        if is_truth(dtype):
            return _Value(nw.col(name), "truth")
        if is_text(dtype):
            return _Value(nw.col(name).cast(nw.String), "text")
        if not is_number(dtype):
            raise self._refused(whole, f"{name} holds {dtype}")
        return _Value(nw.col(name).cast(nw.Float64), "number")

    def _as_number(self, value: _Value, whole: Expression) -> Any:
        import narwhals.stable.v2 as nw

        if value.kind == "text":
            raise self._refused(whole, "it counts with text")
        return nw.when(value.expr).then(nw.lit(1.0)).otherwise(nw.lit(0.0)) if value.kind == "truth" else value.expr

    def _truth(self, node: ast.expr, whole: Expression) -> Any:
        value = self._walk(node, whole)
        if value.kind != "truth":
            raise self._refused(whole, f"{ast.unparse(node)} is no truth value")
        return value.expr

    def _operation(self, node: ast.BinOp, whole: Expression) -> _Value:
        import narwhals.stable.v2 as nw

        kind = type(node.op)
        if kind in _BITS:
            return _Value(_BITS[kind](self._truth(node.left, whole), self._truth(node.right, whole)), "truth")
        left, right = (self._as_number(self._walk(side, whole), whole) for side in (node.left, node.right))
        if kind in _SUMS:
            return _Value(_SUMS[kind](left, right), "number")
        if kind is ast.Div:
            return _Value(nw.when(right != 0).then(left / right), "number")
        if kind is ast.Pow and isinstance(node.right, ast.Constant) and type(node.right.value) in (int, float):
            return _Value(_power(left, float(node.right.value)), "number")  # type: ignore[arg-type]
        raise self._refused(whole, f"{ast.unparse(node)} is in it")

    def _has_order(self, node: ast.expr, whole: Expression) -> bool:
        """Whether a column holds levels in an order that was declared."""
        dtype = self.schema.get(whole.name(node)) if isinstance(node, ast.Name) else None
        return getattr(dtype, "categories", None) is not None

    def _comparison(self, left: ast.expr, op: ast.cmpop, right: ast.expr, whole: Expression) -> _Value:
        a, b = self._walk(left, whole), self._walk(right, whole)
        if not isinstance(op, (ast.Eq, ast.NotEq)) and (self._has_order(left, whole) or self._has_order(right, whole)):
            raise self._refused(whole, "it compares categories in their own order")
        if (a.kind == "text") != (b.kind == "text"):
            raise self._refused(whole, "it compares text with numbers")
        if a.kind != b.kind:
            a, b = (_Value(self._as_number(one, whole), "number") for one in (a, b))
        return _Value(_COMPARISONS[type(op)](a.expr, b.expr), "truth")

    def _call(self, node: ast.Call, whole: Expression) -> _Value:
        name = self._function(node.func, whole)
        if name is None or node.keywords or len(node.args) != 1:
            raise self._refused(whole, f"{ast.unparse(node)} is in it" if node is not whole.tree else "")
        value = self._walk(node.args[0], whole)
        if name == "I":
            return value
        return _Value(_applied(name, self._as_number(value, whole)), "number")

    def _function(self, func: ast.expr, whole: Expression) -> str | None:
        """The function that is called, where it is one of those we know."""
        import numpy as np

        if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name):
            home = self.context.get(whole.name(func.value), np if func.value.id == "np" else None)
            return func.attr if home is np and func.attr in _FUNCTIONS else None
        if not isinstance(func, ast.Name):
            return None
        own = self.context.get(func.id)
        if own is not None and own is not getattr(np, func.id, None):
            return None
        return func.id if func.id in (*_FUNCTIONS, "I") else None

    def _refused(self, whole: Expression, why: str) -> FormulaError:
        return refused(whole.text, why, self.engine)


def refused(term: str, why: str, engine: str) -> FormulaError:
    """A term that the engine is not asked for."""
    return FormulaError(
        f"the term {term} can't be computed by {engine}" + (f": {why}" if why else ""),
        f"what it computes are {KNOWN}: compute the column first, or bring the rows into memory",
        'engine="memory"',
    )


def refused_lags(term: str, engine: str) -> FormulaError:
    """Lags, leads and differences."""
    return FormulaError(
        f"{term} looks at other rows, which {engine} is not asked for",
        f"what it computes are {KNOWN}: compute the column first, or bring the rows into memory",
        'engine="memory"',
    )


def _literal(value: Any) -> _Value:
    import narwhals.stable.v2 as nw

    if isinstance(value, str):
        return _Value(nw.lit(value), "text")
    return _Value(nw.lit(bool(value)), "truth") if isinstance(value, bool) else _Value(nw.lit(float(value)), "number")


def _power(base: Any, exponent: float) -> Any:
    import narwhals.stable.v2 as nw

    if exponent == 2:
        return base * base
    if exponent == round(exponent) and exponent >= 0:
        return base ** int(exponent)
    inside = base != 0 if exponent == round(exponent) else base >= 0 if exponent > 0 else base > 0
    return nw.when(inside).then(base**exponent)


def _applied(name: str, value: Any) -> Any:
    import narwhals.stable.v2 as nw

    if name in ("log", "log2", "log10"):
        inside = nw.when(value > 0).then(value)
        return inside.log() if name == "log" else inside.log(2.0 if name == "log2" else 10.0)
    if name == "sqrt":
        return nw.when(value >= 0).then(value).sqrt()
    return value.exp() if name == "exp" else value.abs()


def category_column(expression: Expression, schema: Mapping[str, Any]) -> str | None:
    """The column that a factor takes as categories: text, or ``C(column, ...)``; None for numbers.

    Raises
    ------
    ValueError
        ``C()`` of anything but a column.
    """
    tree = expression.tree
    if isinstance(tree, ast.Name):
        name = expression.name(tree)
        return name if name in schema and is_text(schema[name]) else None
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "C" and tree.args:
        inner = tree.args[0]
        if not isinstance(inner, ast.Name) or expression.name(inner) not in schema:
            raise ValueError(ast.unparse(inner))
        return expression.name(inner)
    return None
