"""Long-run effects and impulse responses of an equation with lags of the outcome.

With a(z) y_t = sum_j b_j(z) x_jt + ... , z the lag operator and all polynomials linear in the slopes theta, a unit more
of x_j for ever moves the outcome by b_j(1) / a(1) in the end, and by the coefficients of b_j(z) / a(z), summed, on the
way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["DynamicEquation", "LongRunEffects", "fieller_limits", "impulse_responses", "long_run_effects"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DynamicEquation:
    """Polynomials in lags 0..m, linear in the slopes.

    Attributes
    ----------
    own : ndarray, shape (m + 1,)
        Of a(z), what holds no slopes: 1 for an outcome in levels, (1, -1) for one in differences.
    outcome : ndarray, shape (m + 1, q)
        a(z) is `own` less this times the slopes.
    inputs : ndarray, shape (k, m + 1, q)
        b_j(z) of each input.
    """

    own: FloatArray
    outcome: FloatArray
    inputs: FloatArray

    def stable(self, theta: FloatArray) -> bool:
        """Whether responses die out: all roots of a(z) are outside the unit circle."""
        a = np.trim_zeros(self.own - self.outcome @ theta, "b")
        return bool(a.size < 2 or (np.abs(np.roots(a[::-1])) > 1.0).all())


@dataclass(frozen=True, eq=False)
class LongRunEffects:
    """Of each input (k,).

    Attributes
    ----------
    effect, se : ndarray, shape (k,)
        By the delta method.
    fieller : ndarray, shape (k, 2)
        Limits of the set of Fieller (1954). Where the first is above the second the set is all that is *not* between
        them; where nothing can be excluded they are -inf and inf.
    """

    effect: FloatArray
    se: FloatArray
    fieller: FloatArray


def long_run_effects(equation: DynamicEquation, theta: FloatArray, cov: FloatArray, critical: float) -> LongRunEffects:
    """b_j(1) / a(1), with delta-method standard errors and Fieller's sets.

    Parameters
    ----------
    equation : DynamicEquation
    theta : ndarray, shape (q,)
    cov : ndarray, shape (q, q)
    critical : float
        Quantile of the t or normal distribution.
    """
    down = -equation.outcome.sum(axis=0)
    below = float(equation.own.sum() + down @ theta)
    up = equation.inputs.sum(axis=1)
    above = up @ theta
    effect = above / below
    gradient = (up - effect[:, None] * down) / below
    se = np.sqrt(np.maximum(np.einsum("kq,qr,kr->k", gradient, cov, gradient), 0.0))
    limits = [
        fieller_limits(one, below, row @ cov @ row, row @ cov @ down, down @ cov @ down, critical)
        for one, row in zip(above, up, strict=True)
    ]
    return LongRunEffects(effect, se, np.array(limits).reshape(-1, 2))


def fieller_limits(
    above: float, below: float, v_above: float, v_both: float, v_below: float, critical: float
) -> tuple[float, float]:
    """All ratios r for which above - r below is within `critical` standard errors of zero.

    Fieller (1954, Journal of the Royal Statistical Society B 16, 175-185): r solves
    (below^2 - c^2 v_below) r^2 - 2 (above below - c^2 v_both) r + above^2 - c^2 v_above <= 0. The set is an interval
    where the denominator is significantly different from zero, else all but an interval, or everything.
    """
    c2 = critical**2
    square, middle, constant = below**2 - c2 * v_below, above * below - c2 * v_both, above**2 - c2 * v_above
    inside = middle**2 - square * constant
    if square == 0.0 or inside < 0.0:
        return -np.inf, np.inf
    low, high = sorted(((middle - np.sqrt(inside)) / square, (middle + np.sqrt(inside)) / square))
    return (float(low), float(high)) if square > 0 else (float(high), float(low))


def impulse_responses(
    equation: DynamicEquation, theta: FloatArray, cov: FloatArray, periods: int, *, permanent: bool
) -> tuple[FloatArray, FloatArray]:
    """Responses after 0..h periods to a unit more of each input, once or for ever, and their standard errors.

    psi_s = (b_s - sum_{l>=1} a_l psi_{s-l}) / a_0, its derivatives by the same recursion; delta method.

    Returns
    -------
    responses, se : ndarray, shape (k, h + 1)
    """
    a = equation.own - equation.outcome @ theta
    b = equation.inputs @ theta
    k, lags, q = equation.inputs.shape
    psi, slope = np.zeros((k, periods + 1)), np.zeros((k, periods + 1, q))
    for s in range(periods + 1):
        if s < lags:
            psi[:, s], slope[:, s] = b[:, s], equation.inputs[:, s]
        for lag in range(1, min(s, lags - 1) + 1):
            psi[:, s] -= a[lag] * psi[:, s - lag]
            slope[:, s] -= a[lag] * slope[:, s - lag]
            slope[:, s] += psi[:, s - lag, None] * equation.outcome[lag]
        psi[:, s] /= a[0]
        slope[:, s] = (slope[:, s] + psi[:, s, None] * equation.outcome[0]) / a[0]
    if permanent:
        psi, slope = psi.cumsum(axis=1), slope.cumsum(axis=1)
    variance = np.einsum("ksq,qr,ksr->ks", slope, cov, slope)
    return psi, np.sqrt(np.maximum(variance, 0.0))
