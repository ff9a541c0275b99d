"""Interactive fixed effects with one slope vector (Bai 2009)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gifepanel.inference.estimate import FactorEstimate
from gifepanel.models.base import FactorModel
from gifepanel.models.cell_fits import fit_one_group_on_cells
from gifepanel.models.checks import (
    check_count,
    check_counts_fit,
    check_number,
    check_seed,
    reject_unknown,
    warn_not_converged,
)
from gifepanel.models.counts import Count
from gifepanel.models.estimation import estimate_from_fit, slope_scale
from gifepanel.models.foreign import refuse_fit_words
from gifepanel.models.inference import infer, read_bias_correction, read_covariance
from gifepanel.models.treated import covariance_options, refit_options
from gifepanel.page.source import called
from gifepanel.panel.context import capture_context
from gifepanel.parallel import Progress, on_one_thread
from gifepanel.results.interactive import interactive_results
from gifepanel.shares import again_if_lost
from gifepanel.solvers.blocked import prepare_panel
from gifepanel.solvers.canonical import fit_one_group
from gifepanel.solvers.interactive import InteractiveFit, SlopeMap

if TYPE_CHECKING:
    from gifepanel.results.interactive import InteractiveFEResults

__all__ = ["InteractiveFE"]

Array = np.ndarray[Any, np.dtype[np.float64]]


class InteractiveFE(FactorModel):
    """Least squares with interactive fixed effects, y_it = x_it'b + l_i'f_t + e_it (Bai 2009).

    Parameters
    ----------
    endog, exog : array_like
        Arrays (N, T) and (N, T, p), or an outcome and a frame of regressors with a two-level index (entity, time) or
        with `entity` and `time`. Arrays of 32 MB and more are not copied, memory-mapped ones among them.
    n_factors : int, iterable of int or "auto"
        Number of common factors R, or the numbers to choose from; "auto" is 0 to 8. 0 is least squares with additive
        effects.
    entity, time : str or sequence, optional
        Columns that say who and when; for arrays, their labels.
    absorb : str or sequence of str
        Additive effects: the entity, the time, or both.
    predetermined : str, int or sequence of them
        Regressors that react to past errors. Formulas find lags of the outcome by themselves.
    weights : str or array_like, optional
        Weights of observations, a column or one value per row: w counts as w copies. "entity": the inverses of the
        residual variances of entities, estimated in turn with the rest.
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

    def __init__(
        self,
        endog: Any,
        exog: Any = None,
        *,
        n_factors: Count | None = None,
        entity: Any = None,
        time: Any = None,
        absorb: str | Sequence[str] = (),
        predetermined: str | int | Sequence[str | int] = (),
        weights: Any = None,
        missing: str = "drop",
        **unknown: Any,
    ) -> None:
        own = {"n_factors": n_factors}
        given = {"entity": entity, "time": time, "absorb": absorb, "predetermined": predetermined}
        given |= {"weights": weights, "missing": missing}
        self._from_data(endog, exog, own, given, unknown, InteractiveFE.__init__.__kwdefaults__ or {})

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any,
        *,
        n_factors: Count | None = None,
        entity: Any = None,
        time: Any = None,
        predetermined: str | Sequence[str] = (),
        weights: Any = None,
        treated: Any = None,
        anticipation: int = 0,
        missing: str = "drop",
        context: int | Mapping[str, Any] | None = 0,
        **unknown: Any,
    ) -> Self:
        """Interactive fixed effects from a formula; ``gifepanel.formula.api.ife`` is this function.

        Parameters
        ----------
        formula : str
            ``"y ~ x1 + log(x2) + L(y) | entity + time"``: formulaic's grammar; the part after ``|`` names absorbed
            effects; index levels can be used by name; ``L(x, k)``, ``F(x, k)`` and ``D(x)`` lag, lead and difference
            within entities and respect gaps.
        data : DataFrame
            With a two-level index (entity, time), or flat with `entity` and `time`; anything narwhals reads; a path,
            such as that of a Parquet file sorted by entity and time, which is read a few entities at a time.
        n_factors : int, iterable of int or "auto"
            Number of common factors R, or the numbers to choose from; "auto" is 0 to 8. 0 is least squares with
            additive effects.
        entity, time : str, optional
            Columns that say who and when.
        predetermined : str or sequence of str
            Regressors that react to past errors, besides lags of the outcome, which are found by themselves.
        weights : str or array_like, optional
            Weights of observations, a column or one value per row: w counts as w copies. "entity": the inverses of the
            residual variances of entities, estimated in turn with the rest.
        treated : str or array_like, optional
            Rows that are left out of the fit, for what they would have been (``res.counterfactual()``): a column of
            zeros and ones, an expression such as ``"year >= start"``, or one value per row.
        anticipation : int
            Periods before treatment that are left out as well.
        missing : {"drop", "raise"}
            What to do with rows that hold NaN.
        context : int, mapping or None
            Where functions used in the formula are looked up: frames above the caller, or names; a formula is code
            then. None for formulas of others: known functions only, anything else is refused before it runs.

        Returns
        -------
        InteractiveFE
            The model, not fitted yet: call ``.fit()``.

        Raises
        ------
        FormulaError, DataError, SpecificationError
            Before any estimation, with what was found, what is needed and the line that repairs it.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> model = gife.InteractiveFE.from_formula("sales ~ L(sales) + price | state", cigar, n_factors=2)
        >>> model.exog_names
        ['L(sales)', 'price']
        """
        names = capture_context(context)
        own = {"n_factors": n_factors}
        given = {"entity": entity, "time": time, "predetermined": predetermined, "weights": weights, "missing": missing}
        given |= {"treated": treated, "anticipation": anticipation}
        defaults = InteractiveFE.from_formula.__kwdefaults__ or {}
        return cls._from_formula(formula, data, names, own, given, unknown, defaults)

    def _read_options(self, *, n_factors: Any = None, **_: Any) -> None:
        given = self._read_counts(n_factors, 1)
        self._check_counts()
        if given:
            self._check_degrees_of_freedom(len(self._names))

    def _check_counts(self) -> None:
        check_counts_fit(self.design, 1, self.n_factors, self.entity_effects, self.time_effects)

    @on_one_thread
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
        n_jobs: int | None = None,
        progress: Progress = None,
        **unknown: Any,
    ) -> InteractiveFEResults:
        """Fit the model.

        Parameters
        ----------
        cov_type : str
            "nonrobust", "HC0", "HC1", "cluster", "HAC" (within entities) or "hac-groupsum" (Driscoll-Kraay).
        cov_kwds : dict, optional
            ``{"groups": "column"}``, a list of columns for several ways, the entities by default;
            ``{"maxlags": 2, "kernel": "bartlett"}``; ``{"psd": "eigen"}`` sets negative eigenvalues to zero (Cameron,
            Gelbach & Miller 2011), without which a negative variance gives a standard error of NaN.
        use_t : bool, optional
            t rather than normal distribution; by default for "nonrobust" only, as in statsmodels.
        bias_correction : bool or str, optional
            "dynamic": the term of predetermined regressors, the default where a lag of the outcome is among the
            regressors. True ("analytic"): all three terms of Moon & Weidner (2017). In both the first term has what
            projected residuals hide of it given back; "moon-weidner-b1" and "moon-weidner" are the same as published.
            "jackknife": half-panel (Dhaene & Jochmans 2015). False ("none"): no correction.
        ssc : bool
            Scale covariances by NT over the residual degrees of freedom.
        n_starts : int, optional
            Starts of the descent: zero, pooled, heterogeneous, the others random. By default 10, for panels above
            100 000 observations 5.
        random_state : int or Generator
            Of the random starts.
        m1, m2 : int, optional
            Bandwidths of the bias terms; by default ceil(2 T^(1/4)) lags in the first, ceil(T^(1/4)) in the published
            form of it and in the third.
        tol : float
            Relative size of the last step.
        max_iter : int
        n_jobs : int, optional
            Workers for a number of factors left open ("auto", a range); None is one unless a ``joblib.parallel_config``
            says otherwise. Results do not depend on it.
        progress : bool or callable, optional
            Progress bar of that search: None shows it on a terminal after two seconds.

        Raises
        ------
        SpecificationError, DataError
            Before any estimation.

        Warns
        -----
        ConvergenceWarning
            If the best minimum did not reach `tol`.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> model = gife.InteractiveFE.from_formula("sales ~ L(sales) + price | state", cigar, n_factors=2)
        >>> model.fit(cov_type="HC1").params.round(3).tolist()
        [0.887, -0.279]
        >>> model.fit(bias_correction=False).params.round(3).tolist()
        [0.81, -0.334]
        """
        # checks
        arguments = {name: value for name, value in locals().items() if name not in ("self", "unknown")}
        refuse_fit_words(self, unknown, arguments, InteractiveFE.fit.__kwdefaults__ or {})
        reject_unknown(unknown, InteractiveFE.fit.__kwdefaults__ or (), "fit")
        if self._candidates is not None:
            return self._fit_selected(arguments)
        covariance = read_covariance(self, cov_type, cov_kwds, ssc, use_t)
        bias = read_bias_correction(self, bias_correction, len(self._names), m1, m2)
        n_starts = check_count("n_starts", self._default_starts() if n_starts is None else n_starts, 1)
        tol, max_iter = check_number("tol", tol, 1e-10, positive=True), check_count("max_iter", max_iter, 1, usual=1000)
        rng = np.random.default_rng(check_seed(random_state))

        # estimate
        estimate: FactorEstimate
        if self._on_cells:
            model, estimate, fit, scale = fit_one_group_on_cells(self, n_starts, rng, tol=tol, max_iter=max_iter)
            if model is not self:  # entities were set aside
                covariance = read_covariance(model, cov_type, cov_kwds, ssc, use_t)
        else:
            limits = {"tol": tol, "max_iter": max_iter}
            slopes, fit, own = again_if_lost(lambda: self._fit_complete(n_starts, rng, limits), rng)
            scale = slope_scale(own, slopes)
            model, estimate = self, estimate_from_fit(self, fit, slopes, scale)

        # inference
        inference = infer(model, estimate, model._names, bias, covariance)

        # results
        if not fit.converged:
            fix = f"n_factors={max(0, self.n_factors - 1)}" if self._on_cells else f"max_iter={10 * max_iter}"
            warn_not_converged("Least squares with factors", fix)
        results = interactive_results(model, inference, fit, scale=scale)
        if self._on_cells:
            results._results._passed_ssr = fit.lower
        results._results._fit_call = called("fit", arguments, InteractiveFE.fit.__kwdefaults__)
        results._results._fit_options = refit_options(arguments)
        results._results._covariance_options = covariance_options(arguments)
        return results

    def _fit_complete(
        self, n_starts: int, rng: np.random.Generator, limits: dict[str, Any]
    ) -> tuple[SlopeMap, InteractiveFit, Array]:
        """Which slopes there are, the fit, and what regressors were divided by."""
        effects = {"entity_effects": self.entity_effects, "time_effects": self.time_effects}
        data = [prepare_panel(self._y, self._x, **effects, standardize=True)]
        own = data[0].scale
        return *fit_one_group(data.pop(), self.n_factors, n_starts, rng, **limits, given_up=True), own

    def _default_starts(self) -> int:
        return 10 if self._y.size <= 100_000 else 5
