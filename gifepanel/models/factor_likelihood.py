"""The likelihood of a model with factors, all but the slopes concentrated out, and what is not defined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from statsmodels.regression.linear_model import OLS

from gifepanel.exceptions import SpecificationError
from gifepanel.inference.estimate import FactorEstimate
from gifepanel.models.estimation import estimate_at
from gifepanel.models.whitened import WhitenedModel

if TYPE_CHECKING:
    from gifepanel.panel.matrices import PanelDesign

__all__ = ["FactorLikelihood"]

Array = np.ndarray[Any, np.dtype[np.float64]]


class FactorLikelihood(WhitenedModel):
    """Mixed in before statsmodels' OLS, whose methods look at the regressors alone."""

    if TYPE_CHECKING:
        design: PanelDesign
        exog: Any
        _estimate: FactorEstimate | None

        def _fitted(self, what: str) -> FactorEstimate: ...
        def whiten(self, x: Any) -> Any: ...

    @property
    def _is_fitted(self) -> bool:
        return getattr(self, "_estimate", None) is not None

    def loglike(self, params: Any, scale: Any = None) -> float:
        """Gaussian log-likelihood at `params`; factors, loadings, effects and variance are concentrated out."""
        at = self._residuals("loglike", params)
        ssr, n = at.ssr, at.nobs
        jacobian = 0.0 if at.weights is None else 0.5 * float(np.log(at.weights).sum())
        if scale is not None:
            return float(-0.5 * n * np.log(2 * np.pi * scale) - 0.5 * ssr / scale) + jacobian
        return float(-0.5 * n * (np.log(2 * np.pi * ssr / n) + 1)) + jacobian

    def score(self, params: Any, scale: Any = None) -> Array:
        """Gradient (q,) of :meth:`loglike`; what is concentrated out is at its optimum and has no part in it."""
        at = self._residuals("score", params)
        z, resid = at.cells(at.z), at.cells(at.resid)
        gradient = z.T @ (resid if at.weights is None else resid * at.weights)
        return np.asarray(gradient / (at.ssr / at.nobs if scale is None else scale))

    def _residuals(self, what: str, params: Any) -> FactorEstimate:
        return estimate_at(self, self._fitted(what), np.asarray(params, dtype=np.float64))  # type: ignore[arg-type]

    def _with_regressors(self, exog: Array) -> OLS:
        """Least squares on other regressors (n, m), factors, loadings and groups held at the estimate.

        To first order the same as estimating factors anew: the projection is off their tangent space too.
        """
        estimate = self._fitted("another regression")
        model = _AtFactors(self.design.index.from_cube(estimate.y_projected), self.whiten(exog), hasconst=False)
        model.df_resid = float(estimate.df.residual + estimate.theta.size - exog.shape[1])
        return model

    def hessian(self, params: Any, scale: Any = None) -> NoReturn:
        """Not available: second derivatives of the concentrated likelihood have those of the factors in them."""
        _refuse("hessian", "res.cov_params(), or statsmodels.tools.numdiff.approx_hess of model.loglike")

    def hessian_factor(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not available: it stands for a Hessian in the regressors as they are."""
        _refuse("hessian_factor", "res.cov_params()")

    def get_distribution(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not available: the distribution's mean would leave out effects and factors."""
        _refuse("get_distribution", "res.predict(data) and res.scale")

    def fit_regularized(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not available: penalties on slopes are not defined beside estimated factors."""
        _refuse("fit_regularized", "res = model.fit()")


class _AtFactors(OLS):
    """Least squares on columns that were projected off factors and loadings."""

    def fit(self, cov_type: str = "nonrobust", **options: Any) -> Any:
        """Fit; the small-sample factors of other covariances would count these regressors alone."""
        if cov_type.upper() not in ("NONROBUST", "HC0", "HC1"):
            raise SpecificationError(
                f"cov_type is {cov_type!r}.",
                'With factors, "nonrobust", "HC0" and "HC1" are available here.',
                'cov_type="HC1"',
            )
        return super().fit(cov_type=cov_type, **options)


def _refuse(name: str, instead: str) -> NoReturn:
    raise SpecificationError(
        f"{name} is not available for models with factors.", "It would look at the regressors alone.", instead
    )
