"""Pictures of partialled-out least squares: what is drawn, held against the regressions it stands for."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from matplotlib import pyplot as plt

import gifepanel as gife
from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.plots.linear_models import partial_columns

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
    titles = [ax.get_title(loc="left") for ax in axes]
    assert titles[1] == f"Both residualised: slope {res.params['log(real_price)']:.4g}".replace("-", "−")
    assert [title.split(":")[0] for title in titles] == ["As they are", "Both residualised", "Only y residualised"]


def test_bands_of_the_theorem(res, cigar):
    raw, both, only = res.plot.fwl("log(real_price)")
    y, x = np.log(cigar["sales"]).to_numpy(), np.log(cigar["real_price"]).to_numpy()
    part = partial_columns(res._results, "log(real_price)")
    for ax, outcome in ((raw, y), (only, part.y)):
        fit = sm.WLS(outcome, sm.add_constant(x), weights=part.weights).fit()
        line, band = ax.lines[0].get_xydata(), ax.collections[-1].get_paths()[0].vertices
        frame = fit.get_prediction(sm.add_constant(line[:, 0])).summary_frame()
        np.testing.assert_allclose(line[:, 1], frame["mean"], rtol=1e-9, atol=1e-12)
        for i in (0, 20, 60):
            reach = band[np.isclose(band[:, 0], line[i, 0]), 1]
            np.testing.assert_allclose(
                [reach.min(), reach.max()], frame.iloc[i][["mean_ci_lower", "mean_ci_upper"]], rtol=1e-8
            )
    slope, end = res.params["log(real_price)"], both.lines[0].get_xydata()[-1]
    assert end[1] == pytest.approx(slope * end[0])


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


def test_coefficients_and_intervals(res):
    ax = res.plot.coefficients(alpha=0.01)
    for row, name in enumerate(res.params.index):
        bar = ax.containers[row]
        assert bar.lines[0].get_xydata().tolist() == [[res.params[name], row]]
        np.testing.assert_allclose(bar.lines[2][0].get_segments()[0][:, 0], res.conf_int(0.01).loc[name])
    assert ax.get_legend() is None


def test_residuals_against_fitted_values_and_on_the_panel(res, cigar):
    ax = res.plot.residuals()
    np.testing.assert_allclose(ax.collections[0].get_offsets(), np.column_stack([res.fittedvalues, res.resid]))
    image = res.plot.residuals("panel").images[0]
    np.testing.assert_allclose(image.get_array(), res.resid.unstack(), atol=1e-14)


def test_cells_without_a_row_are_left_open(cigar):
    holes = cigar.drop([("Utah", 1970), ("Ohio", 1985)]).sample(frac=1, random_state=1)
    res = gife.PartialledOLS.from_formula("sales ~ price | state", holes).fit()
    array = res.plot.residuals("panel").images[0].get_array()
    table = res.resid.unstack()
    np.testing.assert_array_equal(np.ma.getmaskarray(array), table.isna())
    np.testing.assert_allclose(array.filled(0), table.fillna(0))
    ohio = res.plot.fitted("Ohio")[0]
    np.testing.assert_allclose(ohio.lines[1].get_ydata(), res.fittedvalues.unstack().loc["Ohio"])


def test_actual_against_fitted(res, cigar):
    ax = res.plot.fitted()
    points = np.column_stack([res.fittedvalues, np.log(cigar["sales"])])
    np.testing.assert_allclose(ax.collections[0].get_offsets(), points)
    x, y = ax.lines[0].get_data()
    np.testing.assert_array_equal(x, y)
    axes = res.plot.fitted(["Utah", "Ohio"])
    np.testing.assert_allclose(axes[1].lines[0].get_ydata(), np.log(cigar.loc["Ohio", "sales"]))


def test_panel_pictures_need_a_panel():
    rng = np.random.default_rng(1)
    flat = pd.DataFrame(rng.normal(size=(40, 2)), columns=["y", "x"])
    res = gife.PartialledOLS.from_formula("y ~ x", flat).fit()
    for draw in (lambda: res.plot.residuals("panel"), lambda: res.plot.fitted(["a"])):
        with pytest.raises(SpecificationError, match=r"which entity and period.*entity=\"firm\""):
            draw()
    for axes in (res.plot.coefficients("Intercept"), res.plot.residuals(), res.plot.fitted(), res.plot.fwl("x")):
        np.ravel(axes)[0].figure.savefig(io.BytesIO(), dpi=40)
    with pytest.raises(SpecificationError, match="Intercept is constant"):
        res.plot.fwl("Intercept")
    plt.close("all")


def test_after_remove_data(cigar):
    res = gife.PartialledOLS.from_formula("sales ~ price | state", cigar).fit()
    res.remove_data()
    assert len(res.plot.coefficients().containers) == 1
    of_one = [(name, ("price",)) for name in ("added_variable", "fwl", "component_plus_residual")]
    for draw, args in (*of_one, ("residuals", ()), ("residuals", ("panel",)), ("fitted", ()), ("fitted", ("Ohio",))):
        with pytest.raises(DataError, match=r"remove_data\(\) was called"):
            getattr(res.plot, draw)(*args)
    plt.close("all")


def test_unknown_coefficient(res):
    for draw in (res.plot.added_variable, res.plot.component_plus_residual, res.plot.fwl):
        with pytest.raises(SpecificationError, match="'price' has no coefficient"):
            draw("price")
    names = res.plot.__dir__()  # dir() sorts
    assert names == ["coefficients", "added_variable", "component_plus_residual", "fwl", "residuals", "fitted"]
