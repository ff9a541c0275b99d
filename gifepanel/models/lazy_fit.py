"""Partialled-out least squares from sums over rows that are elsewhere.

What effects leave of outcome, regressors and controls comes home as cross products. A few rows with the same cross
products stand for the sample from there on: which regressors are spanned, coefficients and triangle are found as in
memory. A second pass takes residuals and scores in the orthonormal basis, and puts right what the first, whose products
square the condition of the regressors, got wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import solve_triangular

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.lazy_rows.effects import SolvedEffects, base_effects, level_series, solve_effects
from gifepanel.lazy_rows.engine import Home
from gifepanel.lazy_rows.sample import LazySample
from gifepanel.lazy_rows.sums import (
    LevelProducts,
    Scores,
    combined_products,
    products_of_groups,
    products_of_levels,
    residual_products,
    score_frame,
    sum_scores,
)
from gifepanel.models.checks import references_last
from gifepanel.models.lazy_design import LazyDesign
from gifepanel.models.partialling import (
    AbsorptionOptions,
    check_converged,
    check_degrees,
    check_outcome_varies,
    usable_columns,
    warn_of_aliased,
    warn_of_lost_digits,
)
from gifepanel.projections.base import DegreesAbsorbed
from gifepanel.projections.composite import EffectsAndControls
from gifepanel.projections.least_squares import LeastSquares, least_squares
from gifepanel.projections.triangle import ROUNDING
from gifepanel.results.linear_inputs import LinearSums, SummedFit

__all__ = ["LazyParts", "fit_lazily"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_SPANNED = 1e-12
_DOUBTFUL = 1e-4
_CLOSE = 1e-5  # of a column's length: what products of columns know well
_CLEAR = 1e-2  # share of columns and residuals from which products are enough
_ORTHONORMAL = 1e-13
_LEVELS = 5_000_000  # of an effect that comes home


@dataclass(frozen=True, eq=False)
class LazyParts:
    """What makes residuals and scores at the engine.

    Attributes
    ----------
    sample : LazySample
    solved : SolvedEffects
    basis : ndarray, shape (m, k)
        Orthonormal regressors as combinations of the columns.
    offset : ndarray, shape (m,)
    coefficients : ndarray, shape (m,)
        Residuals as one.
    constant : float
        To be added to the residuals.
    means : ndarray, shape (m,)
        Of the columns less what was taken off them.
    weight : float
        Total weight.
    of_constant : float
        Share of a constant that controls span; one where it is among regressors or controls.
    near : bool
        Whether sums within levels of the base effect, less their means, keep all digits.
    levels : LevelProducts or None
        What such sums have within levels, where it was asked for.
    given : Scores or None
    """

    sample: LazySample
    solved: SolvedEffects
    basis: Array
    offset: Array
    coefficients: Array
    constant: float
    means: Array
    weight: float
    of_constant: float
    near: bool
    levels: LevelProducts | None = None
    given: Scores | None = None

    @cached_property
    def scores(self) -> Scores:
        """Sums over rows, by another pass where they are not known."""
        if self.given is not None:
            return self.given
        return sum_scores(self.sample, self.frame(), self.basis.shape[1], reads=self.reads)

    def products_by(self, keys: tuple[str, ...]) -> tuple[Array, int]:
        """Sum over groups of the products of their scores, (k, k), and how many groups there are."""
        k, base = self.basis.shape[1], self.solved.base
        if base is not None and self.near and set(keys) == set(base.keys):
            known = None if self.levels is None else self.levels.of_scores(self.basis, self.coefficients)
            if known is not None:
                return known, base.n_levels
            without = replace(self, solved=replace(self.solved, base=None))
            return products_of_levels(self.sample, without.frame(keys), k, keys)
        return products_of_groups(self.sample, self.frame(keys), k, keys, reads=self.reads)

    def frame(self, extra: tuple[str, ...] = ()) -> Any:
        """Rows with scores, and `extra` columns."""
        return score_frame(self.sample, self.solved, self.basis, self.coefficients, self.offset, self.constant, extra)

    def lazy_frame(self, schema: Mapping[str, Any]) -> Any:
        """All columns of the data, fitted values and residuals, as a frame of the engine's own."""
        import narwhals.stable.v2 as nw

        both = [name for name in ("fitted", "resid") if name in schema]
        if both:
            raise SpecificationError(
                f"The data have a column {both[0]!r}.",
                "Fitted values and residuals take the names fitted and resid.",
                "Rename it in the data, and fit again.",
            )
        frame = self.frame((*schema, self.sample.columns[0]))
        outcome, resid = nw.col(self.sample.columns[0]), nw.col("__u")
        return frame.select(*schema, fitted=outcome - resid, resid=resid).to_native()

    def effects(self) -> dict[str, pd.Series]:
        """Effects by level."""
        base, out = self.solved.base, {}
        if base is None:
            return {}
        if base.n_levels > _LEVELS:
            raise DataError(
                f"The effect {base.name} has {base.n_levels} levels, and the rows are in {self.sample.rows.source}.",
                f"Effects come home up to {_LEVELS} levels.",
                "res.lazy_frame(), grouped there",
            )
        for one in self.solved.small:
            out[one.effect.name] = level_series(one.effect, Home(one.levels), one.values @ self.coefficients)
        home, values = base_effects(self.sample, self.solved, self.coefficients)
        out[base.name] = level_series(base, home, values + float(self.coefficients @ self.sample.shift))
        return {effect.name: out[effect.name] for effect in self.sample.effects}

    @property
    def spans_constant(self) -> bool:
        """Whether a constant is in the span of effects, controls and regressors."""
        if self.solved.base is not None or self.of_constant == 1:
            return True
        q = self.basis.T @ self.means - self.offset  # times the total weight: the constant in the basis
        return bool(1 - self.of_constant - self.weight * float(q @ q) <= 1e-10)

    @property
    def reads(self) -> int:
        """How often the rows are read for it."""
        return 1 + (self.solved.base is not None)


@dataclass(frozen=True, eq=False)
class _Nuisance:
    """Degrees and controls of effects that are solved elsewhere."""

    degrees: DegreesAbsorbed
    basis: Any
    absorption: None = None


@dataclass(frozen=True, eq=False)
class _StandIns:
    """Rows with the cross products of the sample's, a constant among them where there is one.

    Attributes
    ----------
    columns : ndarray, shape (r, m)
    weights : ndarray, shape (r,), or None
    """

    columns: Array
    weights: Array | None


def fit_lazily(design: Any, how: AbsorptionOptions, ways: Sequence[tuple[str, ...]] = ()) -> SummedFit:
    """Solve for the effects, sum, regress, sum scores; `ways` are keys of clusters that will be asked for."""
    sample, p, moments = design.sample, len(design.exog_names), design.moments
    raw = moments.lengths
    if how.tol not in design.solved:  # a second fit asks for its covariance alone
        found = solve_effects(sample, np.diag(moments.total), raw, how.tol)
        clusters = found.base is not None and any(set(way) == set(found.base.keys) for way in ways)
        design.solved[how.tol] = (found, *residual_products(sample, found, moments, clusters))
    solved, gram, near, levels = design.solved[how.tol]
    check_converged(solved.certificate, how)
    gram, spanned = _without_spanned(gram, raw)
    stand_ins = _stand_ins(design, solved, gram, raw)
    check_outcome_varies(design, bool(spanned[0]))
    pseudo = _PseudoDesign(design, stand_ins)
    controls = EffectsAndControls((), pseudo.controls, stand_ins.weights)
    residual, lost, _ = controls.partial_out(lambda: stand_ins.columns[:, : 1 + p].copy())
    check_outcome_varies(design, bool(lost[0] and not spanned[0]))
    if controls.basis is not None:
        warn_of_aliased([design.control_names[j] for j in controls.basis.aliased])
    lost = lost[1:] | spanned[1 : 1 + p]
    fit, kept, absorbed, collinear = _regress(design, residual, lost, stand_ins.weights, raw[1 : 1 + p])
    extra = 0 if controls.basis is None else len(controls.basis.kept)
    degrees = solved.degrees
    blocks = (*degrees.by_block, extra) if design.control_names else degrees.by_block
    degrees = DegreesAbsorbed(degrees.total + extra, degrees.exact, blocks)
    check_degrees(design, len(kept), degrees.total)
    warn_of_lost_digits(fit.triangle, [design.exog_names[j] for j in kept])
    parts, fit = _scored(design, solved, controls, pseudo, fit, kept, near, levels)
    sums = _sums(design, parts, residual[:, 0], stand_ins, kept)
    constants = tuple(k for k, j in enumerate(kept) if design.moments.constant[1 + j])
    return SummedFit(
        _Nuisance(degrees, controls.basis),
        solved.certificate,
        tuple(kept),
        tuple(absorbed),
        tuple(collinear),
        fit.params,
        fit.triangle,
        sums,
        constants,
        design.where,
        parts,
    )


def _without_spanned(gram: Array, raw: Array) -> tuple[Array, Any]:
    """Columns that the effects span are zero; which ones."""
    spanned = np.sqrt(np.maximum(np.diag(gram), 0.0)) <= _SPANNED * raw
    gram = gram.copy()
    gram[spanned] = gram[:, spanned] = 0.0
    return gram, spanned


def _stand_ins(design: LazyDesign, solved: SolvedEffects, gram: Array, raw: Array) -> _StandIns:
    """Rows with the residuals' cross products."""
    constant = design.moments.constant
    factor = _root(design.sample, solved, gram, raw)
    if solved.base is not None or not design.moments.has_constant:
        return _StandIns(factor, None)
    # the same again with other signs, on either side of the means
    varying = ~constant
    weight = design.moments.weight / (2 * len(factor))
    half = np.where(varying, factor, 0.0) / np.sqrt(2 * weight)
    rows = np.vstack([half, -half]) + design.moments.means
    return _StandIns(rows, np.full(len(rows), weight))


def _root(sample: LazySample, solved: SolvedEffects, gram: Array, raw: Array) -> Array:
    """F (r, m) with F'F the cross products; columns that others nearly span are looked at once more, at the engine."""
    m = len(gram)
    order = [*range(1, m), 0]
    length = np.sqrt(np.diag(gram))
    safe = np.where(length > 0, length, 1.0)
    scaled = gram / np.outer(safe, safe)
    clear: list[int] = []
    combos: dict[int, Array] = {}
    lower = np.zeros((m, m))
    for j in order:
        if length[j] == 0:
            continue
        row = (
            solve_triangular(lower[: len(clear), : len(clear)], scaled[clear, j], lower=True) if clear else np.empty(0)
        )
        left = scaled[j, j] - row @ row
        if left <= _CLOSE**2:
            combos[j] = np.linalg.lstsq(scaled[np.ix_(clear, clear)], scaled[clear, j], rcond=None)[0]
            continue  # of the clear ones before it
        lower[len(clear), : len(clear)] = row
        lower[len(clear), len(clear)] = np.sqrt(left)
        clear.append(j)
    size = len(clear)
    combos = {j: np.concatenate([own, np.zeros(size - len(own))]) for j, own in combos.items()}
    out = np.zeros((m, m))
    out[:size, clear] = lower[:size, :size].T * safe[clear]
    if not combos:
        return out
    out[:, list(combos)] = _doubtful(sample, solved, combos, clear, lower[:size, :size], safe)
    return out


def _doubtful(
    sample: LazySample, solved: SolvedEffects, combos: Mapping[int, Array], clear: list[int], lower: Array, safe: Array
) -> Array:
    """Columns (m, d) of the root: what clear columns give of them, and residuals of that, summed as such.

    Parameters
    ----------
    combos : mapping of int to ndarray, shape (s,)
        Coefficients of each doubtful column on the clear ones, both scaled.
    clear : list of int
    lower : ndarray, shape (s, s)
        Triangle of the clear ones.
    safe : ndarray, shape (m,)
        Lengths.
    """
    m, size, own = len(safe), len(clear), list(combos)
    transform = np.eye(m)
    for j, weights in combos.items():
        transform[clear, j] = -weights * safe[j] / safe[clear]
    again = combined_products(sample, solved, transform)
    cross = solve_triangular(lower, (again / np.outer(safe, safe))[np.ix_(clear, own)], lower=True)
    inner = again[np.ix_(own, own)] - (cross * safe[own]).T @ (cross * safe[own])
    scale = np.sqrt(np.maximum(np.diag(again)[own], np.finfo(float).tiny))
    values, vectors = np.linalg.eigh(inner / np.outer(scale, scale))
    out = np.zeros((m, len(own)))
    out[size : size + len(own)] = (vectors * np.sqrt(np.maximum(values, 0.0))).T * scale
    for position, j in enumerate(own):
        out[:size, position] = lower.T @ combos[j] * safe[j] + cross[:, position] * safe[j]
    return out


@dataclass(frozen=True, eq=False)
class _PseudoDesign:
    """The design with stand-ins for its rows."""

    design: LazyDesign
    rows: _StandIns

    @property
    def controls(self) -> Array | None:
        first = 1 + len(self.design.exog_names)
        return np.ascontiguousarray(self.rows.columns[:, first:]) if self.design.control_names else None


def _regress(
    design: Any, residual: Array, spanned: Any, weights: Array | None, raw: Array
) -> tuple[LeastSquares, list[int], list[int], list[int]]:
    """As :func:`gifepanel.models.partialling.partial_out` does on rows: coefficients, columns kept and left out."""
    root = None if weights is None else np.sqrt(weights)
    y, x = residual[:, 0], residual[:, 1:]
    left = references_last(design, [int(j) for j in np.flatnonzero(~spanned)])
    fit = least_squares(np.ascontiguousarray(x[:, left]), y, root, noise=ROUNDING * raw[left])
    others = {left[j]: [left[i] for i in those] for j, those in fit.spanned.items()}
    zero = design.moments.constant[1 : 1 + len(spanned)] & (design.moments.means[1 : 1 + len(spanned)] == 0)
    kept, absorbed, collinear = usable_columns(design, spanned, others, zero)
    if left != kept:
        fit = least_squares(np.ascontiguousarray(x[:, kept]), y, root, noise=ROUNDING * raw[kept])
    return fit, kept, absorbed, collinear


def _scored(
    design: LazyDesign,
    solved: SolvedEffects,
    controls: EffectsAndControls,
    pseudo: _PseudoDesign,
    fit: LeastSquares,
    kept: list[int],
    near: bool,
    levels: LevelProducts | None,
) -> tuple[LazyParts, LeastSquares]:
    """Residuals and scores at the engine, and what they say of coefficients and triangle."""
    m, p = len(design.sample.columns), len(design.exog_names)
    loads = np.zeros((m, 1 + len(kept)))  # what is left of outcome and regressors beside controls, in columns
    loads[0, 0] = 1.0
    for k, j in enumerate(kept):
        loads[1 + j, 1 + k] = 1.0
    if controls.basis is not None:
        own = pseudo.rows.columns[:, [0, *(1 + j for j in kept)]]
        loads[1 + p :] = -controls.basis.coefficients(own)
    shift, of_constant = design.sample.shift, _share_of_constant(design, pseudo)
    for _ in range(3):
        triangle = fit.triangle
        away = (loads[:, 1:].T @ shift if solved.base is None else 0.0) - triangle.centre
        coefficients = loads[:, 0] - loads[:, 1:] @ fit.params
        parts = LazyParts(
            design.sample,
            solved,
            loads[:, 1:] @ triangle.centred,
            -away @ triangle.centred,
            coefficients,
            float(coefficients @ shift) if solved.base is None else 0.0,
            design.moments.means - shift,
            design.moments.weight,
            of_constant,
            near,
            levels,
        )
        if _is_clear(fit, pseudo.rows):
            break
        scores = parts.scores
        off = float(np.abs(scores.gram - np.eye(len(kept))).max(initial=0.0))
        if off <= _ORTHONORMAL:
            break
        fit = _corrected(fit, scores)
        if off <= 1e-6:
            parts = _turned(parts, fit, scores, loads)
            break
    return parts, fit


def _share_of_constant(design: LazyDesign, pseudo: _PseudoDesign) -> float:
    """What controls span of a constant; one where a column is one."""
    moments, controls = design.moments, pseudo.controls
    if moments.has_constant:
        return 1.0
    if controls is None:
        return 0.0
    length = np.sqrt((controls**2).sum(axis=0))
    used = length > 0
    _, values, vectors = np.linalg.svd(controls[:, used] / length[used], full_matrices=False)
    sums = moments.weight * moments.means[1 + len(design.exog_names) :][used] / length[used]
    clear = values > _CLOSE * values[0]
    on = vectors[clear] @ sums / values[clear]
    return float(on @ on) / moments.weight


def _is_clear(fit: LeastSquares, rows: _StandIns) -> bool:
    """Whether cross products know coefficients and residuals to all digits but a few."""
    squares = fit.resid**2 if rows.weights is None else rows.weights * fit.resid**2
    whole = rows.columns[:, 0] ** 2 if rows.weights is None else rows.weights * rows.columns[:, 0] ** 2
    return bool(fit.triangle.left.min(initial=1.0) > _CLEAR and squares.sum() > _CLEAR**2 * whole.sum())


def _corrected(fit: LeastSquares, scores: Scores) -> LeastSquares:
    """Coefficients and triangle with what is not orthonormal in the basis put right."""
    upper = np.linalg.cholesky(scores.gram).T
    inverse = solve_triangular(upper, np.eye(len(upper)))
    old = fit.triangle
    triangle = replace(old, factor=upper @ old.factor, root=old.root @ inverse, centred=old.centred @ inverse)
    params = fit.params + old.root @ np.linalg.solve(scores.gram, scores.slope)
    return replace(fit, triangle=triangle, params=params)


def _turned(parts: LazyParts, fit: LeastSquares, scores: Scores, loads: Array) -> LazyParts:
    """Scores in the corrected basis, without another pass."""
    inverse = solve_triangular(np.linalg.cholesky(scores.gram).T, np.eye(len(scores.gram)))
    step = np.linalg.solve(scores.gram, scores.slope)
    shift = parts.sample.shift
    coefficients = loads[:, 0] - loads[:, 1:] @ fit.params
    return replace(
        parts,
        basis=parts.basis @ inverse,
        offset=parts.offset @ inverse,
        coefficients=coefficients,
        constant=float(coefficients @ shift) if parts.solved.base is None else 0.0,
        given=Scores(
            np.eye(len(inverse)),
            np.zeros(len(inverse)),
            scores.ssr - float(scores.slope @ step),
            inverse.T @ scores.squares @ inverse,
        ),
    )


def _sums(design: LazyDesign, parts: LazyParts, y_tilde: Array, rows: _StandIns, kept: list[int]) -> LinearSums:
    """Sums of squares, and those of the regression without effects."""
    moments = design.moments
    total = float(moments.total[0, 0])
    within = float(y_tilde @ y_tilde if rows.weights is None else (rows.weights * y_tilde) @ y_tilde)
    uncentred = total + moments.weight * float(moments.means[0]) ** 2
    ssr = _squares(parts, rows)
    return LinearSums(ssr, total, uncentred, within, moments.log_weight, _without_effects(design, moments.total, kept))


def _squares(parts: LazyParts, rows: _StandIns) -> float:
    """Sum of squared residuals: from scores where they were asked for, from the stand-ins otherwise."""
    if parts.given is not None or "scores" in parts.__dict__:
        return parts.scores.ssr
    resid = rows.columns @ parts.coefficients
    return float(resid @ resid if rows.weights is None else (rows.weights * resid) @ resid)


def _without_effects(design: LazyDesign, total: Array, kept: list[int]) -> tuple[float, int]:
    """Sum of squares and rank of the outcome on a constant, regressors and controls."""
    p, m = len(design.exog_names), len(total)
    columns = [1 + j for j in kept] + list(range(1 + p, m))
    length = np.sqrt(np.maximum(np.diag(total), 0.0))
    columns = [j for j in columns if not design.moments.constant[j] and length[j] > 0]
    if not columns:
        return float(total[0, 0]), 1
    scale = length[columns]
    gram = total[np.ix_(columns, columns)] / np.outer(scale, scale)
    cross = total[columns, 0] / scale
    values, vectors = np.linalg.eigh(gram)
    used = values > 1e-13 * values[-1]
    explained = ((vectors[:, used].T @ cross) ** 2 / values[used]).sum()
    return float(total[0, 0] - explained), 1 + int(used.sum())
