"""How many factors, how many groups, where cells are missing: criteria on the same cells, and cross-validation.

The penalty of Bai and Ng (2002) keeps the logarithm of the smaller dimension of the panel and divides by the cells that
are observed; the variance is that of slopes of entities drawn to their mean. Both matter once many cells are missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gifepanel.solvers.arrays import Array
from gifepanel.solvers.cell_interactive import fit_cells_multistart
from gifepanel.solvers.cell_panel import CellComponents, CellPanel, shrunken_slopes
from gifepanel.solvers.cells import Cells, n_coefficients
from gifepanel.solvers.heterogeneous import HeterogeneousFit
from gifepanel.solvers.interactive import SlopeMap
from gifepanel.solvers.selection import FactorCriteria, criteria_at

__all__ = [
    "CrossValidation",
    "cell_criteria",
    "cell_group_criterion",
    "completed",
    "cross_validated",
    "held_out",
    "slopes_by_entity",
]

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
_SHRINK = 5.0
_TOL, _ROUNDS = 1e-6, 200
_BLOCK = 3


def slopes_by_entity(cells: Cells, n_factors: int, tol: float = _TOL) -> HeterogeneousFit:
    """Slopes of every entity under factors, drawn to their mean with the weight of five periods."""
    one = SlopeMap(np.zeros(cells.shape[0], dtype=np.int64), np.arange(cells.n_regressors)[None])
    rng = np.random.default_rng(0)
    fit = fit_cells_multistart(cells, one, n_factors, 1, rng, tol=1e-4, max_iter=30, polish=False).fit
    return shrunken_slopes(
        CellPanel(cells), fit.theta, fit.factors, fit.effects, tau=_SHRINK, tol=tol, max_iter=_ROUNDS
    )


def cell_criteria(cells: Cells, candidates: Sequence[int], fits: Sequence[HeterogeneousFit]) -> FactorCriteria:
    """Criteria over numbers of factors, all fitted on the same cells.

    Parameters
    ----------
    cells : Cells
    candidates : sequence of int
        Increasing.
    fits : sequence of HeterogeneousFit
        Of :func:`slopes_by_entity`, one for each.

    Notes
    -----
    IC2 is ``ln(V/n) + R ln(min(N, T)) (N + T)/n`` with n observed cells. Ratios of eigenvalues are those of the
    residuals of the largest candidate, holes filled by what its factors say: a second opinion.
    """
    rows, cols = _dimensions(cells)
    v = np.array([fit.ssr for fit in fits]) / cells.size
    return criteria_at(candidates, v, cells.size / (rows + cols), min(rows, cols), completed(cells, fits[-1]))


def _dimensions(cells: Cells) -> tuple[int, int]:
    """N and T less what additive effects take."""
    n, t = cells.shape
    return n - cells.data.period.shape[0], t - len(cells.series)


def completed(cells: Cells, fit: HeterogeneousFit) -> Array:
    """y less slopes and known parts (N, T), holes filled by factors and loadings."""
    comp = fit.components
    assert isinstance(comp, CellComponents)
    common = comp.loadings @ comp.rows
    out = np.array(common)
    entity, time = cells.entity, cells.data.time
    out[entity, time] += comp.state.e / cells.data.root
    return out


def cell_group_criterion(
    cells: Cells,
    ssr: float,
    n_factors: int,
    n_slopes: int,
    n_free: int,
    n_groups: int,
    design_effect: float = 1.0,
) -> float:
    """ln(ssr/df) + (2/3) n^(-1/2) p K phi: as on a complete panel, variance over the degrees of freedom.

    Parameters
    ----------
    cells : Cells
    ssr : float
    n_factors : int
    n_slopes : int
        Parameters: slopes of all groups.
    n_free : int
        Slopes that differ across groups, p.
    n_groups : int
        K.
    design_effect : float
        phi.
    """
    n, t = cells.shape
    d, m = cells.data.known.shape[0], cells.data.period.shape[0]
    df = max(cells.size - n_coefficients(n, t, n_factors + d, n_factors + m) - n_slopes, 1)
    return float(np.log(ssr / df) + 2.0 / 3.0 * cells.size**-0.5 * n_free * n_groups * design_effect)


@dataclass(frozen=True)
class CrossValidation:
    """Squared errors of prediction for cells held out.

    Attributes
    ----------
    error : ndarray, shape (folds,)
        Means over the cells of a fold.
    """

    error: Array

    @property
    def mean(self) -> float:
        """Over the folds."""
        return float(self.error.mean())

    @property
    def standard_error(self) -> float:
        """Of the mean, folds taken as independent."""
        return float(self.error.std(ddof=1) / np.sqrt(len(self.error)))


def held_out(cells: Cells, most: int, n_folds: int, rng: np.random.Generator) -> list[BoolArray]:
    """Cells (n,) to hold out in each fold: blocks of three periods in a row, at most half of what an entity can spare.

    Parameters
    ----------
    cells : Cells
    most : int
        Coefficients of an entity at the largest candidate.
    n_folds : int
    rng : Generator
    """
    blocks: list[IntArray] = []
    for lo, hi in zip(cells.data.ptr[:-1], cells.data.ptr[1:], strict=True):
        spare = (hi - lo - most - 1) // 2
        starts = np.arange(lo, hi - _BLOCK + 1, _BLOCK)
        number = min(len(starts), int(spare) // _BLOCK * n_folds)
        if number > 0:
            blocks += [np.arange(s, s + _BLOCK) for s in rng.permutation(starts)[:number]]
    order = rng.permutation(len(blocks))
    folds = [np.zeros(cells.size, dtype=bool) for _ in range(n_folds)]
    for position, block in enumerate(order):
        folds[position % n_folds][blocks[block]] = True
    return [_with_enough_left(cells, fold, most) for fold in folds]


def _with_enough_left(cells: Cells, fold: BoolArray, most: int) -> BoolArray:
    """The fold without blocks of entities that would be left with too few cells, and without thinned-out periods."""
    counts = np.diff(cells.data.ptr)
    out = np.bincount(cells.entity, fold, minlength=len(counts))
    fold = fold & (counts - out > most)[cells.entity]
    total = np.bincount(cells.data.time, minlength=cells.shape[1])
    out = np.bincount(cells.data.time, fold, minlength=cells.shape[1])
    return np.asarray(fold & (total - out > most)[cells.data.time])


def cross_validated(cells: Cells, n_factors: int, folds: Sequence[BoolArray]) -> CrossValidation:
    """Errors of predictions of the cells held out, from slopes of entities, factors and effects of the others."""
    return CrossValidation(np.array([_error(cells, n_factors, fold) for fold in folds if fold.any()]))


def _error(cells: Cells, n_factors: int, fold: BoolArray) -> float:
    kept = _subset(cells, ~fold)
    fit = slopes_by_entity(kept, n_factors, tol=1e-4)
    comp = fit.components
    assert isinstance(comp, CellComponents)
    data, entity, time = cells.data, cells.entity[fold], cells.data.time[fold]
    root = data.root[fold]
    d = data.known.shape[0]
    fitted = np.einsum("kn,nk->n", data.x[:, fold], fit.beta[entity])
    fitted += np.einsum("dn,nd->n", data.known[:, fold], comp.state.coef[entity, :d])
    fitted += np.einsum("mn,mn->n", data.period[:, fold], comp.effects[:, time])
    fitted += root * np.einsum("nr,rn->n", comp.state.coef[entity, d:], comp.rows[:, time])
    return float(np.square((data.y[fold] - fitted) / root).mean())


def _subset(cells: Cells, keep: BoolArray) -> Cells:
    """Some of the cells, all entities and periods among them."""
    data = cells.data
    counts = np.bincount(cells.entity[keep], minlength=cells.shape[0])
    ptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    columns = {
        name: np.ascontiguousarray(getattr(data, name)[..., keep]) for name in ("y", "x", "known", "period", "root")
    }
    return replace(cells, data=data._replace(ptr=ptr, time=data.time[keep], **columns), entity=cells.entity[keep])
