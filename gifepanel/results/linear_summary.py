"""The printed report of partialled-out least squares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gifepanel.exceptions import SpecificationError
from gifepanel.results.blocks import Notes, Pairs
from gifepanel.results.summary import PanelSummary, coefficient_table, number

if TYPE_CHECKING:
    from gifepanel.results.partialled import PartialledOLSResults

__all__ = ["linear_report_parts", "summarize_linear"]


def summarize_linear(res: PartialledOLSResults, alpha: float) -> PanelSummary:
    """The report of a fit."""
    if not 0 < alpha < 1:
        raise SpecificationError(f"alpha is {alpha!r}.", "It must be between 0 and 1.", "alpha=0.05")
    information, notes = res._report_parts
    left = [*information.left, ("Covariance", _covariance(res))]
    blocks = (Pairs(tuple(left), information.right), coefficient_table(res, alpha), notes)
    return PanelSummary(res.report_title, blocks)


def linear_report_parts(res: PartialledOLSResults) -> tuple[Pairs, Notes]:
    """Information and notes."""
    design = res.model.design
    left = [
        ("Dep. variable", str(design.endog_name)),
        ("Model", type(res.model).__name__),
        ("Method", "weighted least squares" if design.weights is not None else "least squares"),
        ("Absorbed", ", ".join(design.absorbed) or "none"),
        ("Partialled out", _controls(design)),
        ("By", _how(res)),
    ]
    right = [
        ("Observations", f"{int(res.nobs)}"),
        ("Df absorbed", f"{res.degrees.total}" + ("" if res.degrees.exact else " at most")),
        ("Df residuals", f"{int(res.df_resid)}"),
        ("R-squared", f"{res.rsquared:.4f}"),
        ("R-squared within", f"{res.rsquared_within:.4f}" if res.degrees.total else "-"),
        ("Residual std. dev.", number(float(np.sqrt(res.mse_resid)))),
        ("F, slopes", "-" if np.isnan(res.fvalue) else f"{res.fvalue:.4g} (p = {res.f_pvalue:.3f})"),
        ("Log-likelihood", f"{res.llf:.2f}"),
        ("AIC", f"{res.aic:.1f}"),
        ("BIC", f"{res.bic:.1f}"),
    ]
    return Pairs(tuple(left), tuple(right)), Notes(tuple(_notes(res)))


def _controls(design: Any) -> str:
    names = [name for name in design.control_names if name != "Intercept"]
    if not names:
        return "constant" if design.control_names else "none"
    return ", ".join(names) if len(", ".join(names)) <= 40 else f"{len(names)} controls"


def _how(res: Any) -> str:
    certificate = res.absorption
    if certificate.method == "none":
        return "QR" if res.model.design.controls is not None else "-"
    steps = f", {certificate.iterations} iterations" if certificate.iterations else ""
    return f"{certificate.method}{steps}"


def _covariance(res: Any) -> str:
    found = res._covariance
    if found.n_groups:
        sizes = ", ".join(map(str, found.n_groups))
        return f"{found.kind} ({sizes} clusters)"
    return f"{found.kind}" + (f", {found.maxlags} lags" if found.maxlags is not None else "")


def _notes(res: Any) -> list[str]:
    design = res.model.design
    out = ["effects" if design.absorbed else "", "controls" if design.controls is not None else ""]
    parts = " and ".join(part for part in out if part)
    notes = []
    if parts:
        notes.append(
            f"Coefficients and standard errors are those of the regression with all {parts} in it; R-squared within is "
            f"the share the regressors explain of what {parts} leave."
        )
    if design.absorbed:
        counts = ", ".join(
            f"{effect.name} {effect.n_levels} levels" + (f" ({df} new)" if df != effect.n_levels else "")
            for effect, df in zip(res.model.effects, res.degrees.by_block, strict=False)
        )
        notes.append(f"Absorbed: {counts}. Largest residual in their span: {res.absorption.residual:.0e} of a column.")
        statistic, pvalue, (df1, df2) = res.test_absorbed()
        notes.append(f"F test that the absorbed effects are zero: F({df1}, {df2}) = {statistic:.4g}, p = {pvalue:.3f}.")
    if not res.degrees.exact:
        notes.append("The rank of the effects is an upper bound: three or more large effects can overlap further.")
    if res.spanned:
        notes.append(f"Absorbed regressors, left out: {', '.join(res.spanned)}.")
    others = [name for name in res.dropped if name not in res.spanned]
    if others:
        notes.append(f"Collinear regressors, left out: {', '.join(others)}.")
    if res.n_singletons:
        notes.append(f"{res.n_singletons} rows were dropped: each alone in a level of an effect.")
    if res.model.n_zero_weights:
        notes.append(f"{res.model.n_zero_weights} rows with weight zero were left out.")
    if design.n_dropped:
        lost = ", ".join(f"{name} in {count}" for name, count in design.dropped_by.items())
        notes.append(f"{design.n_dropped} rows were left out for missing values or lags: {lost}.")
    if not res.absorption.converged:
        notes.append("NOT CONVERGED: the absorption stopped early.")
    return notes or ["No effects or controls: ordinary least squares."]
