"""P-values and confidence intervals from bootstrap draws of a t statistic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gifepanel.inference.space import FloatArray

__all__ = ["Draws", "PValueKind", "invert", "percentile_t", "pvalue"]

PValueKind = Literal["symmetric", "equal-tailed"]

_TIE = 1e-10
_FARTHEST = 2.0**30  # standard errors


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws of t*, as a function of the distance d between estimate and null.

    t*(d) = (n + e n1) / sqrt(ss + 2 e s1 + e^2 s11), e = d - `distance`.

    Attributes
    ----------
    t : ndarray, shape (B,)
        At `distance`.
    distance : float
    sums : ndarray, shape (5, B) or (5, 0)
        n, n1, ss, s1, s11.
    """

    t: FloatArray
    distance: float
    sums: FloatArray

    def at(self, distance: float) -> FloatArray:
        """t* where the estimate lies `distance` above the null, shape (B,)."""
        e = distance - self.distance
        n, n1, ss, s1, s11 = self.sums
        squares = ss + 2 * e * s1 + e * e * s11
        floor = 1e-15 * (ss + e * e * s11)
        positive = squares > floor
        return np.where(positive, (n + e * n1) / np.sqrt(np.where(positive, squares, 1.0)), np.nan)


def pvalue(draws: FloatArray, t: float, kind: PValueKind) -> tuple[float, int]:
    """Share of draws farther out than t, and the number of ties.

    Parameters
    ----------
    draws : ndarray, shape (B,)
        nan where degenerate: left out.
    t : float
    kind : {"symmetric", "equal-tailed"}

    Returns
    -------
    (float, int)

    Examples
    --------
    >>> pvalue(np.array([-3.0, -1.0, 1.0, 2.0]), 1.5, "symmetric")
    (0.5, 0)
    >>> pvalue(np.array([-3.0, -1.0, 1.0, 2.0]), 1.5, "equal-tailed")  # a quarter lies above
    (0.5, 0)
    """
    valid = draws[np.isfinite(draws)]
    if len(valid) == 0:
        return float("nan"), 0
    margin = _TIE * max(abs(t), 1.0)
    ties = int((np.abs(np.abs(valid) - abs(t)) <= margin).sum())
    if kind == "symmetric":
        return float((np.abs(valid) > abs(t) + margin).mean()), ties
    tail = min((valid > t + margin).mean(), (valid < t - margin).mean())
    return float(2 * tail), ties


def invert(draws: Draws, estimate: float, bse: float, alpha: float, kind: PValueKind) -> tuple[float, float]:
    """Confidence interval: the nulls around the estimate that are not rejected.

    From the estimate outwards the distance is doubled until the p-value falls below `alpha`, then bisected to 1e-10
    standard errors. Where it never does, the bound is infinite.

    Parameters
    ----------
    draws : Draws
        With its sums.
    estimate, bse : float
        `bse` without small-sample factor, as the draws.
    alpha : float
    kind : {"symmetric", "equal-tailed"}

    Returns
    -------
    (float, float)
    """

    def accepted(distance: float) -> bool:
        return pvalue(draws.at(distance), distance / bse, kind)[0] >= alpha

    low = estimate - _reach(lambda step: accepted(step * bse)) * bse
    high = estimate + _reach(lambda step: accepted(-step * bse)) * bse
    return low, high


def _reach(accepted: Callable[[float], bool]) -> float:
    """How many standard errors away from the estimate nulls are still accepted."""
    inside, outside = 0.0, 1.0
    while accepted(outside):
        inside, outside = outside, 2 * outside
        if outside > _FARTHEST:
            return float("inf")
    while outside - inside > 1e-10 * max(1.0, outside):
        middle = (inside + outside) / 2
        if accepted(middle):
            inside = middle
        else:
            outside = middle
    return (inside + outside) / 2


def percentile_t(draws: FloatArray, estimate: float, bse: float, alpha: float, kind: PValueKind) -> tuple[float, float]:
    """Confidence interval of the unrestricted bootstrap, whose draws don't depend on the null.

    The boundary of the nulls with p-value of at least `alpha`, in closed form: order statistics of the draws.

    Parameters
    ----------
    draws : ndarray, shape (B,)
    estimate, bse : float
    alpha : float
    kind : {"symmetric", "equal-tailed"}

    Returns
    -------
    (float, float)

    Examples
    --------
    >>> percentile_t(np.arange(-9.0, 11.0), 0.0, 1.0, 0.2, "symmetric")
    (-8.0, 8.0)
    """
    valid = np.sort(draws[np.isfinite(draws)])
    size = len(valid)
    if size == 0:
        return float("nan"), float("nan")
    if kind == "symmetric":  # |t| < the j-th largest |t*|, j = ceil(alpha B), leaves j draws farther out
        ordered = np.sort(np.abs(valid))
        reach = float(ordered[size - _count(alpha * size)])
        return estimate - reach * bse, estimate + reach * bse
    j = _count(alpha * size / 2)
    return estimate - float(valid[size - j]) * bse, estimate - float(valid[j - 1]) * bse


def _count(share: float) -> int:
    return max(1, int(np.ceil(share - 1e-9)))
