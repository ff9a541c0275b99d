"""The deconvolved first bias term: exact expectations, pairs of periods, and what it does in dynamic panels."""

from __future__ import annotations

import numpy as np
import pytest

from gifepanel.exceptions import SpecificationError
from gifepanel.inference import bias_terms, factor_space
from gifepanel.inference.predetermined_bias import balanced_lag_weights, deconvolved_bandwidth, lag_weights

T = 11
GAMMA = np.array([0.9, -0.4, 0.7])
GAP = np.array([0, 1, 2, 5, 6, 7, 8, 9, 12, 13, 14])


def projection(known: bool, n_factors: int) -> np.ndarray:
    """Orthonormal columns (T, r) of known and estimated factors."""
    f = np.random.default_rng(3).normal(size=(T, n_factors)) if n_factors else None
    return factor_space(1, T, factors=f, entity_effects=known).time


@pytest.mark.parametrize("periods", [np.arange(T), GAP])
@pytest.mark.parametrize(("known", "n_factors"), [(True, 0), (False, 1), (True, 2)])
def test_expected_products_give_the_exact_bias(known: bool, n_factors: int, periods: np.ndarray) -> None:
    """With E[e_t z_{t+l}] = gamma_l, expected products of projected residuals give back B1 of the true gamma.

    Products are linear in e and z, so that their expectation is that of one period of the errors after the other:
    residuals M delta_u beside regressors that are gamma_l, l periods after u. No simulation.
    """
    p = projection(known, n_factors) @ projection(known, n_factors).T
    lags = np.subtract.outer(periods, periods).T  # of the column's period behind the row's
    covariance = sum(gamma * (lags == lag) for lag, gamma in enumerate(GAMMA, 1))
    expected = (np.eye(T) - p) @ covariance
    omega = balanced_lag_weights(projection(known, n_factors), GAMMA.size, periods)
    found = sum(share * expected[lags == lag].sum() for lag, share in enumerate(omega, 1))
    truth = (p * covariance).sum()
    assert abs(truth) > 0.1
    assert found == pytest.approx(truth, rel=1e-12)
    published = sum((p * expected)[lags == lag].sum() for lag in (1, 2, 3))
    assert abs(published / truth - 1) > 0.05


def draw(seed: int, n: int = 9, q: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Regressors, residuals, factors, loadings."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, T, q)), rng.normal(size=(n, T)), rng.normal(size=(T, 1)), rng.normal(size=(n, 1))


@pytest.mark.parametrize("periods", [None, GAP])
def test_terms_of_a_complete_panel(periods: np.ndarray | None) -> None:
    """B1 from the products themselves: gamma = C^-1 S with plain loops, then the sum over pairs."""
    z, e, f, lam = draw(5)
    m, when = 3, np.arange(T) if periods is None else periods
    p = factor_space(9, T, factors=f, entity_effects=True).time
    p = p @ p.T
    c, s, pi = np.zeros((m, m)), np.zeros((m, 3)), np.zeros(m)
    place = {period: k for k, period in enumerate(when.tolist())}
    centred = z - z.mean(axis=1, keepdims=True)
    for i in range(9):
        for t, period in enumerate(when.tolist()):
            for lag in range(1, m + 1):
                if period + lag not in place:
                    continue
                s[lag - 1] += e[i, t] * centred[i, place[period + lag]]
                pi[lag - 1] += p[t, place[period + lag]]
                c[lag - 1, lag - 1] += 1
                for j in range(1, m + 1):
                    if period + lag - j in place:
                        c[lag - 1, j - 1] -= p[t, place[period + lag - j]]
    w = np.diag([1.0, 2.0, 4.0])
    options = {"known_factors": np.ones((T, 1)), "deconvolved": True, "m1": m, "m2": 1, "periods": periods}
    res = bias_terms(z, e, f, lam, w, predetermined=True, **options)
    np.testing.assert_allclose(res.b1, np.linalg.solve(w, pi @ np.linalg.solve(c, s)) / (9 * T), rtol=1e-10)
    assert res.m1 == m
    one = bias_terms(z, e, f, lam, w, predetermined=[1], **options)
    np.testing.assert_allclose(one.b1, [0, res.b1[1], 0], rtol=1e-12)
    np.testing.assert_array_equal(one.b3, res.b3)
    order = np.random.default_rng(1).permutation(9)
    mixed = bias_terms(z[order], e[order], f, lam[order], w, predetermined=True, **options)
    np.testing.assert_allclose(mixed.total, res.total, rtol=1e-10)
    level = z + np.arange(9)[:, None, None]
    np.testing.assert_allclose(bias_terms(level, e, f, lam, w, predetermined=True, **options).b1, res.b1, rtol=1e-9)


def test_a_gap_is_a_panel_whose_middle_is_missing() -> None:
    """The published terms with a gap are those of the whole calendar, zero where nothing is observed."""
    z, e, f, lam = draw(7)
    wide = {name: np.zeros((9, 15, *values.shape[2:])) for name, values in (("z", z), ("e", e))}
    wide["z"][:, GAP], wide["e"][:, GAP] = z, e
    f_wide = np.zeros((15, 1))
    f_wide[GAP] = f
    options = {"predetermined": True, "m1": 3, "m2": 3}
    res = bias_terms(z, e, f, lam, np.eye(3), periods=GAP, **options)
    whole = bias_terms(wide["z"], wide["e"], f_wide, lam, np.eye(3), **options)
    np.testing.assert_allclose(res.total, whole.total * 15 / T, rtol=1e-10)
    assert not np.allclose(res.total, bias_terms(z, e, f, lam, np.eye(3), **options).total)


def test_bandwidth_and_too_few_periods() -> None:
    assert [deconvolved_bandwidth(t) for t in (2, 3, 16, 30, 81, 100, 256)] == [1, 2, 4, 5, 6, 7, 8]
    z, e, _, _ = draw(1)
    with pytest.raises(SpecificationError, match=r"m1 = 11 with 11 periods") as caught:
        bias_terms(z, e, None, None, np.eye(3), deconvolved=True, m1=11)
    assert "ceil(2 T^(1/4)) = 4" in str(caught.value)
    # what is left of the second covariance is too little to tell, or no pair of periods has it
    assert lag_weights(np.diag([0.5, 0.05]), np.ones(2), np.ones(2)).tolist() == [2.0]
    assert lag_weights(np.zeros((2, 2)), np.ones(2), np.zeros(2)).size == 0
    assert lag_weights(np.eye(2), np.ones(2), np.array([1.0, 0.0])).tolist() == [1.0]
