"""What a fit with factors has found besides slopes: factors, loadings, effects, residuals, minima."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gifepanel.results.inputs import Sample
from gifepanel.results.measures import FitMeasures
from gifepanel.solvers.interactive import LocalMinimum

__all__ = ["FactorEstimates"]

Array = np.ndarray[Any, np.dtype[np.float64]]


class FactorEstimates(FitMeasures):
    """Mixed in before statsmodels' class."""

    if TYPE_CHECKING:
        sample: Sample
        _least_squares: Array

        @property
        def _names(self) -> list[str]: ...

    @property
    def n_groups(self) -> int:
        """Number of groups K."""
        return int(self.model.n_groups)

    @property
    def n_factors(self) -> int:
        """Number of factors R."""
        return int(self.model.n_factors)

    @property
    def n_entities(self) -> int:
        """Number of entities N."""
        return self.sample.n_entities

    @property
    def n_times(self) -> int:
        """Number of periods T."""
        return self.sample.n_times

    @property
    def _n_summed(self) -> int:
        return self.n_times

    @cached_property
    def nobs(self) -> float:
        """Number of observations: cells of the panel that are observed."""
        return float(self.sample.n_observed)

    @cached_property
    def params_uncorrected(self) -> pd.Series:
        """Least-squares slopes, before bias correction."""
        return pd.Series(self._least_squares, index=self._names)

    @cached_property
    def factors(self) -> pd.DataFrame:
        """Common factors, time by R, F'F/T = I, by decreasing share of variance."""
        return pd.DataFrame(self._estimate.factors, index=self._times, columns=self._factor_names)

    @cached_property
    def loadings(self) -> pd.DataFrame:
        """Factor loadings, entity by R."""
        return pd.DataFrame(self._estimate.loadings, index=self._entities, columns=self._factor_names)

    @property
    def _factor_names(self) -> list[str]:
        return [f"factor{r + 1}" for r in range(self.n_factors)]

    @property
    def _entities(self) -> pd.Index:
        index = self.model.design.index
        return index.entities.rename(index.entity_name)

    @property
    def _times(self) -> pd.Index:
        index = self.model.design.index
        return index.times.rename(index.time_name)

    @cached_property
    def factor_shares(self) -> pd.Series:
        """Share of the variance of y less slopes and additive effects that each factor takes up."""
        estimate, root = self._estimate, self._estimate.root
        if root is None:
            lengths = (estimate.loadings**2).sum(axis=0) * estimate.shape[1]
        else:  # of weighted cells, where factors are not orthogonal: what they explain together, in these proportions
            lengths = np.einsum("ir,it,tr->r", estimate.loadings**2, root**2, estimate.factors**2)
            together = (estimate.loadings @ estimate.factors.T) * root
            lengths *= np.vdot(together, together) / (lengths.sum() or 1.0)
        total = lengths.sum() + estimate.ssr
        return pd.Series(lengths / total, index=self._factor_names)

    @cached_property
    def entity_effects(self) -> pd.Series:
        """Additive entity effects, zero where not absorbed."""
        return pd.Series(self._estimate.entity_effect, index=self._entities, name="effect")

    @cached_property
    def time_effects(self) -> pd.Series:
        """Additive time effects, zero where not absorbed."""
        return pd.Series(self._estimate.time_effect, index=self._times, name="effect")

    @cached_property
    def resid(self) -> Array:
        """Residuals after slopes, effects and factors, all at the reported slopes."""
        estimate = self._estimate
        return self.model.design.index.from_cube(estimate.resid)

    @cached_property
    def fittedvalues(self) -> Array:
        """The outcome less the residuals: slopes, effects and factors."""
        resid = self.resid
        return self.model.design.endog - resid

    @cached_property
    def wresid(self) -> Array:
        """The residuals: the projection has left them as they are."""
        return self.resid

    @cached_property
    def minima(self) -> pd.DataFrame:
        """Local-minimum audit: distinct minima of the least-squares objective, best first.

        Columns: sum of squares, its excess over the best in percent, how many starts led there, and which; where there
        are groups, also how many of the groupings tried did.
        """
        minima: tuple[LocalMinimum, ...] = self._minima
        best = minima[0].ssr if minima else np.nan
        rows = [(m.ssr, 100 * (m.ssr / best - 1), len(m.starts), ", ".join(m.starts)) for m in minima]
        frame = pd.DataFrame(rows, columns=["ssr", "excess_percent", "n_starts", "starts"])
        if any(m.n_groupings for m in minima):
            frame.insert(2, "n_groupings", [m.n_groupings for m in minima])
        return frame

    _minima: tuple[LocalMinimum, ...] = ()
    _passed_ssr: float | None = None  # of a descent that went below the best minimum and has none of its own
