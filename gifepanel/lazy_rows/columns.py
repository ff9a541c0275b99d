"""Outcome, regressors and controls of a formula as expressions, categories coded as they are in memory.

formulaic parses the formula and codes the categories: on a small frame that holds every combination of the levels of
each term, and in which numbers are powers of two, by which the columns are divided afterwards. What is left is the code
of every combination, which becomes an expression of the engine.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import FormulaError
from gifepanel.lazy_rows.expressions import Walk, category_column, is_text, is_truth, refused, refused_lags
from gifepanel.panel.design import regressors_and_controls, spec_of, warn_of_coding, warn_of_single_levels
from gifepanel.panel.expressions import Expression, uses_panel
from gifepanel.panel.frames import PanelFrame
from gifepanel.panel.spec import DesignSpec
from gifepanel.panel.terms import Terms

__all__ = ["Coded", "Factors", "code_columns", "read_lazy_factors"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_COMBINATIONS = 20_000


@dataclass(frozen=True, eq=False)
class Factors:
    """What the factors of a formula are at the engine.

    Attributes
    ----------
    numbers : dict of str to expression
        By text of the factor.
    categories : dict of str to str
        Columns of those that are categories.
    outcome : str
        Text of the outcome.
    columns : dict of str to tuple of str
        Columns that each number is made of.
    order : tuple of str
        All columns, as the formula has them.
    truths : frozenset of str
        Texts of the numbers that are truth values.
    """

    numbers: dict[str, Any]
    categories: dict[str, str]
    outcome: str
    columns: dict[str, tuple[str, ...]]
    order: tuple[str, ...]
    truths: frozenset[str] = frozenset()

    def has_products(self, terms: Terms) -> bool:
        """Whether how a term is coded depends on what effects span."""
        coded = self.truths.union(self.categories)
        return any(len(term.factors) > 1 and any(f.expr in coded for f in term.factors) for term in terms.parsed.rhs)


def read_lazy_factors(terms: Terms, schema: Mapping[str, Any], engine: str) -> Factors:
    """Turn each factor into an expression, before anything is read.

    Raises
    ------
    FormulaError
        A factor has something in it that not every engine computes; the outcome is no number.
    """
    walk = Walk(schema, terms.context, engine)
    numbers: dict[str, Any] = {}
    categories: dict[str, str] = {}
    columns: dict[str, tuple[str, ...]] = {}
    for text, expression in terms.expressions.items():
        column = _category(expression, schema, engine)
        if column is not None:
            categories[text] = column
            continue
        if uses_panel(expression):
            raise refused_lags(f"the term {text}", engine)
        numbers[text] = walk.number(expression)
        columns[text] = tuple(name for name in expression.names if name in schema)
        if not columns[text] and not isinstance(expression.tree, ast.Constant):
            raise FormulaError(
                f"the term {text} has no column in it",
                "each term needs one value per row",
                "put a number for each entity or period into a column first",
            )
    if not terms.left:
        raise FormulaError("the left side of the formula names no outcome", "one column is needed", "y ~ x1 + x2")
    outcome = next(iter(terms.left))
    if outcome in categories:
        raise FormulaError(
            f"the outcome {outcome} is text or a category", "numbers are needed", "compute a column of 0 and 1 first"
        )
    truths = frozenset(text for text in numbers if walk.is_truth(terms.expressions[text]))
    return Factors(numbers, categories, outcome, columns, terms.columns, truths)


def _category(expression: Expression, schema: Mapping[str, Any], engine: str) -> str | None:
    try:
        column = category_column(expression, schema)
    except ValueError as error:
        raise refused(expression.text, f"{error} is no column", engine) from None
    if column is None:
        return None
    dtype = schema[column]
    if not (is_text(dtype) or is_truth(dtype) or dtype.is_numeric()):
        raise refused(expression.text, f"{column} holds {dtype}", engine)
    return column


@dataclass(frozen=True, eq=False)
class Coded:
    """Columns of the model, as expressions.

    Attributes
    ----------
    names, control_names : tuple of str
    regressors, controls : tuple of expressions
    terms : tuple of str
    references : tuple of int
    spec : DesignSpec
        Makes the same columns of frames in memory.
    """

    names: tuple[str, ...]
    regressors: tuple[Any, ...]
    terms: tuple[str, ...]
    references: tuple[int, ...]
    control_names: tuple[str, ...]
    controls: tuple[Any, ...]
    spec: DesignSpec

    def all(self, factors: Factors) -> list[Any]:
        """Outcome, regressors, controls."""
        return [factors.numbers[factors.outcome], *self.regressors, *self.controls]


def code_columns(
    formula: str,
    terms: Terms,
    factors: Factors,
    levels: Mapping[str, pd.Series],
    frame: PanelFrame,
    schema: Mapping[str, Any],
    absorbed: Callable[[frozenset[str]], bool],
) -> Coded:
    """Columns of the right side as expressions.

    Parameters
    ----------
    formula : str
    terms : Terms
    factors : Factors
    levels : mapping of str to Series
        Of each column that is a category, sorted.
    frame : PanelFrame
        Of a few rows: names and types.
    schema : mapping
    absorbed : callable
        Whether effects span the product of some factors.
    """
    from gifepanel.panel.formulaic_evaluation import Evaluation

    of_terms = _categories_of_terms(terms, factors)
    small, where = _combinations(of_terms, factors, levels)
    n = len(small) if len(small.columns) else 1
    data = {name: _column(name, small, schema, frame, n) for name in terms.columns}
    values = Evaluation(terms.parsed, data, n, {**terms.context, **_private()})
    rng = np.random.default_rng(0)
    powers: dict[str, Any] = {text: 2.0 ** rng.integers(-8, 9, n) for text in factors.numbers}
    values.take_numbers(powers)
    encoded = values.encode(np.ones(n, dtype=bool), asked=absorbed)
    values.close()
    warn_of_single_levels(encoded.exog.empty)
    warn_of_coding(encoded)
    exog = encoded.exog
    kept, controls = regressors_and_controls(exog, terms)
    spec = spec_of(formula, tuple(exog.names[j] for j in kept), terms, encoded, frame, (None, None), kept, controls)
    made = {
        j: _expression(exog.take([j])[:, 0], [f.text for f in exog.factors[j]], factors, powers, levels, where)
        for j in (*kept, *controls)
    }
    return Coded(
        spec.exog_names,
        tuple(made[j] for j in kept),
        tuple(":".join(factor.text for factor in exog.factors[j]) for j in kept),
        tuple(exog.references[j] for j in kept),
        tuple(exog.names[j] for j in controls),
        tuple(made[j] for j in controls),
        spec,
    )


def _private() -> dict[str, Any]:
    """Names under which formulaic calls I() and C()."""
    from gifepanel.panel.expressions import PRIVATE
    from gifepanel.panel.transforms import PanelFunctions

    functions = PanelFunctions(lambda: None)  # type: ignore[arg-type, return-value]
    return {PRIVATE.format(name): function for name, function in functions.namespace().items()}


def _categories_of_terms(terms: Terms, factors: Factors) -> list[tuple[str, ...]]:
    """Columns of the categories of each term of the right side, each set once."""
    out: dict[tuple[str, ...], None] = {}
    for term in terms.parsed.rhs:
        own = [factors.categories[f.expr] for f in term.factors if f.expr in factors.categories]
        if own:
            out[tuple(dict.fromkeys(own))] = None
    return list(out)


def _combinations(
    of_terms: Sequence[tuple[str, ...]], factors: Factors, levels: Mapping[str, pd.Series]
) -> tuple[pd.DataFrame, dict[tuple[str, ...], slice]]:
    """A frame with all combinations of levels that a term has, one term below the other; and where each is."""
    columns = list(dict.fromkeys(factors.categories.values()))
    blocks, where, first = [], {}, 0
    for own in of_terms:
        size = int(np.prod([len(levels[name]) for name in own]))
        if size > _COMBINATIONS:
            raise FormulaError(
                f"{' and '.join(own)} have {size} {'combinations of levels' if len(own) > 1 else 'levels'}",
                f"a category with coefficients has {_COMBINATIONS} at most",
                f"absorb it: y ~ x | {'^'.join(own)}",
            )
        positions = np.array(list(itertools.product(*(range(len(levels[name])) for name in own))), dtype=np.int64)
        block = {name: np.zeros(size, dtype=np.int64) for name in columns}
        block |= {name: positions[:, k] for k, name in enumerate(own)}
        blocks.append(pd.DataFrame(block))
        where[own] = slice(first, first + size)
        first += size
    if not blocks:
        return pd.DataFrame(), {}
    codes = pd.concat(blocks, ignore_index=True)
    return pd.DataFrame({name: levels[name].take(codes[name]).reset_index(drop=True) for name in columns}), where


def _column(name: str, small: pd.DataFrame, schema: Mapping[str, Any], frame: PanelFrame, n: int) -> pd.Series:
    if name in small.columns:
        return small[name]
    if is_text(schema[name]):
        return pd.Series(["a"] * n)
    return pd.Series(np.ones(n, dtype=bool) if is_truth(schema[name]) else np.ones(n))


def _expression(
    values: Array,
    texts: Sequence[str],
    factors: Factors,
    powers: Mapping[str, Array],
    levels: Mapping[str, pd.Series],
    where: Mapping[tuple[str, ...], slice],
) -> Any:
    """One column: the product of its numbers, times the code of its categories."""
    own = [text for text in texts if text in factors.numbers]
    parts = [factors.numbers[text] for text in own]
    categories = tuple(dict.fromkeys(factors.categories[text] for text in texts if text in factors.categories))
    if categories:
        rows = where[categories]
        divided = values[rows] / np.prod([powers[text][rows] for text in own], axis=0) if own else values[rows]
        shape = [len(levels[name]) for name in categories]
        parts.append(_code(divided.reshape(shape), categories, levels))
    if not parts:
        return _constant(1.0, factors.order[0])
    return reduce(lambda left, right: left * right, parts)


def _constant(value: float, column: str) -> Any:
    """A number in each row, as a column: engines sum those alone."""
    import narwhals.stable.v2 as nw

    return nw.when(nw.col(column).is_null()).then(nw.lit(value)).otherwise(nw.lit(value))


def _code(values: Array, categories: Sequence[str], levels: Mapping[str, pd.Series]) -> Any:
    """The code of combinations of levels: axes on which it does not depend are left out."""
    import narwhals.stable.v2 as nw

    axes = [k for k in range(values.ndim) if np.ptp(values, axis=k).any()]
    values = np.asarray(values[tuple(slice(None) if k in axes else 0 for k in range(values.ndim))])
    if not axes:
        return _constant(float(values), categories[0])
    terms = []
    for position in zip(*np.nonzero(values), strict=True):
        conditions = [
            _is_level(categories[k], levels[categories[k]].iloc[place]) for k, place in zip(axes, position, strict=True)
        ]
        same = reduce(lambda left, right: left & right, conditions)
        terms.append(nw.when(same).then(nw.lit(float(values[position]))).otherwise(nw.lit(0.0)))
    return reduce(lambda left, right: left + right, terms)


def _is_level(name: str, level: Any) -> Any:
    import narwhals.stable.v2 as nw

    value = level.item() if isinstance(level, np.generic) else level
    column = nw.col(name).cast(nw.String) if isinstance(value, str) else nw.col(name)
    return column if value is True else ~column if value is False else column == nw.lit(value)
