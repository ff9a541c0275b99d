"""From a formula to the matrices that models work on.

Text, frame, terms, values, rows, matrices: each is made by one function in the file of its name, which checks what it
is given. :func:`design_from_formula` calls them in turn.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gifepanel.exceptions import CollinearityWarning, FormulaError, SpecificationWarning
from gifepanel.panel.absorbed import AbsorbedEffect
from gifepanel.panel.brackets import split_top
from gifepanel.panel.checks import check_levels, check_missing_option
from gifepanel.panel.coding import AbsorbedBlock
from gifepanel.panel.context import capture_context
from gifepanel.panel.evaluate import Evaluated, Requested, evaluate
from gifepanel.panel.expressions import Expression
from gifepanel.panel.foreign import foreign_words_told
from gifepanel.panel.frames import PanelFrame, ids_by_name, read_frame
from gifepanel.panel.grammar import read_formula
from gifepanel.panel.matrices import PanelDesign, common_columns, slope_values
from gifepanel.panel.sample import Sample, choose_rows
from gifepanel.panel.spec import DesignSpec
from gifepanel.panel.terms import Terms, read_terms
from gifepanel.panel.text import caller_level, first_of, literal, show
from gifepanel.panel.weights import read_weights

if TYPE_CHECKING:
    from gifepanel.panel.formulaic_evaluation import Encoded

__all__ = ["design_from_formula", "regressors_and_controls", "spec_of", "warn_of_coding", "warn_of_single_levels"]

FloatArray = npt.NDArray[np.float64]


@foreign_words_told
def design_from_formula(
    formula: str,
    data: Any,
    *,
    entity: Any = None,
    time: Any = None,
    common: str | Sequence[str] = (),
    context: int | Mapping[str, Any] | None = None,
    missing: str = "drop",
    partial: str = "",
    weights: Any = None,
    panel: bool = True,
    singletons: str = "keep",
) -> PanelDesign:
    """Build a design from a formula.

    Parameters
    ----------
    formula : str
        ``y ~ x1 + log(x2) + L(x3, 1) | firm + year``: formulaic's grammar; effects to absorb after ``|``;
        index levels by name; ``L(x, k)``/``lag``, ``F(x, k)``/``lead``, ``D(x, k)``/``diff`` within entities,
        gaps respected.
    data : DataFrame
        pandas with a two-level index (entity, time), or any frame narwhals reads with ``entity=`` and
        ``time=``.
    entity, time : str or array_like, optional
        Columns or index levels that say who and when.
    common : str or sequence of str
        Regressors (names of columns of the design, or terms) to be marked in ``PanelDesign.common``.
    context : int, mapping or None
        Where further functions are looked up: frames above the caller (0: the caller), or names. A formula is code
        then. With None it is not: it may call formulaic's transforms, NumPy's functions by name and the panel
        functions, and anything else is refused before it runs.
    missing : {"drop", "raise"}
        What to do with missing values; rows lost to lags are always dropped.
    partial : str
        Further terms, ``"z1 + bs(z2, 4)"``: controls, kept apart in ``PanelDesign.controls``; the intercept is one of
        them then.
    weights : str or array_like, optional
        A column, or one value per row.
    panel : bool
        Whether every row needs an entity and a time. Without, ids are read only where a lag asks for them, and
        ``PanelDesign.index`` is None otherwise.
    singletons : {"keep", "drop"}
        Whether rows alone in a level of an absorbed effect stay; rows with weight zero go where they do.

    Returns
    -------
    PanelDesign

    Raises
    ------
    FormulaError
        The formula can't be read, names something unknown, or makes values that are not finite.
    DataError
        Ids that are missing, doubled or without order; infinite values; nothing left.
    """
    check_missing_option(missing)
    names = capture_context(context)
    parts = read_formula(formula, partial)
    frame = read_frame(data, entity=entity, time=time, require_ids=panel)
    terms = read_terms(parts, frame, names, ids=panel)
    evaluated = evaluate(terms, frame, read_weights(weights, frame), Requested(missing, panel))
    sample = choose_rows(
        frame,
        terms.effects,
        evaluated.missing,
        incomplete=evaluated.incomplete,
        lagged=evaluated.lagged,
        index=evaluated.index,
        weights=evaluated.weights,
        singletons=singletons == "drop",
    )
    return _designed(formula, terms, evaluated, sample, frame, ids_by_name(entity, time), common)


def _designed(
    formula: str,
    terms: Terms,
    evaluated: Evaluated,
    sample: Sample,
    frame: PanelFrame,
    ids: tuple[str | None, str | None],
    common: str | Sequence[str],
) -> PanelDesign:
    """Matrices on the rows of the sample, and the spec that makes them of new data."""
    slopes = {name: slope_values(values)[sample.complete] for name, values in evaluated.slopes.items()}
    encoded = _encoded(evaluated, sample, terms, slopes)
    frame.forget_columns()
    exog = encoded.exog
    kept, controls = regressors_and_controls(exog, terms)
    names = tuple(exog.names[j] for j in kept)
    spec = spec_of(formula, names, terms, encoded, frame, ids, kept, controls)
    endog, endog_name = _outcome(encoded.endog, terms, frame)
    return PanelDesign.of_sample(
        sample,
        frame,
        endog=endog,
        exog=exog.take(kept),
        endog_name=endog_name,
        exog_names=names,
        effects=terms.effects,
        slopes=slopes,
        weights=evaluated.weights,
        lags_of_endog=tuple(
            k for k, j in enumerate(kept) if any(f.text in terms.lags_of_outcome for f in exog.factors[j])
        ),
        common=common_columns(common, names, [exog.factors[j] for j in kept]),
        formula=formula,
        spec=spec,
        controls=exog.take(controls) if controls else None,
        control_names=tuple(exog.names[j] for j in controls),
        terms=tuple(":".join(factor.text for factor in exog.factors[j]) for j in kept),
        references=tuple(exog.references[j] for j in kept),
    )


def spec_of(
    formula: str,
    names: tuple[str, ...],
    terms: Terms,
    encoded: Encoded,
    frame: PanelFrame,
    ids: tuple[str | None, str | None],
    kept: list[int],
    controls: list[int],
) -> DesignSpec:
    """What makes the same columns of new data."""
    return DesignSpec(
        formula,
        names,
        terms.of_regressors,
        *ids,
        frame.entity_name,
        frame.time_name,
        terms.effects,
        encoded.spec,
        terms.context,
        tuple(kept),
        tuple(controls),
    )


def regressors_and_controls(exog: Any, terms: Terms) -> tuple[list[int], list[int]]:
    """Columns with a coefficient, and those partialled out; an intercept that effects span is neither."""
    spanned = any(effect.intercept for effect in terms.effects)
    left = [j for j, name in enumerate(exog.names) if not (name == "Intercept" and spanned)]
    if terms.partial is None:
        return left, []
    parts = [frozenset(factor.text for factor in exog.factors[j]) for j in range(len(exog.names))]
    controls = [j for j in left if parts[j] in terms.partial or exog.names[j] == "Intercept"]
    return [j for j in left if j not in controls], controls


def _encoded(evaluated: Evaluated, sample: Sample, terms: Terms, slopes: Mapping[str, FloatArray]) -> Encoded:
    """Factors as columns, beside the absorbed effects; the values are let go."""
    for text, value in evaluated.values.values().items():
        for column in value.columns.values() if value.kind == "categorical" else ():
            check_levels(text, column, sample.complete)
    encoded = evaluated.values.encode(sample.complete, _blocks(terms.effects, sample.codes, slopes))
    _refuse_levels(evaluated.values.unseen_levels())
    evaluated.values.close()
    warn_of_single_levels(encoded.exog.empty)
    warn_of_coding(encoded)
    return encoded


def _outcome(matrix: Any, terms: Terms, frame: PanelFrame) -> tuple[FloatArray, str]:
    if not terms.left:
        raise FormulaError("the left side of the formula names no outcome", "one column is needed", "y ~ x1 + x2")
    text = next(iter(terms.left))
    if len(matrix.names) != 1:
        categorical = len(terms.left) == 1
        raise FormulaError(
            f"the left side has {len(matrix.names)} columns: {first_of(matrix.names)}",
            "one outcome is needed" + (", as numbers" if categorical else ""),
            _one_against_others(text, next(iter(terms.left.values())), frame)
            if categorical
            else "I(y / x) for a ratio, or one formula for each outcome",
        )
    if matrix.names[0] != text:
        raise FormulaError(
            f"the outcome {text} is text or a category ({matrix.names[0]})",
            "numbers are needed",
            _one_against_others(text, next(iter(terms.left.values())), frame),
        )
    return matrix.take([0])[:, 0], matrix.names[0]


def _one_against_others(text: str, outcome: Expression, frame: PanelFrame) -> str:
    """A line that makes 0 and 1 of a category, which is all that can be made of one without a choice."""
    name = outcome.names[0] if outcome.names else text
    level = frame.column(name).dropna().iloc[-1] if name in frame.names else ""
    return f'data["{name}"] = (data["{name}"] == {show(level)}).astype(float)  # 1 for one category, 0 for the others'


def _blocks(
    effects: Iterable[AbsorbedEffect], codes: Mapping[str, tuple[Any, pd.Index]], slopes: Mapping[str, FloatArray]
) -> list[AbsorbedBlock]:
    """Absorbed effects as the coding of interactions looks at them."""
    out = []
    for effect in effects:
        own, levels = codes[effect.name]
        out += [AbsorbedBlock(own, len(levels))] if effect.intercept else []
        out += [AbsorbedBlock(own, len(levels), slopes[name]) for name in effect.slopes]
    return out


def warn_of_coding(encoded: Any) -> None:
    """Say what a reader of the formula may not expect of an interaction."""
    for term, (factor, level) in encoded.relative.items():
        inside = split_top(factor[2:-1], ",")[0] if factor.startswith("C(") else factor
        warnings.warn(
            CollinearityWarning(
                f"the coefficients of {term} are relative to {factor} = {show(level)}: absorbed effects span what "
                "all its levels have in common",
                "name the reference to choose it, and to silence this",
                f"C({inside}, Treatment({literal(level)}))",
            ),
            stacklevel=caller_level(),
        )
    for term, factor in encoded.products.items():
        warnings.warn(
            SpecificationWarning(
                f"{term} is a product in which {factor} counts as 0 and 1: where it is False, the rest has no effect",
                "patsy, and with it statsmodels, would give the other rows a coefficient of their own",
                f"C({factor}) in place of {factor} for both, or the rest of the term as a term of its own",
            ),
            stacklevel=caller_level(),
        )


def warn_of_single_levels(terms: Sequence[str]) -> None:
    """Say which categories have no column."""
    if terms:
        warnings.warn(
            CollinearityWarning(
                f"{first_of(terms)} {'has' if len(terms) == 1 else 'have'} one category in the sample, hence no column",
                "a category needs two levels or more",
                "leave it out of the formula",
            ),
            stacklevel=caller_level(),
        )


def _refuse_levels(unseen: Mapping[str, list[Any]]) -> None:
    if unseen:
        term, levels = next(iter(unseen.items()))
        raise FormulaError(
            f"{term} has categories outside of its levels=: {first_of(levels)}",
            "levels= has to list each category of the sample",
            "add them, or leave those rows out",
        )
