"""Some entities of a large complete panel, on which descents and searches begin: near minima at a fraction of the cost.

As :mod:`gifepanel.solvers.cell_sample` for panels with holes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gifepanel.solvers.arrays import PanelArrays
from gifepanel.solvers.interactive import (
    InteractiveFit,
    Named,
    SlopeMap,
    best_of,
    fit_interactive,
    fit_interactive_multistart,
    fit_nearby,
    record,
)
from gifepanel.solvers.met_minima import MetMinima

__all__ = ["PanelSample", "fit_on_sample_first", "sample_of_panel"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]
# cells of a sample, the fewest entities of a group and, for each coefficient of a period, entities in it
_CELLS, _ENTITIES, _OF_PERIODS = 12_000, 40, 20
_FEWEST = 3
_TOL, _MAX_ITER = 1e-4, 60


@dataclass(frozen=True)
class PanelSample:
    """Every so-manieth entity of a panel in canonical order.

    Attributes
    ----------
    data : PanelArrays
    slopes : SlopeMap
    units : ndarray of int64
        The entities that are in it.
    met : MetMinima
    """

    data: PanelArrays
    slopes: SlopeMap
    units: IntArray
    met: MetMinima[InteractiveFit] = field(default_factory=MetMinima)

    def descend(self, theta: Any, n_factors: int) -> tuple[InteractiveFit, int | None]:
        """Where slopes lead on the sample, and the fit that began there if it has been met."""
        options: dict[str, Any] = {"tol": _TOL, "max_iter": _MAX_ITER, "known": self.met.best}
        fit = fit_nearby(self.data, self.slopes, n_factors, theta, **options)
        return fit, self.met.number_of(fit)


def sample_of_panel(data: PanelArrays, slopes: SlopeMap, n_factors: int, least: int = _CELLS) -> PanelSample | None:
    """A sample with at least so many cells; None where the panel is small or has no factors.

    Entities of the panel are in canonical order: taking every third, say, takes from all sizes of outcomes. Of groups
    that would have few in it more are taken.
    """
    n = data.shape[0]
    step = min(data.n_cells // least, n // (_OF_PERIODS * (n_factors + data.time_effects) or 1))
    while step >= _FEWEST and n_factors:
        taken = np.arange(n) % step == 0
        groups = [np.flatnonzero(slopes.groups == k) for k in range(len(slopes.slots))]
        for group in groups:
            if taken[group].sum() < _ENTITIES:
                taken[group[:: max(1, len(group) // _ENTITIES)]] = True
        units = np.flatnonzero(taken)
        if len(units) * _FEWEST <= n:
            return PanelSample(data.take(units), SlopeMap(slopes.groups[units], slopes.slots), units)
        step //= 2
    return None


def fit_on_sample_first(
    data: PanelArrays,
    slopes: SlopeMap,
    n_factors: int,
    starts: Iterable[tuple[str, Any]],
    sample: PanelSample | None,
    *,
    tol: float = 1e-9,
    max_iter: int = 500,
    known: InteractiveFit | None = None,
) -> InteractiveFit:
    """As :func:`~gifepanel.solvers.interactive.fit_interactive_multistart`, on a sample first where there is one.

    Starts that lead to one minimum there are one descent on the whole.
    """
    options: dict[str, Any] = {"tol": tol, "max_iter": max_iter, "known": known}
    if sample is None:
        return fit_interactive_multistart(data, slopes, n_factors, starts, **options)
    found: list[Named] = []
    if known is not None:
        found.append((known, ()))
        sample.met.put_down(sample.descend(known.theta, n_factors)[0], 0)
    for name, theta in starts:
        near, number = sample.descend(theta, n_factors)
        if number is None:
            number = record(data, found, fit_interactive(data, slopes, n_factors, near.theta, **options), name)
            sample.met.put_down(near, number)
        else:
            found[number] = (found[number][0], (*found[number][1], name))
    return best_of(found)
