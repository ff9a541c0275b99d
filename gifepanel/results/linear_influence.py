"""Influence of single observations in the full regression, without a loop over them."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NoReturn

import numpy as np
from statsmodels.stats.outliers_influence import OLSInfluence

from gifepanel.exceptions import SpecificationError
from gifepanel.inference.linear_sample import full_leverage

__all__ = ["PartialledInfluence"]

Array = np.ndarray[Any, np.dtype[np.float64]]


class PartialledInfluence(OLSInfluence):
    """statsmodels' influence measures with leverages, residuals and parameters of the full regression.

    With weights, of the regression on sqrt(w) times the data. An observation that the effects fit exactly has leverage
    one, and NaN in what divides by one less its leverage.

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> influence = gife.PartialledOLS.from_formula("sales ~ price | state", cigar).fit().get_influence()
    >>> round(float(influence.hat_matrix_diag.sum()), 6)  # 46 states and a slope
    47.0
    """

    def __init__(self, results: Any) -> None:
        fit = results._fit
        super().__init__(results)
        self.resid = self.results.wresid
        self.k_vars = int(self.results.nobs - self.results.df_resid)
        self._triangle = fit.triangle
        self._basis = fit.triangle.basis(fit.x_tilde, self._root)

    @property
    def _root(self) -> Array:
        weights = self.results.model.design.weights
        return np.ones(int(self.nobs)) if weights is None else np.sqrt(weights)

    @cached_property
    def hat_matrix_diag(self) -> Array:
        """Leverages of the full regression (n,); they sum to its number of parameters."""
        results = self.results
        leverage = full_leverage(
            results._fit.x_tilde,
            results._fit.projection.leverage(),
            weights=results.model.design.weights,
            triangle=self._triangle,
        )
        return np.where(leverage > 1 - 1e-10, np.nan, leverage)

    @cached_property
    def sigma2_not_obsi(self) -> Array:
        """Residual variance without each observation (n,)."""
        df = self.results.df_resid
        return np.asarray((self.results.ssr - self.resid**2 / (1 - self.hat_matrix_diag)) / (df - 1))

    @property
    def params_not_obsi(self) -> Array:
        """Coefficients without each observation (n, k)."""
        return np.asarray(self.results.params) - self.dfbeta

    @cached_property
    def dfbeta(self) -> Array:
        """Change of the coefficients by each observation (n, k)."""
        left = self.resid / (1 - self.hat_matrix_diag)
        return np.asarray((self._basis * left[:, None]) @ self._triangle.root.T)

    @cached_property
    def dfbetas(self) -> Array:
        """The same in standard errors (n, k)."""
        size = np.linalg.norm(self._triangle.root, axis=1)
        return self.dfbeta / np.sqrt(self.sigma2_not_obsi)[:, None] / size

    @property
    def det_cov_params_not_obsi(self) -> NoReturn:
        """Refused: the determinant would be that of all coefficients."""
        _refuse("det_cov_params_not_obsi")

    @property
    def cov_ratio(self) -> NoReturn:
        """Refused: the determinants would be those of all coefficients."""
        _refuse("cov_ratio")


def _refuse(name: str) -> NoReturn:
    raise SpecificationError(
        f"{name} is not available for partialled-out least squares.",
        "It compares the covariances of all coefficients, effects among them.",
        "res.get_influence().dfbetas, .dffits or .cooks_distance",
    )
