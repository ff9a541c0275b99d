"""The grouped estimator: optimality conditions, invariances, degenerate data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gifepanel.solvers.arrays import PanelArrays, prepare
from gifepanel.solvers.classify import fill_empty, nearest_centre, slope_distances
from gifepanel.solvers.descent import DescentResult, descend
from gifepanel.solvers.grouped import GroupedOptions, fit_grouped
from gifepanel.solvers.heterogeneous import heterogeneous_slopes, kmeans_centres
from gifepanel.solvers.interactive import SlopeMap, fit_interactive, fit_interactive_multistart
from gifepanel.solvers.multistart import interactive_starts
from gifepanel.solvers.penalty import product_penalty, scale_free_kappa
from gifepanel.solvers.sweep import sweep
from tests.solvers.panels import SLOPES, annihilator, fitted, grouped_panel, matched, raw_criterion, slopes_of

# ---- the criterion and its stationary points --------------------------------------------------------------------


def descended(panel, k, r, c, **effects) -> tuple[PanelArrays, float, DescentResult]:
    data = prepare(panel.y, panel.x, standardize=True, **effects)
    start = heterogeneous_slopes(data, r)
    centres = kmeans_centres(start, k, np.random.default_rng(0))[0]
    n, t, _ = data.shape
    kappa = scale_free_kappa(c, float(np.sqrt(start.ssr / (n * t))), t, centres.alpha)
    swept = sweep(data, r, kappa, centres.alpha, start.beta)
    return data, kappa, descend(data, r, kappa, swept.alpha, swept.copies[-1], tol=1e-9, max_iter=2000)


def stationarity(data: PanelArrays, r: int, kappa: float, done: DescentResult) -> tuple[float, float, float]:
    """Violations of the first-order conditions of Q by dense projections: units off centres, on them, the centres.

    The force of unit i is (2/T) X_i'M_F r_i, minus N times the gradient of the first term (envelope theorem). Off the
    centres it balances the penalty's gradient; at centre k it is at most kappa prod_{l != k} ||alpha_k - alpha_l||; a
    centre is pulled by the units that sit on it and by the penalties of those that don't.
    """
    n, t, p = data.shape
    x = data.xt.transpose(0, 2, 1)
    resid = data.y - np.einsum("ntp,np->nt", x, done.beta)
    if data.time_effects:
        resid = resid - resid.mean(axis=0)
    _, vectors = np.linalg.eigh(resid.T @ resid)
    resid = resid @ annihilator(vectors[:, t - r :]) if r else resid
    force = 2.0 / t * np.einsum("ntp,nt->np", x, resid)
    alpha, beta = done.alpha, done.beta
    k = len(alpha)
    size = np.linalg.norm(2.0 / t * np.einsum("ntp,nt->np", x, data.y), axis=1).mean()
    off_violation = on_violation = 0.0
    pull = np.zeros((k, p))
    for i in range(n):
        if done.at[i] >= 0:
            np.testing.assert_array_equal(beta[i], alpha[done.at[i]])
            others = np.delete(np.linalg.norm(alpha - beta[i], axis=1), done.at[i])
            on_violation = max(on_violation, np.linalg.norm(force[i]) - kappa * others.prod())
            pull[done.at[i]] += force[i]
            continue
        distance = np.linalg.norm(beta[i] - alpha, axis=1)
        penalty = np.array(
            [kappa * np.delete(distance, m).prod() * (beta[i] - alpha[m]) / distance[m] for m in range(k)]
        )
        off_violation = max(off_violation, np.linalg.norm(force[i] - penalty.sum(axis=0)))
        pull += penalty
    return off_violation / size, on_violation / size, float(np.abs(pull).max() / size)


@pytest.mark.parametrize("c", [0.05, 0.5, 1.0, 5.0])
@pytest.mark.parametrize(
    ("n", "t", "k", "r", "p"),
    [(30, 20, 3, 2, 2), (15, 30, 3, 1, 2), (40, 15, 2, 0, 3), (30, 25, 3, 1, 1), (36, 25, 6, 1, 2)],
)
def test_descent_ends_at_a_stationary_point(n, t, k, r, p, c):
    panel = grouped_panel(n, t, k=k, r=r, p=p, seed=n + k)
    data, kappa, done = descended(panel, k, r, c)
    assert done.converged
    off, on, centre = stationarity(data, r, kappa, done)
    assert off <= 1e-6
    assert on <= 1e-9
    assert centre <= 1e-6
    # Q is what it says, and never rises
    x = data.xt.transpose(0, 2, 1)
    assert done.criterion == pytest.approx(raw_criterion(data.y, x, r, kappa, done.beta, done.alpha), rel=1e-11)
    path = np.array(done.path)
    assert (np.diff(path) <= 0).all()
    assert path[-1] == done.criterion


@pytest.mark.parametrize("effects", [{"entity_effects": True}, {"time_effects": True}])
@pytest.mark.parametrize("c", [0.3, 2.0])
def test_stationary_under_additive_effects(effects, c):
    panel = grouped_panel(30, 20, seed=2, entity=1.0, time=1.0)
    data, kappa, done = descended(panel, 3, 1, c, **effects)
    assert done.converged
    assert max(stationarity(data, 1, kappa, done)) <= 1e-6
    x = data.xt.transpose(0, 2, 1)
    time = data.time_effects
    assert done.criterion == pytest.approx(
        raw_criterion(data.y, x, 1, kappa, done.beta, done.alpha, time=time), rel=1e-11
    )


def test_no_random_neighbour_is_better():
    panel = grouped_panel(20, 15, seed=3)
    data, kappa, done = descended(panel, 3, 1, 1.0)
    x = data.xt.transpose(0, 2, 1)
    rng = np.random.default_rng(0)
    for size in (1e-4, 1e-3, 1e-2):
        for _ in range(30):
            alpha = done.alpha + size * rng.standard_normal(done.alpha.shape)
            beta = np.where(
                done.at[:, None] >= 0, alpha[done.at], done.beta + size * rng.standard_normal(done.beta.shape)
            )
            assert raw_criterion(data.y, x, 1, kappa, beta, alpha) >= done.criterion * (1 - 1e-12)


@pytest.mark.parametrize("polish", [True, False])
@pytest.mark.parametrize("r", [0, 2])
def test_reported_criterion_is_the_raw_definition(polish, r):
    panel = grouped_panel(25, 15, r=r, seed=4)
    data = prepare(panel.y, panel.x)
    fit = fit_grouped(data, 3, r, GroupedOptions(kappa=0.4, standardize=False, polish=polish, n_audit=0))
    pen = fit.penalized
    raw = raw_criterion(panel.y, panel.x, r, 0.4, pen.unit_params, pen.centers)
    assert pen.criterion == pytest.approx(raw, rel=1e-11)
    assert pen.path[-1] == pen.criterion


def test_polish_lowers_the_criterion_of_the_sweep():
    panel = grouped_panel(40, 15, seed=5, noise=1.5)
    data = prepare(panel.y, panel.x)
    for kappa in (0.05, 0.5, 5.0):
        options = GroupedOptions(kappa=kappa, standardize=False, n_audit=0)
        polished = fit_grouped(data, 3, 2, options).penalized
        swept = fit_grouped(data, 3, 2, replace(options, polish=False)).penalized
        assert polished.criterion <= swept.criterion * (1 + 1e-12)


def test_penalty_pieces():
    rng = np.random.default_rng(6)
    beta, alpha = rng.standard_normal((7, 2)), rng.standard_normal((3, 2))
    distance = np.linalg.norm(beta[:, None] - alpha[None], axis=2)
    assert product_penalty(beta, alpha) == pytest.approx(distance.prod(axis=1).sum(), rel=1e-13)
    between = np.mean([np.linalg.norm(alpha[a] - alpha[b]) for a, b in ((0, 1), (0, 2), (1, 2))])
    assert scale_free_kappa(2.0, 1.5, 27, alpha) == pytest.approx(2.0 * 1.5 / 3.0 / between**2, rel=1e-13)
    assert scale_free_kappa(1.0, 2.0, 8, alpha[:1]) == pytest.approx(1.0)
    assert scale_free_kappa(1.0, 2.0, 8, np.ones((3, 2))) == 0.0


def test_no_sweeps_leave_the_start():
    panel = grouped_panel(12, 10, seed=7)
    data = prepare(panel.y, panel.x)
    start = heterogeneous_slopes(data, 1)
    done = sweep(data, 1, 0.5, np.zeros((2, 2)), start.beta, max_iter=0)
    assert (done.n_iter, done.converged) == (0, False)
    np.testing.assert_array_equal(done.alpha, np.zeros((2, 2)))


# ---- starts -----------------------------------------------------------------------------------------------------


def test_heterogeneous_slopes_are_unit_regressions_on_projected_data():
    panel = grouped_panel(20, 18, seed=8)
    data = prepare(panel.y, panel.x)
    start = heterogeneous_slopes(data, 2, tol=1e-13, max_iter=2000)
    m = annihilator(start.components.factors)
    for i in range(20):
        b = np.linalg.lstsq(m @ panel.x[i], m @ panel.y[i], rcond=None)[0]
        np.testing.assert_allclose(start.beta[i], b, atol=1e-5)
    resid = panel.y - np.einsum("ntp,np->nt", panel.x, start.beta)
    assert start.ssr == pytest.approx(20 * 18 * raw_criterion(panel.y, panel.x, 2, 0.0, start.beta, np.zeros((1, 2))))
    assert start.ssr <= (np.linalg.svd(resid)[1][2:] ** 2).sum() * (1 + 1e-10)


def test_without_factors_the_start_is_unit_least_squares():
    panel = grouped_panel(10, 12, r=1, seed=9)
    start = heterogeneous_slopes(prepare(panel.y, panel.x), 0)
    expected = [np.linalg.lstsq(x, y, rcond=None)[0] for x, y in zip(panel.x, panel.y, strict=True)]
    np.testing.assert_allclose(start.beta, expected, rtol=1e-9)
    assert not start.singular.any()


def test_partitions_are_local_minima_of_the_own_metric():
    panel = grouped_panel(40, 12, seed=10, noise=2.0)
    data = prepare(panel.y, panel.x)
    start = heterogeneous_slopes(data, 2)
    found = kmeans_centres(start, 3, np.random.default_rng(0), n_restarts=30)
    ssr = [centre.ssr for centre in found]
    assert ssr == sorted(ssr)
    assert sum(centre.agreed for centre in found) == 30
    q = start.quadratics
    for centre in found[:3]:
        gap = centre.alpha[None] - start.beta[:, None]
        own = np.einsum("nkp,npq,nkq->nk", gap, q.a, gap)
        assert (own[np.arange(40), centre.groups] <= own.min(axis=1) + 1e-9).mean() >= 0.95
        assert np.bincount(centre.groups, minlength=3).min() > 0


# ---- classification ---------------------------------------------------------------------------------------------


def test_distances():
    rng = np.random.default_rng(11)
    panel = grouped_panel(9, 12, seed=11)
    data = prepare(panel.y, panel.x)
    q = heterogeneous_slopes(data, 1).quadratics
    beta, alpha = rng.standard_normal((9, 2)), rng.standard_normal((3, 2))
    plain = np.array([[np.linalg.norm(b - a) for a in alpha] for b in beta])
    np.testing.assert_allclose(slope_distances(beta, alpha, "absolute"), plain, rtol=1e-13)
    np.testing.assert_allclose(
        slope_distances(beta, alpha, "relative"), plain / np.linalg.norm(alpha, axis=1), rtol=1e-13
    )
    own = [[np.sqrt((b - a) @ q.a[i] @ (b - a)) for a in alpha] for i, b in enumerate(beta)]
    np.testing.assert_allclose(slope_distances(beta, alpha, "mahalanobis", q), own, rtol=1e-12)
    copies = np.stack([beta + m for m in range(3)])
    expected = np.stack([np.linalg.norm(copies[m] - alpha[m], axis=1) for m in range(3)], axis=1)
    np.testing.assert_allclose(slope_distances(copies, alpha, "absolute"), expected, rtol=1e-13)


def test_no_group_is_left_empty():
    losses = np.array([[0.0, 5.0, 9.0], [1.0, 5.0, 9.0], [4.0, 5.0, 9.0], [3.0, 5.0, 9.0]])
    groups = nearest_centre(losses)
    assert np.bincount(groups, minlength=3).min() == 1
    assert groups[0] == groups[1] == 0
    assert sorted(groups[2:]) == [1, 2]
    np.testing.assert_array_equal(fill_empty(np.array([0, 1, 2, 2]), losses), [0, 1, 2, 2])


def test_refinement_ends_where_no_unit_wants_to_move():
    panel = grouped_panel(40, 15, seed=12, noise=1.5)
    nearest = fitted(panel, 3, 2, GroupedOptions(classify="nearest"))
    refined = fitted(panel, 3, 2, GroupedOptions(classify="refined"))
    assert refined.classification.settled
    assert refined.classification.fit.ssr <= nearest.classification.fit.ssr * (1 + 1e-9)
    alpha, factors = slopes_of(refined), refined.classification.fit.components.factors
    m = annihilator(factors)
    left = panel.y[:, None] - np.einsum("ntp,kp->nkt", panel.x, alpha)
    losses = ((left @ m) ** 2).sum(axis=2)
    np.testing.assert_array_equal(losses.argmin(axis=1), refined.groups)
    np.testing.assert_allclose(refined.classification.ssr, losses, rtol=1e-8)


# ---- the whole estimator ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "t", "k", "r"), [(60, 30, 3, 2), (24, 60, 3, 1), (60, 20, 2, 0), (90, 40, 6, 1), (45, 30, 4, 2)]
)
def test_groups_and_slopes_are_found(n, t, k, r):
    panel = grouped_panel(n, t, k=k, r=r, seed=13)
    fit = fitted(panel, k, r, GroupedOptions(n_starts=1 if k < 4 else 5))
    assert matched(fit.groups, panel.groups) >= 0.93
    order = np.lexsort(panel.alpha.T[::-1])
    np.testing.assert_allclose(slopes_of(fit), panel.alpha[order], atol=0.12)
    assert fit.classification.fit.converged
    assert fit.penalized.converged


@pytest.mark.parametrize(("entity", "time"), [(True, False), (False, True), (True, True)])
def test_additive_effects_are_taken_out(entity, time):
    panel = grouped_panel(60, 30, r=1, seed=14, noise=0.7, entity=3.0 * entity, time=3.0 * time)
    fit = fitted(panel, 3, 1, entity_effects=entity, time_effects=time)
    assert matched(fit.groups, panel.groups) >= 0.97
    order = np.lexsort(panel.alpha.T[::-1])
    np.testing.assert_allclose(slopes_of(fit), panel.alpha[order], atol=0.1)


def test_labels_are_in_lexicographic_order_everywhere():
    panel = grouped_panel(60, 30, seed=15, noise=0.5)
    fit = fitted(panel, 3, 2)
    np.testing.assert_allclose(slopes_of(fit), SLOPES[:3], atol=0.08)
    np.testing.assert_allclose(fit.penalized.centers / fit.scale, SLOPES[:3], atol=0.2)
    np.testing.assert_array_equal(fit.penalized.distances.argmin(axis=1), fit.groups)
    np.testing.assert_array_equal(fit.classification.ssr.argmin(axis=1), fit.groups)
    np.testing.assert_array_equal(fit.classification.slopes.groups, fit.groups)
    best = fit.minima[0].theta[fit.classification.slopes.slots] / fit.scale
    np.testing.assert_allclose(best, slopes_of(fit), atol=1e-3)


def test_refit_is_the_joint_least_squares_given_the_groups():
    panel = grouped_panel(40, 20, seed=16)
    fit = fitted(panel, 3, 2)
    data = prepare(panel.y, panel.x)
    slopes = SlopeMap.grouped(fit.groups, 3, 2)
    starts = interactive_starts(data, slopes, 2, 12, np.random.default_rng(1))
    alone = fit_interactive_multistart(data, slopes, 2, starts)
    assert fit.classification.fit.ssr == pytest.approx(alone.ssr, rel=1e-10)
    np.testing.assert_allclose(slopes_of(fit), alone.theta[slopes.slots], atol=1e-7)


@pytest.mark.parametrize("polish", [True, False])
@pytest.mark.parametrize("common", [(), (1,)])
def test_one_group_is_bai(polish, common):
    panel = grouped_panel(30, 15, k=1, seed=17)
    fit = fitted(panel, 1, 2, GroupedOptions(polish=polish, common=common))
    data = prepare(panel.y, panel.x)
    slopes = SlopeMap.grouped(np.zeros(30, dtype=np.int64), 1, 2)
    bai = fit_interactive(data, slopes, 2, np.zeros(2))
    np.testing.assert_allclose(slopes_of(fit)[0], bai.theta, atol=1e-8)
    assert not fit.groups.any()


def test_a_common_slope_is_common():
    panel = grouped_panel(60, 60, seed=18)
    y = panel.y + panel.x[:, :, 0] * (0.7 - panel.alpha[panel.groups, 0])[:, None]
    fit = fitted(replace(panel, y=y), 3, 2, GroupedOptions(common=(0,)))
    alpha = slopes_of(fit)
    assert np.ptp(alpha[:, 0]) == 0.0
    assert alpha[0, 0] == pytest.approx(0.7, abs=0.06)
    np.testing.assert_allclose(alpha[:, 1], np.sort(panel.alpha[:, 1]), atol=0.12)
    assert matched(fit.groups, panel.groups) >= 0.9


def test_one_regressor():
    panel = grouped_panel(60, 40, p=1, r=1, seed=19)
    fit = fitted(panel, 3, 1)
    np.testing.assert_allclose(slopes_of(fit)[:, 0], [0.4, 1.0, 1.6], atol=0.06)
    assert matched(fit.groups, panel.groups) >= 0.95


def test_as_many_groups_as_units():
    panel = grouped_panel(5, 30, k=5, r=1, seed=20)
    fit = fitted(panel, 5, 1)
    assert sorted(fit.groups) == [0, 1, 2, 3, 4]
    assert np.isfinite(slopes_of(fit)).all()


# ---- invariances ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base():
    panel = grouped_panel(36, 20, seed=21)
    return panel, fitted(panel, 3, 2)


@pytest.mark.parametrize("s", [1e-6, 1e6])
def test_units_of_the_outcome(base, s):
    panel, fit = base
    other = fitted(replace(panel, y=s * panel.y), 3, 2)
    np.testing.assert_array_equal(other.groups, fit.groups)
    np.testing.assert_allclose(slopes_of(other), s * slopes_of(fit), rtol=1e-8)
    assert other.penalized.kappa_scale == fit.penalized.kappa_scale
    np.testing.assert_array_equal(other.penalized.fused, fit.penalized.fused)
    assert other.penalized.criterion == pytest.approx(s**2 * fit.penalized.criterion, rel=1e-8)


@pytest.mark.parametrize("d", [(1e-6, 1e4), (-2.0, 3.0), (1e5, -1e-3)])
def test_units_and_signs_of_the_regressors(base, d):
    panel, fit = base
    d = np.array(d)
    other = fitted(replace(panel, x=panel.x * d), 3, 2)
    alpha, expected = slopes_of(other), slopes_of(fit) / d
    order = np.lexsort(expected.T[::-1])
    np.testing.assert_allclose(alpha, expected[order], rtol=1e-8)
    rank = np.argsort(order)
    np.testing.assert_array_equal(other.groups, rank[fit.groups])


def test_sign_of_the_outcome(base):
    panel, fit = base
    other = fitted(replace(panel, y=-panel.y), 3, 2)
    np.testing.assert_allclose(slopes_of(other), -slopes_of(fit)[::-1], rtol=1e-8)
    np.testing.assert_array_equal(other.groups, 2 - fit.groups)


@pytest.mark.parametrize("seed", range(3))
def test_order_of_units_and_of_periods(base, seed):
    panel, fit = base
    rng = np.random.default_rng(seed)
    rows, cols = rng.permutation(36), rng.permutation(20)
    other = fitted(replace(panel, y=panel.y[rows], x=panel.x[rows]), 3, 2)
    np.testing.assert_array_equal(other.groups, fit.groups[rows])
    np.testing.assert_allclose(slopes_of(other), slopes_of(fit), rtol=1e-8)
    other = fitted(replace(panel, y=panel.y[:, cols], x=panel.x[:, cols]), 3, 2)
    np.testing.assert_array_equal(other.groups, fit.groups)
    np.testing.assert_allclose(slopes_of(other), slopes_of(fit), rtol=1e-8)


def test_shifts_do_not_matter_under_additive_effects(base):
    panel, _ = base
    rng = np.random.default_rng(0)
    both = {"entity_effects": True, "time_effects": True}
    fit = fitted(panel, 3, 2, **both)
    moved = panel.y + 10 * rng.standard_normal((36, 1)) + 10 * rng.standard_normal(20)
    other = fitted(replace(panel, y=moved), 3, 2, **both)
    np.testing.assert_array_equal(other.groups, fit.groups)
    np.testing.assert_allclose(slopes_of(other), slopes_of(fit), rtol=1e-8)


def test_same_seed_same_answer(base):
    panel, _ = base
    for seed in (0, 7):
        options = GroupedOptions(seed=seed, n_starts=3)
        one, two = fitted(panel, 4, 2, options), fitted(panel, 4, 2, options)
        np.testing.assert_array_equal(one.groups, two.groups)
        np.testing.assert_array_equal(slopes_of(one), slopes_of(two))
        assert [m.starts for m in one.minima] == [m.starts for m in two.minima]


def test_options_are_not_changed_and_inputs_not_written_to(base):
    panel, _ = base
    data = prepare(panel.y, panel.x, standardize=True)
    kept = [getattr(data, name).copy() for name in ("y", "xt", "xx", "xy", "yy", "scale")]
    fit_grouped(data, 3, 2, GroupedOptions(n_starts=2))
    for name, before in zip(("y", "xt", "xx", "xy", "yy", "scale"), kept, strict=True):
        np.testing.assert_array_equal(getattr(data, name), before)


@pytest.mark.parametrize("n_factors", [0, 2])
def test_the_record_of_the_sweep_is_the_criterion_after_each_of_them(n_factors):
    """Runs that stop after 1, 2, ... sweeps begin their descent at the recorded values."""
    panel = grouped_panel(40, 20, seed=22)
    options = GroupedOptions(kappa=0.3, standardize=False, sweep_tol=1e-8, max_sweeps=4, search=False)
    record = fitted(panel, 3, n_factors, options).penalized
    assert len(record.sweep_path) == len(record.fused_share) == record.n_sweeps
    for n in range(1, record.n_sweeps + 1):
        shorter = fitted(panel, 3, n_factors, replace(options, max_sweeps=n)).penalized
        assert record.sweep_path[n - 1] == pytest.approx(shorter.path[0], rel=1e-12)
