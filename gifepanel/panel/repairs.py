"""Lines of code that repair data: on a column, a level of the index, an array, a frame that is not pandas'."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence

__all__ = ["prepared", "where_defined", "with_column", "without_rows"]

_LISTED = 20
_LOGS = ("log", "log2", "log10")
_ARITHMETIC = (ast.Name, ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.expr_context)


def prepared(source: str) -> str:
    """What has to come before a line of pandas."""
    return "data = data.to_pandas(); " if source == "foreign" else ""


def with_column(name: str, code: str, source: str, *, before: str = "") -> str:
    """A line that replaces an id by ``code``; both write ``{}`` for the column.

    Parameters
    ----------
    name : str
        Of the column or index level.
    code : str
    source : {"index", "unnamed index", "columns", "foreign", "arrays", "cubes"}
        Where it is.
    before : str
        A statement that comes first.
    """
    column = f'data["{name}"]'
    if source in ("arrays", "cubes"):
        column = "pd.Series(time)"
        return "; ".join(part for part in (before.format(column), f"time = {code.format(column)}") if part)
    lines = [before.format(column), f"{column} = {code.format(column)}"]
    line = "; ".join(part for part in lines if part)
    if "index" in source:
        named = 'data = data.rename_axis(["entity", "time"]); ' if source == "unnamed index" else ""
        return (
            f'{named}order = data.index.names; data = data.reset_index(level="{name}"); {line}; '
            f'data = data.set_index("{name}", append=True).reorder_levels(order)'
        )
    return prepared(source) + line


def without_rows(names: list[str], source: str) -> str:
    """A line that leaves rows out in which an id is missing."""
    if "index" in source:
        named = 'data = data.rename_axis(["entity", "time"]); ' if source == "unnamed index" else ""
        checks = [f'data.index.get_level_values("{name}").notna()' for name in names]
        return f"{named}data = data[{' & '.join(checks)}]"
    return prepared(source) + f"data = data.dropna(subset=[{', '.join(repr(n) for n in names)}])".replace("'", '"')


def where_defined(term: str, names: Collection[str], rows: Sequence[int], source: str) -> str:
    """A line that keeps the rows where a term is a number.

    Parameters
    ----------
    term : str
        Of a formula.
    names : collection of str
        Of columns and index levels.
    rows : sequence of int
        Positions where it is not finite, for terms whose domain is not plain to see.
    source : str
        As in :func:`with_column`.
    """
    found = list(dict.fromkeys(_domains(term, names)))
    if found and None not in found:
        return prepared(source) + f"data = data.query({' and '.join(map(str, found))!r})"
    if len(rows) > _LISTED:
        return "leave those rows out"
    return prepared(source) + f"data = data[~np.isin(np.arange(len(data)), {[int(row) for row in rows]})]"


def _domains(term: str, names: Collection[str]) -> Iterator[str | None]:
    """Conditions under which logarithms, roots and divisions of a term are numbers; None if more than arithmetic."""
    quoted = list(dict.fromkeys(re.findall(r"`[^`]*`", term)))
    text = term
    for number, name in enumerate(quoted):
        text = text.replace(name, f"_quoted{number}_")
    known = {*names, *(f"_quoted{number}_" for number in range(len(quoted)))}
    try:
        nodes = list(ast.walk(ast.parse(text.strip(), mode="eval")))
    except SyntaxError:
        return
    for node in nodes:
        for argument, condition in _domain(node):
            inside = list(ast.walk(argument))
            used = {part.id for part in inside if isinstance(part, ast.Name)}
            if not used:
                continue
            if not used <= known or not all(isinstance(part, _ARITHMETIC) for part in inside):
                yield None
                continue
            written = ast.unparse(argument)
            for number, name in enumerate(quoted):
                written = written.replace(f"_quoted{number}_", name)
            yield f"{written} {condition}"


def _domain(node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    """An argument and what it has to be, as the end of a comparison."""
    if isinstance(node, ast.Call) and node.args:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        condition = "> 0" if name in _LOGS else "> -1" if name == "log1p" else ">= 0" if name == "sqrt" else None
        if condition:
            yield _unlagged(node.args[0]), condition
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        yield _unlagged(node.right), "!= 0"
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        power = node.right
        negative = isinstance(power, ast.UnaryOp) and isinstance(power.op, ast.USub)
        number = power.operand if isinstance(power, ast.UnaryOp) else power
        if isinstance(number, ast.Constant) and isinstance(number.value, (int, float)):
            whole = number.value == int(number.value)
            if negative or not whole:
                yield _unlagged(node.left), "!= 0" if negative and whole else "> 0" if negative else ">= 0"


def _unlagged(argument: ast.expr) -> ast.expr:
    """What is lagged or led: it is a number in all rows if its lags are."""
    if isinstance(argument, ast.Call) and isinstance(argument.func, ast.Name) and argument.func.id in ("L", "F"):
        return argument.args[0] if argument.args else argument
    return argument
