"""Solving the reduced system of fixed effects, by the method that suits the graph of the effects.

Small systems are factorised (pivoted Cholesky, which also gives the exact rank). Where every level meets many others
the graph mixes fast, and conjugate gradients on passes over the rows need a dozen iterations. Where levels meet few
others S is sparse: it is formed, and where conjugate gradients are slow on it (chains, rings, few movers) a sparse
factor is the preconditioner, which has almost no fill-in on such graphs. Where entries lie near the diagonal once
levels are put in order, the factor is banded, and made at once: it takes as long as a few iterations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.linalg import lapack, solve_triangular
from scipy.sparse.linalg import splu

from gifepanel.projections.banded import Band
from gifepanel.projections.bordered import BorderedMatrix
from gifepanel.projections.pcg import PcgState, pcg
from gifepanel.projections.system import EffectSystem, level_passes

__all__ = ["DENSE", "EMPTY", "PivotedCholesky", "ReducedSolver"]

Array = np.ndarray[Any, np.dtype[np.float64]]
Norm = Callable[[Array], Array]

DENSE = 1_000
_SAMPLE = 32
_SPARSE_DEGREE = 80
_PROBE = 20
_SLOW = 0.8
_FACTORISED = 5_000
_CHAIN = 4.0  # mean entries of a row of S up to which its factor is as sparse: chains, rings, trees
_BANDED = 600  # times the entries of a row: squared width of a band up to which its factor is cheap
_LIFT, _SPANNED = 1e-12, 1e-9  # of a sparse matrix before it is factorised; of what is left of effects with few levels
_RANK = 1e-10
EMPTY = 1e-12  # share of an unknown's length B'WB that must be left after the base effect


@dataclass(frozen=True, eq=False)
class ReducedSolver:
    """S c = r for the system of some effects, S = B'W M_A B.

    Parameters
    ----------
    system : EffectSystem
    tol : float
        On the residual in the norm handed to :meth:`solve`.
    max_iter : int
    """

    system: EffectSystem
    tol: float
    max_iter: int

    def __getstate__(self) -> dict[str, Any]:
        """Without factors, which can't be pickled: they are made again when they are needed."""
        return {name: value for name, value in self.__dict__.items() if name not in ("factor", "banded")}

    @property
    def name(self) -> str:
        """The method tried first."""
        return "Cholesky" if self.system.size <= DENSE else "conjugate gradients"

    def solve(self, right: Array, norm: Norm) -> tuple[Array, str, int]:
        """A solution (M, m), the method and its iterations."""
        if self.system.size <= DENSE:
            return self.dense.solve(right), "Cholesky", 0
        state = PcgState(np.zeros_like(right), right, 0, norm(right))
        return self._sparsely(state, norm) if self._is_sparse else self._by_passes(state, norm)

    @cached_property
    def _is_sparse(self) -> bool:
        """Whether levels of the effects meet few others."""
        if self.system.base < 0:
            return True
        system, levels = self.system, int(self.system.offsets[1])
        sample = np.random.default_rng(0).choice(levels, min(_SAMPLE, levels), replace=False)
        degree, own = level_passes(system.n).sampled_degree, (system.codes, system.starts)
        counts = (degree(*own, last, system.size, sample) for last in (len(system.starts) // 8, len(system.starts) - 1))
        return all(count <= _SPARSE_DEGREE for count in counts)  # of some base levels it is a lower bound

    @property
    def _has_cheap_factor(self) -> bool:
        """Whether entries lie near the diagonal, or a large S has hardly more: its factor has no more of them then."""
        return self.banded is not None or (self.system.size > _FACTORISED and self.matrix.degree <= _CHAIN)

    @cached_property
    def banded(self) -> Callable[[Array], Array] | None:
        """The inverse of S without effects of few levels, lifted; None where entries stand far from its diagonal."""
        matrix = self.matrix
        if not matrix.sparse.nnz:
            return None
        band = Band.of(matrix.sparse)
        if band.width**2 > _BANDED * matrix.degree:
            return None
        return band.factor(_lifted(matrix.sparse, self.system.lengths[matrix.inner]))

    def _by_passes(self, state: PcgState, norm: Norm) -> tuple[Array, str, int]:
        """Conjugate gradients on passes over the rows; on S itself if that turns out slow."""
        state = pcg(self.system.apply, self._jacobi, norm, state, tol=self.tol, max_iter=3 * _PROBE)
        if state.residual.max() > self.tol:
            if state.rate > _SLOW:
                return self._sparsely(state, norm)
            state = pcg(self.system.apply, self._jacobi, norm, state, tol=self.tol, max_iter=self.max_iter)
        return state.x, "conjugate gradients", state.iterations

    def _sparsely(self, state: PcgState, norm: Norm) -> tuple[Array, str, int]:
        """Conjugate gradients on S, with its factor as the preconditioner where they are slow or it is cheap."""
        apply = self.matrix.__matmul__
        while "factor" not in self.__dict__ and not self._has_cheap_factor:
            state = pcg(apply, self._jacobi, norm, state, tol=self.tol, max_iter=_PROBE)
            if state.residual.max() <= self.tol:
                return state.x, "conjugate gradients (sparse)", state.iterations
            if state.rate > _SLOW:
                break
        state = pcg(apply, self.factor, norm, state, tol=self.tol, max_iter=self.max_iter)
        return state.x, "sparse factorisation" if self.banded is None else "banded factorisation", state.iterations

    def _jacobi(self, r: Array) -> Array:
        return self._inverse_diagonal * r

    @cached_property
    def _inverse_diagonal(self) -> Array:
        diagonal = self.system.diagonal
        usable = diagonal > EMPTY * self.system.lengths
        return np.where(usable, 1.0 / np.maximum(diagonal, np.finfo(float).tiny), 0.0)[:, None]

    @cached_property
    def matrix(self) -> BorderedMatrix:
        """S, sparse but for effects with few levels."""
        return self.system.bordered()

    @cached_property
    def dense(self) -> PivotedCholesky:
        """S, factorised with its rank."""
        return PivotedCholesky.of(self.system.schur_dense(), self.system.lengths)

    @cached_property
    def factor(self) -> Callable[[Array], Array]:
        """The inverse of S, lifted slightly off singularity, as a preconditioner.

        Effects with few levels meet all others and would fill the factor: they border it, and their own Schur
        complement is dense.
        """
        matrix, lengths = self.matrix, self.system.lengths
        solve = self.banded or _factor(_lifted(matrix.sparse, lengths[matrix.inner]))
        return _Bordered.of(solve, matrix, lengths) if len(matrix.corner) else solve


def _lifted(matrix: Any, lengths: Array) -> Any:
    """A sparse matrix with its diagonal a little longer."""
    diagonal, lifted = matrix.diagonal(), matrix.tocsc(copy=True)
    size = _own_size(diagonal, lengths)
    lifted.setdiag(np.where(size == diagonal, (1 + _LIFT) * diagonal, size))
    return lifted


def _factor(matrix: Any) -> Callable[[Array], Array]:
    symmetric = {"SymmetricMode": True, "Equil": False}
    return splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=symmetric).solve


def _own_size(diagonal: Array, lengths: Array) -> Array:
    """The diagonal of S; where the base effect spans an unknown, its length, since nothing but rounding is left."""
    return np.where(diagonal > EMPTY * lengths, diagonal, np.where(lengths > 0, lengths, 1.0))


@dataclass(frozen=True, eq=False)
class _Bordered:
    """Block elimination: a sparse factor of the inner block, the dense Schur complement of the border."""

    solve: Callable[[Array], Array]
    matrix: BorderedMatrix
    reach: Array
    complement: Array

    @classmethod
    def of(cls, solve: Callable[[Array], Array], matrix: BorderedMatrix, lengths: Array) -> _Bordered:
        reach = solve(matrix.cross)
        schur = matrix.corner - matrix.cross.T @ reach
        scale = np.sqrt(_own_size(np.diag(matrix.corner), lengths[matrix.border]))
        inverse = np.linalg.pinv(0.5 * (schur + schur.T) / scale / scale[:, None], rcond=_SPANNED, hermitian=True)
        return cls(solve, matrix, reach, inverse / scale / scale[:, None])

    def __call__(self, right: Array) -> Array:
        out, inner, border = np.empty_like(right), self.matrix.inner, self.matrix.border
        first = self.solve(np.ascontiguousarray(right[inner]))
        out[border] = self.complement @ (right[border] - self.matrix.cross.T @ first)
        out[inner] = first - self.reach @ out[border]
        return out


@dataclass(frozen=True, eq=False)
class PivotedCholesky:
    """P'SP = LL' of a scaled positive semidefinite matrix, cut at its rank."""

    lower: Array
    pivots: Any
    rank: int
    root: Array

    @classmethod
    def of(cls, matrix: Array, lengths: Array) -> PivotedCholesky:
        root = np.sqrt(np.where(lengths > 0, lengths, 1.0))
        scaled = matrix / root / root[:, None]
        if np.diag(scaled).max(initial=0.0) <= _RANK:  # LAPACK takes the first pivot whatever its size
            return cls(np.empty((len(root), 0)), np.arange(len(root)), 0, root)
        lower, pivots, rank, _ = lapack.dpstrf(0.5 * (scaled + scaled.T), tol=_RANK, lower=1)
        return cls(np.tril(lower)[:, :rank], pivots - 1, int(rank), root)

    def rank_by_block(self, offsets: Any) -> list[int]:
        """How many pivots fell in each block."""
        chosen = self.pivots[: self.rank]
        return [int(((chosen >= a) & (chosen < b)).sum()) for a, b in pairwise(offsets)]

    def half_inverse(self) -> Array:
        """F (M, rank) with F F' a generalised inverse of the matrix."""
        out = np.zeros((len(self.root), self.rank))
        kept = self.pivots[: self.rank]
        if self.rank:
            inverse = solve_triangular(self.lower[: self.rank], np.eye(self.rank), lower=True, check_finite=False)
            out[kept] = inverse.T / self.root[kept, None]
        return out

    def solve(self, right: Array) -> Array:
        if self.rank == 0:  # older SciPy refuses empty triangles
            return np.zeros_like(right)
        scaled = (right / self.root[:, None])[self.pivots][: self.rank]
        head = self.lower[: self.rank]
        inner = solve_triangular(head, scaled, lower=True, check_finite=False)
        inner = solve_triangular(head, inner, lower=True, trans=1, check_finite=False)
        out = np.zeros_like(right)
        out[self.pivots[: self.rank]] = inner
        return out / self.root[:, None]
