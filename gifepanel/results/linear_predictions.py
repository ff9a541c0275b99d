"""Effects, predictions and their intervals, as methods of partialled-out least squares."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from gifepanel.exceptions import SpecificationError
from gifepanel.projections.base import DegreesAbsorbed
from gifepanel.results.linear_prediction import absorbed_effects, check_effects, linear_rows, new_rows, predict_linear
from gifepanel.results.new_data import labels_of, matrix_of, new_data, one_given

if TYPE_CHECKING:
    from statsmodels.regression._prediction import PredictionResults

    from gifepanel.panel.matrices import PanelDesign
    from gifepanel.results.linear_inputs import PartialledFit
    from gifepanel.results.linear_prediction import NewRows

__all__ = ["LinearPredictions"]

Array = np.ndarray[Any, np.dtype[np.float64]]


class LinearPredictions:
    """Mixed in before statsmodels' class."""

    if TYPE_CHECKING:
        model: Any
        params: Any
        degrees: DegreesAbsorbed

        @property
        def _inputs(self) -> tuple[str, ...]: ...
        @property
        def _ids(self) -> tuple[str, str]: ...
        @property
        def _fit(self) -> PartialledFit: ...
        @property
        def _names(self) -> list[str]: ...

    _recipe: tuple[PanelDesign, tuple[int, ...]] | None = None  # of new rows, once the data are gone

    @cached_property
    def _without_nuisance(self) -> bool:
        return self.degrees.total == 0 and self.model.design.controls is None

    def _new_rows(self, data: Any, effects: bool) -> NewRows:
        return new_rows(self.model, self._fit, data, effects)

    def effects(self) -> dict[str, pd.Series]:
        """The absorbed effects, by level: a Series for each.

        Within a connected component of the effects only differences are identified; the effect with most levels carries
        the mean, the others are as the solver found them. Where rows are not in memory, effects come home by level.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> res.effects()["year"].round(1).tail(2).to_dict()
        {1991: -22.3, 1992: 0.0}
        """
        fit: Any = self._fit
        return absorbed_effects(self.model, fit) if fit.sums is None else fit.parts.effects()

    def lazy_frame(self) -> Any:
        """The data with fitted values and residuals, as a lazy frame of the engine where the rows are.

        Rows of the sample, all columns of the data, and ``fitted`` and ``resid``: nothing is read before it is asked
        for. Engines give rows in an order of their own.

        Raises
        ------
        SpecificationError
            The rows are in memory, or the data have columns of these names.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar().reset_index()
        >>> model = gife.PartialledOLS.from_formula("sales ~ price | state + year", cigar, engine="lazy")
        >>> res = model.fit()
        >>> res.lazy_frame().aggregate("round(abs(sum(resid)), 6), round(avg(fitted), 3)").fetchall()
        [(0.0, 123.951)]
        """
        fit: Any = self._fit
        if fit.sums is None:
            raise SpecificationError(
                "The rows are in memory.", "A lazy frame is of rows that are elsewhere.", "res.augment()"
            )
        return fit.parts.lazy_frame(self.model.design.schema)

    def predict(self, data: Any = None, transform: bool = True, *, effects: bool = True, exog: Any = None) -> pd.Series:
        """Predict the outcome, absorbed effects and controls included unless ``effects=False``.

        Parameters
        ----------
        data : DataFrame, Series, mapping or array_like, optional
            New rows (a Series is one; arrays hold the regressors in their order); by default the sample.
        transform : bool
            False: `data` holds the regressors with a coefficient themselves, (m, k), and the linear part is predicted.
        effects : bool
            Add absorbed effects and controls. Rows with a level out of the sample (singletons and rows with weights of
            zero were dropped from it), or with levels whose sum the sample does not identify (they are in different
            connected components), are NaN then, with a warning that counts them.
        exog : optional
            statsmodels' name of `data`.

        Returns
        -------
        Series
            On the index of `data`.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> [round(float(res.predict(effects=on).iloc[0]), 1) for on in (True, False)]
        [105.3, -32.0]
        """
        check_effects(effects)
        if not transform:
            given = one_given(data, exog)
            return self._linear_part(matrix_of(given, self._names), effects, labels_of(given))
        rows = new_data(data, exog, self._inputs, self._ids)
        if self._recipe is None:
            return predict_linear(self.model, self._fit, rows, effects)
        if rows is None or (effects and not self._without_nuisance):
            _ = self._fit  # which says that the data are gone
        found = linear_rows(*self._recipe, rows)
        return found.series(found.x @ np.asarray(self.params))

    def _linear_part(self, x: Array, effects: bool, labels: pd.Index | None) -> pd.Series:
        if effects and not self._without_nuisance:
            raise SpecificationError(
                "transform=False came with effects and controls in the model.",
                "Regressors alone do not say which effects a row has.",
                "res.predict(x, transform=False, effects=False)",
            )
        return pd.Series(x @ np.asarray(self.params), index=labels, name="predicted")

    def get_prediction(
        self, data: Any = None, *, effects: bool = True, weights: Any = None, exog: Any = None
    ) -> PredictionResults:
        """Predictions with standard errors and intervals, for the mean and for new observations.

        The variances are those of the regression with all dummies and controls in it, which prediction counts among
        what was estimated. Under clustered and time-series covariances, which say nothing of the effects' own
        variation, they are available for the linear part (``effects=False``) alone.

        Parameters
        ----------
        data : DataFrame, optional
            New rows; by default the sample.
        effects : bool
            Add absorbed effects and controls. Without, there are no intervals for observations.
        weights : array_like, optional
            Of the new observations: their error variance is the residual variance over it.
        exog : optional
            statsmodels' name of `data`.

        Returns
        -------
        statsmodels PredictionResults
            ``predicted_mean``, ``se_mean``, ``conf_int(obs=False)``, ``summary_frame()``; NaN where effects are not
            identified.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price | state + year", cigar).fit()
        >>> frame = res.get_prediction(cigar.head(2)).summary_frame()
        >>> list(frame.columns)[:4]
        ['mean', 'mean_se', 'mean_ci_lower', 'mean_ci_upper']
        """
        from gifepanel.results.linear_intervals import FittedRegression, predict_with_intervals

        res = cast(FittedRegression, self)  # which it is once the mixed-in classes are put together
        return predict_with_intervals(res, new_data(data, exog, self._inputs, self._ids), effects, weights)
