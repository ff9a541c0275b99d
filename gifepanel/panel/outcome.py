"""The left side of a formula: one outcome, as arithmetic.

To formulaic a minus removes a term and a slash nests terms; on the left side nobody means that.
"""

from __future__ import annotations

import ast
import re
from typing import NoReturn

from gifepanel.exceptions import FormulaError
from gifepanel.panel.brackets import split_top
from gifepanel.panel.expressions import Expression, read_expression
from gifepanel.panel.text import first_of

__all__ = ["outcome_term"]

_ONE_TERM = re.compile(r"`[^`]*`|[\w.]+")
_NONE_OF_ARITHMETIC = (ast.MatMult, ast.Not, ast.In, ast.NotIn, ast.Is, ast.IsNot)
_ARITHMETIC = (ast.BinOp, ast.UnaryOp, ast.Compare)


def outcome_term(text: str) -> str:
    """The left side as one term: names and calls as they are, arithmetic in braces.

    Parameters
    ----------
    text : str

    Raises
    ------
    FormulaError
        A sum of terms, which may mean several outcomes; an operator that is none of arithmetic.
    """
    if _ONE_TERM.fullmatch(text):
        return text
    plain = _braces_to_brackets(text)
    parts = [part.strip() for part in split_top(plain, ":")]
    if len(parts) > 1 and all(_ONE_TERM.fullmatch(part) or part.endswith(")") for part in parts):
        product = "*".join(parts)
        raise FormulaError(f"the left side {text} has a ':'", "it is arithmetic: a product is needed", f"{product} ~ x")
    try:
        expression = read_expression(plain)
    except (SyntaxError, ValueError):
        return text if len(parts) == 1 else _refused(text)
    except (RecursionError, MemoryError):
        _refused(f"{text[:100]}...")
    tree = expression.tree
    if isinstance(tree, ast.Name):
        return f"`{expression.name(tree)}`" if tree.id in expression.aliases else tree.id
    if not isinstance(tree, _ARITHMETIC):
        return text if isinstance(tree, (ast.Call, ast.Attribute, ast.Subscript, ast.Constant)) else _refused(text)
    _check(text, expression)
    return f"{{{plain}}}"


def _refused(text: str) -> NoReturn:
    raise FormulaError(f"the left side {text} is no arithmetic", "one outcome is needed", "I(y - x) ~ z")


def _check(text: str, expression: Expression) -> None:
    names = _summands(expression.tree)
    if names and len(names) > 1:
        written = [text_of(expression, node) for node in names]
        raise FormulaError(
            f"the left side has {len(names)} columns: {first_of(written)}",
            "one outcome is needed; a sum of terms may mean their sum or several outcomes",
            f"I({' + '.join(written)}) for their sum, or one formula for each outcome",
        )
    if not any(isinstance(node, ast.Name) for node in ast.walk(expression.tree)):
        raise FormulaError(f"the left side {text} names no outcome", "one column is needed", "y ~ x1 + x2")
    for node in _operators(expression.tree):
        if isinstance(getattr(node, "op", None), ast.BitXor):
            fix = f"{text.replace('^', '**')} ~ x"
            raise FormulaError(f"the left side {text} has a '^'", "a power is written **", fix)
        if isinstance(node, _NONE_OF_ARITHMETIC):
            _refused(text)


def _summands(tree: ast.expr) -> list[ast.expr] | None:
    """The columns and calls that a tree is nothing but the sum of."""
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Add):
        left, right = _summands(tree.left), _summands(tree.right)
        return None if left is None or right is None else left + right
    return [tree] if isinstance(tree, (ast.Name, ast.Call)) else None


def _operators(tree: ast.AST) -> list[ast.AST]:
    """Nodes outside of calls."""
    if isinstance(tree, ast.Call):
        return []
    return [tree] + [node for child in ast.iter_child_nodes(tree) for node in _operators(child)]


def text_of(expression: Expression, node: ast.AST) -> str:
    """A part of an expression as it was written, names in backticks again."""
    text = ast.unparse(node)
    for alias, name in expression.aliases.items():
        text = text.replace(alias, f"`{name}`")
    return text


def _braces_to_brackets(text: str) -> str:
    """``{y > 0} - x`` with brackets of arithmetic; what stands in quotes and backticks stays."""
    parts = re.split(r"(\"[^\"]*\"|'[^']*'|`[^`]*`)", text)
    return "".join(part if k % 2 else part.replace("{", "(").replace("}", ")") for k, part in enumerate(parts))
