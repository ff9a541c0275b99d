"""The projection off factors, loadings and effects of a panel in which cells are missing.

On a complete panel it is z -> M_Lambda z M_F. With holes the directions a_i'f_t + d_it'a_i + l_i'b_t + w_it'c_t, the
tangent space of everything that is estimated besides slopes, no longer make two projections that commute: coefficients
of entities are taken out entity by entity, those of periods by the normal equations

    S phi = sum_i l_i (M_i z)_it,    S = blockdiag_t(sum_i l_i l_i') - V V',    V[(t, r), (i, j)] = l_ir Q_i[t, j],

which are solved as they are where S is small, and by conjugate gradients otherwise, preconditioned by the blocks of S
(Czarnowske & Stammann 2020, arXiv:2004.03414, take the same residuals by alternating projections).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from gifepanel.kernels.cell_newton import truncated_cg
from gifepanel.kernels.cells import (
    CellData,
    CellState,
    cells_of_cube,
    cube_of_cells,
    less_periods,
    normal_blocks,
    off_units,
    period_scores,
)

__all__ = ["TangentSpace"]

Array = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
_TOL, _PRODUCTS = 1e-13, 2000
_DENSE, _DIRECT = 1e9, 600  # operations by which S is formed, and rows that it may have to be solved as it is
_RANK = 1e-9
_BLOCK = 1 << 21  # elements of the directions of so many entities at a time: 16 MB


@dataclass(frozen=True, eq=False)
class TangentSpace:
    """What has been taken out of a panel with holes.

    Attributes
    ----------
    data : CellData
    state : CellState
        At the estimate.
    gauge : ndarray, shape (g, T)
        Orthonormal rows that factors and known series span.
    free : ndarray of bool, shape (R + m,)
        Rows of period coefficients that no direction of the gauge concerns.
    """

    data: CellData
    state: CellState
    gauge: Array
    free: BoolArray

    @property
    def n_cells(self) -> int:
        """n."""
        return int(self.data.time.size)

    @cached_property
    def entity(self) -> IntArray:
        """Entity of each cell (n,)."""
        return np.repeat(np.arange(len(self.data.ptr) - 1), np.diff(self.data.ptr))

    @property
    def shape(self) -> tuple[int, int]:
        """(N, T)."""
        return len(self.data.ptr) - 1, int(self.state.g_period.shape[1])

    @cached_property
    def period_loadings(self) -> Array:
        """l of each cell, times the root of its weight (R + m, n): loadings and period columns."""
        d, data = self.data.known.shape[0], self.data
        return np.vstack([self.state.coef[self.entity, d:].T * data.root, data.period])

    @cached_property
    def blocks(self) -> Array:
        """Sums of l l' by period (T, R + m, R + m)."""
        k = self.period_loadings.shape[0]
        out = np.empty((self.shape[1], k, k))
        normal_blocks(self.data, self.state, out)
        return out

    @cached_property
    def _inverses(self) -> Array:
        k = self.blocks.shape[-1]
        if k == 0:
            return self.blocks
        lift = 1e-12 * np.trace(self.blocks, axis1=1, axis2=2) / k + 1e-300
        return np.linalg.inv(self.blocks + lift[:, None, None] * np.eye(k))

    def residual(self, columns: Array) -> tuple[Array, Array]:
        """Columns less what the tangent space fits.

        Parameters
        ----------
        columns : ndarray, shape (k, n)
            Times the roots of the weights.

        Returns
        -------
        residual : ndarray, shape (k, n)
        coefficients : ndarray, shape (k, R + m, T)
            phi: directions of factors and period coefficients.
        """
        out = np.array(columns, dtype=np.float64, order="C")
        phi = self.coefficients(out)[1]
        if phi.shape[1]:
            less_periods(self.data, self.state.coef, phi, out)
        off_units(self.data.ptr, self.state.q, out)
        return out, phi

    def coefficients(self, columns: Array) -> tuple[Array, Array]:
        """Sums sum_i l_i (M_i z)_it of columns z (k, n), and phi, which solves for them (k, R + m, T) both.

        The sum of their products is what loadings and period columns take from the squares of M_i z.
        """
        right = np.zeros((len(columns), self.period_loadings.shape[0], self.shape[1]))
        if not right.size:
            return right, right.copy()
        first = np.array(columns, dtype=np.float64, order="C")
        off_units(self.data.ptr, self.state.q, first)
        period_scores(self.data, self.state.coef, first, right)
        direct = self._is_small and right[0].size <= _DIRECT
        found = self._solved_directly(right) if direct else None
        phi = np.zeros_like(right)
        for j, size in enumerate(np.linalg.norm(columns, axis=1)):
            length = float(np.sqrt(np.einsum("jt,tjk,kt->", right[j], self._inverses, right[j])))
            if length > _TOL * size:  # else the sums are rounding
                phi[j] = self._by_gradients(right[j], float(size) / length) if found is None else found[j]
        return right, phi

    def off(self, cube: Array) -> Array:
        """A panel (N, T) or (N, T, k) less what the tangent space fits, times the roots of the weights, 0 in holes."""
        return self._by_cell(cube, lambda columns: self.residual(columns)[0])

    def taken_by_periods(self, cube: Array) -> Array:
        """What loadings and period columns take from the cross products of a panel (N, T, k), entities' own out (k, k).

        That is b'S^+ b, b the sums of :meth:`coefficients`.
        """
        right, phi = self.coefficients(self._columns(cube))
        return np.einsum("irt,jrt->ij", right, phi)

    def off_units(self, cube: Array) -> Array:
        """A panel likewise, less what the bases of entities fit."""

        def less(columns: Array) -> Array:
            off_units(self.data.ptr, self.state.q, columns)
            return columns

        return self._by_cell(cube, less)

    def _by_cell(self, cube: Array, change: Callable[[Array], Array]) -> Array:
        out = np.zeros(cube.shape if cube.ndim == 3 else (*cube.shape, 1))
        cube_of_cells(self.data.ptr, self.data.time, change(self._columns(cube)), out)
        return out.reshape(cube.shape)

    def _columns(self, cube: Array) -> Array:
        """The observed cells of a panel (N, T) or (N, T, k), times the roots of the weights (k, n)."""
        flat = np.ascontiguousarray(cube if cube.ndim == 3 else cube[:, :, None], dtype=np.float64)
        columns = np.empty((flat.shape[2], self.n_cells))
        cells_of_cube(self.data.ptr, self.data.time, self.data.root, flat, columns)
        return columns

    def _solved_directly(self, right: Array) -> Array:
        """phi by the pseudo-inverse of S, with a step of refinement."""
        values, vectors, size = self._spectrum
        keep = values > _RANK
        root = vectors[:, keep] / np.sqrt(values[keep]) / size[:, None]
        b = right.transpose(2, 1, 0).reshape(len(size), -1)
        x = root @ (root.T @ b)
        x += root @ (root.T @ (b - self._dense @ x))
        return np.ascontiguousarray(x.reshape(right.shape[2], right.shape[1], -1).transpose(2, 1, 0))

    def _by_gradients(self, right: Array, ratio: float) -> Array:
        """phi by conjugate gradients; `ratio` is the length of the column over that of its sums (R + m, T)."""
        data = self.data._replace(x=np.empty((0, self.n_cells)))
        state = self.state._replace(g_period=-right, g_theta=np.empty(0))
        none = np.zeros(self.shape[0], dtype=np.int64), np.empty((1, 0), dtype=np.int64)
        tol = max(_TOL, _TOL * ratio)
        solved = truncated_cg(
            data,
            *none,
            state,
            self._inverses,
            np.empty((0, 0)),
            self.gauge,
            self.free,
            False,
            np.inf,
            _PRODUCTS,
            tol,
        )
        return np.asarray(solved[0])

    @property
    def unit_ranks(self) -> IntArray:
        """Coefficients of every entity that are determined (N,)."""
        return np.asarray((np.einsum("njj->nj", self.state.tri) != 0).sum(axis=1), dtype=np.int64)

    @cached_property
    def rank_units(self) -> int:
        """Coefficients of entities that are determined."""
        return int(self.unit_ranks.sum())

    @cached_property
    def rank_periods(self) -> int:
        """Rank of S: counted where that is cheap, else the number that it has but for coincidence."""
        t, k = self.shape[1], self.period_loadings.shape[0]
        if k == 0:
            return 0
        if not self._is_small:
            return t * k - self.n_components * len(self.gauge) * int((~self.free).sum())
        return int((self._spectrum[0] > _RANK).sum())

    @property
    def _is_small(self) -> bool:
        """Whether S is formed: that takes about as much as a few products with it."""
        (n, t), k, b = self.shape, self.period_loadings.shape[0], self.state.q.shape[0]
        return (t * k) ** 2 * float(n * max(b, 1)) <= _DENSE

    @cached_property
    def _spectrum(self) -> tuple[Array, Array, Array]:
        """Eigenvalues and -vectors of S over lengths of its rows (Tk,), before coefficients of entities, and these."""
        size = np.sqrt(np.maximum(np.diag(self._dense + self._taken), 1e-300))
        return *np.linalg.eigh(self._dense / size / size[:, None]), size

    @cached_property
    def n_components(self) -> int:
        """Pieces of the panel that share neither entities nor periods."""
        n, t = self.shape
        edges = coo_matrix((np.ones(self.n_cells), (self.entity, n + self.data.time)), shape=(n + t, n + t))
        found = connected_components(edges, directed=False)[1]
        return len(np.unique(found[self.entity]))

    @cached_property
    def _taken(self) -> Array:
        """V V' (Tk, Tk), rows ordered by period, then row."""
        (n, t), k, b = self.shape, self.period_loadings.shape[0], self.state.q.shape[0]
        out, step = np.zeros((t * k, t * k)), max(1, _BLOCK // max(1, t * k * b))
        for first in range(0, n, step):
            last = min(first + step, n)
            own = slice(self.data.ptr[first], self.data.ptr[last])
            v = np.zeros((last - first, b, t, k))
            products = self.state.q[:, None, own] * self.period_loadings[None, :, own]
            v[self.entity[own] - first, :, self.data.time[own]] = products.transpose(2, 0, 1)
            rows = v.reshape(-1, t * k)
            out += rows.T @ rows
        return out

    @cached_property
    def _dense(self) -> Array:
        """S (Tk, Tk), rows ordered likewise."""
        t, k = self.shape[1], self.period_loadings.shape[0]
        out = -self._taken
        for period in range(t):
            own = slice(period * k, (period + 1) * k)
            out[own, own] += self.blocks[period]
        return out
