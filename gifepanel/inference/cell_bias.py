"""Incidental-parameter bias of least squares with factors on the observed cells of a panel.

With Q_i the orthonormal columns of entity i (known ones first, then factors), B_i = Q_i R_i, M_i = I - Q_i Q_i', l_i
the loadings of a period (estimated and known) and P_t = sum_i l_i l_i' over the entities observed in t, the terms are

    B1 = sum_i sum_t sum_{l=1..m1} (Q_i Q_i')_{t,t+l} e_it z_{i,t+l},  or the deconvolved form of it,
    B2 = sum_{it} e_it^2 [P_t^-1 l_i]_F' (a_i - A_t P_t^-1 l_i),       A_t = sum_j a_j l_j' over the entities in t,
    B3 = sum_i sum_{|t-s| <= m2} e_it e_is [R_i^-1 Q_is]_F' (M_i b)_t,

where the tangent space of the fit takes l_i'phi_t and Q_i Q_i'(z - l_i'phi_t) from z, b_t is the part of phi_t along
the factors, a_i that of R_i^-1 Q_i'(z - l_i'phi_t). M_Lambda of a complete panel is taken period by period, M_F entity
by entity; on a complete panel these are the terms of Moon & Weidner (2017, Econometric Theory 33, 158-195), see
:mod:`gifepanel.inference.bias`. All are linear in z and phi: inner products with weights by cell. Rows are multiplied
by the roots of their weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gifepanel.inference.bias import BiasResult, bandwidth
from gifepanel.inference.cell_estimate import CellEstimate
from gifepanel.inference.predetermined_bias import lag_weights
from gifepanel.kernels.lags import attenuation, lagged_sums, projected_lagged_sums, window_sums

__all__ = ["CellProjection", "bias_of_cells", "cell_bias_terms"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_SINGULAR = 0.05


@dataclass(frozen=True)
class CellProjection:
    """What was taken out of the observed cells of a panel.

    Attributes
    ----------
    ptr : ndarray of int64, shape (N + 1,)
        Cells of entity i are ``ptr[i]:ptr[i + 1]``, by time.
    time : ndarray of int64, shape (n,)
        Places 0..T-1 among the periods.
    periods : ndarray of int64, shape (T,)
        Ascending numbers of the periods, of which lags are differences.
    root : ndarray, shape (n,)
        Roots of the weights; ones without.
    basis : ndarray, shape (d + R, n)
        Q_i: d known columns, then R factors.
    triangles : ndarray, shape (N, d + R, d + R)
        R_i; zero on the diagonal where a column is spanned by those before it.
    period_loadings : ndarray, shape (R + m, n)
        l_i of each cell, times root: loadings of the factors, then known ones.
    n_factors : int
        R.
    """

    ptr: IntArray
    time: IntArray
    periods: IntArray
    root: FloatArray
    basis: FloatArray
    triangles: FloatArray
    period_loadings: FloatArray
    n_factors: int

    @property
    def n_times(self) -> int:
        """T."""
        return int(self.periods.size)

    @property
    def entity(self) -> IntArray:
        """Entity of each cell (n,)."""
        return np.repeat(np.arange(self.ptr.size - 1), np.diff(self.ptr))

    @property
    def when(self) -> IntArray:
        """Period of each cell (n,)."""
        return self.periods[self.time]


def bias_of_cells(
    estimate: CellEstimate,
    *,
    periods: IntArray,
    predetermined: tuple[int, ...],
    deconvolved: bool,
    heteroskedastic: bool,
    m1: int | None = None,
    m2: int | None = None,
) -> BiasResult:
    """Bias corrections of an estimate on observed cells; the options are those of :func:`cell_bias_terms`.

    Parameters
    ----------
    estimate : CellEstimate
    periods : ndarray of int64, shape (T,)
        Ascending numbers of the periods, of which lags are differences.
    """
    tangent, r = estimate.tangent, estimate.n_factors
    data, state = tangent.data, tangent.state
    entity = tangent.entity

    def by_cell(cube: FloatArray) -> FloatArray:
        return np.ascontiguousarray(cube[entity, data.time].T)

    z = by_cell(estimate.z) * data.root
    space = CellProjection(data.ptr, data.time, periods, data.root, state.q, state.tri, tangent.period_loadings, r)
    return cell_bias_terms(
        space,
        z,
        tangent.residual(z)[1] if heteroskedastic and r else np.zeros((len(z), len(space.period_loadings), 0)),
        by_cell(estimate.wresid),
        estimate.triangle.root,
        z_effects=None if deconvolved or not predetermined else by_cell(estimate.z_effects),
        groups=estimate.groups,
        slots=estimate.slots,
        predetermined=predetermined,
        deconvolved=deconvolved,
        heteroskedastic=heteroskedastic,
        m1=m1,
        m2=m2,
    )


def cell_bias_terms(
    space: CellProjection,
    z: npt.ArrayLike,
    phi: npt.ArrayLike,
    resid: npt.ArrayLike,
    root: npt.ArrayLike,
    *,
    z_effects: npt.ArrayLike | None = None,
    groups: IntArray,
    slots: IntArray,
    predetermined: tuple[int, ...] = (),
    deconvolved: bool = True,
    heteroskedastic: bool = True,
    m1: int | None = None,
    m2: int | None = None,
) -> BiasResult:
    """Bias corrections B1, B2, B3 on observed cells.

    Parameters
    ----------
    space : CellProjection
    z : array_like, shape (q, n)
        Regressors by slope, zero outside of its groups, nothing projected out, times the roots of the weights.
    phi : array_like, shape (q, R + m, T)
        Coefficients of the projection of z by period.
    resid : array_like, shape (n,)
        Times the roots of the weights.
    root : array_like, shape (q, q)
        K with (z~'z~)^-1 = K K'.
    z_effects : array_like, shape (q, n), optional
        z less additive effects, which the published B1 takes in place of z.
    groups : ndarray of int64, shape (N,)
        0..K-1.
    slots : ndarray of int64, shape (K, p)
        Position in q of each group's slopes.
    predetermined : tuple of int
        Regressors, among p, that react to past errors; the published B1 is that of all, if there are any.
    deconvolved : bool
        B1 as in :mod:`gifepanel.inference.predetermined_bias`, its covariances pooled over the entities that share a
        slope, in place of the published one.
    heteroskedastic : bool
        Turns on B2 and B3.
    m1, m2 : int, optional
        Bandwidths, as in :func:`~gifepanel.inference.bias.bias_terms`.

    Returns
    -------
    BiasResult
        `m1` is the smallest number of lags used for a slope.

    Notes
    -----
    Entities whose own factor moments are nearly singular, smallest eigenvalue of R_i'R_i below .05 times the sum of
    their weights, say nothing of B2 and B3 that is not noise: they are left out of these.
    """
    columns, e = np.ascontiguousarray(z, dtype=np.float64), np.ascontiguousarray(resid, dtype=np.float64)
    q, t = len(columns), space.n_times
    inverse = np.asarray(root) @ np.asarray(root).T
    lags1, lags2 = bandwidth("m1", m1, t, deconvolved=deconvolved), bandwidth("m2", m2, t)
    traces = np.zeros((3, q))
    if predetermined and deconvolved:
        affected = np.unique(slots[:, list(predetermined)])
        traces[0], lags1 = _deconvolved(space, columns, e, groups, slots, affected, lags1)
    elif predetermined:
        within = columns if z_effects is None else np.asarray(z_effects, dtype=np.float64)
        traces[0] = within @ projected_lagged_sums(space.ptr, space.when, e, space.basis, lags1)
    if heteroskedastic and space.n_factors:
        traces[1:] = _heteroskedastic(space, columns, np.asarray(phi, dtype=np.float64), e, lags2)
    added = traces @ inverse
    return BiasResult(b1=added[0], b2=added[1], b3=added[2], m1=lags1, m2=lags2)


def _deconvolved(
    space: CellProjection,
    z: FloatArray,
    e: FloatArray,
    groups: IntArray,
    slots: IntArray,
    affected: IntArray,
    lags: int,
) -> tuple[FloatArray, int]:
    """Traces (q,) of B1 and the smallest number of lags; covariances are those of the entities of a slope."""
    n_groups, out, used = len(slots), np.zeros(len(z)), lags
    c, pi, pairs = attenuation(space.ptr, space.when, space.root, space.basis, groups, n_groups, lags)
    sharing = np.stack([(slots == position).any(axis=1) for position in affected])
    for pool in np.unique(sharing, axis=0):
        own = lag_weights(c[pool].sum(axis=0), pi[pool].sum(axis=0), pairs[pool].sum(axis=0))
        used = min(used, own.size)
        omega = np.zeros((n_groups, lags))
        omega[pool, : own.size] = own
        weight = _centred(space, lagged_sums(space.ptr, space.when, e, omega, groups))
        slopes = affected[(sharing == pool).all(axis=1)]
        out[slopes] = z[slopes] @ weight
    return out, used


def _centred(space: CellProjection, weight: FloatArray) -> FloatArray:
    """Weights (n,) whose inner product with a regressor is that with its deviations from means of entities."""
    entity, root = space.entity, space.root
    total = np.bincount(entity, root * weight, minlength=space.ptr.size - 1)
    mass = np.bincount(entity, root * root, minlength=space.ptr.size - 1)
    return np.asarray(weight - root * (total / np.where(mass > 0, mass, 1.0))[entity])


def _heteroskedastic(
    space: CellProjection, z: FloatArray, phi: FloatArray, e: FloatArray, lags: int
) -> tuple[FloatArray, FloatArray]:
    """Traces (q,) of B2 and B3."""
    inverses = _unit_inverses(space)
    weight = _weight_unit_variances(space, e, inverses)
    taken = np.stack([_sums(row, space.time, space.n_times) for row in space.period_loadings * weight])
    by_period = _weight_time_covariances(space, e, inverses, lags)
    second = z @ weight - np.einsum("qft,ft->q", phi, taken)
    return second, np.einsum("qrt,rt->q", phi[:, : space.n_factors], by_period)


def _weight_unit_variances(space: CellProjection, e: FloatArray, inverses: FloatArray) -> FloatArray:
    """Weights (n,) of z - l'phi in B2: those of a_i, carried over by a_i = [R_i^-1 Q_i'(z - l_i'phi_t)]_F."""
    r, time, loadings = space.n_factors, space.time, space.period_loadings
    blocks = _outer_sums(loadings, loadings, time, space.n_times)
    h = np.einsum("kgf,fk->gk", np.linalg.pinv(blocks, hermitian=True)[time], loadings)
    moments = _outer_sums(e * e * h[:r], h, time, space.n_times)
    of_factors = space.root * (e * e * h[:r] - np.einsum("krf,fk->rk", moments[time], loadings))
    entity, n = space.entity, space.ptr.size - 1
    of_units = np.stack([_sums(row, entity, n) for row in of_factors], axis=1)
    turned = np.einsum("nrb,nr->nb", inverses, of_units)
    return np.asarray(np.einsum("bk,kb->k", space.basis, turned[entity]))


def _weight_time_covariances(space: CellProjection, e: FloatArray, inverses: FloatArray, lags: int) -> FloatArray:
    """Weights (R, T) of the factors' rows of phi in B3."""
    entity, n = space.entity, space.ptr.size - 1
    h = np.einsum("krb,bk->rk", inverses[entity], space.basis)
    near = window_sums(space.ptr, space.when, e, np.ascontiguousarray(h), lags)
    for row in near:
        within = np.stack([_sums(column * row, entity, n) for column in space.basis], axis=1)
        row -= np.einsum("bk,kb->k", space.basis, within[entity])
    return np.stack([_sums(space.root * row, space.time, space.n_times) for row in near])


def _unit_inverses(space: CellProjection) -> FloatArray:
    """Rows of R_i^-1 that belong to factors, (N, R, d + R); zero for entities whose factor moments are too thin."""
    b, d = space.triangles.shape[1], space.triangles.shape[1] - space.n_factors
    spanned = np.einsum("njj->nj", space.triangles) == 0
    triangles = space.triangles + np.einsum("nj,jk->njk", spanned, np.eye(b))
    inverses = np.linalg.inv(triangles)
    inverses *= ~spanned[:, :, None] * ~spanned[:, None, :]
    own = space.triangles[:, d:, d:]
    smallest = np.linalg.eigvalsh(np.einsum("nab,nac->nbc", own, own))[:, 0]
    mass = _sums(space.root * space.root, space.entity, len(own))
    inverses[smallest < _SINGULAR * mass] = 0.0
    return np.asarray(inverses[:, d:])


def _sums(values: FloatArray, ids: IntArray, size: int) -> FloatArray:
    return np.asarray(np.bincount(ids, values, minlength=size), dtype=np.float64)


def _outer_sums(left: FloatArray, right: FloatArray, time: IntArray, n_times: int) -> FloatArray:
    """Sums by period of the outer products of columns (a, n) and (b, n): (T, a, b)."""
    out = np.empty((n_times, len(left), len(right)))
    for j, row in enumerate(left):
        for k, other in enumerate(right):
            out[:, j, k] = _sums(row * other, time, n_times)
    return out
