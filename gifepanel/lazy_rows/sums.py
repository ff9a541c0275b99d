"""Sums over rows of a sample: moments, cross products of residuals, scores of coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gifepanel.lazy_rows.effects import SolvedEffects, residual_frame
from gifepanel.lazy_rows.moments import Moments, are_exact, ask_moments, pairs, read_moments, square
from gifepanel.lazy_rows.sample import LazySample, sums_by, weighted

__all__ = [
    "LevelProducts",
    "Scores",
    "combined_products",
    "measure",
    "products_of_groups",
    "products_of_levels",
    "residual_products",
    "score_frame",
    "sum_by",
    "sum_scores",
    "with_shift",
]

Array = np.ndarray[Any, np.dtype[np.float64]]
_APART = 1e-4  # share of a column that is within levels of the base effect
_KEPT = 1e-4  # of what sums are differences of
_NARROW = 6  # columns up to which products of levels are asked with cross products


@dataclass(frozen=True, eq=False)
class Scores:
    """Sums in an orthonormal basis q (n, k) of the regressors, residuals u (n,), both times roots of weights.

    Attributes
    ----------
    gram : ndarray, shape (k, k)
        q'q: the identity but for rounding.
    slope : ndarray, shape (k,)
        q'u: zero but for rounding.
    ssr : float
        u'u.
    squares : ndarray, shape (k, k)
        Sum of u_i^2 q_i q_i'.
    """

    gram: Array
    slope: Array
    ssr: float
    squares: Array


@dataclass(frozen=True, eq=False)
class LevelProducts:
    """Products of the cross products that levels of the base effect have within them, summed over levels.

    Scores of coefficients within a level are sums of its cross products, so that these make the sums of products of
    scores, whatever the coefficients: clusters that are the levels cost no pass of their own.

    Attributes
    ----------
    sums : ndarray, shape (P, P)
        Of pairs of columns, the upper triangle of (m, m).
    """

    sums: Array

    def of_scores(self, basis: Array, coefficients: Array) -> Array | None:
        """Sum over levels of the products of their scores, (k, k); None where differences have lost digits.

        Parameters
        ----------
        basis : ndarray, shape (m, k)
        coefficients : ndarray, shape (m,)
        """
        loads = np.array(
            [basis[a] * coefficients[b] + (basis[b] * coefficients[a] if a != b else 0.0) for a, b in pairs(len(basis))]
        )
        out = loads.T @ self.sums @ loads
        size = np.abs(loads).T @ np.abs(self.sums) @ np.abs(loads)
        return out if (np.diag(out) > _KEPT * np.diag(size)).all() else None


def measure(sample: LazySample, rough: Array) -> Moments:
    """Moments of the sample, about rough means, and again about those found where they were too rough."""
    for _ in range(2):
        asked = ask_moments(len(sample.columns), sample.weighted, rough)
        home = sample.rows.bring(sample.frame.select(**asked), "means")
        found = read_moments(home, rough, sample.weighted)
        if are_exact(found, rough):
            break
        rough = found.means
    return found


def residual_products(
    sample: LazySample, solved: SolvedEffects, moments: Moments, by_levels: bool
) -> tuple[Array, bool, LevelProducts | None]:
    """Cross products (m, m) of what effects leave of the columns; and whether base levels need not be joined.

    Within levels of the base effect, sums of products less products of sums: one scan, and no digits are lost unless
    levels are far apart. Where they are, residuals are taken first. With `by_levels`, products of the levels too.
    """
    import narwhals.stable.v2 as nw

    m, base = len(sample.columns), solved.base
    if base is None:
        shift = moments.means - sample.shift
        return moments.total + moments.weight * np.outer(shift, shift), False, None
    frame = residual_frame(sample, replace(solved, base=None), base.keys)
    v = [nw.col(f"__v{j}") for j in range(m)]
    sums = {f"p{a}_{b}": v[a] * v[b] for a, b in pairs(m)} | {f"s{j}": v[j] for j in range(m)}
    grouped = sums_by(sample, frame, base.keys, sums)
    s = [nw.col(f"s{j}") for j in range(m)]
    made = {f"v{a}_{b}": nw.col(f"p{a}_{b}") - s[a] * s[b] / nw.col("__m") for a, b in pairs(m)}
    made |= {f"t{j}": nw.col(f"p{j}_{j}") for j in range(m)}
    asked = {name: nw.col(name).sum() for name in made}
    triangle = [f"v{a}_{b}" for a, b in pairs(m)]
    if by_levels and m <= _NARROW:
        asked |= {f"l{a}_{b}": (nw.col(triangle[a]) * nw.col(triangle[b])).sum() for a, b in pairs(len(triangle))}
    home = sample.rows.bring(grouped.select(**made).select(**asked), "cross products")
    found, whole = square(home, "v", m), np.array([home.number(f"t{j}") for j in range(m)])
    there = whole > 1e-24 * moments.lengths**2
    if (np.diag(found)[there] > _APART * whole[there]).all():
        levels = LevelProducts(square(home, "l", len(triangle))) if "l0_0" in home.names else None
        return found, True, levels
    return combined_products(sample, solved, np.eye(m)), False, None


def combined_products(sample: LazySample, solved: SolvedEffects, transform: Array) -> Array:
    """Cross products of combinations of residualised columns, (m, m).

    Parameters
    ----------
    transform : ndarray, shape (m, m)
        What the columns are multiplied by.
    """
    import narwhals.stable.v2 as nw

    m = len(sample.columns)
    weight = ["__w"] if sample.weighted else []
    made = {f"__q{j}": _combination(transform[:, j], 0.0) for j in range(m)}
    frame = residual_frame(sample, solved).select(*weight, **made)
    q = [nw.col(f"__q{j}") for j in range(m)]
    asked = {f"v{a}_{b}": weighted(sample, q[a] * q[b]).sum() for a, b in pairs(m)}
    home = sample.rows.bring(frame.select(**asked), "cross products", reads=1 + (solved.base is not None))
    return square(home, "v", m)


def score_frame(
    sample: LazySample,
    solved: SolvedEffects,
    basis: Array,
    coefficients: Array,
    offset: Array,
    constant: float,
    extra: Sequence[str] = (),
) -> Any:
    """Rows with ``__q0``, ... and ``__u`` (not multiplied by weights), and `extra` columns.

    Parameters
    ----------
    basis : ndarray, shape (m, k)
        What the columns are multiplied by.
    coefficients : ndarray, shape (m,)
        The same for the residuals: one for the outcome, less the coefficients.
    offset : ndarray, shape (k,)
        Taken off the combinations.
    constant : float
        Added to the residuals.
    """
    frame = residual_frame(sample, solved, extra)
    made = {f"__q{j}": _combination(basis[:, j], -float(offset[j])) for j in range(basis.shape[1])}
    made["__u"] = _combination(coefficients, constant)
    weight = ["__w"] if sample.weighted else []
    return frame.select(*dict.fromkeys(extra), *weight, **made)


def _combination(weights: Array, constant: float) -> Any:
    """Sum of columns times numbers."""
    import narwhals.stable.v2 as nw

    out = None
    for j in np.flatnonzero(weights):
        term = nw.col(f"__v{j}") * float(weights[j])
        out = term if out is None else out + term
    if out is None:
        return nw.lit(constant)
    return out + constant if constant else out


def sum_scores(sample: LazySample, frame: Any, k: int, *, reads: int) -> Scores:
    """Sums over all rows."""
    import narwhals.stable.v2 as nw

    q, u = [nw.col(f"__q{j}") for j in range(k)], nw.col("__u")
    twice = nw.col("__w") * nw.col("__w") if sample.weighted else None
    asked = {f"g{a}_{b}": weighted(sample, q[a] * q[b]).sum() for a, b in pairs(k)}
    asked |= {f"s{a}": weighted(sample, q[a] * u).sum() for a in range(k)}
    asked["ssr"] = weighted(sample, u * u).sum()
    for a, b in pairs(k):
        product = (q[a] * u) * (q[b] * u)
        asked[f"m{a}_{b}"] = (product if twice is None else product * twice).sum()
    home = sample.rows.bring(frame.select(**asked), "sums of scores", reads=reads)
    slope = np.array([home.number(f"s{a}") for a in range(k)])
    return Scores(square(home, "g", k), slope, home.number("ssr"), square(home, "m", k))


def sum_by(sample: LazySample, frame: Any, k: int, keys: Sequence[str]) -> Any:
    """Sums of scores within groups, at the engine: a frame with ``__s0``, ... for each."""
    import narwhals.stable.v2 as nw

    q, u = [nw.col(f"__q{j}") for j in range(k)], nw.col("__u")
    return sums_by(sample, frame, keys, {f"__s{j}": q[j] * u for j in range(k)})


def products_of_groups(sample: LazySample, frame: Any, k: int, keys: Sequence[str], *, reads: int) -> tuple[Array, int]:
    """Sum over groups of the products of their scores, (k, k), and how many groups there are."""
    return _multiplied(sample, sum_by(sample, frame, k, keys), k, reads)


def products_of_levels(sample: LazySample, frame: Any, k: int, keys: Sequence[str]) -> tuple[Array, int]:
    """The same for the levels of the base effect, whose means are not yet off `frame`."""
    import narwhals.stable.v2 as nw

    q, u = [nw.col(f"__q{j}") for j in range(k)], nw.col("__u")
    sums = {f"a{j}": q[j] * u for j in range(k)} | {f"b{j}": q[j] for j in range(k)} | {"c": u}
    grouped = sums_by(sample, frame, keys, sums)
    share = nw.col("c") / nw.col("__m")
    scores = {f"__s{j}": nw.col(f"a{j}") - nw.col(f"b{j}") * share for j in range(k)}
    return _multiplied(sample, grouped.select(*keys, **scores), k, 1)


def _multiplied(sample: LazySample, sums: Any, k: int, reads: int) -> tuple[Array, int]:
    import narwhals.stable.v2 as nw

    s = [nw.col(f"__s{j}") for j in range(k)]
    asked: dict[str, Any] = {f"m{a}_{b}": (s[a] * s[b]).sum() for a, b in pairs(k)}
    home = sample.rows.bring(sums.select(**asked, n=nw.len()), "sums of scores by cluster", reads=reads)
    return square(home, "m", k), home.count("n")


def with_shift(sample: LazySample, shift: Array) -> LazySample:
    """The sample with numbers taken off its columns."""
    return replace(sample, shift=shift)
