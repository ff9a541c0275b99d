"""Least squares with factors on observed cells, from several starts: the best minimum, and what else was found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gifepanel.solvers.cell_descent import CellFit, polished
from gifepanel.solvers.cell_sample import CellSample, fit_cells, sample_of
from gifepanel.solvers.cell_starts import CellStart, cell_starts, pooled_cells
from gifepanel.solvers.cells import Cells
from gifepanel.solvers.interactive import LocalMinimum, SlopeMap

__all__ = ["CellMinimum", "fit_cells_multistart", "runaway_units"]

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
_SAME = 1e-7
_RUNAWAY = 100.0
_MAX_ITER = 60


@dataclass(frozen=True)
class CellMinimum:
    """The best minimum over the starts.

    Attributes
    ----------
    fit : CellFit
    minima : tuple of LocalMinimum
        Distinct minima, best first; of descents that converged, if any did.
    lower : float or None
        A smaller sum of squares that a descent passed on its way to an infimum at infinity.
    """

    fit: CellFit
    minima: tuple[LocalMinimum, ...]
    lower: float | None = None


def fit_cells_multistart(
    cells: Cells,
    slopes: SlopeMap,
    n_factors: int,
    n_starts: int,
    rng: np.random.Generator,
    *,
    tol: float = 1e-9,
    max_iter: int = 100,
    first: Iterable[CellStart] = (),
    polish: bool = True,
) -> CellMinimum:
    """The best minimum over named starts; converged descents come before those that are not.

    On a large panel starts descend on a sample of the entities first (:mod:`gifepanel.solvers.cell_sample`): those that
    lead to one minimum there are one descent on the whole.

    Parameters
    ----------
    cells : Cells
    slopes : SlopeMap
    n_factors : int
    n_starts : int
        Besides `first`; there may be none then.
    rng : Generator
    tol : float
        Of the certificate, see :func:`~gifepanel.solvers.cell_descent.descend_cells`.
    max_iter : int
    first : iterable of CellStart
        Starts of one's own, before the others.
    polish : bool
        Descend to the resolution of the gradient in the end.
    """
    found: list[tuple[CellFit, list[str]]] = []
    sample = sample_of(cells, slopes, n_factors) if n_starts else None
    for start, given in _starts(cells, slopes, n_factors, n_starts, rng, first, sample):
        at = start
        if sample:
            near, number = sample.descend(start)
            if number is not None:
                found[number][1].append(start.name)
                continue
            if not given:
                at = CellStart(start.name, near.theta, near.factors, near.effects, 0)
        best = min((fit for fit, _ in found if fit.converged), key=lambda fit: fit.ssr, default=None)
        steps = max_iter if not found else min(max_iter, _MAX_ITER)
        number = _record(found, fit_cells(cells, slopes, at, tol=tol, max_iter=steps, known=best), start.name)
        if sample:
            sample.met.put_down(near, number)
    found.sort(key=lambda entry: (not entry[0].converged, entry[0].ssr))
    best = found[0][0]
    lowest = min(fit.ssr for fit, _ in found)
    if polish:
        best = polished(cells, slopes, best)
    minima = tuple(
        LocalMinimum(fit.ssr, fit.theta, tuple(names)) for fit, names in found if fit.converged == best.converged
    )
    lower = lowest if lowest < best.ssr * (1.0 - 1e-6) else None
    return CellMinimum(best, minima, lower)


def _starts(
    cells: Cells,
    slopes: SlopeMap,
    n_factors: int,
    n_starts: int,
    rng: np.random.Generator,
    first: Iterable[CellStart],
    sample: CellSample | None,
) -> Iterator[tuple[CellStart, bool]]:
    """Starts, with whether they are given; those that are not are made on the sample, if there is one."""
    yield from ((start, True) for start in first)
    if n_starts:
        where = (sample.cells, sample.slopes) if sample else (cells, slopes)
        starts = cell_starts(*where, n_factors, n_starts, rng, pooled_cells(*where))
        yield from ((start, False) for start in starts)


def _record(found: list[tuple[CellFit, list[str]]], fit: CellFit, name: str) -> int:
    """Add a fit, or its name to the same minimum, of which the better fit is kept; its number."""
    for j, (known, names) in enumerate(found):
        if known.converged == fit.converged and abs(known.ssr - fit.ssr) <= _SAME * max(known.ssr, fit.ssr):
            better = fit if (fit.ssr, fit.gradient) < (known.ssr, known.gradient) else known
            found[j] = (better, [*names, name])
            return j
    found.append((fit, [name]))
    return len(found) - 1


def runaway_units(fit: CellFit) -> BoolArray:
    """Entities (N,) whose loadings grow without bound: least squares has an infimum at infinity then.

    An entity with few cells, up to about 2 R + 1, can be fitted ever better as its loadings grow. The sum of squares
    still falls by less and less while the certificate does not.
    """
    loadings = fit.loadings
    none = np.zeros(len(loadings), dtype=bool)
    if fit.converged or not loadings.shape[1]:
        return none
    length = np.linalg.norm(loadings, axis=1)
    return np.asarray(length > _RUNAWAY * max(float(np.median(length)), np.finfo(float).tiny))
