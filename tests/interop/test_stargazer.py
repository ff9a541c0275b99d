"""Stargazer tables: the numbers, and the rows that say what was absorbed."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import gifepanel as gife
from gifepanel.exceptions import SpecificationError
from gifepanel.interop.stargazer import table
from tests.interop.conftest import demand

stargazer = pytest.importorskip("stargazer.stargazer")


@pytest.fixture(scope="module")
def ols() -> Any:
    return smf.ols("ls ~ lp + li", demand()).fit()


def cells(html: str) -> dict[str, list[str]]:
    """Rows of a table by their first cell, tags left out; rows without a label belong to the one above."""
    out: dict[str, list[str]] = {}
    for row in re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL):
        found = [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<td.*?>(.*?)</td>", row, re.DOTALL)]
        if found and found[0]:
            out[found[0]] = found[1:]
        elif found and out:
            out[f"se of {list(out)[-1]}"] = found[1:]
    return out


def stars(p: float) -> str:
    return "*" * sum(p < level for level in (0.1, 0.05, 0.01))


def test_html_has_the_numbers_of_every_model(grouped: Any, single: Any, partialled: Any, ols: Any) -> None:
    models = [grouped, single, partialled, ols]
    rows = cells(table(models).render_html())
    for i, res in enumerate(models):
        for name in res.params.index:
            assert rows[name][i] == f"{res.params[name]:.3f}{stars(res.pvalues[name])}"
            assert rows[f"se of {name}"][i] == f"({res.bse[name]:.3f})"
        assert rows["Observations"][i] == "1380"
        assert rows["R2"][i] == f"{res.rsquared:.3f}"
        assert rows["Adjusted R2"][i] == f"{res.rsquared_adj:.3f}"
        assert rows["Residual Std. Error"][i] == f"{res.mse_resid**0.5:.3f} (df={res.df_resid:.0f})"
    assert {"lp[1]", "li[3]"} <= set(rows)
    assert rows["F Statistic"][0] == f"{grouped.fvalue:.3f}*** (df=6; 1182)"
    assert rows["F Statistic"][2].endswith("(df=2; 1303)")


def test_lines_say_what_was_absorbed(grouped: Any, single: Any, partialled: Any, ols: Any) -> None:
    rows = cells(table([grouped, single, partialled, ols]).render_html())
    assert rows["Absorbed"] == ["state", "state, year", "state, year", ""]
    assert rows["Groups"] == ["3", "", "", ""]
    assert rows["Factors"] == ["2", "2", "", ""]
    assert rows["Covariance"] == ["nonrobust", "nonrobust", "cluster (state)", "nonrobust"]
    assert "Groups" not in cells(table([partialled, ols]).render_html())
    assert "Absorbed" not in cells(table([partialled], lines=False).render_html())


def test_latex_keeps_the_names_of_groups(grouped: Any, ols: Any) -> None:
    text = table([grouped, ols]).render_latex(escape=True)
    assert rf" lp[2] & {grouped.params['lp[2]']:.3f}$^{{***}}$ & \\" in text
    assert r" Absorbed & state &  \\" in text


def test_stargazer_itself_takes_results(grouped: Any, partialled: Any, ols: Any) -> None:
    rows = cells(stargazer.Stargazer([grouped, partialled, ols]).render_html())
    assert rows["lp[1]"][0].startswith(f"{grouped.params['lp[1]']:.3f}")
    assert rows["lp"][1].startswith(f"{partialled.params['lp']:.3f}")


def test_no_stars_without_a_standard_error() -> None:
    """Of a negative variance; stargazer alone would print three."""
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"a": rng.integers(0, 4, 30), "b": rng.integers(0, 5, 30), "x": (rng.random(30) > 0.8) * 1.0})
    data["y"] = rng.normal(size=30)
    for formula in ("y ~ x | a", "y ~ x"):
        model = gife.PartialledOLS.from_formula(formula, data)
        for seed in range(60):
            rng = np.random.default_rng(seed)
            groups = [rng.integers(0, 4, 30), rng.integers(0, 5, 30)]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                res = model.fit(cov_type="cluster", cov_kwds={"groups": groups})
            if np.isnan(res.bse["x"]):
                break
        with pytest.raises(SpecificationError, match=r"Stargazer has no answer here.*stargazer\.table\(results\)"):
            stargazer.Stargazer([res])
        rows = cells(table([res]).render_html())
        assert rows["x"] == [f"{res.params['x']:.3f}"]
        assert "*" not in rows["F Statistic"][0]
