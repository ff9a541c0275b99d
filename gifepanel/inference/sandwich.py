"""What every covariance of slopes is, whatever was taken out before: a sandwich in an orthonormal basis."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from gifepanel.inference.definite import standard_errors
from gifepanel.inference.space import FloatArray
from gifepanel.projections.triangle import EMPTY, Triangle
from gifepanel.short_repr import ShortRepr

__all__ = ["Sandwich"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Sandwich(ShortRepr):
    """A covariance matrix of k slopes, its parts, and how it came about.

    Attributes
    ----------
    cov : ndarray, shape (k, k)
    bread : ndarray, shape (k, k)
    meat : ndarray, shape (k, k)
    kind : str
    description : str
        One line for a summary.
    n_groups : tuple of int
        Clusters in each way; empty otherwise.
    maxlags : int or None
        Lags of kinds that take products over time.
    kernel : str or None
        Their kernel.
    clipped : bool
        Negative eigenvalues were set to zero.
    min_eigenvalue : float
        Smallest eigenvalue before that, in units where all regressors have length one, relative to the largest.
    without : tuple of int
        Coefficients without a standard error: their variance is negative, or zero to rounding.
    gross : ndarray, shape (k, k), or None
        The terms of the covariance, all added: what a variance is measured against to tell zero from rounding.
    triangle : Triangle
        Of the regressors as columns: what stands for the inverse of the bread, with the digits that one would lose.
    core : ndarray, shape (k, k)
        M with cov = K M K': the meat, with its factor, in an orthonormal basis of the regressors.
    """

    cov: FloatArray
    bread: FloatArray
    meat: FloatArray
    kind: str
    description: str
    n_groups: tuple[int, ...] = ()
    maxlags: int | None = None
    kernel: str | None = None
    clipped: bool = False
    min_eigenvalue: float = 0.0
    without: tuple[int, ...] = ()
    gross: FloatArray | None = None
    triangle: Triangle = field(default=EMPTY)
    core: FloatArray = field(default_factory=lambda: np.empty((0, 0)))

    @property
    def root(self) -> FloatArray:
        """K, shape (k, k)."""
        return self.triangle.root

    @property
    def bse(self) -> FloatArray:
        """Standard errors, shape (k,); NaN where a variance is not positive."""
        return standard_errors(self.cov, self.without)

    def at_scale(self, variance: float, **own: Any) -> Self:
        """The plain covariance with an error variance that is given; `own` are the fields of the class itself."""
        return replace(
            self,
            cov=variance * self.triangle.inverse,
            core=variance * np.eye(len(self.cov)),
            meat=variance * self.bread,
            kind="fixed scale",
            description=f"fixed scale ({variance:g})",
            gross=None,
            **own,
        )
