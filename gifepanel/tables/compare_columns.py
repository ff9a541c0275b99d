"""What a table of models says of each: read off results of this package, of statsmodels and of linearmodels."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import SpecificationError
from gifepanel.tables.estimated_groups import percent, warning_of_information
from gifepanel.tables.factor_summary import observed_share, pruned_words
from gifepanel.tables.linear_summary import listed_controls
from gifepanel.tables.summary import joined, without_errors

__all__ = [
    "FACTS",
    "MORE_FACTS",
    "SPECIFICATION",
    "Estimate",
    "ModelColumn",
    "factor_column",
    "linear_column",
    "read_result",
]

SPECIFICATION = (
    "Factors",
    "Groups",
    "Entities in group",
    "Controls",
    "Learner",
    "Bias correction",
    "Standard errors",
    "Missing information",
)
FACTS = ("Observations", "Entities", "Periods", "Cells observed", "R-squared", "R-squared within")
MORE_FACTS = ("Adj. R-squared", "Residual std. dev.", "Log-likelihood", "AIC", "BIC")


@dataclass(frozen=True)
class Estimate:
    """A coefficient.

    Attributes
    ----------
    term : str
        The regressor.
    group : int or None
        0..K-1; None where all groups share it, or there are none.
    """

    term: str
    group: int | None
    coef: float
    se: float
    statistic: float
    pvalue: float
    lower: float
    upper: float


@dataclass(frozen=True)
class ModelColumn:
    """A fit, as a column of a table or as K columns side by side.

    Attributes
    ----------
    model, endog : str
    estimates : tuple of Estimate
    letter : "t" or "z"
    n_columns : int
        K for slopes by group, 1 otherwise.
    effects : tuple of str
        Absorbed.
    facts : dict
        By label; a tuple has one value for each group.
    notes : tuple of str
        Sentences, the name of the column to stand for ``{name}``.
    """

    model: str
    endog: str
    estimates: tuple[Estimate, ...]
    letter: str
    n_columns: int = 1
    effects: tuple[str, ...] = ()
    facts: dict[str, str | tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_result(result: Any, position: int, alpha: float) -> ModelColumn:
    """The column of a fit.

    Raises
    ------
    SpecificationError
        For models that were not fitted and for things that are no results.
    """
    raw = getattr(result, "_results", result)
    readers: list[tuple[Callable[[Any], bool], Callable[[Any, float], ModelColumn]]] = [
        (lambda r: hasattr(r, "_comparison_column"), lambda r, alpha: r._comparison_column(alpha)),
        (lambda r: type(r).__module__.startswith("linearmodels."), _linearmodels_column),
        (lambda r: all(hasattr(r, name) for name in ("params", "bse", "pvalues", "conf_int")), _statsmodels_column),
    ]
    if not inspect.isclass(result) and not callable(getattr(result, "fit", None)):
        for applies, read in readers:
            if applies(raw):
                return read(raw, alpha)
    what = result.__name__ if inspect.isclass(result) else type(result).__name__
    if callable(getattr(result, "fit", None)):
        raise SpecificationError(
            f"Argument {position} of compare is a {what} that was not fitted.",
            "A table needs results.",
            "model.fit()",
        )
    raise SpecificationError(
        f"Argument {position} of compare is a {what}.",
        "Results of gifepanel, statsmodels and linearmodels can stand in a table.",
        "gife.compare(model.fit(), other.fit())",
    )


# ---- this package


def _estimates(res: Any, alpha: float, terms: list[tuple[str, int | None]]) -> tuple[Estimate, ...]:
    columns = [np.asarray(values, dtype=float) for values in (res.params, res.bse, res.tvalues, res.pvalues)]
    limits = np.asarray(res.conf_int(alpha), dtype=float)
    return tuple(
        Estimate(term, group, *numbers)
        for (term, group), numbers in zip(terms, np.column_stack([*columns, limits]).tolist(), strict=True)
    )


def factor_column(res: Any, alpha: float) -> ModelColumn:
    """The column of results of a model with factors."""
    sample, facts, found = res.sample, _fit_facts(res), res.missing_information
    facts |= {"Entities": f"{res.n_entities:,}", "Periods": f"{res.n_times:,}"}
    facts |= {"Cells observed": observed_share(sample)} if sample.has_holes else {}
    facts |= {"R-squared within": f"{res.rsquared_within:.3f}", "Factors": f"{res.n_factors}"}
    facts["Standard errors"] = _errors(res.cov_type, res._cluster_names, res._covariance.maxlags)
    if res.bias_correction != "none":
        facts["Bias correction"] = res.bias_correction_words.partition(" (")[0]
    facts |= res._group_facts()
    if res.n_groups > 1:
        facts["Missing information"] = "groups known" if found is None else percent(found.share)
    terms = res._terms() if res.n_groups > 1 else [(name, None) for name in res._names]
    notes = []
    if res.selection is not None:
        open_ones = [what for what in ("factors", "groups") if len(getattr(res.selection, what))]
        number = "number" if len(open_ones) == 1 else "numbers"
        notes.append(f"The {number} of {joined(open_ones)} in {{name}} was chosen from the data.")
        notes[-1] = notes[-1].replace("was", "were") if number == "numbers" else notes[-1]
    if sample.n_pruned:
        notes.append("{name} leaves out " + _braced(pruned_words(sample)) + ".")
    warning = "" if found is None else warning_of_information(found, soft=res.is_soft)
    if warning:
        unclear = f"{found.n_unclear} of {res.n_entities} entities"
        notes.append(f"{{name}}: who belongs where is unclear for {unclear}. {warning}")
    if not res.converged:
        notes.append("{name} did not converge.")
    in_order = sorted(_estimates(res, alpha, terms), key=lambda e: sample.regressors.index(e.term))
    return ModelColumn(
        type(res.model).__name__,
        str(sample.endog_name),
        tuple(in_order),
        "t" if res.use_t else "z",
        res.n_groups,
        tuple(map(str, sample.absorbed)),
        facts,
        (*notes, *_on_variances(res)),
    )


def _on_variances(res: Any) -> list[str]:
    """Which coefficients have no standard error; ``{name}`` is the column."""
    found = res._covariance
    if not found.without:
        return []
    text = without_errors([res._names[j] for j in found.without], found)
    return ["{name}: " + _braced(text)]


def _braced(text: str) -> str:
    """Text that ``format`` leaves as it is."""
    return text.replace("{", "{{").replace("}", "}}")


def linear_column(res: Any, alpha: float) -> ModelColumn:
    """The column of results of partialled-out least squares."""
    facts = _fit_facts(res)
    if res.degrees.total:
        facts["R-squared within"] = f"{res.rsquared_within:.3f}"
    facts["Standard errors"] = _errors(
        res._covariance.kind, res._cluster_names, res._covariance.maxlags, res._covariance.n_groups
    )
    controls = listed_controls(res._controls)
    facts |= {} if controls in ("none", "constant") else {"Controls": controls}
    size = res._panel_size
    facts |= {} if size is None else {"Entities": f"{size[0]:,}", "Periods": f"{size[1]:,}"}
    if res._model_kind == "cross-fitted":
        facts["Learner"] = ", ".join(dict.fromkeys(map(str, res.nuisance["learner"])))
        facts.pop("R-squared", None)
    notes = [] if res.absorption.converged else ["The absorption in {name} did not converge."]
    return ModelColumn(
        type(res.model).__name__,
        str(res.model.endog_names),
        _estimates(res, alpha, [(name, None) for name in res._names]),
        "t" if res.use_t else "z",
        1,
        tuple(map(str, res._absorbed_names)),
        facts,
        (*notes, *_on_variances(res)),
    )


def _errors(kind: str, names: Any, maxlags: int | None, n_groups: Any = ()) -> str:
    """The covariance in a word or two."""
    names = [str(name) for name in names]
    if names:
        kind = {"cluster": "", "CR1": ""}.get(kind, f"{kind} ")
        return f"{kind}by {', '.join(names)}".strip()
    words = {
        "nonrobust": "iid",
        "hac-panel": "HAC",
        "hac-groupsum": "Driscoll-Kraay",
        "driscoll-kraay": "Driscoll-Kraay",
    }
    words["cluster"] = "clustered"
    word = words.get(kind, kind)
    return f"{word} ({maxlags} lags)" if maxlags is not None else word


def _fit_facts(res: Any) -> dict[str, str | tuple[str, ...]]:
    """Statistics that results in the manner of statsmodels may have."""
    kinds = {
        "Observations": ("nobs", "{:,.0f}"),
        "R-squared": ("rsquared", "{:.3f}"),
        "Adj. R-squared": ("rsquared_adj", "{:.3f}"),
        "Log-likelihood": ("llf", "{:,.2f}"),
        "AIC": ("aic", "{:,.1f}"),
        "BIC": ("bic", "{:,.1f}"),
    }
    facts: dict[str, str | tuple[str, ...]] = {}
    for label, (name, form) in kinds.items():
        value = _value(res, name)
        if value is not None:
            facts[label] = form.format(value)
    variance = _value(res, "mse_resid")
    if variance is not None and variance >= 0:
        facts["Residual std. dev."] = f"{np.sqrt(variance):.4g}"
    return facts


def _value(res: Any, name: str) -> float | None:
    """A statistic, None where the results do not have it."""
    try:
        value = float(getattr(res, name))
    except Exception:  # what other packages' properties raise when they have no answer is theirs
        return None
    return value if np.isfinite(value) else None


# ---- other packages


def _statsmodels_column(res: Any, alpha: float) -> ModelColumn:
    params = pd.Series(res.params) if np.ndim(res.params) == 1 else None
    names = list(map(str, getattr(getattr(res, "model", None), "exog_names", None) or ()))
    if params is None:
        raise SpecificationError(
            f"{type(res).__name__} has coefficients in {np.ndim(res.params)} dimensions.",
            "A column of a table holds one coefficient for each regressor.",
            None,
        )
    if len(names) != len(params):
        names = [str(name) for name in params.index]
    facts = _fit_facts(res)
    if "R-squared" not in facts and _value(res, "prsquared") is not None:
        facts["Pseudo R-squared"] = f"{res.prsquared:.3f}"
    keywords = getattr(res, "cov_kwds", None) or {}
    lags = keywords.get("maxlags") if isinstance(keywords, dict) else None
    facts["Standard errors"] = _errors(str(getattr(res, "cov_type", "nonrobust")), (), lags)
    model = getattr(res, "model", None)
    return ModelColumn(
        type(model).__name__ if model is not None else type(res).__name__,
        str(getattr(model, "endog_names", "")),
        _estimates(res, alpha, [(name, None) for name in names]),
        "t" if getattr(res, "use_t", False) else "z",
        facts=facts,
    )


def _linearmodels_column(res: Any, alpha: float) -> ModelColumn:
    limits = np.asarray(res.conf_int(1 - alpha))
    values = [np.asarray(part, dtype=float) for part in (res.params, res.std_errors, res.tstats, res.pvalues)]
    estimates = tuple(
        Estimate(str(name), None, *numbers)
        for name, numbers in zip(res.params.index, np.column_stack([*values, limits]).tolist(), strict=True)
    )
    facts = _fit_facts(res)
    for label, name in (("R-squared within", "rsquared_within"), ("Log-likelihood", "loglik")):
        value = _value(res, name)
        if value is not None and hasattr(res, "included_effects" if name == "rsquared_within" else name):
            facts[label] = f"{value:.3f}"
    for label, name in (("Entities", "entity_info"), ("Periods", "time_info")):
        if hasattr(res, name):
            facts[label] = f"{int(getattr(res, name)['total']):,}"
    kind = str(getattr(res, "_cov_type", "") or getattr(getattr(res, "_cov", None), "name", "") or "-")
    words = {"Unadjusted": "iid", "Homoskedastic": "iid", "Robust": "HC", "Clustered": "clustered"}
    facts["Standard errors"] = words.get(kind, kind)
    dependent = getattr(getattr(res.model, "dependent", None), "vars", None)
    return ModelColumn(
        str(getattr(res, "name", "") or type(res.model).__name__),
        str(dependent[0]) if dependent is not None else "",
        estimates,
        "t",
        effects=tuple(map(str, getattr(res, "included_effects", ()))),
        facts=facts,
    )
