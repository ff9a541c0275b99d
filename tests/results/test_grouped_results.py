"""What grouped results hold: shapes, indexes, and identities that tie them to the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gifepanel import GroupedIFE, InteractiveFE, diagnostics
from gifepanel.datasets import load_cigar, simulate


def regressors(res: Any) -> tuple[np.ndarray, np.ndarray]:
    """y (N, T) and x (N, T, p), from the data by hand, in the order of entities and periods."""
    data = load_cigar().sort_index()
    names = {
        "log(real_price)": np.log(data["real_price"]),
        "log(real_income)": np.log(data["real_income"]),
        "L(log(sales))": np.log(data["sales"]).groupby(level=0).shift(),
    }
    columns = pd.DataFrame({name: names[name] for name in res.sample.regressors})
    keep = columns.notna().all(axis=1)
    n, t = res.n_entities, res.n_times
    y = np.log(data["sales"])[keep].to_numpy().reshape(n, t)
    return y, columns[keep].to_numpy().reshape(n, t, -1)


def slopes(res: Any) -> np.ndarray:
    """(N, p)."""
    if res.n_groups == 1:
        return np.tile(res.params.to_numpy(), (res.n_entities, 1))
    return res.params_by_group.loc[res.groups].to_numpy()


def test_the_parts_add_up(res: Any) -> None:
    y, x = regressors(res)
    fit = np.einsum("ntp,np->nt", x, slopes(res))
    fit += res.entity_effects.to_numpy()[:, None] + res.time_effects.to_numpy()
    fit += res.loadings.to_numpy() @ res.factors.to_numpy().T
    n, t = y.shape
    resid = res.resid.sort_index().to_numpy().reshape(n, t)
    np.testing.assert_allclose(fit + resid, y, atol=1e-11)
    np.testing.assert_allclose(res.fittedvalues.sort_index().to_numpy().reshape(n, t), fit, atol=1e-11)
    assert res.ssr == pytest.approx((resid**2).sum()) and res.nobs == y.size


def test_normalisation(res: Any) -> None:
    f, loadings = res.factors.to_numpy(), res.loadings.to_numpy()
    r, t = res.n_factors, res.n_times
    np.testing.assert_allclose(f.T @ f / t, np.eye(r), atol=1e-10)
    gram = loadings.T @ loadings
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-8 * gram.max())
    assert (np.diff(np.diag(gram)) <= 0).all()
    if "state" in res.sample.absorbed:
        np.testing.assert_allclose(f.mean(axis=0), 0, atol=1e-10)
    if "year" in res.sample.absorbed:
        np.testing.assert_allclose(loadings.mean(axis=0), 0, atol=1e-10)
    resid = res.resid.sort_index().to_numpy().reshape(res.n_entities, t)
    np.testing.assert_allclose(resid @ f, 0, atol=1e-8)
    np.testing.assert_allclose(loadings.T @ resid, 0, atol=1e-8)
    explained = np.diag(gram) * t
    np.testing.assert_allclose(res.factor_shares, explained / (explained.sum() + res.ssr), rtol=1e-10)


def test_indexes(res: Any) -> None:
    data = load_cigar()
    states, years = data.index.levels
    assert res.loadings.index.equals(states) and res.loadings.index.name == "state"
    assert list(res.factors.index) == list(years[-res.n_times :]) and res.factors.index.name == "year"
    assert list(res.factors.columns) == [f"factor{r + 1}" for r in range(res.n_factors)]
    assert res.entity_effects.index.equals(states) and res.time_effects.index.name == "year"
    assert res.resid.index.equals(data.index if res.n_times == 30 else data.drop(1963, level="year").index)
    assert res.params.index.equals(res.bse.index) and list(res.cov_params().columns) == list(res.params.index)


def test_least_squares_slopes_solve_the_normal_equations(grouped: Any, single: Any) -> None:
    """Where no bias was corrected the slopes are orthogonal to the residuals."""
    for res in (grouped, single):
        _, x = regressors(res)
        resid = res.resid.sort_index().to_numpy().reshape(res.n_entities, res.n_times)
        groups = res.groups.to_numpy() if res.n_groups > 1 else np.ones(res.n_entities)
        scores = [np.einsum("ntp,nt->p", x[groups == k], resid[groups == k]) for k in np.unique(groups)]
        np.testing.assert_allclose(scores, 0, atol=1e-5)


def test_tables_by_group(grouped: Any, mixed: Any) -> None:
    for res in (grouped, mixed):
        for table, column in ((res.params_by_group, res.params), (res.bse_by_group, res.bse)):
            assert list(table.columns) == list(res.sample.regressors)
            assert list(table.index) == list(range(1, res.n_groups + 1)) and table.index.name == "group"
            for k in table.index:
                for name in table.columns:
                    assert table.loc[k, name] == column.get(f"{name}[{k}]", column.get(name))
        assert res.groups.index.equals(load_cigar().index.levels[0]) and res.groups.name == "group"
        pd.testing.assert_series_equal(
            res.group_sizes, res.groups.value_counts().sort_index(), check_names=False, check_dtype=False
        )
        ordered = [tuple(row) for row in np.asarray(res.params_by_group)]
        assert ordered == sorted(ordered)
    assert list(grouped.params.index[:3]) == ["log(real_price)[1]", "log(real_income)[1]", "log(real_price)[2]"]
    assert mixed.params.index[0] == "log(real_income)"
    assert set(mixed.params_by_group["log(real_income)"]) == {mixed.params["log(real_income)"]}


def test_membership_by_hand(grouped: Any) -> None:
    y, x = regressors(grouped)
    known = np.column_stack([np.ones(30), grouped.factors])
    annihilator = np.eye(30) - known @ np.linalg.pinv(known)
    ssr = np.column_stack(
        [(((y - x @ grouped.params_by_group.loc[k].to_numpy()) @ annihilator) ** 2).sum(axis=1) for k in (1, 2, 3)]
    )
    table = grouped.membership
    np.testing.assert_allclose(table[["distance_1", "distance_2", "distance_3"]], np.sqrt(ssr / 30), rtol=1e-7)
    own = grouped.groups.to_numpy() - 1
    np.testing.assert_array_equal(table["group"], own + 1)
    np.testing.assert_array_equal(own, ssr.argmin(axis=1))  # the refined classification: nobody wants to move
    order = np.argsort(ssr, axis=1)
    np.testing.assert_array_equal(table["runner_up"], order[:, 1] + 1)
    rows = np.arange(46)
    margin = (ssr[rows, order[:, 1]] - ssr[rows, order[:, 0]]) / grouped.mse_resid
    np.testing.assert_allclose(table["margin"], margin, rtol=1e-6)
    tau = table[["posterior_1", "posterior_2", "posterior_3"]].to_numpy()
    np.testing.assert_array_equal(table["clear"], tau[rows, own] >= 0.95)
    unclear = f"{int((~table['clear']).sum())} of 46 entities are unclear"
    known = grouped.get_robustcov_results("nonrobust", groups_known=True)
    assert all(unclear in " ".join(str(one.summary()).split()) for one in (grouped, known))
    assert ssr[rows, own].sum() == pytest.approx(grouped.ssr)


def test_nearest_centres_by_hand() -> None:
    panel = simulate("S", 40, 30, random_state=3)
    model = GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2)
    res = model.fit(classify="nearest", kappa=0.05)
    distances = np.linalg.norm(
        res.penalized.unit_params.to_numpy()[:, None] - res.penalized.centers.to_numpy()[None], axis=2
    )
    np.testing.assert_allclose(res.penalized.distances, distances, atol=1e-8)
    np.testing.assert_array_equal(res.groups, distances.argmin(axis=1) + 1)
    np.testing.assert_array_equal(res.penalized.fused, distances.min(axis=1) < 1e-10)
    assert res.moved_by_refinement == 0


def test_the_criterion_by_hand() -> None:
    """Q of Su and Ju (2018, eq. 2.7): the small eigenvalues of the residual second moments, and the penalty."""
    panel = simulate("S", 30, 25, random_state=4)
    res = GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2).fit(kappa=0.08)
    y = panel.data["y"].to_numpy().reshape(30, 25)
    x = panel.data[["x1", "x2"]].to_numpy().reshape(30, 25, 2)
    beta, alpha = res.penalized.unit_params.to_numpy(), res.penalized.centers.to_numpy()
    r = y - np.einsum("ntp,np->nt", x, beta)
    eigenvalues = np.linalg.eigvalsh(r.T @ r / 30)
    penalty = np.prod(np.linalg.norm(beta[:, None] - alpha[None], axis=2), axis=1).mean()
    assert res.criterion == pytest.approx(eigenvalues[:-2].sum() / 25 + 0.08 * penalty, rel=1e-8)
    assert res.penalized.kappa == 0.08 and np.isnan(res.penalized.kappa_scale)
    assert list(res.penalized.path) == sorted(res.penalized.path, reverse=True)
    assert res.penalized.path[-1] == pytest.approx(res.criterion)


def test_unit_params(grouped: Any) -> None:
    assert grouped.unit_params.shape == (46, 2) and grouped.unit_params.notna().all(axis=None)
    model = GroupedIFE.from_formula("log(sales) ~ log(real_price) | state", load_cigar(), n_groups=2, n_factors=0)
    free = model.fit(classify="nearest")
    data = np.log(load_cigar()[["sales", "real_price"]])
    data = data - data.groupby(level=0).transform("mean")
    by_hand = (data["sales"] * data["real_price"]).groupby(level=0).sum() / (data["real_price"] ** 2).groupby(
        level=0
    ).sum()
    np.testing.assert_allclose(free.unit_params["log(real_price)"], by_hand, rtol=1e-8)


def test_one_group_is_interactive_effects() -> None:
    data = load_cigar()
    formula = "log(sales) ~ log(real_price) + log(real_income) | state"
    one = GroupedIFE.from_formula(formula, data, n_groups=1, n_factors=2).fit()
    two = InteractiveFE.from_formula(formula, data, n_factors=2).fit()
    np.testing.assert_allclose(one.params, two.params, rtol=1e-6)
    np.testing.assert_allclose(one.bse, two.bse, rtol=1e-6)
    assert list(one.params.index) == ["log(real_price)[1]", "log(real_income)[1]"]
    assert one.groups.eq(1).all() and list(one.membership.columns) == ["group", "distance_1"]
    assert "margin" not in one.membership and "[5]" not in one.summary().as_text()


def test_diagnostics_are_those_of_the_residuals(res: Any) -> None:
    table = res.diagnostics()
    assert list(table.columns) == ["statistic", "pvalue", "distribution", "null"]
    values = res.resid.to_numpy()
    assert table.loc["Skewness", "statistic"] == pytest.approx(stats.skew(values))
    assert table.loc["Kurtosis", "statistic"] == pytest.approx(stats.kurtosis(values, fisher=False))
    assert table.loc["Jarque-Bera", "statistic"] == pytest.approx(stats.jarque_bera(values).statistic)
    names = {"Mean", "Panel Durbin-Watson", "Born-Breitung Q(1)"}
    assert names <= set(table.index) and table["null"].str.len().min() > 10
    again = diagnostics.residual_diagnostics(res.resid, res.factors, res.loadings)
    np.testing.assert_allclose([test.statistic for test in again], table["statistic"], rtol=1e-9, atol=1e-12)
    assert any(name.startswith(("Pesaran-Xie", "CDw", "Juodis")) for name in table.index)
    table.loc[:, "statistic"] = 0
    assert res.diagnostics()["statistic"].abs().max() > 0


def test_other_covariances_of_the_same_fit(res: Any) -> None:
    refit = {"cov_type": "cluster", "cov_kwds": {"groups": "year"}}
    other = res.get_robustcov_results("cluster", groups="year")
    assert other.cov_type == "cluster" and other.use_t == res.use_t  # as in statsmodels
    np.testing.assert_array_equal(other.params, res.params)
    assert "clustered by year" in other.summary().as_text() and "by year" not in res.summary().as_text()
    if res.n_groups == 1:
        model = InteractiveFE.from_formula(
            "log(sales) ~ log(real_price) + log(real_income) | state + year", load_cigar(), n_factors=2
        )
        np.testing.assert_allclose(other.bse, model.fit(**refit).bse, rtol=1e-10)
    np.testing.assert_allclose(res.get_robustcov_results("HC1").bse, res.HC1_se, rtol=1e-12)
    np.testing.assert_allclose(res.get_robustcov_results(res.cov_type).bse, res.bse, rtol=1e-12)
    assert res.get_robustcov_results("HC0", use_t=True).use_t


@pytest.mark.parametrize(
    "name", ["get_prediction", "t_test_pairwise", "compare_lm_test", "HC2_se", "HC3_se", "cov_HC2", "cov_HC3"]
)
def test_what_would_be_wrong_is_refused(single: Any, name: str) -> None:
    from gifepanel.exceptions import SpecificationError

    with pytest.raises(SpecificationError, match="not available"):
        getattr(single, name)("x")


def test_loglike_concentrates_the_factors_out(single: Any) -> None:
    assert single.model.loglike(single.params) == pytest.approx(single.llf)
    assert single.model.loglike(single.params * 1.1) < single.llf


def test_membership_where_cells_are_missing() -> None:
    """Distances are means over an entity's own periods; who has too few for slopes of its own is said."""
    data = simulate("S", 24, 20, random_state=1).data
    entity, time = (data.index.get_level_values(name) for name in ("entity", "time"))
    seen = np.random.default_rng(0).random(len(data)) < 0.9
    short = ((entity == 3) & (time > 3)) | ((entity == 8) & (time > 4))
    data = data[seen & ~short]
    res = GroupedIFE.from_formula("y ~ 0 + x1 + x2", data, n_groups=3, n_factors=1).fit()
    counts = data.groupby("entity").size()
    membership = res.membership
    np.testing.assert_array_equal(membership["determined"], counts > 3)
    assert membership.index[~membership["determined"]].tolist() == [3]
    own = np.sqrt((res.resid**2).groupby("entity").mean())
    found = [row[f"distance_{row['group']}"] for _, row in membership.iterrows()]
    np.testing.assert_allclose(found, own, rtol=1e-6)
    text = " ".join(res.summary().as_text().split())
    assert "1 entity has 3 periods or fewer, too few for slopes of its own: its group is undetermined (3;" in text
    res.remove_data()
    assert not res.membership.loc[3, "determined"]
