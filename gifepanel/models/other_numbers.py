"""Fits of a model with other numbers of factors."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from gifepanel.exceptions import GifepanelWarning
from gifepanel.parallel import Progress, run_tasks

__all__ = ["OtherNumbers"]


class OtherNumbers:
    """A fitted model, as what compares it with others sees it.

    Parameters
    ----------
    model : FactorModel
        That of the results.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def with_factors(self, n_factors: int) -> Any:
        """The model, not fitted, with another number of factors; its counts are checked."""
        model = copy.copy(self.model)
        model._estimate, model._candidates = None, None
        model.n_factors = n_factors
        model._take_core(n_factors, warn=False)
        model._initialise(model._own_exog())
        model._check_counts()
        return model

    def largest(self) -> int:
        """The largest number of factors that the panel allows."""
        return int(self.model._largest_n_factors())

    def fits(
        self,
        numbers: Sequence[int],
        arguments: Mapping[str, Any],
        *,
        n_jobs: int | None,
        progress: Progress,
    ) -> list[Any]:
        """Results for each of the numbers, in their order; what fits warn of is left to their tables."""
        tasks = [(self.with_factors(number), dict(arguments)) for number in numbers]
        return run_tasks(_fit, tasks, n_jobs=n_jobs, progress=progress, description="factors")


def _fit(model: Any, arguments: dict[str, Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GifepanelWarning)
        results = model.fit(**arguments)
    return getattr(results, "_results", results)
