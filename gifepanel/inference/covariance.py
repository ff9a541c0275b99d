"""Covariance of slopes estimated together with factors: Moon-Weidner, robust, clustered, HAC, Driscoll-Kraay.

Notation: z~ = M_Lambda z M_F with rows z~_it of shape (q,), e the residuals,

    W = (1/n) sum_it z~_it z~_it'          ("bread")
    Omega = (1/n) (sum of score products)  ("meat")
    cov = scale * W^-1 Omega W^-1 / n,

n the number of observed cells, NT where none is missing; cells that are not observed are zero in z~ and e, so sums
over pairs of scores are over pairs that are both observed, and lags are distances in the calendar.

Moon & Weidner (2017, Econometric Theory 33, 158-195, Definition 1 and Theorem 4.3) give W, the
heteroskedastic and the homoskedastic Omega; the kinds below differ in which pairs of scores s_it = z~_it
e_it enter Omega.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import ceil, floor
from typing import Literal

import numpy as np
import numpy.typing as npt

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.inference.definite import PSD, treat_indefinite
from gifepanel.inference.kernel_sums import kernel_weights
from gifepanel.inference.missing_information import MissingInformation
from gifepanel.inference.projected_blocks import ProjectedBlocks
from gifepanel.inference.sandwich import Sandwich
from gifepanel.inference.space import FloatArray, unit_blocks
from gifepanel.projections.triangle import Triangle, orthogonal_triangle

__all__ = [
    "CovarianceKind",
    "CovarianceResult",
    "Kernel",
    "checked_triangle",
    "covariance_of_none",
    "default_maxlags",
    "factor_covariance",
    "independent",
]

CovarianceKind = Literal["nonrobust", "HC0", "HC1", "HAC", "cluster", "driscoll-kraay"]
Kernel = Literal["uniform", "bartlett"]
IntArray = npt.NDArray[np.int64]
Columns = FloatArray | ProjectedBlocks

_KINDS = ("nonrobust", "HC0", "HC1", "HAC", "cluster", "driscoll-kraay")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class CovarianceResult(Sandwich):
    """The covariance of slopes estimated together with factors; see :class:`Sandwich` for what is common to all.

    ``cov`` is ``scale * inv(bread) @ meat @ inv(bread) / n``, n = NT less the cells that are not observed, with the
    bread W = z~'z~ / n and the meat Omega, which is sigma^2 W for ``"nonrobust"`` with sigma^2 = e'e / n; ``triangle``
    is that of z~ as columns.

    Attributes
    ----------
    scale : float
        Small-sample factor; 1 where ``ssc=False``.
    df_inference : float
        Degrees of freedom for t and F: those of the residuals, smallest number of clusters less one, T - 1 for
        Driscoll-Kraay.
    missing : MissingInformation or None
        By which the covariance was inflated, where groups are estimated.
    """

    scale: float
    df_inference: float = np.inf
    missing: MissingInformation | None = None

    def allowing_for_groups(self, missing: MissingInformation) -> CovarianceResult:
        """Inflated by what is not known about who belongs where; variances that were not positive stay as they are."""
        cov, without = missing.inflated(self.cov), list(self.without)
        cov[without], cov[:, without] = self.cov[without], self.cov[:, without]
        factor = self.triangle.factor
        gross = None if self.gross is None else missing.inflated(self.gross)
        return replace(self, cov=cov, core=factor @ cov @ factor.T, gross=gross, missing=missing)


def default_maxlags(n_periods: int, kind: str) -> int:
    """Lags: ceil(T^(1/4)) for ``"HAC"``; floor(4 (T/100)^(2/9)) for ``"driscoll-kraay"`` (Newey & West 1994).

    Parameters
    ----------
    n_periods : int
        T.
    kind : {"HAC", "driscoll-kraay"}

    Returns
    -------
    int
        At most T - 1.
    """
    lags = ceil(n_periods**0.25 - 1e-9) if kind == "HAC" else floor(4 * (n_periods / 100) ** (2 / 9))
    return max(0, min(lags, n_periods - 1))


def covariance_of_none(kind: str, df_resid: float) -> CovarianceResult:
    """That of a model without slopes."""
    none = np.empty((0, 0))
    return CovarianceResult(
        cov=none, bread=none, meat=none, kind=kind, description="no slopes", scale=1.0, df_inference=float(df_resid)
    )


def factor_covariance(
    z_proj: npt.ArrayLike | ProjectedBlocks,
    resid: npt.ArrayLike,
    *,
    df_resid: int,
    kind: CovarianceKind = "nonrobust",
    maxlags: int | None = None,
    kernel: Kernel | None = None,
    groups: Sequence[npt.ArrayLike] | None = None,
    ssc: bool = True,
    psd: str = "none",
    names: Sequence[str] | None = None,
    triangle: Triangle | None = None,
    observed: npt.ArrayLike | None = None,
) -> CovarianceResult:
    """Covariance of least-squares slopes after factors and effects have been projected out.

    Parameters
    ----------
    z_proj : array_like, shape (N, T, q), or ProjectedBlocks
        Regressors projected off loadings and factors, known and estimated (M_Lambda z M_F); zero in cells that are not
        observed. In blocks they come with their `triangle`.
    resid : array_like, shape (N, T)
        Residuals; zero in cells that are not observed.
    df_resid : int
        Residual degrees of freedom, see :func:`~gifepanel.inference.dof.residual_df`.
    kind : str
        - ``"nonrobust"``: W^-1 sigma^2 / NT (Moon & Weidner 2017, homoskedastic).
        - ``"HC0"``, ``"HC1"``: heteroskedasticity of any form, without and with the small-sample factor.
        - ``"HAC"``: besides, correlation within an entity up to ``maxlags`` periods.
        - ``"cluster"``: any correlation within a cluster; entities by default.
        - ``"driscoll-kraay"``: any correlation across entities, and over ``maxlags`` periods (Driscoll &
          Kraay 1998).
    maxlags : int, optional
        For HAC and Driscoll-Kraay; default :func:`default_maxlags`.
    kernel : {"uniform", "bartlett"}, optional
        Weights 1, or 1 - l / (maxlags + 1) (Newey & West 1987), at lag l. Default ``"uniform"`` for HAC, as
        Moon & Weidner (2017, Definition 1), and ``"bartlett"`` for Driscoll-Kraay. The uniform kernel need
        not give a positive semidefinite matrix.
    groups : sequence of array_like, optional
        One integer code array per way of clustering, each (N,) or (N, T), any code in cells that are not observed.
        Default: entities. Several ways combine by inclusion and exclusion (Cameron, Gelbach & Miller 2011).
    ssc : bool
        Small-sample factor n / df_resid (never for HC0), n = NT where no cell is missing; for clusters times
        G / (G - 1), G being the smallest number of clusters over the ways. Software differs here: statsmodels and
        Stata ``regress`` use (n - 1) / df in place of n / df; fixest and reghdfe, besides, don't count effects nested
        in a cluster.
    psd : {"none", "eigen", "eigen-scaled"}
        Several ways, and the uniform kernel, may give negative eigenvalues. They are left as they are, and standard
        errors are NaN where a variance is negative; set to zero, as Cameron, Gelbach & Miller (2011) propose; or set
        to zero in units where all regressors have length one.
    names : sequence of str, optional
        Of the slopes, for the warning.
    triangle : Triangle, optional
        Of z~ as columns (NT, q), where it is known.
    observed : array_like of bool, shape (N, T), optional
        The observed cells; all of them by default.

    Returns
    -------
    CovarianceResult

    Raises
    ------
    DataError
        If shapes disagree, or the projected regressors are collinear.
    SpecificationError
        If an option doesn't go with the kind.

    Warns
    -----
    SpecificationWarning
        If a variance is negative or zero, or an eigenvalue negative (uniform kernel, several ways).
    """
    z, e = (z_proj, np.asarray(resid)) if isinstance(z_proj, ProjectedBlocks) else _check_arrays(z_proj, resid)
    _check_options(kind, psd, df_resid, maxlags, kernel, groups, z.shape[1])
    n, t, q = z.shape
    seen = None if observed is None or isinstance(z, ProjectedBlocks) else _check_observed(observed, z, e)
    nobs = n * t if seen is None else int(seen.sum())
    if isinstance(z, ProjectedBlocks):
        assert triangle is not None
        z = z.in_basis(triangle)
    else:
        triangle = checked_triangle(z.reshape(-1, q)) if triangle is None else triangle
        if kind != "nonrobust":
            z = triangle.basis(z.reshape(-1, q)).reshape(n, t, q)
    lags = kernel_used = None
    gross = 1e-6 * np.eye(q) * float(np.vdot(e, e)) / nobs
    if kind not in ("nonrobust", "HC0", "HC1"):
        gross = gross + _meat_hac(z, e, np.ones(1))
    n_groups: tuple[int, ...] = ()
    if kind == "nonrobust":
        meat = np.eye(q) * float(np.vdot(e, e)) / nobs
    elif kind == "cluster":
        codes = _cluster_codes(groups, n, t, seen)
        n_groups = tuple(int(c.max()) + 1 for c in codes)
        meat, added = _meat_cluster(z, e, codes)
        gross = gross + added
    elif kind in ("HC0", "HC1"):
        meat = _meat_hac(z, e, np.ones(1))
    else:
        lags = default_maxlags(t, kind) if maxlags is None else int(maxlags)
        kernel_used = kernel or ("uniform" if kind == "HAC" else "bartlett")
        weights = kernel_weights(kernel_used, lags)
        build = _meat_hac if kind == "HAC" else _meat_driscoll_kraay
        meat = build(z, e, weights)
        gross = gross + build(z, e, np.ones(1))
    scale = _small_sample_factor(kind, nobs, df_resid, n_groups) if ssc else 1.0
    cov = scale * triangle.root @ meat @ triangle.root.T
    cov = (cov + cov.T) / 2
    description = _describe(kind, n_groups, lags, kernel_used)
    gross = scale * triangle.root @ gross @ triangle.root.T
    treated = treat_indefinite(cov, gross, triangle.lengths, psd, description, names, len(n_groups), kernel_used)
    df = min(n_groups) - 1 if n_groups else (t - 1 if kind == "driscoll-kraay" else df_resid)
    in_units = triangle.factor.T @ meat @ triangle.factor / nobs
    return CovarianceResult(
        cov=treated.cov,
        bread=triangle.gram / nobs,
        meat=in_units,
        scale=scale,
        kind=kind,
        description=description,
        n_groups=n_groups,
        maxlags=lags,
        kernel=kernel_used,
        df_inference=float(df),
        clipped=treated.adjusted,
        min_eigenvalue=treated.smallest,
        without=treated.without,
        gross=gross,
        triangle=triangle,
        core=triangle.factor @ treated.cov @ triangle.factor.T if treated.adjusted else scale * meat,
    )


def _check_arrays(z_proj: npt.ArrayLike, resid: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    z = np.ascontiguousarray(z_proj, dtype=np.float64)
    e = np.ascontiguousarray(resid, dtype=np.float64)
    if z.ndim != 3 or e.shape != z.shape[:2] or z.shape[2] == 0:
        raise DataError(
            f"Regressors have shape {z.shape} and residuals {e.shape}.",
            "They must be (N, T, q) with q > 0, and (N, T).",
            "Pass entities along axis 0, periods along axis 1 and regressors along axis 2.",
        )
    if not (np.isfinite(z).all() and np.isfinite(e).all()):
        raise DataError(
            "Regressors or residuals are missing or infinite.",
            "The covariance needs finite numbers.",
            "Drop or fill the cells with NaN or inf.",
        )
    return z, e


def _check_observed(observed: npt.ArrayLike, z: FloatArray, e: FloatArray) -> npt.NDArray[np.bool_]:
    """The mask, which must be zero's in regressors and residuals: sums over cells take them all."""
    seen = np.asarray(observed, dtype=bool)
    if seen.shape != e.shape:
        raise DataError(
            f"The mask of observed cells has shape {seen.shape}.",
            f"It must be {e.shape}.",
            "Pass one truth value a cell.",
        )
    if e[~seen].any() or z[~seen].any():
        raise DataError(
            "Regressors or residuals are not zero in cells that are not observed.",
            "Such cells must not count.",
            "z_proj[~observed] = 0; resid[~observed] = 0",
        )
    return seen


def checked_triangle(columns: FloatArray, noise: FloatArray | None = None) -> Triangle:
    """Triangle of projected regressors (n, q), which must be linearly independent."""
    return independent(*orthogonal_triangle(columns, noise=noise))


def independent(triangle: Triangle, spanned: Mapping[int, Sequence[int]]) -> Triangle:
    """The triangle, if no column is spanned by others."""
    for j, others in spanned.items():
        which = ", ".join(str(i + 1) for i in others)
        raise DataError(
            f"Regressor {j + 1} is collinear "
            + (f"with {which} once factors and effects are projected out." if which else "with factors and effects."),
            "Every regressor needs variation of its own.",
            "Drop a regressor, or lower n_factors.",
        )
    return triangle


def _check_options(
    kind: str,
    psd: str,
    df_resid: int,
    maxlags: int | None,
    kernel: str | None,
    groups: Sequence[npt.ArrayLike] | None,
    n_periods: int,
) -> None:
    if kind not in _KINDS:
        raise SpecificationError(
            f"Unknown covariance type {kind!r}.", f"Known are {', '.join(_KINDS)}.", "Use 'HC1', say."
        )
    if psd not in PSD:
        raise SpecificationError(f"psd={psd!r} is unknown.", f"Known are {', '.join(PSD)}.", "Use psd='eigen'.")
    if df_resid <= 0:
        raise SpecificationError(f"df_resid is {df_resid}.", "It must be positive.", "Lower n_factors or n_groups.")
    if kind not in ("HAC", "driscoll-kraay") and not (maxlags is None and kernel is None):
        raise SpecificationError(
            f"maxlags and kernel came with cov_type={kind!r}.",
            "They belong to 'HAC' and 'driscoll-kraay'.",
            "Use cov_type='HAC', or leave them out.",
        )
    if kind != "cluster" and groups is not None:
        raise SpecificationError(
            f"Cluster groups came with cov_type={kind!r}.",
            "They belong to 'cluster'.",
            "Use cov_type='cluster', or leave groups out.",
        )
    if kernel not in (None, "uniform", "bartlett"):
        raise SpecificationError(
            f"Unknown kernel {kernel!r}.", "Known are 'uniform' and 'bartlett'.", "Use kernel='bartlett'."
        )
    if maxlags is not None and not 0 <= maxlags < n_periods:
        raise SpecificationError(
            f"maxlags is {maxlags} with {n_periods} periods.",
            f"It must be an integer from 0 to {n_periods - 1}.",
            "Leave it out for the default.",
        )


def _cluster_codes(
    groups: Sequence[npt.ArrayLike] | None, n: int, t: int, observed: npt.NDArray[np.bool_] | None
) -> list[IntArray]:
    """Codes 0..G-1 in each way, shape (N,) where constant within entities by construction, else (N, T).

    Clusters are those of observed cells; in others the code is 0, where nothing is added.
    """
    if groups is None:
        return [np.arange(n, dtype=np.int64)]
    codes = []
    for way, given in enumerate(groups):
        arr = np.asarray(given)
        if arr.shape not in ((n,), (n, t)):
            raise DataError(
                f"Cluster codes number {way + 1} have shape {arr.shape}.",
                f"Each way needs ({n},) or ({n}, {t}).",
                "Pass groups as a list with one array per way.",
            )
        if observed is not None and arr.ndim == 2:
            inverse = np.zeros(arr.shape, dtype=np.int64)
            inverse[observed] = np.unique(arr[observed], return_inverse=True)[1]
        else:
            inverse = np.unique(arr, return_inverse=True)[1].reshape(arr.shape).astype(np.int64)
        if inverse.max() == 0:
            raise SpecificationError(
                f"Cluster variable number {way + 1} has one value only.",
                "A clustered covariance needs at least two clusters.",
                "Cluster by another variable.",
            )
        codes.append(inverse)
    if not codes:
        raise SpecificationError("The list of cluster groups is empty.", "One is needed.", "Leave groups out.")
    return codes


def _scores(z: Columns, e: FloatArray, rows: slice) -> FloatArray:
    return np.asarray(z[rows] * e[rows, :, None])


def _meat_hac(z: Columns, e: FloatArray, weights: FloatArray) -> FloatArray:
    """Sum over entities of w_|t-s| s_it s_is'; lag zero alone is the heteroskedastic form."""
    n, t, q = z.shape
    meat = np.zeros((q, q))
    for rows in unit_blocks(n, t * q):
        s = _scores(z, e, rows)
        flat = s.reshape(-1, q)
        meat += weights[0] * (flat.T @ flat)
        for lag in range(1, len(weights)):
            cross = s[:, lag:].reshape(-1, q).T @ s[:, :-lag].reshape(-1, q)
            meat += weights[lag] * (cross + cross.T)
    return meat


def _meat_driscoll_kraay(z: Columns, e: FloatArray, weights: FloatArray) -> FloatArray:
    n, t, q = z.shape
    h = np.zeros((t, q))
    for rows in unit_blocks(n, t * q):
        h += _scores(z, e, rows).sum(axis=0)
    return _meat_hac(h[None], np.ones((1, t)), weights)


def _meat_cluster(z: Columns, e: FloatArray, codes: list[IntArray]) -> tuple[FloatArray, FloatArray]:
    """Cameron, Gelbach & Miller (2011): add odd, subtract even intersections; and all of them added."""
    q = z.shape[2]
    meat, added = np.zeros((q, q)), np.zeros((q, q))
    for size in range(1, len(codes) + 1):
        for subset in combinations(codes, size):
            sums = _cluster_sums(z, e, _intersect(subset, z.shape[1]))
            meat += (-1) ** (size + 1) * (sums.T @ sums)
            added += sums.T @ sums
    return meat, added


def _intersect(subset: tuple[IntArray, ...], n_periods: int) -> IntArray:
    joint = subset[0]
    for other in subset[1:]:
        if joint.ndim != other.ndim:
            joint, other = _by_cell(joint, n_periods), _by_cell(other, n_periods)
        pairs = joint * (int(other.max()) + 1) + other
        joint = np.unique(pairs, return_inverse=True)[1].reshape(pairs.shape).astype(np.int64)
    return joint


def _by_cell(codes: IntArray, n_periods: int) -> IntArray:
    return codes if codes.ndim == 2 else np.broadcast_to(codes[:, None], (codes.shape[0], n_periods))


def _cluster_sums(z: Columns, e: FloatArray, codes: IntArray) -> FloatArray:
    n_groups, q = int(codes.max()) + 1, z.shape[2]
    if isinstance(z, ProjectedBlocks):
        return _cluster_sums_in_blocks(z, e, codes, n_groups)
    out = np.empty((n_groups, q))
    by_unit = np.matmul(e[:, None, :], z)[:, 0, :] if codes.ndim == 1 else None
    for j in range(q):
        weights = by_unit[:, j] if by_unit is not None else (z[:, :, j] * e).ravel()
        out[:, j] = np.bincount(codes.ravel(), weights=weights, minlength=n_groups)
    return out


def _cluster_sums_in_blocks(z: ProjectedBlocks, e: FloatArray, codes: IntArray, n_groups: int) -> FloatArray:
    n, t, q = z.shape
    out = np.zeros((n_groups, q))
    for rows in unit_blocks(n, t * q):
        scores = _scores(z, e, rows)
        by_row = scores.sum(axis=1) if codes.ndim == 1 else scores.reshape(-1, q)
        np.add.at(out, codes[rows].ravel(), by_row)
    return out


def _small_sample_factor(kind: str, nobs: int, df_resid: int, n_groups: tuple[int, ...]) -> float:
    if kind == "HC0":
        return 1.0
    factor = nobs / df_resid
    if n_groups:
        smallest = min(n_groups)
        factor *= smallest / (smallest - 1)
    return factor


def _describe(kind: str, n_groups: tuple[int, ...], lags: int | None, kernel: str | None) -> str:
    if kind == "cluster":
        ways = " x ".join(str(g) for g in n_groups)
        return f"clustered ({ways} clusters)"
    names = {
        "nonrobust": "homoskedastic",
        "HC0": "heteroskedasticity-robust (HC0)",
        "HC1": "heteroskedasticity-robust (HC1)",
        "HAC": f"HAC within entities ({kernel} kernel, {lags} lags)",
        "driscoll-kraay": f"Driscoll-Kraay ({kernel} kernel, {lags} lags)",
    }
    return names[kind]
