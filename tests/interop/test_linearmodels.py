"""linearmodels' comparison: every number equal to PanelOLS where it fits the same model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gifepanel import InteractiveFE, PartialledOLS
from gifepanel.interop.linearmodels import compare
from tests.interop.conftest import demand

panel = pytest.importorskip("linearmodels.panel")

CASES = {
    "entity": ("| state", {"entity_effects": True}),
    "both": ("| state + year", {"entity_effects": True, "time_effects": True}),
    "time": ("| year", {"time_effects": True}),
    "none": ("", {}),
}
SERIES = ["params", "std_errors", "tstats", "pvalues"]
SCALARS = ["nobs", "rsquared", "rsquared_within", "rsquared_between", "rsquared_overall"]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_all_numbers_are_those_of_panel_ols(name: str, weighted: bool) -> None:
    effects, options = CASES[name]
    data = demand()
    exog = data[["lp", "li"]] if options else data.assign(Intercept=1.0)[["Intercept", "lp", "li"]]
    theirs = panel.PanelOLS(data["ls"], exog, weights=data["pop"] if weighted else None, **options).fit()
    model = PartialledOLS.from_formula(f"ls ~ lp + li {effects}", data, weights="pop" if weighted else None)
    both = compare({"ours": model.fit(), "theirs": theirs})
    for key in SERIES:
        frame = getattr(both, key)
        assert_allclose(frame["ours"], frame["theirs"], rtol=1e-8, atol=1e-300)
    for key in SCALARS:
        values = getattr(both, key)
        assert_allclose(values["ours"], values["theirs"], rtol=1e-8)
    assert_allclose(*both.f_statistic.to_numpy(), rtol=1e-8)
    assert model.fit().to_linearmodels().included_effects == theirs.included_effects


def test_interactive_effects_without_factors_are_panel_ols() -> None:
    data = demand()
    theirs = panel.PanelOLS(data["ls"], data[["lp", "li"]], entity_effects=True, time_effects=True).fit()
    ours = InteractiveFE.from_formula("ls ~ lp + li | state + year", data, n_factors=0).fit().to_linearmodels()
    for key in SERIES + SCALARS:
        assert_allclose(getattr(ours, key), getattr(theirs, key), rtol=1e-8, atol=1e-300)


def test_summary_of_a_mixture(grouped: Any, single: Any, partialled: Any) -> None:
    data = demand()
    theirs = panel.PanelOLS(data["ls"], data[["lp", "li"]], entity_effects=True).fit()
    results = {"G": grouped, "I": single, "P": partialled, "PanelOLS": theirs}
    text = compare(results, precision="std_errors", stars=True).summary.as_text()
    lines = {line.split("  ")[0].strip(): line.split() for line in text.splitlines() if line.strip()}
    assert lines["lp[2]"][1] == f"{grouped.params['lp[2]']:.4f}***"
    assert lines["Estimator"][1:] == ["GroupedIFE", "InteractiveFE", "PartialledOLS", "PanelOLS"]
    assert lines["Cov. Est."][2:] == ["nonrobust", "nonrobust", "cluster", "Unadjusted"]
    assert lines["lp"][1:] == [f"{r.params['lp']:.4f}***" for r in (single, partialled, theirs)]
    for word in ("2 factors", "3 groups", "Entity", "Time"):
        assert word in text
    frame = compare(results).params
    assert np.isnan(frame.loc["lp", "G"])
    assert frame.loc["lp[1]", "G"] == grouped.params["lp[1]"]


def test_sequences_and_strangers(single: Any, partialled: Any) -> None:
    assert list(compare([single, partialled]).params) == ["Model 0", "Model 1"]
    with pytest.raises(TypeError):
        compare({"a": single, "b": 3})


def test_rows_without_entities_have_no_within_share() -> None:
    flat = demand().reset_index(drop=True)
    res = PartialledOLS.from_formula("ls ~ lp", flat).fit().to_linearmodels()
    assert np.isnan([res.rsquared_within, res.rsquared_between]).all()
    assert_allclose([res.rsquared, res.rsquared_overall], np.corrcoef(flat["ls"], flat["lp"])[0, 1] ** 2, rtol=1e-10)
