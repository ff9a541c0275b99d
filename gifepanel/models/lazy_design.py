"""The design of a model whose rows are elsewhere: names, levels and counts, and what its rows are at the engine."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.lazy_rows.columns import Coded, Factors, code_columns, read_lazy_factors
from gifepanel.lazy_rows.engine import Gone, LazyRows
from gifepanel.lazy_rows.expressions import is_truth, refused_lags
from gifepanel.lazy_rows.moments import Moments, are_exact, read_moments
from gifepanel.lazy_rows.sample import (
    LazyEffect,
    LazySample,
    Stock,
    Within,
    key_expression,
    key_of,
    levels_of,
    missing_in,
    take_stock,
    with_columns,
)
from gifepanel.lazy_rows.singletons import choose_lazy_rows
from gifepanel.lazy_rows.sources import collected, has_duckdb, is_lazy, is_path, open_rows, read_path
from gifepanel.lazy_rows.sums import measure, with_shift
from gifepanel.models.checks import check_choice
from gifepanel.panel.absorbed import AbsorbedEffect
from gifepanel.panel.checks import check_number_of_levels
from gifepanel.panel.foreign import foreign_words_told
from gifepanel.panel.frames import PanelFrame, read_frame
from gifepanel.panel.grammar import read_formula
from gifepanel.panel.names import unknown_names
from gifepanel.panel.spec import DesignSpec
from gifepanel.panel.terms import Terms, read_terms
from gifepanel.projections.system import Effect
from gifepanel.results.linear_inputs import rows_elsewhere

__all__ = ["Elsewhere", "LazyDesign", "lazy_design", "where_rows_are"]

_FEW, _SOME = 5, 1_000
_LARGEST = 1e60


class Elsewhere:
    """Stands for an array with a number for each row: whatever looks into it is told where the rows are."""

    def __init__(self, what: str, where: str) -> None:
        self._what, self._where = what, where

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise rows_elsewhere(self._what, self._where)

    __array__ = __getitem__ = __len__ = __iter__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __matmul__ = __rmatmul__ = _refuse
    __truediv__ = __rtruediv__ = __pow__ = __neg__ = __float__ = _refuse

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._refuse()

    def __repr__(self) -> str:
        return f"<{self._what}: in {self._where}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Elsewhere, (self._what, self._where)


@dataclass(eq=False)
class LazyDesign:
    """What :class:`~gifepanel.panel.matrices.PanelDesign` is for rows in memory.

    Attributes
    ----------
    sample : LazySample
        Rows at the engine.
    moments : Moments
    schema : dict
        Types of the columns.
    solved : dict
        By tolerance: effects, cross products of residuals, whether these lost no digits, and those of levels.
    others : as of PanelDesign
        ``endog``, ``exog``, ``controls`` and ``weights`` stand for arrays that are elsewhere.
    """

    sample: LazySample
    moments: Moments
    schema: Mapping[str, Any]
    endog_name: str
    exog_names: tuple[str, ...]
    terms: tuple[str, ...]
    references: tuple[int, ...]
    control_names: tuple[str, ...]
    absorbed_effects: tuple[AbsorbedEffect, ...]
    formula: str
    spec: DesignSpec
    weights_name: str | None
    stock: Stock
    panel: None = None
    common: tuple[int, ...] = ()
    lagged_terms: tuple[str, ...] = ()
    lags_of_endog: tuple[int, ...] = ()
    lost_levels: dict[str, Any] = field(default_factory=dict)
    absorbed_codes: dict[str, Any] = field(default_factory=dict)
    absorbed_slopes: dict[str, Any] = field(default_factory=dict)
    solved: dict[float, Any] = field(default_factory=dict)
    _keys: set[str] = field(default_factory=set)

    @property
    def where(self) -> str:
        """The data, in words."""
        return self.sample.rows.source

    @property
    def nobs(self) -> int:
        """Number of rows of the sample, n."""
        return self.moments.n

    @property
    def n_rows(self) -> int:
        """Number of rows of the data."""
        return self.stock.n_rows

    @property
    def absorbed(self) -> tuple[str, ...]:
        """Absorbed effects as written."""
        return tuple(effect.name for effect in self.absorbed_effects)

    @property
    def n_dropped(self) -> int:
        """Rows that are not complete."""
        return self.stock.n_rows - self.stock.n_complete

    @property
    def dropped_by(self) -> dict[str, int]:
        """Rows in which each variable is missing."""
        return self.stock.missing

    @property
    def n_singletons(self) -> int:
        """Rows dropped since they were alone in a level of an effect."""
        return self.sample.n_singletons

    @property
    def n_zero_weights(self) -> int:
        """Rows with weight zero."""
        return self.stock.n_zero_weights

    @property
    def endog(self) -> Elsewhere:
        """Where the outcome is."""
        return Elsewhere(f"Values of {self.endog_name}", self.where)

    @property
    def exog(self) -> Elsewhere:
        """Where the regressors are."""
        return Elsewhere("Regressors", self.where)

    @property
    def controls(self) -> Elsewhere | None:
        """Where the controls are."""
        return Elsewhere("Controls", self.where) if self.control_names else None

    @property
    def weights(self) -> Elsewhere | None:
        """Where the weights are."""
        return Elsewhere("Weights", self.where) if self.sample.weighted else None

    @property
    def row_index(self) -> Elsewhere:
        """Where the labels of rows are."""
        return Elsewhere("Labels", self.where)

    @property
    def esample(self) -> Elsewhere:
        """Which rows are in the sample."""
        return Elsewhere("Rows of the sample", self.where)

    @property
    def effects(self) -> tuple[Effect, ...]:
        """Absorbed effects: names and levels."""
        codes = Elsewhere("Codes of effects", self.where)
        return tuple(Effect(effect.name, codes, effect.n_levels) for effect in self.sample.effects)

    def key(self, name: str) -> str:
        """The column under which a column is grouped and joined; made where it is not there yet."""
        key = key_of(name)
        if key not in self._keys:
            self.sample = replace(
                self.sample, frame=self.sample.frame.with_columns(**{key: key_expression(name, self.schema[name])})
            )
            self._keys.add(key)
        return key

    def lacks(self, name: str) -> Any:
        """True where a column has no value."""
        return missing_in(name, self.schema[name])

    def without_rows(self) -> LazyDesign:
        """The same without its connection to rows."""
        return replace(self, sample=replace(self.sample, frame=Gone()))


def where_rows_are(data: Any, engine: str, learner: Any = None) -> tuple[LazyRows | None, Any]:
    """Rows at an engine, or None and the data for memory.

    Raises
    ------
    SpecificationError, DataError, MissingPackageError
    """
    check_choice("engine", engine, ("auto", "memory", "lazy"))
    path = is_path(data)
    lazy = not path and is_lazy(data)
    if engine == "memory" or (engine == "auto" and not path and not lazy):
        if path:
            return None, read_path(data)
        return None, collected(data) if lazy else data
    if learner is not None:
        raise SpecificationError(
            "A learner came with rows that are not in memory.", "It is trained on rows in memory.", 'engine="memory"'
        )
    if path and engine == "auto" and not has_duckdb():
        return None, read_path(data)
    return open_rows(data), data


@foreign_words_told
def lazy_design(
    formula: str,
    rows: LazyRows,
    *,
    entity: Any = None,
    time: Any = None,
    context: Any = None,
    missing: str = "drop",
    partial: str = "",
    weights: Any = None,
    singletons: str = "drop",
) -> LazyDesign:
    """Read a formula over rows at an engine; what they are is counted there.

    Raises
    ------
    FormulaError, DataError, SpecificationError
        As in memory; and for terms that the engine is not asked for, before it is.
    """
    check_choice("missing", missing, ("drop", "raise"))
    schema = rows.schema
    for option, value in (("weights", weights), ("entity", entity), ("time", time)):
        _check_column(option, value, tuple(schema))
    frame, terms = _terms_at(rows, formula, partial, context)
    ids = dict.fromkeys(name for effect in terms.effects for name in effect.factors)
    ids |= dict.fromkeys(name for name in (entity, time) if name is not None)
    _check_kinds(rows, terms.columns, ids, weights)
    factors = read_lazy_factors(terms, schema, rows.engine)
    asked = _Asked(formula, terms, factors, frame, weights, missing, tuple(ids))
    coded, sample, moments = _read(rows, asked)
    if moments is None:
        moments = measure(sample, _rough(rows, coded.all(factors)))
    sample = choose_lazy_rows(with_shift(sample, _shift(moments, terms)), singletons == "drop")
    if sample.n_singletons:
        moments = measure(sample, moments.means)
        sample = with_shift(sample, _shift(moments, terms))
    _check_sizes(moments, (factors.outcome, *coded.names, *coded.control_names))
    return LazyDesign(
        sample,
        moments,
        schema,
        factors.outcome,
        coded.names,
        coded.terms,
        coded.references,
        coded.control_names,
        terms.effects,
        formula,
        coded.spec,
        weights,
        sample.stock,
        _keys=set(map(key_of, ids)),
    )


def _check_sizes(moments: Moments, names: Sequence[str]) -> None:
    """Sums of fourth powers have to be numbers of float64."""
    size = moments.lengths / np.sqrt(moments.weight)
    wrong = [j for j in range(len(names)) if not (size[j] == 0 or 1 / _LARGEST < size[j] < _LARGEST)]
    if wrong:
        found = size[wrong[0]]
        told = f"of size {found:.0e}" if np.isfinite(found) else "so large that their squares are no numbers"
        raise DataError(
            f"Values of {names[wrong[0]]} are {told}.",
            f"Products of four of them are summed: sizes from {1 / _LARGEST:.0e} to {_LARGEST:.0e} have room.",
            "Measure it in other units",
        )


def _shift(moments: Moments, terms: Terms) -> Any:
    """What is taken off the columns."""
    centred = bool(terms.effects) or moments.has_constant
    return np.where(moments.constant & (not terms.effects), 0.0, moments.means if centred else 0.0)


def _terms_at(rows: LazyRows, formula: str, partial: str, context: Any) -> tuple[PanelFrame, Terms]:
    """A few rows, and the terms of the formula on them; what an engine is not asked for is refused."""
    parts = read_formula(formula, partial)
    slopes = [effect.name for effect in parts.effects if effect.slopes]
    if slopes:
        raise SpecificationError(
            f"The effect {slopes[0]} has slopes by level, and the rows are in {rows.source}.",
            f"{rows.engine} is asked for effects of levels and combinations; slopes by level need rows in memory.",
            'engine="memory"',
        )
    frame = _few_rows(rows)
    try:
        return frame, read_terms(parts, frame, context, ids=False)
    except DataError as error:
        raise refused_lags(formula, rows.engine) if "lags or differences" in error.found else error from None


@dataclass(frozen=True, eq=False)
class _Asked:
    """A model as it is asked for."""

    formula: str
    terms: Terms
    factors: Factors
    frame: PanelFrame
    weights: str | None
    missing: str
    ids: tuple[str, ...]


def _read(rows: LazyRows, asked: _Asked) -> tuple[Coded, LazySample, Moments | None]:
    """Columns, rows and, where one scan was enough for them, moments.

    Categories are coded once their levels are known, on complete rows; without any, moments are asked with the counts.
    """
    terms, factors, schema = asked.terms, asked.factors, rows.schema
    effects = tuple(LazyEffect(effect.name, tuple(map(key_of, effect.factors))) for effect in terms.effects)
    options = (factors, terms.effects, asked.weights, asked.missing, schema)
    categories = dict.fromkeys(factors.categories.values())

    def made(coded: Coded, stock: Stock) -> LazySample:
        frame, columns = with_columns(rows, stock, factors, coded, asked.weights, asked.ids)
        return LazySample(rows, frame, columns, effects, asked.weights is not None, stock)

    if categories or factors.has_products(terms):
        stock, _ = take_stock(rows, *options)
        levels = {name: levels_of(rows, stock, name, schema[name]) for name in categories}
        for text, name in factors.categories.items():
            check_number_of_levels(text, levels[name], stock.n_complete)
        absorbed = Within(rows, stock, factors, terms.effects)
        coded = code_columns(asked.formula, terms, factors, levels, asked.frame, schema, absorbed)
        return coded, made(coded, stock), None
    coded = code_columns(asked.formula, terms, factors, {}, asked.frame, schema, lambda texts: False)
    columns = coded.all(factors)
    rough = _rough(rows, columns)
    stock, home = take_stock(rows, *options, columns, rough)
    moments = read_moments(home, rough, asked.weights is not None)
    return coded, made(coded, stock), moments if are_exact(moments, rough) else None


def _rough(rows: LazyRows, columns: Sequence[Any]) -> Any:
    """Means of the columns on the first rows: near enough to take products about."""
    asked = {f"s{j}": column.mean() for j, column in enumerate(columns)}
    home = rows.bring(rows.frame.head(_SOME).select(**asked), "means of the first rows", reads=0)
    found = np.array([home.number(f"s{j}") for j in range(len(columns))])
    return np.where(np.isfinite(found), found, 0.0)


def _check_column(option: str, value: Any, names: tuple[str, ...]) -> None:
    if value is None or value in names if isinstance(value, (str, type(None))) else False:
        return
    if not isinstance(value, str):
        raise SpecificationError(
            f"{option} is a {type(value).__name__}.", "Rows at an engine need the name of a column.", f'{option}="..."'
        )
    error = unknown_names([value], names, where=f"{option}=")
    raise SpecificationError(error.found, error.needed, error.fix)


def _check_kinds(rows: LazyRows, variables: Sequence[str], ids: Collection[str], weights: str | None) -> None:
    """Columns hold one value in each row, and weights are numbers."""
    import narwhals.stable.v2 as nw

    schema = rows.schema
    for name in dict.fromkeys((*ids, *variables, *([weights] if weights else []))):
        dtype = schema[name]
        if dtype.is_nested():
            raise DataError(
                f"the cells of {name!r} hold {dtype}",
                "an id is one label in each row: a number, text, or a date"
                if name in ids
                else "a variable has one value in each row",
                "compute a column with one value in each row first",
            )
        if dtype == nw.Unknown and not rows.bring(rows.frame.select(n=nw.col(name).count()), "a count").count("n"):
            raise DataError(
                f"{name!r} has no value in any row",
                "each variable needs values",
                "leave it out of the model, or check how it was read or merged",
            )
    if weights is not None and not (schema[weights].is_numeric() or is_truth(schema[weights])):
        raise DataError(
            f"the weights {weights!r} are not numbers ({schema[weights]})",
            "numbers are needed",
            "weights=None, or another column",
        )


def _few_rows(rows: LazyRows) -> PanelFrame:
    """A frame with the names of the columns, and a few rows."""
    home = rows.bring(rows.frame.head(_FEW), "the first rows", reads=0)
    if not len(home):
        raise DataError("the data have no rows", "rows are needed", "look at the path or the filter")
    return read_frame(home.table.to_pandas(), require_ids=False)
