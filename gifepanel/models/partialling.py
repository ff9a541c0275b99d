"""The steps of partialled-out least squares: effects as blocks, columns that can be used, coefficients."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.linalg import solve_triangular

from gifepanel.exceptions import CollinearityWarning, ConvergenceError, ConvergenceWarning, DataError
from gifepanel.kernels.absorb import drop_singletons
from gifepanel.panel.text import caller_level
from gifepanel.projections.base import Certificate, column_norms
from gifepanel.projections.composite import EffectsAndControls
from gifepanel.projections.system import Effect

if TYPE_CHECKING:
    from gifepanel.panel.design import PanelDesign

__all__ = ["EffectPart", "PartialledFit", "effect_parts", "mark_singletons", "partial_out", "usable_columns"]

Array = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
_SPANNED = 1e-9


@dataclass(frozen=True, eq=False)
class PartialledFit:
    """The partialled-out regression.

    Attributes
    ----------
    projection : EffectsAndControls
    certificate : Certificate
    y_tilde : ndarray, shape (n,)
    x_tilde : ndarray, shape (n, k)
    kept : tuple of int
        Columns of the design that vary beyond the nuisance part and each other.
    absorbed : tuple of int
        Columns that the nuisance part spans.
    collinear : tuple of int
        Columns that other regressors span.
    params : ndarray, shape (k,)
    resid : ndarray, shape (n,)
        Of the full regression.
    """

    projection: EffectsAndControls
    certificate: Certificate
    y_tilde: Array
    x_tilde: Array
    kept: tuple[int, ...]
    absorbed: tuple[int, ...]
    collinear: tuple[int, ...]
    params: Array
    resid: Array

    def constants(self, exog: Array) -> list[int]:
        """Positions of the coefficients that belong to a constant column of the design's `exog` (n, p)."""
        return [k for k, j in enumerate(self.kept) if exog.size and np.ptp(exog[:, j]) == 0]


class EffectPart(NamedTuple):
    """One block of dummies, and where it comes from.

    Attributes
    ----------
    source : str
        Absorbed effect in whose codes the block is.
    slope : str or None
        The variable its dummies are multiplied by.
    shift : float
        Taken off the variable before, where the dummies themselves are absorbed too: the span is the same, and far
        from zero it is better conditioned.
    block : Effect
    """

    source: str
    slope: str | None
    shift: float
    block: Effect


def effect_parts(design: PanelDesign) -> tuple[EffectPart, ...]:
    """Blocks of the absorbed effects, each once: ``firm[trend]`` is ``firm`` and slopes of `trend` by firm."""
    with_dummies = {effect.factors for effect in design.absorbed_effects if effect.intercept}
    out: dict[str, EffectPart] = {}
    for effect in design.absorbed_effects:
        codes, levels = design.absorbed_codes[effect.name]
        name = "^".join(effect.factors)
        if effect.intercept and name not in out:
            out[name] = EffectPart(effect.name, None, 0.0, Effect(name, codes, len(levels)))
        for slope in effect.slopes:
            own = f"{name}[{slope}]"
            if own in out:
                continue
            values = design.absorbed_slopes[slope]
            shift = float(values.mean()) if effect.factors in with_dummies else 0.0
            block = Effect(own, codes, len(levels), values - shift if shift else values)
            out[own] = EffectPart(effect.name, slope, shift, block)
    return tuple(out.values())


def mark_singletons(design: PanelDesign, rows: BoolArray) -> int:
    """Mark rows alone in a level of an effect with an intercept, again and again; how many."""
    plain = [effect.name for effect in design.absorbed_effects if effect.intercept]
    if not plain:
        return 0
    codes = [design.absorbed_codes[name] for name in plain]
    stacked = np.stack([own.astype(np.int32) for own, _ in codes])
    return int(drop_singletons(stacked, np.array([len(levels) for _, levels in codes]), rows))


def partial_out(design: PanelDesign, effects: tuple[Effect, ...], tol: float, nonconvergence: str) -> PartialledFit:
    """Residualise outcome and regressors, find out which regressors can be used, regress."""
    projection = EffectsAndControls(effects, design.controls, design.weights, tol)
    columns = np.column_stack([design.endog, design.exog])
    residual, certificate = projection.residualize(columns)
    _check_converged(certificate, tol, nonconvergence)
    residual, spanned = projection.check(columns, residual)
    if spanned[0]:
        nuisance = _nuisance(design)
        raise DataError(
            f"The outcome {design.endog_name} doesn't vary" + (f" beyond {nuisance}." if nuisance else "."),
            "There is nothing to explain.",
            "Check how it was made, or absorb less." if nuisance else "Check how it was made.",
        )
    y, x = residual[:, 0], residual[:, 1:]
    kept, absorbed, collinear = usable_columns(design, x, spanned[1:])
    x = np.ascontiguousarray(x[:, kept])
    root = None if design.weights is None else np.sqrt(design.weights)
    params = _least_squares(x if root is None else x * root[:, None], y if root is None else y * root)
    return PartialledFit(
        projection, certificate, y, x, tuple(kept), tuple(absorbed), tuple(collinear), params, y - x @ params
    )


def _check_converged(certificate: Certificate, tol: float, nonconvergence: str) -> None:
    if certificate.converged:
        return
    message = f"The absorption stopped at {certificate.residual:.1e} after {certificate.iterations} iterations."
    if nonconvergence == "raise":
        raise ConvergenceError(message, f"The tolerance is {tol:.0e}.", 'nonconvergence="warn"')
    warnings.warn(
        ConvergenceWarning(message, f"The tolerance is {tol:.0e}.", f"tol={max(100 * tol, 1e-9):.0e}"),
        stacklevel=caller_level(),
    )


def usable_columns(
    design: PanelDesign, x: Array, spanned: BoolArray | None = None
) -> tuple[list[int], list[int], list[int]]:
    """Columns to keep, those the nuisance part spans, those other regressors span; the latter two in a warning.

    Parameters
    ----------
    design : PanelDesign
    x : ndarray, shape (n, p)
        Regressors, residualised on the nuisance part.
    spanned : ndarray of bool, shape (p,), optional
        Which of them it spans; by what is left of them if not known.
    """
    names = design.exog_names
    before, after = column_norms(design.exog), column_norms(x)
    if spanned is None:
        spanned = after <= _SPANNED * before
    absorbed = [int(j) for j in np.flatnonzero(spanned)]
    left = [int(j) for j in np.flatnonzero(~spanned)]
    collinear = _collinear(design, x, left)
    kept = [j for j in left if j not in collinear]
    nuisance = _nuisance(design)
    for j in absorbed:
        _warn_dropped(names[j], f"is spanned by {nuisance}" if before[j] > 0 and nuisance else "is zero throughout")
    for j in collinear:
        others = ", ".join(names[i] for i in kept if i < j)
        _warn_dropped(names[j], f"is a linear combination of {others}")
    if not kept:
        raise DataError(
            f"No regressor is left: {', '.join(names) or 'the formula has none'}.",
            "At least one must vary beyond what is partialled out.",
            f"Absorb less than {nuisance}, or add a regressor." if nuisance else "Add a regressor.",
        )
    return kept, absorbed, collinear


def _collinear(design: PanelDesign, x: Array, left: list[int]) -> list[int]:
    """Those of the columns that the ones before them span."""
    if len(left) < 2:
        return []
    scaled = x[:, left] / column_norms(x)[left]
    if design.weights is not None:
        scaled = scaled * np.sqrt(design.weights)[:, None]
        scaled /= column_norms(scaled)
    triangle = np.linalg.qr(scaled, mode="r")
    return [left[int(j)] for j in np.flatnonzero(np.abs(np.diag(triangle)) <= _SPANNED)]


def _nuisance(design: PanelDesign) -> str:
    return " and ".join([*design.absorbed, *(["the controls"] if design.controls is not None else [])])


def _least_squares(x: Array, y: Array) -> Array:
    """Coefficients by QR, columns scaled to length one."""
    length = column_norms(x)
    if x.shape[1] == 1:
        return np.asarray(x.T @ y / length**2)
    q, r = np.linalg.qr(x / length)
    return np.asarray(solve_triangular(r, q.T @ y) / length)


def _warn_dropped(name: str, why: str) -> None:
    warnings.warn(
        CollinearityWarning(f"{name} was dropped: it {why}.", None, "Leave it out of the formula to silence this."),
        stacklevel=caller_level(),
    )
