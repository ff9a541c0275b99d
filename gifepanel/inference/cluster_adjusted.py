"""Cluster-robust covariances with adjusted residuals, CR2 and CR3, of the full regression after partialling out.

With Z = [V, X~] orthonormal, where V spans the nuisance part that is not nested in clusters and X~ the regressors, both
residualised on everything nested, the block of the full regression's hat matrix in cluster g is H_gg = N_g + Z_g Z_g',
N_g a projection orthogonal to Z_g. So with Z_g'Z_g = Q diag(l) Q' any power of I - H_gg acts on Z_g by

    (I - H_gg)^p Z_g = Z_g Q diag((1 - l)^p) Q',

and nothing larger than q x q is formed, q = columns of Z. Effects nested in clusters need no columns in V: for these
CR2 of the absorbed regression is CR2 of the regression with all dummies (Pustejovsky & Tipton 2018, JBES 36, 672-683,
Theorem 2, in the form of their corrigendum of 2023); for others it is not. Observations are in sqrt(w) units, so with
weights both are those of least squares on sqrt(w) times the data, with Var(e_i) = sigma^2 / w_i as the working model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import qr

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.inference.clusters import ClusterWay, nested_effects
from gifepanel.inference.space import FloatArray
from gifepanel.projections.absorb import Absorption
from gifepanel.projections.controls import Controls
from gifepanel.projections.system import Effect
from gifepanel.projections.triangle import orthogonal_triangle

__all__ = ["BellMcCaffrey", "Contrasts", "bell_mccaffrey", "cluster_jackknife", "contrasts_of", "nuisance_columns"]

_SINGULAR = 1e-10  # 1 - l below this: the cluster alone determines the direction
_LARGEST = 50_000_000  # elements of the nuisance columns: 400 MB
_KEPT = 1_000_000  # elements of Contrasts


@dataclass(frozen=True)
class BellMcCaffrey:
    """CR2 and its degrees of freedom.

    Attributes
    ----------
    cov : ndarray, shape (k, k)
    meat : ndarray, shape (k, k)
        Sum of products of the adjusted score sums, in an orthonormal basis of the regressors.
    df : ndarray, shape (k,)
        Satterthwaite degrees of freedom of each coefficient's t statistic.
    contrasts : Contrasts or None
        None where there are too many clusters to keep them: see :func:`contrasts_of`.
    """

    cov: FloatArray
    meat: FloatArray
    df: FloatArray
    contrasts: Contrasts | None


@dataclass(frozen=True, eq=False)
class Contrasts:
    """What degrees of freedom of any hypothesis under CR2 need, in coordinates of the orthonormal basis x = q R.

    Attributes
    ----------
    own : ndarray, shape (G, k, k)
        q_g'(I - H)_gg^(-1/2) (I - N)_gg (I - H)_gg^(-1/2) q_g, N the projection on what is nested in clusters.
    across : ndarray, shape (G, p, k)
        Z_g'(I - H)_gg^(-1/2) q_g, so that (I - H)_gh gives -across_g'across_h, and own_g more for g = h.
    """

    own: FloatArray
    across: FloatArray

    def degrees(self, rows: FloatArray) -> float:
        """Degrees of freedom of the covariance of `rows` (r, k) times the coefficients of q: Satterthwaite's for one.

        For several the eta_Z of Pustejovsky & Tipton (2018, eq. 12): with D the covariance over its mean under the
        working model, r (r + 1) / sum_st Var(d_st), by which D is nearest to a Wishart matrix. It does not depend on
        how the hypothesis is written.
        """
        own = np.einsum("sa,gab,tb->gst", rows, self.own, rows, optimize=True)
        across = np.einsum("gpa,sa->gps", self.across, rows, optimize=True)
        shrink = np.einsum("gps,gpt->gst", across, across, optimize=True)
        within = own - shrink
        half = np.linalg.cholesky(within.sum(axis=0))
        within, shrink = (_turned(half, each) for each in (within, shrink))
        across = np.linalg.solve(half, across.transpose(2, 0, 1).reshape(len(rows), -1))
        across = across.reshape(len(rows), *self.across.shape[:2])
        total = 0.0
        for left in across:
            for right in across:
                if left.shape[0] > left.shape[1]:
                    product = left.T @ right
                    total += float((product**2).sum())
                else:
                    product = left @ right.T
                    total += float((left @ left.T).ravel() @ (right @ right.T).ravel())
                total += float((product * product.T).sum())
        for each, sign in ((within, 1.0), (shrink, -1.0)):
            trace = np.einsum("gss->g", each)
            total += sign * float((trace**2).sum() + (each**2).sum())
        r = len(rows)
        return r * (r + 1) / float(total)


def _turned(half: FloatArray, blocks: FloatArray) -> FloatArray:
    """half^-1 B half^-T of blocks (G, r, r)."""
    return np.linalg.solve(half, np.linalg.solve(half, blocks).transpose(0, 2, 1))


def bell_mccaffrey(
    x: FloatArray,
    u: FloatArray,
    way: ClusterWay,
    *,
    nuisance: FloatArray | None = None,
    root: FloatArray | None = None,
) -> BellMcCaffrey:
    """CR2 of Bell & McCaffrey (2002, Survey Methodology 28, 169-181) with Satterthwaite degrees of freedom.

    cov = A^-1 [sum_g X~_g'(I - H)_gg^(-1/2) u_g u_g'(I - H)_gg^(-1/2) X~_g] A^-1, A = X~'X~, powers being those of the
    Moore-Penrose inverse; df_j = (tr P_j)^2 / tr(P_j^2), P_j the G x G matrix with elements p_g'(I - H)_gh p_h,
    p_g = (I - H)_gg^(-1/2) X~_g A^-1 e_j (Pustejovsky & Tipton 2018, working model the identity).

    Parameters
    ----------
    x : ndarray, shape (n, k)
        Regressors residualised on the whole nuisance part, times sqrt(w).
    u : ndarray, shape (n,)
        Residuals, times sqrt(w).
    way : ClusterWay
    nuisance : ndarray, shape (n, r), optional
        Columns spanning the nuisance part not nested in clusters, residualised on the nested part, times sqrt(w); see
        :func:`nuisance_columns`. Left out, the absorbed regression is adjusted: equal to the full one where all of the
        nuisance part is nested.
    root : ndarray, shape (k, k), optional
        Given where x is orthonormal already: what the regressors were multiplied by to be so.

    Returns
    -------
    BellMcCaffrey
    """
    x, inverse = _orthonormal(x, root)
    basis, focal = _beside(nuisance, x)
    k, q = x.shape[1], basis.shape[1]
    score = way.sums(basis * u[:, None])
    adjusted = np.empty((way.n_groups, k))
    trace = np.zeros(k)
    squares = np.zeros(k)
    cross = np.zeros((k, q, q))
    kept = way.n_groups * (q + k) * k <= _KEPT
    own = np.empty((way.n_groups if kept else 0, k, k))
    across = np.empty((way.n_groups if kept else 0, q, k))
    for rows, gram in way.products(basis):
        half = _halves(gram, focal)  # (b, q, k)
        adjusted[rows] = np.einsum("bqk,bq->bk", half, score[rows])
        if kept:
            across[rows] = np.matmul(gram, half)
            own[rows] = np.matmul(half.transpose(0, 2, 1), across[rows])
        d = np.matmul(half, inverse.T)  # p_g = Z_g d_g, one column per coefficient
        gd = np.matmul(gram, d)
        mine = np.einsum("bqk,bqk->bk", d, gd)
        shrink = np.einsum("bqk,bqk->bk", gd, gd)
        trace += (mine - shrink).sum(axis=0)
        squares += (mine * mine - 2 * mine * shrink).sum(axis=0)
        cross += np.einsum("bqk,bpk->kqp", gd, gd, optimize=True)
    total = squares + np.einsum("kqp,kqp->k", cross, cross)
    meat = adjusted.T @ adjusted
    cov = inverse @ meat @ inverse.T
    with np.errstate(divide="ignore", invalid="ignore"):
        df = trace**2 / total
    return BellMcCaffrey((cov + cov.T) / 2, meat, df, Contrasts(own, across) if kept else None)


def contrasts_of(q: FloatArray, way: ClusterWay, rows: FloatArray, *, nuisance: FloatArray | None = None) -> Contrasts:
    """:class:`Contrasts` of some combinations `rows` (r, k) of the coefficients of orthonormal q, for many clusters."""
    basis, focal = _beside(nuisance, q)
    own = np.empty((way.n_groups, len(rows), len(rows)))
    across = np.empty((way.n_groups, basis.shape[1], len(rows)))
    for block, gram in way.products(basis):
        half = np.matmul(_halves(gram, focal), rows.T)
        across[block] = np.matmul(gram, half)
        own[block] = np.matmul(half.transpose(0, 2, 1), across[block])
    return Contrasts(own, across)


def _halves(gram: FloatArray, focal: slice) -> FloatArray:
    """What (I - H)_gg^(-1/2) makes of q_g, in coordinates of Z_g (b, q, k)."""
    values, vectors = np.linalg.eigh(gram)
    power = _power(values, -0.5)
    return np.asarray(np.matmul(vectors * power[:, None, :], vectors.transpose(0, 2, 1)[:, :, focal]))


def cluster_jackknife(
    q: FloatArray, u: FloatArray, way: ClusterWay, *, nuisance: FloatArray | None = None
) -> FloatArray:
    """Change of the coefficients when a cluster is left out and everything is estimated again, nuisance included.

    b_(g) - b = -[(I - Z_g'Z_g)^-1 Z_g'u_g] in the coordinates of the orthonormal Z (module docstring).

    Parameters
    ----------
    q : ndarray, shape (n, k)
        Orthonormal regressors.
    u, way, nuisance
        As in :func:`bell_mccaffrey`.

    Returns
    -------
    ndarray, shape (G, k)
        Of the coefficients of q.

    Raises
    ------
    DataError
        If the coefficients can't be found without some cluster.
    """
    basis, focal = _beside(nuisance, q)
    score = way.sums(basis * u[:, None])
    out = np.empty((way.n_groups, q.shape[1]))
    for rows, gram in way.products(basis):
        values, vectors = np.linalg.eigh(gram)
        lost = 1 - values < _SINGULAR
        if lost.any():
            weight = np.abs(vectors[:, focal, :]).max(axis=1)
            bad = (lost & (weight > 1e-6)).any(axis=1)
            if bad.any():
                raise DataError(
                    f"Without cluster {int(np.argmax(bad)) + rows.start + 1} the coefficients can't be estimated.",
                    "CR3 leaves out one cluster at a time.",
                    "Use cov_type='cluster' or 'CR2', or drop a regressor that varies in that cluster alone.",
                )
        turned = np.einsum("bqp,bq->bp", vectors, score[rows]) * _power(values, -1.0)
        out[rows] = -np.einsum("bkp,bp->bk", vectors[:, focal, :], turned)
    return out


def nuisance_columns(
    ways: Sequence[ClusterWay],
    *,
    effects: Sequence[Effect] = (),
    controls: FloatArray | None = None,
    weights: FloatArray | None = None,
) -> FloatArray:
    """Columns spanning the nuisance part that is not nested in the clusters, residualised on the nested part.

    Parameters
    ----------
    ways : sequence of ClusterWay
        CR2 and CR3 take one.
    effects : sequence of Effect
        All absorbed effects.
    controls : ndarray, shape (n, m), optional
        All controls, the constant among them where there are no effects.
    weights : ndarray, shape (n,), optional

    Returns
    -------
    ndarray, shape (n, r)
        A basis, orthonormal under the weights; r = 0 where everything is nested.

    Raises
    ------
    SpecificationError
        If the dummies would fill more than 400 MB.
    """
    n = len(ways[0].codes)
    inside = nested_effects(effects, ways[:1])[:, 0] if effects else np.zeros(0, dtype=bool)
    if all(effect.values is not None for effect, flag in zip(effects, inside, strict=True) if flag):
        inside[:] = False  # slopes alone can't be absorbed: as columns they are as exact
    outside = [effect for effect, nested in zip(effects, inside, strict=True) if not nested]
    width = sum(effect.n_levels for effect in outside) + (0 if controls is None else controls.shape[1])
    if n * width > _LARGEST:
        raise SpecificationError(
            f"CR2 and CR3 need {width} columns of {n} rows for effects that are not nested in the clusters.",
            "They would fill more than 400 MB.",
            "Cluster by a variable that contains the largest effect, or use cov_type='cluster'.",
        )
    columns = np.zeros((n, width))
    at = 0
    for effect in outside:
        columns[np.arange(n), at + np.asarray(effect.codes)] = 1.0 if effect.values is None else effect.values
        at += effect.n_levels
    if controls is not None:
        columns[:, at:] = controls
    nested = [effect for effect, flag in zip(effects, inside, strict=True) if flag]
    if nested and width:
        columns = _residual_on(nested, columns, weights)
    kept = Controls.from_columns(columns, weights)
    basis = kept.q if kept.root is None else kept.q / np.where(kept.root > 0, kept.root, np.inf)[:, None]
    return np.asarray(basis)


def _residual_on(nested: list[Effect], columns: FloatArray, weights: FloatArray | None) -> FloatArray:
    """Residuals on nested effects; columns that these span become zero, not rounding errors."""
    residuals, _ = Absorption(nested, weights).residualize(columns)
    before = np.linalg.norm(columns, axis=0)
    after = np.linalg.norm(residuals, axis=0)
    return np.asarray(residuals[:, after > 1e-10 * before])


def _orthonormal(x: FloatArray, root: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    """Orthonormal regressors, and what x is multiplied by to be so."""
    if root is not None:
        return x, root
    triangle, spanned = orthogonal_triangle(x)
    if spanned:
        raise DataError(
            f"Regressor {next(iter(spanned)) + 1} is collinear with others once the nuisance part is taken out.",
            "Every regressor needs variation of its own.",
            "Drop a regressor.",
        )
    return triangle.basis(x), triangle.root


def _beside(nuisance: FloatArray | None, right: FloatArray) -> tuple[FloatArray, slice]:
    """[V, X~] orthonormal, and which columns are X~'s."""
    if nuisance is None or nuisance.shape[1] == 0:
        return right, slice(0, right.shape[1])
    left, corner, _ = qr(nuisance, mode="economic", pivoting=True)
    size = np.abs(np.diag(corner))
    left = left[:, size > 1e-10 * size[0]]
    overlap = float(np.abs(left.T @ right).max())
    if overlap > 1e-6:
        raise DataError(
            f"Regressors and nuisance columns are not orthogonal (cosine {overlap:.1e}).",
            "The regressors must be residualised on the whole nuisance part.",
            "Residualise them on the nuisance columns as well.",
        )
    r = left.shape[1]
    return np.concatenate([left, right], axis=1), slice(r, r + right.shape[1])


def _power(values: FloatArray, exponent: float) -> npt.NDArray[np.float64]:
    """(1 - values)^exponent, zero where 1 - values vanishes."""
    rest = 1 - values
    return np.asarray(np.where(rest < _SINGULAR, 0.0, np.maximum(rest, _SINGULAR) ** exponent))
