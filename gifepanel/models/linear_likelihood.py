"""The likelihood of a partialled-out regression, nuisance coefficients concentrated out, and what is not defined."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pandas as pd

from gifepanel.exceptions import SpecificationError
from gifepanel.models.whitened import WhitenedModel

if TYPE_CHECKING:
    from gifepanel.panel.matrices import PanelDesign
    from gifepanel.results.linear_inputs import PartialledFit

__all__ = ["PartialledLikelihood"]

Array = np.ndarray[Any, np.dtype[np.float64]]


class PartialledLikelihood(WhitenedModel):
    """Mixed in before statsmodels' OLS, whose methods look at the regressors alone."""

    if TYPE_CHECKING:
        design: PanelDesign
        exog: Any
        _fit: PartialledFit | None

        def _initialise(self, exog: pd.DataFrame) -> None: ...

    @property
    def _is_fitted(self) -> bool:
        return getattr(self, "_fit", None) is not None

    def _parts(self, what: str, params: Any) -> tuple[Array, Array, Array]:
        """x~, w x~ (both (n, k)) and the residuals (n,) at `params`."""
        if self._fit is None:
            raise SpecificationError(
                f"{what} needs a fit with its data.",
                "This model has none: it was not fitted, or remove_data() was called.",
                "res = model.fit(); res.model",
            )
        x, weights = self._fit.x_tilde, self.design.weights
        resid = self._fit.y_tilde - x @ np.asarray(params, dtype=np.float64)
        return x, x if weights is None else x * weights[:, None], resid

    def _ssr(self, resid: Array) -> float:
        weights = self.design.weights
        return float(resid @ resid) if weights is None else float((weights * resid) @ resid)

    def loglike(self, params: Any, scale: float | None = None) -> float:
        """Gaussian log-likelihood at `params`; effects, controls and (unless `scale` is given) the variance are out."""
        _, _, resid = self._parts("loglike", params)
        n, ssr, weights = len(resid), self._ssr(resid), self.design.weights
        jacobian = 0.0 if weights is None else 0.5 * float(np.log(weights).sum())
        if scale is not None:
            return float(-0.5 * (n * np.log(2 * np.pi * scale) + ssr / scale)) + jacobian
        return float(-0.5 * n * (np.log(2 * np.pi * ssr / n) + 1)) + jacobian

    def score(self, params: Any, scale: float | None = None) -> Array:
        """Gradient (k,) of :meth:`loglike`."""
        _, weighted, resid = self._parts("score", params)
        return np.asarray(weighted.T @ resid / (self._ssr(resid) / len(resid) if scale is None else scale))

    def hessian(self, params: Any, scale: float | None = None) -> Array:
        """Second derivatives (k, k) of :meth:`loglike`."""
        x, weighted, resid = self._parts("hessian", params)
        gram = weighted.T @ x
        if scale is not None:
            return np.asarray(-gram / scale)
        n, ssr, slope = len(resid), self._ssr(resid), weighted.T @ resid
        return np.asarray(-n / ssr * gram + 2 * n / ssr**2 * np.outer(slope, slope))

    def _with_regressors(self, exog: Array) -> Any:
        """This model with other regressors (n, m) on the same rows; effects, controls and weights stay."""
        other = copy.copy(self)
        names = tuple(f"x{j + 1}" for j in range(exog.shape[1]))
        other.design = replace(self.design, exog=np.ascontiguousarray(exog), exog_names=names)
        other._fit = None
        other._initialise(pd.DataFrame(other.design.exog, index=self.design.row_index, columns=list(names), copy=False))
        return other

    def fit_regularized(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not available: penalised slopes beside absorbed effects are not those of the full regression."""
        _refuse("fit_regularized", "partial= with learner=LassoCV() selects controls instead")

    def get_distribution(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not available: the distribution's mean would leave out effects and controls."""
        _refuse("get_distribution", "res.get_prediction(data).summary_frame()")

    def hessian_factor(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not available: it stands for a Hessian in the regressors as they are."""
        _refuse("hessian_factor", "res.model.hessian(res.params)")


def _refuse(name: str, instead: str) -> NoReturn:
    raise SpecificationError(
        f"{name} is not available for partialled-out least squares.", "It would look at the regressors alone.", instead
    )
