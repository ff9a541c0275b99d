"""Numbers of factors and groups left open: the candidates, and the choice among them by criteria."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from gifepanel.checkpoint import Checkpoint
from gifepanel.exceptions import SpecificationError, SpecificationWarning, caller_level
from gifepanel.inference.design_effect import clustered_design_effect
from gifepanel.inference.estimate import FactorEstimate
from gifepanel.parallel import Progress, run_tasks
from gifepanel.results.selection import Selection
from gifepanel.solvers.arrays import PanelArrays, residuals
from gifepanel.solvers.cell_selection import (
    CrossValidation,
    cell_criteria,
    cell_group_criterion,
    completed,
    cross_validated,
    held_out,
    slopes_by_entity,
)
from gifepanel.solvers.cells import Cells
from gifepanel.solvers.edge_fit import edge_panel
from gifepanel.solvers.edge_test import EdgeTest, edge_test
from gifepanel.solvers.grouped import GroupedFit, GroupedOptions, fit_grouped
from gifepanel.solvers.grouped_cells import fit_grouped_cells
from gifepanel.solvers.selection import FactorCriteria, factor_criteria, group_criterion, heterogeneous_ssr

__all__ = ["RULES", "Count", "candidates", "check_share", "select_counts"]

Count = int | Iterable[int] | Literal["auto"]
_RULES = {"ic1": "by_ic1", "ic2": "by_ic2", "er": "by_er", "gr": "by_gr", "ed": "by_ed"}
RULES = ("edge", *_RULES, "cv")
_FOLDS = 5


def candidates(name: str, given: Any, automatic: range) -> int | list[int]:
    """An int as it is; "auto", a range or a list as increasing candidates.

    Raises
    ------
    SpecificationError
        For anything else.
    """
    minimum = automatic.start
    if isinstance(given, str):
        if given == "auto":
            return list(automatic)
        raise SpecificationError(
            f"{name} is {given!r}.",
            'It must be a whole number, a range of them, or "auto".',
            f"{name}={given.strip()}" if given.strip().isdigit() and int(given) >= minimum else f'{name}="auto"',
        )
    if isinstance(given, float) and given == int(given):
        raise SpecificationError(
            f"{name} is {given!r}.", f"It must be a whole number from {minimum}.", f"{name}={max(minimum, int(given))}"
        )
    single = not isinstance(given, Iterable)
    offered: list[Any] = [given] if single else list(given)
    if not offered or not all(_is_count(n, minimum) for n in offered):
        raise SpecificationError(
            f"{name} was not given." if given is None else f"{name} is {given!r}.",
            f'It must be a whole number from {minimum}, a range of such numbers, or "auto".',
            f"{name}={max(minimum, 2)}",
        )
    if isinstance(given, tuple) and len(offered) == 2 and offered[1] - offered[0] > 1:
        first, last = int(offered[0]), int(offered[1])
        warnings.warn(
            SpecificationWarning(
                f"{name}={first, last} is two candidates, {first} and {last}.",
                "What lies between is not tried, as fect's r = c(first, last) would; a list says that two are meant.",
                f"{name}=range({first}, {last + 1})",
            ),
            stacklevel=caller_level(),
        )
    return int(given) if single else sorted({int(n) for n in offered})


def check_share(value: Any) -> float:
    """A share of the entities that every one of two groups could have."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if real and 0.0 <= value <= 0.5:
        return float(value)
    raise SpecificationError(
        f"min_group_share is {value!r}.", "It must be a share of the entities, from 0 to 0.5.", "min_group_share=0.05"
    )


def _is_count(value: Any, minimum: int) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value >= minimum)


def select_counts(
    data: PanelArrays | Cells,
    n_factors: int | list[int],
    n_groups: int | list[int],
    options: GroupedOptions,
    estimate: Callable[[Any], FactorEstimate],
    *,
    rule: str = "edge",
    smallest: int = 1,
    n_jobs: int | None = None,
    progress: Progress = None,
    checkpoint: Checkpoint | None = None,
) -> Selection:
    """Choose the number of factors, then of groups at that number.

    Parameters
    ----------
    data : PanelArrays or Cells
        Cross-validation needs cells.
    n_factors, n_groups : int or list of int
        An int is taken as it is.
    options : GroupedOptions
        Of the fits by number of groups.
    estimate : callable
        What inference asks of such a fit.
    rule : {"edge", "ic1", "ic2", "er", "gr", "ed", "cv"}
    smallest : int
        Entities that a group must have for a number of groups to be chosen.
    n_jobs, progress, checkpoint
        Of :func:`gifepanel.parallel.run_tasks`.
    """
    factors, rules, accepted = pd.DataFrame(), pd.Series(dtype=int), True
    work: dict[str, Any] = {"n_jobs": n_jobs, "progress": progress, "checkpoint": checkpoint}
    if isinstance(n_factors, int):
        chosen = n_factors
    else:
        criteria, test = _over_factors(data, n_factors, work)
        columns = {"v": criteria.v, "ic1": criteria.ic1, "ic2": criteria.ic2}
        columns |= {"share": test.share, "edge": test.edge, "memory": test.memory}
        factors = pd.DataFrame(columns, index=pd.Index(criteria.n_factors, name="n_factors"))
        said = {name: getattr(criteria, attribute) for name, attribute in _RULES.items()}
        rules, accepted = pd.Series({"edge": test.n_factors, **said}, name="n_factors"), test.accepted
        if rule == "cv":
            assert isinstance(data, Cells)
            tried = _validated(data, n_factors, options.seed, work)
            factors["cv"], factors["cv_se"] = [cv.mean for cv in tried], [cv.standard_error for cv in tried]
            rules["cv"] = int(factors["cv"].idxmin())
        chosen = int(rules[rule])
    groups, phi = pd.DataFrame(), 1.0
    if isinstance(n_groups, int):
        n = n_groups
    else:
        groups, phi, n = _over_groups(data, chosen, n_groups, options, estimate, smallest, work)
    return Selection(chosen, n, factors, rules, groups, rule, phi, accepted, smallest, _periods(data))


def _periods(data: PanelArrays | Cells) -> float:
    """Of an entity, on average."""
    return (data.size if isinstance(data, Cells) else data.y.size) / data.shape[0]


def _over_factors(
    data: PanelArrays | Cells, numbers: list[int], work: Mapping[str, Any]
) -> tuple[FactorCriteria, EdgeTest]:
    work = {**work, "description": "factors", "keys": [f"factors-{r}" for r in numbers]}
    tasks = [(data, r) for r in numbers]
    if isinstance(data, Cells):
        fits = run_tasks(slopes_by_entity, tasks, **work)
        criteria = cell_criteria(data, numbers, fits)
        seen = data.to_cube(np.ones(data.size))
        left = [completed(data, fit) * seen for fit in fits]
    else:
        found = run_tasks(heterogeneous_ssr, tasks, **work)
        criteria = factor_criteria(data, numbers, [ssr for ssr, _ in found], found[-1][1])
        left = [residuals(data, beta) for _, beta in found]
    # one thread, as the tasks have: the same last bits whatever their number
    return criteria, run_tasks(edge_test, [(edge_panel(data), numbers, left)], n_jobs=1, progress=False)[0]


def _validated(cells: Cells, numbers: list[int], seed: Any, work: Mapping[str, Any]) -> list[CrossValidation]:
    """Cross-validation over the same cells held out for all numbers."""
    most = max(numbers) + max(cells.data.known.shape[0], cells.data.period.shape[0])
    folds = held_out(cells, most, _FOLDS, np.random.default_rng(seed))
    if sum(fold.any() for fold in folds) < 2:
        raise SpecificationError(
            f"Cross-validation up to {max(numbers)} factors has no cells to hold out.",
            "Entities need periods to spare: more than twice their coefficients.",
            'rule="edge"',
        )
    tasks = [(cells, r, folds) for r in numbers]
    keys = [f"cross-validation-{r}-up-to-{max(numbers)}" for r in numbers]  # folds depend on the largest
    return run_tasks(cross_validated, tasks, description="cross-validation", keys=keys, **work)


def _over_groups(
    data: PanelArrays | Cells,
    n_factors: int,
    numbers: list[int],
    options: GroupedOptions,
    estimate: Callable[[Any], FactorEstimate],
    smallest: int,
    work: Mapping[str, Any],
) -> tuple[pd.DataFrame, float, int]:
    """The criterion by number of groups, the design effect in it, and the choice."""
    fits = run_tasks(
        fit_grouped_cells if isinstance(data, Cells) else fit_grouped,
        [(data, k, n_factors, options) for k in numbers],
        description="groups",
        keys=[f"groups-{k}-of-{n_factors}-factors" for k in numbers],
        **work,
    )
    grouped = [fit[0] if isinstance(data, Cells) else fit for fit in fits]
    table = pd.DataFrame(
        [_of_groups(data, fit, k) for fit, k in zip(grouped, numbers, strict=True)],
        index=pd.Index(numbers, name="n_groups"),
    )
    table["admissible"] = (table["smallest"] >= smallest) | (table.index == 1)

    def criterion(phi: float) -> pd.Series:
        done = {k: fit.classification.fit.ssr for k, fit in zip(numbers, grouped, strict=True)}
        values = [_group_criterion(data, done[k], n_factors, len(options.common), k, phi) for k in numbers]
        return pd.Series(values, table.index)

    phi, chosen = _least(
        criterion, table["admissible"], lambda position: clustered_design_effect(estimate(fits[position]))
    )
    table["ic"], table["ic_independent"] = criterion(phi), criterion(1.0)
    columns = ["sigma2", "ic", "ic_independent", "smallest", "admissible", "converged"]
    return table[columns], phi, chosen


def _least(
    criterion: Callable[[float], pd.Series], admissible: pd.Series, effect: Callable[[int], float]
) -> tuple[float, int]:
    """The design effect at one group more than is chosen, and the choice: the smallest that bears itself out.

    At too few groups the design effect is too large, since slopes of a group differ; at too many it is too small:
    splitting absorbs what it measures. A number is chosen if the criterion wants no more at the design effect that the
    next one leaves.
    """
    allowed = admissible if admissible.any() else ~admissible
    numbers = list(admissible.index)
    for position, number in enumerate(numbers):
        phi = effect(min(position + 1, len(numbers) - 1))
        chosen = int(criterion(phi)[allowed].idxmin())
        if chosen <= number:
            break
    return phi, chosen


def _of_groups(data: PanelArrays | Cells, fit: GroupedFit[Any], k: int) -> dict[str, Any]:
    done = fit.classification.fit
    return {
        "sigma2": done.ssr / (data.size if isinstance(data, Cells) else data.y.size),
        "smallest": int(np.bincount(fit.groups, minlength=k).min()),
        "converged": bool(done.converged and fit.penalized.converged),
    }


def _group_criterion(
    data: PanelArrays | Cells, ssr: float, n_factors: int, n_common: int, n_groups: int, phi: float
) -> float:
    if isinstance(data, Cells):
        free = data.n_regressors - n_common
        return cell_group_criterion(data, ssr, n_factors, n_common + n_groups * free, free, n_groups, phi)
    n, t, p = data.shape
    return group_criterion(ssr, n, t, p - n_common, n_groups, phi)
