"""Observed cells as data of the penalised stage: factors by rounds of alternating least squares, units as ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gifepanel.kernels.cell_newton import alternate_rounds
from gifepanel.kernels.cells import CellState, evaluate_cells, unit_sums
from gifepanel.solvers.arrays import Array, Components, UnitQuadratics
from gifepanel.solvers.cell_descent import SPANNED, free_rows
from gifepanel.solvers.cell_descent import room as cell_room
from gifepanel.solvers.cells import Cells
from gifepanel.solvers.heterogeneous import HeterogeneousFit

__all__ = ["CellComponents", "CellPanel", "shrunken_slopes"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]
_SHRINK = 2.0


@dataclass(frozen=True)
class CellComponents(Components):
    """Factors at unit slopes.

    Attributes
    ----------
    rows : ndarray, shape (R, T)
        The factors.
    effects : ndarray, shape (m, T)
        Period coefficients.
    state : CellState
    beta : ndarray, shape (N, p)
        The slopes.
    """

    rows: Array
    effects: Array
    state: CellState
    beta: Array

    def of_columns(self, columns: IntArray) -> CellComponents:
        """The same for slopes of some of the regressors."""
        return replace(self, beta=np.ascontiguousarray(self.beta[:, columns]))

    def rescaled(self, factor: Array) -> CellComponents:
        """The same for slopes times `factor` (p,)."""
        return replace(self, beta=self.beta * factor)


@dataclass(frozen=True)
class CellPanel:
    """Observed cells with slopes of every entity; see :class:`~gifepanel.solvers.arrays.GroupedData`.

    Attributes
    ----------
    cells : Cells
    rounds : int
        Of alternating least squares for a set of factors.
    """

    cells: Cells
    rounds: int = 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, T, p)."""
        return *self.cells.shape, self.cells.n_regressors

    @property
    def scale(self) -> Array:
        """Of the regressors."""
        return self.cells.scale

    @property
    def n_cells(self) -> int:
        """n."""
        return self.cells.size

    @property
    def periods(self) -> float:
        """n / N."""
        return self.cells.size / self.cells.shape[0]

    def moves(self, n_factors: int) -> bool:
        """Whether what is concentrated out depends on the slopes."""
        return bool(n_factors or self.cells.data.period.shape[0])

    def is_bounded(self, n_factors: int) -> bool:
        """Whether every entity has periods to spare for its own coefficients: otherwise its loadings may run away."""
        own = n_factors + self.cells.data.known.shape[0] + self.cells.n_regressors
        return bool(np.diff(self.cells.data.ptr).min() > own)

    def room(self) -> Array:
        """None is needed."""
        return np.empty(0)

    def rescaled(self, factor: Array) -> CellPanel:
        """Regressor j divided by ``factor[j]``."""
        data = self.cells.data
        return replace(
            self,
            cells=replace(self.cells, data=data._replace(x=data.x / factor[:, None]), scale=self.cells.scale * factor),
        )

    def subset_of_columns(self, free: IntArray, common: IntArray, gamma: Array) -> CellPanel:
        """The panel in the regressors `free`, the others taken out of the outcome at slopes `gamma`."""
        data = self.cells.data
        y = data.y - gamma @ data.x[common]
        cells = replace(
            self.cells, data=data._replace(y=y, x=np.ascontiguousarray(data.x[free])), scale=self.cells.scale[free]
        )
        return replace(self, cells=cells)

    def components(
        self, beta: Array, n_factors: int, *, last: Components | None = None, room: Array | None = None
    ) -> CellComponents:
        """Factors and period coefficients at unit slopes (N, p), from the `last` ones: each round lowers the sum."""
        assert isinstance(last, CellComponents) or not self.moves(n_factors)
        t = self.cells.shape[1]
        rows, effects = np.empty((0, t)), np.zeros((self.cells.data.period.shape[0], t))
        if isinstance(last, CellComponents):
            rows, effects = last.rows, last.effects
        return self.at(beta, rows, effects, self.rounds if self.moves(n_factors) else 0)

    def at(self, beta: Array, rows: Array, effects: Array, rounds: int) -> CellComponents:
        """Factors and period coefficients after some rounds from given ones."""
        cells, r = self.cells, len(rows)
        n, _, p = self.shape
        state = cell_room(cells, r, n * p)
        own, slots = np.arange(n), np.arange(n * p).reshape(n, p)
        theta, rows, effects = np.ascontiguousarray(beta).ravel(), np.array(rows), np.array(effects)
        if rounds:
            free = free_rows(cells, r)
            known = (cells.data, own, slots, cells.series, free)
            alternate_rounds(*known, theta, rows, effects, state, rounds, SPANNED, True)
        ssr = float(evaluate_cells(cells.data, own, slots, theta, rows, effects, SPANNED, state))
        loadings = state.coef[:, state.coef.shape[1] - r :]
        return CellComponents(rows.T, loadings, np.zeros(cells.shape[1]), ssr, rows, effects, state, beta)

    def quadratics(self, components: Components) -> UnitQuadratics:
        """Every unit's sum of squares under factors and period coefficients."""
        assert isinstance(components, CellComponents)
        n, _, p = self.shape
        a, c, s = np.empty((n, p, p)), np.empty((n, p)), np.empty(n)
        unit_sums(self.cells.data, components.state, np.ascontiguousarray(components.beta), a, c, s)
        return UnitQuadratics(a, c, s)


def shrunken_slopes(
    panel: CellPanel,
    theta: Array,
    rows: Array,
    effects: Array,
    *,
    common: Sequence[int] = (),
    tau: float = _SHRINK,
    tol: float = 1e-4,
    max_iter: int = 40,
) -> HeterogeneousFit:
    """Slopes of every entity under common factors, drawn to their mean with the weight of `tau` periods.

    Minimises sum_i ssr_i(b_i; F) + tau sum_i (b_i - m)'A(b_i - m), A = sum_i A_i / n, alternating slopes, their mean
    and factors, from slopes common to all. Slopes of entities with few periods would be anything without it.

    Parameters
    ----------
    panel : CellPanel
    theta : ndarray, shape (p,)
        Slopes common to all.
    rows, effects : ndarray
        Factors (R, T) and period coefficients (m, T) to begin with.
    common : sequence of int
        Regressors whose slope stays common.
    tau : float
    tol : float
        On the relative fall of the sum of squares.
    max_iter : int
    """
    n, _, p = panel.shape
    free = np.setdiff1d(np.arange(p), np.asarray(list(common), dtype=np.int64))
    shared = np.setdiff1d(np.arange(p), free)
    beta = np.repeat(theta[None], n, axis=0)
    middle = theta.copy()
    comp = panel.at(beta, rows, effects, 0)
    previous, rounds = np.inf, 0
    while True:
        q = panel.quadratics(comp)
        pull = q.a.sum(axis=0) / panel.n_cells * tau
        beta = _drawn(q, pull, middle, free, shared)
        middle[free] = beta[:, free].mean(axis=0)
        ssr = float((q.s - 2.0 * np.einsum("np,np->n", q.c, beta) + np.einsum("np,npq,nq->n", beta, q.a, beta)).sum())
        if rounds >= max_iter or abs(previous - ssr) <= tol * ssr:
            comp = panel.at(beta, comp.rows, comp.effects, 0)
            singular = np.zeros(n, dtype=bool)
            return HeterogeneousFit(beta, comp, panel.quadratics(comp), comp.ssr, rounds, singular)
        previous, rounds = ssr, rounds + 1
        comp = panel.at(beta, comp.rows, comp.effects, 1 if panel.moves(len(rows)) else 0)


def _drawn(q: UnitQuadratics, pull: Array, middle: Array, free: IntArray, shared: IntArray) -> Array:
    """Slopes of every entity at given factors; the shared ones are least squares given the others."""
    beta = np.repeat(middle[None], len(q.c), axis=0)
    inner = q.a[:, free[:, None], free] + pull[free[:, None], free]
    anchor = pull[free[:, None], free] @ middle[free]
    rest = q.c[:, free] + anchor
    if shared.size:
        cross = q.a[:, free[:, None], shared]
        gain = np.linalg.solve(inner, cross)
        left = q.a[:, shared[:, None], shared] - np.einsum("nfs,nfr->nsr", cross, gain)
        right = q.c[:, shared] - np.einsum("nfs,nf->ns", gain, rest)
        gamma = np.linalg.lstsq(left.sum(axis=0), right.sum(axis=0), rcond=1e-12)[0]
        beta[:, shared] = gamma
        middle[shared] = gamma
        rest = rest - cross @ gamma
    beta[:, free] = np.linalg.solve(inner, rest[..., None])[..., 0]
    return beta
