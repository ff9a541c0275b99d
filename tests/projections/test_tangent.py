"""The projection off the tangent space of panels with holes, against least squares on its directions."""

from __future__ import annotations

import numpy as np
import pytest

import gifepanel as gife
from gifepanel.projections import tangent
from tests.solvers.panels import grouped_panel


@pytest.fixture(
    scope="module", params=[(True, 1.0), (True, 0.7), (False, 0.7)], ids=["complete", "holes", "no effects"]
)
def space(request: pytest.FixtureRequest) -> tangent.TangentSpace:
    """Of a fit with two factors, weights and, in two cases, additive effects."""
    effects, share = request.param
    panel, rng = grouped_panel(25, 12, seed=3), np.random.default_rng(4)
    y = np.where(rng.random(panel.y.shape) < share, panel.y, np.nan)
    weights = rng.uniform(0.5, 2.0, panel.y.shape)
    options = {"absorb": ["entity", "time"]} if effects else {}
    model = gife.InteractiveFE(y, panel.x, n_factors=2, weights=weights, **options)
    return model.fit()._estimate.tangent


def directions(space: tangent.TangentSpace) -> np.ndarray:
    """Those of entities and of periods, a row for each cell."""
    (n, t), loadings, cells = space.shape, space.period_loadings, np.arange(space.n_cells)
    own = np.zeros((len(cells), n, space.state.q.shape[0]))
    own[cells, space.entity] = space.state.q.T
    dated = np.zeros((len(cells), t, len(loadings)))
    dated[cells, space.data.time] = loadings.T
    return np.concatenate([own.reshape(len(cells), -1), dated.reshape(len(cells), -1)], axis=1)


@pytest.mark.parametrize("direct", [True, False])
def test_residuals_are_those_of_least_squares(
    space: tangent.TangentSpace, direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not direct:
        monkeypatch.setattr(tangent, "_DIRECT", 0)
    d, z = directions(space), np.random.default_rng(5).normal(size=(3, space.n_cells))
    z[2] = d @ np.random.default_rng(6).normal(size=d.shape[1])  # of which nothing is left
    left, phi = space.residual(z)
    expected = z.T - d @ np.linalg.lstsq(d, z.T, rcond=1e-11)[0]
    np.testing.assert_allclose(left.T, expected, atol=1e-10 * np.abs(z).max())
    own = z.copy()
    tangent.off_units(space.data.ptr, space.state.q, own)
    right, again = space.coefficients(z)
    np.testing.assert_array_equal(phi, again)
    taken = np.einsum("irt,jrt->ij", right, phi)
    np.testing.assert_allclose(taken, own @ own.T - left @ left.T, rtol=1e-9, atol=1e-9 * np.trace(own @ own.T))


def test_rank_is_that_of_the_directions(space: tangent.TangentSpace) -> None:
    assert space.rank_units + space.rank_periods == np.linalg.matrix_rank(directions(space), 1e-8)
