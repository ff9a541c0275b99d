"""Formulaic's materializer with panel functions, and with interactions coded beside absorbed effects."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from formulaic import ModelSpec
from formulaic.materializers import PandasMaterializer
from formulaic.materializers.types import FactorValues
from interface_meta import override

from gifepanel.exceptions import FormulaError
from gifepanel.panel.coding import AbsorbedBlock, absorbs
from gifepanel.panel.counted import Counted, uncounted
from gifepanel.panel.expressions import private_calls
from gifepanel.panel.formulaic_categories import NoSuchLevel, names_reference, usual_reference
from gifepanel.panel.stacked import Constant, Stacked, is_column

__all__ = ["PanelMaterializer", "columns_of", "is_truth"]


class PanelMaterializer(PandasMaterializer):
    """Evaluates called panel functions under their private names, and codes interactions knowing what is absorbed.

    Without a name of its own it is not registered.

    Attributes
    ----------
    blocks : sequence of AbsorbedBlock
    relative : dict of str to (str, level)
        Terms coded relative to a level that nobody named, since effects span the rest: the factor and its level.
    products : dict of str to str
        Terms in which a truth value counts as 0 and 1, though the rest of the term is not in the model: the factor.
    n_references : dict of str to int
        By column: of how many categories it is the reference.
    asked : callable, optional
        Whether effects span the product of factors with these texts, where the blocks do not say it.
    truths : set of str
        Factors that are truth values, though numbers stand in their place.
    """

    blocks: Sequence[AbsorbedBlock] = ()
    asked: Callable[[frozenset[str]], bool] | None = None

    @override
    def _init(self) -> None:
        super()._init()
        self.relative: dict[str, tuple[str, Any]] = {}
        self.products: dict[str, str] = {}
        self.n_references: dict[str, int] = {}
        self._references: set[str] = set()
        self.truths: set[str] = set()

    @property
    @override
    def data_context(self) -> Mapping[str, Any]:
        return {name: Counted(column, copy=False) for name, column in self.data.items()}

    @override
    def _get_scoped_terms(self, terms: Iterable[Any], ensure_full_rank: bool = True) -> Iterator[tuple[Any, Any]]:
        """Formulaic's coding in full or reduced rank, effects counting as terms that came before."""
        spanned: set[Any] = set()
        for term in terms:
            factors = [self.factor_cache[factor.expr] for factor in term.factors]
            span = self._get_scoped_terms_spanned_by_evaled_factors(factors)
            own = span - spanned
            width = max(len(part.factors) for part in span)
            known = {part for part in own if len(part.factors) < width and self._absorbed(part)}
            if known:
                self._note_reference(term, factors)
            self._note_product(term, factors, spanned)
            yield term, self._simplify_scoped_terms(own - known)
            spanned.update(own)

    def _absorbed(self, part: Any) -> bool:
        """Whether effects span the columns of a product of factors, categories without their reference."""
        if self.asked is not None:
            return self.asked(frozenset(scoped.factor.expr for scoped in part.factors))
        labels, numbers = None, [np.ones(self.nrows)]
        for scoped in part.factors:
            bare = scoped.factor.values.__wrapped__
            if scoped.factor.metadata.kind.value == "categorical":
                codes, levels = pd.factorize(pd.Series(bare))
                labels = codes if labels is None else labels * len(levels) + codes
            else:
                columns = [np.asarray(column, dtype=np.float64) for _, column in columns_of(bare, "")]
                numbers = [left * right for left, right in itertools.product(numbers, columns)]
        return bool(self.blocks) and absorbs(self.blocks, labels, numbers)

    def _note_reference(self, term: Any, factors: Sequence[Any]) -> None:
        categories = [factor for factor in factors if factor.metadata.spans_intercept]
        level = usual_reference(categories[0].values)
        if level is not None and not any(names_reference(factor.values) for factor in categories):
            self.relative[str(term)] = (categories[0].expr, level)

    def _note_product(self, term: Any, factors: Sequence[Any], spanned: set[Any]) -> None:
        numbers = [factor for factor in factors if factor.metadata.kind.value == "numerical"]
        for factor in numbers if len(factors) > 1 else ():
            if factor.expr not in self.truths and not is_truth(factor):
                continue
            rest = self._get_scoped_terms_spanned_by_evaled_factors([other for other in factors if other is not factor])
            if not all(part in spanned or self._absorbed(part) for part in rest):
                self.products[str(term)] = factor.expr

    @override
    def _encode_evaled_factor(self, factor: Any, spec: Any, drop_rows: Any, reduced_rank: bool = False) -> Any:
        try:
            return super()._encode_evaled_factor(factor, spec, drop_rows, reduced_rank=reduced_rank)
        except NoSuchLevel as error:
            raise FormulaError(f"{factor.expr}: {error.found}", error.needed, error.fix) from None

    @override
    def _flatten_encoded_evaled_factor(self, name: str, values: Any) -> dict[str, Any]:
        metadata = getattr(values, "__formulaic_metadata__", None)
        if metadata is not None and metadata.drop_field is not None and not metadata.reduced:
            self._references.add(metadata.get_format().format(name=name, field=metadata.drop_field))
        return dict(super()._flatten_encoded_evaled_factor(name, values))

    @override
    def _get_columns_for_term(self, factors: list[dict[str, Any]], spec: ModelSpec, scale: float = 1) -> dict[str, Any]:
        for parts in itertools.product(*factors) if len(factors) > 1 else ():
            count = sum(part in self._references for part in parts)
            if count:
                self.n_references[":".join(parts)] = count
        if len(factors) > 1:
            factors = [{name: _with_room(values) for name, values in factor.items()} for factor in factors]
        if len(factors) == 1 and scale == 1 and all(is_column(column) for column in factors[0].values()):
            return {name: np.asarray(column) for name, column in factors[0].items()}
        return dict(super()._get_columns_for_term(factors, spec=spec, scale=scale))

    @override
    def _encode_constant(self, value: Any, metadata: Any, encoder_state: Any, spec: Any, drop_rows: Any) -> Any:
        if metadata is None:  # an intercept, or nothing in the place of a term: a column by itself
            return Constant(value)
        return super()._encode_constant(value, metadata, encoder_state, spec, drop_rows)

    @override
    def _combine_columns(self, cols: Sequence[tuple[str, Any]], spec: Any, drop_rows: Any) -> Any:
        return Stacked(tuple(values for _, values in cols), self.data.shape[0])

    @override
    def _lookup(self, name: str) -> tuple[Any, set[Any]]:
        value, variables = super()._lookup(name)
        return uncounted(value), variables

    @override
    def _evaluate(self, expr: str, metadata: Any, spec: ModelSpec) -> tuple[Any, set[Any]]:
        value, variables = super()._evaluate(private_calls(expr), metadata, spec)
        return self._aligned(value, expr), variables

    def _aligned(self, value: Any, expr: str) -> Any:
        """Text arrays become categories, Series go back to the order of the rows, lengths have to fit."""
        bare = value.__wrapped__ if isinstance(value, FactorValues) else value
        if type(bare) is Counted:
            bare, metadata = uncounted(bare), getattr(value, "__formulaic_metadata__", None)
            value = bare if metadata is None else FactorValues(bare, metadata=metadata)
        if isinstance(bare, np.ndarray) and bare.dtype.kind in "OUS":
            bare = value = pd.Series(bare.astype(object))
        moved = isinstance(bare, pd.Series) and not bare.index.equals(self.data.index)
        if moved and len(bare) == self.nrows and bare.index.sort_values().equals(self.data.index):
            ordered = bare.reindex(self.data.index)
            metadata = getattr(value, "__formulaic_metadata__", None)
            value = ordered if metadata is None else FactorValues(ordered, metadata=metadata)
        length = bare.shape[0] if np.ndim(bare) and hasattr(bare, "shape") else None
        if length is not None and length != self.nrows:
            raise FormulaError(
                f"the term {expr} has {length} values for {self.nrows} rows",
                "a term needs one value per row; lags and differences are L(x), F(x), D(x)",
            )
        return value


def _with_room(values: Any) -> Any:
    """Whole numbers as float64, in which their products have room."""
    return np.asarray(values, dtype=np.float64) if getattr(values, "dtype", None) == np.int64 else values


def columns_of(bare: Any, name: str) -> Iterable[tuple[str, Any]]:
    if isinstance(bare, Mapping):
        for key, value in bare.items():
            if not (isinstance(key, str) and key.startswith("__")):
                yield from columns_of(value, f"{name}[{key}]")
    elif isinstance(bare, pd.DataFrame):
        for key in bare.columns:
            yield f"{name}[{key}]", bare[key]
    elif np.ndim(bare) == 2:
        dense = bare.toarray() if hasattr(bare, "toarray") else np.asarray(bare)
        for j in range(dense.shape[1]):
            yield f"{name}[{j}]", dense[:, j]
    else:
        yield name, bare


def is_truth(factor: Any) -> bool:
    """Whether a factor of formulaic's holds truth values."""
    return getattr(factor.values.__wrapped__, "dtype", None) == np.bool_
