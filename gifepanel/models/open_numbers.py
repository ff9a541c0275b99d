"""Numbers of factors and groups that a model leaves open: candidates, the choice among them, the fit with it."""

from __future__ import annotations

import copy
import numbers
import warnings
from collections.abc import Iterable
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any

from gifepanel.exceptions import SpecificationWarning, caller_level
from gifepanel.models.cell_estimation import cells_of_model
from gifepanel.models.checkpoints import check_repeatable, checkpoint_of
from gifepanel.models.checks import check_choice, check_number
from gifepanel.models.counts import RULES, Count, candidates, check_share, select_counts
from gifepanel.models.estimation import estimate_of_groups
from gifepanel.models.pruning import largest_with_core
from gifepanel.parallel import Progress
from gifepanel.results.selection import Selection
from gifepanel.solvers.blocked import prepare_panel
from gifepanel.solvers.grouped import GroupedOptions
from gifepanel.solvers.selection import smallest_group
from gifepanel.tables.choices import notes_on_edges

__all__ = ["OpenNumbers", "largest_asked"]

_KEPT_BY_ALL = 0.75  # of the cells, by the largest number of factors that "auto" tries


class OpenNumbers:
    """Mixed in before statsmodels' OLS: ``n_factors`` and ``n_groups`` as ranges or "auto"."""

    if TYPE_CHECKING:
        _chosen: bool
        _min_group_share: float
        _names: Any
        _observed: Any
        _parts: Any
        _pruned_at: int
        _whole: Any
        _common: Any
        _x: Any
        _y: Any
        entity_effects: bool
        time_effects: bool

        @property
        def n_entities(self) -> int: ...
        @property
        def n_times(self) -> int: ...
        @property
        def _on_cells(self) -> bool: ...
        def _take_core(self, n_factors: int, set_aside: tuple[Any, ...] = (), *, warn: bool = True) -> None: ...
        def _take_again(self, set_aside: tuple[Any, ...] = ()) -> None: ...
        def fit(self, **arguments: Any) -> Any: ...

    def _read_counts(self, n_factors: Any, n_groups: Any) -> bool:
        """Take the numbers where they are given; otherwise keep the candidates for :meth:`select`. True if given."""
        limit = self._largest_n_factors()
        both = {"n_factors": n_factors, "n_groups": n_groups}
        self._automatic = tuple(name for name, given in both.items() if isinstance(given, str))
        factors = candidates("n_factors", n_factors, range(0, min(8, limit) + 1))
        groups = candidates("n_groups", n_groups, range(1, max(1, min(6, self.n_entities // 4)) + 1))
        self._candidates = None if isinstance(factors, int) and isinstance(groups, int) else (factors, groups)
        self.n_factors = factors if isinstance(factors, int) else max(factors)
        self.n_groups = groups if isinstance(groups, int) else max(groups)
        if self._observed is not None and self.n_factors != self._pruned_at:
            self._take_core(self.n_factors, warn=False)
        return self._candidates is None

    def _largest_n_factors(self) -> int:
        """The largest R for which every entity identifies its own slopes, with a few periods to spare."""
        n, t = self.n_entities - self.time_effects, self.n_times - self.entity_effects
        largest = max(0, min(n - 2, t - len(self._names) - 3))
        if self._observed is None:
            return largest
        counts = (len(self._parts.unit_names), len(self._parts.period_names))
        return max(0, largest_with_core(self._whole.index.mask, *counts, largest, _KEPT_BY_ALL))

    def select(
        self,
        *,
        n_factors: Count | None = None,
        n_groups: Count | None = None,
        rule: str = "edge",
        min_group_share: float | None = None,
        kappa_scale: float = 1.0,
        random_state: Any = 0,
        n_jobs: int | None = None,
        progress: Progress = None,
        checkpoint: str | PathLike[str] | None = None,
    ) -> Selection:
        """Choose the numbers of factors and groups that were left open; see :func:`gifepanel.select`.

        Parameters
        ----------
        n_factors, n_groups : int, iterable of int or "auto", optional
            Candidates; by default those of the model.
        rule : {"edge", "ic2", "ic1", "er", "gr", "ed", "cv"}
            "edge": sequential test of the next component against simulated noise with the memory of the residuals.
            "cv": cross-validation over cells held out, blocks of three periods in five folds, with its standard error.
        min_group_share : float, optional
            Smallest share of the entities in a group; by default that of the model.
        kappa_scale : float
        random_state : int or Generator
        n_jobs : int, optional
        progress : bool or callable, optional
        checkpoint : str or path, optional
            A folder that keeps what is finished; the same call again goes on from there.

        Returns
        -------
        Selection

        Examples
        --------
        >>> import gifepanel as gife
        >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=30, random_state=1)
        >>> counts = {"n_groups": range(1, 4), "n_factors": range(0, 4)}
        >>> model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, **counts)
        >>> choice = model.select()
        >>> choice.n_factors, choice.n_groups
        (2, 3)
        """
        check_choice("rule", rule, RULES)
        share = self._min_group_share if min_group_share is None else check_share(min_group_share)
        open_model: Any = copy.copy(self)
        own = self._candidates or (self.n_factors, self.n_groups)
        open_model._read_counts(own[0] if n_factors is None else n_factors, own[1] if n_groups is None else n_groups)
        open_model._check_counts()
        factors, groups = open_model._candidates or (open_model.n_factors, open_model.n_groups)
        data: Any
        if open_model._on_cells or rule == "cv":
            data = cells_of_model(open_model, standardize=True)
        else:
            effects = {"entity_effects": self.entity_effects, "time_effects": self.time_effects}
            data = prepare_panel(self._y, self._x, **effects, standardize=True)
        options = GroupedOptions(
            kappa_scale=check_number("kappa_scale", kappa_scale, 1.0),
            common=self._common,
            seed=check_repeatable(random_state, checkpoint),
        )
        return select_counts(
            data,
            factors,
            groups,
            options,
            partial(estimate_of_groups, open_model),
            rule=rule,
            smallest=smallest_group(share, self.n_entities),
            n_jobs=n_jobs,
            progress=progress,
            checkpoint=checkpoint_of(checkpoint, "selection", random_state, data=data, options=options),
        )

    def _check_counts(self) -> None:
        """The numbers of factors and groups must fit the data."""
        raise NotImplementedError

    def _warn_of_edges(self, selection: Selection) -> None:
        """Warn of numbers at the edge of what "auto" tried, where more could be tried."""
        limits = {"n_factors": self._largest_n_factors(), "n_groups": self.n_entities // 2}
        for found in notes_on_edges(selection):
            name = "n_factors" if "factors" in found else "n_groups"
            largest = selection.n_factors if name == "n_factors" else selection.n_groups
            settled = name == "n_factors" and selection.rule == "edge" and selection.edge_accepted
            # of the caller's own range a note says it
            if name in self._automatic and not settled and largest < limits[name]:
                more = f"{name}=range({largest}, {min(largest + 5, limits[name] + 1)})"
                warnings.warn(
                    SpecificationWarning(found, "Look at the criteria, or try more.", more), stacklevel=caller_level()
                )

    def _fit_selected(self, arguments: dict[str, Any]) -> Any:
        """Choose the numbers that were left open, then fit with them; the choice is kept as ``selection``."""
        if isinstance(arguments["bias_correction"], str) and arguments["bias_correction"] == "jackknife":
            from gifepanel.models.cell_halves import check_halves_of

            model: Any = self
            check_halves_of(model)  # whatever the numbers turn out to be
        workers = {name: arguments[name] for name in ("n_jobs", "progress")}
        selection = self.select(
            kappa_scale=arguments.get("kappa_scale", 1.0), random_state=arguments["random_state"], **workers
        )
        self._warn_of_edges(selection)
        chosen = copy.copy(self)
        chosen._candidates, chosen._chosen = None, True
        chosen.n_factors, chosen.n_groups = selection.n_factors, selection.n_groups
        if chosen._observed is not None:
            chosen._take_again()
        chosen._check_counts()
        results = chosen.fit(**arguments)
        results._results.selection = selection
        return results


def largest_asked(n_factors: Any) -> int:
    """The largest number of factors asked for; 0 while it is open."""
    if isinstance(n_factors, str) or n_factors is None:
        return 0
    given = list(n_factors) if isinstance(n_factors, Iterable) else [n_factors]
    return max((int(r) for r in given if isinstance(r, numbers.Integral) and int(r) > 0), default=0)
