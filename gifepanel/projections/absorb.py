"""Absorption of fixed effects, any number of them, exactly.

One effect is a demeaning. For more, the largest is eliminated and the rest is a positive semidefinite system S (see
:mod:`gifepanel.projections.system`). Small systems are factorised (pivoted Cholesky, which also gives the exact rank);
larger ones are solved by preconditioned conjugate gradients, first without forming S, then, where the graph of the
effects mixes slowly, on S itself, and in the end with a sparse factor of S as the preconditioner: the graphs on which
conjugate gradients stall (chains, rings, few movers) have almost no fill-in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.linalg import lapack
from scipy.sparse.linalg import splu

from gifepanel.exceptions import SpecificationError
from gifepanel.kernels.absorb import absorbed_leverage, union_components
from gifepanel.projections.base import Certificate, DegreesAbsorbed
from gifepanel.projections.pcg import PcgState, pcg
from gifepanel.projections.system import Effect, EffectSystem

__all__ = ["Absorption"]

Array = np.ndarray[Any, np.dtype[np.float64]]

_DENSE = 1_000
_PROBE = 6
_SPARSE_PROBE = 40
_PATIENCE = 250
_INVERTIBLE = 4_000
_REFINEMENTS = 4


@dataclass(frozen=True, eq=False)
class Absorption:
    """Residuals on fixed effects.

    Parameters
    ----------
    effects : sequence of Effect
        At least one without slope variable.
    weights : ndarray, shape (n,), optional
    tol : float
        Largest norm of a residual column in the span of any level's dummies, relative to the column.
    max_iter : int
    """

    effects: Sequence[Effect]
    weights: Array | None = None
    tol: float = 1e-11
    max_iter: int = 5_000

    @cached_property
    def system(self) -> EffectSystem:
        """Sorted rows, shifted codes."""
        return EffectSystem.build(self.effects, self.weights)

    # ---- residuals ----

    def residualize(self, columns: Array) -> tuple[Array, Certificate]:
        """Residuals of columns (n, m) on all effects, and the certificate."""
        work, _, certificate = self._solve(columns)
        return self.system.unsort(work), certificate

    def coefficients(self, columns: Array) -> list[Array]:
        """One solution for the effects of columns (n, m): an (L_g, m) array per effect.

        Only differences within connected components are identified; the base effect carries the level.
        """
        system = self.system
        work, unknown, _ = self._solve(columns)
        rest = system.sort(columns) - work
        if system.size:
            system.subtract(rest, unknown)
        base = np.empty((len(system.starts) - 1, columns.shape[1]))
        base[:] = rest[system.starts[:-1]]
        out: list[Array] = [np.empty(0)] * len(self.effects)
        out[system.base] = base
        for j, g in enumerate(system.others):
            out[g] = unknown[system.offsets[j] : system.offsets[j + 1]]
        return out

    def _solve(self, columns: Array) -> tuple[Array, Array, Certificate]:
        """Residuals in sorted order, unknowns (M, m), certificate."""
        system = self.system
        work = system.sort(columns)
        scale = np.linalg.norm(work, axis=0)
        system.demean(work)
        unknown = np.zeros((system.size, columns.shape[1]))
        if system.size == 0:
            return work, unknown, Certificate("demeaning", 0, 0.0, True)
        # a column is judged against itself; one that the base effect spans is nothing but rounding
        size = np.maximum(np.linalg.norm(work, axis=0), 1e-13 * scale)
        size = np.where(size > 0, size, 1.0)
        iterations, method, residual = 0, self._method, np.inf
        for _ in range(_REFINEMENTS):
            right = system.sums(work)
            residual = float(self._norm(right, size).max(initial=0.0))
            if residual <= self.tol:
                break
            step, method, used = self._correct(right, size)
            iterations += used
            unknown += step
            system.subtract(work, step)
            system.demean(work)
        else:
            residual = float(self._norm(system.sums(work), size).max(initial=0.0))
        return work, unknown, Certificate(method, iterations, residual, residual <= 10 * self.tol)

    def _norm(self, r: Array, size: Array) -> Array:
        """Largest norm over effects of the projection of a residual on their dummies, relative: (m,)."""
        system = self.system
        lengths = np.maximum(system.lengths, np.finfo(float).tiny)
        squares = np.add.reduceat(r * r / lengths[:, None], system.offsets[:-1], axis=0)
        return np.sqrt(squares.max(axis=0)) / size

    # ---- the reduced system ----

    @cached_property
    def _method(self) -> str:
        return "Cholesky" if self.system.size <= _DENSE else "conjugate gradients"

    def _correct(self, right: Array, size: Array) -> tuple[Array, str, int]:
        """S^-1 right, by the method that suits the graph."""
        if self._method == "Cholesky":
            return self._dense.solve(right), "Cholesky", 0
        system = self.system
        state = PcgState(np.zeros_like(right), right, 0, self._norm(right, size))

        def norm(r: Array) -> Array:
            return self._norm(r, size)

        jacobi = _inverse_diagonal(system.diagonal)

        def scaled(r: Array) -> Array:
            return jacobi * r

        tol = 0.3 * self.tol
        if "_sparse" not in self.__dict__ and self._schur_passes > _PROBE:
            state = pcg(system.apply, scaled, norm, state, tol=tol, max_iter=_PROBE)
            remaining = _remaining(state, tol)
            if remaining < 2 * self._schur_passes:
                state = pcg(system.apply, scaled, norm, state, tol=tol, max_iter=int(2 * remaining) + 5)
            if state.residual.max() <= tol:
                return state.x, "conjugate gradients", state.iterations
        matrix = self._sparse
        if "_factor" not in self.__dict__:
            state = pcg(matrix.__matmul__, scaled, norm, state, tol=tol, max_iter=_SPARSE_PROBE)
            remaining = _remaining(state, tol)
            if remaining < _PATIENCE:
                state = pcg(matrix.__matmul__, scaled, norm, state, tol=tol, max_iter=int(2 * remaining) + 5)
            if state.residual.max() <= tol:
                return state.x, "conjugate gradients (sparse)", state.iterations
        state = pcg(matrix.__matmul__, self._factor, norm, state, tol=tol, max_iter=self.max_iter)
        return state.x, "sparse factorisation", state.iterations

    @cached_property
    def _schur_passes(self) -> float:
        """What forming S costs, in passes over the rows: the pairs of cells within base levels."""
        counts = np.diff(self.system.cells.indptr).astype(np.float64)
        return float(counts @ counts) / self.system.codes.size

    @cached_property
    def _sparse(self) -> Any:
        return self.system.schur()

    @cached_property
    def _factor(self) -> Any:
        """A sparse factor of S, lifted slightly off singularity, as a preconditioner."""
        matrix = self._sparse.tocsc()
        diagonal = self.system.diagonal
        lift = np.where(diagonal > 0, 1e-9 * diagonal, 1.0)
        lifted = matrix.copy()
        lifted.setdiag(matrix.diagonal() + lift)
        lu = splu(
            lifted,
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True, "Equil": False},
        )
        return lu.solve

    @cached_property
    def _dense(self) -> _PivotedCholesky:
        return _PivotedCholesky.of(self.system.apply(np.eye(self.system.size)), self.system.lengths)

    def leverage(self) -> Array:
        """Diagonal of the projection on the effects (n,), exactly.

        Raises
        ------
        SpecificationError
            If the reduced system is too large to be inverted.
        """
        system = self.system
        if system.size > _INVERTIBLE:
            raise SpecificationError(
                f"Leverages need the inverse of a system of {system.size} effects.",
                f"It is formed up to {_INVERTIBLE}.",
                'cov_type="HC1", or a clustered covariance.',
            )
        out = np.empty(system.n)
        inverse = self._dense.solve(np.eye(system.size)) if system.size else np.empty((0, 0))
        cells = system.cells
        absorbed_leverage(
            system.codes,
            system.values,
            system.weights,
            system.starts,
            cells.indptr.astype(np.int64),
            cells.indices.astype(np.int64),
            cells.data.astype(np.float64),
            inverse,
            out,
        )
        return system.unsort(out)

    # ---- degrees of freedom ----

    @cached_property
    def degrees(self) -> DegreesAbsorbed:
        """Rank of all dummies and slopes together.

        Exact for one effect and for two without slopes (levels less connected components), and wherever the reduced
        system is small enough for pivoted Cholesky; otherwise every further block counts one redundancy, a bound.
        """
        effects = self.effects
        system = self.system
        base = effects[system.base].n_levels
        if not system.others:
            return DegreesAbsorbed(base, True, (base,))
        if system.size <= _DENSE:
            rank = self._dense.rank
            return DegreesAbsorbed(base + rank, True, self._in_order(base, self._dense.rank_by_block(system.offsets)))
        first = effects[system.others[0]]
        if len(effects) == 2 and first.values is None:
            a, b = effects[system.base], first
            count, _ = union_components(np.asarray(a.codes), np.asarray(b.codes), a.n_levels, b.n_levels)
            return DegreesAbsorbed(base + b.n_levels - count, True, self._in_order(base, [b.n_levels - count]))
        return self._bound(base)

    def _bound(self, base: int) -> DegreesAbsorbed:
        blocks = []
        a = self.effects[self.system.base]
        for g in self.system.others:
            effect = self.effects[g]
            if effect.values is None:
                count, _ = union_components(np.asarray(a.codes), np.asarray(effect.codes), a.n_levels, effect.n_levels)
                blocks.append(effect.n_levels - count)
            else:
                blocks.append(effect.n_levels)
        exact = len(blocks) == 1 and self.effects[self.system.others[0]].values is None
        return DegreesAbsorbed(base + sum(blocks), exact, self._in_order(base, blocks))

    def _in_order(self, base: int, blocks: Sequence[int]) -> tuple[int, ...]:
        out = [0] * len(self.effects)
        out[self.system.base] = int(base)
        for j, g in enumerate(self.system.others):
            out[g] = int(blocks[j])
        return tuple(out)


def _remaining(state: PcgState, tol: float) -> float:
    """Iterations to go at the rate so far."""
    left = state.residual.max()
    if left <= tol:
        return 0.0
    return float(np.log(tol / left) / np.log(min(state.rate, 1.0 - 1e-9)))


def _inverse_diagonal(diagonal: Array) -> Array:
    floor = 1e-12 * diagonal.max(initial=0.0)
    return np.where(diagonal > floor, 1.0 / np.maximum(diagonal, np.finfo(float).tiny), 0.0)[:, None]


@dataclass(frozen=True, eq=False)
class _PivotedCholesky:
    """P'SP = LL' of a scaled positive semidefinite matrix, cut at its rank."""

    lower: Array
    pivots: Any
    rank: int
    root: Array

    @classmethod
    def of(cls, matrix: Array, lengths: Array) -> _PivotedCholesky:
        root = np.sqrt(np.where(lengths > 0, lengths, 1.0))
        scaled = matrix / root / root[:, None]
        lower, pivots, rank, _ = lapack.dpstrf(0.5 * (scaled + scaled.T), tol=1e-10, lower=1)
        return cls(np.tril(lower)[:, :rank], pivots - 1, int(rank), root)

    def rank_by_block(self, offsets: Any) -> list[int]:
        """How many pivots fell in each block."""
        chosen = self.pivots[: self.rank]
        return [int(((chosen >= a) & (chosen < b)).sum()) for a, b in pairwise(offsets)]

    def solve(self, right: Array) -> Array:
        from scipy.linalg import solve_triangular

        scaled = (right / self.root[:, None])[self.pivots][: self.rank]
        head = self.lower[: self.rank]
        inner = solve_triangular(head, scaled, lower=True, check_finite=False)
        inner = solve_triangular(head, inner, lower=True, trans=1, check_finite=False)
        out = np.zeros_like(right)
        out[self.pivots[: self.rank]] = inner
        return out / self.root[:, None]
