"""The printed report of models with factors."""

from __future__ import annotations

from typing import Any

import numpy as np

from gifepanel.tables.blocks import Pairs, Table
from gifepanel.tables.choices import notes_on_choice, rule_words
from gifepanel.tables.coefficients import counted, number, probability
from gifepanel.tables.remarks import Remarks
from gifepanel.tables.summary import ReportParts, joined, notes_on_few, notes_on_variances

__all__ = [
    "OVER_TIME",
    "factor_report_parts",
    "few_periods_for_groups",
    "observed_share",
    "periods_of_each",
    "pruned_words",
]

_FEW_PERIODS = 10
_INDEPENDENT = ("nonrobust", "HC0", "HC1")  # covariances under which errors of an entity are independent
_REJECTED = 0.01
OVER_TIME = ("Panel Durbin-Watson", "Born-Breitung Q(1)")  # tests among the diagnostics


def factor_report_parts(res: Any) -> ReportParts:
    """The pieces of models with factors: information, groups, tests on residuals (none for a tiny panel), notes."""
    short, full = ([*res._group_tables(full), *_diagnostics(res, full)] for full in (False, True))
    return ReportParts(_information(res), tuple(short), _remarks(res), tuple(full))


def _information(res: Any) -> Pairs:
    sample = res.sample
    left = [
        ("Dep. variable", sample.endog_name),
        ("Model", type(res.model).__name__),
        ("Method", res._method),
        ("Absorbed", ", ".join(sample.absorbed) or "none"),
        ("Factors", f"{res.n_factors}{_chosen_from(res.selection, 'factors')}"),
        *([("Weights", sample.weights)] if sample.weights else []),
        *res._group_information(),
        ("Covariance", covariance_words(res)),
        ("Bias correction", res.bias_correction_words),
        *([] if res.converged else [("Converged", "NO")]),
    ]
    right = [
        ("Observations", f"{int(res.nobs)}"),
        (f"Entities ({sample.entity_name})", f"{res.n_entities}"),
        (f"Periods ({sample.time_name})", f"{res.n_times}"),
        *([("Cells observed", observed_share(sample)), ("Periods by entity", periods_of_each(res))] * sample.has_holes),
        ("Df residuals", f"{int(res.df_resid)}"),
        ("R-squared", f"{res.rsquared:.4f}"),
        ("R-squared within", f"{res.rsquared_within:.4f}"),
        ("Residual std. dev.", number(float(np.sqrt(res.mse_resid)))),
        ("Log-likelihood", f"{res.llf:.2f}"),
        ("AIC", f"{res.aic:.1f}"),
        ("BIC", f"{res.bic:.1f}"),
    ]
    return Pairs(tuple(left), tuple(right))


def _chosen_from(selection: Any, what: str) -> str:
    """ " of 0 to 8, by edge test" where the number was left open."""
    table = None if selection is None else getattr(selection, what)
    if table is None or not len(table):
        return ""
    rule = f", by {rule_words(selection.rule)}" if what == "factors" and selection is not None else ""
    return f" (of {table.index[0]} to {table.index[-1]}{rule})"


def observed_share(sample: Any) -> str:
    """ "71.4%" of the cells."""
    return f"{100 * sample.n_observed / sample.n_cells:.1f}%"


def periods_of_each(res: Any) -> str:
    """ "30", or "8 to 30" where entities differ."""
    shortest, longest = res.sample.shortest[1], res.sample.longest[1]
    return f"{longest}" if shortest == longest else f"{shortest} to {longest}"


def covariance_words(res: Any) -> str:
    """The covariance of a model with factors, in words."""
    found = res._covariance
    ways = ", ".join(f"{name} ({n})" for name, n in zip(res._cluster_names, found.n_groups, strict=False))
    kinds = {
        "nonrobust": "nonrobust (iid)",
        "HC0": "HC0 (heteroskedastic)",
        "HC1": "HC1 (heteroskedastic)",
        "HAC": f"HAC, {found.kernel}, {found.maxlags} lags",
        "driscoll-kraay": f"Driscoll-Kraay, {found.kernel}, {found.maxlags} lags",
        "cluster": f"clustered by {ways}",
    }
    return kinds.get(res.cov_type, res.cov_type)  # "fixed scale" says it all


_MOMENTS = ("Mean", "Skewness", "Kurtosis")  # Jarque-Bera says it all in a short report
_NULLS = {
    "Skewness": "symmetric errors (skewness 0)",
    "Kurtosis": "tails of the normal distribution (3)",
    "Jarque-Bera": "normal errors",
    "Panel Durbin-Watson": "no serial correlation",
    "Pesaran CD": "no cross-section dependence",
    "Pesaran-Xie CD*": "no cross-section dependence",
    "Weighted CD": "no cross-section dependence",
    "Juodis-Reese": "no cross-section dependence",
}


def _null(name: str, words: str) -> str:
    """The null hypothesis as it fits on a line."""
    for start, short in _NULLS.items():
        if name.startswith(start):
            return short
    return words.replace("the errors are not serially correlated", "no serial correlation")


def _diagnostics(res: Any, full: bool) -> list[Table]:
    if res._diagnostics.empty:
        return []
    rows = []
    for name, row in res._diagnostics.iterrows():
        if not full and name in _MOMENTS and "Jarque-Bera" in res._diagnostics.index:
            continue
        by_construction = abs(row.statistic) < 1e-8 * np.sqrt(res.mse_resid) and np.isnan(row.pvalue)
        rows.append(
            (
                str(name),
                number(0.0 if by_construction else row.statistic, 3),
                probability(row.pvalue) or "-",
                "zero by construction" if by_construction else _null(str(name), str(row.null)),
            )
        )
    header = ("Residual test", "statistic", "p-value", "null hypothesis")
    return [Table(header, (("", tuple(rows)),), text_last=True)]


# ---- remarks


def _remarks(res: Any) -> Remarks:
    found = Remarks.of(() if res.converged else (res._note_on_convergence(),))
    found += Remarks.of(_warnings_on_groups(res)) + res._group_remarks()
    found += _on_inference(res) + Remarks.of(notes=_on_fit(res), details=_on_factors(res))
    if res.selection is not None:
        found += Remarks.of(notes_on_choice(res.selection), (_note_on_selection(res.selection),))
    return found + Remarks.of(notes=_notes_on_sample(res)) + _on_minima(res)


def _warnings_on_groups(res: Any) -> list[str]:
    if not few_periods_for_groups(res):
        return []
    return [
        f"Groups are found from {periods_of_each(res)} periods of each entity: with fewer than {_FEW_PERIODS}, "
        "many entities may be in another group than their own, and intervals are too short (see .membership)."
    ]


def _on_fit(res: Any) -> list[str]:
    parts = [part for part, there in (("effects", res.sample.absorbed), ("factors", res.n_factors)) if there]
    with_slopes = joined(["slopes", *parts])
    return [
        f"R-squared counts {with_slopes}{'' if res._centered else ', about zero since there is no constant'}"
        + (f"; R-squared within is the share the slopes explain of what {joined(parts)} leave." if parts else ".")
    ]


def _on_factors(res: Any) -> list[str]:
    if not res.n_factors:
        return []
    shares = joined([f"{100 * share:.1f}%" for share in res.factor_shares])
    verb = "factor explains" if res.n_factors == 1 else "factors explain"
    effects = " and additive effects" if res.sample.absorbed else ""
    return [f"The {verb} {shares} of what slopes{effects} leave of the outcome."]


def _on_minima(res: Any) -> Remarks:
    warnings, notes, minima = [], [], res.minima
    if "n_groupings" in minima:
        warnings += _note_on_groupings(minima)
        minima = minima[minima["n_starts"] > 0]
    if len(minima) > 1:
        notes.append(
            f"Least squares with factors has local minima: {len(minima)} found from {minima['n_starts'].sum()} "
            f"starts. The best is reported; the next has a sum of squares {minima['excess_percent'].iloc[1]:.3g}% "
            "higher (see .minima)."
        )
    if res._passed_ssr is not None:
        warnings.append(
            f"A descent went {100 * (1 - res._passed_ssr / res.ssr):.3g}% below the sum of squares reported, towards "
            "an infimum at which loadings grow without bound; minima alone are compared."
        )
    return Remarks.of(warnings, notes)


def _note_on_groupings(minima: Any) -> list[str]:
    """A word where the best grouping was met once only, out of many minima."""
    tried = int(minima["n_groupings"].sum())
    if minima["n_groupings"].iloc[0] > 1:
        return []
    return [
        f"Of {tried} groupings tried, one alone led to the smallest sum of squares (see .minima): there may be better "
        "ones, which fit(n_starts=10) searches for longer."
    ]


def _note_on_selection(selection: Any) -> str:
    chosen = []
    if len(selection.factors):
        span = f"{selection.factors.index[0]} to {selection.factors.index[-1]}"
        by = "the edge test" if selection.rule == "edge" else rule_words(selection.rule)
        chosen.append(f"the number of factors ({span}) by {by}")
    if len(selection.groups):
        span = f"{selection.groups.index[0]} to {selection.groups.index[-1]}"
        chosen.append(f"the number of groups ({span}) by an information criterion")
    return f"Chosen from the data: {joined(chosen)} (see .selection); inference takes it as given."


def few_periods_for_groups(res: Any) -> bool:
    """Whether groups are found from so few periods that many entities are in another than their own."""
    return bool(res.n_groups > 1 and res.nobs < _FEW_PERIODS * res.n_entities)


def _on_inference(res: Any) -> Remarks:
    notes = []
    lag, correction = bool(res.model._lags), res.bias_correction
    if correction in ("dynamic", "moon-weidner-b1"):
        why = "A lag of the outcome is among the regressors" if lag else "Regressors are predetermined"
        form = ", deconvolved" if correction == "dynamic" else ""
        asked = ", without being asked for; bias_correction=False leaves it in." if lag and form else "."
        notes.append(f"{why}: their bias of order 1/T was corrected (B1 of Moon and Weidner 2017{form}){asked}")
    elif correction != "none":
        form = ", B1 deconvolved" if correction == "analytic" and res.model._predetermined else ""
        notes.append(f"Coefficients are corrected for bias: {res.bias_correction_words}{form}.")
    if not res.cov_kwds["ssc"]:
        notes.append("The covariance has no small-sample factor (ssc=False).")
    few = notes_on_few(res, "use_t=True compares with t")
    return Remarks.of([*_note_on_serial_correlation(res), *notes_on_variances(res), *few], notes)


def _note_on_serial_correlation(res: Any) -> list[str]:
    """Errors that are correlated over time, under standard errors that say they are not."""
    pvalues = res._diagnostics["pvalue"].reindex(list(OVER_TIME)).dropna()
    rejecting = [name for name, pvalue in pvalues.items() if pvalue < _REJECTED]
    if res.cov_type not in _INDEPENDENT or not rejecting:
        return []
    return [
        f"{joined(rejecting)} reject{'s' * (len(rejecting) == 1)} errors without serial correlation at "
        f'{100 * _REJECTED:g}%, which these standard errors take for granted: cov_type="cluster" does not.'
    ]


def _notes_on_sample(res: Any) -> list[str]:
    sample, notes = res.sample, []
    if sample.dropped:
        notes.append(f"Dropped, since effects or other regressors span them: {', '.join(sample.dropped)}.")
    if sample.n_zero_weights:
        notes.append(f"{counted(sample.n_zero_weights, 'row')} left out: weight zero.")
    if sample.n_incomplete:
        lost = ", ".join(f"{name} in {count}" for name, count in sample.incomplete.items())
        notes.append(f"{counted(sample.n_incomplete, 'row')} left out for missing values or lags: {lost}.")
    if sample.empty_entities or sample.empty_times:
        notes.append(
            f"Without a row that could be used: {_entities_and_periods(sample.empty_entities, sample.empty_times)}."
        )
    if sample.has_holes:
        notes.append(_note_on_holes(sample))
    treatment = getattr(res.model, "_treatment", None)
    if treatment is not None:
        treated, out = int(treatment.treated.sum()), int(treatment.left_out.sum())
        before = f", and {out - treated} before treatment" if out > treated else ""
        notes.append(
            f"{counted(treated, 'treated row')} left out of the fit ({treatment.name}){before}: see .counterfactual()."
        )
    if sample.n_pruned:
        notes.append(f"Left out: {pruned_words(sample)}; {sample.n_pruned} row{'s' * (sample.n_pruned > 1)} in all.")
    return notes


def _note_on_holes(sample: Any) -> str:
    """How many cells are observed, and who has the fewest and the most."""
    note = (
        f"{sample.n_observed} of {sample.n_cells} cells are observed ({observed_share(sample)} of {sample.n_entities} "
        f"entities x {sample.n_times} periods); "
    )
    (shortest, fewest), (longest, most) = sample.shortest, sample.longest
    if fewest == most:
        return f"{note}every entity has {most} periods."
    return (
        f"{note}the shortest entity, {_label(shortest)}, has {_periods(fewest)}, the longest, "
        f"{_label(longest)}, {most}."
    )


def _periods(n: int) -> str:
    return f"{n} period" if n == 1 else f"{n} periods"


def pruned_words(sample: Any) -> str:
    """Entities and periods that were left out, by name, and why."""
    exact = _entities_and_periods(sample.pruned_entities, sample.pruned_times)
    aside = _some(sample.set_aside, "entity", "entities")
    parts = []
    if exact:
        parts.append(f"{exact}, which factors and effects fit exactly whatever the slopes are")
    if aside:
        parts.append(f"{aside}, whose loadings would grow without bound")
    return "; ".join(parts)


def _entities_and_periods(entities: tuple[Any, ...], times: tuple[Any, ...]) -> str:
    found = [_some(entities, "entity", "entities"), _some(times, "period", "periods")]
    return joined([one for one in found if one])


def _some(labels: tuple[Any, ...], one: str, several: str, limit: int = 5) -> str:
    """ "7 entities (a, b, c, d, e and 2 more)", nothing of none."""
    if not labels:
        return ""
    more = f" and {len(labels) - limit} more" if len(labels) > limit else ""
    return f"{len(labels)} {one if len(labels) == 1 else several} ({', '.join(map(_label, labels[:limit]))}{more})"


def _label(label: Any) -> str:
    """A label, dates without a time of day."""
    return str(label).removesuffix(" 00:00:00")
