"""Estimates from orthogonal scores: theta, its influence-function covariance, and repeats put together.

Partially linear regression (Chernozhukov et al. 2018, eq. 4.3 and 4.4): with residuals u = y - l(Z), v = d - m(Z) of
out-of-fold predictions, theta solves sum_i w_i psi_i(theta) = 0 for

    "partialling out"   psi = v (u - v'theta)
    "IV-type"           psi = v (y - g(Z) - d'theta)

so that theta = A^-1 b with A = sum w v v' or sum w v d'. Row i moves it by phi_i = A^-1 w_i psi_i, its influence, and
the covariance is the sum of the outer products of phi, of its sums over clusters where there are any. With treatments
one at a time A is diagonal.

All rows count alike (``fold_weights="rows"``). The package doubleml gives clustered data other weights
(``fold_weights="clusters"``; Chiang, Kato, Ma & Sasaki 2022): sums over the rows of a fold are divided by its number
of clusters |I_k| (of pairs, |I_k| |J_l|, for two ways), then averaged over folds, in theta as in the covariance. With
one way the two are equal where all folds have equally many clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.inference.clusters import ClusterWay, cluster_terms, cluster_ways
from gifepanel.inference.definite import PSD, standard_errors, treat_indefinite
from gifepanel.inference.small_sample import SampleCounts, SmallSample, small_sample_factor
from gifepanel.projections.crossfit import CrossFit
from gifepanel.projections.folds import Folds
from gifepanel.projections.least_squares import least_squares
from gifepanel.projections.triangle import ROUNDING, Triangle, orthogonal_triangle

__all__ = ["OrthogonalEstimate", "aggregate_repeats", "orthogonal_estimate"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_KINDS = ("HC0", "HC1", "CR0", "cluster")
_AGGREGATIONS = ("median", "mean", "bounds")
_SINGULAR = 1e-10
_BOUND = 1.96  # doubleml's, not the exact quantile


@dataclass(frozen=True, eq=False)
class OrthogonalEstimate:
    """Coefficients of treatments from cross-fitted learners.

    Attributes
    ----------
    params : ndarray, shape (p,)
    cov : ndarray, shape (p, p)
    thetas : ndarray, shape (R, p)
        Of each repeat.
    covs : ndarray, shape (R, p, p)
    aggregation : {"median", "mean", "bounds"}
    representative : int
        The repeat whose estimates are nearest to `params`, in standard errors; the columns below are its.
    y_tilde : ndarray, shape (n, q)
        Residualised outcome; q is 1, or p with treatments one at a time.
    d_tilde : ndarray, shape (n, p)
        Residualised treatments.
    resid : ndarray, shape (n, q)
        y_tilde - d_tilde theta (one at a time: of each treatment by itself), or y - g(Z) - d theta, at the theta of
        the repeat.
    scores : ndarray, shape (n, p)
        psi, without weights; weighted by rows (and folds) they sum to zero.
    influence : ndarray, shape (n, p)
        phi; its outer products, summed in clusters, are the repeat's covariance before the factor.
    kind : str
    description : str
        One line for a summary.
    fold_weights : {"rows", "clusters"}
    factor : tuple of float
        Small-sample factors, one per term.
    n_groups : tuple of int
        Clusters of each way.
    clipped : bool
        Negative eigenvalues of a two-way covariance were set to zero in some repeat.
    without : tuple of int
        Coefficients without a standard error: in some repeat their variance is negative, or zero to rounding.
    withouts : tuple of tuple of int
        The same of each repeat.
    gross : ndarray, shape (p, p)
        The terms of the covariances, all added: what a variance is measured against to tell zero from rounding.
    triangle : Triangle
        Of d_tilde times the square roots of the weights.
    core : ndarray, shape (p, p)
        M with cov = K M K', K the inverse of the triangle.
    """

    params: FloatArray
    cov: FloatArray
    thetas: FloatArray
    covs: FloatArray
    aggregation: str
    representative: int
    y_tilde: FloatArray
    d_tilde: FloatArray
    resid: FloatArray
    scores: FloatArray
    influence: FloatArray
    kind: str
    description: str
    fold_weights: str
    factor: tuple[float, ...]
    n_groups: tuple[int, ...]
    clipped: bool
    without: tuple[int, ...]
    withouts: tuple[tuple[int, ...], ...]
    gross: FloatArray
    triangle: Triangle
    core: FloatArray

    @property
    def bse(self) -> FloatArray:
        """Standard errors (p,); NaN for the coefficients that have none."""
        return standard_errors(self.cov, self.without)

    @property
    def ses(self) -> FloatArray:
        """Standard errors of each repeat (R, p)."""
        return np.stack([standard_errors(*own) for own in zip(self.covs, self.withouts, strict=True)])


def orthogonal_estimate(
    fit: CrossFit,
    *,
    kind: str = "HC0",
    clusters: Sequence[npt.ArrayLike] = (),
    fold_weights: str = "rows",
    aggregation: str = "median",
    ssc: SmallSample = "none",
    df_absorbed: int = 0,
    df_nested: int = 0,
    psd: str = "none",
) -> OrthogonalEstimate:
    """Solve the scores of every repeat and put the repeats together.

    Parameters
    ----------
    fit : CrossFit
    kind : {"HC0", "HC1", "CR0", "cluster"}
    clusters : sequence of array_like of int, each shape (n,)
        Codes, for the clustered kinds: one way or several. Several ways are added and intersections taken off
        (Cameron, Gelbach & Miller 2011); with ``fold_weights="clusters"`` two ways are added within folds and nothing
        is taken off.
    fold_weights : {"rows", "clusters"}
        "clusters": as doubleml weighs clustered data; theta depends on the clusters then.
    aggregation : {"median", "mean", "bounds"}
        See :func:`aggregate_repeats`.
    ssc : {"none", "fixest", "stata", "statsmodels"}
        Small-sample convention for HC1 and cluster (:mod:`gifepanel.inference.small_sample`). Theory knows none for
        learners, whose degrees of freedom aren't defined; treatments and absorbed effects are what is counted.
    df_absorbed, df_nested : int
        Rank of absorbed effects, and their dimensions nested in clusters.
    psd : {"none", "eigen", "eigen-scaled"}
        What to do about negative eigenvalues in each repeat; see
        :func:`~gifepanel.inference.definite.treat_indefinite`.

    Returns
    -------
    OrthogonalEstimate

    Raises
    ------
    SpecificationError
        For options that don't go together.
    DataError
        If residualised treatments are collinear.
    """
    for name, value, known in (
        ("kind", kind, _KINDS),
        ("fold_weights", fold_weights, ("rows", "clusters")),
        ("aggregation", aggregation, _AGGREGATIONS),
        ("psd", psd, PSD),
    ):
        if value not in known:
            raise SpecificationError(
                f"{name} is {value!r}.", f"It must be one of {', '.join(map(repr, known))}.", f"{name}={known[0]!r}"
            )
    n, p = fit.d.shape
    ways = _ways(kind, clusters, fold_weights, n)
    counts = SampleCounts(n, p + df_absorbed, df_nested, tuple(way.n_groups for way in ways))
    solved = [_solve(fit, r, ways, fold_weights) for r in range(fit.n_repeats)]
    found = _Sums(kind, counts, ssc, psd, _describe(kind, counts, fold_weights), tuple(fit.treatment_names))
    covs, factors, clipped, withouts, grosses = zip(*(_covariance(own, ways, found) for own in solved), strict=True)
    thetas = np.stack([own.theta for own in solved])
    params, cov = aggregate_repeats(thetas, np.stack(covs), aggregation)
    variances = np.where(np.diag(cov) > 0, np.diag(cov), 1.0)
    nearest = int(np.argmin(((thetas - params) ** 2 / variances).sum(axis=1)))
    best = solved[nearest]
    triangle = orthogonal_triangle(fit.d_tilde(nearest), None if fit.weights is None else np.sqrt(fit.weights))[0]
    core = triangle.factor @ cov @ triangle.factor.T
    if len(solved) == 1 and not any(clipped):
        core = _summed(best.influence @ triangle.factor.T, ways, best.terms, found)[0]
    return OrthogonalEstimate(
        params,
        cov,
        thetas,
        np.stack(covs),
        aggregation,
        nearest,
        fit.y_tilde(nearest),
        fit.d_tilde(nearest),
        best.resid,
        best.scores,
        best.influence,
        kind,
        found.description,
        fold_weights,
        factors[0],
        counts.n_groups,
        any(clipped),
        tuple(sorted({j for own in withouts for j in own})),
        withouts,
        np.mean(grosses, axis=0),
        triangle,
        core,
    )


def aggregate_repeats(
    thetas: FloatArray, covs: FloatArray, aggregation: str = "median"
) -> tuple[FloatArray, FloatArray]:
    """Estimate and covariance over repeated cross-fitting (Chernozhukov et al. 2018, definition 3.3).

    Parameters
    ----------
    thetas : ndarray, shape (R, p)
    covs : ndarray, shape (R, p, p)
    aggregation : {"median", "mean", "bounds"}
        "median": medians of estimates; variances are the medians of ``var_r + (theta_r - theta)^2``, coefficient by
        coefficient. "mean": means of the same. "bounds": medians of estimates; standard errors from the medians of
        the upper bounds ``theta_r + 1.96 se_r``, as doubleml 0.11 has them; they carry less of the variation over
        repeats.

    Returns
    -------
    params : ndarray, shape (p,)
    cov : ndarray, shape (p, p)
        For "mean" the mean of ``cov_r + (theta_r - theta)(theta_r - theta)'``. Otherwise the variances above with the
        mean of the correlations of these matrices: positive semidefinite, and free of the units of the treatments, as
        the definition's median by operator norm is not.
    """
    if thetas.shape[0] == 1:
        return thetas[0].copy(), covs[0].copy()
    params = np.asarray(np.mean(thetas, axis=0) if aggregation == "mean" else np.median(thetas, axis=0))
    gap = thetas - params
    spread = covs + gap[:, :, None] * gap[:, None, :]
    if aggregation == "mean":
        return params, np.asarray(spread.mean(axis=0))
    variances = np.diagonal(spread, axis1=1, axis2=2)
    roots = np.sqrt(np.where(variances > 0, variances, 1.0))
    correlation = (spread / (roots[:, :, None] * roots[:, None, :])).mean(axis=0)
    if aggregation == "bounds":
        ses = np.sqrt(np.maximum(np.diagonal(covs, axis1=1, axis2=2), 0.0))
        length = (np.median(thetas + _BOUND * ses, axis=0) - params) / _BOUND
    else:
        length = np.sqrt(np.maximum(np.median(variances, axis=0), 0.0))
    cov = correlation * np.outer(length, length)
    np.fill_diagonal(cov, length**2)
    return params, cov


# ---- one repeat


@dataclass(frozen=True, eq=False)
class _Solved:
    """Solution of one repeat's scores; `influence` is scaled so that its sums over `terms` give the covariance."""

    theta: FloatArray
    resid: FloatArray
    scores: FloatArray
    influence: FloatArray
    terms: list[tuple[int, ClusterWay]]


def _solve(fit: CrossFit, repeat: int, ways: Sequence[ClusterWay], fold_weights: str) -> _Solved:
    v = fit.d_tilde(repeat)
    if fit.structural_hat is None:
        u, x = fit.y_tilde(repeat), v
    else:
        u, x = fit.y[:, None] - fit.structural_hat[repeat], fit.d
    n = v.shape[0]
    terms = cluster_terms(ways) if ways else []
    share: FloatArray = np.ones(n)
    scale: FloatArray = share
    if fold_weights == "clusters":
        share, scale, terms = _fold_scales(fit.folds[repeat], ways)
    if fit.weights is not None:
        share, scale = share * fit.weights, scale * fit.weights
    root = np.sqrt(share)
    separate = fit.treatments == "one at a time"
    if separate:
        matrix = (v * x * share[:, None]).sum(axis=0)
        _check_related(v * root[:, None], x * root[:, None], np.diag(matrix), fit.treatment_names)
        theta = (v * u * share[:, None]).sum(axis=0) / matrix
        resid = u - x * theta
        scores = v * resid
        return _Solved(theta, resid, scores, scores * scale[:, None] / matrix, terms)
    theta, resid, turned = _jointly(v, x, u[:, 0], root, fit)
    resid = resid[:, None]
    return _Solved(theta, resid, v * resid, turned * (resid * scale[:, None]), terms)


def _jointly(
    v: FloatArray, x: FloatArray, u: FloatArray, root: FloatArray, fit: CrossFit
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """theta, residuals, and A^-1 v_i of all rows (n, p), A^-1 by the triangle of v."""
    noise = ROUNDING * np.linalg.norm(fit.d * root[:, None], axis=0)
    solved = least_squares(v, u, root, noise=noise)
    for j, others in solved.spanned.items():
        raise _collinear([fit.treatment_names[i] for i in sorted((j, *others))])
    triangle = solved.triangle
    q = triangle.basis(v)
    if x is v:
        return solved.params, solved.resid, np.asarray(q @ triangle.root.T)
    inner = (q * root[:, None]).T @ (x * root[:, None])  # A = R'inner
    _check_related(q * root[:, None], x * root[:, None], inner, fit.treatment_names)
    length = np.linalg.norm(x, axis=0)
    inverse = np.linalg.inv(inner / length) / length[:, None]
    theta = inverse @ ((q * root[:, None]).T @ (u * root))
    return theta, u - x @ theta, np.asarray(q @ inverse.T)


def _check_related(v: FloatArray, x: FloatArray, matrix: FloatArray, names: Sequence[str]) -> None:
    """Residualised treatments must go with the treatments."""
    scaled = matrix / np.outer(np.linalg.norm(v, axis=0), np.linalg.norm(x, axis=0))
    if not np.linalg.svd(scaled, compute_uv=False)[-1] > _SINGULAR:
        raise _collinear(names)


def _collinear(names: Sequence[str]) -> DataError:
    return DataError(
        f"What the learners leave of {', '.join(names)} is collinear, or unrelated to the treatments themselves.",
        "Each treatment must vary by itself beyond the features.",
        "Leave one of them out.",
    )


def _fold_scales(
    folds: Folds, ways: Sequence[ClusterWay]
) -> tuple[FloatArray, FloatArray, list[tuple[int, ClusterWay]]]:
    """Weights of rows in theta, in influences, and the terms of the covariance, with clusters weighted within folds.

    With c_k clusters (one way) or c_k = |I_k| |J_l| (two) in fold k of K, rows have weight 1/(K c_k) in A and b. The
    middle of the covariance is sum_k (1/K) m_k / c_k^2 sum_clusters (sum psi)^2 / G, with m_k = |I_k| (one way) or
    min(|I_k|, |J_l|) and G the number of clusters of the smaller way.
    """
    places = [_places(folds, way, number) for number, way in enumerate(ways)]
    n_cells = int(np.prod([place.max() + 1 for place, _ in places]))
    if n_cells != folds.n_folds:
        raise SpecificationError(
            f'fold_weights="clusters" came with {folds.n_folds} folds that are not made of whole clusters.',
            "Clusters must lie in one fold; two ways need the products of folds of each way.",
            'fold_weights="rows", or groups= the clusters.',
        )
    counts = np.stack([found[place] for place, found in places], axis=1)  # (K, ways)
    size = np.where(counts.min(axis=1) > 0, counts.prod(axis=1), 1).astype(np.float64)
    total = min(way.n_groups for way in ways)
    share = 1.0 / (n_cells * size)
    scale = np.sqrt(counts.min(axis=1) / (n_cells * total)) / size
    terms = []
    for way in ways:
        codes = np.unique(way.codes * folds.n_folds + folds.labels, return_inverse=True)[1].astype(np.int64)
        terms.append((1, ClusterWay(codes, int(codes.max()) + 1)))
    return share[folds.labels], scale[folds.labels], terms


def _places(folds: Folds, way: ClusterWay, number: int) -> tuple[IntArray, IntArray]:
    """Which part of a way's clusters each fold predicts (K,), and how many clusters that part has.

    Folds that were drawn know. Of the caller's, those that share a cluster predict the same part of them.
    """
    if folds.own_train is None and len(folds.ways) == 2:
        place = np.asarray([folds.place(k)[number] for k in range(folds.n_folds)], dtype=np.int64)
        labels = folds.ways[number]
    else:
        pairs = np.unique(np.column_stack([folds.labels, way.codes]), axis=0)
        k = folds.n_folds
        links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1] + k)), shape=(k + way.n_groups,) * 2)
        _, place = np.unique(connected_components(links, directed=False)[1][:k], return_inverse=True)
        labels = place[folds.labels]
    found = np.unique(np.column_stack([labels, way.codes]), axis=0)[:, 0]
    return place, np.bincount(found, minlength=int(place.max()) + 1)


@dataclass(frozen=True)
class _Sums:
    """How the influences of a repeat are summed, and what is said of it."""

    kind: str
    counts: SampleCounts
    ssc: SmallSample
    psd: str
    description: str
    names: tuple[str, ...]


def _summed(
    phi: FloatArray, ways: Sequence[ClusterWay], terms: Sequence[tuple[int, ClusterWay]], how: _Sums
) -> tuple[FloatArray, FloatArray, tuple[float, ...]]:
    """Outer products of influences (n, p), summed in clusters: with signs, all added, and the factors."""
    gross = phi.T @ phi
    if not ways:
        factor = small_sample_factor(how.kind, how.counts, ssc=how.ssc)
        return factor * gross, factor * gross, (factor,)
    cov, factors = np.zeros((phi.shape[1],) * 2), []
    for sign, way in terms:
        sums = way.sums(phi)
        factors.append(small_sample_factor(how.kind, how.counts, ssc=how.ssc, own=way.n_groups))
        term = factors[-1] * (sums.T @ sums)
        cov += sign * term
        gross = gross + term
    return cov, gross, tuple(factors)


def _covariance(
    solved: _Solved, ways: Sequence[ClusterWay], how: _Sums
) -> tuple[FloatArray, tuple[float, ...], bool, tuple[int, ...], FloatArray]:
    phi = solved.influence
    cov, gross, factors = _summed(phi, ways, solved.terms, how)
    if not ways:
        return cov, factors, False, (), gross
    roots = np.sqrt(np.einsum("ij,ij->j", phi, phi))
    length = 1.0 / np.where(roots > 0, roots, 1.0)
    treated = treat_indefinite(cov, gross, length, how.psd, how.description, how.names, len(ways))
    return treated.cov, factors, treated.adjusted, treated.without, gross


def _ways(kind: str, clusters: Sequence[Any], fold_weights: str, n: int) -> tuple[ClusterWay, ...]:
    clustered = kind in ("CR0", "cluster")
    if clustered != bool(len(clusters)):
        raise SpecificationError(
            f"kind={kind!r} came {'without' if clustered else 'with'} clusters.",
            "The clustered kinds need them, the others take none.",
            'kind="cluster", clusters=[codes]',
        )
    if fold_weights == "clusters" and len(clusters) not in (1, 2):
        raise SpecificationError(
            f'fold_weights="clusters" came with {len(clusters)} ways of clustering.',
            "It takes one or two.",
            'fold_weights="rows"',
        )
    return cluster_ways(clusters, n) if clustered else ()


def _describe(kind: str, counts: SampleCounts, fold_weights: str) -> str:
    if not counts.n_groups:
        return f"heteroskedasticity-robust ({kind})"
    ways = " x ".join(str(g) for g in counts.n_groups)
    extra = ", weighted within folds" if fold_weights == "clusters" else ""
    return f"clustered ({'CR0, ' if kind == 'CR0' else ''}{ways} clusters{extra})"
