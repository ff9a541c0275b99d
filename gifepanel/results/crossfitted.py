"""Results of partialled-out least squares with learners (double/debiased machine learning)."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np
import pandas as pd

from gifepanel.exceptions import SpecificationError
from gifepanel.results.partialled import PartialledOLSResults, PartialledOLSResultsWrapper
from gifepanel.statsmodels_bridge.inherited import populate_wrapper
from gifepanel.statsmodels_bridge.refused import RefusedWithLearner
from gifepanel.tables.blocks import Pairs, Table
from gifepanel.tables.coefficients import number
from gifepanel.tables.linear_summary import linear_covariance_words, listed_controls, notes_on_sample
from gifepanel.tables.remarks import Remarks
from gifepanel.tables.summary import ReportParts, notes_on_few, notes_on_variances

if TYPE_CHECKING:
    from gifepanel.inference.orthogonal import OrthogonalEstimate
    from gifepanel.projections.crossfit import CrossFit
    from gifepanel.results.linear_inputs import CrossFittedFit, LinearModel

__all__ = ["CrossFittedResults", "cross_fitted_results"]


class CrossFittedResults(RefusedWithLearner, PartialledOLSResults):
    """Results of :class:`gifepanel.PartialledOLS` with a learner.

    Attributes
    ----------
    nuisance : DataFrame
        Learner, R² and root mean squared error out of fold, by nuisance function (medians over repeats).
    repeats : DataFrame
        Estimates and standard errors of every repeat.
    crossfit : CrossFit
        Folds and out-of-fold predictions.
    orthogonal : OrthogonalEstimate
        Scores, influences, and how repeats were put together.

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> from sklearn.linear_model import Ridge
    >>> model = gife.PartialledOLS.from_formula("sales ~ price | state", cigar, partial="ndi + pop", learner=Ridge())
    >>> res = model.fit(n_folds=5)
    >>> list(res.nuisance.index)
    ['sales', 'price']
    """

    report_title = "Double Machine Learning Results"
    _model_kind = "cross-fitted"
    _kept: ClassVar[tuple[str, ...]] = tuple(
        name for name in (*PartialledOLSResults._kept, "nuisance", "repeats") if name not in ("HC0_se", "HC1_se")
    )

    def __init__(self, model: LinearModel, done: CrossFittedFit, use_t: bool | None) -> None:
        self._crossfit, self._orthogonal, self._grouped_by = done.crossfit, done.estimate, done.grouped_by
        super().__init__(model, done.fit, done.covariance, bool(use_t))
        self._cluster_names = done.cluster_names
        if done.cluster_names:
            self.cov_kwds["groups"] = done.cluster_names

    @property
    def crossfit(self) -> CrossFit:
        """Folds and out-of-fold predictions."""
        _ = self._fit  # which says so where the data are gone
        return self._crossfit

    @property
    def orthogonal(self) -> OrthogonalEstimate:
        """Scores, influences, and how repeats were put together."""
        _ = self._fit
        return self._orthogonal

    def remove_data(self) -> None:
        """Drop everything of the size of the sample: outcome, treatments, predictions and scores too.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> from sklearn.linear_model import Ridge
        >>> res = gife.PartialledOLS.from_formula("sales ~ price", cigar, partial="ndi + pop", learner=Ridge()).fit()
        >>> res.remove_data()
        >>> res.nuisance.index.tolist()
        ['sales', 'price']
        """
        super().remove_data()
        for name in ("_crossfit", "_orthogonal"):
            self.__dict__.pop(name, None)

    @cached_property
    def llf(self) -> float:
        """NaN, and AIC and BIC with it: learners have no likelihood and no number of parameters."""
        return np.nan

    @cached_property
    def nuisance(self) -> pd.DataFrame:
        """Quality of the nuisance functions, out of fold."""
        quality = self.crossfit.quality
        return pd.DataFrame(
            {
                "learner": list(quality.learners),
                "r2": np.median(quality.r2, axis=0),
                "rmse": np.median(quality.rmse, axis=0),
            },
            index=pd.Index(quality.names, name="nuisance"),
        )

    @cached_property
    def repeats(self) -> pd.DataFrame:
        """Estimates and standard errors, repeat by coefficient."""
        parts = {"estimate": self.orthogonal.thetas, "std err": self.orthogonal.ses}
        frames = {key: pd.DataFrame(values, columns=self._names) for key, values in parts.items()}
        return pd.concat(frames, axis=1).rename_axis("repeat")

    def effects(self) -> NoReturn:
        """Refused: with learners the outcome is not a sum of effects and a linear part."""
        raise SpecificationError(
            "Effects are not recovered with a learner.", "They mix with the nuisance functions.", "Leave learner= out."
        )

    def predict(self, data: Any = None, transform: bool = True, *, effects: bool = True, exog: Any = None) -> pd.Series:
        """In the sample, with effects and nuisance functions: the outcome less the residuals; linear part otherwise.

        Parameters
        ----------
        data : DataFrame, Series, mapping or array_like, optional
            New rows, for ``effects=False`` alone: learners are fitted by fold and not kept.
        transform : bool
            False: `data` holds the regressors themselves.
        effects : bool
        exog : optional
            statsmodels' name of `data`.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> from sklearn.linear_model import Ridge
        >>> options = {"partial": "ndi + pop", "learner": Ridge()}
        >>> model = gife.PartialledOLS.from_formula("sales ~ price | state", cigar, **options)
        >>> len(model.fit().predict())
        1380
        """
        if (data is not None or exog is not None) and effects:
            raise SpecificationError(
                "Nuisance functions are not predicted for new data.",
                "They were fitted once per fold, for residuals only.",
                "res.predict(data, effects=False)",
            )
        return super().predict(data, transform, effects=effects, exog=exog)

    def get_robustcov_results(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: fit again with another ``cov_type``; equal seeds give equal folds."""
        raise SpecificationError(
            "get_robustcov_results is not available with a learner.",
            "The covariance comes from the orthogonal score.",
            'model.fit(cov_type="cluster", cov_kwds={"groups": "firm"})',
        )

    @cached_property
    def _report_parts(self) -> ReportParts:
        design, fit = self.model.design, self.crossfit
        folds = f"{fit.folds[0].n_folds} x {fit.n_repeats}" if fit.n_repeats > 1 else f"{fit.folds[0].n_folds}"
        left = (
            ("Dep. variable", str(design.endog_name)),
            ("Model", type(self.model).__name__),
            ("Method", "cross-fitted partialling out"),
            ("Score", fit.score),
            ("Absorbed", ", ".join(design.absorbed) or "none"),
            ("Learned from", listed_controls(design.control_names)),
            ("Covariance", linear_covariance_words(self)),
        )
        right = (
            ("Observations", f"{int(self.nobs)}"),
            ("Features", f"{len([n for n in design.control_names if n != 'Intercept'])}"),
            ("Folds", folds + (f", by {self._grouped_by}" if self._grouped_by else "")),
            ("Df absorbed", f"{self.degrees.total}"),
            ("R-squared within", f"{self.rsquared_within:.4f}"),
            ("Residual std. dev.", number(float(np.sqrt(self.mse_resid)))),
        )
        rows = tuple(
            (str(name), number(row.r2, 3), number(row.rmse), str(row.learner)) for name, row in self.nuisance.iterrows()
        )
        table = Table(("Nuisance function", "R2", "RMSE", "learner"), (("", rows),), text_last=True)
        return ReportParts(Pairs(left, right), (table,), self._remarks())

    def _remarks(self) -> Remarks:
        warnings, notes = (
            [],
            [
                "Outcome and regressors are residuals from out-of-fold predictions; standard errors are those of the "
                "orthogonal score (Chernozhukov et al. 2018)."
            ],
        )
        if self.model.design.absorbed:
            notes.append(
                "Effects were taken out first: learners see within-transformed columns, which is exact for linear "
                "nuisance functions and an approximation for others."
            )
        if self.crossfit.n_repeats > 1:
            low, high = self.orthogonal.thetas.min(axis=0), self.orthogonal.thetas.max(axis=0)
            spans = ", ".join(f"{name} {a:.4g} to {b:.4g}" for name, a, b in zip(self._names, low, high, strict=True))
            notes.append(f"Medians over {self.crossfit.n_repeats} repeats; estimates ranged: {spans}.")
        if (self.nuisance["r2"] < 0).any():
            worse = ", ".join(map(str, self.nuisance.index[self.nuisance["r2"] < 0]))
            warnings.append(f"Negative R2 ({worse}): the learner predicts worse than the mean.")
        warnings += notes_on_variances(self) + notes_on_few(self, "use_t=True compares with t")
        return Remarks.of(warnings, notes + notes_on_sample(self))


class CrossFittedResultsWrapper(PartialledOLSResultsWrapper):
    """Attaches names and the caller's index to arrays, as in statsmodels."""


populate_wrapper(CrossFittedResultsWrapper, CrossFittedResults)


def cross_fitted_results(model: Any, done: CrossFittedFit, *, use_t: bool | None) -> Any:
    """Wrapped results of a fit."""
    return CrossFittedResultsWrapper(CrossFittedResults(model._at(done.fit), done, use_t))
