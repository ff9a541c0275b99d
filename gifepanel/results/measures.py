"""Measures of fit, effects, factors and loadings counted among what was estimated."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gifepanel.exceptions import SpecificationError

if TYPE_CHECKING:
    from gifepanel.inference.estimate import FactorEstimate

__all__ = ["FitMeasures"]


class FitMeasures:
    """Sums of squares, R-squared, likelihood, criteria; mixed in before statsmodels' class, which knows slopes only."""

    if TYPE_CHECKING:

        @property
        def _estimate(self) -> FactorEstimate: ...
        @property
        def n_factors(self) -> int: ...
        @property
        def nobs(self) -> float: ...

        df_resid: float
        k_constant: int
        model: Any
        params: Any
        _wald_test: Any

    @cached_property
    def ssr(self) -> float:
        """Sum of squared residuals."""
        return self._estimate.ssr

    @cached_property
    def centered_tss(self) -> float:
        """Sum of squares of the outcome about its mean, weighted where rows are."""
        y, root = self._estimate.y, self._estimate.root
        if root is None:
            return float(((y - y.mean()) ** 2).sum())
        y, weights = y[root > 0], root[root > 0] ** 2
        return float(weights @ (y - np.average(y, weights=weights)) ** 2)

    @cached_property
    def uncentered_tss(self) -> float:
        """Sum of squares of the outcome, weighted where rows are."""
        y, root = self._estimate.y, self._estimate.root
        return float(np.vdot(y, y) if root is None else np.vdot(y * root, y * root))

    @cached_property
    def within_tss(self) -> float:
        """Sum of squares of the outcome projected off effects, factors and loadings."""
        return self._estimate.within_tss

    @property
    def _centered(self) -> bool:
        """Sums of squares are about the mean where a constant is in the span of effects and regressors, else about 0.

        Estimated factors do not count: they span no constant, as the regression on all dummies and factors has none.
        """
        return bool(self.k_constant)

    @cached_property
    def ess(self) -> float:
        """Total less residual sum of squares."""
        return (self.centered_tss if self._centered else self.uncentered_tss) - self.ssr

    @cached_property
    def rsquared(self) -> float:
        """Share of the outcome's variance explained by slopes, effects and factors together; NaN where it has none."""
        total = self.ess + self.ssr
        return self.ess / total if total else np.nan

    @cached_property
    def rsquared_adj(self) -> float:
        """R-squared with variances over their degrees of freedom."""
        return 1.0 - (1.0 - self.rsquared) * (self.nobs - self._centered) / self.df_resid

    @cached_property
    def rsquared_within(self) -> float:
        """Share of what effects and factors leave of the outcome that the slopes explain."""
        return 1.0 - self.ssr / self.within_tss

    @cached_property
    def mse_resid(self) -> float:
        """Residual variance, over the residual degrees of freedom."""
        return self.ssr / self.df_resid

    @cached_property
    def df_total(self) -> int:
        """All that was estimated: slopes, additive effects, factors and loadings."""
        return int(self.nobs - self.df_resid)

    @cached_property
    def llf(self) -> float:
        """Gaussian log-likelihood at the residuals, the variance concentrated out; weights are inverse variances."""
        root = self._estimate.root
        known = 0.0 if root is None else float(np.log(root[root > 0]).sum())
        return float(-0.5 * self.nobs * (np.log(2 * np.pi * self.ssr / self.nobs) + 1)) + known

    @cached_property
    def aic(self) -> float:
        """Akaike's criterion, factors, loadings and additive effects counted among the parameters."""
        return -2 * self.llf + 2 * self.df_total

    @cached_property
    def bic(self) -> float:
        """Schwarz's criterion, factors, loadings and additive effects counted among the parameters."""
        return -2 * self.llf + np.log(self.nobs) * self.df_total

    @cached_property
    def _overall(self) -> tuple[float, float]:
        """F test that all slopes but those of constants are zero, by the chosen covariance; NaN where there is none."""
        slopes = [j for j in range(len(self.params)) if j not in self.model._constants]
        matrix = np.eye(len(self.params))[slopes]
        if not slopes:
            return np.nan, np.nan
        try:
            test = self._wald_test(matrix, use_f=True)
        except SpecificationError:
            return np.nan, np.nan  # more slopes than the covariance allows to test at once
        return float(np.squeeze(test.fvalue)), float(np.squeeze(test.pvalue))

    @property
    def fvalue(self) -> float:
        """F statistic of all slopes but the intercept being zero, by the chosen covariance."""
        return self._overall[0]

    @property
    def f_pvalue(self) -> float:
        """Its p-value."""
        return self._overall[1]
