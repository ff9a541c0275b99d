"""Interactive fixed effects: derivatives, dense definitions, local minima."""

from __future__ import annotations

import numpy as np
import pytest

from gifepanel.solvers.arrays import prepare, principal_components, residuals
from gifepanel.solvers.interactive import (
    InteractiveFit,
    SlopeMap,
    _evaluate,
    fit_interactive,
    fit_interactive_multistart,
    projected_gram,
)
from gifepanel.solvers.multistart import interactive_starts
from tests.reference.ife_numpy import cigar_panel, fit_ife
from tests.solvers.panels import annihilator, grouped_panel


def one_group(n: int, p: int) -> SlopeMap:
    return SlopeMap.grouped(np.zeros(n, dtype=np.int64), 1, p)


def design(x: np.ndarray, slopes: SlopeMap) -> np.ndarray:
    """Z (N, T, q): the regressors of the free parameters, written out."""
    n, t, p = x.shape
    z = np.zeros((n, t, slopes.size))
    for i in range(n):
        for j in range(p):
            z[i, :, slopes.slots[slopes.groups[i], j]] += x[i, :, j]
    return z


CASES = [
    pytest.param({}, 1, (), id="one-group"),
    pytest.param({}, 3, (), id="groups"),
    pytest.param({}, 3, (1,), id="common-slope"),
    pytest.param({"time_effects": True}, 3, (), id="groups-time"),
    pytest.param({"entity_effects": True, "time_effects": True}, 2, (0,), id="two-way-common"),
]


def problem(effects, k, common, n=18, t=11, seed=3):
    panel = grouped_panel(n, t, k=k, r=2, seed=seed, entity=1.0, time=1.0)
    data = prepare(panel.y, panel.x, **effects)
    return panel, data, SlopeMap.grouped(panel.groups, k, 2, common)


@pytest.mark.parametrize(("effects", "k", "common"), CASES)
@pytest.mark.parametrize("n_factors", [0, 1, 3])
def test_gradient_against_differences(effects, k, common, n_factors):
    _, data, slopes = problem(effects, k, common)
    theta = np.random.default_rng(1).standard_normal(slopes.size)
    point = _evaluate(data, slopes, n_factors, theta)

    def ssr(value):
        resid = residuals(data, slopes.unit_slopes(value))
        return principal_components(resid, n_factors, time_effects=data.time_effects).ssr

    assert point.value == pytest.approx(ssr(theta), rel=1e-11)
    assert (point.resid**2).sum() == pytest.approx(point.value, rel=1e-11)
    step = 1e-5
    for j in range(slopes.size):
        e = step * np.eye(slopes.size)[j]
        slope = (ssr(theta + e) - ssr(theta - e)) / (2 * step)
        assert point.gradient[j] == pytest.approx(slope, rel=1e-6, abs=1e-4)


@pytest.mark.parametrize(("effects", "k", "common"), CASES)
@pytest.mark.parametrize("n_factors", [0, 2])
def test_projected_gram_against_dense_projections(effects, k, common, n_factors):
    _, data, slopes = problem(effects, k, common)
    n, t, _ = data.shape
    fit = fit_interactive(data, slopes, n_factors, np.zeros(slopes.size))
    z = design(data.xt.transpose(0, 2, 1), slopes)
    left = [fit.components.loadings]
    if data.time_effects:
        left.append(np.ones((n, 1)))
    m_l, m_f = annihilator(np.hstack(left)), annihilator(fit.components.factors)
    projected = np.einsum("ij,jtq,ts->isq", m_l, z, m_f).reshape(n * t, -1)
    got = projected_gram(data, slopes, fit.components.factors, fit.components.loadings)
    np.testing.assert_allclose(got, projected.T @ projected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("effects", "k", "common"), CASES)
@pytest.mark.parametrize("n_factors", [1, 2])
def test_first_order_condition_with_dense_projections(effects, k, common, n_factors):
    """Z' (M_L (y - Z theta) M_F) = 0 with F and L the principal components of y - Z theta: Bai (2009, eqs. 11-12)."""
    _, data, slopes = problem(effects, k, common)
    fit = fit_interactive(data, slopes, n_factors, np.zeros(slopes.size))
    assert fit.converged
    z = design(data.xt.transpose(0, 2, 1), slopes)
    w = data.y - z @ fit.theta
    if data.time_effects:
        w = w - w.mean(axis=0)
    u, s, vt = np.linalg.svd(w)
    resid = w - (u[:, :n_factors] * s[:n_factors]) @ vt[:n_factors]
    np.testing.assert_allclose(fit.resid, resid, atol=1e-9)
    score = np.einsum("ntq,nt->q", z, resid)
    assert np.abs(score).max() <= 1e-6 * np.sqrt((z**2).sum() * (resid**2).sum())
    assert fit.ssr == pytest.approx((s[n_factors : min(w.shape)] ** 2).sum(), rel=1e-11)


def dense_reference(y, x, slopes, n_factors, effects, theta, rounds=20_000):
    """Dummies written out and regressed on with Z, alternating with principal components: slow and simple."""
    n, t, _ = x.shape
    columns = [design(x, slopes).reshape(n * t, -1)]
    if effects.get("entity_effects"):
        columns.append(np.kron(np.eye(n), np.ones((t, 1))))
    if effects.get("time_effects"):
        columns.append(np.kron(np.ones((n, 1)), np.eye(t)))
    full = np.hstack(columns)
    solver = np.linalg.pinv(full)
    q = slopes.size
    delta = np.r_[theta, np.zeros(full.shape[1] - q)]
    common = np.zeros((n, t))
    delta = solver @ y.ravel() if not theta.any() else delta
    for _ in range(rounds):
        w = y - (full @ delta).reshape(n, t)
        u, s, vt = np.linalg.svd(w, full_matrices=False)
        common = (u[:, :n_factors] * s[:n_factors]) @ vt[:n_factors]
        new = solver @ (y - common).ravel()
        moved = np.abs(new[:q] - delta[:q]).max()
        delta = new
        if moved < 1e-13:
            break
    left = y - (full @ delta).reshape(n, t) - common
    return delta[:q], float((left**2).sum())


@pytest.mark.parametrize(("effects", "k", "common"), CASES)
def test_same_estimate_as_explicit_dummies(effects, k, common):
    panel, data, slopes = problem(effects, k, common, n=12, t=15)
    theta = np.zeros(slopes.size)
    theta[:] = np.random.default_rng(2).normal(1.0, 0.1, slopes.size)
    fit = fit_interactive(data, slopes, 2, theta)
    reference, ssr = dense_reference(panel.y, panel.x, slopes, 2, effects, fit.theta + 1e-3)
    np.testing.assert_allclose(fit.theta, reference, atol=2e-8)
    assert fit.ssr == pytest.approx(ssr, rel=1e-10)


@pytest.mark.parametrize("effects", [{}, {"entity_effects": True}, {"entity_effects": True, "time_effects": True}])
@pytest.mark.parametrize("common", [(), (0,)])
def test_without_factors_it_is_least_squares_with_dummies(effects, common):
    panel, data, slopes = problem(effects, 3, common)
    n, t, _ = data.shape
    fit = fit_interactive(data, slopes, 0, np.zeros(slopes.size))
    columns = [design(panel.x, slopes).reshape(n * t, -1)]
    if effects.get("entity_effects"):
        columns.append(np.kron(np.eye(n), np.ones((t, 1))))
    if effects.get("time_effects"):
        columns.append(np.kron(np.ones((n, 1)), np.eye(t)))
    solution, _, _, _ = np.linalg.lstsq(np.hstack(columns), panel.y.ravel(), rcond=None)
    np.testing.assert_allclose(fit.theta, solution[: slopes.size], rtol=1e-10, atol=1e-11)
    assert fit.converged
    if not data.time_effects:
        assert fit.n_iter <= 2


@pytest.mark.parametrize("n_factors", [1, 3])
@pytest.mark.parametrize(("entity", "time"), [(False, False), (True, False), (True, True)])
def test_agrees_with_the_plain_numpy_solver(n_factors, entity, time):
    panel = grouped_panel(20, 14, k=1, r=n_factors, seed=5, entity=1.0, time=1.0)
    reference = fit_ife(panel.y, panel.x, n_factors, entity=entity, time=time)
    data = prepare(panel.y, panel.x, entity_effects=entity, time_effects=time)
    slopes = one_group(20, 2)
    starts = interactive_starts(data, slopes, n_factors, 6, np.random.default_rng(0))
    fit = fit_interactive_multistart(data, slopes, n_factors, starts)
    np.testing.assert_allclose(fit.theta, reference.beta, atol=1e-8)
    assert fit.ssr == pytest.approx(reference.ssr, rel=1e-11)


def test_more_iterations_never_raise_the_objective():
    sales, price = cigar_panel("Sales", "Price")
    data = prepare(sales, price[:, :, None], entity_effects=True, standardize=True)
    path = [
        fit_interactive(data, one_group(46, 1), 5, np.array([40.0]), max_iter=rounds, tol=0.0).ssr
        for rounds in range(0, 25)
    ]
    assert (np.diff(path) <= 1e-13 * path[0]).all()
    assert path[-1] < 0.9 * path[0]


def test_common_slopes_have_one_parameter():
    slopes = SlopeMap.grouped(np.array([0, 1, 1, 2]), 3, 3, common=(1,))
    assert slopes.size == 1 + 3 * 2
    theta = np.arange(7.0)
    np.testing.assert_array_equal(slopes.unit_slopes(theta), [[1, 0, 2], [3, 0, 4], [3, 0, 4], [5, 0, 6]])
    values = np.random.default_rng(0).standard_normal((4, 3))
    # gather is the transpose of unit_slopes
    assert slopes.gather(values) @ theta == pytest.approx((values * slopes.unit_slopes(theta)).sum(), rel=1e-13)


def minima_from(y, x, n_factors, n_starts=10, seed=0, **effects) -> tuple[InteractiveFit, np.ndarray]:
    data = prepare(y, x, standardize=True, **effects)
    slopes = one_group(len(y), x.shape[2])
    starts = interactive_starts(data, slopes, n_factors, n_starts, np.random.default_rng(seed))
    return fit_interactive_multistart(data, slopes, n_factors, starts), data.scale


def test_usual_starts_miss_the_minimum_on_cigar():
    """Sales on Price and NDI, R = 4, no additive effects: pooled, zero and heterogeneous starts end 6 % too high."""
    sales, price, ndi = cigar_panel("Sales", "Price", "NDI")
    x = np.stack([price, ndi], axis=2)
    fit, scale = minima_from(sales, x, 4)
    assert fit.converged
    best, other = fit.minima
    assert best.ssr == fit.ssr
    assert other.ssr / best.ssr == pytest.approx(18590.851801 / 17508.10076, rel=1e-8)
    assert {"pooled", "zero", "heterogeneous"} <= set(other.starts)
    assert all(name.startswith("random") for name in best.starts)
    assert len(best.starts) + len(other.starts) == 10
    # both are stationary points of a solver that knows nothing of this one
    for minimum in fit.minima:
        from tests.reference.ife_numpy import _descend

        again = _descend(sales, x, 4, minimum.theta / scale)
        assert again.ssr == pytest.approx(minimum.ssr, rel=1e-10)


def test_few_starts_return_the_inferior_minimum():
    sales, price, ndi = cigar_panel("Sales", "Price", "NDI")
    fit, _ = minima_from(sales, np.stack([price, ndi], axis=2), 4, n_starts=3)
    assert fit.ssr == pytest.approx(18590.851801, rel=1e-9)
    assert len(fit.minima) == 1


def test_an_infimum_at_infinity_is_one_minimum_and_ends_early():
    """Log sales with an intercept, R = 3: from some starts intercept and loadings grow without bound."""
    sales, price, ndi, cpi = cigar_panel("Sales", "Price", "NDI", "CPI")
    x = np.stack([np.log(price / cpi), np.log(ndi / cpi), np.ones_like(price)], axis=2)
    fit, scale = minima_from(np.log(sales), x, 3)
    assert fit.converged
    assert fit.ssr == pytest.approx(1.196967, rel=1e-6)
    np.testing.assert_allclose(fit.theta / scale, [-0.40897, 0.40143, 3.42684], atol=1e-5)
    assert len(fit.minima) == 2
    assert fit.minima[1].ssr == pytest.approx(1.25175, rel=1e-4)
    assert abs(fit.minima[1].theta[2]) > 1e3
    data = prepare(np.log(sales), x, standardize=True)
    lost = fit_interactive(data, one_group(46, 3), 3, np.zeros(3))
    assert not lost.converged
    assert lost.n_iter < 200


@pytest.mark.parametrize("n_factors", [0, 1, 2])
def test_a_regressor_absorbed_by_the_time_effects_does_not_stop_the_others(n_factors):
    """Its projected length is rounding; scaled by it, the normal equations would see nothing else."""
    sales, price = cigar_panel("Sales", "Price")
    alone, scale = minima_from(sales, price[:, :, None], n_factors, time_effects=True)
    rng = np.random.default_rng(0)
    for series in (np.ones(30), *(1e3 + rng.standard_normal((6, 30)))):
        x = np.stack([price, np.broadcast_to(series, price.shape)], axis=2)
        both, scales = minima_from(sales, x, n_factors, time_effects=True)
        assert both.ssr == pytest.approx(alone.ssr, rel=1e-9)
        assert both.theta[0] / scales[0] == pytest.approx(alone.theta[0] / scale[0], rel=1e-5)
        assert len(both.minima) == len(alone.minima)


@pytest.mark.parametrize("n_factors", [0, 2])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_an_outcome_fitted_exactly(n_factors, scale):
    panel = grouped_panel(15, 12, k=1, r=2, seed=7, noise=0.0)
    y = scale * panel.y if n_factors else scale * panel.x @ panel.alpha[0]
    fit, norm = minima_from(y, panel.x, n_factors)
    assert fit.converged
    np.testing.assert_allclose(fit.theta / norm, scale * panel.alpha[0], rtol=1e-7)
    assert fit.ssr <= 1e-20 * (y**2).sum()
    assert len(fit.minima) == 1


def test_a_constant_outcome():
    panel = grouped_panel(10, 12, seed=8)
    for y in (np.zeros((10, 12)), np.full((10, 12), 3.0)):
        fit, _ = minima_from(y, panel.x, 1, entity_effects=True)
        assert fit.converged
        assert not fit.theta.any()
        assert fit.ssr == 0.0


@pytest.mark.parametrize("s", [1e-6, -1.0, 1e6])
def test_equivariance(s):
    panel = grouped_panel(20, 12, k=1, seed=9)
    base, norm = minima_from(panel.y, panel.x, 2)
    theta = base.theta / norm
    other, norm = minima_from(s * panel.y, panel.x, 2)
    np.testing.assert_allclose(other.theta / norm, s * theta, rtol=1e-8)
    d = np.array([s, -0.1])
    other, norm = minima_from(panel.y, panel.x * d, 2)
    np.testing.assert_allclose(other.theta / norm, theta / d, rtol=1e-8)
    rows, cols = np.random.default_rng(0).permutation(20), np.random.default_rng(1).permutation(12)
    other, norm = minima_from(panel.y[rows][:, cols], panel.x[rows][:, cols], 2)
    np.testing.assert_allclose(other.theta / norm, theta, rtol=1e-8)
    flipped, norm = minima_from(panel.y.T.copy(), panel.x.swapaxes(0, 1).copy(), 2)
    np.testing.assert_allclose(flipped.theta / norm, theta, rtol=1e-8)
