"""Pictures of partialled-out least squares: what is drawn, held against the regressions it stands for."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
import statsmodels.formula.api as smf

import gifepanel as gife
from gifepanel.exceptions import SpecificationError
from gifepanel.results.linear_plots import partial_columns

matplotlib.use("Agg")
from matplotlib import pyplot as plt

FORMULA = "log(sales) ~ log(real_price) + log(real_income) | state + year"


@pytest.fixture(scope="module")
def cigar():
    return gife.datasets.load_cigar()


@pytest.fixture(params=[None, "pop"])
def res(request, cigar):
    yield gife.PartialledOLS.from_formula(FORMULA, cigar, weights=request.param).fit()
    plt.close("all")


def test_added_variable_columns_are_residuals_on_everything_else(cigar):
    res = gife.PartialledOLS.from_formula(FORMULA, cigar).fit()
    part = partial_columns(res._results, "log(real_price)")
    flat = cigar.reset_index()
    rest = "np.log(real_income) + C(state) + C(year)"
    y = smf.ols(f"np.log(sales) ~ {rest}", flat).fit().resid.to_numpy()
    x = smf.ols(f"np.log(real_price) ~ {rest}", flat).fit().resid.to_numpy()
    np.testing.assert_allclose(part.x, x, atol=1e-10)
    np.testing.assert_allclose(part.y, y, atol=1e-10)
    assert part.slope == pytest.approx(x @ y / (x @ x), rel=1e-9)


def test_the_line_is_the_coefficient_of_the_full_model(res):
    for name in res.params.index:
        ax = res.plot.added_variable(name)
        x, y = ax.lines[0].get_data()
        assert np.polyfit(x, y, 1)[0] == pytest.approx(res.params[name], rel=1e-9)
        part = partial_columns(res._results, name)
        weighted = np.polyfit(part.x, part.y, 1, w=np.sqrt(part.weights))
        assert weighted[0] == pytest.approx(res.params[name], rel=1e-6)
        assert len(ax.texts) == 3


def test_labels_name_the_rows_that_move_the_coefficient_most(cigar):
    res = gife.PartialledOLS.from_formula("sales ~ price | state", cigar).fit()
    ax = res.plot.added_variable("price", labels=1)
    label = ax.texts[0].get_text()
    moves = []
    for row in range(0, len(cigar), 10):
        without = cigar.drop(cigar.index[row])
        refit = gife.PartialledOLS.from_formula("sales ~ price | state", without).fit()
        moves.append(abs(refit.params["price"] - res.params["price"]))
    state, year = label.rsplit(" ", 1)
    without = cigar.drop((state, int(year)))
    refit = gife.PartialledOLS.from_formula("sales ~ price | state", without).fit()
    assert abs(refit.params["price"] - res.params["price"]) >= max(moves) - 1e-12
    plt.close("all")


def test_three_pictures_of_the_theorem(res):
    axes = res.plot.fwl("log(real_price)")
    titles = [ax.get_title() for ax in axes]
    assert titles[1] == f"both residualised: slope {res.params['log(real_price)']:.4g}"
    assert [title.split(":")[0] for title in titles] == ["as they are", "both residualised", "only y residualised"]


def test_many_rows_are_binned_and_own_axes_are_used():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 60))
    big = gife.PartialledOLS(x + rng.normal(size=x.shape), x[:, :, None], absorb="entity").fit()
    _, ax = plt.subplots()
    assert big.plot.added_variable("x1", ax=ax) is ax
    assert len(ax.collections[0].get_offsets()) == 100
    assert "6,000 rows" in ax.texts[0].get_text()
    assert big.plot.component_plus_residual("x1", ax=ax) is ax
    plt.close("all")


def test_unknown_coefficient(res):
    for draw in (res.plot.added_variable, res.plot.component_plus_residual, res.plot.fwl):
        with pytest.raises(SpecificationError, match="'price' has no coefficient"):
            draw("price")
    assert dir(res.plot) == ["added_variable", "component_plus_residual", "fwl"]
