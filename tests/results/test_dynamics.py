"""Long-run effects and impulse responses of fitted models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import gifepanel as gife
from gifepanel.exceptions import SpecificationError


@pytest.fixture(scope="module")
def cigar() -> pd.DataFrame:
    return gife.datasets.load_cigar()


@pytest.fixture(scope="module")
def linear(cigar: pd.DataFrame) -> Any:
    formula = (
        "log(sales) ~ L(log(sales)) + L(log(sales), 2) + log(real_price) + L(log(real_price)) + ndi | state + year"
    )
    return gife.PartialledOLS.from_formula(formula, cigar).fit(cov_type="cluster")


@pytest.fixture(scope="module")
def grouped(cigar: pd.DataFrame) -> Any:
    formula = "log(sales) ~ L(log(sales)) + log(real_price) | state"
    return gife.GroupedIFE.from_formula(formula, cigar, n_groups=2, n_factors=1).fit()


def test_effects_are_slopes_over_one_less_the_lags(linear: Any) -> None:
    found, b = linear.long_run(), linear.params
    rest = 1 - b["L(log(sales))"] - b["L(log(sales), 2)"]
    assert list(found.table.index) == ["log(real_price)", "ndi"]
    total = b["log(real_price)"] + b["L(log(real_price))"]
    np.testing.assert_allclose(found.table["effect"], [total / rest, b["ndi"] / rest], rtol=1e-12)
    assert found.persistence.to_dict() == {"all": pytest.approx(1 - rest)}
    row = found.table.loc["ndi"]
    reach = stats.t.ppf(0.975, linear.df_resid_inference) if linear.use_t else stats.norm.ppf(0.975)
    assert row["upper"] - row["effect"] == pytest.approx(reach * row["se"])
    # the t test of the ratio being zero is that of the numerator, up to the derivative of the denominator
    assert np.sign(row["statistic"]) == np.sign(b["ndi"])
    assert np.isclose(
        linear.wald_test("ndi = 0", use_f=True).statistic > reach**2,
        row["fieller_lower"] > 0 or row["fieller_upper"] < 0,
    )


def test_error_correction_is_the_same_equation(cigar: pd.DataFrame) -> None:
    levels = gife.PartialledOLS.from_formula(
        "log(sales) ~ L(log(sales)) + log(real_price) + L(log(real_price)) | state", cigar
    )
    changes = gife.PartialledOLS.from_formula(
        "D(log(sales)) ~ L(log(sales)) + D(log(real_price)) + L(log(real_price)) | state", cigar
    )
    one, other = levels.fit().long_run(), changes.fit().long_run()
    np.testing.assert_allclose(one.table, other.table, rtol=1e-8)
    paths = [model.fit().impulse_responses(4).table for model in (levels, changes)]
    np.testing.assert_allclose(paths[0], paths[1], rtol=1e-8)


def test_groups_have_their_own(grouped: Any) -> None:
    table = grouped.long_run().table
    slopes = grouped.params_by_group
    expected = slopes["log(real_price)"] / (1 - slopes["L(log(sales))"])
    np.testing.assert_allclose(table["effect"], expected, rtol=1e-12)
    assert table.index.names == ["group", "variable"]
    last = grouped.impulse_responses(400).table.xs(400, level="period")["response"]
    np.testing.assert_allclose(last, expected, rtol=1e-6)
    once = grouped.impulse_responses(3, permanent=False).table["response"].unstack("period")
    np.testing.assert_allclose(once.cumsum(axis=1), grouped.impulse_responses(3).table["response"].unstack("period"))


def test_columns_made_before_are_named(cigar: pd.DataFrame, grouped: Any) -> None:
    data = cigar.assign(outcome=np.log(cigar["sales"]), price=np.log(cigar["real_price"]))
    data["before"] = data.groupby(level=0)["outcome"].shift()
    model = gife.GroupedIFE.from_formula("outcome ~ before + price | state", data.dropna(), n_groups=2, n_factors=1)
    res = model.fit(bias_correction=True)
    with pytest.raises(SpecificationError, match="No regressor is a lag of outcome") as caught:
        res.long_run()
    assert "lags={'before': 1}" in str(caught.value)
    table = res.long_run(lags={"before": 1}).table
    slopes = res.params_by_group
    np.testing.assert_allclose(table["effect"], slopes["price"] / (1 - slopes["before"]))


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("log(sales) ~ log(real_price) | state", "No regressor is a lag"),
        ("log(sales) ~ L(log(sales)):ndi + ndi | state", "holds a lag of the outcome and more"),
        ("log(sales) ~ L(sales) + ndi | state", "holds a lag of the outcome and more"),
        ("log(sales) ~ L(log(sales)) + F(ndi) | state", "looks ahead"),
    ],
)
def test_what_has_no_long_run(cigar: pd.DataFrame, formula: str, message: str) -> None:
    res = gife.PartialledOLS.from_formula(formula, cigar).fit()
    for call in (res.long_run, res.impulse_responses):
        with pytest.raises(SpecificationError, match=message):
            call()


def test_bad_options(linear: Any) -> None:
    for options in ({"alpha": 95}, {"alpha": 0}, {"lags": {"x": 1}}, {"lags": {"ndi": 0}}):
        with pytest.raises(SpecificationError):
            linear.long_run(**options)
    for periods in (-1, 2.5, True):
        with pytest.raises(SpecificationError, match="whole number"):
            linear.impulse_responses(periods)
    with pytest.raises(SpecificationError, match="has no responses"):
        linear.impulse_responses(2).plot("price")


def test_what_does_not_die_out_is_said(cigar: pd.DataFrame) -> None:
    data = cigar.assign(trend=1.1 ** (cigar.index.get_level_values(1) - 1963))
    data["y"] = data["trend"] * (1 + 0.001 * np.log(data["sales"]))
    res = gife.PartialledOLS.from_formula("y ~ L(y) + ndi | state", data).fit()
    found = res.long_run()
    assert found.unstable == ("all entities",)
    assert "there is no long run" in " ".join(found.as_text().split())


def test_printed_in_every_format(linear: Any, grouped: Any) -> None:
    for res in (linear, grouped):
        for found in (res.long_run(), res.impulse_responses(3)):
            text = found.as_text()
            assert repr(found) == text and max(map(len, text.splitlines())) <= 78
            assert "<table" in found.as_html() and "tabular" in found.as_latex() and "|" in found.as_markdown()
    assert "Group 2: lags add up to" in grouped.long_run().as_text()
    ax = grouped.impulse_responses(5).plot()
    assert len(ax.lines) == 3 and "log(real_price)" in ax.get_xlabel()
