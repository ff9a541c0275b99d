"""Pictures of models with factors: the numbers behind what is drawn, and that odd data stay legible."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.patches import Ellipse

from gifepanel import GroupedIFE, InteractiveFE
from gifepanel.datasets import load_cigar, simulate
from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.plots.membership import _scale_margins
from gifepanel.plots.style import head

PRICE, INCOME = "log(real_price)", "log(real_income)"
DEMAND = f"log(sales) ~ {PRICE} + {INCOME}"


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def selected() -> Any:
    panel = simulate("S", 60, 25, random_state=1)
    model = GroupedIFE.from_formula(panel.formula, panel.data, n_groups=range(2, 5), n_factors=range(0, 4))
    return model.fit()


def saved(axes: Any) -> None:
    """Drawn to a file: warnings are errors."""
    np.ravel(axes)[0].figure.savefig(io.BytesIO(), format="png", dpi=40)
    plt.close("all")


def offsets(ax: Any) -> np.ndarray:
    """All points of all scatters."""
    return np.concatenate([np.asarray(c.get_offsets()) for c in scatters(ax)])


def scatters(ax: Any) -> list[Any]:
    return [c for c in ax.collections if isinstance(c, PathCollection)]


def bands(ax: Any) -> list[Any]:
    """Outlines of what was filled between two lines."""
    return [c.get_paths()[0].vertices for c in ax.collections if isinstance(c, PolyCollection)]


def pictures(res: Any) -> list[Any]:
    """Every picture that a result has."""
    plot = res.plot
    out = []
    for name in dir(plot):
        if name in ("added_variable", "fwl"):
            out.append(getattr(plot, name)(res.params.index[-1]))
        elif name == "criteria" and res.selection is None:
            continue
        elif name == "membership":
            out += [plot.membership("panel"), plot.membership("panel", outcome="residualised")]
            out += [plot.membership()] if res.n_groups > 1 else []
        else:
            out.append(getattr(plot, name)())
    return [*out, plot.residuals("fitted"), plot.coefficients(separate=True)]


# ---- the accessor ----


def test_the_methods_in_order(grouped: Any, single: Any) -> None:
    names = grouped.plot.__dir__()  # dir() sorts
    assert names[:3] == ["coefficients", "unit_slopes", "membership"] and names[-2:] == ["added_variable", "fwl"]
    assert [name for name in names if name not in dir(single.plot)] == ["unit_slopes", "membership", "path"]
    for name in names:
        assert getattr(grouped.plot, name).__doc__.strip()
    assert repr(grouped.plot).startswith("Plots of GroupedIFE: coefficients, unit_slopes")


def test_everything_draws_without_warnings_and_leaves_settings_alone(grouped: Any, single: Any, mixed: Any) -> None:
    before = dict(plt.rcParams)
    for res in (grouped, single, mixed):
        for axes in pictures(res) if res is not mixed else [res.plot.coefficients(), res.plot.loadings()]:
            saved(axes)
    assert dict(plt.rcParams) == before


def test_own_axes_are_used_and_returned(grouped: Any) -> None:
    for name in ("coefficients", "unit_slopes", "membership", "factors", "loadings", "scree", "path", "residuals"):
        _, ax = plt.subplots()
        assert getattr(grouped.plot, name)(ax=ax) is ax
    _, grid = plt.subplots(2, 2)
    assert list(grouped.plot.fwl(f"{PRICE}[1]", ax=grid)) == list(grid.ravel()[:3])
    assert list(grouped.plot.fitted(["Ohio", "Utah"], ax=grid[0])) == list(grid[0])
    with pytest.raises(SpecificationError, match=r"ax has 2 Axes\. This picture has 3 panels"):
        grouped.plot.membership("panel", ax=grid[0])
    with pytest.raises(SpecificationError, match="one Axes"):
        grouped.plot.scree(ax=grid)


def test_another_covariance_has_its_own_intervals(grouped: Any) -> None:
    """The accessor of a copy belongs to the copy."""
    _ = grouped.plot
    robust = grouped.get_robustcov_results("cluster", groups="state")
    ax = robust.plot.coefficients()
    drawn = sorted(segment[:, 0].tolist() for c in ax.collections for segment in c.get_segments())
    np.testing.assert_allclose(drawn, sorted(robust.conf_int().to_numpy().tolist()), rtol=1e-12)


# ---- slopes and groups ----


def intervals(ax: Any) -> dict[tuple[int, str], tuple[float, float, float]]:
    """Row and colour to point, low, high."""
    out = {}
    for bar in ax.containers:
        (x,), (y,) = bar.lines[0].get_data()
        (segment,) = bar.lines[2][0].get_segments()
        out[round(float(y)), bar.lines[0].get_color()] = (float(x), *segment[:, 0].tolist())
    return out


def test_coefficients_are_params_and_intervals(grouped: Any) -> None:
    ax = grouped.plot.coefficients(alpha=0.1)
    table = intervals(ax)
    bounds = grouped.conf_int(0.1)
    assert [label.get_text() for label in ax.get_yticklabels()] == [PRICE, INCOME]
    colours = [handle.get_color() for handle in ax.get_legend().legend_handles]
    assert len(table) == 6
    for row, name in enumerate((PRICE, INCOME)):
        for k in (1, 2, 3):
            own = f"{name}[{k}]"
            expected = (grouped.params[own], *bounds.loc[own])
            np.testing.assert_allclose(table[row, colours[k - 1]], expected, rtol=1e-12)
    assert "90 %" in ax.get_xlabel()


def test_common_coefficients_are_drawn_once(mixed: Any) -> None:
    ax = mixed.plot.coefficients()
    assert len(ax.containers) == len(mixed.params) == 5
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts[-1] == "all groups" and texts[0] == f"group 1 (n = {mixed.group_sizes[1]})"
    assert len(mixed.plot.coefficients([INCOME]).containers) == 1


def test_an_intercept_is_left_out_unless_named() -> None:
    res = InteractiveFE.from_formula(DEMAND, load_cigar(), n_factors=1).fit()
    assert len(res.plot.coefficients().containers) == 2
    assert len(res.plot.coefficients(["Intercept", PRICE]).containers) == 2
    assert len(res.plot.coefficients(separate=True)) == 2
    with pytest.raises(SpecificationError, match=r"'log\(price\)' is not a regressor.*log\(real_price\)"):
        res.plot.coefficients("log(price)")


def test_ellipses_are_where_the_wald_test_does_not_reject(grouped: Any) -> None:
    robust = grouped.get_robustcov_results("HC1")
    for res in (grouped, robust):
        ax = res.plot.unit_slopes(level=0.9)
        shapes = [patch for patch in ax.patches if isinstance(patch, Ellipse) and patch.get_fill()]
        assert len(shapes) == 3
        for k, shape in enumerate(shapes, start=1):
            own = [f"{PRICE}[{k}]", f"{INCOME}[{k}]"]
            np.testing.assert_allclose(shape.center, res.params[own], rtol=1e-12)
            rows = np.array([[name == other for name in res.params.index] for other in own], dtype=float)
            for corner in shape.get_co_vertices() + shape.get_vertices():
                test = res.wald_test((rows, np.array(corner)), use_f=res.use_t)
                assert float(test.pvalue) == pytest.approx(0.1, abs=1e-6)


def test_unit_slopes_are_drawn_by_group(grouped: Any) -> None:
    ax = grouped.plot.unit_slopes(INCOME, PRICE)
    clouds = [np.asarray(c.get_offsets()) for c in scatters(ax) if len(c.get_offsets()) > 1]
    assert len(clouds) == 6
    for k, (own, drawn) in enumerate(zip(clouds[::2], clouds[1::2], strict=True), start=1):
        members = grouped.groups == k
        np.testing.assert_allclose(own, grouped.unit_params.loc[members, [INCOME, PRICE]])
        np.testing.assert_allclose(drawn, grouped.unit_params_shrunken.loc[members, [INCOME, PRICE]])
        bars = ax.containers[k - 1].lines[2]
        width = [np.ptp(segment, axis=0).max() / 2 for segment in bars[0].get_segments()]
        np.testing.assert_allclose(width, grouped.unit_bse.loc[members, INCOME])
        centre = np.asarray(grouped.params_by_group.loc[k, [INCOME, PRICE]])
        assert (own.min(axis=0) < centre).all() and (centre < own.max(axis=0)).all()  # among its members
    bare = grouped.plot.unit_slopes(errors=False, shrunken=False)
    assert len([c for c in scatters(bare) if len(c.get_offsets()) > 1]) == 3 and not bare.containers


def test_the_strip_of_one_regressor(grouped: Any) -> None:
    ax = grouped.plot.unit_slopes(INCOME)
    own, drawn = (np.concatenate([np.asarray(c.get_offsets()) for c in scatters(ax)[k::2]]) for k in (0, 1))
    np.testing.assert_allclose(np.sort(own[:, 1]), np.sort(grouped.unit_params[INCOME]))
    np.testing.assert_allclose(np.sort(drawn[:, 1]), np.sort(grouped.unit_params_shrunken[INCOME]))
    bounds = grouped.conf_int()
    assert len(bands(ax)) == 3
    for k, band in enumerate(bands(ax), start=1):
        np.testing.assert_allclose([band[:, 1].min(), band[:, 1].max()], bounds.loc[f"{INCOME}[{k}]"])
        assert np.ptp(band[:, 0]) == grouped.group_sizes[k]


def test_margins_sorted_and_the_unclear_hollow(grouped: Any) -> None:
    ax = grouped.plot.membership(level=0.9)
    table = grouped.membership.sort_values(["group", "margin"], ascending=[True, False])
    drawn = offsets(ax)
    drawn = drawn[np.argsort(drawn[:, 1])]
    np.testing.assert_allclose(drawn[:, 0], table["margin"])
    assert [label.get_text() for label in ax.get_yticklabels()] == list(table.index)
    hollow = [c for c in scatters(ax) if len(c.get_offsets()) and (c.get_facecolors()[:, :3] == 1).all()]
    unclear = np.concatenate([np.asarray(c.get_offsets())[:, 0] for c in hollow])
    tau = table[["posterior_1", "posterior_2", "posterior_3"]].to_numpy()
    own = tau[np.arange(46), table["group"] - 1]
    np.testing.assert_allclose(np.sort(unclear), np.sort(table["margin"][own < 0.9]))
    assert ax.get_title(loc="left").startswith(f"{len(unclear)} of 46 unclear")


def test_probabilities_are_bars_of_height_one(grouped: Any) -> None:
    ax = grouped.plot.membership("posterior", level=0.8)
    table = grouped.membership
    heights = []
    for area in ax.collections:
        points = area.get_paths()[0].vertices
        inside = [points[np.isclose(points[:, 0], i - 0.5), 1] for i in range(46)]
        heights.append([ends.max() - ends.min() for ends in inside])
    tau = table[["posterior_1", "posterior_2", "posterior_3"]].to_numpy()
    np.testing.assert_allclose(sum(heights[k][0] for k in range(3)), 1, atol=1e-9)
    own = tau[np.arange(46), table["group"] - 1]
    assert ax.get_title(loc="left").startswith(f"{int((own < 0.8).sum())} of 46 unclear: own group less than 80 %")
    for options in ({"level": 0.5}, {"level": 1}, {"level": "95"}):
        with pytest.raises(SpecificationError, match=r"level=0\.95"):
            grouped.plot.membership("posterior", **options)


def test_outcomes_by_group(grouped: Any) -> None:
    sales = np.log(load_cigar()["sales"]).unstack()
    axes = grouped.plot.membership("panel")
    for k, ax in enumerate(axes, start=1):
        members = sales.loc[grouped.groups == k]
        np.testing.assert_allclose(ax.lines[0].get_ydata(), members.mean())
        (lines,) = [c for c in ax.collections if isinstance(c, LineCollection)]
        np.testing.assert_allclose([path[:, 1] for path in lines.get_segments()], members)
    residualised = grouped.plot.membership("panel", outcome="residualised")
    drawn = np.concatenate([[p[:, 1] for p in ax.collections[0].get_segments()] for ax in residualised])
    np.testing.assert_allclose(drawn @ grouped.factors.to_numpy(), 0, atol=1e-9)  # nothing of the factors is left
    np.testing.assert_allclose(drawn.sum(axis=1), 0, atol=1e-9)


# ---- factors ----


def test_factors_over_time_with_their_shares(grouped: Any) -> None:
    ax = grouped.plot.factors()
    for r, name in enumerate(grouped.factors.columns):
        np.testing.assert_allclose(
            ax.lines[2 * r].get_xydata(), np.column_stack([range(1963, 1993), grouped.factors[name]])
        )
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == [
        f"factor {r + 1}: {100 * share:.1f} % of variance" for r, share in enumerate(grouped.factor_shares)
    ]
    assert len(grouped.plot.factors(separate=True)) == 2


def test_loadings(grouped: Any, mixed: Any) -> None:
    drawn = offsets(grouped.plot.loadings(2, 1, labels=0))
    expected = grouped.loadings[["factor2", "factor1"]].to_numpy()
    np.testing.assert_allclose(np.sort(drawn, axis=0), np.sort(expected, axis=0))
    ax = grouped.plot.loadings(labels=4)
    scores = ((grouped.loadings - grouped.loadings.mean()) ** 2 / grouped.loadings.var()).sum(axis=1)
    assert {text.get_text() for text in ax.texts} <= set(scores.nlargest(4).index)
    assert scores.idxmax() in [text.get_text() for text in ax.texts]
    strip = offsets(mixed.plot.loadings())  # one factor
    np.testing.assert_allclose(np.sort(strip[:, 1]), np.sort(mixed.loadings["factor1"]))
    with pytest.raises(SpecificationError, match="no factor 3"):
        grouped.plot.loadings(1, 3)


def test_scree_continues_the_shares_of_the_factors(grouped: Any) -> None:
    ax = grouped.plot.scree(12)
    shares = ax.lines[0].get_ydata() / 100
    assert len(shares) == 12 and (np.diff(shares) <= 0).all()
    np.testing.assert_allclose(shares[:2], grouped.factor_shares, rtol=1e-9)
    np.testing.assert_allclose(ax.lines[1].get_ydata() / 100, grouped.factor_shares, rtol=1e-9)
    resid = grouped.resid.unstack().to_numpy()
    total = grouped.ssr / (1 - grouped.factor_shares.sum())
    np.testing.assert_allclose(shares[2:] * total, np.linalg.svd(resid, compute_uv=False)[:10] ** 2, rtol=1e-7)
    assert len(grouped.plot.scree().lines[0].get_ydata()) == 10


def test_criteria(selected: Any, grouped: Any) -> None:
    factors, groups = selected.plot.criteria()
    np.testing.assert_allclose(factors.lines[0].get_ydata(), selected.selection.factors["share"])
    np.testing.assert_allclose(factors.lines[2].get_ydata(), selected.selection.factors["edge"])
    np.testing.assert_allclose(groups.lines[0].get_ydata(), selected.selection.groups["ic"])
    assert factors.lines[1].get_xdata() == [selected.n_factors] and groups.lines[1].get_xdata() == [selected.n_groups]
    saved(factors)
    with pytest.raises(SpecificationError, match="there are no criteria"):
        grouped.plot.criteria()


def test_path() -> None:
    model = GroupedIFE.from_formula(f"{DEMAND} | state", load_cigar(), n_groups=3, n_factors=2)
    grouped = model.fit(classify="nearest")  # the search of "refined" may start without a sweep
    ax = grouped.plot.path()
    sweeps, _, steps = (line.get_xydata() for line in ax.lines)
    np.testing.assert_allclose(sweeps[:, 1], grouped.penalized.sweep_path)
    np.testing.assert_allclose(steps[:, 1], grouped.penalized.path[1:])
    assert steps[-1].tolist() == [len(sweeps) + len(steps), grouped.criterion]
    above = grouped.plot.path(scale="log").lines[0].get_ydata()
    np.testing.assert_allclose(above, 100 * (np.array(grouped.penalized.sweep_path) / grouped.criterion - 1))


# ---- residuals and fit ----


def test_heat_map_is_the_residuals(grouped: Any, single: Any) -> None:
    for res in (grouped, single):
        ax = res.plot.residuals()
        image = ax.images[0]
        resid = res.resid.unstack()
        if res is grouped:
            resid = resid.loc[res.groups.sort_values(kind="stable").index]
        np.testing.assert_allclose(image.get_array(), resid, atol=1e-14)
        low, high = image.get_clim()
        assert low == -high and high == pytest.approx(np.quantile(np.abs(resid), 0.995))
        assert [label.get_text() for label in ax.get_yticklabels()] == [str(s).replace("$", "") for s in resid.index]
    assert grouped.plot.residuals(cmap="PuOr").images[0].get_cmap().name == "PuOr"


def test_default_colours_are_white_at_zero_and_darker_to_both_sides(grouped: Any) -> None:
    image = grouped.plot.residuals().images[0]
    low, high = image.get_clim()
    assert low == -high
    colours = image.get_cmap()(np.linspace(0, 1, 257))[:, :3]
    grey = colours @ [0.299, 0.587, 0.114]
    assert (np.diff(grey[:129]) >= 0).all() and (np.diff(grey[128:]) <= 0).all() and grey[128] > 0.95
    assert abs(grey[0] - grey[-1]) < 0.1 and grey[0] < 0.3
    assert (colours[:120, 2] > colours[:120, 0]).all() and (colours[137:, 0] > colours[137:, 2]).all()


def test_fitted_is_actual_less_residual(grouped: Any) -> None:
    axes = grouped.plot.fitted(["Utah", "Ohio"])
    for ax, state in zip(axes, ("Utah", "Ohio"), strict=True):
        actual, fitted = (line.get_ydata() for line in ax.lines)
        np.testing.assert_allclose(actual, np.log(load_cigar().loc[state, "sales"]))
        np.testing.assert_allclose(fitted, grouped.fittedvalues.loc[state])
        assert ax.get_title(loc="left") == f"{state} (group {grouped.groups[state]})"
    assert len(grouped.plot.fitted("Utah")) == 1
    chosen = [ax.get_title(loc="left").split(" (group ") for ax in grouped.plot.fitted()]
    assert sorted(label for _, label in chosen) == ["1)", "1)", "2)", "2)", "3)", "3)"]
    with pytest.raises(SpecificationError, match=r"'Ohi' is not among the 46 entities.*Ohio"):
        grouped.plot.fitted(["Ohi"])


def full_regression_columns(res: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """One regressor and the outcome residualised by the regression on all dummies, factors and loadings."""
    n, t = res.n_entities, res.n_times
    y = np.log(load_cigar()["sales"]).unstack().to_numpy().ravel()
    z = {}
    data = np.log(load_cigar()[["real_price", "real_income"]])
    for regressor, column in ((PRICE, "real_price"), (INCOME, "real_income")):
        values = data[column].unstack().to_numpy()
        for k in range(1, res.n_groups + 1):
            key = f"{regressor}[{k}]" if res.n_groups > 1 else regressor
            own = (res.groups == k).to_numpy() if res.n_groups > 1 else np.ones(n, dtype=bool)
            z[key] = (values * own[:, None]).ravel()
    x = z.pop(name)
    known = [np.ones((t, 1)), res.factors.to_numpy()]
    by_entity = np.kron(np.eye(n), np.column_stack(known))
    by_time = np.kron(np.column_stack([np.ones(n), res.loadings.to_numpy()]), np.eye(t))
    if "year" not in res.sample.absorbed:
        by_time = by_time[:, t:]
    rest = np.column_stack([by_entity, by_time, *z.values()])
    fitted = rest @ np.linalg.lstsq(rest, np.column_stack([x, y]), rcond=None)[0]
    return x - fitted[:, 0], y - fitted[:, 1]


def test_added_variable_is_the_full_regression(grouped: Any, single: Any) -> None:
    for res, name in ((grouped, f"{INCOME}[2]"), (single, PRICE)):
        ax = res.plot.added_variable(name)
        x, y = full_regression_columns(res, name)
        assert x @ y / (x @ x) == pytest.approx(res.params[name], rel=1e-6)
        *clouds, rings = scatters(ax)
        drawn = np.concatenate([np.asarray(c.get_offsets()) for c in clouds])
        order, expected = np.argsort(drawn[:, 0]), np.argsort(x)
        np.testing.assert_allclose(drawn[order], np.column_stack([x, y])[expected], atol=1e-8)
        line = ax.lines[0].get_xydata()
        assert np.polyfit(*line.T, 1)[0] == pytest.approx(res.params[name], rel=1e-9)
        (band,) = bands(ax)
        end = line[-1]
        reach = band[np.isclose(band[:, 0], end[0]), 1]
        bounds = res.conf_int().loc[name].to_numpy()
        np.testing.assert_allclose([reach.min(), reach.max()], np.sort(bounds * end[0]), rtol=1e-9)
        assert len(ax.texts) <= len(rings.get_offsets()) == 3


def test_a_corrected_slope_is_the_line(mixed: Any) -> None:
    name = "L(log(sales))[1]"
    ax = mixed.plot.added_variable(name)
    assert np.polyfit(*ax.lines[0].get_data(), 1)[0] == pytest.approx(mixed.params[name], rel=1e-9)
    assert any("corrected for bias" in text.get_text() for text in ax.texts)


def test_three_panels_of_the_theorem(grouped: Any) -> None:
    name = f"{PRICE}[3]"
    raw, both, only = grouped.plot.fwl(name)
    members = load_cigar().loc[grouped.groups.index[grouped.groups == 3]]
    ols = sm.OLS(np.log(members["sales"]), sm.add_constant(np.log(members["real_price"]))).fit()
    line = raw.lines[0].get_xydata()
    assert np.polyfit(*line.T, 1)[0] == pytest.approx(ols.params.iloc[1], rel=1e-9)
    at = sm.add_constant(line[:, 0])
    frame = ols.get_prediction(at).conf_int()
    (band,) = bands(raw)
    for i in (0, 30, 60):
        reach = band[np.isclose(band[:, 0], line[i, 0]), 1]
        np.testing.assert_allclose([reach.min(), reach.max()], frame[i], rtol=1e-8)
    assert np.polyfit(*both.lines[0].get_data(), 1)[0] == pytest.approx(grouped.params[name], rel=1e-9)
    assert np.asarray(only.collections[0].get_offsets()).shape == (len(members), 2)
    titles = [ax.get_title(loc="left") for ax in (raw, both, only)]
    assert [title.split(":")[0] for title in titles] == ["As they are", "Both residualised", "Only y residualised"]
    assert titles[1].endswith(f"{grouped.params[name]:.4g}".replace("-", "−"))


# ---- what can't be drawn ----


def test_not_applicable(grouped: Any, single: Any) -> None:
    data = load_cigar()
    free = GroupedIFE.from_formula(f"log(sales) ~ {PRICE} | state", data, n_groups=1, n_factors=0).fit()
    for draw in (free.plot.factors, free.plot.loadings):
        with pytest.raises(SpecificationError, match=r"no factors.*n_factors"):
            draw()
    with pytest.raises(SpecificationError, match="one group"):
        free.plot.membership()
    for name in ("unit_slopes", "membership", "path"):
        with pytest.raises(SpecificationError, match="InteractiveFE has no"):
            getattr(single.plot, name)()
    with pytest.raises(SpecificationError, match=r"Ellipses need two.*unit_slopes\(\"log\(real_price\)\"\)"):
        free.plot.unit_slopes(PRICE, PRICE)
    with pytest.raises(SpecificationError, match=r"'log\(real_price\)' has no coefficient.*real_price\)\[1\]"):
        grouped.plot.added_variable(PRICE)
    with pytest.raises(SpecificationError, match=r"by is 'time'.*'panel' or 'fitted'"):
        grouped.plot.residuals("time")
    with pytest.raises(SpecificationError, match="outcome"):
        grouped.plot.membership("panel", outcome="none")


def test_after_remove_data() -> None:
    res = GroupedIFE.from_formula(f"{DEMAND} | state", load_cigar(), n_groups=2, n_factors=1).fit()
    name = res.params.index[0]
    res.remove_data()
    for axes in (res.plot.coefficients(), res.plot.unit_slopes(), res.plot.membership(), res.plot.factors(),
                 res.plot.loadings(), res.plot.path()):  # fmt: skip
        saved(axes)
    for draw, args in (("residuals", ()), ("scree", ()), ("fitted", ()), ("added_variable", (name,)), ("fwl", (name,)),
                       ("membership", ("panel",))):  # fmt: skip
        with pytest.raises(DataError, match=r"remove_data\(\) was called"):
            getattr(res.plot, draw)(*args)


# ---- odd data ----


def reindexed(panel: pd.DataFrame, entities: Any, times: Any) -> pd.DataFrame:
    index = pd.MultiIndex.from_product([entities, times], names=["who $it$ is_", "when"])
    return panel.set_axis(index)


ODD = [
    "$a_b$",
    "_hidden",
    ".",
    "two\nlines",
    "a name that goes on and on and on and on",
    "50 % & #1",
    r"\alpha$",
    "x^2",
]
TIMES = {
    "dates": pd.date_range("2001-03-31", periods=14, freq="QE"),
    "zoned": pd.date_range("2001", periods=14, freq="YS", tz="UTC"),
    "periods": pd.period_range("2001Q1", periods=14, freq="Q"),
    "text": [f"round {t:02d} of the survey" for t in range(14)],
    "floats": np.arange(14) / 4,
}


@pytest.mark.parametrize("kind", TIMES)
def test_odd_names_and_times(kind: str) -> None:
    panel = simulate("S", 24, 14, random_state=4)
    data = reindexed(panel.data, [*ODD, *map(str, range(16))], TIMES[kind]).rename(columns={"x1": "x_$1$"})
    res = GroupedIFE(data[["y"]].squeeze(), data[["x_$1$", "x2"]], n_groups=2, n_factors=1).fit()
    plot = res.plot
    for axes in (plot.factors(), plot.residuals(), plot.fitted([*ODD[:2]])):
        saved(axes)
    if kind == "text":
        for axes in (
            plot.membership(),
            plot.loadings(),
            plot.coefficients(),
            plot.unit_slopes(),
            plot.fitted([*ODD[2:]]),
            plot.added_variable("x_$1$[2]"),
            plot.fwl("x_$1$[1]"),
        ):
            saved(axes)
    assert res.plot.fitted(["$a_b$"])[0].get_title(loc="left").startswith(r"\$a_b\$")


def test_many_entities_have_no_unreadable_labels() -> None:
    panel = simulate("P", 1000, 8, random_state=1)
    res = GroupedIFE.from_formula(panel.formula, panel.data, n_groups=3, n_factors=0).fit()
    for axes in (res.plot.residuals(), res.plot.membership(), res.plot.unit_slopes("x1"), res.plot.scree()):
        ax = np.ravel(axes)[0]
        saved(ax)
        assert len(ax.get_yticklabels()) < 20 and len(ax.get_xticklabels()) < 20
    assert [label.get_text() for label in res.plot.residuals().get_yticklabels()] == ["group 1", "group 2", "group 3"]
    panel_of_one = res.plot.membership("panel")[0]
    first = panel.data["y"].unstack().loc[res.groups == 1]
    outer = bands(panel_of_one)[0]
    np.testing.assert_allclose(outer[:, 1].max(), first.quantile(0.95).max())
    assert "1,000" in res.plot.residuals().get_ylabel()


def test_outliers_do_not_set_the_frame(grouped: Any) -> None:
    from gifepanel.plots.axes import frame_points

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 50))
    x[0], y[1] = 1e6, -1e5
    _, ax = plt.subplots()
    ax.scatter(x, y)
    frame_points(ax, x, y)
    assert ax.get_xlim()[1] < 10 and ax.get_ylim()[0] > -10
    assert ax.texts[0].get_text() == "2 of 50 entities outside of the frame"


def test_styles_stay_apart() -> None:
    from gifepanel.plots.style import style

    looks = [style(k) for k in range(49)]
    assert len({(one.color, one.marker) for one in looks}) == 49
    assert len({one.marker for one in looks[:7]}) == len({one.color for one in looks[:7]}) == 7


def test_legends_are_read_by_row() -> None:
    fig, ax = plt.subplots(figsize=(4.2, 3))
    labels = [f"group {k} (n = {k})" for k in range(1, 6)]
    head(ax, "Five", [ax.plot([0], [0], label=label)[0] for label in labels])
    fig.canvas.draw()
    corners = [text.get_window_extent() for text in ax.get_legend().get_texts()]
    written = [text.get_text() for text in ax.get_legend().get_texts()]
    by_row = sorted(range(5), key=lambda j: (-round(corners[j].y0), corners[j].x0))
    assert [written[j] for j in by_row] == labels


def test_small_margins_are_told_apart(grouped: Any) -> None:
    ax = grouped.plot.membership()
    margin = grouped.membership["margin"]
    ends = ax.transData.transform([(0, 0), (margin.max(), 0), (margin.max() / 16, 0)])[:, 0]
    assert (ends[2] - ends[0]) / (ends[1] - ends[0]) == pytest.approx(0.25)  # roots
    assert "square-root scale" in " ".join(ax.get_xlabel().split())
    wide = _scale_margins(plt.subplots()[1], np.array([-0.1, 0.4, 12.0, 5000.0]))
    assert wide.startswith("logarithmic") and "1,000" in [t.get_text() for t in plt.gca().get_xticklabels()]


def test_the_chosen_number_is_named_at_its_point(grouped: Any, selected: Any) -> None:
    ax = grouped.plot.scree()
    (note,) = [text for text in ax.texts if "factor" in text.get_text()]
    assert note.get_text() == "2 factors"
    assert note.xy == (2, ax.lines[1].get_ydata()[1])
    for one, number, what in zip(selected.plot.criteria(), (selected.n_factors, selected.n_groups), "fg", strict=True):
        (note,) = one.texts
        assert note.xy[0] == number and note.get_text().startswith(f"{number} {what}")
