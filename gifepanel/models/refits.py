"""Fits of a model again, for questions about a fit: bootstrap draws, other numbers of factors, other choices."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gifepanel.exceptions import GifepanelWarning, SpecificationError
from gifepanel.inference.estimate import FactorEstimate
from gifepanel.models.cell_estimation import cells_of_model
from gifepanel.models.checkpoints import check_repeatable, checkpoint_of, likeness, six_digits
from gifepanel.models.checks import check_choice, check_count
from gifepanel.models.robustness import alternatives, read_choices
from gifepanel.parallel import Progress, run_draws, run_tasks
from gifepanel.results.bootstrap import BootstrapDraws
from gifepanel.results.inputs import Inference
from gifepanel.results.robustness import Alternative
from gifepanel.solvers.bootstrap import entity_draws, wild_draws
from gifepanel.solvers.cell_descent import descend_cells
from gifepanel.solvers.cells import Cells, canonical_units, standardized_cells
from gifepanel.solvers.interactive import SlopeMap
from gifepanel.solvers.refit import Solution

__all__ = ["Refits"]

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
_CELLS = 1_000_000  # in the draws of a block


class Refits:
    """A fitted model, as what is fitted again sees it.

    Parameters
    ----------
    model : FactorModel
        That of the results.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def bootstrap(
        self,
        inference: Inference,
        n: Any,
        kind: Any,
        *,
        random_state: Any,
        n_jobs: int | None,
        progress: Progress,
        checkpoint: Any,
    ) -> BootstrapDraws:
        """Slopes and groups in `n` draws, from the solution of the fit.

        Raises
        ------
        SpecificationError
            For options that can't be, and a checkpoint of another run: before any work.
        """
        n, kind = check_count("n", n, 2, usual=999), check_choice("kind", kind, ("entity", "wild"))
        seed = check_repeatable(random_state, checkpoint)
        estimate = inference.estimate
        _check_fit(inference)
        by, clusters = _signs(inference, estimate, self.model.design.index) if kind == "wild" else ("", None)
        units, cells, solution, resid = self._problem(estimate)
        arguments: tuple[Any, ...] = (cells, solution)
        if clusters is not None:
            size = np.sqrt(estimate.nobs / estimate.df.residual) if inference.ssc else 1.0
            arguments = (cells, solution, cells.data.y - resid, size * resid, _in_order(clusters[units], cells))
        place = checkpoint_of(
            checkpoint,
            f"bootstrap of {type(self.model).__name__}",
            seed,
            kind=f"{kind} {by}".strip(),
            data=cells,
            fit=(solution.slopes, six_digits(solution.theta), len(solution.factors)),
        )
        theta, groups, outcome = run_draws(
            entity_draws if kind == "entity" else wild_draws,
            arguments,
            n,
            random_state=seed,
            block=int(np.clip(_CELLS // cells.size, 1, 20)),
            n_jobs=n_jobs,
            progress=progress,
            description=f"{kind} bootstrap",
            checkpoint=place,
        )
        back = np.argsort(units)
        scale = np.empty(theta.shape[1])
        scale[estimate.slots] = cells.scale
        return BootstrapDraws(kind, by, theta / scale, groups[:, back], outcome, cells.scale)

    def largest_n_factors(self) -> int:
        """The largest number of factors that the panel allows."""
        return int(self.model._largest_n_factors())

    def with_factors(
        self, numbers: Sequence[int], arguments: Mapping[str, Any], *, n_jobs: int | None, progress: Progress
    ) -> list[Any]:
        """Results for each number of factors, in their order; what fits warn of is left to their tables."""
        tasks = [(self.model._with_numbers(n_factors=number), dict(arguments)) for number in numbers]
        return run_tasks(_fit, tasks, n_jobs=n_jobs, progress=progress, description="factors")

    def robustness(
        self, res: Any, choices: Any, level: Any, *, n_jobs: int | None, progress: Progress, checkpoint: Any
    ) -> list[Alternative]:
        """The fit `res` and what it would be with one choice different, as of :func:`alternatives`."""
        named = read_choices(choices, self.model._has_groups)
        place = None
        if checkpoint is not None:
            cells, estimate = cells_of_model(self.model), res._estimate
            place = checkpoint_of(
                checkpoint,
                f"robustness of {type(self.model).__name__}",
                0,
                data=cells.take(canonical_units(cells)),
                fit=(six_digits(estimate.theta), len(estimate.factors.T)),
                options=likeness({**res._fit_options, **res._covariance_options}),
                level=level,
            )
        return alternatives(res, named, level, n_jobs=n_jobs, progress=progress, checkpoint=place)

    def _problem(self, estimate: FactorEstimate) -> tuple[IntArray, Cells, Solution, Array]:
        """Cells in an order that the data give, whatever that of the rows; the solution there, and its residuals.

        Returns
        -------
        units : ndarray of int64, shape (N,)
            Where canonical entity i stands in the data.
        cells : Cells
        solution : Solution
        resid : ndarray, shape (n,)
        """
        cells = cells_of_model(self.model)
        units = canonical_units(cells)
        cells = standardized_cells(cells.take(units))
        scale = np.empty(estimate.theta.size)
        scale[estimate.slots] = cells.scale
        effects = estimate.period_rows(self.model._parts.period_names)
        slopes = SlopeMap(estimate.groups[units], estimate.slots)
        factors = np.ascontiguousarray(estimate.factors.T)
        fit = descend_cells(cells, slopes, estimate.theta * scale, factors, effects)
        return units, cells, Solution(slopes, fit.theta, fit.factors, fit.effects), fit.state.e


def _fit(model: Any, arguments: dict[str, Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GifepanelWarning)
        results = model.fit(**arguments)
    return getattr(results, "_results", results)


def _check_fit(inference: Inference) -> None:
    if inference.soft is not None:
        raise SpecificationError(
            "A bootstrap was asked for with soft groups.",
            "Its draws put every entity into one group; soft slopes have the bias of that taken away already.",
            'model.fit(groups="hard").bootstrap()',
        )
    if not inference.estimate.theta.size:
        raise SpecificationError("The model has no slopes.", "A bootstrap draws them.", "Add a regressor to the model.")


def _signs(inference: Inference, estimate: FactorEstimate, index: Any) -> tuple[str, IntArray]:
    """What residuals share a sign (N, T): what the standard errors take as dependent."""
    n, t = estimate.shape
    entity, time = np.indices((n, t))
    kind = inference.covariance.kind
    if kind == "HAC":
        return str(index.entity_name), entity
    if kind == "driscoll-kraay":
        return str(index.time_name), time
    if kind != "cluster":
        return "cell", entity * t + time
    if inference.clusters is None or len(inference.clusters) != 1:
        raise SpecificationError(
            f"Errors are clustered by {' and '.join(inference.cluster_names)}.",
            "Signs of a wild bootstrap belong to one way of clustering.",
            'res.get_robustcov_results("cluster").bootstrap(kind="wild")',
        )
    return inference.cluster_names[0], inference.clusters[0]


def _in_order(clusters: IntArray, cells: Cells) -> IntArray:
    """Clusters (N, T) by cell, numbered as they come."""
    found, first, codes = np.unique(clusters[cells.entity, cells.data.time], return_index=True, return_inverse=True)
    rank = np.empty(len(found), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(found))
    return rank[codes]
