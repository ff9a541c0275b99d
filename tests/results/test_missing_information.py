"""Everything that results say with a covariance uses the one that allows for estimated groups."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

import gifepanel as gife
from gifepanel import GroupedIFE, InteractiveFE
from gifepanel.datasets import simulate
from gifepanel.inference.covariance import factor_covariance
from gifepanel.tables.estimated_groups import note_on_information, warning_of_information

FORMULA = "y ~ 0 + x1 + x2"
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "common": ({"common": ["x2"]}, {"cov_type": "HC1"}),
    "corrected": ({}, {"bias_correction": True, "cov_type": "cluster"}),
    "jackknife": ({"n_factors": 1}, {"bias_correction": "jackknife"}),
    "weights": ({"weights": "w"}, {"cov_type": "HC1"}),
    "holes": ({"holes": True}, {"cov_type": "driscoll-kraay"}),
    "fixed scale": ({}, {"cov_type": "fixed scale", "cov_kwds": {"scale": 1.3}}),
}


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    """30 entities in three groups, 16 periods; some are unclear."""
    frame = simulate("S", 30, 16, random_state=3).data
    return frame.assign(w=np.random.default_rng(0).uniform(0.5, 2.0, len(frame)))


def model_of(data: pd.DataFrame, holes: bool = False, **options: Any) -> GroupedIFE:
    if holes:
        data = data[np.random.default_rng(1).random(len(data)) > 0.15]
    return GroupedIFE.from_formula(FORMULA, data, **{"n_groups": 3, "n_factors": 2, **options})


@pytest.fixture(scope="module")
def fits(data: pd.DataFrame) -> dict[str, Any]:
    return {name: model_of(data, **options).fit(**fit) for name, (options, fit) in WAYS.items()}


@pytest.mark.parametrize("name", WAYS)
def test_every_number_is_of_the_inflated_covariance(name: str, fits: dict[str, Any]) -> None:
    res, fit = fits[name], WAYS[name][1]
    again = {"ssc": True, **fit.get("cov_kwds", {})}
    known = res.get_robustcov_results(fit.get("cov_type", "nonrobust"), groups_known=True, **again)
    found = res.missing_information
    assert found.share > 0 and known.missing_information is None
    given = np.asarray(known.cov_params())
    cov = np.asarray(res.cov_params())
    assert_allclose(cov, found.factor @ given @ found.factor.T + found.from_shares, rtol=1e-9)
    assert (np.linalg.eigvalsh(cov) > 0).all() and np.trace(cov) > np.trace(given)
    se = np.sqrt(np.diag(cov))
    assert_allclose(res.bse, se, rtol=1e-12)
    dist = stats.t(res.df_resid_inference) if res.use_t else stats.norm
    assert_allclose(np.asarray(res.conf_int(0.1)).T[1] - res.params, dist.ppf(0.95) * se, rtol=1e-9)
    assert_allclose(res.tvalues, res.params / se, rtol=1e-9)
    r = np.array([[1.0, -1.0] + [0.0] * (len(se) - 2)])
    difference = float((r @ res.params).item())
    variance = float((r @ cov @ r.T).item())
    assert float(np.squeeze(res.t_test(r).sd)) == pytest.approx(np.sqrt(variance), rel=1e-9)
    assert float(np.squeeze(res.f_test(r).fvalue)) == pytest.approx(difference**2 / variance, rel=1e-8)
    both = np.eye(len(se))[:2]
    chi2 = np.asarray(res.params)[:2] @ np.linalg.solve(cov[:2, :2], np.asarray(res.params)[:2])
    assert float(np.squeeze(res.wald_test(both, use_f=False, scalar=True).statistic)) == pytest.approx(chi2, rel=1e-7)
    assert_allclose(res.cov_params(r_matrix=r), [[variance]], rtol=1e-9)
    assert {round(e.se, 12) for e in res._comparison_column(0.05).estimates} == set(np.round(se, 12))
    for kind in ("HC0", "HC1"):
        other = res.get_robustcov_results(kind)
        assert_allclose(getattr(res, f"{kind}_se"), other.bse, rtol=1e-12)
        assert (getattr(known, f"{kind}_se") != other.bse).all()
        assert_array_equal(getattr(known, f"{kind}_se"), known.get_robustcov_results(kind).bse)
    back = known.get_robustcov_results(fit.get("cov_type", "nonrobust"), groups_known=False, **again)
    assert_array_equal(back.bse, res.bse)


def test_known_groups_give_the_plain_covariance_bit_for_bit(data: pd.DataFrame) -> None:
    model, entities = model_of(data), np.repeat(np.arange(30)[:, None], 16, axis=1)
    for kind in ("nonrobust", "HC0", "HC1", "HAC", "cluster", "driscoll-kraay"):
        res = model.fit(cov_type=kind, groups_known=True)
        estimate = res._inference.estimate
        plain = factor_covariance(
            estimate.z_projected,
            estimate.wresid,
            df_resid=estimate.df.residual,
            kind=kind,  # type: ignore[arg-type]
            groups=[entities] if kind == "cluster" else None,
            triangle=estimate.triangle,
        )
        assert_array_equal(res.bse, plain.bse)
        assert_array_equal(res.cov_params(), plain.cov)
        assert res.missing_information is None
    scaled = model.fit(cov_type="fixed scale", cov_kwds={"scale": 2.0}, groups_known=True)
    assert_array_equal(scaled.cov_params(), 2.0 * estimate.triangle.inverse)


def test_other_packages_get_it(fits: dict[str, Any]) -> None:
    res = fits["plain"]
    cov = np.asarray(res.cov_params())
    pytest.importorskip("linearmodels")
    assert_allclose(res.to_linearmodels().std_errors, res.bse, rtol=1e-12)
    pytest.importorskip("marginaleffects")
    assert_allclose(res.to_marginaleffects().get_vcov(), cov, rtol=1e-12)
    scale = res.scale
    assert_allclose(res.cov_params(scale=scale), cov, rtol=1e-9)


def test_units_order_and_labels_do_not_matter(data: pd.DataFrame, fits: dict[str, Any]) -> None:
    res, one = fits["plain"], fits["plain"].missing_information
    scaled = model_of(data.assign(x1=1e4 * data["x1"], x2=data["x2"] / 30)).fit()
    assert_allclose(scaled.bse_by_group * [1e4, 1 / 30], res.bse_by_group, rtol=1e-6)
    assert scaled.missing_information.share == pytest.approx(one.share, rel=1e-6)
    backwards = data.reset_index()
    backwards["entity"] = -backwards["entity"]
    turned = GroupedIFE.from_formula(FORMULA, backwards, entity="entity", time="time", n_groups=3, n_factors=2).fit()
    assert_allclose(turned.bse, res.bse, rtol=1e-6)
    assert_allclose(turned.missing_information.posterior[::-1], one.posterior, atol=1e-6)
    mirrored = model_of(data.assign(x1=-data["x1"])).fit()  # which turns the order of the groups around
    assert_allclose(mirrored.bse_by_group[::-1], res.bse_by_group, rtol=1e-6)
    assert_allclose(mirrored.missing_information.shares, one.shares, atol=1e-6)


def test_clear_groups_cost_nothing_and_one_group_has_none(data: pd.DataFrame) -> None:
    panel = simulate("S", 30, 16, random_state=3)
    far = panel.y + 4 * np.einsum("ntp,np->nt", panel.x, panel.truth.alpha[panel.truth.groups - 1])
    res = GroupedIFE(far, panel.x, n_groups=3, n_factors=2).fit()
    assert res.missing_information.share < 1e-3 and res.missing_information.n_unclear == 0
    assert_allclose(res.bse, res.get_robustcov_results("nonrobust", groups_known=True).bse, rtol=1e-3)
    assert "every entity has a group with a probability of .95 or more" in note_on_information(res)
    one, plain = model_of(data, n_groups=1).fit(), InteractiveFE.from_formula(FORMULA, data, n_factors=2).fit()
    assert one.missing_information is None is plain.missing_information
    assert_array_equal(one.bse, model_of(data, n_groups=1).fit(groups_known=True).bse)
    assert_allclose(one.bse, plain.bse, rtol=1e-6)
    assert_array_equal(plain.get_robustcov_results("nonrobust", groups_known=True).bse, plain.bse)


def test_what_is_said(data: pd.DataFrame, fits: dict[str, Any]) -> None:
    class Share:
        def __init__(self, share: float) -> None:
            self.share = share

    assert warning_of_information(Share(0.5)) == ""
    assert "more than half" in warning_of_information(Share(0.51))
    assert 'groups="soft"' in warning_of_information(Share(0.81))
    res = fits["plain"]
    found, text = res.missing_information, " ".join(res.summary().as_text().split())
    assert f"allow for estimated groups: up to {100 * found.share:.0f}% of the information" in text
    assert f"{found.n_unclear} of 30 entities" in text and f"share {found.share:.2f}" in repr(found)
    table = gife.compare(res, res.get_robustcov_results("nonrobust", groups_known=True)).as_text()
    assert "Missing information" in table and "groups known" in table and f"{100 * found.share:.0f}%" in table
    kept = pickle.loads(pickle.dumps(res))
    kept.remove_data()
    assert kept.missing_information.share == found.share
    assert "allow for estimated groups" in kept.summary().as_text()
    known = model_of(data).fit(groups_known=True)._results
    assert ("groups_known", "True") in known._fit_call.options


def test_the_covariance_stays_with_a_number_of_groups_left_open(data: pd.DataFrame) -> None:
    res = model_of(data, n_groups=range(2, 4)).fit(groups_known=True)
    assert res.n_groups > 1 and res.missing_information is None
