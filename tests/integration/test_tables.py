"""Tables: summary_col beside statsmodels' own results, and the two kinds of summaries in every format."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import statsmodels.formula.api as smf
from statsmodels.iolib.summary2 import Summary, summary_col

from tests.integration.panels import Pair, panel


def rows_of(text: str) -> dict[str, list[str]]:
    """Cells by the label of the row."""
    return {line[:20].strip(): line[20:].split() for line in text.splitlines() if line[:1].strip()}


def test_our_rows_appear_by_themselves(pairs: dict[str, Pair], learner: Any) -> None:
    ols = smf.ols("y ~ x1 + x2", panel()).fit()
    fits = [pairs[name].ours for name in ("grouped", "interactive", "partialled")]
    fits[2] = fits[2].get_robustcov_results("cluster", groups="block")
    table = summary_col([*fits, learner[0], ols], stars=True, model_names=["g", "i", "p", "l", "ols"])
    text = table.as_text()
    assert "firm, year" in text
    wide = {line.split("  ")[0].strip(): line for line in text.splitlines()}
    assert wide["Groups"].split()[1:] == ["2"] and wide["Factors"].split()[1:] == ["1", "1"]
    assert wide["Entities"].split()[1:] == ["20", "20"] and wide["Periods"].split()[1:] == ["8", "8"]
    assert wide["Covariance"].split()[1:] == ["nonrobust", "nonrobust", "cluster", "cluster"]
    assert wide["N"].split()[1:] == ["160"] * 4
    for fit in fits:
        assert all(f"{value:.4f}" in text for value in fit.params)
    assert f"{ols.params['Intercept']:.4f}" in text
    for form in (table.as_html(), table.as_latex()):
        assert "Absorbed" in form and "R2 within" in form


def test_summary_in_every_format(both: Pair) -> None:
    summary = both.ours.summary()
    forms = (summary.as_text(), summary.as_html(), summary.as_latex(), summary.as_csv(), summary.as_markdown())
    for text in (*forms, str(summary), both.ours.to_html(), both.ours.to_latex(), both.ours.to_markdown()):
        assert type(both.ours.model).__name__ in text
        assert f"{both.ours.params.iloc[0]:.4f}".lstrip("-") in text
    assert both.ours._repr_html_().lstrip().startswith("<")


def test_summary2(both: Pair) -> None:
    smry = both.ours.summary2(title="A title", alpha=0.1)
    assert isinstance(smry, Summary)
    text = smry.as_text()
    assert "A title" in text and "[0.05" in text and "Durbin" not in text and "Jarque" not in text
    assert f"{both.full.aic:.4f}" in text and f"{both.full.bic:.4f}" in text
    assert f"{both.full.params.iloc[0]:.4f}" in text and f"{both.full.bse.iloc[0]:.4f}" in text
    assert "Absorbed:" in text and "firm" in text
    smry.add_text("a note of one's own")
    for form in (smry.as_text(), smry.as_html(), smry.as_latex()):
        assert "Covariance" in form and "a note of one" in form


def test_summary2_with_a_learner(learner: Any) -> None:
    text = learner[0].summary2().as_text()
    assert "Double Machine Learning" in text and "cluster" in text and "nan" in text  # AIC and BIC


def test_without_effects_dummies_are_counted_as_statsmodels_does() -> None:
    """Nothing partialled out: statsmodels' functions see the whole regression."""
    from gifepanel import PartialledOLS

    data = panel()
    ours = PartialledOLS.from_formula("y ~ x1 + x2", data).fit()
    ols = smf.ols("y ~ x1 + x2", data).fit()
    if "fixed_effects" in inspect.signature(summary_col).parameters:
        table = summary_col([ours, ols], fixed_effects=["firm"]).as_text()
        assert rows_of(table)["firm FE"] == []
    with pytest.raises(AttributeError):
        ours.summry
