"""Results of InteractiveFE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gifepanel.results.base import FactorResults, FactorResultsWrapper
from gifepanel.results.inputs import Inference
from gifepanel.solvers.interactive import InteractiveFit, LocalMinimum

if TYPE_CHECKING:
    from gifepanel.results.inputs import FittedFactorModel

__all__ = ["InteractiveFEResults", "interactive_results", "rescaled"]

Array = np.ndarray[Any, np.dtype[np.float64]]


class InteractiveFEResults(FactorResults):
    """Results of :class:`gifepanel.InteractiveFE`.

    Attributes
    ----------
    params, bse, tvalues, pvalues : Series
        Slopes; `params_uncorrected` are the least-squares ones where a bias was corrected.
    factors, loadings : DataFrame
        Time by R and entity by R.
    minima : DataFrame
        Distinct local minima over the starts.
    converged : bool
    n_iter : int

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
    >>> res.params.round(4).to_dict()
    {'price': -0.222, 'ndi': 0.0057}
    >>> res.factors.shape, res.loadings.shape
    ((30, 2), (46, 2))
    """

    @property
    def _method(self) -> str:
        return "least squares (Bai 2009)" if self.n_factors else "least squares"


def rescaled(minima: tuple[LocalMinimum, ...], scale: Array) -> tuple[LocalMinimum, ...]:
    """Minima with slopes in the units of the data."""
    return tuple(LocalMinimum(m.ssr, m.theta / scale, m.starts, m.n_groupings) for m in minima)


def interactive_results(model: FittedFactorModel, inference: Inference, fit: InteractiveFit, *, scale: Array) -> Any:
    """Wrapped results of a fit."""
    results = InteractiveFEResults(model._at(inference.estimate, model._names), inference)
    results.converged = fit.converged
    results.n_iter = fit.n_iter
    results._minima = rescaled(fit.minima, scale)
    return FactorResultsWrapper(results)
