"""The rows of a model at an engine: complete ones, without weights of zero, none alone in a level of an effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import DataError, FormulaError
from gifepanel.lazy_rows.columns import Coded, Factors
from gifepanel.lazy_rows.engine import Gone, Home, LazyRows
from gifepanel.lazy_rows.expressions import is_text
from gifepanel.lazy_rows.moments import ask_moments
from gifepanel.panel.absorbed import AbsorbedEffect

__all__ = [
    "LazyEffect",
    "LazySample",
    "Stock",
    "Within",
    "key_expression",
    "key_of",
    "level_sums",
    "levels_of",
    "missing_in",
    "name_of",
    "sums_by",
    "take_stock",
    "weight_of",
    "weighted",
    "with_columns",
]

Array = np.ndarray[Any, np.dtype[np.float64]]
_FLOATS = ("Float32", "Float64")
_KEY = ("__key_", "_")  # around a name, whose own space at the end DuckDB would not see


def key_of(name: str) -> str:
    """The column under which ids are grouped and joined."""
    return name.join(_KEY)


def name_of(key: str) -> str:
    """The column that is grouped under a key."""
    return key.removeprefix(_KEY[0]).removesuffix(_KEY[1])


@dataclass(frozen=True, eq=False)
class Stock:
    """What a first look at all rows found.

    Attributes
    ----------
    n_rows, n_complete, n_zero_weights : int
    missing : dict of str to int
        Rows in which each variable is missing, of those that have any.
    complete : expression
        True for complete rows of positive weight.
    known : expression
        True for complete rows of any weight.
    spans : dict of str to float
        Of ids that are whole numbers: how many there are from the lowest to the highest.
    """

    n_rows: int
    n_complete: int
    n_zero_weights: int
    missing: dict[str, int]
    complete: Any
    known: Any
    spans: dict[str, float] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether all rows are complete and of positive weight."""
        return self.n_complete == self.n_rows and not self.n_zero_weights

    def __getstate__(self) -> dict[str, Any]:
        """Without the expressions."""
        return {**self.__dict__, "complete": None, "known": None}


@dataclass(frozen=True, eq=False)
class LazyEffect:
    """An absorbed effect at the engine.

    Attributes
    ----------
    name : str
    keys : tuple of str
        Columns whose combinations are the levels.
    n_levels : int
    """

    name: str
    keys: tuple[str, ...]
    n_levels: int = 0


@dataclass(frozen=True, eq=False)
class LazySample:
    """Rows that a model is fitted to.

    Attributes
    ----------
    rows : LazyRows
    frame : narwhals LazyFrame
        All columns of the data, those of the model (``__z0`` is the outcome), ids as keys, weights as ``__w``.
    columns : tuple of str
        Outcome, regressors, controls.
    effects : tuple of LazyEffect
    weighted : bool
    stock : Stock
    n_singletons : int
    shift : ndarray, shape (m,)
        Taken off the columns: their means, where a constant is among effects, regressors or controls.
    margins : dict of tuple of str to Home
        Levels of effects that came home when they were counted, by their keys; taken out where they are used.
    """

    rows: LazyRows
    frame: Any
    columns: tuple[str, ...]
    effects: tuple[LazyEffect, ...]
    weighted: bool
    stock: Stock
    n_singletons: int = 0
    shift: Array = field(default_factory=lambda: np.empty(0))
    margins: dict[tuple[str, ...], Home] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        """Without the frame, which needs its connection."""
        return {**self.__dict__, "frame": Gone(), "margins": {}}


def missing_in(name: str, dtype: Any) -> Any:
    """True where a column has no value: null, or NaN, which is something else to most engines."""
    import narwhals.stable.v2 as nw

    column = nw.col(name)
    if str(dtype) not in _FLOATS:
        return column.is_null()
    # not is_nan(): DuckDB 2 takes it from the range in a Parquet file's statistics, which leave NaN out
    return column.is_null() | (~column.is_finite() & (column.abs() != float("inf")))


def _count(condition: Any) -> Any:
    """How many rows fulfil a condition."""
    import narwhals.stable.v2 as nw

    return nw.when(condition).then(nw.lit(1.0)).otherwise(nw.lit(0.0)).sum()


def take_stock(
    rows: LazyRows,
    factors: Factors,
    effects: Sequence[AbsorbedEffect],
    weights: str | None,
    missing: str,
    schema: Mapping[str, Any],
    columns: Sequence[Any] | None = None,
    rough: Array | None = None,
) -> tuple[Stock, Home]:
    """Look at all rows once: missing and infinite values, terms without a value, weights; and moments of `columns`.

    Raises
    ------
    DataError
        Infinite values, negative weights, a variable without a value, no complete row.
    FormulaError
        A term is not finite where its columns are.
    """
    import narwhals.stable.v2 as nw

    looked = _looked_at(factors, effects, weights, schema)
    whole = [name for name in dict.fromkeys(f for e in effects for f in e.factors) if schema[name].is_integer()]
    ids = {f"__id{j}": nw.col(name) for j, name in enumerate(whole)}
    made = {} if columns is None else {f"__z{j}": nw.when(looked.positive).then(one) for j, one in enumerate(columns)}
    if columns is not None and weights:
        made["__w"] = nw.when(looked.positive).then(weight_of(weights))
    frame = rows.frame.select(**looked.flags, **made, **ids)
    asked = {"n": nw.len()} | {name: _count(nw.col(name)) for name in looked.flags}
    for j in range(len(whole)):
        asked |= {f"low{j}": nw.col(f"__id{j}").min(), f"high{j}": nw.col(f"__id{j}").max()}
    if rough is not None:
        asked |= ask_moments(len(rough), weights is not None, rough)
    home = rows.bring(frame.select(**asked), "counts of missing values")
    spans = {name: home.number(f"high{j}") - home.number(f"low{j}") + 1 for j, name in enumerate(whole)}
    return replace(looked.stock(home, weights, missing), spans=spans), home


@dataclass(frozen=True, eq=False)
class _Looked:
    """What is counted in a first look.

    Attributes
    ----------
    columns, infinite, computed : tuple of str
        Columns that may be missing, those that may be infinite, terms that may be neither where their columns are fine.
    flags : dict of str to expression
    positive : expression
        True for complete rows of positive weight.
    """

    columns: tuple[str, ...]
    infinite: tuple[str, ...]
    computed: tuple[str, ...]
    flags: dict[str, Any]
    positive: Any

    def stock(self, home: Home, weights: str | None, missing: str) -> Stock:
        """What the counts say; errors where no model can be fitted to such rows."""
        n = home.count("n")
        counts = {name: count for j, name in enumerate(self.columns) if (count := home.count(f"m{j}"))}
        _check_values(n, counts, {name: home.count(f"i{j}") for j, name in enumerate(self.infinite)}, missing)
        if weights and home.count("negative"):
            raise DataError(
                f"the weights {weights!r} are negative in {home.count('negative')} rows",
                "weights are zero or more",
                "leave those rows out",
            )
        for j, text in enumerate(self.computed):
            if count := home.count(f"f{j}"):
                raise FormulaError(
                    f"the term {text} is not finite in {count} rows where its columns are",
                    "a regressor needs a value in each row",
                    "leave those rows out, or compute the column first with null there",
                )
        n_complete = home.count("complete")
        if not n_complete:
            words = "; ".join(f"{name!r} is missing in {count}" for name, count in counts.items())
            raise DataError(f"no row is left of {n}: {words}", "complete rows are needed", "leave out a variable")
        zero = n_complete - home.count("positive") if weights else 0
        if zero == n_complete:
            raise DataError(
                f"No row is left of {n_complete}: all have weight zero.",
                "Some need a positive weight.",
                "weights=None",
            )
        return Stock(n, n_complete, zero, counts, self.positive, self.flags["complete"])


def _looked_at(
    factors: Factors, effects: Sequence[AbsorbedEffect], weights: str | None, schema: Mapping[str, Any]
) -> _Looked:
    """Flags of rows, to be counted."""
    import narwhals.stable.v2 as nw

    numeric = dict.fromkeys(name for own in factors.columns.values() for name in own)
    ids = dict.fromkeys(name for effect in effects for name in effect.factors)
    used = list(dict.fromkeys([*ids, *factors.order, *([weights] if weights else [])]))
    lacks = {name: missing_in(name, schema[name]) for name in used}
    infinite = [name for name in (*numeric, *([weights] if weights else [])) if str(schema[name]) in _FLOATS]
    complete = reduce(lambda a, b: a & b, (~one for one in lacks.values()))
    computed = {text: expr for text, expr in factors.numbers.items() if text not in schema}
    flags = {"complete": complete} | {f"m{j}": one for j, one in enumerate(lacks.values())}
    flags |= {f"i{j}": ~lacks[name] & ~nw.col(name).is_finite() for j, name in enumerate(infinite)}
    flags |= {f"f{j}": complete & (expr.is_null() | ~expr.is_finite()) for j, expr in enumerate(computed.values())}
    positive = complete
    if weights:
        own = weight_of(weights)
        positive = complete & (own > 0)
        flags |= {"negative": ~lacks[weights] & (own < 0), "positive": positive}
    return _Looked(tuple(lacks), tuple(infinite), tuple(computed), flags, positive)


def _check_values(n: int, counts: Mapping[str, int], infinite: Mapping[str, int], missing: str) -> None:
    problems = []
    wrong = {name: count for name, count in infinite.items() if count}
    if wrong:
        words = "; ".join(f"{name!r}: {count} of {n} rows" for name, count in wrong.items())
        problems.append(DataError(f"infinite values in {words}", "values have to be finite", "put null in their place"))
    empty = [name for name, count in counts.items() if count == n]
    if not n:
        problems.append(DataError("the data have no rows", "rows are needed", "look at the path or the filter"))
    elif empty:
        problems.append(
            DataError(
                f"{', '.join(map(repr, empty))} {'has' if len(empty) == 1 else 'have'} no value in any row",
                "each variable needs values",
                "leave it out of the model, or check how it was read or merged",
            )
        )
    if counts and missing == "raise":
        words = "; ".join(f"{name!r}: {count} of {n} rows" for name, count in counts.items())
        problems.append(
            DataError(f"missing values in {words}", 'missing="raise" wants every row complete', 'missing="drop"')
        )
    if problems:
        raise DataError.of(problems)


def levels_of(rows: LazyRows, stock: Stock, name: str, dtype: Any) -> pd.Series:
    """Levels of a category on the complete rows, in the order that coding takes them; weights may be zero there."""
    import narwhals.stable.v2 as nw

    own = nw.col(name).cast(nw.String) if is_text(dtype) else nw.col(name)
    found = rows.frame.filter(stock.known).select(level=own).group_by("level").agg(n=nw.len())
    labels = rows.bring(found, f"levels of {name}").labels("level")
    order = getattr(dtype, "categories", None)
    if order is not None:
        known = set(labels)
        every = [*order, *sorted(known.difference(order))]
        return pd.Series(pd.Categorical([one for one in every if one in known], categories=every))
    return labels.sort_values(ignore_index=True)


class Within:
    """What does not vary within levels of effects, asked at the engine when it is wanted, once.

    Parameters
    ----------
    rows : LazyRows
    stock : Stock
    factors : Factors
    effects : sequence of AbsorbedEffect
    """

    def __init__(self, rows: LazyRows, stock: Stock, factors: Factors, effects: Sequence[AbsorbedEffect]) -> None:
        self._rows, self._stock, self._factors, self._effects = rows, stock, factors, effects
        self._known: dict[tuple[str, str], bool] = {}

    def __call__(self, texts: frozenset[str]) -> bool:
        """Whether an effect spans the product of some factors: none of them varies within its levels."""
        return any(all(self._is_fixed(effect, text) for text in texts) for effect in self._effects)

    def _is_fixed(self, effect: AbsorbedEffect, text: str) -> bool:
        if self._factors.categories.get(text) in effect.factors:
            return True
        if (effect.name, text) not in self._known:
            self._known[effect.name, text] = self._ask(effect, text)
        return self._known[effect.name, text]

    def _ask(self, effect: AbsorbedEffect, text: str) -> bool:
        import narwhals.stable.v2 as nw

        keys = {key_of(name): key_expression(name, self._rows.schema[name]) for name in effect.factors}
        column = self._factors.categories.get(text)
        value = self._factors.numbers[text] if column is None else key_expression(column, self._rows.schema[column])
        pairs = self._rows.frame.filter(self._stock.known).select(**keys, __value=value)
        pairs = pairs.group_by(*keys, "__value").agg(__n=nw.len())
        levels = pairs.group_by(*keys).agg(__n=nw.len()).select(most=nw.col("__n").max())
        return self._rows.bring(levels, f"whether {text} varies within {effect.name}").count("most") == 1


def with_columns(
    rows: LazyRows, stock: Stock, factors: Factors, coded: Coded, weights: str | None, keys: Sequence[str]
) -> tuple[Any, tuple[str, ...]]:
    """The complete rows with the columns of the model, and what these are called."""
    import narwhals.stable.v2 as nw

    schema = rows.schema
    exprs = coded.all(factors)
    names = tuple(f"__z{j}" for j in range(len(exprs)))
    frame = rows.frame if stock.is_whole else rows.frame.filter(stock.complete)
    made = {name: nw.lit(0.0) + expr for name, expr in zip(names, exprs, strict=True)}
    made |= {key_of(name): key_expression(name, schema[name]) for name in keys}
    if weights:
        made["__w"] = weight_of(weights)
    return frame.with_columns(**made), names


def weight_of(name: str | None) -> Any:
    """Weights as an expression."""
    import narwhals.stable.v2 as nw

    return None if name is None else nw.col(name).cast(nw.Float64)


def key_expression(name: str, dtype: Any) -> Any:
    import narwhals.stable.v2 as nw

    return nw.col(name).cast(nw.String) if is_text(dtype) else nw.col(name)


def weighted(sample: LazySample, value: Any) -> Any:
    """Values times weights, where there are any."""
    import narwhals.stable.v2 as nw

    return value * nw.col("__w") if sample.weighted else value


def sums_by(
    sample: LazySample, frame: Any, keys: Sequence[str], values: Mapping[str, Any], *, counts: bool = False
) -> Any:
    """Weighted sums of expressions within groups, and the total weight ``__m`` of each; with `counts` rows as ``__n``.

    What is summed is a column first: not every engine sums expressions.
    """
    import narwhals.stable.v2 as nw

    weight = {"__weight": nw.col("__w")} if sample.weighted else {}
    made = frame.select(*keys, **{name: weighted(sample, value) for name, value in values.items()}, **weight)
    total = nw.col("__weight").sum() if sample.weighted else nw.len()
    rows = {"__n": nw.len()} if counts else {}
    return made.group_by(*keys).agg(**{name: nw.col(name).sum() for name in values}, __m=total, **rows)


def level_sums(sample: LazySample, effect: LazyEffect) -> Home:
    """Levels of an effect, sorted, with weight ``__m`` and, where there are weights, number of rows ``__n``.

    Sums ``__s0``, ... are of the columns less what is taken off them.
    """
    import narwhals.stable.v2 as nw

    values = {f"__s{j}": nw.col(name) - float(sample.shift[j]) for j, name in enumerate(sample.columns)}
    grouped = sums_by(sample, sample.frame, effect.keys, values, counts=sample.weighted)
    table = sample.rows.bring(grouped, f"levels of {effect.name}").table
    return Home(table.sort_by([(name, "ascending") for name in effect.keys]))
