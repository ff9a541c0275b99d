"""Least squares after partialling out: fixed effects and controls (Frisch & Waugh 1933, Lovell 1963)."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from statsmodels.regression.linear_model import OLS

from gifepanel.exceptions import (
    CollinearityWarning,
    ConvergenceError,
    ConvergenceWarning,
    DataError,
    SpecificationError,
)
from gifepanel.inference.linear_covariance import LinearCovariance
from gifepanel.kernels.absorb import drop_singletons
from gifepanel.models.checks import check_choice, reject_unknown
from gifepanel.panel.design import PanelDesign, design_from_formula, design_from_frames
from gifepanel.panel.frames import read_frame
from gifepanel.panel.index import PanelIndex
from gifepanel.panel.text import caller_level
from gifepanel.parallel import Progress
from gifepanel.projections.base import Certificate, column_norms
from gifepanel.projections.composite import EffectsAndControls
from gifepanel.projections.system import Effect

if TYPE_CHECKING:
    from gifepanel.results.partialled import PartialledOLSResults

__all__ = ["PartialledFit", "PartialledOLS"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_SPANNED = 1e-9


@dataclass(frozen=True, eq=False)
class PartialledFit:
    """The partialled-out regression.

    Attributes
    ----------
    projection : EffectsAndControls
    certificate : Certificate
    y_tilde : ndarray, shape (n,)
    x_tilde : ndarray, shape (n, k)
    kept : tuple of int
        Columns of the design that vary beyond the nuisance part and each other.
    absorbed : tuple of int
        Columns that the nuisance part spans.
    collinear : tuple of int
        Columns that other regressors span.
    params : ndarray, shape (k,)
    resid : ndarray, shape (n,)
        Of the full regression.
    """

    projection: EffectsAndControls
    certificate: Certificate
    y_tilde: Array
    x_tilde: Array
    kept: tuple[int, ...]
    absorbed: tuple[int, ...]
    collinear: tuple[int, ...]
    params: Array
    resid: Array


class PartialledOLS(OLS):
    """Least squares with fixed effects and controls partialled out, and the inference of the full regression.

    Parameters
    ----------
    endog, exog : array_like
        An outcome and a frame of regressors.
    absorb : str or sequence of str
        Effects, as after ``|`` in a formula: ``"firm"``, ``"firm^year"``, ``"firm[trend]"``.
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
        reject_unknown(unknown, PartialledOLS.__init__.__kwdefaults__ or (), "PartialledOLS")
        design = design_from_frames(
            endog, exog, entity=entity, time=time, absorbed=absorb, missing=missing, weights=weights, panel=False
        )
        self._set_up(design, exog, entity, time, singletons)

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any,
        *,
        partial: str = "",
        weights: Any = None,
        entity: Any = None,
        time: Any = None,
        singletons: str = "drop",
        missing: str = "drop",
        learner: Any = None,
        context: int | Mapping[str, Any] | None = 0,
        **unknown: Any,
    ) -> Self:
        """Build the model from a formula.

        Parameters
        ----------
        formula : str
            ``"y ~ x1 + x2 | firm + year"``; the part after ``|`` names effects (an integer column is a category there),
            ``firm^year`` an effect of pairs, ``firm[trend]`` an effect and slopes of `trend` by firm.
        data : DataFrame
        partial : str
            Controls to be partialled out, ``"z1 + bs(z2, 4)"``; the intercept goes with them.
        weights : str or array_like, optional
        entity, time : str, optional
        singletons : {"drop", "keep"}
        missing : {"drop", "raise"}
        learner : scikit-learn regressor or pipeline, or dict of them by name, optional
            Learns outcome and regressors from the variables in `partial` (not linearly in its terms, then), by
            cross-fitting: double/debiased machine learning (Chernozhukov et al. 2018). Keys of a dict are column names,
            ``"outcome"`` or ``"treatment"``.
        context : int, mapping or None
            Where functions used in the formula are looked up.
        """
        reject_unknown(unknown, PartialledOLS.from_formula.__func__.__kwdefaults__ or (), "PartialledOLS.from_formula")  # type: ignore[attr-defined]
        design = design_from_formula(
            formula,
            data,
            entity=entity,
            time=time,
            context=context + 1 if isinstance(context, int) else context,
            missing=missing,
            partial=partial,
            weights=weights,
            panel=False,
        )
        model = cls.__new__(cls)
        model._set_up(design, data, entity, time, singletons, learner)
        return model

    # ---- set-up ----

    def _set_up(
        self, design: PanelDesign, source: Any, entity: Any, time: Any, singletons: str, learner: Any = None
    ) -> None:
        self.learner = learner
        check_choice("singletons", singletons, ("drop", "keep"))
        rows = np.ones(design.nobs, dtype=bool)
        self.n_zero_weights = 0
        if design.weights is not None:
            rows = design.weights > 0
            self.n_zero_weights = int((~rows).sum())
        self.n_singletons = _drop_singletons(design, rows) if singletons == "drop" else 0
        if not rows.any():
            raise DataError(
                f"No row is left of {design.nobs}: {self.n_singletons} are alone in a level of an effect"
                + (f", {self.n_zero_weights} have weight zero" if self.n_zero_weights else "")
                + ".",
                "Effects need levels with two rows or more.",
                'Absorb coarser effects, or keep them all: singletons="keep".',
            )
        self.design = design if rows.all() else design.take(rows)
        self.formula = design.formula
        self._source, self._entity, self._time = source, entity, time
        self._fit: PartialledFit | None = None
        names = list(design.exog_names)
        self._initialise(pd.DataFrame(self.design.exog, index=self.design.row_index, columns=names, copy=False))

    def _initialise(self, exog: pd.DataFrame) -> None:
        endog = pd.Series(self.design.endog, index=self.design.row_index, name=self.design.endog_name, copy=False)
        OLS.__init__(self, endog, exog, missing="none", hasconst=False)
        self._data_attr.extend(["design", "_source", "_fit"])

    @cached_property
    def effects(self) -> tuple[Effect, ...]:
        """Absorbed effects as blocks of codes and values."""
        out = []
        for effect in self.design.absorbed_effects:
            codes, levels = self.design.absorbed_codes[effect.name]
            if effect.intercept:
                out.append(Effect(effect.name, codes, len(levels)))
            for slope in effect.slopes:
                name = f"{effect.name}[{slope}]" if effect.intercept else effect.name
                out.append(Effect(name, codes, len(levels), self.design.absorbed_slopes[slope]))
        return tuple(out)

    def panel_index(self, entity: Any = None, time: Any = None, *, required: bool = True) -> PanelIndex | None:
        """Who and when on the rows of the sample, from the data's own index or from columns."""
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
        tol: float = 1e-11,
        nonconvergence: str = "raise",
        n_folds: int = 5,
        n_repeats: int = 1,
        folds: Any = None,
        score: str = "partialling out",
        treatments: str = "jointly",
        aggregation: str = "median",
        random_state: Any = 0,
        n_jobs: int | None = None,
        progress: Progress = None,
        **unknown: Any,
    ) -> PartialledOLSResults:
        """Fit the model.

        Parameters
        ----------
        cov_type : str
            "nonrobust", "HC0" to "HC3", "cluster" (CR1), "CR0", "CR2", "CR3", "HAC", "hac-panel", "hac-groupsum"
            (Driscoll-Kraay).
        cov_kwds : dict, optional
            ``{"groups": "firm"}``, a list of names for several ways; ``{"maxlags": 3}``; ``{"time": "year"}``.
        use_t : bool, optional
            t rather than normal distribution; by default for "nonrobust", CR2 and CR3 only, as in statsmodels.
        ssc : {"fixest", "stata", "statsmodels", "none"}
            Small-sample convention.
        tol : float
            Of the absorption; see :class:`gifepanel.projections.absorb.Absorption`.
        nonconvergence : {"raise", "warn"}
            What to do if the absorption does not reach its tolerance.
        n_folds, n_repeats : int
            With a learner: folds, of entities where the data have them, and how often they are drawn anew.
        folds : array of labels, list of (train, test) or scikit-learn splitter, optional
            With a learner: folds of your own.
        score : {"partialling out", "IV-type"}
            With a learner: the orthogonal score.
        treatments : {"jointly", "one at a time"}
            With a learner and several regressors: all residualised on the controls, or each on controls and the others.
        aggregation : {"median", "mean", "bounds"}
            With a learner: how repeats are put together.
        random_state : int or Generator
            With a learner: of folds and of learners whose own is None.
        n_jobs, progress
            With a learner: workers and progress bar.
        """
        # checks
        from gifepanel.models.linear_inference import read_linear_covariance

        reject_unknown(unknown, PartialledOLS.fit.__kwdefaults__ or (), "fit")
        check_choice("nonconvergence", nonconvergence, ("raise", "warn"))
        options = {name: value for name, value in locals().items() if name in _CROSS_FITTING}
        if self.learner is not None:
            return self._fit_learner(options, cov_type, cov_kwds, use_t, ssc, tol)
        _refuse_without_learner(options)
        covariance = read_linear_covariance(self, cov_type, cov_kwds, ssc or "fixest")

        # partial out, then least squares
        fit = self._partial_out(tol, nonconvergence)

        # inference and results
        from gifepanel.results.partialled import partialled_results

        return partialled_results(self, fit, covariance(self, fit), use_t=use_t)

    def _fit_learner(
        self,
        options: dict[str, Any],
        cov_type: str,
        cov_kwds: Mapping[str, Any] | None,
        use_t: bool | None,
        ssc: str | None,
        tol: float,
    ) -> PartialledOLSResults:
        from gifepanel.models.crossfitted import CrossFitOptions, fit_cross_fitted
        from gifepanel.results.crossfitted import cross_fitted_results

        done = fit_cross_fitted(self, self.learner, CrossFitOptions(**options), cov_type, cov_kwds, ssc, tol)
        return cross_fitted_results(self, done, use_t=use_t)

    def _partial_out(self, tol: float, nonconvergence: str) -> PartialledFit:
        design = self.design
        projection = EffectsAndControls(self.effects, design.controls, design.weights, tol)
        columns = np.column_stack([design.endog, design.exog])
        residual, certificate = projection.residualize(columns)
        if not certificate.converged:
            message = f"The absorption stopped at {certificate.residual:.1e} after {certificate.iterations} iterations"
            if nonconvergence == "raise":
                raise ConvergenceError(message + ".", f"The tolerance is {tol:.0e}.", 'nonconvergence="warn"')
            warnings.warn(ConvergenceWarning(message + ".", None, "tol=1e-9"), stacklevel=caller_level())
        y, x = residual[:, 0], residual[:, 1:]
        kept, absorbed, collinear = self._usable(x)
        x = np.ascontiguousarray(x[:, kept])
        root = None if design.weights is None else np.sqrt(design.weights)
        params = _least_squares(x if root is None else x * root[:, None], y if root is None else y * root)
        return PartialledFit(
            projection, certificate, y, x, tuple(kept), tuple(absorbed), tuple(collinear), params, y - x @ params
        )

    def _usable(self, x: Array) -> tuple[list[int], list[int], list[int]]:
        """Columns to keep, those the nuisance part spans, those other regressors span; the latter two in a warning."""
        raw, names = self.design.exog, self.design.exog_names
        before = column_norms(raw)
        after = column_norms(x)
        absorbed = [j for j in range(x.shape[1]) if after[j] <= _SPANNED * before[j] or before[j] == 0]
        left = [j for j in range(x.shape[1]) if j not in absorbed]
        collinear = []
        if len(left) > 1:
            triangle = np.linalg.qr(x[:, left] / after[left], mode="r")
            collinear = [left[int(j)] for j in np.flatnonzero(np.abs(np.diag(triangle)) <= _SPANNED)]
        kept = [j for j in left if j not in collinear]
        nuisance = " and ".join(
            [*self.design.absorbed, *(["the controls"] if self.design.controls is not None else [])]
        )
        for j in absorbed:
            _warn_dropped(names[j], f"is spanned by {nuisance}" if before[j] > 0 and nuisance else "is zero throughout")
        for j in collinear:
            others = ", ".join(names[i] for i in kept if i < j)
            _warn_dropped(names[j], f"is a linear combination of {others}")
        if not kept:
            raise DataError(
                f"No regressor is left: {', '.join(names) or 'the formula has none'}.",
                "At least one must vary beyond what is partialled out.",
                f"Absorb less than {nuisance or 'nothing'}, or add a regressor.",
            )
        return kept, absorbed, collinear

    def _covariance_for(self, cov_type: str, cov_kwds: Mapping[str, Any] | None, ssc: str) -> LinearCovariance:
        """Another covariance of the fit this model carries."""
        from gifepanel.models.linear_inference import read_linear_covariance

        assert self._fit is not None
        return read_linear_covariance(self, cov_type, cov_kwds, ssc)(self, self._fit)

    @property
    def _constants(self) -> list[int]:
        """Positions of the coefficients that belong to a constant."""
        exog = np.asarray(self.exog)
        return [j for j in range(exog.shape[1]) if exog.size and np.ptp(exog[:, j]) == 0]

    def _at(self, fit: PartialledFit) -> Self:
        """This model with the columns that have coefficients, whitened by the projection."""
        fitted = copy.copy(self)
        fitted._fit = fit
        names = [self.design.exog_names[j] for j in fit.kept]
        exog = pd.DataFrame(self.design.exog[:, list(fit.kept)], index=self.design.row_index, columns=names, copy=False)
        fitted._initialise(exog)
        fitted.rank = len(names)
        fitted.df_model = float(len(names))
        fitted.df_resid = float(self.design.nobs - len(names) - fit.projection.degrees.total)
        return fitted

    def whiten(self, x: Any) -> Any:
        """Residuals of `x`, (n,) or (n, m), on effects and controls, times the root of the weights."""
        values = np.asarray(x, dtype=np.float64)
        fit = getattr(self, "_fit", None)
        if fit is None:
            return values
        if values is self.exog:
            out = fit.x_tilde
        elif values is self.endog:
            out = fit.y_tilde
        else:
            flat = values.reshape(len(values), -1)
            out = fit.projection.residualize(np.ascontiguousarray(flat))[0].reshape(values.shape)
        if self.design.weights is None:
            return out
        root = np.sqrt(self.design.weights)
        return out * (root if out.ndim == 1 else root[:, None])


_CROSS_FITTING = {
    "n_folds": 5,
    "n_repeats": 1,
    "folds": None,
    "score": "partialling out",
    "treatments": "jointly",
    "aggregation": "median",
    "random_state": 0,
    "n_jobs": None,
    "progress": None,
}


def _refuse_without_learner(options: Mapping[str, Any]) -> None:
    """Options of cross-fitting mean nothing without a learner."""
    usual = _CROSS_FITTING
    given = [name for name, value in options.items() if value is not usual[name] and value != usual[name]]
    if given:
        raise SpecificationError(
            f"fit got {', '.join(given)} and the model has no learner.",
            "These options are for cross-fitting.",
            'PartialledOLS.from_formula(formula, data, partial="z1 + z2", learner=...)',
        )


def _drop_singletons(design: PanelDesign, rows: np.ndarray[Any, np.dtype[np.bool_]]) -> int:
    """Mark rows alone in a level of an effect with an intercept, again and again; how many."""
    plain = [effect.name for effect in design.absorbed_effects if effect.intercept]
    if not plain:
        return 0
    codes = [design.absorbed_codes[name] for name in plain]
    stacked = np.stack([own.astype(np.int32) for own, _ in codes])
    return int(drop_singletons(stacked, np.array([len(levels) for _, levels in codes]), rows))


def _least_squares(x: Array, y: Array) -> Array:
    """Coefficients by QR, columns scaled to length one."""
    length = column_norms(x)
    if x.shape[1] == 1:
        return np.asarray(x.T @ y / length**2)
    q, r = np.linalg.qr(x / length)
    from scipy.linalg import solve_triangular

    return np.asarray(solve_triangular(r, q.T @ y) / length)


def _warn_dropped(name: str, why: str) -> None:
    warnings.warn(
        CollinearityWarning(f"{name} was dropped: it {why}.", None, "Leave it out of the formula to silence this."),
        stacklevel=caller_level(),
    )
