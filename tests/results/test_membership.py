"""Who belongs where: probabilities, sets, and slopes of soft groups in results."""

from __future__ import annotations

import html
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gifepanel as gife
from gifepanel import GroupedIFE
from gifepanel.datasets import simulate
from gifepanel.exceptions import DataError, SpecificationError

N, T = 40, 15
PANEL = simulate("S", N, T, random_state=1)
FORMULA = "y ~ 0 + x1 + x2"


def model_of(data: pd.DataFrame, formula: str = FORMULA, **options: Any) -> GroupedIFE:
    return GroupedIFE.from_formula(formula, data, **{"n_groups": 3, "n_factors": 2, **options})


@pytest.fixture(scope="module")
def model() -> GroupedIFE:
    return model_of(PANEL.data)


@pytest.fixture(scope="module")
def hard(model: GroupedIFE) -> Any:
    return model.fit()


@pytest.fixture(scope="module")
def soft(model: GroupedIFE) -> Any:
    return model.fit(groups="soft")


def probabilities(res: Any) -> np.ndarray:
    return res.membership.filter(like="posterior_").to_numpy()


def by_hand(res: Any, variance: float, shares: np.ndarray) -> np.ndarray:
    """Bayes' rule on the distances in the table."""
    ssr = res.membership.filter(like="distance_").to_numpy() ** 2 * res.n_times
    density = shares * np.exp(-(ssr - ssr.min(axis=1, keepdims=True)) / (2 * variance))
    return density / density.sum(axis=1, keepdims=True)


def design_effect(model: GroupedIFE, cov_type: str) -> float:
    known = [np.diag(model.fit(cov_type=one, groups_known=True).cov_params()) for one in (cov_type, "nonrobust")]
    return max(1.0, float(np.mean(known[0] / known[1])))


# ---- probabilities


@pytest.mark.parametrize("cov_type", ["nonrobust", "cluster"])
def test_posterior_by_bayes_rule_tempered(model: GroupedIFE, hard: Any, cov_type: str) -> None:
    res = hard if cov_type == "nonrobust" else hard.get_robustcov_results(cov_type)
    phi = design_effect(model, cov_type)
    expected = by_hand(res, res.mse_resid * phi, res.group_sizes.to_numpy() / N)
    np.testing.assert_allclose(probabilities(res), expected, atol=1e-8)
    table = res.membership
    own = expected[np.arange(N), table["group"] - 1]
    np.testing.assert_array_equal(table["clear"], own >= 0.95)
    assert 0 < table["clear"].sum() < N
    for some, row, clear in zip(table["candidates"], expected, table["clear"], strict=True):
        chosen = row[[k - 1 for k in some]]
        assert (np.diff(chosen) <= 0).all() and chosen.sum() >= 0.95 > chosen[:-1].sum()
        assert (len(some) == 1) == clear


def test_probabilities_are_there_whatever_the_errors_take_as_known(model: GroupedIFE, hard: Any) -> None:
    known = model.fit(groups_known=True)
    pd.testing.assert_frame_equal(known.membership, hard.membership)
    pd.testing.assert_frame_equal(known.confidence_sets(), hard.confidence_sets())
    assert (known.bse < hard.bse).all()


def test_order_and_names_of_entities_do_not_matter(soft: Any) -> None:
    renamed = PANEL.data.rename(index=lambda label: f"u{(17 * label) % 41:02d}", level=0).sample(frac=1, random_state=0)
    other = model_of(renamed).fit(groups="soft")
    np.testing.assert_allclose(other.params, soft.params, rtol=1e-6)
    np.testing.assert_allclose(other.bse, soft.bse, rtol=1e-5)
    names = [f"u{(17 * label) % 41:02d}" for label in soft.membership.index]
    columns = ["posterior_1", "posterior_2", "posterior_3"]
    np.testing.assert_allclose(other.membership.loc[names, columns], soft.membership[columns], atol=1e-6)
    np.testing.assert_array_equal(other.confidence_sets().loc[names], soft.confidence_sets())


# ---- confidence sets


def test_sets_are_nested_and_hold_the_own_group(hard: Any, soft: Any) -> None:
    for res in (hard, soft):
        joint, single, wide = res.confidence_sets(), res.confidence_sets(joint=False), res.confidence_sets(0.999)
        assert joint.dtypes.eq(bool).all() and joint.index.equals(res.groups.index)
        assert joint.columns.tolist() == [1, 2, 3] and joint.columns.name == "group"
        assert single.to_numpy()[np.arange(N), res.groups - 1].all()
        assert (single <= joint).all(axis=None) and (joint <= wide).all(axis=None)
        assert single.to_numpy().sum() < joint.to_numpy().sum() < 3 * N
    one = model_of(PANEL.data, n_groups=1).fit()
    assert one.confidence_sets().to_numpy().all() and "posterior_1" not in one.membership


@pytest.mark.parametrize("level", [0, 1, 1.5, -0.1, "95", None, True, np.nan])
def test_levels_outside_of_0_to_1(hard: Any, level: Any) -> None:
    with pytest.raises(SpecificationError, match=r"between 0 and 1.*level=0\.95"):
        hard.confidence_sets(level)


def test_joint_is_a_flag(hard: Any) -> None:
    with pytest.raises(SpecificationError, match="joint=True"):
        hard.confidence_sets(joint="yes")


# ---- soft groups


def test_predictions_and_residuals_are_at_mean_slopes(soft: Any) -> None:
    beta = probabilities(soft) @ soft.params_by_group.to_numpy()
    x = PANEL.data[["x1", "x2"]].to_numpy().reshape(N, T, 2)
    fit = np.einsum("ntp,np->nt", x, beta) + soft.loadings.to_numpy() @ soft.factors.to_numpy().T
    np.testing.assert_allclose(soft.fittedvalues.to_numpy().reshape(N, T), fit, rtol=1e-9)
    np.testing.assert_allclose(soft.resid, PANEL.data["y"] - soft.fittedvalues, atol=1e-12)
    np.testing.assert_allclose(soft.predict(), soft.fittedvalues, rtol=1e-9)
    np.testing.assert_allclose(soft.predict(PANEL.data.iloc[::-1]), soft.fittedvalues[::-1], rtol=1e-9)
    linear = np.einsum("ntp,np->nt", x, beta).ravel()
    np.testing.assert_allclose(soft.predict(effects=False), linear, rtol=1e-9)
    left = PANEL.data["y"].to_numpy().reshape(N, T) - np.einsum("ntp,np->nt", x, beta)
    np.testing.assert_allclose(soft.ssr, (np.linalg.svd(left, compute_uv=False)[2:] ** 2).sum(), rtol=1e-9)
    np.testing.assert_array_equal(soft.groups, probabilities(soft).argmax(axis=1) + 1)


def test_soft_slopes_are_weighted_least_squares(soft: Any, hard: Any) -> None:
    """The score of the mixture is zero: each group's slopes are least squares weighted by its probabilities."""
    assert np.abs(soft.params - hard.params).max() > 1e-3
    factors = hard.factors.to_numpy()
    annihilator = np.eye(T) - factors @ factors.T / T
    y = PANEL.data["y"].to_numpy().reshape(N, T) @ annihilator
    x = np.einsum("ts,nsp->ntp", annihilator, PANEL.data[["x1", "x2"]].to_numpy().reshape(N, T, 2))
    for k, weights in enumerate(probabilities(soft).T, start=1):
        gram = np.einsum("n,ntp,ntq->pq", weights, x, x)
        slopes = np.linalg.solve(gram, np.einsum("n,ntp,nt->p", weights, x, y))
        np.testing.assert_allclose(soft.params_by_group.loc[k], slopes, rtol=1e-6)


def test_other_errors_keep_the_soft_slopes(model: GroupedIFE, soft: Any) -> None:
    same = soft.get_robustcov_results("nonrobust", use_t=True)
    np.testing.assert_allclose(same.bse, soft.bse, rtol=1e-9)
    clustered = soft.get_robustcov_results("cluster")
    pd.testing.assert_series_equal(clustered.params, soft.params)
    assert clustered._results._covariance.missing.design_effect == pytest.approx(design_effect(model, "cluster"))
    np.testing.assert_allclose(soft.HC1_se, soft.get_robustcov_results("HC1").bse, rtol=1e-12)
    fitted = model.fit(groups="soft", cov_type="cluster")  # tempered by clusters, slopes as well
    np.testing.assert_allclose(fitted.get_robustcov_results("cluster").bse, fitted.bse, rtol=1e-9)


@pytest.mark.parametrize("case", ["holes", "common", "effects", "dynamic", "jackknife", "nearest", "weights", "lagged"])
def test_soft_groups_of_every_kind(case: str) -> None:
    small = simulate("S", 24, 14, random_state=3).data
    data, formula, options, fit = small.assign(w=1.0 + np.arange(24 * 14) % 3), FORMULA, {}, {}
    if case == "holes":
        data = data.sample(frac=0.85, random_state=1).sort_index()
    elif case == "lagged":
        formula = "y ~ 0 + L(y) + x1 + x2"
    elif case in ("dynamic", "jackknife"):
        options = {"predetermined": ["x1"]} if case == "dynamic" else {"n_factors": 1}
        fit = {"bias_correction": case}
    else:
        formula += " | entity + time" if case == "effects" else ""
        options = {"common": {"common": "x2"}, "weights": {"weights": "w"}}.get(case, {})
        fit = {"classify": "nearest"} if case == "nearest" else {}
    model = model_of(data, formula, **options)
    soft = model.fit(groups="soft", **fit)
    np.testing.assert_allclose(soft.predict(), soft.fittedvalues, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(probabilities(soft).sum(axis=1), 1)
    assert (soft.bse > 0).all() and np.isfinite(soft.bse).all()
    shift = soft.params - soft.params_uncorrected
    corrected = case in ("dynamic", "jackknife", "lagged")
    assert (np.abs(shift).max() > 1e-4) == corrected
    if corrected:  # the bias is that of least squares
        hard = model.fit(**fit)
        np.testing.assert_allclose(shift, hard.params - hard.params_uncorrected, atol=1e-9)
    assert np.abs(soft.params_uncorrected - soft._results._inference.estimate.theta).max() > 1e-5
    assert "soft groups (mixture likelihood)" in soft.summary().as_text()


def test_soft_results_are_stored_and_compared(soft: Any, hard: Any) -> None:
    again = pickle.loads(pickle.dumps(soft))
    np.testing.assert_array_equal(again.predict(), soft.predict())
    pd.testing.assert_frame_equal(again.confidence_sets(), soft.confidence_sets())
    text = soft.summary().as_text()
    again.remove_data()
    assert again.summary().as_text() == text
    pd.testing.assert_frame_equal(again.membership, soft.membership)
    np.testing.assert_allclose(again.predict(PANEL.data), soft.predict(), rtol=1e-12)
    with pytest.raises(DataError, match=r"remove_data"):
        again.confidence_sets()
    assert "3 (soft)" in str(gife.compare({"hard": hard, "soft": soft}))
    assert 'groups="soft"' in html.unescape(soft.report(plots=False))


def test_pictures_of_soft_groups(soft: Any) -> None:
    ax = soft.plot.membership("posterior")
    assert len(ax.collections) == 3
    unclear = int((~soft.membership["clear"]).sum())
    assert ax.get_title(loc="left").startswith(f"{unclear} of {N} unclear")


@pytest.mark.parametrize(
    ("options", "words", "fix"),
    [
        ({"groups": "soft", "groups_known": True}, "groups_known=True", {"groups": "soft", "groups_known": False}),
        ({"groups": "Soft"}, "groups is 'Soft'", {"groups": "soft"}),
        ({"groups": "region"}, 'cov_type="cluster"', {"cov_type": "cluster", "cov_kwds": {"groups": "region"}}),
        ({"groups": 2}, "n_groups=2", {}),
        ({"groups": True}, "groups is True", {"groups": "hard"}),
        ({"groups": None}, "groups is a NoneType", {"groups": "hard"}),
        ({"groups": [1, 2]}, "cov_kwds", {}),
    ],
)
def test_what_soft_groups_do_not_go_with(options: dict[str, Any], words: str, fix: dict[str, Any]) -> None:
    small = simulate("S", 16, 12, random_state=3).data
    model = model_of(small.assign(region=np.array(list("abcdefgh"))[small.index.codes[0] % 8]), n_groups=2, n_factors=1)
    with pytest.raises(SpecificationError) as info:
        model.fit(**options)
    assert words in str(info.value)
    for name, value in fix.items():
        assert f"{name}=" in str(info.value) or options.get(name) == value
    if fix:
        model.fit(**fix)


def test_one_group_is_neither_hard_nor_soft(soft: Any) -> None:
    with pytest.raises(SpecificationError, match=r"one group.*groups=\"hard\""):
        model_of(PANEL.data, n_groups=1).fit(groups="soft")
    with pytest.raises(SpecificationError, match="groups_known"):
        soft.get_robustcov_results("HC1", groups_known=True)
    alike = simulate("S", 24, 20, random_state=0)
    data = alike.data.assign(y=alike.data["y"] * 0 + alike.truth.errors.ravel() + alike.data["x1"])
    chosen = model_of(data, n_groups=[1, 2], n_factors=0).fit(groups="soft")
    assert chosen.n_groups == 1 and not chosen.is_soft  # one group was chosen from the data


def test_what_soft_groups_cannot_hand_over(soft: Any, hard: Any, model: GroupedIFE) -> None:
    with pytest.raises(SpecificationError, match=r"to_statsmodels is not available with soft groups"):
        soft.to_statsmodels()
    np.testing.assert_allclose(soft.model.fit(groups="hard").to_statsmodels().params, hard.params, rtol=1e-6)
    smaller = model_of(PANEL.data, "y ~ 0 + x1").fit()
    with pytest.raises(SpecificationError):
        soft.compare_lr_test(smaller)


def test_counterfactuals_are_at_mean_slopes() -> None:
    treated = (PANEL.data.index.codes[0] < 6) & (PANEL.data.index.codes[1] >= 10)
    soft = model_of(PANEL.data.assign(d=treated.astype(int)), treated="d", n_factors=1).fit(groups="soft")
    beta = probabilities(soft) @ soft.params_by_group.to_numpy()
    x = PANEL.data[["x1", "x2"]].to_numpy().reshape(N, T, 2)
    fit = np.einsum("ntp,np->nt", x, beta) + soft.loadings.to_numpy() @ soft.factors.to_numpy().T
    cf = soft.counterfactual()
    np.testing.assert_allclose(cf.cells["counterfactual"], fit.ravel()[treated], rtol=1e-8)
    with pytest.raises(SpecificationError, match="n_bootstrap=0"):
        soft.counterfactual(n_bootstrap=20)
