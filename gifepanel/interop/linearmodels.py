"""Results beside those of linearmodels, in its comparison of panel models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from gifepanel.interop.common import facts, is_ours, neighbour, raw

__all__ = ["ComparedResult", "compare", "wrap"]

Array = np.ndarray[Any, np.dtype[np.float64]]


class ComparedResult:
    """What linearmodels' comparison reads, by its own definitions.

    As in ``PanelOLS``, `rsquared` is of the regression whose effects (and factors) are out; the within, between and
    overall ones are of the regressors alone, effects left out of the fit, and the F statistic is the classical one.
    """

    def __init__(self, res: Any) -> None:
        self._res = raw(res)
        self._facts = facts(res)
        self.name = self._facts.model
        self.nobs = int(self._res.nobs)
        self.model = SimpleNamespace(dependent=SimpleNamespace(vars=[self._facts.endog]))
        self.included_effects = self._included()

    def __repr__(self) -> str:
        return f"<{self.name} of {self._facts.endog} for linearmodels>"

    def _included(self) -> list[str]:
        res, about = self._res, self._facts
        names: dict[str, str] = {}
        if res._model_kind == "factors":
            names = {res.sample.entity_name: "Entity", res.sample.time_name: "Time"}
        elif self._panel is not None:
            names = {self._panel.entity_name: "Entity", self._panel.time_name: "Time"}
        effects = [names.get(name, name) for name in about.absorbed]
        factors = [f"{about.n_factors} factor{'s' * (about.n_factors > 1)}"] if about.n_factors else []
        return effects + factors + ([f"{about.n_groups} groups"] if about.n_groups else [])

    @cached_property
    def _panel(self) -> Any:
        design = self._res.model.design
        if design is None or design.panel is not None:
            return None if design is None else design.panel
        return self._res.model.panel_index(required=False)

    def _series(self, values: Any, name: str) -> pd.Series:
        return pd.Series(np.asarray(values), index=self._res._names, name=name)

    @property
    def _cov_type(self) -> str:
        return self._facts.covariance

    @property
    def params(self) -> pd.Series:
        """Coefficients."""
        return self._series(self._res.params, "parameter")

    @property
    def std_errors(self) -> pd.Series:
        """Standard errors."""
        return self._series(self._res.bse, "std_error")

    @property
    def tstats(self) -> pd.Series:
        """Their ratio."""
        return self._series(self._res.tvalues, "tstat")

    @property
    def pvalues(self) -> pd.Series:
        """p-values."""
        return self._series(self._res.pvalues, "pvalue")

    @property
    def rsquared(self) -> float:
        """Of the regression with effects and factors out, uncentred where these are none and no constant either."""
        return float(self._res.rsquared_within if self.included_effects else self._res.rsquared)

    @property
    def f_statistic(self) -> Any:
        """Classical F test that all slopes but that of a constant are zero."""
        res = self._res
        tested = len(res._names) - len(res.model._constants)
        total = res.within_tss if self.included_effects else res.ess + res.ssr
        stat = (total - res.ssr) / tested / res.mse_resid if tested else np.nan
        return SimpleNamespace(stat=float(stat), pval=float(stats.f.sf(stat, tested, res.df_resid)))

    # ---- fit of the regressors alone

    @cached_property
    def _fit(self) -> tuple[Array, Array, Array]:
        """Outcome, linear part and weights, (n,) each."""
        res, design = self._res, self._res.model.design
        if res._model_kind == "factors":
            estimate = res._estimate
            z = np.einsum("ntq,q->nt", estimate.z, np.asarray(res.params))
            return design.endog, design.index.from_cube(z), np.ones(design.nobs)
        weights = np.ones(design.nobs) if design.weights is None else design.weights
        return design.endog, design.exog[:, list(res._fit.kept)] @ res._fit.params, weights

    def _share(self, y: Array, linear: Array, w: Array, centre: bool) -> float:
        about = float(w @ y / w.sum()) if centre else 0.0
        total = float(w @ (y - about) ** 2)
        return 1.0 - float(w @ (y - linear) ** 2) / total if total > 0 else np.nan

    @property
    def _constant(self) -> bool:
        return len(self._res.model._constants) > 0

    @property
    def rsquared_overall(self) -> float:
        """Of the outcome by the regressors, effects and factors left out of the fit."""
        return self._share(*self._fit, self._constant)

    @property
    def rsquared_within(self) -> float:
        """The same, both less their means by entity; NaN where rows have no entity."""
        if self._panel is None:
            return np.nan
        y, linear, w = self._fit
        means = [self._means(values, w)[self._panel.entity_codes] for values in (y, linear)]
        return self._share(y - means[0], linear - means[1], w, centre=False)

    @property
    def rsquared_between(self) -> float:
        """The same, of the means by entity; NaN where rows have no entity."""
        if self._panel is None:
            return np.nan
        y, linear, w = self._fit
        sums: Array = np.ones(self._panel.n_entities)
        if np.ptp(w) > 0:
            sums = np.asarray(np.bincount(self._panel.entity_codes, w))
        return self._share(self._means(y, w), self._means(linear, w), sums, self._constant)

    def _means(self, values: Array, w: Array) -> Array:
        codes = self._panel.entity_codes
        return np.asarray(np.bincount(codes, w * values) / np.bincount(codes, w))


def wrap(res: Any) -> ComparedResult:
    """Results in the form linearmodels' comparisons read.

    Parameters
    ----------
    res : results of this package

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
    >>> round(float(gife.interop.linearmodels.wrap(res).std_errors["price"]), 4)
    0.0746
    """
    return ComparedResult(res)


@cache
def _comparison() -> Any:
    parent: Any = neighbour("linearmodels.panel.results", "linearmodels").PanelModelComparison

    class PanelComparison(parent):
        """A comparison that takes results of gifepanel too."""

        _supported = (*parent._supported, ComparedResult)

    return PanelComparison


def compare(results: Mapping[str, Any] | Sequence[Any], *, precision: str = "tstats", stars: bool = False) -> Any:
    """``linearmodels.panel.compare`` for results of this package and panel results of linearmodels.

    Parameters
    ----------
    results : dict of str to results, or sequence
    precision : {"tstats", "std_errors", "pvalues"}
        What stands in parentheses.
    stars : bool

    Returns
    -------
    linearmodels.panel.results.PanelModelComparison
        ``summary``, ``params``, ``std_errors``, ``rsquared``, ...

    Raises
    ------
    MissingPackageError
        Where linearmodels is not installed.

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
    >>> table = gife.interop.linearmodels.compare({"two-way": res})
    >>> table.params.round(4).to_dict()
    {'two-way': {'price': -0.8232, 'ndi': -0.0055}}
    """
    items = results.items() if isinstance(results, Mapping) else ((f"Model {i}", r) for i, r in enumerate(results))
    wrapped = {name: ComparedResult(res) if is_ours(res) else res for name, res in items}
    return _comparison()(wrapped, precision=precision, stars=stars)
