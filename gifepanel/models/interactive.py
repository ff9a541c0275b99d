"""Interactive fixed effects with one slope vector (Bai 2009)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gifepanel.inference.estimate import FactorEstimate
from gifepanel.models.base import FactorModel
from gifepanel.models.checks import check_count, check_counts_fit, reject_unknown
from gifepanel.models.inference import bias_correction_kind, correct_bias, read_covariance
from gifepanel.solvers.arrays import prepare
from gifepanel.solvers.interactive import InteractiveFit, SlopeMap, fit_interactive, fit_interactive_multistart
from gifepanel.solvers.multistart import interactive_starts

if TYPE_CHECKING:
    from gifepanel.results.interactive import InteractiveFEResults

__all__ = ["InteractiveFE", "estimate_at", "estimate_from_fit", "reestimate_on", "slope_scale"]

Array = np.ndarray[Any, np.dtype[np.float64]]


class InteractiveFE(FactorModel):
    """Least squares with interactive fixed effects, y_it = x_it'b + l_i'f_t + e_it (Bai 2009).

    Parameters
    ----------
    endog, exog : array_like
        Arrays (N, T) and (N, T, p), or an outcome and a frame of regressors with a two-level index (entity, time) or
        with `entity` and `time`.
    n_factors : int
        Number of common factors R; 0 is least squares with additive effects.
    entity, time : str or sequence, optional
        Columns that say who and when; for arrays, their labels.
    absorb : str or sequence of str
        Additive effects: the entity, the time, or both.
    predetermined : sequence of str or int
        Regressors that react to past errors. Formulas find lags of the outcome by themselves.
    missing : {"drop", "raise"}

    References
    ----------
    Bai, J. (2009). Panel data models with interactive fixed effects. *Econometrica* 77, 1229-1279.
    Moon, H. R. and M. Weidner (2017). Dynamic linear panel regression models with interactive fixed effects.
    *Econometric Theory* 33, 158-195.

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> model = gife.InteractiveFE.from_formula("D(log(sales)) ~ 0 + D(log(real_price)) + D(log(real_income))",
    ...                                         cigar, n_factors=2)
    >>> model.fit().params.round(4).tolist()
    [-0.4378, 0.1778]
    """

    _options = ("n_factors",)

    def _read_options(self, *, n_factors: Any = None, **_: Any) -> None:
        self.n_factors = check_count("n_factors", n_factors, 0)
        self.n_groups = 1
        check_counts_fit(self.design, 1, self.n_factors, self.entity_effects, self.time_effects)

    def fit(
        self,
        *,
        cov_type: str = "nonrobust",
        cov_kwds: Mapping[str, Any] | None = None,
        use_t: bool | None = None,
        bias_correction: bool | str | None = None,
        ssc: bool = True,
        n_starts: int | None = None,
        random_state: int | np.random.Generator | None = 0,
        m1: int | None = None,
        m2: int | None = None,
        tol: float = 1e-10,
        max_iter: int = 1000,
        **unknown: Any,
    ) -> InteractiveFEResults:
        """Fit the model.

        Parameters
        ----------
        cov_type : str
            "nonrobust", "HC0", "HC1", "cluster", "HAC" (within entities) or "hac-groupsum" (Driscoll-Kraay).
        cov_kwds : dict, optional
            ``{"groups": "column"}``, a list of columns for several ways, ``{"maxlags": 2, "kernel": "bartlett"}``.
        use_t : bool, optional
            t rather than normal distribution; by default for "nonrobust" only, as in statsmodels.
        bias_correction : bool or {"dynamic", "analytic", "jackknife"}, optional
            True ("analytic"): the three terms of Moon & Weidner (2017). "dynamic": the one of predetermined
            regressors, the default where a lag of the outcome is among the regressors. "jackknife": half-panel
            (Dhaene & Jochmans 2015).
        ssc : bool
            Scale covariances by NT over the residual degrees of freedom.
        n_starts : int, optional
            Starts of the descent: zero, pooled, heterogeneous, the others random. By default 10, for panels above
            100 000 observations 5.
        random_state : int or Generator
            Of the random starts.
        m1, m2 : int, optional
            Bandwidths of the bias terms; by default ceil(T^(1/4)).
        tol : float
            Relative size of the last step.
        max_iter : int

        Raises
        ------
        SpecificationError, DataError
            Before any estimation.

        Warns
        -----
        ConvergenceWarning
            If the best minimum did not reach `tol`.
        """
        # checks
        reject_unknown(unknown, InteractiveFE.fit.__kwdefaults__ or (), "fit")
        covariance = read_covariance(self, cov_type, cov_kwds, ssc)
        correction = bias_correction_kind(bias_correction, bool(self._lags))
        n_starts = check_count("n_starts", n_starts if n_starts is not None else self._default_starts(), 1)

        # estimate
        data = prepare(
            self._y,
            self._x,
            entity_effects=self.entity_effects,
            time_effects=self.time_effects,
            standardize=True,
        )
        slopes = SlopeMap.grouped(np.zeros(self.n_entities, dtype=np.int64), 1, data.shape[2])
        starts = interactive_starts(data, slopes, self.n_factors, n_starts, np.random.default_rng(random_state))
        fit = fit_interactive_multistart(data, slopes, self.n_factors, starts, tol=tol, max_iter=max_iter)
        scale = slope_scale(data.scale, slopes)
        estimate = estimate_from_fit(self, fit, slopes, scale)

        # inference
        params, bias = correct_bias(
            correction,
            estimate,
            predetermined=bool(self._predetermined),
            m1=m1,
            m2=m2,
            reestimate=reestimate_on(self, slopes, estimate.theta),
        )

        # results
        from gifepanel.results.interactive import interactive_results

        return interactive_results(
            self,
            estimate,
            fit,
            final=estimate_at(self, estimate, params),
            params=params,
            bias=bias,
            correction=correction,
            covariance=covariance,
            use_t=use_t,
            scale=scale,
        )

    def _default_starts(self) -> int:
        return 10 if self._y.size <= 100_000 else 5


def slope_scale(scale: Array, slopes: SlopeMap) -> Array:
    """The standardisation of every free parameter: theta of the data is theta of the solver over it."""
    out = np.empty(slopes.size)
    out[slopes.slots] = scale
    return out


def estimate_from_fit(model: FactorModel, fit: InteractiveFit, slopes: SlopeMap, scale: Array) -> FactorEstimate:
    """Back to the units of the data, with signs of the factors fixed and entity effects recovered."""
    theta = fit.theta / scale
    factors, loadings = fit.components.factors, fit.components.loadings
    # a factor's sign is free: the loadings' sum is positive
    signs = np.where(loadings.sum(axis=0) < 0, -1.0, 1.0)
    factors, loadings = factors * signs, loadings * signs
    entity_effect = np.zeros(model.n_entities)
    if model.entity_effects:
        beta = theta[slopes.slots][slopes.groups]
        entity_effect = model._y.mean(axis=1) - np.einsum("np,np->n", model._x.mean(axis=1), beta)
    return FactorEstimate(
        model._y,
        model._x,
        slopes.groups,
        slopes.slots,
        theta,
        factors,
        loadings,
        fit.components.time_effect,
        entity_effect,
        fit.resid,
        model.entity_effects,
        model.time_effects,
    )


def estimate_at(model: FactorModel, estimate: FactorEstimate, params: Array) -> FactorEstimate:
    """The estimate with factors, loadings, effects and residuals taken at the slopes `params` (q,)."""
    if params is estimate.theta:
        return estimate
    data = prepare(model._y, model._x, entity_effects=model.entity_effects, time_effects=model.time_effects)
    slopes = SlopeMap(estimate.groups, estimate.slots)
    fit = fit_interactive(data, slopes, estimate.n_factors, params, max_iter=0)
    return estimate_from_fit(model, fit, slopes, np.ones(params.size))


def reestimate_on(model: FactorModel, slopes: SlopeMap, theta: Array) -> Any:
    """A function that refits, groups given, on a slice of the periods (for the half-panel jackknife)."""

    def estimate(periods: slice) -> Array:
        data = prepare(
            model._y[:, periods],
            model._x[:, periods],
            entity_effects=model.entity_effects,
            time_effects=model.time_effects,
            standardize=True,
        )
        scale = slope_scale(data.scale, slopes)
        n_factors = model.n_factors
        return fit_interactive(data, slopes, n_factors, theta * scale).theta / scale

    return estimate
