"""Everything that touches formulaic beyond its documented interface (tested with 1.1 and 1.2).

Why not ``formulaic.model_matrix``: its removal of missing rows goes by label, overlooks infinities, and runs
before anything can be said about them; it turns unseen categories into the baseline; its messages carry
terminal colours. Here the factors are evaluated on all rows, the caller decides on the rows to keep, and only
then they are encoded. Nothing is registered with formulaic: its own engine and statsmodels' use of it stay as
they are.
"""

from __future__ import annotations

import copy
import itertools
import keyword
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from formulaic import Formula, ModelSpec
from formulaic.errors import DataMismatchWarning, FormulaicError
from formulaic.materializers import PandasMaterializer
from formulaic.materializers.types import FactorValues
from formulaic.model_matrix import ModelMatrices
from formulaic.parser.algos.tokenize import tokenize
from formulaic.parser.types import Token
from interface_meta import override

from gifepanel.exceptions import FormulaError, GifepanelError
from gifepanel.panel.coding import AbsorbedBlock, absorbs
from gifepanel.panel.expressions import PRIVATE, private_calls
from gifepanel.panel.formulaic_categories import NoSuchLevel, names_reference, usual_reference
from gifepanel.panel.formulaic_functions import SAFE_TRANSFORMS
from gifepanel.panel.formulaic_operators import strict_parser
from gifepanel.panel.stacked import Constant, Stacked, is_column

__all__ = [
    "Encoded",
    "Evaluation",
    "FactorInfo",
    "Matrix",
    "code_in",
    "factors_of",
    "parse",
    "uses_dot",
]

_DOT = re.compile(r"(?<![\w.])\.(?![\w.])")
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]


# --- parsing ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FactorInfo:
    """One factor of a formula: a bare column (``lookup``), an expression, or a literal number."""

    text: str
    kind: str


def parse(endog: str, exog: str, available: Iterable[str], *, intercept: bool) -> Any:
    """Parse both sides with formulaic's grammar.

    Parameters
    ----------
    endog, exog : str
    available : iterable of str
        What ``.`` stands for.
    intercept : bool
        Keep an intercept even where the formula removes it, so that categories are coded against it.

    Raises
    ------
    FormulaError
    """
    text = f"{endog} ~ 1 + ({exog})" if intercept else f"{endog} ~ {exog}"
    try:
        names = {"__formulaic_variables_available__": list(available)}
        formula = Formula.from_spec(text, parser=strict_parser(removals=not uses_dot(exog)), context=names)
        if not hasattr(formula, "lhs") or not hasattr(formula, "rhs"):
            raise FormulaError(f"the formula {endog} ~ {exog} has no two sides", "outcome ~ regressors is needed")
    except (FormulaicError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise _unreadable(f"{endog} ~ {exog}", error) from None
    return formula


def code_in(text: str) -> list[FactorInfo]:
    """Whatever of one side formulaic's parser takes for Python; it runs calls on the left to find their names.

    Raises
    ------
    FormulaError
    """
    try:
        tokens = [token for token in tokenize(text) if token.kind is Token.Kind.PYTHON]
    except FormulaicError as error:
        raise _unreadable(text, error) from None
    return [FactorInfo(token.token, "python") for token in tokens]


def _unreadable(text: str, error: BaseException) -> FormulaError:
    why = "its terms are nested too deeply" if isinstance(error, (RecursionError, MemoryError)) else clean(error)
    shown = text if len(text) <= 300 else f"{text[:200]}..."
    word = next((name for name in re.findall(r"`([^`]*)`", text) if keyword.iskeyword(name)), None)
    if word is not None:
        return FormulaError(
            f"the formula {shown} can't be read: {word!r} is a word of Python",
            "inside of functions a column needs another name",
            f'data = data.rename(columns={{"{word}": "{word}_"}})',
        )
    return FormulaError(
        f"the formula {shown} can't be read: {why}",
        "the grammar is that of formulaic: names, functions, + - : * and C(...); any other Python goes into braces",
        "y ~ x1 + log(x2) + C(region) + {x3 > 0}",
    )


def uses_dot(text: str) -> bool:
    """Whether a formula has the sign for all other columns."""
    return _DOT.search(text) is not None


def clean(error: BaseException | str) -> str:
    """The words of an error of formulaic without colours, markers and line breaks."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    text = text.replace("⧛", "").replace("⧚", "").replace("PanelFunctions.", "")
    return re.sub(r"\s+", " ", text).strip().rstrip(".")


def factors_of(terms: Any) -> list[FactorInfo]:
    """Factors of one side, in order, each once."""
    found: dict[str, FactorInfo] = {}
    for term in terms:
        for factor in term.factors:
            found.setdefault(factor.expr, FactorInfo(factor.expr, factor.eval_method.value))
    return list(found.values())


# --- evaluation ---------------------------------------------------------------------------------------------


class _PanelMaterializer(PandasMaterializer):
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
                columns = [np.asarray(column, dtype=np.float64) for _, column in _columns(bare, "")]
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
            if factor.expr not in self.truths and not _is_truth(factor):
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
    def _evaluate(self, expr: str, metadata: Any, spec: ModelSpec) -> tuple[Any, set[Any]]:
        value, variables = super()._evaluate(private_calls(expr), metadata, spec)
        return self._aligned(value, expr), variables

    def _aligned(self, value: Any, expr: str) -> Any:
        """Text arrays become categories, Series go back to the order of the rows, lengths have to fit."""
        bare = value.__wrapped__ if isinstance(value, FactorValues) else value
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
        words = {PRIVATE.format(name): column for name, column in data.items() if keyword.iskeyword(str(name))}
        self._materializer = _PanelMaterializer(data, context={**SAFE_TRANSFORMS, **context, **words})
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
            out[expr] = FactorValue(kind, {} if kind == "constant" else dict(_columns(bare, expr)))
        return out

    def take_numbers(self, values: Mapping[str, FloatArray]) -> None:
        """Put other numbers (n,) in the place of what some factors evaluated to; truth values stay known as such."""
        cache = self._materializer.factor_cache
        self._materializer.truths |= {expr for expr in values if _is_truth(cache[expr])}
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
            for expr, factor in materializer.factor_cache.items():
                taken = _take(factor.values.__wrapped__, keep)
                values = FactorValues(taken, metadata=factor.metadata)
                materializer.factor_cache[expr] = replace(factor, values=values)
            materializer.data = pd.DataFrame(index=pd.RangeIndex(int(keep.sum())))
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


def _is_truth(factor: Any) -> bool:
    return getattr(factor.values.__wrapped__, "dtype", None) == np.bool_


def _columns(bare: Any, name: str) -> Iterable[tuple[str, Any]]:
    if isinstance(bare, Mapping):
        for key, value in bare.items():
            if not (isinstance(key, str) and key.startswith("__")):
                yield from _columns(value, f"{name}[{key}]")
    elif isinstance(bare, pd.DataFrame):
        for key in bare.columns:
            yield f"{name}[{key}]", bare[key]
    elif np.ndim(bare) == 2:
        dense = bare.toarray() if hasattr(bare, "toarray") else np.asarray(bare)
        for j in range(dense.shape[1]):
            yield f"{name}[{j}]", dense[:, j]
    else:
        yield name, bare


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
