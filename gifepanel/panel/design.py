"""From a formula, frames or arrays to the matrices that models work on."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gifepanel.exceptions import (
    CollinearityWarning,
    DataError,
    FormulaError,
    SpecificationError,
    SpecificationWarning,
)
from gifepanel.panel.allowed import OnlyKnown, check_allowed
from gifepanel.panel.checks import (
    check_levels,
    check_missing_option,
    empty_error,
    unknown_names,
)
from gifepanel.panel.coding import AbsorbedBlock
from gifepanel.panel.cubes import design_from_arrays
from gifepanel.panel.effect_codes import code_effect
from gifepanel.panel.expressions import Expression, lags_of, uses_panel, without_backticks
from gifepanel.panel.foreign import foreign_words_told
from gifepanel.panel.frames import PanelFrame, plain_column, read_frame, read_weights, split_reading
from gifepanel.panel.grammar import AbsorbedEffect, check_powers, expand_lags, parse_absorbed, split_formula, split_top
from gifepanel.panel.index import PanelIndex
from gifepanel.panel.matrices import PanelDesign, common_columns, slope_values
from gifepanel.panel.names import refuse_quoted, refuse_reserved, reserved
from gifepanel.panel.outcome import outcome_term
from gifepanel.panel.problems import refuse_problems, text_problems
from gifepanel.panel.spec import (
    DesignSpec,
    capture_context,
    keep_rows,
    numeric_matrix,
    private,
    read_factors,
    resolve_names,
)
from gifepanel.panel.text import caller_level, first_of, literal, show
from gifepanel.panel.transforms import PanelFunctions

__all__ = ["PanelDesign", "design_from_arrays", "design_from_formula", "design_from_frames"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


# --- formula ------------------------------------------------------------------------------------------------


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
    balanced: bool = False,
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
    balanced : bool
        Whether cubes will be needed, so that what is missing belongs to an error of the data.

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
    from gifepanel.panel.formulaic_compat import code_in

    names = capture_context(context)
    parts = split_formula(formula)
    outcome = outcome_term(parts.endog)
    check_powers(parts.exog)
    effects = parse_absorbed(parts.absorbed)
    check_powers(partial)
    _refuse_doubled(parts.exog, partial)
    uses_ids = panel or entity is not None or time is not None
    frame = read_frame(data, entity=entity, time=time, require_ids=uses_ids)
    exog = expand_lags(parts.exog)
    for text in (outcome, exog, partial, parts.absorbed):
        refuse_quoted(text, frame.names, frame.data)
    outcome, exog, partial = (without_backticks(text) for text in (outcome, exog, expand_lags(partial)))
    if isinstance(names, OnlyKnown):
        for text in (outcome, exog, partial):  # formulaic's parser runs calls already
            check_allowed(read_factors(code_in(text)), frame.names)
    build = _FormulaBuild(outcome, exog, effects, frame, names, partial)
    named = read_weights(weights, frame)
    return build.design(formula, _name_only(entity), _name_only(time), common, missing, named, panel, balanced)


def _refuse_doubled(exog: str, partial: str) -> None:
    """A term that stands by itself among the regressors has a coefficient: it is no control."""
    own = {part.strip() for part in split_top(exog, "+")}
    both = [term.strip() for term in split_top(partial, "+") if term.strip() in own - {"", "0", "1"}]
    if both:
        rest = " + ".join(term.strip() for term in split_top(partial, "+") if term.strip() not in both)
        raise FormulaError(
            f"{first_of(both)} is among the regressors and in partial=",
            "a regressor has a coefficient, a control is partialled out and has none",
            f'partial="{rest}", or leave it out of the formula',
        )


def _name_only(given: Any) -> str | None:
    return given if isinstance(given, str) else None


class _FormulaBuild:
    """One pass from text to matrices: parse, find the columns, check them, evaluate, choose rows, encode."""

    def __init__(
        self,
        endog: str,
        exog: str,
        effects: tuple[AbsorbedEffect, ...],
        frame: PanelFrame,
        names: Mapping[str, Any],
        partial: str = "",
    ) -> None:
        from gifepanel.panel.formulaic_compat import factors_of, parse, uses_dot

        self.effects, self.frame = effects, frame
        self.spans_intercept = any(effect.intercept for effect in effects)
        taken = {frame.entity_name, frame.time_name} | {name for effect in effects for name in effect.factors}
        available = [name for name in frame.names if name not in taken]
        if uses_dot(exog):
            for name in filter(reserved, available):
                refuse_reserved(name, frame.data)
        self.parsed = parse(endog, exog, available, intercept=self.spans_intercept)
        self.partial = None
        if partial.strip():  # the intercept is the formula's: a 0 or -1 among the controls leaves it there
            own = " + 1" if any(not factors_of([term]) or str(term) == "1" for term in self.parsed.rhs) else ""
            self.parsed = parse(endog, f"{exog} + {partial}{own}", available, intercept=self.spans_intercept)
            self.partial = _terms_of(parse(endog, partial, available, intercept=True))
        self.left = read_factors(factors_of(self.parsed.lhs))
        self.right = read_factors(factors_of(self.parsed.rhs))
        unknown = [n for e in effects for n in (*e.factors, *e.slopes) if n not in frame.names]
        if unknown:
            raise unknown_names(unknown, frame.names)
        self.column_names, self.context = resolve_names({**self.left, **self.right}, frame, names)
        repeated = [text for text in self.left if text in self.right]
        if repeated:
            raise FormulaError(
                f"the outcome {repeated[0]} is also a regressor",
                "leave it out on the right",
                f"{endog} ~ ...",
            )

    def design(
        self,
        formula: str,
        entity: str | None,
        time: str | None,
        common: str | Sequence[str],
        missing: str,
        weights: dict[str, pd.Series],
        panel: bool,
        balanced: bool,
    ) -> PanelDesign:
        """Check, evaluate, encode, assemble."""
        from gifepanel.panel.formulaic_compat import Evaluation

        frame = self.frame
        lags = self._needs_ids(panel)
        columns = {name: frame.column(name) for name in self.column_names}
        slopes = {name: frame.column(name) for effect in self.effects for name in effect.slopes}
        ids = {name: frame.codes(name) for effect in self.effects for name in effect.factors}
        missing_ids = {name: coded.codes < 0 for name, coded in ids.items() if not coded.complete}
        used = {**columns, **slopes, **weights}
        found, index = refuse_problems(
            frame,
            used,
            text_problems(frame, used, self.left, self.right, tuple(slopes)),
            missing=missing,
            roles=missing_ids,
            ids=panel or lags,
            lags=lags,
            balanced=balanced,
        )
        functions = PanelFunctions(lambda: _required(index))
        evaluation = Evaluation(self.parsed, columns, frame.n_rows, {**self.context, **private(functions)})
        expressions = {**self.left, **self.right}
        keep, lagged = keep_rows(frame, evaluation, expressions, found, functions, self.context)
        if not keep.any():
            raise empty_error(frame.n_rows, found, lagged, index.time_unit if index else "1")
        for text, value in evaluation.values().items():
            for column in value.columns.values() if value.kind == "categorical" else ():
                check_levels(text, column, keep)
        sample = None if index is None else index.subset(keep)
        codes = {effect.name: code_effect(frame, effect, keep, sample) for effect in self.effects}
        absorbed_slopes = {name: slope_values(values)[keep] for name, values in slopes.items()}
        encoded = evaluation.encode(keep, _blocks(self.effects, codes, absorbed_slopes))
        _refuse_levels(evaluation.unseen_levels())
        evaluation.close()
        columns.clear()
        frame.forget_columns()
        _warn_of_single_levels(encoded.exog.empty)
        _warn_of_coding(encoded)
        left = [j for j, name in enumerate(encoded.exog.names) if not (name == "Intercept" and self.spans_intercept)]
        controls = [j for j in left if self._is_control(encoded.exog, j)]
        kept = [j for j in left if j not in controls]
        exog_names = tuple(encoded.exog.names[j] for j in kept)
        spec = DesignSpec(
            formula,
            exog_names,
            self._exog_columns(),
            entity,
            time,
            frame.entity_name,
            frame.time_name,
            self.effects,
            encoded.spec,
            self.context,
            tuple(kept),
            tuple(controls),
        )
        endog, endog_name = self._outcome(encoded.endog)
        return PanelDesign(
            endog=endog,
            exog=np.ascontiguousarray(encoded.exog.values[:, kept])
            if len(kept) < len(encoded.exog.names)
            else encoded.exog.values,
            endog_name=endog_name,
            exog_names=exog_names,
            panel=sample,
            row_index=frame.row_index if keep.all() else frame.row_index[keep],
            esample=keep,
            absorbed=tuple(codes),
            absorbed_codes=codes,
            absorbed_effects=self.effects,
            absorbed_slopes=absorbed_slopes,
            lags_of_endog=self._lagged(encoded.exog, kept),
            common=common_columns(common, exog_names, [encoded.exog.factors[j] for j in kept]),
            formula=formula,
            spec=spec,
            n_dropped=int(keep.size - keep.sum()),
            dropped_by={name: int(rows.sum()) for name, rows in found.items()} | lagged,
            lagged_terms=tuple(lagged),
            index_before_lags=None
            if index is None or sample is None or sample.is_balanced or not lagged
            else index.subset(~_any(found, frame.n_rows)),
            controls=np.ascontiguousarray(encoded.exog.values[:, controls]) if controls else None,
            control_names=tuple(encoded.exog.names[j] for j in controls),
            weights=next((slope_values(values)[keep] for values in weights.values()), None),
            weights_name=next(iter(weights), None),
            terms=tuple(":".join(factor.text for factor in encoded.exog.factors[j]) for j in kept),
            references=tuple(encoded.exog.references[j] for j in kept),
        )

    def _needs_ids(self, panel: bool) -> bool:
        """Whether a lag asks who and when; the data have to say so for lags and for ``panel``."""
        lags = any(uses_panel(expression) for expression in {**self.left, **self.right}.values())
        if (panel or lags) and (self.frame.entity is None or self.frame.time is None):
            raise DataError(
                "the formula has lags or differences, and the data no entities and periods",
                "both are needed to know what came before",
                'entity="firm", time="year"',
            )
        return lags

    def _is_control(self, matrix: Any, j: int) -> bool:
        if self.partial is None:
            return False
        return frozenset(f.text for f in matrix.factors[j]) in self.partial or matrix.names[j] == "Intercept"

    def _exog_columns(self) -> tuple[str, ...]:
        used = {name for expression in self.right.values() for name in expression.names}
        return tuple(name for name in self.column_names if name in used)

    def _outcome(self, matrix: Any) -> tuple[FloatArray, str]:
        if not self.left:
            raise FormulaError("the left side of the formula names no outcome", "one column is needed", "y ~ x1 + x2")
        text = next(iter(self.left))
        if len(matrix.names) != 1:
            categorical = len(self.left) == 1
            raise FormulaError(
                f"the left side has {len(matrix.names)} columns: {first_of(matrix.names)}",
                "one outcome is needed" + (", as numbers" if categorical else ""),
                _one_against_others(text, next(iter(self.left.values())), self.frame)
                if categorical
                else "I(y / x) for a ratio, or one formula for each outcome",
            )
        if matrix.names[0] != text:
            raise FormulaError(
                f"the outcome {text} is text or a category ({matrix.names[0]})",
                "numbers are needed",
                _one_against_others(text, next(iter(self.left.values())), self.frame),
            )
        return np.ascontiguousarray(matrix.values[:, 0]), matrix.names[0]

    def _lagged(self, matrix: Any, kept: Sequence[int]) -> tuple[int, ...]:
        outcome: Expression = next(iter(self.left.values()))
        flagged = {text for text, expression in self.right.items() if lags_of(outcome, self.column_names, expression)}
        return tuple(position for position, j in enumerate(kept) if any(f.text in flagged for f in matrix.factors[j]))


def _one_against_others(text: str, outcome: Expression, frame: PanelFrame) -> str:
    """A line that makes 0 and 1 of a category, which is all that can be made of one without a choice."""
    name = outcome.names[0] if outcome.names else text
    level = frame.column(name).dropna().iloc[-1] if name in frame.names else ""
    return f'data["{name}"] = (data["{name}"] == {show(level)}).astype(float)  # 1 for one category, 0 for the others'


def _terms_of(parsed: Any) -> set[frozenset[str]]:
    """Terms of the right side as sets of their factors."""
    return {frozenset(factor.expr for factor in term.factors) for term in parsed.rhs}


def _required(index: PanelIndex | None) -> PanelIndex:
    assert index is not None
    return index


def _any(found: Mapping[str, BoolArray], n_rows: int) -> BoolArray:
    """Rows in which any of the variables is missing."""
    out = np.zeros(n_rows, dtype=bool)
    for rows in found.values():
        out |= rows
    return out


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


def _warn_of_coding(encoded: Any) -> None:
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


def _warn_of_single_levels(terms: Sequence[str]) -> None:
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


# --- frames -------------------------------------------------------------------------------------------------


def design_from_frames(
    endog: Any,
    exog: Any,
    *,
    entity: Any = None,
    time: Any = None,
    absorbed: str | Sequence[str] = (),
    common: str | Sequence[str] = (),
    missing: str = "drop",
    weights: Any = None,
    panel: bool = True,
) -> PanelDesign:
    """Build a design from an outcome and a frame of regressors.

    Parameters
    ----------
    endog : Series, one-column DataFrame or array (n,)
        A pandas outcome has to carry the index of ``exog``.
    exog : DataFrame
        pandas with a two-level index (entity, time), or any frame narwhals reads with ``entity=`` and
        ``time=``. Columns used as ids or effects are not regressors.  No intercept is added.
    entity, time : str or array_like (n,), optional
        Columns of ``exog``, index levels, or the labels themselves.
    absorbed : str or sequence of str
        Effects to absorb, as after ``|`` in a formula: "firm", "firm^year".
    common : str or sequence of str
    missing : {"drop", "raise"}
    weights : str or array_like, optional
    panel : bool
        Whether every row needs an entity and a time.

    Returns
    -------
    PanelDesign

    Raises
    ------
    DataError, FormulaError, SpecificationError
    """
    check_missing_option(missing)
    if isinstance(exog, pd.Series):
        exog = exog.to_frame(exog.name if exog.name is not None else "x1")
    frame = read_frame(exog, entity=entity, time=time, require_ids=panel or entity is not None or time is not None)
    effects = parse_absorbed(absorbed if isinstance(absorbed, str) else " + ".join(absorbed))
    taken = {name for effect in effects for name in (*effect.factors, *effect.slopes)}
    unknown = [name for name in taken if name not in frame.names]
    if unknown:
        error = unknown_names(unknown, frame.names, where="absorb=")
        raise SpecificationError(error.found, error.needed, error.fix)
    weighting = read_weights(weights, frame)
    used = (
        taken
        | {_name_only(entity), split_reading(time, frame.names)[0] if isinstance(time, str) else None}
        | ({weights} if isinstance(weights, str) else set())
    )
    exog_names = tuple(str(name) for name in frame.data.columns if name not in used)
    for name in filter(reserved, exog_names):
        refuse_reserved(name, frame.data, "exog")
    outcome, endog_name = _read_endog(endog, frame)
    columns = {name: frame.column(name) for name in exog_names}
    slopes = {name: frame.column(name) for effect in effects for name in effect.slopes}
    missing_ids = {n: frame.codes(n).codes < 0 for effect in effects for n in effect.factors}
    used_columns = {endog_name: outcome, **columns, **slopes, **weighting}
    text = text_problems(frame, used_columns, {}, {}, tuple(used_columns))
    try:
        found, index = refuse_problems(
            frame, used_columns, text, missing=missing, roles=missing_ids, ids=panel, balanced=panel
        )
    except DataError as error:
        several = [_of_frames(problem, endog_name, frame.source) for problem in error.problems]
        raise (DataError.of(several) if several else _of_frames(error, endog_name, frame.source)) from None
    keep = ~_any(found, frame.n_rows)
    if not keep.any():
        raise empty_error(frame.n_rows, found, {}, index.time_unit if index else "1")
    sample = None if index is None else index.subset(keep)
    codes = {effect.name: code_effect(frame, effect, keep, sample) for effect in effects}
    spec = DesignSpec(
        None,
        exog_names,
        exog_names,
        _name_only(entity),
        _name_only(time),
        frame.entity_name,
        frame.time_name,
        effects,
    )
    return PanelDesign(
        endog=numeric_matrix({endog_name: outcome}, [endog_name])[keep, 0],
        exog=np.ascontiguousarray(numeric_matrix(columns, exog_names)[keep]) if columns else np.empty((keep.sum(), 0)),
        endog_name=endog_name,
        exog_names=exog_names,
        panel=sample,
        row_index=frame.row_index[keep],
        esample=keep,
        absorbed=tuple(codes),
        absorbed_codes=codes,
        absorbed_effects=effects,
        absorbed_slopes={name: slope_values(values)[keep] for name, values in slopes.items()},
        common=common_columns(common, exog_names),
        spec=spec,
        n_dropped=int(keep.size - keep.sum()),
        dropped_by={name: int(rows.sum()) for name, rows in found.items()},
        weights=next((slope_values(values)[keep] for values in weighting.values()), None),
        weights_name=next(iter(weighting), None),
    )


def _of_frames(error: DataError, endog_name: str, source: str) -> DataError:
    """The error with a line that runs for a caller who has ``endog`` and ``exog``."""
    fix = str(error.fix)
    if "data = " in fix and source not in ("foreign", "cubes", "arrays"):  # rows go or move: of both
        name = literal(endog_name)
        rows = fix.partition("  #")[0]
        fix = f"data = exog.assign(**{{{name}: endog}}); {rows}; endog = data.pop({name}); exog = data"
    else:
        fix = fix.replace(f'data["{endog_name}"]', "endog").replace("data[", "exog[").replace("data.", "exog.")
    return DataError(error.found, error.needed, fix)


def _read_endog(endog: Any, frame: PanelFrame) -> tuple[pd.Series, str]:
    given = endog
    if isinstance(endog, pd.DataFrame):
        if endog.shape[1] != 1:
            raise DataError(f"endog has {endog.shape[1]} columns", "one outcome is needed", 'endog = data["y"]')
        endog = endog.iloc[:, 0]
    if isinstance(endog, pd.Series):
        series = endog
    elif hasattr(endog, "to_numpy"):
        series = pd.Series(endog.to_numpy(), name=getattr(endog, "name", None))
    else:
        series = pd.Series(np.asarray(endog).squeeze())
    if len(series) != frame.n_rows:
        raise DataError(
            f"endog has {len(series)} rows, exog {frame.n_rows}",
            "rows have to match",
            'endog = data["y"] and exog = data[["x1", "x2"]] of one frame',
        )
    if isinstance(frame.data, pd.DataFrame) and endog is series and not series.index.equals(frame.data.index):
        raise DataError("endog and exog have different indexes", "rows have to match", "endog = endog.loc[exog.index]")
    name = str(series.name) if series.name is not None else "y"
    if reserved(series.name):
        refuse_reserved(name, given if isinstance(given, pd.DataFrame) else series, "endog")
    return plain_column(series, name), name
