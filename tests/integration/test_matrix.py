"""Every attribute, method and function of the table, on every kind of fit, under both engines."""

from __future__ import annotations

import importlib
import inspect
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from statsmodels.iolib.summary2 import summary_col
from statsmodels.regression.linear_model import OLSResults

from gifepanel.exceptions import GifepanelError
from gifepanel.statsmodels_bridge.callers import ANSWERED, REFUSED
from tests.integration.panels import Pair
from tests.integration.promises import PAGE, PROMISES, Promise, written

UNWEIGHTED = {
    *("linear_reset", "cov_hc0", "cov_hc1", "plot_partregress_grid", "outlier_test", "outlier_test(res)"),
    *("get_influence", "influence_plot", "plot_leverage_resid2"),
}
"""Where statsmodels forgets the weights, or has nothing for weighted regressions.

Tests of their own hold ours against the weighted regression.
"""


def numbers(value: Any, like: Any = None) -> np.ndarray:
    """As an array; of the full regression's coefficients those that are ours."""
    out = np.asarray(value, dtype=np.float64)
    if like is not None and out.shape != like.shape:
        out = out[tuple(slice(0, size) for size in like.shape)]
    return out


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.name)
def test_promise(promise: Promise, both: Pair) -> None:
    skip_if_new(promise)
    status = promise.status(both.name)
    if status == "error":
        return refused(promise, both.ours, both.smaller)
    value = promise.call(both.ours, both.smaller)
    if status == "same" and not (both.name == "weighted" and promise.name in UNWEIGHTED):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # statsmodels warns of its own dummies
            expected = promise.call(both.full, both.smaller_full)
        got = numbers(value)
        assert_allclose(got, numbers(expected, got), rtol=1e-6, atol=1e-8)
    return None


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.name)
def test_promise_with_a_learner(promise: Promise, learner: Any, pairs: dict[str, Pair]) -> None:
    res, smaller = learner
    skip_if_new(promise)
    status = promise.status("learner")
    if status == "error":
        return refused(promise, res, smaller)
    value = promise.call(res, smaller)
    if status == "same":  # what does not depend on how y is explained
        expected = promise.call(pairs["partialled"].full, pairs["partialled"].smaller_full)
        assert_allclose(numbers(value), numbers(expected), rtol=1e-9)
    if "NaN" in promise.note:
        assert np.isnan(numbers(value)).all()
    return None


BY_WAY_OF = ("HC2_se", "HC3_se", "summary_table", "cov_hac", "plot_leverage_resid2", "influence_plot", "outlier_test")
"""They ask for the leverages, or for the covariance, which says that it is not there."""


def skip_if_new(promise: Promise) -> None:
    """Leave out what statsmodels below 0.15 has not."""
    if "fixed_effects" in promise.name and "fixed_effects" not in inspect.signature(summary_col).parameters:
        pytest.skip("summary_col of this statsmodels has no fixed_effects=")


def refused(promise: Promise, res: Any, smaller: Any) -> None:
    with pytest.raises(GifepanelError) as caught:
        promise.call(res, smaller)
    assert caught.value.needed and caught.value.fix
    name = promise.name.partition("(")[0].partition(" ")[0]
    if name not in BY_WAY_OF:
        assert name.removeprefix("plot_").split("_")[0] in str(caught.value), "it should say what was asked for"


# ---- nothing is missing


def test_every_public_attribute_of_results_is_in_the_table() -> None:
    public = {name for name in dir(OLSResults) if not name.startswith("_")}
    extra = {"bootstrap", "get_nlfun"}  # of other classes' mixins in some versions
    assert public - extra <= {promise.name for promise in PROMISES}


ELSEWHERE = {
    "GLMInfluence": "GLM",
    "MLEInfluence": "GLM",
    "Mediation": "takes models, not results",
    "OaxacaBlinder": "takes arrays",
    "maybe_unwrap_results": "a helper",
    "variance_inflation_factor": "takes arrays",
    "cov_hac_simple": "cov_hac by another name",
    "cov_crosssection_0": "a sketch: cov_cluster is meant",
    "cov_nw_groupsum": "as cov_nw_panel",
}
MODULES = (
    "statsmodels.stats.api",
    "statsmodels.stats.diagnostic",
    "statsmodels.stats.outliers_influence",
    "statsmodels.stats.sandwich_covariance",
    "statsmodels.stats.anova",
    "statsmodels.graphics.api",
    "statsmodels.graphics.regressionplots",
    "statsmodels.sandbox.regression.predstd",
)
RESULTS = {"res", "results", "result", "model_results", "olsresults", "results_x", "model"}
WORKERS = {"anova_single", "anova1_lm_single", "anova2_lm_single", "anova3_lm_single"}


def test_every_function_on_results_is_in_the_table() -> None:
    known = {promise.name.partition("(")[0] for promise in PROMISES} | set(ELSEWHERE) | WORKERS
    found = set()
    for module in map(importlib.import_module, MODULES):
        for name, item in vars(module).items():
            if name.startswith("_") or not callable(item) or not str(item.__module__).startswith("statsmodels."):
                continue
            try:
                parameters = list(inspect.signature(item).parameters)
            except (TypeError, ValueError):
                continue
            if parameters and parameters[0] in RESULTS and "regression.linear_model" not in item.__module__:
                found.add(name)
    assert "linear_reset" in found
    assert found <= known


@pytest.mark.parametrize("key", [*REFUSED, *ANSWERED], ids=lambda key: key[1])
def test_the_functions_we_look_out_for_exist(key: tuple[str, str]) -> None:
    """A function that statsmodels renames would no longer be recognised."""
    module = pytest.importorskip(key[0])
    name = key[1].partition(".")[0]
    if name == "_cluster_jackknife" and not hasattr(module, name):
        pytest.skip("this statsmodels has no cluster jackknife")
    item = getattr(module, name)
    assert inspect.unwrap(item).__module__ == key[0]


def test_the_page_has_this_table() -> None:
    """Written by ``python -m tests.integration.promises``."""
    text = PAGE.read_text("utf-8")
    assert text == written(text)
