"""Years and their squares: descents against exact least squares, and against regressors that are centred."""

from __future__ import annotations

import numpy as np
import pytest

import gifepanel as gife
from gifepanel.solvers.arrays import prepare
from gifepanel.solvers.orthogonal_slopes import combinations

N, T, CENTRE = 15, 8, 1960.0


def panel() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcome (N, T), regressors with birth years and squares, and the same around their centre."""
    rng = np.random.default_rng(0)
    years = np.round(CENTRE + rng.uniform(-20, 20, (N, 1)) + rng.integers(0, 3, (N, T)))
    z = rng.normal(size=(N, T))
    near = years - CENTRE
    y = z + 0.05 * near + 0.01 * near**2 + rng.normal(size=(N, T)) + rng.normal(size=(N, 1)) * rng.normal(size=T)
    one = np.ones((N, T))
    return y, np.stack([one, years, years**2, z], 2), np.stack([one, near, near**2, z], 2)


MAP = np.array([[1, -CENTRE, CENTRE**2, 0], [0, 1, -2 * CENTRE, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])


@pytest.mark.parametrize("n_factors", [0, 1])
@pytest.mark.parametrize("entity_effects", [False, True])
def test_slopes_of_years_and_their_squares(n_factors: int, entity_effects: bool) -> None:
    y, far, near = panel()
    keep = slice(1, None) if entity_effects else slice(None)
    options = {"n_factors": n_factors} | ({"absorb": "entity"} if entity_effects else {})
    a = gife.InteractiveFE(y, far[..., keep], **options).fit()
    b = gife.InteractiveFE(y, near[..., keep], **options).fit()
    c = gife.GroupedIFE(y, far[..., keep], n_groups=1, **options).fit()
    want = MAP[keep, keep] @ b.params.to_numpy()
    assert a.converged
    np.testing.assert_allclose([a.ssr, c.ssr], b.ssr, rtol=1e-9)
    for res in (a, c):
        np.testing.assert_allclose(res.params, want, rtol=1e-6)
        np.testing.assert_allclose(res.cov_params(), MAP[keep, keep] @ b.cov_params() @ MAP[keep, keep].T, rtol=1e-6)
    if n_factors == 0 and not entity_effects:
        exact = np.linalg.lstsq(near.reshape(N * T, 4), y.ravel(), rcond=None)[0]
        np.testing.assert_allclose(a.params, MAP @ exact, rtol=1e-9)


def test_common_slopes_are_not_mixed_with_those_of_groups() -> None:
    """Each block alone; the combinations span what the regressors span, and are orthonormal."""
    y, far, near = panel()
    made = combinations(prepare(y, far), [[0, 1, 2], [3]])
    assert made is not None
    flat = made.data.xt.transpose(0, 2, 1).reshape(N * T, 4)
    np.testing.assert_allclose((flat.T @ flat)[:3, :3], np.eye(3), atol=1e-6)
    np.testing.assert_allclose(flat @ made.triangle, far.reshape(N * T, 4), rtol=1e-9)
    assert not made.triangle[:3, 3].any()
    slots, theta = np.array([[1, 2, 3, 0], [4, 5, 6, 0]]), np.arange(7.0)
    np.testing.assert_allclose(made.back(made.forth(theta, slots), slots), theta, rtol=1e-6, atol=1e-6)
    assert combinations(prepare(y, near), [[0, 1, 2, 3]]) is None  # nothing is changed where nothing is close
