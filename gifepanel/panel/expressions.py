"""Names and lags inside the factors of a formula, read from their syntax trees."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gifepanel.panel.transforms import PANEL_FUNCTIONS, PanelFunctions

__all__ = [
    "Expression",
    "lags_of",
    "missing_rows",
    "panel_call",
    "private_calls",
    "read_expression",
    "spelled",
    "weights_of",
    "without_backticks",
]

BoolArray = npt.NDArray[np.bool_]

_QUOTED = re.compile(r"(\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`)")
FUNCTIONS = (*PANEL_FUNCTIONS, "C", "I")
"""Names that stay functions when called, even where a column bears the name (D a dummy, C consumption)."""
_CALL = re.compile(rf"(?<![\w.])({'|'.join(FUNCTIONS)})(?=\()")
PRIVATE = "__gife_{}"


@dataclass(frozen=True, eq=False)
class Expression:
    """A factor's expression.

    Attributes
    ----------
    text : str
    tree : ast.expr
        Names in backticks stand under an alias.
    aliases : dict of str to str
        Alias to name.
    names : tuple of str
        Names read: columns, constants, functions; not those bound inside (lambda, comprehension).
    """

    text: str
    tree: ast.expr
    aliases: Mapping[str, str]
    names: tuple[str, ...]

    def name(self, node: ast.Name) -> str:
        """The caller's name for a name in the tree."""
        return self.aliases.get(node.id, node.id)


def read_expression(text: str, *, lookup: bool = False) -> Expression:
    """Parse a factor.

    Parameters
    ----------
    text : str
    lookup : bool
        The factor is a bare column name, whatever its characters.

    Raises
    ------
    SyntaxError
        The text is not a Python expression.
    """
    aliases: dict[str, str] = {}
    if lookup:
        aliases["__gife_column"] = text
        return Expression(text, ast.Name("__gife_column", ast.Load()), aliases, (text,))

    def alias(part: str) -> str:
        if not part.startswith("`"):
            return part
        aliases[f"__gife_quoted{len(aliases)}"] = part.strip("`")
        return f" __gife_quoted{len(aliases) - 1} "

    clean = "".join(alias(part) for part in _QUOTED.split(text)).strip()
    tree = ast.parse(clean, mode="eval").body
    return Expression(text, tree, aliases, tuple(dict.fromkeys(_names(tree, aliases))))


def _names(tree: ast.AST, aliases: Mapping[str, str]) -> Iterable[str]:
    bound = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    bound |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    called = {id(node.func) for node in ast.walk(tree) if _is_call(node, *FUNCTIONS)}  # type: ignore[attr-defined]
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in bound and id(node) not in called:
            yield aliases.get(node.id, node.id)
        if _is_call(node, "Q") and isinstance(node.args[0], ast.Constant):  # type: ignore[attr-defined]
            yield str(node.args[0].value)  # type: ignore[attr-defined]


def _is_call(node: ast.AST, *names: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names and bool(node.args)


def panel_call(node: ast.AST) -> bool:
    """Whether a node calls a lag, lead or difference."""
    return _is_call(node, *PANEL_FUNCTIONS)


def without_backticks(text: str) -> str:
    """Names out of backticks that need none: formulaic puts them back wherever the letters occur."""
    parts = _QUOTED.split(text)
    return "".join(
        name
        if part.startswith("`") and (name := part.strip("`")).isidentifier() and not keyword.iskeyword(name)
        else part
        for part in parts
    )


def private_calls(text: str) -> str:
    """Give called functions a private name, so that a column named ``D`` or ``C`` does not stand in their way.

    Columns named like words of Python, ``not`` or ``lambda``, get one too: formulaic takes them out of their backticks.
    """

    def changed(part: str) -> str:
        if _QUOTED.fullmatch(part):
            own = keyword.iskeyword(part.strip("`")) and part.startswith("`")
            return f" {PRIVATE.format(part.strip('`'))} " if own else part
        return _CALL.sub(lambda m: PRIVATE.format(m.group(1)), part)

    return "".join(map(changed, _QUOTED.split(text)))


def uses_panel(expression: Expression) -> bool:
    """Whether a lag, lead or difference is called."""
    return any(panel_call(node) for node in ast.walk(expression.tree))


def _periods(call: ast.Call) -> int:
    """The ``k`` of a panel call as far as it is a literal; 1 by default."""
    given = call.args[1] if len(call.args) > 1 else next((kw.value for kw in call.keywords if kw.arg == "k"), None)
    if given is None:
        return 1
    try:
        return int(ast.literal_eval(given))
    except (ValueError, TypeError):
        return 1


def weights_of(call: ast.Call) -> dict[int, float]:
    """What a panel call is of its argument, by lag: ``L(x, 2)`` is {2: 1}, ``F(x)`` {-1: 1}, ``D(x)`` {0: 1, 1: -1}."""
    assert isinstance(call.func, ast.Name)
    k = _periods(call)
    if call.func.id in ("D", "diff"):
        return {0: 1.0, k: -1.0}
    return {-k if call.func.id in ("F", "lead") else k: 1.0}


# --- rows in which a factor may be missing ------------------------------------------------------------------


def missing_rows(
    expression: Expression, missing: Mapping[str, BoolArray], functions: PanelFunctions, n: int
) -> BoolArray:
    """Rows in which an expression may be NaN for a good reason: a missing input, or no row to lag to.

    A NaN anywhere else comes from the formula itself, such as the log of a negative number.

    Parameters
    ----------
    expression : Expression
    missing : mapping of column name to (n,) bool
        Rows in which each column is missing.
    functions : PanelFunctions
    n : int

    Returns
    -------
    (n,) bool
    """

    def visit(node: ast.AST) -> BoolArray:
        if isinstance(node, ast.Name):
            return missing.get(expression.name(node), np.zeros(n, dtype=bool))
        if panel_call(node):
            assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            return functions.missing_after(node.func.id, visit(node.args[0]), _periods(node))
        if _is_call(node, "Q") and isinstance(node.args[0], ast.Constant):  # type: ignore[attr-defined]
            return missing.get(str(node.args[0].value), np.zeros(n, dtype=bool))  # type: ignore[attr-defined]
        out = np.zeros(n, dtype=bool)
        for child in ast.iter_child_nodes(node):
            out = out | visit(child)
        return out

    return visit(expression.tree)


# --- lags of the outcome ------------------------------------------------------------------------------------


def lags_of(endog: Expression, columns: Iterable[str], exog: Expression) -> bool:
    """Whether a regressor looks back at the outcome: ``L(y)``, ``L(log(y), 2)``, ``D(L(y))``, ``y`` where
    F(y) is explained.

    Parameters
    ----------
    endog : Expression
    columns : iterable of str
        Names of columns of the data.
    exog : Expression

    Returns
    -------
    bool
        True if the outcome's core (the expression inside its lags and differences, a part of a sum, or the one column
        it is made of) occurs in ``exog`` only at dates before the outcome's own.
    """
    used = set(endog.names) & set(columns)
    column = next(iter(used)) if len(used) == 1 else None

    def dates(tree: ast.AST, expression: Expression, core: ast.AST, at: int) -> list[int]:
        if panel_call(tree):
            assert isinstance(tree, ast.Call)
            return [date for lag in weights_of(tree) for date in dates(tree.args[0], expression, core, at - lag)]
        if _same(tree, expression, core, endog):
            return [at]
        if column is not None and isinstance(tree, ast.Name) and expression.name(tree) == column:
            return [at]
        return [date for child in ast.iter_child_nodes(tree) for date in dates(child, expression, core, at)]

    for core in _cores(endog.tree):
        own, found = dates(endog.tree, endog, core, 0), dates(exog.tree, exog, core, 0)
        if own and found and max(found) < max(own):
            return True
    return False


def _cores(tree: ast.AST) -> list[ast.AST]:
    """What is inside the lags and differences of an outcome: of the whole, and of each part of a sum."""
    while panel_call(tree):
        tree = tree.args[0]  # type: ignore[attr-defined]
    parts: list[ast.AST] = []
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, (ast.Add, ast.Sub)):
        parts = [tree.left, tree.right]
    elif isinstance(tree, ast.BinOp) and isinstance(tree.op, (ast.Mult, ast.Div)):
        parts = [part for part in (tree.left, tree.right) if not isinstance(part, ast.Constant)]
        parts = parts if len(parts) == 1 else []
    elif isinstance(tree, ast.UnaryOp):
        parts = [tree.operand]
    own = [] if isinstance(tree, ast.Constant) else [tree]
    return own + [core for part in parts for core in _cores(part)]


def _same(tree: ast.AST, expression: Expression, other: ast.AST, its: Expression) -> bool:
    return spelled(tree, expression) == spelled(other, its)


def spelled(tree: ast.AST, expression: Expression) -> str:
    """A part of an expression as text, names in backticks where they need them."""
    text = ast.unparse(tree)
    for alias, name in expression.aliases.items():
        text = text.replace(alias, f"`{name}`" if not name.isidentifier() else name)
    return text
