"""Weights of observed cells in cells outside of a fit, and the variance of averages: against dense algebra."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gifepanel.inference.counterfactual import (
    FittedCells,
    OutsideCells,
    cell_variances,
    cell_weights,
    clustered_variances,
    plain_variances,
    single_cells,
)

# entities, periods, factors, entity effects, time effects, regressors, share missing
PANELS = {
    "two-way": (12, 15, 0, 1, 1, 2, 0.1),
    "two factors": (12, 15, 2, 1, 1, 2, 0.1),
    "one factor alone": (12, 15, 1, 0, 0, 1, 0.0),
    "no regressors": (14, 16, 2, 0, 1, 0, 0.15),
    "three regressors": (14, 16, 1, 1, 0, 3, 0.05),
}


def dense(n: int, t: int, r: int, unit: int, period: int, q: int, missing: float, weighted: bool = False) -> Any:
    """A fit to the observed cells, the cells outside, and the tangent matrices of both."""
    rng = np.random.default_rng(n + r)
    time_basis = np.column_stack([np.ones((t, unit)), rng.normal(size=(t, r))])
    unit_basis = np.column_stack([np.ones((n, period)), rng.normal(size=(n, r))])
    x = rng.normal(size=(n, t, q))
    observed = rng.random((n, t)) > missing
    observed[:5, t - 6 :] = False
    observed[:2, t - 9 :] = False

    def tangent(i: np.ndarray, s: np.ndarray) -> np.ndarray:
        of_units = np.einsum("mi,mr->mir", np.eye(n)[i], time_basis[s]).reshape(len(i), -1)
        of_periods = np.einsum("ms,mr->msr", np.eye(t)[s], unit_basis[i]).reshape(len(i), -1)
        return np.hstack([of_units, of_periods])

    i, s = np.nonzero(observed)
    root = np.sqrt(rng.uniform(0.5, 2, len(i))) if weighted else np.ones(len(i))
    j, u = np.nonzero(~observed)
    inner = root[:, None] * tangent(i, s)
    z = root[:, None] * x[i, s]
    full = np.hstack([inner, z])
    cube = np.zeros((n, t, q))
    projected = cube.copy()
    cube[i, s] = z
    projected[i, s] = z - inner @ np.linalg.lstsq(inner, z, rcond=None)[0]
    error = rng.normal(size=len(i))
    resid = np.zeros((n, t))
    resid[i, s] = error - full @ np.linalg.lstsq(full, error, rcond=None)[0]
    scale = np.zeros((n, t, 1))
    scale[i, s, 0] = root
    fit = FittedCells(
        observed,
        scale * time_basis[None],
        scale * unit_basis[:, None],
        cube,
        projected,
        resid,
        len(i) - int(np.linalg.matrix_rank(full)),
        scale[:, :, 0],
    )
    outside = OutsideCells(j, u, time_basis[u], unit_basis[j], x[j, u])
    return fit, outside, full, np.hstack([tangent(j, u), x[j, u]]), (i, s)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", PANELS)
def test_weights_are_the_shortest_that_reproduce_the_tangent_space(name: str, weighted: bool) -> None:
    fit, outside, inner, outer, (i, s) = dense(*PANELS[name], weighted=weighted)
    rng = np.random.default_rng(1)
    w = rng.random((3, len(outside.entity)))
    w[0, 3:] = 0
    found = cell_weights(fit, outside, w)
    np.testing.assert_allclose(
        found.inside[:, i, s], np.linalg.lstsq(inner.T, (w @ outer).T, rcond=None)[0].T, atol=1e-12
    )
    assert found.reached.all()
    assert (found.inside[:, ~fit.observed] == 0).all()
    each = np.linalg.lstsq(inner.T, outer.T, rcond=None)[0].T
    values = rng.normal(size=fit.observed.shape) * fit.observed
    single = single_cells(fit, outside, values)
    np.testing.assert_allclose(single.own + single.common, (each**2).sum(axis=1), rtol=1e-9)
    np.testing.assert_allclose(single.dot, each @ values[i, s], atol=1e-11)
    np.testing.assert_allclose(
        cell_variances(fit, outside, single, "nonrobust"), fit.sigma2 * (each**2).sum(axis=1), rtol=1e-9
    )


def test_cells_that_untreated_ones_do_not_determine_are_told() -> None:
    """An entity with fewer periods than coefficients; a period with fewer entities."""
    fit, outside, *_ = dense(*PANELS["no regressors"])
    observed = fit.observed.copy()
    observed[3, 1:] = False
    observed[2:, 7] = False
    mask = observed[:, :, None]
    few = replace(
        fit,
        observed=observed,
        time_basis=fit.time_basis * mask,
        unit_basis=fit.unit_basis * mask,
        z=fit.z * mask,
        z_projected=fit.z_projected * mask,
        resid=fit.resid * observed,
    )
    single = single_cells(few, outside, few.resid)
    within = (outside.entity != 3) & (outside.time != 7)
    np.testing.assert_array_equal(single.reached, within)
    average = np.full((2, len(outside.entity)), 1 / len(outside.entity))
    average[1, ~within] = 0
    np.testing.assert_array_equal(cell_weights(few, outside, average).reached, [False, True])


def test_squares_are_residuals_over_one_less_leverage_on_complete_panels() -> None:
    """Without regressors the leverage is that of entity and period."""
    fit, *_ = dense(10, 14, 1, 1, 1, 0, -1.0)
    whole = np.ones_like(fit.observed)
    rng = np.random.default_rng(3)
    time_basis, unit_basis = np.zeros((10, 14, 2)), np.zeros((10, 14, 2))
    time_basis[:] = np.column_stack([np.ones(14), rng.normal(size=14)])[None]
    unit_basis[:] = np.column_stack([np.ones(10), rng.normal(size=10)])[:, None]
    p, q = (np.linalg.qr(b)[0] for b in (time_basis[0], unit_basis[:, 0]))
    hat = np.eye(140) - np.kron(np.eye(10) - q @ q.T, np.eye(14) - p @ p.T)
    resid = (np.eye(140) - hat) @ rng.normal(size=140)
    none = np.zeros((10, 14, 0))
    df = 140 - np.trace(hat)
    complete = FittedCells(whole, time_basis, unit_basis, none, none, resid.reshape(10, 14), df, whole * 1.0)
    expected = resid**2 / (1 - np.diag(hat))
    expected *= complete.sigma2 * 140 / expected.sum()
    np.testing.assert_allclose(complete.squares.ravel(), expected, rtol=1e-10)


def test_variance_under_independent_errors_adds_both_sources() -> None:
    fit, outside, inner, outer, (_i, _s) = dense(*PANELS["two-way"])
    w = np.full((1, len(outside.entity)), 1 / len(outside.entity))
    v = np.linalg.lstsq(inner.T, (w @ outer).T, rcond=None)[0][:, 0]
    found = plain_variances(fit, outside, w, cell_weights(fit, outside, w), "nonrobust")
    np.testing.assert_allclose(found, fit.sigma2 * (v @ v + (w**2).sum()), rtol=1e-10)


def test_clustered_variance_by_brute_force() -> None:
    """Borusyak, Jaravel & Spiess (2024): sums within entities; averages by cohort and period, in loops."""
    fit, outside, inner, outer, (i, s) = dense(*PANELS["two-way"])
    m = len(outside.entity)
    rng = np.random.default_rng(4)
    effects = rng.normal(size=m)
    cohorts = np.where(outside.entity < 2, 6, 9)
    events = outside.time - cohorts
    w = rng.random((1, m)) * ((outside.entity < 5) & (events >= 0))
    w /= w.sum()
    variance, df = clustered_variances(fit, outside, w, cell_weights(fit, outside, w), effects, cohorts, events)
    v = np.zeros(fit.observed.shape)
    v[i, s] = np.linalg.lstsq(inner.T, (w @ outer).T, rcond=None)[0][:, 0]
    total = np.zeros(12)
    for entity in range(12):
        total[entity] -= (v[entity] * fit.resid[entity]).sum() * np.sqrt(fit.nobs / fit.df_resid)
        for c in np.flatnonzero((outside.entity == entity) & (w[0] > 0)):
            peers = (cohorts == cohorts[c]) & (outside.time == outside.time[c]) & (w[0] > 0)
            share = w[0, peers] ** 2 / (w[0, peers] ** 2).sum()
            own = w[0, c] ** 2 / (w[0, peers] ** 2).sum()
            total[entity] += w[0, c] * (effects[c] - share @ effects[peers]) / np.sqrt(1 - own)
    np.testing.assert_allclose(variance, (total**2).sum() * 12 / 11, rtol=1e-10)
    assert df[0] == 5 - 2  # entities less cohorts


def test_an_entity_without_peers_has_the_variance_of_independent_errors() -> None:
    """One treated entity: deviations from its own average would be zero."""
    fit, outside, _inner, _outer, (_i, _s) = dense(*PANELS["two-way"])
    alone = outside.take(outside.entity == 0)
    w = np.full((1, len(alone.entity)), 1 / len(alone.entity))
    weights = cell_weights(fit, alone, w)
    zeros = np.zeros(len(alone.entity), dtype=np.int64)
    variance, df = clustered_variances(fit, alone, w, weights, np.ones(len(zeros)), zeros, alone.time)
    others = np.einsum("nt,nt->n", weights.inside[0], fit.resid)[1:] * np.sqrt(fit.nobs / fit.df_resid)
    own = fit.sigma2 * ((weights.inside[0, 0] ** 2).sum() + (w**2).sum())
    np.testing.assert_allclose(variance[0], own + (others @ others) * 11 / 10, rtol=1e-10)
    assert df[0] == fit.df_resid
