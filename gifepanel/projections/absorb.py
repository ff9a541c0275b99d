"""Absorption of fixed effects, any number of them, exactly.

One effect is a demeaning. For more, the largest is eliminated and the rest is a positive semidefinite system S (see
:mod:`gifepanel.projections.system`). Small systems are factorised (pivoted Cholesky, which also gives the exact rank);
larger ones are solved by preconditioned conjugate gradients, first without forming S, then, where the graph of the
effects mixes slowly, on S itself, and in the end with a sparse factor of S as the preconditioner: the graphs on which
conjugate gradients stall (chains, rings, few movers) have almost no fill-in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from gifepanel.exceptions import SpecificationError
from gifepanel.projections.accelerator import WithinSolver, check_accelerator
from gifepanel.projections.base import Certificate, DegreesAbsorbed
from gifepanel.projections.pairs import Pair
from gifepanel.projections.reduced import DENSE, EMPTY, ReducedSolver
from gifepanel.projections.row_blocks import lengths
from gifepanel.projections.system import Effect, EffectSystem

__all__ = ["Absorption"]

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

_INVERTIBLE = 4_000
_REFINEMENTS = 4
_MANY = 100_000  # rows


@dataclass(frozen=True, eq=False)
class Absorption:
    """Residuals on fixed effects.

    Parameters
    ----------
    effects : sequence of Effect
        At least one.
    weights : ndarray, shape (n,), optional
    tol : float
        Largest norm of a residual column in the span of any level's dummies, relative to the column.
    max_iter : int
    accelerator : {None, "within"}
        Solve by within-py rather than by the methods above.
    """

    effects: Sequence[Effect]
    weights: Array | None = None
    tol: float = 1e-10
    max_iter: int = 5_000
    accelerator: str | None = None

    @cached_property
    def system(self) -> EffectSystem:
        """Sorted rows, shifted codes."""
        return EffectSystem.build(self.effects, self.weights)

    # ---- residuals ----

    def residualize(self, columns: Array, *, overwrite: bool = False) -> tuple[Array, Certificate]:
        """Residuals of columns (n, m) on all effects, and the certificate; `overwrite` may use the columns' memory."""
        work, _, certificate = self._solve(columns, overwrite)
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
        out: list[Array] = [np.empty(0)] * len(self.effects)
        if system.base >= 0:
            out[system.base] = rest[system.starts[:-1]]
        for j, g in enumerate(system.others):
            out[g] = unknown[system.offsets[j] : system.offsets[j + 1]]
        return out

    def _solve(self, columns: Array, overwrite: bool = False) -> tuple[Array, Array, Certificate]:
        """Residuals in sorted order, unknowns (M, m), certificate."""
        work = self.system.sort(columns, overwrite=overwrite)
        return work, *self.solve_sorted(work, self._length(work))

    def solve_sorted(self, work: Array, scale: Array) -> tuple[Array, Certificate]:
        """Unknowns (M, m) and certificate of sorted columns (n, m) with norms (m,); residuals take their place."""
        right, squares = self.system.sweep(work)
        return self._solve_swept(right, squares, scale, lambda step: self.system.sweep(work, step)[0], work)

    def solve_pair(self, pair: Pair) -> Certificate:
        """Take the effects out of an outcome and a regressor, without a copy of them in sorted order."""

        def take(step: Array) -> Array:
            if self.system.size > DENSE:  # a factor is large; another step, which is rarely taken, makes it again
                self._forget_solvers()
            return pair.take(step)

        certificate = self._solve_swept(pair.right, pair.squares, pair.scale, take)[1]
        pair.finish()
        return certificate

    def forget_rows(self) -> None:
        """Let go of what was made of many rows; it is made again when it is asked for."""
        if "system" in self.__dict__ and self.system.n >= _MANY:
            self._forget_solvers()
            del self.__dict__["system"]

    def _forget_solvers(self) -> None:
        for name in ("_solver", "_live"):
            self.__dict__.pop(name, None)

    def _solve_swept(
        self, right: Array, squares: Array, scale: Array, sweep: Callable[[Array], Array], work: Array | None = None
    ) -> tuple[Array, Certificate]:
        """Unknowns (M, m) and certificate from B'W of the columns (M, m); `sweep` takes a step out of them."""
        system = self.system
        unknown = np.zeros(right.shape)
        if system.size == 0:
            return unknown, Certificate("demeaning", 0, 0.0, True)
        # a column is judged against itself; one that the base effect spans is nothing but rounding
        size = np.maximum(np.sqrt(squares), 1e-13 * scale)
        size = np.where(size > 0, size, 1.0)
        iterations, method = 0, self._live[0].name if self._accelerated is None else self._accelerated.name
        for _ in range(_REFINEMENTS):
            if self._norm(right, size).max(initial=0.0) <= self.tol:
                break
            if self._accelerated is not None and work is not None:
                step, used = self._accelerated.solve(work)
            else:
                step, method, used = self._step(right, size)
            iterations += used
            unknown += step
            right = sweep(step)
        residual = float(self._norm(right, size).max(initial=0.0))
        return unknown, Certificate(method, iterations, residual, residual <= 10 * self.tol)

    def _step(self, right: Array, size: Array) -> tuple[Array, str, int]:
        """S c = right (M, m) for the unknowns that are left of it: a solution, the method and its iterations."""
        solver, own = self._live
        if own is None:
            return solver.solve(right, lambda r: self._norm(r, size))
        out = np.zeros_like(right)
        out[own], method, used = solver.solve(
            np.ascontiguousarray(right[own]), lambda r: _block_norm(solver.system, r, size)
        )
        return out, method, used

    def _length(self, work: Array) -> Array:
        """Norm of sorted columns (m,), under the weights."""
        weights = self.system.weights
        return lengths(work, weights if weights.size else None)

    def _norm(self, r: Array, size: Array) -> Array:
        """Largest norm over effects of the projection of a residual on their dummies, relative: (m,)."""
        return _block_norm(self.system, r, size)

    @cached_property
    def _solver(self) -> ReducedSolver:
        """Of the reduced system."""
        return ReducedSolver(self.system, 0.9 * self.tol, self.max_iter)

    @cached_property
    def _live(self) -> tuple[ReducedSolver, IntArray | None]:
        """The solver of what nested effects leave of a large system, and which unknowns those are; None for all."""
        if self.system.size > DENSE:
            system, own = self.system.without_nested()
            if own is not None and len(own):
                return ReducedSolver(system, 0.9 * self.tol, self.max_iter), own
        return self._solver, None

    @cached_property
    def _accelerated(self) -> WithinSolver | None:
        if self.accelerator is None:
            return None
        check_accelerator(self.accelerator)
        return WithinSolver(self.system, self.effects, 0.1 * self.tol, self.max_iter)

    def __getstate__(self) -> dict[str, Any]:
        """Without the accelerator's own objects, which are made again when they are needed."""
        return {name: value for name, value in self.__dict__.items() if name != "_accelerated"}

    def inverse(self, right: Array) -> Array:
        """S^- right (M, m), once refined."""
        size = self._norm(right, np.ones(right.shape[1]))
        size = np.where(size > 0, size, 1.0)
        unknown = np.zeros_like(right)
        for _ in range(2):
            left = right - self.system.apply(unknown)
            unknown = unknown + self._solver.solve(left, lambda r: self._norm(r, size))[0]
        return unknown

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
        inverse = self._solver.dense.solve(np.eye(system.size)) if system.size else np.empty((0, 0))
        if system.base < 0:
            return system.unsort(self._slope_leverage(inverse))
        from gifepanel.kernels.effect_levels import absorbed_leverage

        out = np.empty(system.n)
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

    def _slope_leverage(self, inverse: Array) -> Array:
        """Leverages in sorted order where nothing was eliminated."""
        codes, values, weights = self.system.codes, self.system.values, self.system.weights
        out = np.zeros(self.system.n)
        for j in range(codes.shape[0]):
            for k in range(codes.shape[0]):
                out += values[j] * values[k] * inverse[codes[j], codes[k]]
        return out * weights if weights.size else out

    # ---- degrees of freedom ----

    @cached_property
    def degrees(self) -> DegreesAbsorbed:
        """Rank of all dummies and slopes together.

        Exact for one effect, for two without slopes (levels less connected components), for an effect with one slope of
        its own, and wherever the reduced system is small enough for pivoted Cholesky; otherwise every further block
        counts as if it were alone with the largest effect, a bound.
        """
        system = self.system
        base = int((system.base_weights > 0).sum()) if system.base >= 0 else 0
        if not system.others:
            return DegreesAbsorbed(base, True, (base,))
        if system.size <= DENSE:
            dense = self._solver.dense
            blocks = self._in_order(base, dense.rank_by_block(system.offsets))
            return DegreesAbsorbed(base + dense.rank, True, blocks)
        return self._bound(base)

    def _bound(self, base: int) -> DegreesAbsorbed:
        system = self.system
        varies = system.diagonal > EMPTY * system.lengths
        blocks = []
        exact = len(system.others) == 1
        for j, g in enumerate(system.others):
            if self.effects[g].values is None:
                blocks.append(system.merged(j))
            else:  # S is diagonal for a slope whose levels contain the base's
                blocks.append(int(varies[system.offsets[j] : system.offsets[j + 1]].sum()))
                exact = exact and self._contains_base(g)
        return DegreesAbsorbed(base + sum(blocks), exact, self._in_order(base, blocks))

    def _contains_base(self, g: int) -> bool:
        """Whether all rows of a base level are in one level of the effect."""
        if self.system.base < 0:
            return True
        base = self.effects[self.system.base]
        a, b = np.asarray(base.codes), np.asarray(self.effects[g].codes)
        home = np.zeros(base.n_levels, dtype=np.int64)
        home[a] = b
        return bool((home[a] == b).all())

    def _in_order(self, base: int, blocks: Sequence[int]) -> tuple[int, ...]:
        out = [0] * len(self.effects)
        if self.system.base >= 0:
            out[self.system.base] = int(base)
        for j, g in enumerate(self.system.others):
            out[g] = int(blocks[j])
        return tuple(out)


def _block_norm(system: EffectSystem, r: Array, size: Array) -> Array:
    """Largest norm over the terms of a system of the projection of a residual on their dummies, relative: (m,)."""
    inverse, bounds = system.inverse_lengths, system.offsets
    squares = [inverse[a:b] @ r[a:b] ** 2 for a, b in pairwise(bounds)]
    return np.asarray(np.sqrt(np.max(squares, axis=0)) / size)
