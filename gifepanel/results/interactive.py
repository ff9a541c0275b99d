"""Results of InteractiveFE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gifepanel.inference.estimate import FactorEstimate
from gifepanel.results.base import FactorResults, FactorResultsWrapper, warn_not_converged
from gifepanel.solvers.interactive import InteractiveFit, LocalMinimum

if TYPE_CHECKING:
    from gifepanel.models.interactive import InteractiveFE

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
    """


def rescaled(minima: tuple[LocalMinimum, ...], scale: Array) -> tuple[LocalMinimum, ...]:
    """Minima with slopes in the units of the data."""
    return tuple(LocalMinimum(m.ssr, m.theta / scale, m.starts) for m in minima)


def interactive_results(
    model: InteractiveFE, estimate: FactorEstimate, fit: InteractiveFit, *, scale: Array, **inference: Any
) -> Any:
    """Wrapped results of a fit."""
    if not fit.converged:
        warn_not_converged("Least squares with factors", "max_iter=5000")
    results = InteractiveFEResults(model._at(estimate, model._names), estimate, **inference)
    results.converged = fit.converged
    results.n_iter = fit.n_iter
    results._minima = rescaled(fit.minima, scale)
    return FactorResultsWrapper(results)
