"""Numbers of factors and groups left open: the candidates, and the choice among them by criteria."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import pandas as pd

from gifepanel.exceptions import SpecificationError, SpecificationWarning, caller_level
from gifepanel.parallel import Progress, run_tasks
from gifepanel.results.selection import Selection
from gifepanel.solvers.arrays import PanelArrays
from gifepanel.solvers.cell_selection import (
    CrossValidation,
    cell_criteria,
    cell_group_criterion,
    cross_validated,
    held_out,
    slopes_by_entity,
)
from gifepanel.solvers.cells import Cells
from gifepanel.solvers.grouped import GroupedOptions, fit_grouped
from gifepanel.solvers.grouped_cells import fit_grouped_cells
from gifepanel.solvers.selection import FactorCriteria, factor_criteria, group_criterion, heterogeneous_ssr

__all__ = ["Count", "candidates", "select_counts"]

Count = int | Iterable[int] | Literal["auto"]
_RULES = {"ic1": "by_ic1", "ic2": "by_ic2", "er": "by_er", "gr": "by_gr", "ed": "by_ed"}
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
    numbers: list[Any] = [given] if single else list(given)
    if not numbers or not all(_is_count(n, minimum) for n in numbers):
        raise SpecificationError(
            f"{name} was not given." if given is None else f"{name} is {given!r}.",
            f'It must be a whole number from {minimum}, a range of such numbers, or "auto".',
            f"{name}={max(minimum, 2)}",
        )
    if isinstance(given, tuple) and len(numbers) == 2 and numbers[1] - numbers[0] > 1:
        first, last = int(numbers[0]), int(numbers[1])
        warnings.warn(
            SpecificationWarning(
                f"{name}={first, last} is two candidates, {first} and {last}.",
                "What lies between is not tried, as fect's r = c(first, last) would; a list says that two are meant.",
                f"{name}=range({first}, {last + 1})",
            ),
            stacklevel=caller_level(),
        )
    return int(given) if single else sorted({int(n) for n in numbers})


def _is_count(value: Any, minimum: int) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value >= minimum)


def select_counts(
    data: PanelArrays | Cells,
    n_factors: int | list[int],
    n_groups: int | list[int],
    options: GroupedOptions,
    *,
    rule: str = "ic2",
    n_jobs: int | None = None,
    progress: Progress = None,
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
    rule : {"ic1", "ic2", "er", "gr", "ed", "cv"}
    n_jobs, progress
        Of :func:`gifepanel.parallel.run_tasks`.
    """
    factors, rules = pd.DataFrame(), pd.Series(dtype=int)
    if isinstance(n_factors, int):
        chosen = n_factors
    else:
        criteria = _over_factors(data, n_factors, n_jobs, progress)
        index = pd.Index(criteria.n_factors, name="n_factors")
        factors = pd.DataFrame({"v": criteria.v, "ic1": criteria.ic1, "ic2": criteria.ic2}, index=index)
        rules = pd.Series({name: getattr(criteria, attribute) for name, attribute in _RULES.items()}, name="n_factors")
        if rule == "cv":
            assert isinstance(data, Cells)
            tried = _validated(data, n_factors, options.seed, n_jobs, progress)
            factors["cv"], factors["cv_se"] = [cv.mean for cv in tried], [cv.standard_error for cv in tried]
            rules["cv"] = int(factors["cv"].idxmin())
        chosen = int(rules[rule])
    groups = pd.DataFrame()
    if isinstance(n_groups, int):
        n = n_groups
    else:
        groups = _over_groups(data, chosen, n_groups, options, n_jobs, progress)
        n = int(groups["ic"].idxmin())
    return Selection(chosen, n, factors, rules, groups, rule)


def _over_factors(
    data: PanelArrays | Cells, numbers: list[int], n_jobs: int | None, progress: Progress
) -> FactorCriteria:
    work: dict[str, Any] = {"n_jobs": n_jobs, "progress": progress, "description": "factors"}
    tasks = [(data, r) for r in numbers]
    if isinstance(data, Cells):
        return cell_criteria(data, numbers, run_tasks(slopes_by_entity, tasks, **work))
    found = run_tasks(heterogeneous_ssr, tasks, **work)
    return factor_criteria(data, numbers, [ssr for ssr, _ in found], found[-1][1])


def _validated(
    cells: Cells, numbers: list[int], seed: Any, n_jobs: int | None, progress: Progress
) -> list[CrossValidation]:
    """Cross-validation over the same cells held out for all numbers."""
    most = max(numbers) + max(cells.data.known.shape[0], cells.data.period.shape[0])
    folds = held_out(cells, most, _FOLDS, np.random.default_rng(seed))
    if sum(fold.any() for fold in folds) < 2:
        raise SpecificationError(
            f"Cross-validation up to {max(numbers)} factors has no cells to hold out.",
            "Entities need periods to spare: more than twice their coefficients.",
            'rule="ic2"',
        )
    tasks = [(cells, r, folds) for r in numbers]
    return run_tasks(cross_validated, tasks, n_jobs=n_jobs, progress=progress, description="cross-validation")


def _over_groups(
    data: PanelArrays | Cells,
    n_factors: int,
    numbers: list[int],
    options: GroupedOptions,
    n_jobs: int | None,
    progress: Progress,
) -> pd.DataFrame:
    fits = run_tasks(
        _grouped_on_cells if isinstance(data, Cells) else fit_grouped,
        [(data, k, n_factors, options) for k in numbers],
        n_jobs=n_jobs,
        progress=progress,
        description="groups",
    )
    rows = []
    for k, fit in zip(numbers, fits, strict=True):
        ssr = fit.classification.fit.ssr
        rows.append(
            {
                "sigma2": ssr / (data.size if isinstance(data, Cells) else data.y.size),
                "ic": _group_criterion(data, ssr, n_factors, len(options.common), k),
                "smallest": int(np.bincount(fit.groups, minlength=k).min()),
                "converged": bool(fit.classification.fit.converged and fit.penalized.converged),
            }
        )
    return pd.DataFrame(rows, index=pd.Index(numbers, name="n_groups"))


def _grouped_on_cells(cells: Cells, n_groups: int, n_factors: int, options: GroupedOptions) -> Any:
    return fit_grouped_cells(cells, n_groups, n_factors, options)[0]


def _group_criterion(data: PanelArrays | Cells, ssr: float, n_factors: int, n_common: int, n_groups: int) -> float:
    if isinstance(data, Cells):
        free = data.n_regressors - n_common
        return cell_group_criterion(data, ssr, n_factors, n_common + n_groups * free, free, n_groups)
    n, t, p = data.shape
    return group_criterion(ssr, n, t, p - n_common, n_groups)
