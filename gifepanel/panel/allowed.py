"""What a formula of others may do: with ``context=None`` it is data, not code.

A term is read as a syntax tree before anything of it runs. Columns, numbers, arithmetic and comparisons are allowed,
and calls, by name, of formulaic's transforms, of NumPy's functions value by value and of the panel functions. All else
is refused.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import numpy as np

from gifepanel.exceptions import FormulaError
from gifepanel.panel.expressions import FUNCTIONS, Expression

__all__ = ["NUMPY_FUNCTIONS", "OnlyKnown", "check_allowed"]

NUMPY_FUNCTIONS: dict[str, Any] = {
    name: getattr(np, name)
    for name in dir(np)
    if not name.startswith("_") and isinstance(getattr(np, name), np.ufunc) and getattr(np, name).nout == 1
    if getattr(np, name).signature is None  # matmul and its like are no functions of single values
} | {"where": np.where, "clip": np.clip, "round": np.round}
"""Functions that work value by value, by name."""

_TRANSFORMS = frozenset(
    {
        *("log", "log10", "log2", "exp", "exp10", "exp2", "bs", "cc", "cr", "cs", "center", "poly", "scale"),
        *("standardize", "hashed", "Q", "Treatment", "Poly", "Sum", "Helmert", "Diff"),
        *("sqrt", "log1p", "expm1", "sin", "cos", "floor", "ceil", "sign"),
    }
) | set(FUNCTIONS)
_CONTRASTS = frozenset({"helmert", "poly", "sum", "treatment", "SAS", "diff", "custom"})
_KNOWN = frozenset(dir(builtins)) | _TRANSFORMS | frozenset(NUMPY_FUNCTIONS) | {"np", "pd", "contr"}
_NUMBERS = frozenset({"pi", "e", "nan", "inf"})
_OPERATORS = (
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.BitAnd, ast.BitOr, ast.BitXor),
    *(ast.UAdd, ast.USub, ast.Invert),
    *(ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE),
)


class OnlyKnown(dict[str, Any]):
    """Names that a formula may use with ``context=None``: NumPy's functions."""

    def __init__(self) -> None:
        super().__init__(NUMPY_FUNCTIONS)


def check_allowed(expressions: Mapping[str, Expression], columns: Iterable[str]) -> None:
    """Refuse terms that do more than arithmetic and calls of known functions.

    Parameters
    ----------
    expressions : mapping of str to Expression
        By their text.
    columns : iterable of str
        Names of columns and index levels.

    Raises
    ------
    FormulaError
    """
    known = set(columns)
    for text, expression in expressions.items():
        if expression.aliases.get("__gife_column") == text:
            continue  # a bare name: it is a column, or unknown
        _check_quotes(text, expression)
        try:
            _Term(text, expression, known).check(expression.tree)
        except RecursionError:
            _refuse(text[:100], "brackets or operators without end")


def _check_quotes(text: str, expression: Expression) -> None:
    """Quotes that could be read in two ways are not read at all."""
    names = list(expression.aliases.values())
    strings = [node.value for node in ast.walk(expression.tree) if isinstance(node, ast.Constant)]
    odd = [value for value in [*names, *strings] if isinstance(value, str) and re.search(r"[`\"'\\{}]", value)]
    rest = text
    for name in names:
        rest = rest.replace(f"`{name}`", "")
    if odd or "\\" in text or "`" in rest or re.search(r"(\"\"\"|''')", rest):
        _refuse(text, "quotes within quotes")
    if "#" in re.sub(r"\"[^\"]*\"|'[^']*'", "", rest):
        _refuse(text, "a comment")


class _Term:
    """One term; every node is looked at, and what is not known is refused."""

    def __init__(self, text: str, expression: Expression, columns: set[str]) -> None:
        self.text, self.expression, self.columns = text, expression, columns

    def check(self, node: ast.AST) -> None:
        """A value: a column, a number, arithmetic, a call."""
        if isinstance(node, ast.Name):
            name = self.expression.name(node)
            if name not in self.columns and (name in _KNOWN or name.startswith("_")):
                self.refuse(f"the name {name!r}, which is no column")  # any other is told to be unknown
        elif isinstance(node, ast.Constant):
            if type(node.value) not in (int, float, bool):
                self.refuse(f"the constant {node.value!r}")
        elif isinstance(node, ast.BinOp):
            self.operator(node.op)
            if isinstance(node.op, ast.Pow) and not _harmless(node):
                self.refuse("a power of a number")
            self.check(node.left)
            self.check(node.right)
        elif isinstance(node, ast.UnaryOp):
            self.operator(node.op)
            self.check(node.operand)
        elif isinstance(node, ast.Compare):
            for operator in node.ops:
                self.operator(operator)
            for part in (node.left, *node.comparators):
                if not _is_text(part):
                    self.check(part)
        elif isinstance(node, ast.Call):
            self.call(node)
        elif not (isinstance(node, ast.Attribute) and self.member(node, "np", _NUMBERS)):
            self.refuse(_kind(node))

    def call(self, node: ast.Call) -> None:
        """A call by name, with options that are values or constants."""
        ufunc = False
        if isinstance(node.func, ast.Name):
            name = node.func.id
            ufunc = name in NUMPY_FUNCTIONS and name not in _TRANSFORMS
            if name not in _TRANSFORMS and not ufunc:
                self.refuse(f"a call of {name!r}")
        elif isinstance(node.func, ast.Attribute):
            ufunc = self.member(node.func, "np", NUMPY_FUNCTIONS)
            if not ufunc and not self.member(node.func, "contr", _CONTRASTS):
                self.refuse(_kind(node.func))
        else:
            self.refuse("a call of something that is no name")
        if ufunc:
            function = NUMPY_FUNCTIONS[node.func.id if isinstance(node.func, ast.Name) else node.func.attr]
            most = function.nin if isinstance(function, np.ufunc) else 2 if function is np.round else 3
            if node.keywords or len(node.args) > most:
                self.refuse("options of a function of NumPy")
        if isinstance(node.func, ast.Name) and node.func.id == "Q":
            quoted = [part.value for part in node.args if isinstance(part, ast.Constant)]
            if len(node.args) != 1 or not quoted or quoted[0] not in self.columns:
                self.refuse("a quoted name that is no column")
        for keyword in node.keywords:
            if keyword.arg is None or keyword.arg.startswith("_"):
                self.refuse(f"the option {keyword.arg or '**'}")
        for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
            self.argument(argument)

    def argument(self, node: ast.AST) -> None:
        """Beside values: text, None, lists and tables of constants, the names of contrasts."""
        if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, str)):
            return
        if isinstance(node, (ast.List, ast.Tuple)):
            for part in node.elts:
                self.argument(part)
        elif isinstance(node, ast.Dict):
            for key in (*node.keys, *node.values):
                if key is None:
                    self.refuse("two stars")
                self.argument(key)
        elif isinstance(node, ast.Name) and node.id in ("Treatment", "Poly", "Sum", "Helmert", "Diff"):
            return
        elif not (isinstance(node, ast.Attribute) and self.member(node, "contr", _CONTRASTS)):
            self.check(node)

    def member(self, node: ast.Attribute, of: str, allowed: Iterable[str]) -> bool:
        """``np.log`` and the like; nothing that hangs on a column or on another attribute."""
        own = isinstance(node.value, ast.Name) and node.value.id == of and of not in self.columns
        return own and node.attr in allowed

    def operator(self, operator: ast.AST) -> None:
        if not isinstance(operator, _OPERATORS):
            self.refuse(f"the operator {type(operator).__name__}")

    def refuse(self, what: str) -> NoReturn:
        _refuse(self.text, what)


def _refuse(text: str, what: str) -> NoReturn:
    raise FormulaError(
        f"the term {text} holds {what}",
        "with context=None a formula has columns, arithmetic and calls of known functions by name; no other code runs",
        "make it a column first: data = data.assign(z=...); or context=0, if the formula is your own",
    )


def _harmless(power: ast.BinOp) -> bool:
    """A power of a column, or of a small number; ``9**9**9**9`` never ends."""
    if any(isinstance(part, (ast.Name, ast.Call)) for part in ast.walk(power.left)):
        return True
    numbers = [part.value for part in (power.left, power.right) if isinstance(part, ast.Constant)]
    return len(numbers) == 2 and all(isinstance(number, (int, float)) and abs(number) <= 100 for number in numbers)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _kind(node: ast.AST) -> str:
    words = {
        ast.Attribute: "an attribute",
        ast.Subscript: "a subscript",
        ast.Lambda: "a lambda",
        ast.JoinedStr: "an f-string",
        ast.NamedExpr: "an assignment",
        ast.Starred: "a star",
        ast.IfExp: "an if",
    }
    name = type(node).__name__
    comprehension = "a comprehension" if "Comp" in name or "Generator" in name else f"a {name}"
    return next((word for kind, word in words.items() if isinstance(node, kind)), comprehension)
