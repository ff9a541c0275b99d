"""Covariance of least squares after a nuisance part was projected out, with the inference of the full regression.

Notation: x~ (n, k) and u (n,) are regressors and residuals with fixed effects and controls taken out (under the
weights, where there are any), w the weights (1 without), A = sum_i w_i x~_i x~_i', s_i = w_i x~_i u_i the scores. By
the theorem of Frisch, Waugh & Lovell the rows of (Z'WZ)^-1 Z'W that belong to the regressors of the full design Z are
A^-1 x~'W, so

    cov = factor * A^-1 meat A^-1

is the block of the full regression's covariance, provided that leverages, degrees of freedom and leave-one-out fits are
those of the full design: what each kind does about that is in :func:`linear_covariance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gifepanel.exceptions import SpecificationError
from gifepanel.inference.cluster_adjusted import Contrasts
from gifepanel.inference.clusters import cluster_ways
from gifepanel.inference.definite import treat_indefinite
from gifepanel.inference.kernel_sums import kernel_weights, lagged_products, time_rows
from gifepanel.inference.linear_kinds import ALIASES, TIMED, check_options, degrees_of_inference, describe
from gifepanel.inference.linear_meat import gross_meat, linear_meat
from gifepanel.inference.linear_sample import full_leverage, in_coefficients, linear_sample
from gifepanel.inference.sandwich import Sandwich
from gifepanel.inference.small_sample import Correction, SampleCounts, SmallSample, small_sample_factor
from gifepanel.inference.space import FloatArray
from gifepanel.projections.triangle import Triangle

__all__ = ["LinearCovariance", "covariance_of_sums", "linear_covariance"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LinearCovariance(Sandwich):
    """The covariance after partialling out; see :class:`Sandwich` for what is common to all.

    The bread is A = x~'W x~; the meat the sum of score products, without factor where all terms share one (otherwise
    with it), A u'Wu/n for ``"nonrobust"``, and A (sum of coefficient changes) A for the jackknife kinds; ``triangle``
    is that of x~ times sqrt(w).

    Attributes
    ----------
    factor : tuple of float
        Small-sample factors: one, or one per term of a multi-way covariance.
    df_params : int
        Parameters counted in the factor: K, or K' where nested effects are not counted.
    df_resid : int
        n - K, with everything counted.
    df_inference : ndarray, shape (k,)
        Degrees of freedom for t statistics of the coefficients: n - K; smallest G - 1 for clusters; T - 1 or the like
        for sums over time; Satterthwaite's for CR2.
    ssc : str
    exact : bool
        Equal to the full regression's; False where CR2 or CR3 ran on the absorbed regression although parts of the
        nuisance are not nested in the clusters.
    n_fitted : int
        Rows with leverage one, left out by HC2 and HC3.
    contrasts : Contrasts or None
        Of CR2: what degrees of freedom of other hypotheses need.
    """

    factor: tuple[float, ...]
    df_params: int
    df_resid: int
    df_inference: FloatArray
    ssc: str = "fixest"
    exact: bool = True
    n_fitted: int = 0
    contrasts: Contrasts | None = None


def linear_covariance(
    x_tilde: npt.ArrayLike,
    resid: npt.ArrayLike,
    *,
    df_absorbed: int,
    kind: str = "nonrobust",
    weights: npt.ArrayLike | None = None,
    leverage: npt.ArrayLike | None = None,
    clusters: Sequence[npt.ArrayLike] | None = None,
    df_nested: int = 0,
    nuisance: npt.ArrayLike | None = None,
    entity: npt.ArrayLike | None = None,
    time: npt.ArrayLike | None = None,
    maxlags: int | None = None,
    kernel: str = "bartlett",
    ssc: SmallSample = "fixest",
    use_correction: Correction | None = None,
    psd: str = "none",
    names: Sequence[str] | None = None,
    triangle: Triangle | None = None,
) -> LinearCovariance:
    """Covariance of least-squares coefficients after partialling out, equal to the full regression's.

    Parameters
    ----------
    x_tilde : array_like, shape (n, k)
        Regressors residualised on the nuisance part (by weighted least squares with weights), in their own units.
    resid : array_like, shape (n,)
        Residuals of the full regression.
    df_absorbed : int
        Rank of the nuisance part: effects, controls and constant together.
    kind : str
        statsmodels' names where it has one.

        - ``"nonrobust"``: sigma^2 A^-1.
        - ``"HC0"`` .. ``"HC3"``: u_i^2 as it is, times n/(n-K), over 1 - h_i, over (1 - h_i)^2 (MacKinnon & White
          1985). h_i is the leverage in the full regression.
        - ``"CR0"``, ``"cluster"`` (CR1): cluster sums of scores, without and with small-sample factor; several ways by
          inclusion and exclusion (Cameron, Gelbach & Miller 2011).
        - ``"CR2"``: Bell & McCaffrey, with Satterthwaite degrees of freedom; see
          :func:`~gifepanel.inference.cluster_adjusted.bell_mccaffrey`.
        - ``"cluster-crv3"`` (CR3), ``"cluster-jk"``: leave-one-cluster-out jackknife around the estimate, and around
          the mean of the leave-one-out estimates (MacKinnon, Nielsen & Webb 2023, J. Applied Econometrics 38).
        - ``"HAC"``: rows are one time series in order, or by `time` (Newey & West 1987).
        - ``"hac-panel"``: Newey-West within `entity`.
        - ``"hac-groupsum"``: Driscoll & Kraay (1998), over sums by `time`.

        ``"CR1"``, ``"CR3"``, ``"nw-panel"`` and ``"nw-groupsum"`` are taken as well.
    weights : array_like, shape (n,), optional
        Analytic weights, not negative: Var(e_i) proportional to 1/w_i is the working model.
    leverage : array_like, shape (n,), optional
        For HC2 and HC3: full leverages, see :func:`~gifepanel.inference.linear_sample.full_leverage`. May be left out
        when nothing is absorbed.
    clusters : sequence of array_like of int, each shape (n,)
        One array of codes per way.
    df_nested : int
        Dimensions that effects nested in clusters take beyond a constant, see
        :func:`~gifepanel.inference.clusters.nested_dimensions`; ``"fixest"`` and ``"stata"`` don't count them.
    nuisance : array_like, shape (n, r), optional
        For CR2 and CR3: columns of the nuisance part not nested in clusters, see
        :func:`~gifepanel.inference.cluster_adjusted.nuisance_columns`. Without them, and with such a part, the absorbed
        regression is adjusted in place of the full one, and ``exact`` is False.
    entity, time : array_like of int, shape (n,), optional
        Entity codes, and time in periods: lags are differences in time, so gaps count.
    maxlags : int, optional
        Default floor(4 (T/100)^(2/9)), T the number of periods from first to last.
    kernel : {"bartlett", "uniform"}
        1 - l / (maxlags + 1), or 1, at lag l.
    ssc : {"fixest", "stata", "statsmodels", "none"}
        Small-sample convention, see :mod:`gifepanel.inference.small_sample`.
    use_correction : bool or {"hac", "cluster"}, optional
        statsmodels' option of that name, in place of the convention's default.
    psd : {"none", "eigen", "eigen-scaled"}
        A multi-way covariance, or one with the uniform kernel, may have negative eigenvalues. They are left as they
        are, and standard errors are NaN where a variance is negative; set to zero, as Cameron, Gelbach & Miller (2011)
        propose; or set to zero in units where all x~ have length one, so that units of measurement do not matter.
    names : sequence of str, optional
        Of the coefficients, for the warning.
    triangle : Triangle, optional
        Of x~ times sqrt(w), where it is known.

    Returns
    -------
    LinearCovariance

    Raises
    ------
    DataError
        If shapes disagree, values are missing, weights negative, regressors collinear, leverages don't sum to K, or an
        (entity, time) pair occurs twice.
    SpecificationError
        If an option is unknown, missing, or doesn't go with the kind.

    Warns
    -----
    SpecificationWarning
        If a variance is negative or zero, or an eigenvalue negative.
    """
    kind = ALIASES.get(kind, kind)
    check_options(kind, clusters, nuisance, leverage, entity, time, maxlags, kernel, psd)
    sample = linear_sample(x_tilde, resid, weights, triangle)
    n, k = sample.shape
    ways = cluster_ways(clusters, n) if clusters is not None else ()
    if kind in ("CR2", "cluster-crv3", "cluster-jk") and len(ways) > 1:
        raise SpecificationError(
            f"cov_type={kind!r} came with {len(ways)} ways of clustering.", "It takes one.", "Use cov_type='cluster'."
        )
    rows = time_rows(kind, n, entity, time, maxlags) if kind in TIMED else None
    counts = SampleCounts(
        n,
        k + df_absorbed,
        df_nested,
        tuple(way.n_groups for way in ways),
        0 if rows is None else rows.n_periods,
        0 if rows is None else rows.n_entities,
    )
    if leverage is None:
        leverage = full_leverage(x_tilde, weights=weights, triangle=sample.triangle) if kind in ("HC2", "HC3") else None
    meat, factor, extra = linear_meat(
        kind, sample, counts, ways, rows, leverage, nuisance, weights, kernel, ssc, use_correction
    )
    return _assembled(
        kind,
        sample.triangle,
        meat,
        gross_meat(kind, sample, rows) + extra.get("terms", 0.0),
        factor,
        counts,
        ssc=ssc,
        psd=psd,
        names=names,
        maxlags=None if rows is None else rows.maxlags,
        kernel=kernel,
        df_inference=extra.get("df"),
        exact=_exact(kind, nuisance, df_absorbed, df_nested),
        n_fitted=extra.get("fitted", 0),
        contrasts=extra.get("contrasts"),
    )


def covariance_of_sums(
    kind: str,
    triangle: Triangle,
    counts: SampleCounts,
    *,
    ssr: float,
    squares: FloatArray,
    terms: Sequence[tuple[int, FloatArray, int]] = (),
    periods: tuple[FloatArray, npt.ArrayLike] | None = None,
    maxlags: int | None = None,
    kernel: str = "bartlett",
    ssc: SmallSample = "fixest",
    use_correction: Correction | None = None,
    psd: str = "none",
    names: Sequence[str] | None = None,
) -> LinearCovariance:
    """The same from sums over rows: whatever needs no more of them than sums of scores.

    Parameters
    ----------
    kind : {"nonrobust", "HC0", "HC1", "CR0", "cluster", "hac-groupsum"}
    triangle : Triangle
        Of x~ times sqrt(w).
    counts : SampleCounts
    ssr : float
        (Weighted) sum of squared residuals.
    squares : ndarray, shape (k, k)
        Sum over rows of score products, in the orthonormal basis of the triangle.
    terms : sequence of (sign, ndarray (k, k), int)
        Of every term of a clustered covariance: its sign, the sum over clusters of products of their scores, and how
        many there are; see :func:`~gifepanel.inference.clusters.cluster_terms`.
    periods : (ndarray (T, k), array_like of int (T,)), optional
        For ``"hac-groupsum"``: sums of scores of each period, and when it is.
    maxlags, kernel, ssc, use_correction, psd, names
        As of :func:`linear_covariance`.
    """
    kind = ALIASES.get(kind, kind)
    k = len(squares)

    def factor(own: int | None = None) -> float:
        return small_sample_factor(kind, counts, ssc=ssc, use_correction=use_correction, own=own)

    gross = 1e-6 * np.eye(k) * ssr / counts.nobs
    if kind == "nonrobust":
        return _assembled(
            kind, triangle, np.eye(k) * ssr / counts.nobs, gross, (factor(),), counts, ssc=ssc, psd=psd, names=names
        )
    if kind in ("HC0", "HC1"):
        return _assembled(kind, triangle, squares, gross, (factor(),), counts, ssc=ssc, psd=psd, names=names)
    gross = gross + squares
    if kind == "hac-groupsum":
        assert periods is not None
        sums, when = periods
        rows = time_rows(kind, len(sums), None, when, maxlags)
        counts = replace(counts, n_periods=rows.n_periods)
        meat = lagged_products(sums, rows, kernel_weights(kernel, rows.maxlags))
        gross = gross + lagged_products(sums, rows, np.ones(1))
        return _assembled(
            kind, triangle, meat, gross, (factor(),), counts,
            ssc=ssc, psd=psd, names=names, maxlags=rows.maxlags, kernel=kernel,
        )  # fmt: skip
    factors = [factor(groups) if kind == "cluster" else 1.0 for _, _, groups in terms]
    meat = np.zeros((k, k))
    for (sign, term, _), own in zip(terms, factors, strict=True):
        meat += sign * own * term
        gross = gross + term
    if len(set(factors)) == 1:
        meat, factors = meat / factors[0], factors[:1]
    return _assembled(kind, triangle, meat, gross, tuple(factors), counts, ssc=ssc, psd=psd, names=names)


def _assembled(
    kind: str,
    triangle: Triangle,
    meat: FloatArray,
    gross: FloatArray,
    factor: tuple[float, ...],
    counts: SampleCounts,
    *,
    ssc: SmallSample,
    psd: str,
    names: Sequence[str] | None,
    maxlags: int | None = None,
    kernel: str = "bartlett",
    df_inference: FloatArray | None = None,
    exact: bool = True,
    n_fitted: int = 0,
    contrasts: Contrasts | None = None,
) -> LinearCovariance:
    """From a meat in the orthonormal basis to the covariance of the coefficients."""
    single = factor[0] if len(factor) == 1 else 1.0
    cov = in_coefficients(triangle, meat) * single
    added = in_coefficients(triangle, gross) * max(factor)
    kernel_used = kernel if kind in TIMED else None
    description = describe(kind, counts, maxlags, kernel)
    treated = treat_indefinite(cov, added, triangle.lengths, psd, description, names, len(counts.n_groups), kernel_used)
    core = triangle.factor @ treated.cov @ triangle.factor.T if treated.adjusted else meat * single
    counted = counts.df_clustered if kind == "cluster" and ssc in ("fixest", "stata") else counts.df_params
    return LinearCovariance(
        cov=treated.cov,
        bread=triangle.gram,
        meat=np.asarray(triangle.factor.T @ meat @ triangle.factor),
        factor=factor,
        kind=kind,
        description=description,
        df_params=counted,
        df_resid=counts.df_resid,
        df_inference=degrees_of_inference(kind, counts, ssc, len(meat)) if df_inference is None else df_inference,
        n_groups=counts.n_groups,
        maxlags=maxlags,
        kernel=kernel_used,
        ssc=ssc,
        exact=exact,
        clipped=treated.adjusted,
        min_eigenvalue=treated.smallest,
        n_fitted=n_fitted,
        without=treated.without,
        gross=added,
        triangle=triangle,
        core=core,
        contrasts=contrasts,
    )


def _exact(kind: str, nuisance: npt.ArrayLike | None, df_absorbed: int, df_nested: int) -> bool:
    if kind not in ("CR2", "cluster-crv3", "cluster-jk") or nuisance is not None:
        return True
    return df_absorbed == (df_nested + 1 if df_nested else 0)
