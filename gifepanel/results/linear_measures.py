"""Sums of squares, residuals and likelihood of the full regression, weights and nuisance part counted."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gifepanel.results.measures import FitMeasures

if TYPE_CHECKING:
    from gifepanel.results.linear_inputs import PartialledFit

__all__ = ["LinearMeasures", "weighted_ssr"]

Array = np.ndarray[Any, np.dtype[np.float64]]


class LinearMeasures(FitMeasures):
    """Mixed in before statsmodels' class."""

    if TYPE_CHECKING:

        @property
        def _fit(self) -> PartialledFit: ...

    @cached_property
    def nobs(self) -> float:
        """Number of observations."""
        return float(self.model.design.nobs)

    @cached_property
    def resid(self) -> Array:
        """Residuals of the full regression."""
        return self._fit.resid

    @cached_property
    def fittedvalues(self) -> Array:
        """The outcome less the residuals: regressors, controls and effects."""
        resid = self._fit.resid
        return self.model.design.endog - resid

    @cached_property
    def wresid(self) -> Array:
        """Residuals times the root of the weights."""
        weights = self.model.design.weights
        return self._fit.resid if weights is None else self._fit.resid * np.sqrt(weights)

    @cached_property
    def ssr(self) -> float:
        """(Weighted) sum of squared residuals."""
        if self._fit.sums is not None:
            return self._fit.sums.ssr
        return weighted_ssr(self._fit.resid, self.model.design.weights)

    @cached_property
    def centered_tss(self) -> float:
        """(Weighted) sum of squares of the outcome about its mean."""
        if self._fit.sums is not None:
            return self._fit.sums.centered_tss
        y, weights = self.model.design.endog, self.model.design.weights
        return weighted_ssr(y - np.average(y, weights=weights), weights)

    @cached_property
    def uncentered_tss(self) -> float:
        """(Weighted) sum of squares of the outcome."""
        if self._fit.sums is not None:
            return self._fit.sums.uncentered_tss
        return weighted_ssr(self.model.design.endog, self.model.design.weights)

    @cached_property
    def within_tss(self) -> float:
        """(Weighted) sum of squares of the outcome residualised on effects and controls."""
        if self._fit.sums is not None:
            return self._fit.sums.within_tss
        return weighted_ssr(self._fit.y_tilde, self.model.design.weights)

    @property
    def _centered(self) -> bool:
        """Whether a constant is in the span of effects, controls and regressors."""
        return bool(self.k_constant)

    @cached_property
    def llf(self) -> float:
        """Gaussian log-likelihood, the variance concentrated out."""
        weights, sums = self.model.design.weights, self._fit.sums
        logs = sums.log_weights if sums is not None else 0.0 if weights is None else float(np.log(weights).sum())
        jacobian = 0.5 * logs
        with np.errstate(divide="ignore"):  # without residuals it has no bound
            return float(-0.5 * self.nobs * (np.log(2 * np.pi * self.ssr / self.nobs) + 1)) + jacobian

    @property
    def mse_total(self) -> float:
        """Total sum of squares over its degrees of freedom."""
        total = self.centered_tss if self._centered else self.uncentered_tss
        return total / (self.nobs - self._centered)


def weighted_ssr(values: Array, weights: Array | None) -> float:
    """Sum of squares of values (n,), times weights where there are any."""
    return float(values @ values) if weights is None else float((weights * values) @ values)
