"""Grouped interactive fixed effects (Su & Ju 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gifepanel.exceptions import SpecificationError
from gifepanel.inference.estimate import FactorEstimate
from gifepanel.models.base import FactorModel
from gifepanel.models.cell_fits import fit_grouped_on_cells
from gifepanel.models.checks import (
    check_choice,
    check_count,
    check_counts_fit,
    check_flag,
    check_groups,
    check_number,
    check_seed,
    check_unit_periods,
    reject_unknown,
)
from gifepanel.models.counts import Count, check_share
from gifepanel.models.estimation import estimate_from_fit, slope_scale
from gifepanel.models.foreign import refuse_fit_words
from gifepanel.models.group_warnings import warn_of_groups
from gifepanel.models.inference import infer, read_bias_correction, read_covariance
from gifepanel.models.treated import covariance_options, refit_options
from gifepanel.page.source import called
from gifepanel.panel.context import capture_context
from gifepanel.parallel import Progress, on_one_thread
from gifepanel.results.grouped import coefficient_names, grouped_results
from gifepanel.shares import again_if_lost
from gifepanel.solvers.blocked import prepare_panel
from gifepanel.solvers.grouped import GroupedFit, GroupedOptions, fit_grouped

if TYPE_CHECKING:
    from gifepanel.results.grouped import GroupedIFEResults

__all__ = ["GroupedIFE"]

Array = np.ndarray[Any, np.dtype[np.float64]]


class GroupedIFE(FactorModel):
    """Grouped interactive fixed effects, y_it = x_it'a_{g(i)} + l_i'f_t + e_it (Su & Ju 2018).

    Slopes are the same within latent groups of entities and differ across them; factors are common to all.

    Parameters
    ----------
    endog, exog : array_like
        Arrays (N, T) and (N, T, p), or an outcome and a frame of regressors with a two-level index (entity, time) or
        with `entity` and `time`. Arrays of 32 MB and more are not copied, memory-mapped ones among them.
    n_groups : int, iterable of int or "auto"
        Number of groups K, or the numbers to choose from; "auto" is 1 to 6.
    n_factors : int, iterable of int or "auto"
        Number of common factors R, or the numbers to choose from; "auto" is 0 to 8. 0 is the C-Lasso of Su, Shi &
        Phillips (2016).
    common : str or sequence of str, optional
        Regressors whose slope is the same in all groups; by default the intercept, where the formula has one. ``[]``
        gives every group its own.
    min_group_share : float
        Share of the entities that a group should have, and two entities at least. A number of groups that is left open
        is not chosen where one of them is smaller; a fit with a number that was given warns. 0
        allows any; groups of one entity are said all the same.
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
    Su, L. and G. Ju (2018). Identifying latent grouped patterns in panel data models with interactive fixed effects.
    *Journal of Econometrics* 206, 554-573.

    Examples
    --------
    >>> import gifepanel as gife
    >>> panel = gife.datasets.simulate("S", n_entities=100, n_times=50, random_state=2)
    >>> res = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2).fit()
    >>> res.group_sizes.tolist()
    [30, 30, 40]
    """

    _has_groups = True

    def __init__(
        self,
        endog: Any,
        exog: Any = None,
        *,
        n_groups: Count | None = None,
        n_factors: Count | None = None,
        common: str | Sequence[str] | None = None,
        min_group_share: float = 0.05,
        entity: Any = None,
        time: Any = None,
        absorb: str | Sequence[str] = (),
        predetermined: str | int | Sequence[str | int] = (),
        weights: Any = None,
        missing: str = "drop",
        **unknown: Any,
    ) -> None:
        own: dict[str, Any] = {"n_groups": n_groups, "n_factors": n_factors, "common": common}
        own["min_group_share"] = min_group_share
        given = {"entity": entity, "time": time, "absorb": absorb, "predetermined": predetermined}
        given |= {"weights": weights, "missing": missing}
        self._from_data(endog, exog, own, given, unknown, GroupedIFE.__init__.__kwdefaults__ or {})

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any,
        *,
        n_groups: Count | None = None,
        n_factors: Count | None = None,
        common: str | Sequence[str] | None = None,
        min_group_share: float = 0.05,
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
        """Grouped interactive fixed effects from a formula; ``gifepanel.formula.api.gife`` is this function.

        Parameters
        ----------
        formula : str
            ``"y ~ x1 + log(x2) + L(y) | entity + time"``: formulaic's grammar; the part after ``|`` names absorbed
            effects; index levels can be used by name; ``L(x, k)``, ``F(x, k)`` and ``D(x)`` lag, lead and difference
            within entities and respect gaps.
        data : DataFrame
            With a two-level index (entity, time), or flat with `entity` and `time`; anything narwhals reads; a path,
            such as that of a Parquet file sorted by entity and time, which is read a few entities at a time.
        n_groups : int, iterable of int or "auto"
            Number of groups K, or the numbers to choose from; "auto" is 1 to 6.
        n_factors : int, iterable of int or "auto"
            Number of common factors R, or the numbers to choose from; "auto" is 0 to 8. 0 is the C-Lasso of Su, Shi &
            Phillips (2016).
        common : str or sequence of str, optional
            Regressors, or terms, whose slope is the same in all groups; by default the intercept, where the formula has
            one. ``[]`` gives every group its own.
        min_group_share : float
            Share of the entities that a group should have, and two entities at least. A number of groups that is left
            open is not chosen where one of them is smaller; a fit with a number that was given warns. 0
            allows any; groups of one entity are said all the same.
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
        GroupedIFE
            The model, not fitted yet: call ``.fit()``.

        Raises
        ------
        FormulaError, DataError, SpecificationError
            Before any estimation, with what was found, what is needed and the line that repairs it.

        Examples
        --------
        >>> import gifepanel as gife
        >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=30, random_state=1)
        >>> model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2)
        >>> model.fit().group_sizes.tolist()
        [12, 11, 17]
        """
        names = capture_context(context)
        own: dict[str, Any] = {"n_groups": n_groups, "n_factors": n_factors, "common": common}
        own["min_group_share"] = min_group_share
        given = {"entity": entity, "time": time, "predetermined": predetermined, "weights": weights, "missing": missing}
        given |= {"treated": treated, "anticipation": anticipation}
        defaults = GroupedIFE.from_formula.__kwdefaults__ or {}
        return cls._from_formula(formula, data, names, own, given, unknown, defaults)

    def _read_options(
        self,
        *,
        n_groups: Any = None,
        n_factors: Any = None,
        common: Any = None,
        min_group_share: Any = 0.05,
        **_: Any,
    ) -> None:
        self._min_group_share = check_share(min_group_share)
        self._common_constant = common is None
        if self._common_constant and "Intercept" in self._names:
            self._common = (self._names.index("Intercept"),)
        given = self._read_counts(n_factors, n_groups)
        if len(self._common) == len(self._names):
            raise SpecificationError(
                "All regressors are in common.",
                "At least one slope must differ across groups.",
                "Take InteractiveFE for one slope vector.",
            )
        self._check_counts()
        if given:
            self._check_degrees_of_freedom(self._n_slopes)

    def _check_counts(self) -> None:
        check_counts_fit(self.design, self.n_groups, self.n_factors, self.entity_effects, self.time_effects)
        if not self._on_cells:
            check_unit_periods(self.design, len(self._names), self.n_factors, self.entity_effects)

    @property
    def _n_slopes(self) -> int:
        return len(self._common) + self.n_groups * (len(self._names) - len(self._common))

    @on_one_thread
    def fit(
        self,
        *,
        cov_type: str = "nonrobust",
        cov_kwds: Mapping[str, Any] | None = None,
        use_t: bool | None = None,
        kappa: float | None = None,
        kappa_scale: float = 1.0,
        classify: str = "refined",
        metric: str = "absolute",
        start: Any = "kmeans",
        n_starts: int | None = None,
        polish: bool = True,
        bias_correction: bool | str | None = None,
        groups: str = "hard",
        groups_known: bool = False,
        ssc: bool = True,
        random_state: int | np.random.Generator | None = 0,
        m1: int | None = None,
        m2: int | None = None,
        tol: float = 1e-7,
        max_iter: int = 300,
        max_sweeps: int = 20,
        sweep_tol: float = 1e-1,
        n_jobs: int | None = None,
        progress: Progress = None,
        **unknown: Any,
    ) -> GroupedIFEResults:
        """Fit the model: penalised principal components, classification, joint least squares, inference.

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
        kappa : float, optional
            Weight of the penalty in the units of the data, regressors not standardised. By default the scale-free
            rule ``kappa_scale * sigma * T**(-1/3) / d**(K-1)`` on regressors standardised after the starting factors,
            d being the mean distance between the starting centres.
        kappa_scale : float
            The c of that rule; classifications change little between 0.2 and 5.
        classify : {"refined", "nearest"}
            "nearest" is Su & Ju's: the nearest centre. "refined" goes on from there by least squares, moving
            entities to the group that fits them best until none wants to move.
        metric : {"absolute", "relative", "mahalanobis"}
            Distance to the centres.
        start : {"kmeans", "zero"} or array_like, shape (K, p)
            Starting centres, arrays in the units of the data.
        n_starts : int, optional
            Distinct K-means partitions carried to the end; the smallest sum of squares is kept. With "refined" groups
            the search for better groupings goes on so many times longer. By default 1; with "nearest" 5 for more
            than three groups.
        polish : bool
            End the sweep of Su & Ju by exact descent on their criterion.
        bias_correction : bool or str, optional
            "dynamic": the term of predetermined regressors, the default where a lag of the outcome is among the
            regressors. True ("analytic"): all three terms of Moon & Weidner (2017). In both the first term has what
            projected residuals hide of it given back; "moon-weidner-b1" and "moon-weidner" are the same as published.
            "jackknife": half-panel (Dhaene & Jochmans 2015). False ("none"): no correction.
        groups : {"hard", "soft"}
            "hard": every entity counts in its group, whose slopes are least squares. "soft": in every group, with the
            probability that it belongs there; slopes maximise the likelihood of a mixture at the least-squares factors,
            tempered by the design effect of `cov_type` (correlated errors say less about groups than they seem to).
            That takes away the bias of estimated groups, which least squares draws apart. Residuals, fitted values and
            predictions are at each entity's mean slopes by its probabilities, factors and effects what these leave;
            ``groups`` are the most probable. A bias correction of the least-squares slopes is added to the soft ones.
        groups_known : bool
            True: standard errors take the groups as known. By default they allow for what is not known about who
            belongs where (Louis 1982), see :class:`gifepanel.inference.missing_information.MissingInformation`.
        ssc : bool
            Scale covariances by NT over the residual degrees of freedom.
        random_state : int or Generator
            Of K-means and of random starts.
        m1, m2 : int, optional
            Bandwidths of the bias terms; by default ceil(2 T^(1/4)) lags in the first, ceil(T^(1/4)) in the published
            form of it and in the third.
        tol, max_iter : float, int
            Of the descent.
        sweep_tol, max_sweeps : float, int
            Of the sweep, which ends when centres move by less than that share; the descent goes on from there. With
            ``polish=False`` the sweep goes on to 1e-4 at least.
        n_jobs : int, optional
            Workers for numbers left open ("auto", ranges); None is one unless a ``joblib.parallel_config`` says
            otherwise. Results do not depend on it.
        progress : bool or callable, optional
            Progress bar of that search: None shows it on a terminal after two seconds.

        Raises
        ------
        SpecificationError, DataError
            Before any estimation; for soft groups where there is one group, or with ``groups_known=True``.

        Warns
        -----
        ConvergenceWarning
            If the descent, the classification or the final least squares did not settle.
        SpecificationWarning
            If a group is smaller than `min_group_share` asks for, or groups are found from fewer than ten periods.

        Examples
        --------
        >>> import gifepanel as gife
        >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=30, random_state=1)
        >>> model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2)
        >>> model.fit(cov_type="cluster", classify="nearest").params_by_group.round(2)
                 x1    x2
        group
        1      0.43  1.68
        2      0.96  0.97
        3      1.61  0.39
        """
        # checks
        arguments = {name: value for name, value in locals().items() if name not in ("self", "unknown")}
        refuse_fit_words(self, unknown, arguments, GroupedIFE.fit.__kwdefaults__ or {})
        reject_unknown(unknown, GroupedIFE.fit.__kwdefaults__ or (), "fit")
        soft = self._soft(groups, check_flag("groups_known", groups_known))
        if self._candidates is not None:
            return self._fit_selected(arguments)
        covariance = read_covariance(self, cov_type, cov_kwds, ssc, use_t, groups_known=groups_known)
        bias = read_bias_correction(self, bias_correction, self._n_slopes, m1, m2)
        options = GroupedOptions(
            kappa=None if kappa is None else check_number("kappa", kappa, 1.0),
            kappa_scale=check_number("kappa_scale", kappa_scale, 1.0),
            standardize=kappa is None,
            start=self._starting_centres(start),
            n_starts=check_count("n_starts", self._default_starts(classify) if n_starts is None else n_starts, 1),
            seed=check_seed(random_state),
            polish=check_flag("polish", polish),
            classify=check_choice("classify", classify, ("refined", "nearest")),  # type: ignore[arg-type]
            metric=check_choice("metric", metric, ("absolute", "relative", "mahalanobis")),  # type: ignore[arg-type]
            common=self._common,
            tol=check_number("tol", tol, 1e-7, positive=True),
            max_iter=check_count("max_iter", max_iter, 1, usual=300),
            sweep_tol=check_number("sweep_tol", sweep_tol, 1e-1, positive=True),
            max_sweeps=check_count("max_sweeps", max_sweeps, 1, usual=20),
        )

        # estimate
        estimate: FactorEstimate
        grouped: GroupedFit[Any]
        if self._on_cells:
            model, estimate, grouped, scale = fit_grouped_on_cells(self, options)
            if model is not self:  # entities were set aside
                covariance = read_covariance(model, cov_type, cov_kwds, ssc, use_t, groups_known=groups_known)
        else:
            complete = again_if_lost(lambda: self._fit_complete(options, kappa is None), options.seed)
            slopes, fit = complete.classification.slopes, complete.classification.fit
            scale = slope_scale(complete.scale, slopes)
            model, grouped, estimate = self, complete, estimate_from_fit(self, fit, slopes, scale)

        # inference
        inference = infer(model, estimate, coefficient_names(model, estimate.slots), bias, covariance, soft=soft)

        # results
        results = grouped_results(model, inference, grouped, scale=scale, classify=classify, metric=metric)
        results._results._fit_call = called("fit", arguments, GroupedIFE.fit.__kwdefaults__)
        results._results._fit_options = refit_options(arguments)
        results._results._covariance_options = covariance_options(arguments)
        warn_of_groups(results, grouped, max_iter)
        return results

    def _fit_complete(self, options: GroupedOptions, standardize: bool) -> GroupedFit[Any]:
        effects = {"entity_effects": self.entity_effects, "time_effects": self.time_effects}
        data = [prepare_panel(self._y, self._x, **effects, standardize=standardize)]
        return fit_grouped(data.pop(), self.n_groups, self.n_factors, options, given_up=True)

    def _soft(self, groups: Any, groups_known: bool) -> bool:
        """Whether groups are soft; one group that was chosen from the data is neither."""
        check_groups(groups, () if self._source is None else getattr(self._source, "columns", ()))
        if groups == "soft" and groups_known:
            raise SpecificationError(
                'groups="soft" came with groups_known=True.',
                "Soft groups are probabilities: nobody's group is known.",
                "groups_known=False",
            )
        if groups == "soft" and self.n_groups == 1 and not self._chosen:
            raise SpecificationError(
                'groups="soft" came with one group.',
                "Every entity belongs to it.",
                'groups="hard"',
            )
        return bool(groups == "soft" and self.n_groups > 1)

    def _default_starts(self, classify: str) -> int:
        return 5 if classify == "nearest" and self.n_groups > 3 else 1

    def _starting_centres(self, start: Any) -> Any:
        if isinstance(start, str):
            return check_choice("start", start, ("kmeans", "zero"))
        centres = np.asarray(start, dtype=float)
        shape = (self.n_groups, len(self._names))
        if centres.shape != shape or not np.isfinite(centres).all():
            raise SpecificationError(
                f"start has shape {centres.shape}.",
                f"It must hold finite centres, groups by regressors: {shape}.",
                'start="kmeans"',
            )
        return centres
