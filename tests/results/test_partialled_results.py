"""Results of partialled-out least squares: prediction, intervals, influence, tests, bootstrap."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose
from scipy import stats

from gifepanel import PartialledOLS
from gifepanel.exceptions import DataError, DataWarning, SpecificationError, SpecificationWarning
from gifepanel.inference.cluster_adjusted import bell_mccaffrey
from gifepanel.inference.clusters import cluster_ways
from gifepanel.inference.wild_bootstrap import wild_cluster_bootstrap
from tests.models.partialled_data import MODELS, dummy_fit, panel

pytestmark = pytest.mark.filterwarnings("ignore:.* nothing to effects and other controls")  # the aliased control

FORMS = ["one effect", "two effects", "three effects", "slopes and year", "slopes alone", "controls", "nothing"]
BOTH = [(name, weights) for name in FORMS for weights in (None, "w")]


@cache
def fitted(name: str, weights: str | None = None) -> tuple[Any, Any]:
    """Ours and statsmodels' with dummies."""
    formula, partial, _ = MODELS[name]
    data = panel()
    ours = PartialledOLS.from_formula(formula, data, partial=partial, weights=weights, singletons="keep").fit()
    return ours, dummy_fit(name, weights, data)


def new_data() -> pd.DataFrame:
    """Rows of known levels with other regressors."""
    rng = np.random.default_rng(7)
    new = panel().sample(12, random_state=1)
    return new.assign(**{name: new[name] + 0.1 * rng.normal(size=12) for name in ("x1", "x2", "z1", "trend")})


# ---- prediction


@pytest.mark.parametrize(("name", "weights"), BOTH)
def test_predict(name: str, weights: str | None) -> None:
    ours, theirs = fitted(name, weights)
    new = new_data()
    predicted = ours.predict(new)
    assert predicted.index.equals(new.index)
    assert_allclose(predicted, theirs.predict(new), rtol=1e-8)
    assert_allclose(ours.predict(), ours.fittedvalues)
    assert_allclose(ours.predict(panel()), ours.fittedvalues, rtol=1e-8)
    columns = [n for n in ours.params.index if n != "Intercept"]
    linear = new[columns] @ ours.params[columns] + ours.params.get("Intercept", 0.0)
    assert_allclose(ours.predict(new, effects=False), linear)
    without = [c for c in ("firm", "year", "region", "trend") if c not in MODELS[name][1]]
    if name != "nothing":
        assert_allclose(ours.predict(new.drop(columns=without), effects=False), linear)


def test_predict_rows_without_an_answer() -> None:
    ours, _ = fitted("two effects")
    new = new_data()
    expected = ours.predict(new)
    new = new.astype({"firm": float})
    new.iloc[0, new.columns.get_loc("firm")] = 99
    new.iloc[1, new.columns.get_loc("firm")] = np.nan
    new.iloc[2, new.columns.get_loc("x1")] = np.nan
    with pytest.warns(DataWarning, match=r"2 of 11 rows.*firm \(1 level not in the sample, missing in 1\)") as said:
        predicted = ours.predict(new)
    assert len(said) == 1
    assert predicted.isna().tolist() == [True] * 3 + [False] * 9
    assert_allclose(predicted.iloc[3:], expected.iloc[3:])
    assert ours.predict(new, effects=False).isna().tolist() == [False, False, True] + [False] * 9
    with pytest.warns(DataWarning, match="2 of 11 rows") as said:
        frame = ours.get_prediction(new).summary_frame()
    assert len(said) == 1
    assert frame.isna().all(axis=1).tolist() == [True] * 3 + [False] * 9
    with pytest.raises(DataError, match=r"new data lack 'firm', 'year'.*effects=False"):
        ours.predict(new.drop(columns=["firm", "year"]))


def test_combinations_that_are_not_identified() -> None:
    """Firms of one half were never seen in the years of the other."""
    data = panel()
    data["period"] = np.where(data["firm"] % 2, data["year"], data["year"] + 100)
    res = PartialledOLS.from_formula("y ~ x1 | firm + period", data).fit()
    dummies = smf.ols("y ~ x1 + C(firm) + C(period)", data)
    assert res.degrees.total == np.linalg.matrix_rank(dummies.exog) - 1
    row = data[data["firm"] % 2 == 1].head(1)
    new = pd.concat([row, row.assign(period=row["period"] + 100)])
    with pytest.warns(DataWarning, match="sum the sample does not identify"):
        assert res.predict(new).isna().tolist() == [False, True]
    with pytest.warns(DataWarning, match="1 of 2 rows"):
        assert res.get_prediction(new).summary_frame()["mean_se"].isna().tolist() == [False, True]


@pytest.mark.parametrize("kind", ["nonrobust", "HC0", "HC1", "HC2", "HC3"])
@pytest.mark.parametrize(("name", "weights"), BOTH)
def test_intervals(name: str, weights: str | None, kind: str) -> None:
    ours, theirs = fitted(name, weights)
    robust, reference = ours, theirs
    if kind != "nonrobust":
        robust, reference = ours.get_robustcov_results(kind, use_t=True), theirs.get_robustcov_results(kind)
    new = new_data()
    got, want = robust.get_prediction(new), reference.get_prediction(new)
    assert_allclose(got.predicted_mean, want.predicted_mean, rtol=1e-8)
    assert_allclose(got.se_mean, want.se_mean, rtol=1e-6)
    assert_allclose(got.summary_frame(0.1), want.summary_frame(0.1), rtol=1e-6)
    assert got.summary_frame().index.equals(new.index)
    inside, expected = robust.get_prediction(), reference.get_prediction()
    assert_allclose(inside.se_mean, expected.se_mean, rtol=1e-6)
    assert_allclose(inside.conf_int(), expected.conf_int(), rtol=1e-6)
    heavy = robust.get_prediction(new, weights=np.full(12, 4.0))
    assert_allclose(heavy.se_obs**2, got.se_mean**2 + robust.scale / 4, rtol=1e-10)


def test_intervals_of_the_linear_part() -> None:
    """Available under every covariance; effects under clusters are refused, with a way out."""
    ours, _ = fitted("two effects")
    clustered = ours.get_robustcov_results("cluster", groups="block")
    new = new_data()
    got = clustered.get_prediction(new, effects=False)
    x = new[["x1", "x2"]].to_numpy()
    assert_allclose(got.se_mean, np.sqrt(np.diag(x @ clustered.cov_params().to_numpy() @ x.T)))
    assert np.isnan(got.se_obs).all()
    with pytest.raises(SpecificationError, match="Intervals with effects and controls"):
        clustered.get_prediction(new)
    with pytest.raises(DataError, match="One positive weight"):
        ours.get_prediction(new, weights=np.ones(3))
    alone, theirs = fitted("nothing")
    groups = panel()["block"].to_numpy()
    reference = theirs.get_robustcov_results("cluster", groups=groups).get_prediction(new)
    same = alone.get_robustcov_results("cluster", groups="block", ssc="statsmodels", use_t=True).get_prediction(new)
    assert_allclose(same.se_mean, reference.se_mean, rtol=1e-8)


# ---- effects


@pytest.mark.parametrize(
    "name", ["one effect", "three effects", "combined", "slopes and year", "two slopes", "said twice"]
)
def test_effects_add_up_to_the_fit(name: str) -> None:
    ours, _ = fitted(name)
    data = panel()
    effects = ours.effects()
    total = data[list(ours.params.index.drop("Intercept", errors="ignore"))] @ ours.params.drop(
        "Intercept", errors="ignore"
    ) + ours.params.get("Intercept", 0.0)
    for label, values in effects.items():
        names, _, slope = label.partition("[")
        keys = names.split("^")
        levels = pd.MultiIndex.from_frame(data[keys]) if len(keys) > 1 else data[keys[0]]
        total = total + values.reindex(levels).to_numpy() * (data[slope[:-1]] if slope else 1.0)
    assert_allclose(total, ours.fittedvalues, rtol=1e-8)


def test_names_of_effects() -> None:
    ours, _ = fitted("said twice")
    assert list(ours.effects()) == ["firm", "firm[trend]"]
    two, _ = fitted("two slopes")
    assert list(two.effects()) == ["region[trend]", "region[z1]"]
    assert two.effects()["region[z1]"].index.tolist() == [0, 1, 2, 3, 4]


# ---- influence


@pytest.mark.parametrize("name", ["one effect", "two effects", "slopes alone", "aliased control", "nothing"])
def test_influence(name: str) -> None:
    ours, theirs = fitted(name)
    got, want = ours.get_influence(), theirs.get_influence()
    at = [list(theirs.params.index).index(n) for n in ours.params.index]
    fine = want.hat_matrix_diag < 1 - 1e-9
    assert fine.mean() > 0.95
    for what in ("hat_matrix_diag", "resid_press", "resid_studentized_internal", "resid_std", "influence"):
        assert_allclose(
            np.asarray(getattr(got, what))[fine], np.asarray(getattr(want, what))[fine], rtol=1e-6, atol=1e-9
        )
    assert_allclose(got.cooks_distance[0][fine], want.cooks_distance[0][fine], rtol=1e-6, atol=1e-12)
    assert_allclose(got.cooks_distance[1][fine], want.cooks_distance[1][fine], rtol=1e-6)
    assert got.dffits_internal[1] == pytest.approx(want.dffits_internal[1])
    some = np.flatnonzero(fine)[:6]
    data = panel()
    for row in some:  # without it
        rest = smf.ols(MODELS[name][2], data.drop(index=data.index[row]))
        less = rest.fit()
        assert_allclose(got.params_not_obsi[row], less.params[ours.params.index], rtol=1e-6, atol=1e-9)
        assert_allclose(got.sigma2_not_obsi[row], less.mse_resid, rtol=1e-8)
    size = np.sqrt(np.diag(theirs.normalized_cov_params)[at])
    expected = (np.asarray(ours.params) - got.params_not_obsi) / np.sqrt(got.sigma2_not_obsi)[:, None] / size
    assert_allclose(got.dfbetas[fine], expected[fine], rtol=1e-6, atol=1e-12)
    frame = got.summary_frame()
    assert frame.index.equals(data.index)
    assert_allclose(frame["student_resid"][fine], got.resid_studentized_external[fine])


def test_weighted_leverage_and_outliers() -> None:
    ours, _ = fitted("two effects", "w")
    leverage = ours.get_influence().hat_matrix_diag
    assert_allclose(leverage.sum(), ours.nobs - ours.df_resid)
    plain, theirs = fitted("two effects")
    got, want = plain.outlier_test(), theirs.outlier_test()
    assert_allclose(got, want, rtol=1e-6)
    for name in ("cov_ratio", "det_cov_params_not_obsi"):
        with pytest.raises(SpecificationError, match=name):
            getattr(plain.get_influence(), name)


# ---- tests


def test_hypotheses_in_words() -> None:
    ours, theirs = fitted("controls")
    for words in ("x1 = x2", "x1 = 0.5", "x1 + 2*x2 = 1", "x1 = x2 = 0"):
        assert_allclose(ours.wald_test(words).statistic, theirs.wald_test(words, scalar=True).statistic, rtol=1e-8)
        assert_allclose(ours.f_test(words).pvalue, theirs.f_test(words).pvalue, rtol=1e-6)
    assert_allclose(ours.t_test("x1 = x2").conf_int(), theirs.t_test("x1 = x2").conf_int(), rtol=1e-8)
    with pytest.raises(SpecificationError, match="coefficients are x1, x2"):
        ours.f_test("x3 = 0")


def test_smaller_models() -> None:
    ours, theirs = fitted("two effects")
    small = PartialledOLS.from_formula("y ~ x1 | firm + year", panel(), singletons="keep").fit()
    reference = smf.ols("y ~ x1 + C(firm) + C(year)", panel()).fit()
    for other in (small, reference):
        assert_allclose(ours.compare_f_test(other), theirs.compare_f_test(reference), rtol=1e-8)
        assert_allclose(ours.compare_lr_test(other), theirs.compare_lr_test(reference), rtol=1e-7)
    one = smf.ols("y ~ x1 + x2", panel()).fit()
    statistic, pvalue, (df1, df2) = ours.test_absorbed()
    assert_allclose((statistic, pvalue, df1), theirs.compare_f_test(one), rtol=1e-6, atol=1e-30)
    assert df2 == theirs.df_resid
    with pytest.raises(SpecificationError, match="must be smaller"):
        small.compare_f_test(ours)
    with pytest.raises(SpecificationError, match="same observations"):
        ours.compare_lr_test(smf.ols("y ~ x1", panel().head(100)).fit())
    weighted, with_dummies = fitted("two effects", "w")
    data = panel()
    restricted = smf.wls("y ~ x1 + x2", data, weights=data["w"]).fit()
    assert_allclose(weighted.test_absorbed()[0], with_dummies.compare_f_test(restricted)[0], rtol=1e-8)
    nothing, _ = fitted("nothing")
    with pytest.raises(SpecificationError, match="absorbs no effects"):
        nothing.test_absorbed()


@pytest.mark.parametrize("call", ["t_test_pairwise", "el_test", "conf_int_el"])
def test_refused(call: str) -> None:
    ours, _ = fitted("one effect")
    with pytest.raises(SpecificationError, match=rf"{call} is not available"):
        getattr(ours, call)(ours)
    for name in ("fit_regularized", "get_distribution", "hessian_factor"):
        with pytest.raises(SpecificationError, match=name):
            getattr(ours.model, name)(ours.params)


def test_condition_number_is_of_residualised_regressors() -> None:
    ours, _ = fitted("two effects")
    columns = ours.fwl().columns[["x1", "x2"]]
    assert_allclose(ours.condition_number, np.linalg.cond(columns))
    assert_allclose(ours.eigenvals, np.linalg.svd(columns)[1] ** 2)


def test_degrees_of_freedom_of_bell_and_mccaffrey() -> None:
    """A contrast's are those of the coefficient it becomes when regressors are turned; here on all dummies."""
    data = panel()
    res = PartialledOLS.from_formula("y ~ x1 + x2 | year", data).fit(cov_type="CR2", cov_kwds={"groups": "block"})
    way = cluster_ways([data["block"].to_numpy()], 300)[0]
    dummies = np.eye(8)[data["year"] - 2000]
    turned = np.column_stack([data["x1"], data["x1"] + data["x2"]])  # coefficients b1 - b2 and b2
    q = np.linalg.qr(dummies)[0]
    x = turned - q @ (q.T @ turned)
    reference = bell_mccaffrey(x, res.resid.to_numpy(), way, nuisance=dummies)
    test = res.t_test("x1 - x2 = 0.2")
    assert_allclose(test.sd.squeeze(), np.sqrt(reference.cov[0, 0]), rtol=1e-8)
    expected = 2 * stats.t.sf(abs(test.tvalue.squeeze()), reference.df[0])
    assert_allclose(test.pvalue, expected, rtol=1e-7)
    assert_allclose(res.t_test(np.eye(2)).pvalue, res.pvalues, rtol=1e-10)
    assert_allclose(res.t_test(np.eye(2)).conf_int(), res.conf_int(), rtol=1e-10)
    assert_allclose(res.t_test("x2 = 0").pvalue, res.pvalues["x2"], rtol=1e-10)
    several = res.t_test("x1 = 0, x1 - x2 = 0.2")
    assert_allclose(several.pvalue, [res.pvalues["x1"], expected], rtol=1e-7)
    assert "c1" in str(several)


def test_more_restrictions_than_clusters_allow() -> None:
    data = panel().assign(few=lambda d: d["firm"] % 3)
    model = PartialledOLS.from_formula("y ~ x1 + x2 + z1 + z2 | firm", data)
    with pytest.warns(SpecificationWarning, match=r"4 coefficients and 3 clusters.*more than 2 restrictions"):
        res = model.fit(cov_type="cluster", cov_kwds={"groups": "few"})
    assert np.isnan(res.fvalue)
    assert "more slopes than the covariance allows to test at once" in " ".join(str(res.summary()).split())
    assert np.isfinite(res.f_test("x1 = x2 = 0").fvalue)
    with pytest.raises(SpecificationError, match=r"3 restrictions were to be tested.*allows 2 at most"):
        res.f_test("x1 = x2 = z1 = 0")
    with pytest.raises(SpecificationError, match="allows 2"):
        res.wald_test(np.eye(4))
    assert np.isfinite(res.wald_test(np.eye(4), cov_p=np.eye(4)).statistic)
    with pytest.warns(SpecificationWarning, match="3 periods"):
        data["long"] = data["year"] // 3
        model.fit(cov_type="hac-groupsum", cov_kwds={"time": "few"})


# ---- wild bootstrap


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("name", ["two effects", "controls", "slopes alone", "slopes and year", "nothing"])
def test_wild_bootstrap_is_that_of_all_dummies(name: str, weights: str | None) -> None:
    formula, partial, _ = MODELS[name]
    data = panel()
    ours = PartialledOLS.from_formula(formula, data, partial=partial, weights=weights, singletons="keep").fit(
        cov_type="cluster", cov_kwds={"groups": "block"}
    )
    theirs = dummy_fit(name, weights, data)
    root = np.ones(300) if weights is None else np.sqrt(data["w"].to_numpy())
    every = theirs.model.exog * root[:, None]
    u, s, vt = np.linalg.svd(every / np.linalg.norm(every, axis=0), full_matrices=False)
    keep = s > 1e-8
    row = np.zeros(every.shape[1])
    row[list(theirs.params.index).index("x1")] = 1.0
    full = u[:, keep] / root[:, None]  # the regression in the coordinates of an orthonormal basis
    turned = ((row / np.linalg.norm(every, axis=0)) @ vt[keep].T) / s[keep]
    params = u[:, keep].T @ (root * data["y"].to_numpy())
    w = None if weights is None else data["w"].to_numpy()
    arguments = {"clusters": data["block"].to_numpy(), "null": 0.8, "n_draws": 199, "random_state": 3, "alpha": 0.1}
    want = wild_cluster_bootstrap(full, theirs.resid.to_numpy(), params, turned, weights=w, **arguments)
    got = ours.wild_bootstrap("x1 = 0.8", n_draws=199, random_state=3, alpha=0.1)
    assert_allclose(got.estimate, want.estimate, rtol=1e-8)
    assert_allclose(got.bse, ours.bse["x1"], rtol=1e-8)
    assert got.pvalue == want.pvalue
    assert_allclose(got.conf_int, want.conf_int, rtol=1e-6)
    scale = got.statistic / want.statistic
    assert_allclose(got.draws, want.draws * scale, rtol=1e-6)


def test_wild_bootstrap_by_name() -> None:
    ours, _ = fitted("two effects")
    one = ours.wild_bootstrap("x1", groups="block", n_draws=99)
    two = ours.wild_bootstrap("x1 = 0", groups=panel()["block"].to_numpy(), n_draws=99)
    assert one.pvalue == two.pvalue
    assert one.n_groups == 13
    with pytest.raises(SpecificationError, match="could be firm or year"):
        ours.wild_bootstrap("x1")
    assert np.isfinite(ours.wild_bootstrap("x1 = x2", groups="block", n_draws=99, alpha=None).pvalue)
    with pytest.raises(SpecificationError, match="tests one"):
        ours.wild_bootstrap("x1 = x2 = 0", groups="block")
    with pytest.raises(DataError, match="blck"):
        ours.wild_bootstrap("x1", groups="blck")
    with pytest.raises(SpecificationError, match="coefficients are"):
        ours.wild_bootstrap("x9")
    both = ours.get_robustcov_results("cluster", groups=["block", "region"])
    with pytest.raises(SpecificationError, match="2 ways of clustering"):
        both.wild_bootstrap("x1")


# ---- learners


def test_what_a_learner_can_not_answer() -> None:
    from sklearn.linear_model import LinearRegression

    model = PartialledOLS.from_formula("y ~ x1 | firm", panel(), partial="z1 + z2", learner=LinearRegression())
    res = model.fit(n_folds=3)
    for name in ("get_prediction", "get_influence", "outlier_test", "wild_bootstrap", "test_absorbed"):
        with pytest.raises(SpecificationError, match=f"{name} is not available with a learner"):
            getattr(res, name)()
    for name in ("cov_HC0", "HC3_se"):
        with pytest.raises(SpecificationError, match=f"cov_{name[-3:] if name[0] == 'c' else name[:3]} is not"):
            getattr(res, name)
    with pytest.raises(SpecificationError, match="compare_f_test"):
        res.compare_f_test(res)
