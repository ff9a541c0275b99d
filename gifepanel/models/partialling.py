"""The steps of partialled-out least squares: effects as blocks, columns that can be used, coefficients."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gifepanel.exceptions import (
    CollinearityWarning,
    ConvergenceError,
    ConvergenceWarning,
    DataError,
    SpecificationError,
)
from gifepanel.models.checks import combination_of, references_last, warn_dropped, why_spanned
from gifepanel.panel.text import caller_level
from gifepanel.projections.base import Certificate, column_norms
from gifepanel.projections.composite import EffectsAndControls
from gifepanel.projections.least_squares import least_squares, refined
from gifepanel.projections.system import Effect
from gifepanel.projections.triangle import ROUNDING, Triangle
from gifepanel.results.linear_inputs import PartialledFit

if TYPE_CHECKING:
    from gifepanel.panel.matrices import PanelDesign

__all__ = [
    "AbsorptionOptions",
    "EffectPart",
    "check_converged",
    "check_degrees",
    "check_outcome_varies",
    "effect_parts",
    "noise_of",
    "partial_out",
    "usable_columns",
    "warn_of_aliased",
    "warn_of_lost_digits",
]

Array = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
_CLOSE = 1e-3  # share of a column's variation that others don't span
_DIGITS = 1e-9  # a share of which less than seven digits are known


class AbsorptionOptions(NamedTuple):
    """How effects are absorbed: options of ``fit``."""

    tol: float
    nonconvergence: str
    accelerator: str | None


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


def partial_out(design: PanelDesign, effects: tuple[Effect, ...], how: AbsorptionOptions) -> PartialledFit:
    """Residualise outcome and regressors, find out which regressors can be used, regress."""
    projection = EffectsAndControls(effects, design.controls, design.weights, how.tol, how.accelerator)
    y, x, spanned, certificate, raw = projection.partial_out_of(design.endog, design.exog)
    check_converged(certificate, how)
    check_outcome_varies(design, bool(spanned[0]))
    projection.forget_rows()
    if projection.basis is not None:
        warn_of_aliased([design.control_names[j] for j in projection.basis.aliased])
    noise = ROUNDING * raw[1:]
    root = None if design.weights is None else np.sqrt(design.weights)
    left = references_last(design, [int(j) for j in np.flatnonzero(~spanned[1:])])
    whole = np.ascontiguousarray(x if left == list(range(x.shape[1])) else x[:, left])
    fit = least_squares(whole, y, root, noise=noise[left])
    if projection.absorption is not None and len(left) > 1 and (fit.spanned or fit.triangle.left.min() < _CLOSE):
        whole = projection.residualize(whole)[0]  # of two columns that nearly agree, an iteration's error is no part
        fit = least_squares(whole, y, root, noise=noise[left])
    others = {left[j]: [left[i] for i in those] for j, those in fit.spanned.items()}
    if left != sorted(left):  # references stood last, to be left out; coefficients stand as in the design
        order = sorted(j for j in left if j not in others)
        whole, left = np.ascontiguousarray(whole[:, [left.index(j) for j in order]]), order
        fit = least_squares(whole, y, root, noise=noise[left])
    if projection.absorption is None and projection.controls is None:
        fit = refined(fit, whole, y, root)
    kept, absorbed, collinear = usable_columns(design, spanned[1:], others)
    check_degrees(design, len(kept), projection.degrees.total)
    warn_of_lost_digits(fit.triangle, [design.exog_names[j] for j in kept])
    x = np.ascontiguousarray(whole[:, [left.index(j) for j in kept]] if len(left) > len(kept) else whole)
    return PartialledFit(
        projection,
        certificate,
        y,
        x,
        tuple(kept),
        tuple(absorbed),
        tuple(collinear),
        fit.params,
        fit.resid,
        fit.triangle,
    )


def warn_of_lost_digits(triangle: Triangle, names: list[str]) -> None:
    """Say which coefficients few digits are left of, since regressors nearly span what they belong to."""
    for j, others in triangle.nearly_spanned(_DIGITS).items():
        digits = max(1, int(16 + np.log10(triangle.left[j])))
        warnings.warn(
            CollinearityWarning(
                f"{names[j]} is {combination_of([names[i] for i in others])} but for {triangle.left[j]:.0e} of its "
                f"variation: some {digits} digits of these coefficients and their standard errors stand.",
                None,
                f"Leave {names[j]} out, or put its difference from the others in its place.",
            ),
            stacklevel=caller_level(),
        )


def noise_of(design: PanelDesign, columns: list[int]) -> Array:
    """What rounding does to regressors, in their units and over all rows."""
    x = design.exog[:, columns]
    return ROUNDING * column_norms(x if design.weights is None else x * np.sqrt(design.weights)[:, None])


def warn_of_aliased(names: list[str]) -> None:
    """Say which controls add nothing to effects and other controls; the constant needs no word."""
    names = [name for name in names if name != "Intercept"]
    if names:
        which = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        message = (
            f"{which} {'adds' if len(names) == 1 else 'add'} nothing to effects and other controls, and took no part."
        )
        warnings.warn(
            CollinearityWarning(message, None, "Leave it out of partial= to silence this."), stacklevel=caller_level()
        )


def check_outcome_varies(design: PanelDesign, spanned: bool) -> None:
    """Raise where the nuisance part spans the outcome."""
    if spanned:
        nuisance = _nuisance(design)
        raise DataError(
            f"The outcome {design.endog_name} doesn't vary" + (f" beyond {nuisance}." if nuisance else "."),
            "There is nothing to explain.",
            "Check how it was made, or absorb less." if nuisance else "Check how it was made.",
        )


def check_degrees(design: PanelDesign, n_slopes: int, absorbed: int) -> None:
    """Raise where there are no more observations than parameters."""
    if design.nobs > n_slopes + absorbed:
        return
    slopes = f"{n_slopes} of regressors" + (f", {absorbed} of {_nuisance(design)}" if absorbed else "")
    raise SpecificationError(
        f"{design.nobs} observations, {n_slopes + absorbed} parameters ({slopes}): the fit is exact.",
        "Standard errors need more observations than parameters.",
        "Leave regressors out, or absorb less." if absorbed else "Leave regressors out, or use more observations.",
    )


def check_converged(certificate: Certificate, how: AbsorptionOptions) -> None:
    """Raise or warn where the absorption did not reach its tolerance."""
    if certificate.converged:
        return
    message = f"The absorption stopped at {certificate.residual:.1e} after {certificate.iterations} iterations."
    tol = how.tol
    if how.nonconvergence == "raise":
        raise ConvergenceError(message, f"The tolerance is {tol:.0e}.", 'nonconvergence="warn"')
    warnings.warn(
        ConvergenceWarning(message, f"The tolerance is {tol:.0e}.", f"tol={max(100 * tol, 1e-9):.0e}"),
        stacklevel=caller_level(),
    )


def usable_columns(
    design: PanelDesign, spanned: BoolArray, others: dict[int, list[int]], zero: BoolArray | None = None
) -> tuple[list[int], list[int], list[int]]:
    """Columns to keep, those the nuisance part spans, those other regressors span; the latter two in a warning.

    Parameters
    ----------
    design : PanelDesign
    spanned : ndarray of bool, shape (p,)
        Which of them the nuisance part spans.
    others : dict
        Which of them regressors span, and which ones.
    zero : ndarray of bool, shape (p,), optional
        Which of them are zero throughout; looked up without it.
    """
    names = design.exog_names
    absorbed = [int(j) for j in np.flatnonzero(spanned)]
    left = [int(j) for j in np.flatnonzero(~spanned)]
    collinear = dict(sorted(others.items()))
    kept = [j for j in left if j not in collinear]
    nuisance = _nuisance(design)
    empty = [bool(not design.exog[:, j].any() if zero is None else zero[j]) for j in absorbed]
    why = {
        j: f"spanned by {nuisance}" if nuisance and not nothing else "zero throughout"
        for j, nothing in zip(absorbed, empty, strict=True)
    }
    warn_dropped(design, why | {j: why_spanned(design, j, those) for j, those in collinear.items()})
    if not kept:
        raise DataError(
            f"No regressor is left: {', '.join(names) or 'the formula has none'}.",
            "At least one must vary beyond what is partialled out.",
            f"Absorb less than {nuisance}, or add a regressor." if nuisance else "Add a regressor.",
        )
    return kept, absorbed, list(collinear)


def _nuisance(design: PanelDesign) -> str:
    return " and ".join([*design.absorbed, *(["the controls"] if design.controls is not None else [])])
