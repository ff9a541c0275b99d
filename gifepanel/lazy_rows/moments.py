"""Sums over rows at an engine: means, cross products of residuals, scores of coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gifepanel.lazy_rows.effects import SolvedEffects, residual_frame
from gifepanel.lazy_rows.engine import Home
from gifepanel.lazy_rows.sample import LazySample

__all__ = [
    "Means",
    "Products",
    "Scores",
    "centre",
    "combined_products",
    "cross_products",
    "products_of_groups",
    "score_frame",
    "sum_by",
    "sum_scores",
    "with_shift",
]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, eq=False)
class Means:
    """Moments of the columns on the sample.

    Attributes
    ----------
    n : int
    weight : float
        Total weight.
    log_weight : float
        Sum of the logarithms of the weights.
    means : ndarray, shape (m,)
    constant : ndarray of bool, shape (m,)
    """

    n: int
    weight: float
    log_weight: float
    means: Array
    constant: Any


@dataclass(frozen=True, eq=False)
class Products:
    """Weighted cross products, (m, m) each.

    Attributes
    ----------
    total : ndarray
        Of the columns about their means.
    residual : ndarray
        Of what effects leave of the columns.
    """

    total: Array
    residual: Array


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


def _pairs(m: int) -> list[tuple[int, int]]:
    return [(a, b) for a in range(m) for b in range(a, m)]


def _square(home: Home, prefix: str, m: int) -> Array:
    """A symmetric matrix from its upper triangle."""
    out = np.empty((m, m))
    for a, b in _pairs(m):
        out[a, b] = out[b, a] = home.number(f"{prefix}{a}_{b}")
    return out


def _weighted(value: Any, sample: LazySample) -> Any:
    import narwhals.stable.v2 as nw

    return value * nw.col("__w") if sample.weighted else value


def centre(sample: LazySample) -> Means:
    """Means of the columns, and which of them are constant."""
    import narwhals.stable.v2 as nw

    asked: dict[str, Any] = {"n": nw.len()}
    if sample.weighted:
        asked |= {"w": nw.col("__w").sum(), "log": nw.col("__w").log().sum()}
    for j, name in enumerate(sample.columns):
        asked[f"s{j}"] = _weighted(nw.col(name), sample).sum()
        asked |= {f"a{j}": nw.col(name).min(), f"b{j}": nw.col(name).max()}
    home = sample.rows.bring(sample.frame.select(**asked), "means")
    m, n = len(sample.columns), home.count("n")
    weight = home.number("w") if sample.weighted else float(n)
    low, high = (np.array([home.number(f"{end}{j}") for j in range(m)]) for end in "ab")
    means = np.array([home.number(f"s{j}") for j in range(m)]) / weight
    return Means(n, weight, home.number("log") if sample.weighted else 0.0, np.where(low == high, low, means), low == high)


def cross_products(sample: LazySample, solved: SolvedEffects) -> Products:
    """Cross products of the columns, and of what effects leave of them.

    Both are sums of products of residuals: nothing large cancels.
    """
    import narwhals.stable.v2 as nw

    m = len(sample.columns)
    frame = residual_frame(sample, solved)
    v = [nw.col(f"__v{j}") for j in range(m)]
    asked = {f"v{a}_{b}": _weighted(v[a] * v[b], sample).sum() for a, b in _pairs(m)}
    residual = _square(sample.rows.bring(frame.select(**asked), "cross products", reads=1 + bool(solved.base)), "v", m)
    if solved.base is None:
        return Products(residual, residual)
    z = [nw.col(name) - float(sample.shift[j]) for j, name in enumerate(sample.columns)]
    asked = {f"v{a}_{b}": _weighted(z[a] * z[b], sample).sum() for a, b in _pairs(m)}
    return Products(_square(sample.rows.bring(sample.frame.select(**asked), "total cross products"), "v", m), residual)


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
    asked = {f"v{a}_{b}": _weighted(q[a] * q[b], sample).sum() for a, b in _pairs(m)}
    home = sample.rows.bring(frame.select(**asked), "cross products", reads=1 + bool(solved.base))
    return _square(home, "v", m)


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
    asked = {f"g{a}_{b}": _weighted(q[a] * q[b], sample).sum() for a, b in _pairs(k)}
    asked |= {f"s{a}": _weighted(q[a] * u, sample).sum() for a in range(k)}
    asked["ssr"] = _weighted(u * u, sample).sum()
    for a, b in _pairs(k):
        square = (q[a] * u) * (q[b] * u)
        asked[f"m{a}_{b}"] = (square if twice is None else square * twice).sum()
    home = sample.rows.bring(frame.select(**asked), "sums of scores", reads=reads)
    slope = np.array([home.number(f"s{a}") for a in range(k)])
    return Scores(_square(home, "g", k), slope, home.number("ssr"), _square(home, "m", k))


def sum_by(sample: LazySample, frame: Any, k: int, keys: Sequence[str]) -> Any:
    """Sums of scores within groups, at the engine: a frame with ``__s0``, ... for each."""
    import narwhals.stable.v2 as nw

    q, u = [nw.col(f"__q{j}") for j in range(k)], nw.col("__u")
    return frame.group_by(*keys).agg(**{f"__s{j}": _weighted(q[j] * u, sample).sum() for j in range(k)})


def products_of_groups(sample: LazySample, frame: Any, k: int, keys: Sequence[str], *, reads: int) -> tuple[Array, int]:
    """Sum over groups of the products of their scores, (k, k), and how many groups there are."""
    import narwhals.stable.v2 as nw

    s = [nw.col(f"__s{j}") for j in range(k)]
    asked: dict[str, Any] = {f"m{a}_{b}": (s[a] * s[b]).sum() for a, b in _pairs(k)}
    grouped = sum_by(sample, frame, k, keys).select(**asked, n=nw.len())
    home = sample.rows.bring(grouped, "sums of scores by cluster", reads=reads)
    return _square(home, "m", k), home.count("n")


def with_shift(sample: LazySample, shift: Array) -> LazySample:
    """The sample with numbers taken off its columns."""
    return replace(sample, shift=shift)
