"""``gifepanel demo``: one analysis from the formula to what remains to be doubted."""

from __future__ import annotations

import textwrap
from typing import Any

import gifepanel

__all__ = ["demo_code", "demo_results", "reading"]

_FORMULA = "log(sales) ~ L(log(sales)) + log(real_price) + log(pimin / cpi) + log(real_income) | state + year"
_CODE = """
    import gifepanel as gife

    data = gife.datasets.load_cigar()
    demand = (
        "log(sales) ~ L(log(sales)) + log(real_price) + log(pimin / cpi)"
        " + log(real_income) | state + year"
    )
    model = gife.InteractiveFE.from_formula(demand, data, n_factors=range(5))
    results = model.fit(cov_type="cluster")
    print(results.summary())
"""
_LEVEL = 0.05


def demo_code() -> str:
    """The lines of Python that make the report."""
    return _CODE


def demo_results() -> Any:
    """The fit of these lines."""
    data = gifepanel.datasets.load_cigar()
    return gifepanel.InteractiveFE.from_formula(_FORMULA, data, n_factors=range(5)).fit(cov_type="cluster")


def reading(results: Any) -> str:
    """What the report says, and what it does not."""
    pvalues = results.diagnostics()["pvalue"].dropna()
    passed = [str(name) for name, p in pvalues.items() if p >= _LEVEL]
    table = results.long_run().table
    price = table.loc["log(real_price)"]
    number = "factor" if results.n_factors == 1 else "factors"
    paragraphs = [
        f"How to read it. The number of factors was left open: the data take {results.n_factors} {number}, beside "
        f"effects of states and years. {' and '.join(passed)} find nothing left over time or across states. Errors are "
        "not normal; standard errors, clustered by state, do not ask for that.",
        f"In the end sales fall by {abs(price['effect']):.2f}% (standard error {price['se']:.2f}) when the price rises "
        "by 1%: results.long_run().",
        "What remains. Other rules take another number of factors, and the slopes are not the same under all of them: "
        "results.factor_sensitivity(). Whether states differ in their slopes is a question of its own: GroupedIFE. And "
        "a price that answers demand within the year is not what any of this corrects.",
    ]
    return "\n\n".join(textwrap.fill(paragraph, 78) for paragraph in paragraphs)
