"""Functions of statsmodels that take results and look at the regressors alone.

``acorr_breusch_godfrey(res)``, ``linear_rainbow(res)`` and others regress on ``res.model.exog``. Where effects, factors
or controls were partialled out that is another regression, and the number that comes out is wrong without a word. These
functions have no hook, so results look at who asks for their model: a function of the table below gets an error that
says what to call instead, or, where a few arrays are all it needs, a stand-in that has them right. The tables of
``docs/statsmodels.md`` are checked against this one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

import numpy as np

from gifepanel.exceptions import SpecificationError
from gifepanel.statsmodels_bridge.stand_ins import interval_rows, refittable, residualised

__all__ = ["ANSWERED", "REFUSED", "Refusal", "SeenFromStatsmodels"]


@dataclass(frozen=True)
class Refusal:
    """Why a function can't be answered, and what to call instead.

    Attributes
    ----------
    why, instead : str
    applies : callable, optional
        Whether a call, seen by the results and the function's frame, is meant; all of them without.
    always : bool
        Also where nothing was partialled out.
    """

    why: str
    instead: str
    applies: Callable[[Any, FrameType], bool] | None = None
    always: bool = False


def _no_line(res: Any, frame: FrameType) -> bool:
    names = list(res._names)
    return not (len(names) == 2 and list(res.__dict__["model"]._constants) == [0])


def _plain_influence(res: Any, frame: FrameType) -> bool:
    return type(frame.f_locals.get("self")).__module__.startswith("statsmodels.")


def _corrected(res: Any, frame: FrameType) -> bool:
    called = frame.f_back
    if hasattr(res, "orthogonal"):  # the covariance is that of a score
        return True
    return called is None or bool(called.f_locals.get("use_correction", True))


def _not_nested(res: Any, frame: FrameType) -> bool:
    """``anova_lm(smaller, larger)`` reads sums of squares alone: the fits are checked here."""
    fits = [getattr(fit, "_results", fit) for fit in frame.f_locals.get("args", ())]
    at = next((j for j, fit in enumerate(fits) if fit is res), 0)
    if len(fits) < 2 or hasattr(res, "orthogonal"):
        return len(fits) > 1
    if at > 0:
        res._check_smaller(fits[at - 1])
    return False


def _starred(res: Any, frame: FrameType) -> bool:
    """Whether stargazer would give stars to what has no p-value; our own table puts that right afterwards."""
    outer: FrameType | None = frame
    while outer is not None:
        if outer.f_globals.get("__name__") == "gifepanel.interop.stargazer":
            return False
        outer = outer.f_back
    return bool(np.isnan([*np.atleast_1d(res.pvalues), res.f_pvalue]).any())


_DIAGNOSTIC = "statsmodels.stats.diagnostic"
_INFLUENCE = "statsmodels.stats.outliers_influence"
_PLOTS = "statsmodels.graphics.regressionplots"
_SANDWICH = "statsmodels.stats.sandwich_covariance"

_SLOPES_ALONE = "It regresses on the regressors alone, without effects, controls and factors."
_ORDER = "It needs the order of one time series, and regresses on the regressors alone."
_NOT_NESTED = "It compares regressions on the regressors alone, without effects, controls and factors."
_LEVERAGE = "Leverages from the regressors alone leave out effects, controls and factors."
_SMALL_SAMPLE = "Its small-sample factor counts the regressors alone."

_SERIAL = "gifepanel.diagnostics: wooldridge_ar1, born_breitung or panel_durbin_watson of res.resid"
_RESET = "statsmodels' linear_reset(res)"
_CRITERIA = "res.aic, res.bic, or one model with the regressors of both and res.f_test"
_ADDED = "plot_partregress_grid(res)"
_ROBUST = 'res.get_robustcov_results("cluster", groups="firm")'

REFUSED: dict[tuple[str, str], Refusal] = {
    (_DIAGNOSTIC, "acorr_breusch_godfrey"): Refusal(
        "Its lags run across entities, and within them it rejects far too often beside effects.", _SERIAL
    ),
    (_DIAGNOSTIC, "linear_rainbow"): Refusal(_SLOPES_ALONE, _RESET),
    (_DIAGNOSTIC, "linear_harvey_collier"): Refusal(_ORDER, _RESET),
    (_DIAGNOSTIC, "recursive_olsresiduals"): Refusal(_ORDER, "res.resid"),
    (_DIAGNOSTIC, "breaks_hansen"): Refusal(_ORDER, "a regressor times a dummy of the later periods, and res.f_test"),
    (_DIAGNOSTIC, "compare_cox"): Refusal(_NOT_NESTED, _CRITERIA),
    (_DIAGNOSTIC, "compare_j"): Refusal(_NOT_NESTED, _CRITERIA),
    (_DIAGNOSTIC, "compare_encompassing"): Refusal(_NOT_NESTED, _CRITERIA),
    (_DIAGNOSTIC, "_check_nested_results"): Refusal(_NOT_NESTED, _CRITERIA),
    (_INFLUENCE, "reset_ramsey"): Refusal(_SLOPES_ALONE, _RESET),
    (_INFLUENCE, "OLSInfluence.__init__"): Refusal(_LEVERAGE, "res.get_influence()", _plain_influence),
    (_PLOTS, "plot_regress_exog"): Refusal(
        _SLOPES_ALONE, "plot_fit(res, name, vlines=False), plot_ccpr(res, name) and plot_partregress_grid(res)"
    ),
    (_PLOTS, "plot_added_variable"): Refusal(_SLOPES_ALONE, _ADDED),
    (_PLOTS, "added_variable_resids"): Refusal(_SLOPES_ALONE, _ADDED),
    (_PLOTS, "plot_ceres_residuals"): Refusal(_SLOPES_ALONE, "plot_ccpr(res, name)"),
    (_PLOTS, "ceres_resids"): Refusal(_SLOPES_ALONE, "plot_ccpr(res, name)"),
    (_PLOTS, "abline_plot"): Refusal(
        "The coefficients are not an intercept and a slope.",
        'abline_plot(intercept=0, slope=res.params["x1"])',
        _no_line,
    ),
    (_SANDWICH, "cov_hc2"): Refusal(_LEVERAGE, "res.cov_HC2"),
    (_SANDWICH, "cov_hc3"): Refusal(_LEVERAGE, "res.cov_HC3"),
    (_SANDWICH, "_get_sandwich_arrays"): Refusal(_SMALL_SAMPLE, f"use_correction=False, or {_ROBUST}", _corrected),
    (_SANDWICH, "_cluster_jackknife"): Refusal(_SLOPES_ALONE, _ROBUST),
    ("statsmodels.stats.anova", "anova_single"): Refusal(
        "It needs terms coded by patsy, and regresses on the regressors alone.",
        "res.wald_test_terms(), or anova_lm(smaller, larger)",
        always=True,
    ),
    ("statsmodels.stats.anova", "anova_lm"): Refusal(
        "Sums of squares of fits with learners are not nested.", 'res.wald_test("x1 = 0")', _not_nested
    ),
    ("statsmodels.stats.contrast", "t_test_pairwise"): Refusal(
        "It needs terms coded by patsy.", 'res.t_test("a = b, a = c, b = c")'
    ),
    ("statsmodels.regression._prediction", "get_prediction"): Refusal(_SLOPES_ALONE, "res.get_prediction(data)"),
    ("statsmodels.iolib.summary2", "summary_col.<locals>.<lambda>"): Refusal(
        "With fixed_effects= it looks for dummies among the coefficients; absorbed effects have none.",
        'summary_col(results), which has a row "Absorbed" by itself',
    ),
    ("stargazer.translators.statsmodels", "extract_model_data"): Refusal(
        "It takes a p-value that is missing for one of zero, and prints three stars.",
        "gifepanel.interop.stargazer.table(results)",
        _starred,
        always=True,
    ),
}
"""Functions that get an error, by module and qualified name."""

ANSWERED: dict[tuple[str, str], Callable[[Any, Any], Any]] = {
    (_PLOTS, "plot_partregress_grid"): residualised,
    (_DIAGNOSTIC, "linear_reset"): refittable,
    ("statsmodels.sandbox.regression.predstd", "wls_prediction_std"): interval_rows,
}
"""Functions that get a stand-in for the model."""

_WRAPPER = "statsmodels.base.wrapper"


class SeenFromStatsmodels:
    """Mixed in before statsmodels' results: `model`, with an eye on who asks."""

    @property
    def model(self) -> Any:
        """The model at the estimate."""
        try:
            model = self.__dict__["model"]
        except KeyError:
            raise AttributeError("model") from None
        frame: FrameType | None = sys._getframe(1)
        asked, module = "model", "" if frame is None else frame.f_globals.get("__name__", "")
        if frame is not None and module == _WRAPPER:  # asks for the model to label what it hands on
            asked = frame.f_locals.get("attr", "")
            frame = frame.f_back
            module = "" if frame is None else frame.f_globals.get("__name__", "")
        if frame is None or not module.startswith(("statsmodels.", "stargazer.")):
            return model
        return self._model_for((module, frame.f_code.co_qualname), asked, frame, model)

    @model.setter
    def model(self, value: Any) -> None:
        self.__dict__["model"] = value

    def _model_for(self, caller: tuple[str, str], asked: str, frame: FrameType, model: Any) -> Any:
        refusal = REFUSED.get(caller)
        if (
            refusal is not None
            and (refusal.always or not self._plain)
            and (refusal.applies is None or refusal.applies(self, frame))
        ):
            raise _refused(self, frame, caller, refusal)
        answer = ANSWERED.get(caller) if asked == "model" else None
        if answer is None or (self._plain and answer is not refittable):  # our class takes no bare columns
            return model
        return answer(self, model)

    @property
    def _plain(self) -> bool:
        """Whether nothing was partialled out: statsmodels' functions see the whole regression then."""
        raise NotImplementedError


def _refused(res: Any, frame: FrameType, caller: tuple[str, str], refusal: Refusal) -> SpecificationError:
    """The error, about the outermost function of the table that is at work."""
    outer = frame.f_back
    if caller[1].startswith("_") and outer is not None:
        caller = (outer.f_globals.get("__name__", ""), outer.f_code.co_qualname)
    while outer is not None and outer.f_globals.get("__name__", "").startswith(("statsmodels.", "pandas.")):
        around = (outer.f_globals.get("__name__", ""), outer.f_code.co_qualname)
        other = REFUSED.get(around)
        if other is not None and (other.applies is None or other.applies(res, outer)):
            caller, refusal = around, other
        outer = outer.f_back
    name = caller[1].partition(".")[0]
    return SpecificationError(f"{_CALLED.get(name, name)} has no answer here.", refusal.why, refusal.instead)


_CALLED = {
    "summary_col": "summary_col(fixed_effects=...)",
    "anova_single": "anova_lm of one model",
    "extract_model_data": "Stargazer",
}
