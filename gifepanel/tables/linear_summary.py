"""The printed report of partialled-out least squares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gifepanel.tables.blocks import Pairs, Table
from gifepanel.tables.coefficients import counted, number, probability, ratio
from gifepanel.tables.remarks import Remarks
from gifepanel.tables.summary import ReportParts, joined, notes_on_few, notes_on_variances

__all__ = ["few_clusters", "linear_covariance_words", "linear_report_parts", "listed_controls", "notes_on_sample"]


def linear_report_parts(res: Any) -> ReportParts:
    """Information, joint tests and notes."""
    design = res.model.design
    left = [
        ("Dep. variable", str(design.endog_name)),
        ("Model", type(res.model).__name__),
        ("Method", "weighted least squares" if design.weights is not None else "least squares"),
        ("Absorbed", ", ".join(design.absorbed) or "none"),
        ("Partialled out", listed_controls(design.control_names)),
        ("By", _how(res)),
        ("Covariance", linear_covariance_words(res)),
        *([] if _rows(res) is None else [("Rows", f"{_rows(res).engine}, {_rows(res).trips.scans} scans")]),
        *([] if res.absorption.converged else [("Converged", "NO")]),
    ]
    right = [
        ("Observations", f"{int(res.nobs)}"),
        ("Df absorbed", f"{res.degrees.total}" + ("" if res.degrees.exact else " at most")),
        ("Df residuals", f"{int(res.df_resid)}"),
        ("R-squared", f"{res.rsquared:.4f}"),
        ("R-squared within", f"{res.rsquared_within:.4f}" if res.degrees.total else "-"),
        ("Residual std. dev.", number(float(np.sqrt(res.mse_resid)))),
        ("Log-likelihood", f"{res.llf:.2f}"),
        ("AIC", f"{res.aic:.1f}"),
        ("BIC", f"{res.bic:.1f}"),
    ]
    return ReportParts(Pairs(tuple(left), tuple(right)), _joint_tests(res), _remarks(res))


def listed_controls(control_names: Sequence[str]) -> str:
    """The controls that were partialled out, or how many."""
    names = [name for name in control_names if name != "Intercept"]
    if not names:
        return "constant" if control_names else "none"
    return ", ".join(names) if len(", ".join(names)) <= 40 else f"{len(names)} controls"


def _rows(res: Any) -> Any:
    """Where the rows are, None where they are in memory."""
    return getattr(res.model, "_rows", None)


def _how(res: Any) -> str:
    certificate = res.absorption
    if certificate.method == "none":
        return "QR" if res.model.design.controls is not None else "-"
    steps = f", {certificate.iterations} iterations" if certificate.iterations else ""
    return f"{certificate.method}{steps}"


_KINDS = {
    "nonrobust": "nonrobust (iid)",
    "HC0": "HC0 (heteroskedastic)",
    "HC1": "HC1 (heteroskedastic)",
    "HC2": "HC2 (heteroskedastic)",
    "HC3": "HC3 (heteroskedastic)",
    "HAC": "HAC",
    "hac-panel": "HAC by entity",
    "hac-groupsum": "Driscoll-Kraay",
}
_CLUSTERED = {
    "cluster": "clustered",
    "CR0": "CR0, clustered",
    "CR2": "CR2, clustered",
    "cluster-crv3": "CR3, clustered",
    "cluster-jk": "jackknife, clustered",
}


def linear_covariance_words(res: Any) -> str:
    """The covariance in words, with the names and numbers of clusters."""
    found = res._covariance
    if not found.n_groups:
        lags = f", {found.maxlags} lags" if found.maxlags is not None else ""
        return _KINDS.get(found.kind, found.kind) + lags
    names = res._cluster_names
    known = len(names) == len(found.n_groups) and all(names)
    ways = [f"{name} ({n})" for name, n in zip(names, found.n_groups, strict=True)] if known else []
    kind = _CLUSTERED.get(found.kind, f"{found.kind}, clustered")
    return f"{kind} by {', '.join(ways)}" if ways else f"{kind} ({', '.join(map(str, found.n_groups))} clusters)"


def _joint_tests(res: Any) -> tuple[Table, ...]:
    rows = []
    if not np.isnan(res.fvalue):
        rows.append(("Slopes", ratio(res.fvalue), probability(res.f_pvalue), "no regressor has an effect"))
    elif any(j not in res.model._constants for j in range(len(res._names))):
        indefinite = res._covariance.min_eigenvalue < -1e-12
        why = (
            "the covariance is not positive definite"
            if indefinite or res._covariance.without
            else ("more slopes than the covariance allows to test at once")
        )
        rows.append(("Slopes", "-", "-", f"({why})"))
    if res.model.design.absorbed:
        statistic, pvalue, (df1, df2) = res.test_absorbed()
        null = f"the absorbed effects are zero (F({df1}, {df2}), iid errors)"
        rows.append(("Absorbed effects", ratio(statistic), probability(pvalue), null))
    if not rows:
        return ()
    return (Table(("Joint test", "F", "p-value", "null hypothesis"), (("", tuple(rows)),), text_last=True),)


def _aliased(res: Any) -> list[str]:
    """Names of controls that took no part; the constant needs no word."""
    basis = getattr(res._fit.projection, "basis", None)
    names = [] if basis is None else [res.model.design.control_names[j] for j in basis.aliased]
    return [name for name in names if name != "Intercept"]


def _remarks(res: Any) -> Remarks:
    warnings = [] if res.absorption.converged else ["NOT CONVERGED: the absorption stopped early; raise tol."]
    warnings += _on_lags(res) + notes_on_variances(res) + notes_on_few(res, few_clusters(res))
    notes = _on_effects(res)
    if res._covariance.ssc != "fixest":
        notes.append(f'Small-sample factors are those of ssc="{res._covariance.ssc}".')
    if not res._centered:
        notes.append("R-squared is about zero, not the mean: there is no constant.")
    on_sample = notes_on_sample(res)
    if not (warnings or notes or on_sample):
        notes.append("No effects or controls: ordinary least squares.")
    if (rows := _rows(res)) is not None:
        notes.append(
            f"The rows stayed in {rows.source}: {rows.engine} read them {rows.trips.scans} times, and the largest "
            f"table that came home has {rows.trips.what}, {_size(rows.trips.largest)}."
        )
    return Remarks.of(warnings, notes + on_sample)


def _on_effects(res: Any) -> list[str]:
    """What was partialled out, and how well."""
    design, notes = res.model.design, []
    parts = [
        *(["effects"] if design.absorbed else []),
        *(["controls"] if any(name != "Intercept" for name in design.control_names) else []),
    ]
    if parts:
        what = joined(parts)
        notes.append(
            f"Coefficients and standard errors are those of the regression with all {what} in it; R-squared within is "
            f"the share the regressors explain of what {what} leave."
        )
    if design.absorbed:
        counts = ", ".join(
            f"{effect.name} {effect.n_levels} levels" + (f" ({df} new)" if df != effect.n_levels else "")
            for effect, df in zip(res.model.effects, res.degrees.by_block, strict=False)
        )
        left = res.absorption.residual
        words = "below 1e-12" if left < 1e-12 else f"{left:.0e}"
        notes.append(f"Absorbed: {counts}. Largest residual in their span: {words} of a column.")
    if not res.degrees.exact:
        notes.append("The rank of the effects is an upper bound: three or more large effects can overlap further.")
    return notes


def _size(count: int) -> str:
    """Bytes in words."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} bytes"


def few_clusters(res: Any) -> str:
    """What to do about few clusters, or periods."""
    if len(res._covariance.n_groups) == 1 and res._covariance.kind in ("cluster", "CR0"):
        return 'cov_type="CR2" has degrees of freedom of its own, res.wild_bootstrap() tests without them'
    return "use_t=True compares with t"


def _on_lags(res: Any) -> list[str]:
    """A lag of the outcome beside effects of the entity (Nickell 1981)."""
    design = res.model.design
    panel = design.panel if design.panel is not None else res.model.panel_index(required=False)
    if not design.lags_of_endog or panel is None:
        return []
    name = panel.entity_name
    dummies = (f"C({name}", f"C(Q('{name}')", f"{name}[")
    within = any(effect.intercept and name in effect.factors for effect in design.absorbed_effects) or any(
        column.startswith(dummies) for column in (*design.control_names, *res._names)
    )
    if not within:
        return []
    return [
        f"A lag of the outcome beside effects of {name}: its coefficient is biased downwards, by about (1 + b)/T with "
        f"{panel.n_times} periods at most (Nickell 1981). InteractiveFE with n_factors=0 corrects that."
    ]


def notes_on_sample(res: Any) -> list[str]:
    """Which regressors and rows were left out, and why."""
    design, notes = res.model.design, []
    if res.spanned:
        notes.append(f"Absorbed regressors, left out: {', '.join(res.spanned)}.")
    others = [name for name in res.dropped if name not in res.spanned]
    if others:
        notes.append(f"Collinear regressors, left out: {', '.join(others)}.")
    if aliased := _aliased(res):
        notes.append(f"Controls that add nothing to effects and other controls: {', '.join(aliased)}.")
    if res.n_singletons:
        notes.append(f"{counted(res.n_singletons, 'row')} dropped: each alone in a level of an effect.")
    if res.model.n_zero_weights:
        notes.append(f"{res.model.n_zero_weights} rows with weight zero were left out.")
    if design.n_dropped:
        lost = ", ".join(f"{name} in {count}" for name, count in design.dropped_by.items())
        notes.append(f"{counted(design.n_dropped, 'row')} left out for missing values or lags: {lost}.")
    return notes
