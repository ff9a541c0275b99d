"""Small-sample factors of covariance matrices: what each convention counts, one function each.

Every factor multiplies the covariance without correction: u'u/n times the inverse bread for ``"nonrobust"``, the plain
sandwich otherwise. n is the number of observations, K the rank of everything that was estimated (slopes and nuisance),
K' = K less the dimensions of effects nested in a cluster, with a constant counted for them, G the clusters, T the
periods.

=============  ================  ========================  =======================  ========================
kind           fixest            stata                     statsmodels              none
=============  ================  ========================  =======================  ========================
nonrobust      n/(n-K)           n/(n-K)                   n/(n-K)                  1
HC1            n/(n-K)           n/(n-K)                   n/(n-K)                  1
cluster        K', smallest G    K', G of each term        K, G of each term        1
cluster-crv3   (G-1)/G           (G-1)/G                   (G-1)/G                  1
HAC            n/(n-K)           n/(n-K)                   1                        1
hac-panel      K, T              n/(n-K)                   n/(n-K)                  1
hac-groupsum   K, T              1                         K, T                     1
=============  ================  ========================  =======================  ========================

"K, T" stands for T/(T-1) (n-1)/(n-K). HC0, HC2, HC3, CR0 and CR2 have no factor under any convention.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gifepanel.exceptions import SpecificationError

__all__ = [
    "Correction",
    "SampleCounts",
    "SmallSample",
    "fixest_factor",
    "no_factor",
    "small_sample_factor",
    "stata_factor",
    "statsmodels_factor",
]

SmallSample = Literal["fixest", "stata", "statsmodels", "none"]
Correction = bool | Literal["hac", "cluster"]

_JACKKNIFE = ("cluster-crv3", "cluster-jk")
_CORRECTABLE = ("cluster", *_JACKKNIFE, "HAC", "hac-panel", "hac-groupsum")


@dataclass(frozen=True)
class SampleCounts:
    """What small-sample factors are made of.

    Attributes
    ----------
    nobs : int
        Observations n.
    df_params : int
        K: slopes plus rank of the nuisance part.
    df_nested : int
        Dimensions of the nuisance part that effects nested in clusters take beyond a constant: K - K'.
    n_groups : tuple of int
        Clusters in each way.
    n_periods : int
        T, for kinds that sum over time.
    n_entities : int
        Entities, for correlation within entities.
    """

    nobs: int
    df_params: int
    df_nested: int = 0
    n_groups: tuple[int, ...] = ()
    n_periods: int = 0
    n_entities: int = 0

    @property
    def df_resid(self) -> int:
        """n - K."""
        return self.nobs - self.df_params

    @property
    def df_clustered(self) -> int:
        """K', never above K."""
        return self.df_params - self.df_nested


@dataclass(frozen=True)
class _Convention:
    """One column of the table above, jackknife kinds aside: (G-1)/G in all of them.

    Attributes
    ----------
    nested_count : bool
        Effects nested in clusters are counted: K in place of K'.
    own_groups : bool
        Every term of a multi-way covariance takes its own G, in place of the smallest.
    summed : tuple of str
        Kinds with T/(T-1) (n-1)/(n-K).
    corrected : tuple of str
        Kinds with n/(n-K).
    """

    nested_count: bool
    own_groups: bool
    summed: tuple[str, ...]
    corrected: tuple[str, ...]

    def factor(self, kind: str, counts: SampleCounts, own: int | None) -> float:
        if kind == "cluster":
            groups = own if self.own_groups and own else min(counts.n_groups)
            return _clustered(groups, counts.nobs, counts.df_params if self.nested_count else counts.df_clustered)
        if kind in self.summed:
            return _clustered(counts.n_periods, counts.nobs, counts.df_params)
        if kind in self.corrected:
            return counts.nobs / counts.df_resid
        if kind in _JACKKNIFE:
            groups = counts.n_groups[0]
            return (groups - 1) / groups
        return 1.0


_FIXEST = _Convention(False, False, ("hac-panel", "hac-groupsum"), ("nonrobust", "HC1", "HAC"))
_STATA = _Convention(False, True, (), ("nonrobust", "HC1", "HAC", "hac-panel"))
_STATSMODELS = _Convention(True, True, ("hac-groupsum",), ("nonrobust", "HC1", "hac-panel"))


def fixest_factor(kind: str, counts: SampleCounts, own: int | None = None) -> float:
    """fixest and pyfixest by default; reghdfe for one way of clustering.

    G/(G-1) (n-1)/(n-K') for clusters: effects nested in any of the cluster variables are not counted, a constant is
    counted in their place, and every term of a multi-way covariance takes the smallest G. Newey-West and
    Driscoll-Kraay in panels take T/(T-1) (n-1)/(n-K). The jackknife kinds take (G-1)/G, as their definition
    says; pyfixest multiplies its CRV3 by the factor of CRV1 instead, which is not followed.

    Parameters
    ----------
    kind : str
    counts : SampleCounts
    own : int, optional
        Clusters of the term at hand; not used by this convention.

    Returns
    -------
    float

    Examples
    --------
    Wages of 545 men over 8 years, 3 regressors, effects of men and years (rank 552), clustered by man. The effects of
    men are nested, so 552 becomes 1 + 7 and K' = 11:

    >>> counts = SampleCounts(nobs=4360, df_params=3 + 552, df_nested=552 - 8, n_groups=(545,))
    >>> counts.df_clustered
    11
    >>> round(fixest_factor("cluster", counts), 6)  # 545/544 * 4359/4349
    1.004142

    Clustered by man and year: all effects are nested, K' = 4, and G = 8 for each of the three terms:

    >>> both = SampleCounts(nobs=4360, df_params=555, df_nested=551, n_groups=(545, 8))
    >>> round(fixest_factor("cluster", both), 6)  # 8/7 * 4359/4356
    1.143644
    """
    return _FIXEST.factor(kind, counts, own)


def stata_factor(kind: str, counts: SampleCounts, own: int | None = None) -> float:
    """Stata: ``xtreg, fe`` and ``reghdfe`` for nested effects, every term of a multi-way covariance by its own G.

    One way of clustering equals :func:`fixest_factor`. Over several ways each term takes G/(G-1) of its own, as the
    commands after Cameron, Gelbach & Miller (2011) and early ``reghdfe`` do. (``areg`` and ``regress`` with dummies
    count nested effects too: that is :func:`statsmodels_factor`.) ``newey`` takes n/(n-K), ``xtscc`` no factor.

    Parameters
    ----------
    kind : str
    counts : SampleCounts
    own : int, optional
        Clusters of the term at hand; the smallest way by default.

    Returns
    -------
    float

    Examples
    --------
    The wages of :func:`fixest_factor`, clustered by man and year; the terms are men, years, and cells of both:

    >>> both = SampleCounts(nobs=4360, df_params=555, df_nested=551, n_groups=(545, 8))
    >>> [round(stata_factor("cluster", both, own), 6) for own in (545, 8, 4360)]  # G/(G-1) * 4359/4356
    [1.002528, 1.143644, 1.000918]
    """
    return _STATA.factor(kind, counts, own)


def statsmodels_factor(kind: str, counts: SampleCounts, own: int | None = None) -> float:
    """statsmodels' ``OLS`` on the full set of dummies: nested effects count as parameters.

    G/(G-1) (n-1)/(n-K) with each term's own G. By statsmodels' defaults ``HAC`` has no factor, ``hac-panel`` n/(n-K),
    ``hac-groupsum`` T/(T-1) (n-1)/(n-K); ``use_correction`` changes them (:func:`small_sample_factor`).

    Parameters
    ----------
    kind : str
    counts : SampleCounts
    own : int, optional
        Clusters of the term at hand; the smallest way by default.

    Returns
    -------
    float

    Examples
    --------
    The wages of :func:`fixest_factor`, clustered by man: standard errors are 7 % larger.

    >>> counts = SampleCounts(nobs=4360, df_params=555, df_nested=544, n_groups=(545,))
    >>> round(statsmodels_factor("cluster", counts), 6)  # 545/544 * 4359/3805
    1.147704
    """
    return _STATSMODELS.factor(kind, counts, own)


def no_factor(kind: str, counts: SampleCounts, own: int | None = None) -> float:
    """One, always: sigma^2 = u'u/n, HC1 = HC0, CR1 = CR0.

    Parameters
    ----------
    kind : str
    counts : SampleCounts
    own : int, optional

    Returns
    -------
    float

    Examples
    --------
    >>> no_factor("cluster", SampleCounts(nobs=100, df_params=10, n_groups=(20,)))
    1.0
    """
    return 1.0


_CONVENTIONS = {
    "fixest": fixest_factor,
    "stata": stata_factor,
    "statsmodels": statsmodels_factor,
    "none": no_factor,
}


def small_sample_factor(
    kind: str,
    counts: SampleCounts,
    *,
    ssc: SmallSample = "fixest",
    use_correction: Correction | None = None,
    own: int | None = None,
) -> float:
    """The factor of a covariance, or of one term of a multi-way one.

    Parameters
    ----------
    kind : str
        A kind of :func:`~gifepanel.inference.linear_covariance.linear_covariance`.
    counts : SampleCounts
    ssc : {"fixest", "stata", "statsmodels", "none"}
        See the functions of this module.
    use_correction : bool or {"hac", "cluster"}, optional
        statsmodels' option, where it has one; it comes before the convention's own default. False: no factor. "hac":
        n/(n-K). "cluster": G/(G-1) (n-1)/(n-K) over entities (hac-panel) or periods (hac-groupsum). True: n/(n-K) for
        HAC, the convention's default otherwise.
    own : int, optional
        Clusters of the term at hand.

    Returns
    -------
    float

    Raises
    ------
    SpecificationError
        If the names are unknown, an option doesn't go with the kind, or no degrees of freedom are left.

    Examples
    --------
    >>> counts = SampleCounts(nobs=100, df_params=20, n_periods=10, n_entities=10)
    >>> small_sample_factor("hac-panel", counts, ssc="statsmodels")
    1.25
    >>> round(small_sample_factor("hac-panel", counts, ssc="statsmodels", use_correction="cluster"), 6)  # 10/9 * 99/80
    1.375
    """
    if ssc not in _CONVENTIONS:
        raise SpecificationError(
            f"Unknown small-sample convention ssc={ssc!r}.",
            f"Known are {', '.join(_CONVENTIONS)}.",
            "Leave it out for 'fixest'.",
        )
    if counts.df_resid <= 0 or counts.df_nested < 0 or counts.df_nested > counts.df_params:
        raise SpecificationError(
            f"{counts.nobs} observations, {counts.df_params} parameters, {counts.df_nested} of them nested.",
            "There must be fewer parameters than observations, and no more nested ones than parameters.",
            "Drop regressors or effects.",
        )
    if use_correction is None:
        return _CONVENTIONS[ssc](kind, counts, own)
    _check_correction(kind, use_correction)
    if use_correction is False:
        return 1.0
    if use_correction == "hac" or (use_correction is True and kind == "HAC"):
        return counts.nobs / counts.df_resid
    if use_correction == "cluster" and kind in ("hac-panel", "hac-groupsum"):
        sums = counts.n_entities if kind == "hac-panel" else counts.n_periods
        return _clustered(sums, counts.nobs, counts.df_params)
    return _CONVENTIONS[ssc](kind, counts, own)


def _check_correction(kind: str, use_correction: object) -> None:
    names = isinstance(use_correction, str)
    allowed = ("hac", "cluster") if kind in ("hac-panel", "hac-groupsum") else ()
    if (
        kind not in _CORRECTABLE
        or (names and use_correction not in allowed)
        or not isinstance(use_correction, bool | str)
    ):
        raise SpecificationError(
            f"use_correction={use_correction!r} came with cov_type={kind!r}.",
            "It takes True or False for clustered and HAC covariances, and 'hac' or 'cluster' for hac-panel and"
            " hac-groupsum.",
            "Leave it out, or use ssc='none' for no correction.",
        )


def _clustered(groups: int, nobs: int, params: int) -> float:
    if groups < 2:
        raise SpecificationError(
            f"The scores are summed into {groups} group.",
            "A covariance that sums within groups needs at least two of them.",
            "Use another cluster or time variable.",
        )
    return groups / (groups - 1) * (nobs - 1) / (nobs - params)
