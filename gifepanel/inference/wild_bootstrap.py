"""Wild cluster bootstrap of one linear restriction, exact and without dummies.

With x~ the regressors residualised on the nuisance part D (effects and controls), A = x~'Wx~, a = A^-1 r and residuals
u of the fit that the bootstrap data are drawn from, y*(v) = fit + v_g u, the numerator of the t statistic of r'b is
r'b* - r'b = sum_g m_g v_g, and the score sums of its cluster-robust variance are s(v) = diag(m) v - q v, where

    m_g = a'x~_g'W u_g,     q = B (D'WD)^+ C' + H A^-1 S',

B, C (G x levels) hold the sums of x~a and u (times w) by cluster and effect level, H_g = a'x~_g'Wx~_g and
S_g = u_g'Wx~_g; t*(v) = m'v / |s(v)|. This is the algorithm of Roodman, MacKinnon, Nielsen & Webb (2019, Stata Journal
19, 4-60) with the absorbed effects entering by cell sums only. Under the null r'b = c the residuals are
u + x~a d / (r'A^-1 r), d = r'b - c: m and q are linear in d, and a p-value at another c costs no matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.inference.clusters import ClusterWay, cluster_ways
from gifepanel.inference.linear_sample import LinearSample, linear_sample
from gifepanel.inference.space import FloatArray
from gifepanel.inference.wild_cells import nuisance_product
from gifepanel.inference.wild_inversion import Draws, PValueKind, invert, percentile_t, pvalue
from gifepanel.inference.wild_weights import WildDistribution, draw_weights, wild_scheme
from gifepanel.projections.system import Effect
from gifepanel.projections.triangle import Triangle
from gifepanel.short_repr import ShortRepr

__all__ = ["WildBootstrap", "wild_cluster_bootstrap"]

_BLOCK = 1 << 21  # elements of one block of weights: 16 MB


@dataclass(frozen=True, eq=False, repr=False)
class WildBootstrap(ShortRepr):
    """Outcome of a wild cluster bootstrap.

    Attributes
    ----------
    estimate : float
        r'b.
    null : float
        Its value under the null hypothesis, c.
    bse : float
        Cluster-robust standard error (CR0 times the square root of `scale`).
    statistic : float
        t = (r'b - c) / bse.
    pvalue : float
        Share of draws with |t*| > |t|, or twice the smaller tail's share for ``"equal-tailed"``. Where weights were
        drawn at random and none leads farther out, the bound that the p-value is below, 1 / (n_draws + 1) (twice that
        for ``"equal-tailed"``), not zero. Draws equal to t, such as the all-ones pattern of an enumeration and its
        mirror image, don't count: with few clusters the p-value is an interval, up to ``pvalue + n_ties / n_draws``.
        `pvalue_text` has it as it is printed: ``"< 0.0001"``.
    conf_int : tuple of float
        Bounds between which c is not rejected at `alpha`; infinite in degenerate samples where the p-value never falls
        below it. (nan, nan) if not asked for.
    alpha : float
    draws : ndarray, shape (n_draws,)
        t* of the draws.
    n_draws, n_groups : int
    distribution : str
    enumerated : bool
        All sign patterns, each once.
    impose_null : bool
        True: WCR, residuals of the restricted fit; False: WCU.
    pvalue_type : str
    n_ties : int
        Draws with |t*| equal to |t|, to rounding.
    n_degenerate : int
        Draws whose variance is zero: left out of all shares.
    none_beyond : bool
        No draw lies farther out than the statistic.
    """

    estimate: float
    null: float
    bse: float
    statistic: float
    pvalue: float
    conf_int: tuple[float, float]
    alpha: float
    draws: FloatArray
    n_draws: int
    n_groups: int
    distribution: str
    enumerated: bool
    impose_null: bool
    pvalue_type: str
    n_ties: int
    n_degenerate: int
    none_beyond: bool = False

    @property
    def pvalue_text(self) -> str:
        """The p-value as it is printed: with four decimals, or the bound that it does not exceed."""
        if not self.none_beyond:
            return f"{self.pvalue:.4f}"
        if self.enumerated:  # the sample is one of the patterns
            return f"<= {max(self.n_ties, 1) / self.n_draws:.4f}"
        bound = (1 if self.pvalue_type == "symmetric" else 2) / (self.n_draws + 1)
        return f"< {bound:.4f}" if bound >= 1e-4 else f"< {bound:.1e}"

    def __str__(self) -> str:
        sign = "" if self.pvalue_text.startswith("<") else "= "
        patterns = "all sign patterns" if self.enumerated else f"{self.n_draws:,} draws"
        text = (
            f"Wild cluster bootstrap: estimate {self.estimate:.4g} against {self.null:.4g}, t = {self.statistic:.3f}, "
            f"p {sign}{self.pvalue_text} ({patterns}, {self.distribution}, {self.n_groups} clusters)"
        )
        if np.isnan(self.alpha):
            return f"{text}."
        return f"{text}, {100 * (1 - self.alpha):g}% interval [{self.conf_int[0]:.4g}, {self.conf_int[1]:.4g}]."


@dataclass(frozen=True, eq=False)
class _Parts:
    """m = m0 + d m1 and q = q0 + d q1, and the observed variance."""

    m0: FloatArray
    m1: FloatArray
    q0: FloatArray
    q1: FloatArray
    variance: float


def wild_cluster_bootstrap(
    x_tilde: npt.ArrayLike,
    resid: npt.ArrayLike,
    params: npt.ArrayLike,
    restriction: npt.ArrayLike,
    *,
    clusters: npt.ArrayLike,
    null: float = 0.0,
    effects: Sequence[Effect] = (),
    controls: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    impose_null: bool = True,
    distribution: WildDistribution = "auto",
    n_draws: int = 9999,
    pvalue_type: PValueKind = "symmetric",
    alpha: float | None = 0.05,
    scale: float = 1.0,
    random_state: int | np.random.Generator | None = None,
    draws: npt.ArrayLike | None = None,
    triangle: Triangle | None = None,
) -> WildBootstrap:
    """Wild cluster bootstrap test of r'b = c, and its confidence interval.

    Parameters
    ----------
    x_tilde : array_like, shape (n, k)
        Regressors residualised on effects and controls.
    resid : array_like, shape (n,)
        Residuals of the full, unrestricted regression.
    params : array_like, shape (k,)
        Its coefficients b.
    restriction : array_like, shape (k,)
        r; a unit vector for one coefficient.
    clusters : array_like of int, shape (n,)
    null : float
        c.
    effects : sequence of Effect
        The absorbed effects. Those nested in the clusters change nothing.
    controls : array_like, shape (n, m), optional
        Controls, the constant among them where nothing else spans it; residualised on the effects if there are any.
    weights : array_like, shape (n,), optional
    impose_null : bool
        WCR (restricted, recommended) or WCU (MacKinnon & Webb 2018, Econometrics Journal 21).
    distribution : {"auto", "rademacher", "webb", "mammen"}
        See :func:`~gifepanel.inference.wild_weights.wild_scheme`.
    n_draws : int
        9999, 999, ...: alpha (n_draws + 1) should be an integer. Memory stays at tens of MB.
    pvalue_type : {"symmetric", "equal-tailed"}
    alpha : float or None
        One less the level of the confidence interval; None for no interval.
    scale : float
        Small-sample factor of the variance. It cancels in p-value and interval.
    random_state : int, numpy.random.Generator or None
        Seed.
    draws : array_like, shape (n_draws, G), optional
        Weights to be used in place of random ones, columns in the order of the cluster codes.
    triangle : Triangle, optional
        Of x~ times sqrt(w), where it is known.

    Returns
    -------
    WildBootstrap

    Raises
    ------
    DataError
        If shapes disagree, values are missing, or the restriction's variance is zero.
    SpecificationError
        If an option is unknown.
    """
    sample = linear_sample(x_tilde, resid, weights, triangle)
    n, k = sample.shape
    b, r = np.asarray(params, dtype=np.float64), np.asarray(restriction, dtype=np.float64)
    _check(b, r, k, alpha, pvalue_type)
    way = cluster_ways([clusters], n)[0]
    root = None if weights is None else np.sqrt(np.asarray(weights, dtype=np.float64))
    columns = None if controls is None else np.asarray(controls, dtype=np.float64)
    parts = _parts(sample, r, way, effects, columns, root)
    estimate, bse = float(r @ b), float(np.sqrt(scale * parts.variance))
    distance = estimate - null
    drawn, name, enumerated = _draw(
        parts,
        distance if impose_null else 0.0,
        distribution,
        n_draws,
        random_state,
        draws,
        keep=impose_null and alpha is not None,
    )
    root_variance = float(np.sqrt(parts.variance))
    t = distance / root_variance
    p, ties = pvalue(drawn.t, t, pvalue_type)
    none_beyond = p == 0
    if none_beyond and draws is None and not enumerated:
        p = (1 if pvalue_type == "symmetric" else 2) / (len(drawn.t) + 1)
    interval = (np.nan, np.nan)
    if alpha is not None and impose_null:
        interval = invert(drawn, estimate, root_variance, alpha, pvalue_type)
    elif alpha is not None:
        interval = percentile_t(drawn.t, estimate, root_variance, alpha, pvalue_type)
    factor = 1 / np.sqrt(scale)
    return WildBootstrap(
        estimate,
        float(null),
        bse,
        t * factor,
        p,
        interval,
        np.nan if alpha is None else alpha,
        drawn.t * factor,
        len(drawn.t),
        way.n_groups,
        name,
        enumerated,
        impose_null,
        pvalue_type,
        ties,
        int(np.isnan(drawn.t).sum()),
        none_beyond,
    )


def _parts(
    sample: LinearSample,
    r: FloatArray,
    way: ClusterWay,
    effects: Sequence[Effect],
    controls: FloatArray | None,
    root: FloatArray | None,
) -> _Parts:
    q, u = sample.q, sample.u
    turned = sample.triangle.root.T @ r  # A^-1 = K K', q = x~K: x~A^-1 r = q K'r
    direction = q @ turned
    spread = float(turned @ turned)
    h = way.sums(q * direction[:, None])
    m0 = way.sums(direction * u)
    variance = float(m0 @ m0)
    if not variance > 0:
        raise DataError(
            "The cluster-robust variance of the restriction is zero.",
            "The residuals must vary within it.",
            "Check the restriction, and whether the regression fits exactly.",
        )
    q0 = h @ way.sums(q * u[:, None]).T
    q1 = h @ h.T / spread
    of_u, of_direction = nuisance_product(direction, u, way, effects, controls, root)
    return _Parts(m0, way.sums(direction**2) / spread, q0 + of_u, q1 + of_direction / spread, variance)


def _draw(
    parts: _Parts,
    distance: float,
    distribution: str,
    n_draws: int,
    random_state: int | np.random.Generator | None,
    given: npt.ArrayLike | None,
    *,
    keep: bool,
) -> tuple[Draws, str, bool]:
    """t* of all draws, and with `keep` the sums from which t* at any other distance follows."""
    n_groups = len(parts.m0)
    if given is None:
        name, enumerated, n_draws = wild_scheme(distribution, n_groups, n_draws)
        blocks = draw_weights(
            name,
            n_groups,
            n_draws,
            enumerated=enumerated,
            rng=_generator(random_state),
            block=max(1, _BLOCK // n_groups),
        )
    else:
        fixed = np.asarray(given, dtype=np.float64)
        if fixed.ndim != 2 or fixed.shape[1] != n_groups or not np.isfinite(fixed).all():
            raise DataError(
                f"The given draws have shape {fixed.shape}, or are not finite.",
                f"Finite numbers of shape (draws, {n_groups}) are needed.",
                "Pass one row per draw, one column per cluster.",
            )
        name, enumerated, n_draws = "given", False, len(fixed)
        blocks = iter([np.ascontiguousarray(fixed.T)])
    m = parts.m0 + distance * parts.m1
    q = parts.q0 + distance * parts.q1
    t = np.empty(n_draws)
    sums = np.zeros((5, n_draws)) if keep else np.zeros((5, 0))
    first = 0
    for v in blocks:
        last = first + v.shape[1]
        score = m[:, None] * v - q @ v
        t[first:last] = _ratio(m @ v, np.einsum("gb,gb->b", score, score), float(np.abs(m).max()))
        if keep:
            slope = parts.m1[:, None] * v - parts.q1 @ v
            sums[:, first:last] = (
                m @ v,
                parts.m1 @ v,
                np.einsum("gb,gb->b", score, score),
                np.einsum("gb,gb->b", score, slope),
                np.einsum("gb,gb->b", slope, slope),
            )
        first = last
    return Draws(t, distance, sums), name, enumerated


def _generator(random_state: int | np.random.Generator | None) -> np.random.Generator:
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError):
        raise SpecificationError(
            f"random_state is {random_state!r}.",
            "It must be a whole number that is not negative, a numpy.random.Generator, or None.",
            "random_state=0",
        ) from None


def _ratio(numerator: FloatArray, squares: FloatArray, size: float) -> FloatArray:
    """m'v / |s|, nan where the variance vanishes."""
    positive = squares > (1e-13 * size) ** 2
    return np.where(positive, numerator / np.sqrt(np.where(positive, squares, 1.0)), np.nan)


def _check(b: FloatArray, r: FloatArray, k: int, alpha: float | None, pvalue_type: str) -> None:
    if b.shape != (k,) or r.shape != (k,) or not (np.isfinite(b).all() and np.isfinite(r).all()) or not r.any():
        raise DataError(
            f"Coefficients have shape {b.shape} and the restriction {r.shape}; or values are missing, or all zero.",
            f"Both must be finite, of shape ({k},), and the restriction not zero.",
            "Pass the restriction as one row, e.g. [1, 0] for the first of two coefficients.",
        )
    if alpha is not None and not 0 < alpha < 1:
        raise SpecificationError(f"alpha is {alpha}.", "It must lie between 0 and 1.", "Use alpha=0.05.")
    if pvalue_type not in ("symmetric", "equal-tailed"):
        raise SpecificationError(
            f"pvalue_type is {pvalue_type!r}.", "Known are 'symmetric' and 'equal-tailed'.", "Use 'symmetric'."
        )
