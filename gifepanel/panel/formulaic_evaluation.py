"""Factors evaluated on all rows, and encoded on those that are kept: values, matrices and the spec of new rows.

The files named ``formulaic_*`` are all that touches formulaic beyond its documented interface (tested with 1.1 and
1.2). Why not ``formulaic.model_matrix``: its removal of missing rows goes by label, overlooks infinities, and runs
before anything can be said about them; it turns unseen categories into the baseline; its messages carry
terminal colours. Here the factors are evaluated on all rows, the caller decides on the rows to keep, and only
then they are encoded. Nothing is registered with formulaic: its own engine and statsmodels' use of it stay as
they are.
"""

from __future__ import annotations

import copy
import keyword
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from formulaic import ModelSpec
from formulaic.errors import DataMismatchWarning, FormulaicError
from formulaic.materializers.types import FactorValues
from formulaic.model_matrix import ModelMatrices

from gifepanel.exceptions import FormulaError, GifepanelError
from gifepanel.panel.coding import AbsorbedBlock
from gifepanel.panel.counted import Counted
from gifepanel.panel.expressions import PRIVATE
from gifepanel.panel.formulaic_functions import SAFE_TRANSFORMS
from gifepanel.panel.formulaic_materializer import PanelMaterializer, columns_of, is_truth
from gifepanel.panel.formulaic_parsing import FactorInfo, clean
from gifepanel.panel.stacked import Stacked

__all__ = ["Encoded", "Evaluation", "FactorValue", "Matrix", "column_factors"]

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FactorValue:
    """What a factor evaluated to.

    Attributes
    ----------
    kind : {"numerical", "categorical", "constant"}
    columns : dict of str to array
        One entry for most; several for ``bs(x)`` and its like.
    """

    kind: str
    columns: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Matrix:
    """Columns of one side.

    Attributes
    ----------
    stacked : Stacked
        Columns (n,).
    names : tuple of str
    factors : tuple of tuple of FactorInfo
        The factors each column is a product of.
    empty : tuple of str
        Terms without any column.
    references : tuple of int
        Of how many categories each column is the reference.
    """

    stacked: Stacked
    names: tuple[str, ...]
    factors: tuple[tuple[FactorInfo, ...], ...]
    empty: tuple[str, ...]
    references: tuple[int, ...]

    def take(self, positions: Sequence[int]) -> FloatArray:
        """Some of the columns, (n, k) in C order."""
        return self.stacked.take(positions)


@dataclass(frozen=True, eq=False)
class Encoded:
    """Both sides on the kept rows (``endog`` is None on new data), and the spec that rebuilds the right one.

    ``relative`` and ``products`` are what a reader of the formula may not expect: terms coded relative to a level that
    nobody named (factor and level), and terms in which a truth value is a number though the others do not stand alone.
    """

    endog: Matrix | None
    exog: Matrix
    spec: ModelSpec
    relative: dict[str, tuple[str, Any]]
    products: dict[str, str]


class Evaluation:
    """Factors evaluated on all rows, to be encoded once the rows to keep are known.

    Parameters
    ----------
    formula : formulaic.Formula or ModelSpec
        Parsed formula, or the spec of an earlier one to be rebuilt exactly.
    columns : dict of str to (n,) pandas.Series
        Columns by name, on positions.
    n_rows : int
    context : mapping
        Functions and constants by name, panel functions under their private names.

    Raises
    ------
    FormulaError
        A factor can't be evaluated.
    """

    def __init__(self, formula: Any, columns: Mapping[str, pd.Series], n_rows: int, context: Mapping[str, Any]) -> None:
        data = pd.DataFrame(dict(columns), index=pd.RangeIndex(n_rows), copy=False)
        words = {
            PRIVATE.format(name): Counted(column, copy=False)
            for name, column in data.items()
            if keyword.iskeyword(str(name))
        }
        self._materializer = PanelMaterializer(data, context={**SAFE_TRANSFORMS, **context, **words})
        if isinstance(formula, ModelSpec):
            formula = replace(
                formula,
                transform_state=copy.deepcopy(formula.transform_state),
                encoder_state=copy.deepcopy(formula.encoder_state),
            )
        specs = ModelSpec.from_spec(formula, na_action="ignore", output="numpy")
        self._specs = self._materializer._prepare_model_specs(specs)
        _, pooled = self._materializer._prepare_factor_evaluation_model_spec(self._specs)
        with np.errstate(all="ignore"):
            for spec in self._specs._flatten():
                for term in spec.formula:
                    for factor in term.factors:
                        self._evaluate(factor, pooled)
        self._specs._map(lambda spec: spec.transform_state.update(pooled.transform_state))

    def _evaluate(self, factor: Any, spec: ModelSpec) -> None:
        try:
            self._materializer._evaluate_factor(factor, spec, set())
        except FormulaicError as error:
            cause = error.__cause__
            if isinstance(cause, GifepanelError):
                raise cause from None
            words = f"{type(cause).__name__}: {clean(cause)}" if cause is not None else clean(error)
            raise FormulaError(
                f"the term {factor.expr} can't be evaluated: {words}",
                "a term is a column, or a function of columns that gives one value per row",
            ) from error

    def close(self) -> None:
        """Let go of the data: formulaic's closures form cycles that would keep it until they are collected."""
        self._materializer.factor_cache.clear()
        self._materializer.encoded_cache.clear()
        self._materializer.data = self._materializer.layered_context = None

    def values(self) -> dict[str, FactorValue]:
        """Evaluated factors by their text."""
        out = {}
        for expr, factor in self._materializer.factor_cache.items():
            bare = factor.values.__wrapped__
            kind = factor.metadata.kind.value
            out[expr] = FactorValue(kind, {} if kind == "constant" else dict(columns_of(bare, expr)))
        return out

    def take_numbers(self, values: Mapping[str, FloatArray]) -> None:
        """Put other numbers (n,) in the place of what some factors evaluated to; truth values stay known as such."""
        cache = self._materializer.factor_cache
        self._materializer.truths |= {expr for expr in values if is_truth(cache[expr])}
        for expr, array in values.items():
            cache[expr] = replace(cache[expr], values=FactorValues(array, metadata=cache[expr].metadata))

    def unseen_levels(self) -> dict[str, list[Any]]:
        """Categories, by factor, that the spec was not made with."""
        unseen: dict[str, list[Any]] = {}
        for spec in self._specs._flatten():
            for expr, (_, state) in spec.encoder_state.items():
                known = state.get("categories") if isinstance(state, dict) else None
                if known is None or expr not in self._materializer.factor_cache:
                    continue
                values = pd.Series(self._materializer.factor_cache[expr].values.__wrapped__)
                new = [level for level in values.dropna().unique() if level not in set(known)]
                if new:
                    unseen[expr] = new
        return unseen

    def _keep(self, keep: BoolArray) -> None:
        """Factors on some of the rows alone."""
        materializer = self._materializer
        for expr, factor in materializer.factor_cache.items():
            values = FactorValues(_take(factor.values.__wrapped__, keep), metadata=factor.metadata)
            materializer.factor_cache[expr] = replace(factor, values=values)
        materializer.data = pd.DataFrame(index=pd.RangeIndex(int(keep.sum())))

    def encode(
        self,
        keep: BoolArray,
        blocks: Sequence[AbsorbedBlock] = (),
        asked: Callable[[frozenset[str]], bool] | None = None,
    ) -> Encoded:
        """Build the matrices on the rows to keep, (n,) bool, beside absorbed effects.

        Where the rows stand for others, `asked` says of the texts of factors whether effects span their product.

        Raises
        ------
        FormulaError
        """
        materializer = self._materializer
        materializer.blocks, materializer.asked = blocks, asked
        if not keep.all():
            self._keep(keep)
        for expr, factor in materializer.factor_cache.items():
            bare = factor.values.__wrapped__
            if isinstance(getattr(bare, "dtype", None), pd.CategoricalDtype):
                used = bare.cat.remove_unused_categories() if isinstance(bare, pd.Series) else bare
                materializer.factor_cache[expr] = replace(factor, values=FactorValues(used, metadata=factor.metadata))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", category=DataMismatchWarning)
                built = self._specs._map(
                    lambda spec: materializer._build_model_matrix(spec, drop_rows=[]), as_type=ModelMatrices
                )
        except DataMismatchWarning as found:
            raise FormulaError(
                clean(found).partition(". They")[0].partition(".  They")[0],
                "levels= has to list each category of the sample",
                "add them to levels=, or leave those rows out",
            ) from None
        except GifepanelError:
            raise
        except (FormulaicError, ValueError, TypeError, Warning) as error:
            raise FormulaError(
                f"the columns of the formula can't be built: {clean(error)}",
                "each term needs one value per row",
                "put a number for each entity or period into a column first",
            ) from error
        notes = (materializer.relative, materializer.products)
        count = materializer.n_references
        if "lhs" in built._structure:
            return Encoded(_matrix(built.lhs, {}), _matrix(built.rhs, count), built.rhs.model_spec, *notes)
        return Encoded(None, _matrix(built.root, count), built.root.model_spec, *notes)


def _take(bare: Any, keep: BoolArray) -> Any:
    if isinstance(bare, Mapping):
        return {
            key: value if isinstance(key, str) and key.startswith("__") else _take(value, keep)
            for key, value in bare.items()
        }
    if isinstance(bare, FactorValues):
        return FactorValues(_take(bare.__wrapped__, keep), metadata=bare.__formulaic_metadata__)
    if isinstance(bare, (pd.Series, pd.DataFrame)):
        return bare[keep].reset_index(drop=True)
    return bare[keep] if np.ndim(bare) or hasattr(bare, "toarray") else bare


def _matrix(built: Any, n_references: Mapping[str, int]) -> Matrix:
    spec = built.model_spec
    empty = tuple(str(row.term) for row in spec.structure if not row.columns and str(row.term) != "0")
    names = tuple(str(name) for name in spec.column_names)
    references = tuple(n_references.get(name, 0) for name in names)
    return Matrix(built.__wrapped__, names, column_factors(spec), empty, references)


def column_factors(spec: ModelSpec) -> tuple[tuple[FactorInfo, ...], ...]:
    """The factors that each column of a matrix built by this spec is a product of."""
    factors: list[tuple[FactorInfo, ...]] = []
    for row in spec.structure:
        info = tuple(FactorInfo(factor.expr, factor.eval_method.value) for factor in row.term.factors)
        factors += [info] * len(row.columns)
    return tuple(factors)
