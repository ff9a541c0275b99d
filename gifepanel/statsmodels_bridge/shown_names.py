"""What ``dir()`` and tab completion show: our own public names and those of statsmodels that answer here."""

from __future__ import annotations

from typing import Any

__all__ = ["MODEL_NAMES", "RESULT_NAMES", "public_names"]

# fmt: off
RESULT_NAMES = frozenset({
    "aic", "bic", "bse", "compare_f_test", "compare_lr_test", "conf_int", "cov_params", "cov_type", "df_model",
    "df_resid", "f_pvalue", "f_test", "fittedvalues", "fvalue", "get_influence", "get_prediction",
    "get_robustcov_results", "llf", "load", "mse_resid", "nobs", "params", "predict", "pvalues", "remove_data",
    "resid", "rsquared", "rsquared_adj", "save", "summary", "t_test", "tvalues", "wald_test", "wald_test_terms",
})
# fmt: on
MODEL_NAMES = frozenset(["endog", "endog_names", "exog", "exog_names", "fit", "from_formula", "nobs"])

# For other code: statsmodels', or the package's own.
# fmt: off
_FOR_CODE = frozenset({
    "HC0_se", "HC1_se", "HC2_se", "HC3_se", "bias_correction_words", "centered_tss", "cov_HC0", "cov_HC1",
    "cov_HC2", "cov_HC3", "cov_kwds", "cov_params_default", "data", "default_model_infos", "df_resid_inference",
    "df_total", "effect_parts", "eigenvals", "endog_name", "ess", "fit_regularized", "get_distribution",
    "group_labels", "hessian", "hessian_factor", "information", "initialize", "k_constant", "loglike", "mse_total",
    "n_zero_weights", "normalized_cov_params", "panel_index", "pinv_wexog", "rank", "report_title", "resid_pearson",
    "sample", "scale", "score", "ssr", "summary2", "uncentered_tss", "use_t", "weights", "wendog", "wexog",
    "whiten", "within_tss", "wresid",
})
# fmt: on
_ONLY_RESULTS = frozenset(["df_model", "df_resid", "predict"])


def public_names(instance: Any, inherited: frozenset[str]) -> list[str]:
    """Names for ``dir(instance)``, sorted.

    Parameters
    ----------
    instance : object
        Of a class of this package that derives from one of statsmodels.
    inherited : frozenset of str
        Names of statsmodels' to show.

    Returns
    -------
    list of str
        Public names that classes of this package define, attributes, and the `inherited` ones, without what is refused
        and what is for other code; those are there still.
    """
    found: dict[str, Any] = {}
    ours = {name for name in vars(instance) if not name.startswith("_")}
    for cls in type(instance).__mro__:
        for name, value in vars(cls).items():
            if name not in found and not name.startswith("_"):
                found[name] = value
                ours |= {name} if cls.__module__.startswith("gifepanel.") else set()
    shown = ours | (inherited & found.keys())
    hidden = _FOR_CODE if inherited is RESULT_NAMES else _FOR_CODE | _ONLY_RESULTS
    return sorted(name for name in shown - hidden if not _refuses(found.get(name)))


def _refuses(value: Any) -> bool:
    """Whether a method or property is there only to say that there is no answer."""
    function = getattr(value, "fget", value)
    return getattr(function, "__annotations__", {}).get("return") == "NoReturn"
