"""Moments of the columns of a model: means, and cross products about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gifepanel.lazy_rows.engine import Home

__all__ = ["Moments", "are_exact", "ask_moments", "pairs", "read_moments", "square"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, eq=False)
class Moments:
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
    total : ndarray, shape (m, m)
        Weighted cross products about the means.
    """

    n: int
    weight: float
    log_weight: float
    means: Array
    constant: Any
    total: Array

    @property
    def has_constant(self) -> bool:
        """Whether a regressor or control is a constant other than zero."""
        return bool((self.constant[1:] & (self.means[1:] != 0)).any())

    @property
    def lengths(self) -> Array:
        """Of the columns as they are, (m,)."""
        return np.sqrt(np.maximum(np.diag(self.total), 0.0) + self.weight * self.means**2)


def pairs(m: int) -> list[tuple[int, int]]:
    """Positions in the upper triangle of a matrix (m, m)."""
    return [(a, b) for a in range(m) for b in range(a, m)]


def square(home: Home, prefix: str, m: int) -> Array:
    """A symmetric matrix from its upper triangle."""
    out = np.empty((m, m))
    for a, b in pairs(m):
        out[a, b] = out[b, a] = home.number(f"{prefix}{a}_{b}")
    return out


def ask_moments(m: int, weighted: bool, rough: Array) -> dict[str, Any]:
    """What is asked of rows with columns ``__z0``, ... and weights ``__w`` for :func:`read_moments`.

    Rows in which they are null do not count.

    Parameters
    ----------
    m : int
    weighted : bool
    rough : ndarray, shape (m,)
        Numbers near the means: products are taken about them.
    """
    import narwhals.stable.v2 as nw

    columns = [nw.col(f"__z{j}") for j in range(m)]
    away = [column - float(at) for column, at in zip(columns, rough, strict=True)]

    def total(value: Any) -> Any:
        return (value * nw.col("__w") if weighted else value).sum()

    asked: dict[str, Any] = {"n__": columns[0].count()}
    if weighted:
        asked |= {"w__": nw.col("__w").sum(), "log__": nw.col("__w").log().sum()}
    for j, column in enumerate(columns):
        asked |= {f"s{j}": total(away[j]), f"a{j}": column.min(), f"b{j}": column.max()}
    return asked | {f"p{a}_{b}": total(away[a] * away[b]) for a, b in pairs(m)}


def read_moments(home: Home, rough: Array, weighted: bool) -> Moments:
    """Moments from what came home."""
    m, n = len(rough), home.count("n__")
    weight = home.number("w__") if weighted else float(n)
    low, high = (np.array([home.number(f"{end}{j}") for j in range(m)]) for end in "ab")
    off = np.array([home.number(f"s{j}") for j in range(m)]) / weight
    constant = low == high
    total = square(home, "p", m) - weight * np.outer(off, off)
    total[constant] = total[:, constant] = 0.0
    logs = home.number("log__") if weighted else 0.0
    return Moments(n, weight, logs, np.where(constant, low, rough + off), constant, total)


def are_exact(moments: Moments, rough: Array) -> bool:
    """Whether products about rough means are as good as those about the means."""
    off = moments.weight * (moments.means - rough) ** 2
    return bool((off[~moments.constant] <= 100 * np.diag(moments.total)[~moments.constant]).all())
