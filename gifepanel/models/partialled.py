"""Least squares after partialling out: fixed effects and controls (Frisch & Waugh 1933, Lovell 1963)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from statsmodels.regression.linear_model import OLS, RegressionModel

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.lazy_rows.engine import LazyRows
from gifepanel.lazy_rows.sources import fixes_read_first, folders_told, is_path
from gifepanel.models.checks import check_choice, check_flag, check_number, reject_unknown
from gifepanel.models.crossfit_options import CrossFitOptions
from gifepanel.models.described import DescribedLinearModel
from gifepanel.models.foreign import refuse_fit_words, refuse_model_words
from gifepanel.models.lazy_design import LazyDesign, lazy_design, where_rows_are
from gifepanel.models.linear_fitted import FittedPartialled
from gifepanel.models.linear_likelihood import PartialledLikelihood
from gifepanel.models.linear_reading import as_frames, checked_singletons, joined_controls
from gifepanel.models.partialling import (
    AbsorptionOptions,
    EffectPart,
    effect_parts,
    partial_out,
)
from gifepanel.page.source import called
from gifepanel.panel.context import capture_context
from gifepanel.panel.design import design_from_formula
from gifepanel.panel.design_of_frames import design_from_frames
from gifepanel.panel.frames import read_frame
from gifepanel.panel.index import PanelIndex
from gifepanel.panel.matrices import PanelDesign
from gifepanel.parallel import Progress
from gifepanel.projections.accelerator import check_accelerator
from gifepanel.projections.system import Effect
from gifepanel.results.linear_inputs import PartialledFit, rows_elsewhere
from gifepanel.spellings.options import keywords

if TYPE_CHECKING:
    from gifepanel.models.linear_inference import LinearChoice
    from gifepanel.results.partialled import PartialledOLSResults

__all__ = ["PartialledOLS"]

Array = np.ndarray[Any, np.dtype[np.float64]]


class PartialledOLS(DescribedLinearModel, FittedPartialled, PartialledLikelihood, OLS):
    """Least squares with fixed effects and controls partialled out, and the inference of the full regression.

    Parameters
    ----------
    endog, exog : array_like
        An outcome and a frame of regressors; or arrays (n,) and (n, p), or (N, T) and (N, T, p) with effects named
        ``"entity"`` and ``"time"``.
    absorb : str or sequence of str
        Effects, as after ``|`` in a formula: ``"firm"``, ``"firm^year"``, ``"firm[trend]"``. Columns of `exog` that are
        named here are not regressors.
    weights : str or array_like, optional
        Analytic weights: a column or one value per row.
    entity, time : str, optional
        Who and when, for lags and for covariances that need them; an index (entity, time) says so by itself.
    singletons : {"drop", "keep"}
        Rows that are alone in a level of an effect carry no information on the slopes; dropped ones are counted.
    missing : {"drop", "raise"}

    References
    ----------
    Frisch, R. and F. V. Waugh (1933). Partial time regressions as compared with individual trends. *Econometrica* 1,
    387-401.
    Lovell, M. C. (1963). Seasonal adjustment of economic time series and multiple regression analysis. *Journal of the
    American Statistical Association* 58, 993-1010.

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> res = gife.PartialledOLS.from_formula("sales ~ price | state + year", cigar).fit()
    >>> round(float(res.params["price"]), 6)
    -1.084712
    """

    def __init__(
        self,
        endog: Any,
        exog: Any = None,
        *,
        absorb: str | Sequence[str] = (),
        weights: Any = None,
        entity: Any = None,
        time: Any = None,
        singletons: str = "drop",
        missing: str = "drop",
        **unknown: Any,
    ) -> None:
        given = {"absorb": absorb, "weights": weights, "entity": entity, "time": time, "singletons": singletons}
        given |= {"missing": missing}
        defaults = PartialledOLS.__init__.__kwdefaults__ or {}
        if isinstance(endog, str):
            own = {name: value for name, value in {**given, **unknown}.items() if value is not defaults.get(name)}
            raise SpecificationError(
                f"PartialledOLS was given text, {endog!r}.",
                "It takes an outcome and regressors; formulas have a function of their own.",
                f"PartialledOLS.from_formula({endog!r}, data{', ' if own else ''}{keywords(own)})",
            )
        refuse_model_words("PartialledOLS", unknown, given, defaults, data=exog)
        reject_unknown(unknown, defaults, "PartialledOLS")
        endog, exog = as_frames(endog, exog)
        design = design_from_frames(
            endog,
            exog,
            entity=entity,
            time=time,
            absorbed=absorb,
            missing=missing,
            weights=weights,
            panel=False,
            singletons=checked_singletons(singletons),
        )
        self._set_up(design, exog, entity, time)
        self._call = called("PartialledOLS", given, defaults, ("endog", "exog"))

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any,
        *,
        partial: str | Sequence[str] = "",
        weights: Any = None,
        entity: Any = None,
        time: Any = None,
        singletons: str = "drop",
        missing: str = "drop",
        learner: Any = None,
        engine: str = "auto",
        context: int | Mapping[str, Any] | None = 0,
        **unknown: Any,
    ) -> Self:
        """Least squares after partialling out, from a formula; ``gifepanel.formula.api.pols`` is this function.

        Parameters
        ----------
        formula : str
            ``"y ~ x1 + x2 | firm + year"``; the part after ``|`` names effects (an integer column is a category there),
            ``firm^year`` an effect of pairs, ``firm[trend]`` an effect and slopes of `trend` by firm.
        data : DataFrame, lazy frame or path
            Of any kind narwhals reads; an index (entity, time) is not needed. Rows of a lazy frame (a DuckDB relation,
            a Polars LazyFrame, a Dask or Spark frame), and of Parquet or CSV files named by a path, a pattern or a
            list, stay where they are.
        partial : str or sequence of str
            Controls to be partialled out, ``"z1 + bs(z2, 4)"``. The formula's intercept goes with them; a 0 or -1 among
            them does not take it out of the model.
        weights : str or array_like, optional
            Analytic weights: a column or one value per row.
        entity, time : str, optional
            Columns that say who and when, for lags and for covariances that need them; an index (entity, time) says so
            by itself.
        singletons : {"drop", "keep"}
            Rows that are alone in a level of an effect carry no information on the slopes; dropped ones are counted.
        missing : {"drop", "raise"}
            What to do with rows that hold NaN.
        learner : scikit-learn regressor or pipeline, or dict of them by name, optional
            Learns outcome and regressors from the variables in `partial` (not linearly in its terms, then), by
            cross-fitting: double/debiased machine learning (Chernozhukov et al. 2018). Keys of a dict are column names,
            ``"outcome"`` or ``"treatment"``.
        engine : {"auto", "memory", "lazy"}
            Whether rows are brought into memory, or sums are asked of where they are; "auto" leaves paths and lazy
            frames where they are, if DuckDB is there to read paths.
        context : int, mapping or None
            Where functions used in the formula are looked up: frames above the caller, or names; a formula is code
            then. None for formulas of others: known functions only, anything else is refused before it runs.

        Returns
        -------
        PartialledOLS
            The model, not fitted yet: call ``.fit()``.

        Raises
        ------
        FormulaError, DataError, SpecificationError
            Before any estimation, with what was found, what is needed and the line that repairs it.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> model = gife.PartialledOLS.from_formula("sales ~ price | state + year", cigar, partial="bs(ndi, df=4)")
        >>> model.fit().params.round(3).to_dict()
        {'price': -0.588}
        """
        names = capture_context(context)
        given = {"partial": partial, "weights": weights, "entity": entity, "time": time, "singletons": singletons}
        given |= {"missing": missing, "engine": engine}
        name, defaults = "PartialledOLS.from_formula", PartialledOLS.from_formula.__kwdefaults__ or {}
        refuse_model_words(name, unknown, {**given, "learner": learner}, defaults, formula=formula, data=data)
        reject_unknown(unknown, defaults, name)
        kept = checked_singletons(singletons)
        source = data
        rows, data = where_rows_are(source, engine, learner)
        model = cls.__new__(cls)
        model._path = source if is_path(source) else None
        if rows is not None:
            options = {"entity": entity, "time": time, "context": names, "missing": missing, "weights": weights}
            with rows.told("read"), folders_told(source):
                found = lazy_design(formula, rows, partial=joined_controls(partial), singletons=kept, **options)
            model._set_up_elsewhere(found, rows, entity, time)
            model._call = called(name, given, defaults, (formula, "data"), found.spec.context)
            return model
        with fixes_read_first(source):
            design = design_from_formula(
                formula,
                data,
                entity=entity,
                time=time,
                context=names,
                missing=missing,
                partial=joined_controls(partial),
                weights=weights,
                panel=False,
                singletons=kept,
            )
            model._set_up(design, data, entity, time, learner)
        uses = design.spec.context if design.spec else ()
        model._call = called(name, given, defaults, (formula, "data"), uses)
        return model

    # ---- set-up ----

    def _set_up(self, design: PanelDesign, source: Any, entity: Any, time: Any, learner: Any = None) -> None:
        self.learner = learner
        self.n_singletons, self.n_zero_weights = design.n_singletons, design.n_zero_weights
        self.design = design
        self.formula = design.formula
        self._source, self._entity, self._time = source, entity, time
        self._fit: PartialledFit | None = None
        names = list(design.exog_names)
        self._initialise(pd.DataFrame(self.design.exog, index=self.design.row_index, columns=names, copy=False))

    _rows: LazyRows | None = None  # where they are, if not in memory
    _path: Any = None  # that the caller gave

    def _set_up_elsewhere(self, design: LazyDesign, rows: LazyRows, entity: Any, time: Any) -> None:
        self.learner, self._rows = None, rows
        self.n_singletons, self.n_zero_weights = design.n_singletons, design.n_zero_weights
        self.design: Any = design
        self.formula = design.formula
        self._source, self._entity, self._time = None, entity, time
        self._fit = None
        self._initialise_elsewhere(design.exog_names)

    def _initialise_elsewhere(self, names: Sequence[str]) -> None:
        """statsmodels' part, on one row that stands for those that are not here."""
        fit, self._fit = self._fit, None
        endog = pd.Series([0.0], name=self.design.endog_name)
        OLS.__init__(self, endog, pd.DataFrame(np.zeros((1, len(names))), columns=list(names)), hasconst=False)
        self._data_attr.extend(["design", "_source", "_fit"])
        self.weights = np.empty(0)
        _ = self.data.xnames, self.data.ynames, self.endog_names, self.exog_names  # kept from here on
        regressors = self.design.exog
        self.data.endog = self.data.orig_endog = self.endog = self.wendog = self.design.endog
        self.data.exog = self.data.orig_exog = self.exog = self.wexog = self.pinv_wexog = regressors
        self.nobs, self._fit = float(self.design.nobs), fit

    def _initialise(self, exog: pd.DataFrame) -> None:
        endog = pd.Series(self.design.endog, index=self.design.row_index, name=self.design.endog_name, copy=False)
        weights = 1.0 if self.design.weights is None else self.design.weights
        flat = np.broadcast_to(weights, endog.shape)  # read-only: the projection is what whitens
        # as OLS begins, which makes an array of ones
        RegressionModel.__init__(self, endog, exog, missing="none", hasconst=False, weights=flat)
        self._init_keys.remove("weights")
        self._data_attr.extend(["design", "_source", "_fit"])

    def _release(self) -> None:
        """Let go of what has rows in it, besides what statsmodels knows of."""
        self.__dict__.pop("effect_parts", None)
        self.weights = np.empty(0)
        self._entity, self._time = (own if isinstance(own, str) else None for own in (self._entity, self._time))

    @cached_property
    def effect_parts(self) -> tuple[EffectPart, ...]:
        """Absorbed effects as blocks, with where they come from."""
        if self._rows is not None and self.design.absorbed:
            raise rows_elsewhere("Effects of new rows", self.design.where)
        return effect_parts(self.design)

    @property
    def effects(self) -> tuple[Effect, ...]:
        """Absorbed effects as blocks of codes and values."""
        if self._rows is not None:
            return self.design.effects
        return tuple(part.block for part in self.effect_parts)

    def panel_index(self, entity: Any = None, time: Any = None, *, required: bool = True) -> PanelIndex | None:
        """Who and when on the rows of the sample, from the data's own index or from columns."""
        if self._rows is not None:
            return None
        if self.design.panel is not None and entity is None and time is None:
            return self.design.panel
        try:
            frame = read_frame(self._source, entity=entity, time=time)
        except DataError:
            if required:
                raise
            return None
        return frame.panel_index(allow_duplicates=True).subset(self.design.esample)

    # ---- the fit ----

    def fit(
        self,
        *,
        cov_type: str = "nonrobust",
        cov_kwds: Mapping[str, Any] | None = None,
        use_t: bool | None = None,
        ssc: str | None = None,
        tol: float = 1e-10,
        nonconvergence: str = "raise",
        accelerator: str | None = None,
        n_folds: int = 5,
        n_repeats: int = 1,
        folds: Any = None,
        unseen: str = "raise",
        score: str = "partialling out",
        treatments: str = "jointly",
        aggregation: str = "median",
        random_state: Any = 0,
        n_jobs: int | None = None,
        progress: Progress = None,
        checkpoint: str | PathLike[str] | None = None,
        **unknown: Any,
    ) -> PartialledOLSResults:
        """Fit the model.

        Parameters
        ----------
        cov_type : str
            "nonrobust", "HC0" to "HC3", "cluster" (CR1), "CR0", "CR2", "CR3", "HAC", "hac-panel", "hac-groupsum"
            (Driscoll-Kraay).
        cov_kwds : dict, optional
            ``{"groups": "firm"}``, a list of names for several ways, the entity of the data by default;
            ``{"maxlags": 3}``; ``{"time": "year"}``; ``{"psd": "eigen"}`` sets negative eigenvalues to zero (Cameron,
            Gelbach & Miller 2011), without which a negative variance gives a standard error of NaN.
        use_t : bool, optional
            t rather than normal distribution; by default for "nonrobust", as in statsmodels, CR2 and CR3.
        ssc : {"fixest", "stata", "statsmodels", "none"}
            Small-sample convention.
        tol : float
            Of the absorption; see :class:`gifepanel.projections.absorb.Absorption`.
        nonconvergence : {"raise", "warn"}
            What to do if the absorption does not reach its tolerance.
        accelerator : {None, "within"}
            Solve for the effects by the package within-py, if it is installed; the certificate stays ours.
        n_folds, n_repeats : int
            With a learner: folds, of entities where the data have them, and how often they are drawn anew.
        folds : str, array of labels, list of (train, test) or scikit-learn splitter, optional
            With a learner: folds of your own, as a column or a label for each row; pairs hold positions of rows in the
            sample.
        unseen : {"raise", "warn"}
            With a learner: what to do about levels of a category that a fold predicts and was not trained on.
        score : {"partialling out", "IV-type"}
            With a learner: the orthogonal score.
        treatments : {"jointly", "one at a time"}
            With a learner and several regressors: all residualised on the controls, or each on controls and the others.
        aggregation : {"median", "mean", "bounds"}
            With a learner: how repeats are put together.
        random_state : int or Generator
            With a learner: of folds and of learners whose own is None.
        n_jobs, progress
            With a learner: workers and progress bar. A progress bar of queries where rows are not in memory.
        checkpoint : str or path, optional
            With a learner: a folder in which the predictions of finished folds are kept, and from which a second call
            goes on; more repeats go on too. It needs `random_state` to be a whole number.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> model = gife.PartialledOLS.from_formula("sales ~ price | state + year", cigar)
        >>> res = model.fit(cov_type="cluster", cov_kwds={"groups": "state"}, ssc="stata")
        >>> round(float(res.bse["price"]), 4)
        0.246
        """
        # checks
        arguments = {name: value for name, value in locals().items() if name not in ("self", "unknown")}
        written = called("fit", arguments, PartialledOLS.fit.__kwdefaults__)
        refuse_fit_words(self, unknown, arguments, PartialledOLS.fit.__kwdefaults__ or {})
        reject_unknown(unknown, PartialledOLS.fit.__kwdefaults__ or (), "fit")
        check_choice("nonconvergence", nonconvergence, ("raise", "warn"))
        tol = check_number("tol", tol, 1e-10, positive=True)
        check_accelerator(accelerator)
        how = AbsorptionOptions(tol, nonconvergence, accelerator)
        if use_t is None and isinstance(cov_kwds, Mapping):
            use_t = cov_kwds.get("use_t")
        if use_t is not None:
            check_flag("use_t", use_t)
        options = CrossFitOptions(**{name: arguments[name] for name in CrossFitOptions.names()})
        if self.learner is not None:
            results = self._fit_learner(options, cov_type, cov_kwds, use_t, ssc, how)
            results._results._fit_call = written
            return results
        (options if self._rows is None else replace(options, progress=None)).refuse_without_learner()
        with folders_told(self._path):
            choice: Any = self._choice(cov_type, cov_kwds, "fixest" if ssc is None else ssc)

        # partial out, then least squares
        if self._rows is not None:
            with self._rows.progress(progress, "PartialledOLS"), self._rows.told("finish what was asked of"):
                return self._fit_elsewhere(choice, how, use_t, written)
        fit = partial_out(self.design, self.effects, how)

        # inference and results
        from gifepanel.results.partialled import partialled_results

        results = partialled_results(self, fit, choice, use_t=use_t)
        results._results._fit_call = written
        return results

    def _fit_elsewhere(self, choice: Any, how: AbsorptionOptions, use_t: bool | None, written: Any) -> Any:
        """From sums over rows that are elsewhere."""
        from gifepanel.models.lazy_fit import fit_lazily
        from gifepanel.results.partialled import partialled_results

        results = partialled_results(self, fit_lazily(self.design, how, choice.ways), choice, use_t=use_t)
        results._results._fit_call = written
        return results

    def _fit_learner(
        self,
        options: CrossFitOptions,
        cov_type: str,
        cov_kwds: Mapping[str, Any] | None,
        use_t: bool | None,
        ssc: str | None,
        absorption: AbsorptionOptions,
    ) -> Any:
        from gifepanel.models.crossfitted import fit_cross_fitted
        from gifepanel.results.crossfitted import cross_fitted_results

        done = fit_cross_fitted(self, self.learner, options, cov_type, cov_kwds, ssc, absorption)
        return cross_fitted_results(self, done, use_t=use_t)

    # ---- for results ----

    def _choice(self, cov_type: str, cov_kwds: Mapping[str, Any] | None, ssc: str, *, call: str = "fit") -> Any:
        """A covariance estimator, its options checked, clusters and times looked up."""
        from gifepanel.models.linear_inference import read_linear_covariance

        with nullcontext() if self._rows is None else self._rows.told("look up clusters in"):
            return read_linear_covariance(self, cov_type, cov_kwds, ssc, call=call)

    def _covariance_choice(self, cov_type: str, cov_kwds: Mapping[str, Any] | None, ssc: str) -> LinearChoice:
        """Another covariance estimator for the same fit."""
        try:
            return self._choice(cov_type, cov_kwds, ssc, call="get_robustcov_results")
        except SpecificationError as error:
            start = 'cov_kwds={"groups": '
            if not (error.fix or "").startswith(start):
                raise
            fix = f"groups={str(error.fix)[len(start) : -1]}"  # which the methods of results take by itself
            raise SpecificationError(error.found, error.needed, fix) from None

    def _clustered_choice(self, current: LinearChoice | None, groups: Any, ssc: str) -> LinearChoice:
        """One way of clustering: `groups`, or that of the current covariance, or the entity."""
        if groups is not None or current is None or not current.clusters:
            current = self._covariance_choice("cluster", None if groups is None else {"groups": groups}, ssc)
        if len(current.clusters) > 1:
            raise SpecificationError(
                f"There are {len(current.clusters)} ways of clustering, {', '.join(current.cluster_names)}.",
                "The wild bootstrap takes one.",
                f'groups="{current.cluster_names[0]}"',
            )
        return replace(current, kind="cluster", options={}, ssc=ssc)
