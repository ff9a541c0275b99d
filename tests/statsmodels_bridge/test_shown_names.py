"""Representations and tab completion: short, public, and nothing lost."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import gifepanel as gife
from gifepanel import GroupedIFE, InteractiveFE, PartialledOLS
from gifepanel.datasets import load_cigar

DEMAND = "log(sales) ~ log(real_price) + log(real_income)"


@pytest.fixture(scope="module")
def linear() -> Any:
    return PartialledOLS.from_formula(f"{DEMAND} | state + year", load_cigar(), weights="pop")


def test_package() -> None:
    from gifepanel.results import base

    assert base is not None
    names = dir(gife)
    assert names == sorted(names) and "compare" in names and "results" not in names and "models" not in names
    assert all(hasattr(gife, name) for name in names) and len(names) < 16


def test_results_show_what_users_need(res: Any) -> None:
    names = dir(res)
    assert names == sorted(set(names)) and not any(name.startswith("_") for name in names) and len(names) < 95
    for name in (
        "params",
        "bse",
        "conf_int",
        "f_test",
        "summary",
        "factors",
        "loadings",
        "minima",
        "diagnostics",
        "plot",
    ):
        assert name in names
    assert "get_prediction" not in names and "compare_lm_test" not in names  # refused
    for hidden in ("cov_HC0", "wresid", "scale", "cov_params_default", "normalized_cov_params", "use_t", "model"):
        getattr(res, hidden)
    assert "cov_HC0" not in names and "wresid" not in names and "cov_params_default" not in names
    for name in names:
        if name not in ("rsquared_adj",):
            getattr(res, name)


def test_grouped_results_show_their_groups(grouped: Any, single: Any) -> None:
    own = {"groups", "group_sizes", "membership", "params_by_group", "bse_by_group", "penalized", "unit_params"}
    assert own <= set(dir(grouped)) and not own & set(dir(single))


def test_linear_results(linear: Any) -> None:
    names = dir(linear.fit())
    wanted = {"absorption", "effects", "fwl", "get_prediction", "get_influence", "wild_bootstrap", "rsquared_within"}
    assert wanted <= set(names) and "t_test_pairwise" not in names


@pytest.mark.parametrize("cls", [GroupedIFE, InteractiveFE])
def test_models(cls: Any) -> None:
    options = {"n_groups": "auto"} if cls is GroupedIFE else {}
    model = cls.from_formula(f"{DEMAND} | state", load_cigar(), n_factors=2, **options)
    names = dir(model)
    assert {"fit", "from_formula", "formula", "n_factors", "select"} <= set(names)
    assert not {"whiten", "loglike", "hessian", "score", "wexog", "fit_regularized"} & set(names)
    assert callable(model.whiten) and model.wexog is not None
    text = repr(model)
    assert text.startswith(f"{cls.__name__}: not fitted yet; call .fit()")
    assert f"{DEMAND} | state" in text and "46 entities (state) x 30 periods (year)" in text
    assert ("to be chosen from 1, 2" in text) == (cls is GroupedIFE)
    page = model._repr_html_()
    assert "call .fit()" in page and "46 entities (state)" in page
    assert repr(pickle.loads(pickle.dumps(model))) == text


def test_linear_model(linear: Any) -> None:
    text = repr(linear)
    assert "not fitted yet" in text and "state, year" in text and "Weights" in text and "1380" in text
    assert "the model of a fit" in repr(linear.fit().model)
    assert "whiten" not in dir(linear) and {"fit", "formula", "learner"} <= set(dir(linear))


def test_arrays_and_long_formulas() -> None:
    data = load_cigar()
    model = PartialledOLS(data["sales"], data[["price"]], absorb="state")
    assert "Regressors" in repr(model) and "price" in repr(model)
    long = " + ".join(f"I(price**{k})" for k in range(1, 12))
    model = PartialledOLS.from_formula(f"sales ~ {long} | state", data)
    assert max(map(len, repr(model).splitlines())) <= 80


def test_results_have_a_short_repr_and_a_table(res: Any) -> None:
    text = repr(res)
    assert text.startswith(f"<{type(res._results).__name__}: log(sales), {len(res.params)} coefficients")
    assert "\n" not in text and text == repr(res._results)


def test_as_ipython_shows_them(res: Any, linear: Any) -> None:
    formatters = pytest.importorskip("IPython.core.formatters")
    for thing in (res, res.summary(), linear, gife.compare(res)):
        html = formatters.HTMLFormatter()(thing)
        assert html.startswith('<div class="gifepanel') and "background:#" not in html
        assert formatters.PlainTextFormatter()(thing) == repr(thing)


def test_selection() -> None:
    selection = gife.GroupedIFE.from_formula(f"{DEMAND} | state", load_cigar(), n_groups=2, n_factors=range(3)).select()
    text = str(selection)
    assert "<- chosen" in text and "The number of groups was given." in text and text == repr(selection)
    assert selection._repr_html_().count("<table") == 1 and selection.as_latex().count("{tabular*}") == 2
    chosen = next(line for line in text.splitlines() if "<- chosen" in line)
    assert chosen.split()[0] == str(selection.n_factors) and "edge" in chosen
