"""Slopes of entities at the factors of a fit: regressions of each alone, whose mean by precision is the group's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm

from gifepanel import GroupedIFE
from gifepanel.datasets import simulate
from gifepanel.inference.unit_slopes import unit_slopes


@pytest.fixture(scope="module")
def holes() -> Any:
    """Weighted, with holes; the first entity has three periods, in the second x2 never moves."""
    data = simulate("S", 24, 16, random_state=2).data.copy()
    rng = np.random.default_rng(3)
    who = data.index.get_level_values("entity")
    data["w"] = rng.uniform(0.5, 2.0, len(data))
    data.loc[who == 2, "x2"] = 1.0
    kept = rng.random(len(data)) > 0.15
    kept[who == 1] = np.arange(16) < 3
    formula = "y ~ 0 + x1 + x2 | entity"
    return GroupedIFE.from_formula(formula, data[kept], n_groups=2, n_factors=1, weights="w").fit(n_starts=1)


@pytest.fixture(params=["grouped", "mixed", "holes", "soft"])
def fitted(request: pytest.FixtureRequest) -> Any:
    if request.param == "soft":
        return request.getfixturevalue("grouped").model.fit(groups="soft")
    return request.getfixturevalue(request.param)


def test_the_mean_by_precision_is_the_slope_of_the_group(fitted: Any) -> None:
    estimate, own = fitted._inference.estimate, fitted.unit_params.to_numpy()
    free = [j for j in range(own.shape[1]) if j not in fitted._common]
    a, c, _ = estimate.unit_moments
    a, own, table = a[:, free][:, :, free], own[:, free], fitted.params_by_group.to_numpy()
    determined = np.isfinite(own).all(axis=1)
    products = np.where(determined[:, None], np.einsum("npq,nq->np", a, np.nan_to_num(own)), c[:, free])
    share = np.eye(fitted.n_groups)[estimate.groups] if fitted._soft is None else fitted._soft.posterior
    for k, weights in enumerate(share.T):
        mean = np.linalg.solve(np.einsum("n,npq->pq", weights, a), weights @ products)
        np.testing.assert_allclose(mean, table[k, free], rtol=3e-7)
    assert determined.sum() >= len(own) - 2
    for j in fitted._common:
        name = fitted.unit_params.columns[j]
        assert (fitted.unit_params[name] == fitted.params[name]).all()
        assert (fitted.unit_bse[name] == fitted.bse[name]).all()


def test_each_is_the_regression_of_the_entity_on_factors_and_effects(grouped: Any, holes: Any) -> None:
    for res, columns in ((grouped, 2), (holes, 2)):
        e = res._inference.estimate
        for i in (2, 3, 11):
            seen = np.ones(e.shape[1], dtype=bool) if e.observed is None else e.observed[i]
            x = np.column_stack([e.x[i], e.factors, np.ones(e.shape[1])])[seen]
            weights = np.ones(seen.sum()) if e.root is None else e.root[i, seen] ** 2
            alone = sm.WLS((e.y[i] - e.time_effect)[seen], x, weights=weights).fit()
            np.testing.assert_allclose(res.unit_params.iloc[i], alone.params[:columns], rtol=1e-7)
            np.testing.assert_allclose(res.unit_bse.iloc[i], alone.bse[:columns], rtol=1e-7)


def test_what_an_entity_does_not_determine_is_missing_and_drawn_to_the_group(holes: Any) -> None:
    assert holes.unit_params.loc[1].isna().all() and holes.unit_bse.loc[1].isna().all()
    assert np.isnan(holes.unit_params.loc[2, "x2"]) and np.isfinite(holes.unit_params.loc[2, "x1"])
    assert holes.unit_params.notna().sum().sum() == 2 * 24 - 3
    assert holes.unit_params_shrunken.notna().all(axis=None)
    ax = holes.plot.unit_slopes()
    assert "2 of 24 entities" in " ".join(text.get_text() for text in ax.texts)


def test_they_are_drawn_as_far_as_their_spread_is_error(grouped: Any) -> None:
    """By Bayes' rule at the spread found, which is a fixed point of its expectation."""
    estimate, found = grouped._inference.estimate, grouped._unit_slopes
    centre = grouped.params_by_group.to_numpy()[estimate.groups]
    gap, moved = found.params - centre, found.shrunken - centre
    lengths = [np.linalg.norm(one / gap.std(axis=0), axis=1) for one in (gap, moved)]
    assert (lengths[1] < lengths[0]).mean() > 0.9
    clear = np.linalg.eigvalsh(gap.T @ gap / len(gap) - found.spread)
    assert clear.min() > 0  # what is left is less than what is seen


def test_members_that_share_their_slopes_are_drawn_all_the_way() -> None:
    panel = simulate("S", 60, 40, random_state=5)
    res = GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2).fit(n_starts=1)
    truth = panel.truth.alpha[panel.truth.groups - 1]
    placed = res.groups.to_numpy() == panel.truth.groups
    both = res.unit_params.to_numpy(), res.unit_params_shrunken.to_numpy()
    raw, drawn = (np.square(one - truth)[placed].mean() for one in both)
    assert placed.mean() > 0.9 and drawn < 0.15 * raw
    # slopes that differ within the groups are not
    rng = np.random.default_rng(1)
    own = rng.normal(0, 0.5, 60)
    data = panel.data.copy()
    data["y"] += np.repeat(own, 40) * data["x1"]
    spread = unit_slopes(
        GroupedIFE.from_formula("y ~ 0 + x1 + x2", data, n_groups=1, n_factors=2).fit(n_starts=1)._inference.estimate
    ).spread
    expected = np.cov((truth + np.column_stack([own, 0 * own])).T)
    np.testing.assert_allclose(spread, expected, atol=0.12)
