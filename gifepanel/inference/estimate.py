"""A fitted least-squares model with factors, as the inference layer sees it: arrays in the units of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from gifepanel.blocks import is_large
from gifepanel.inference.covariance import checked_triangle, independent
from gifepanel.inference.dof import DegreesOfFreedom, degrees_of_freedom
from gifepanel.inference.projected_blocks import ProjectedBlocks, moments_in_blocks, periods_in_blocks, tss_in_blocks
from gifepanel.inference.space import FactorSpace, factor_space, project
from gifepanel.kernels.passes import cross_moments
from gifepanel.projections.base import column_norms
from gifepanel.projections.triangle import EMPTY, ROUNDING, Triangle, orthogonal_triangle
from gifepanel.short_repr import ShortRepr

__all__ = ["FactorEstimate", "mean_slopes"]

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]


def mean_slopes(alpha: Array, groups: IntArray, posterior: Array | None) -> Array:
    """Slopes of entities (N, p) from those of groups (K, p), weighted by probabilities (N, K) where there are some."""
    return np.asarray(alpha[groups] if posterior is None else posterior @ alpha)


@dataclass(frozen=True, eq=False, repr=False)
class FactorEstimate(ShortRepr):
    """Slopes, factors and effects of one fit.

    Attributes
    ----------
    y : ndarray, shape (N, T)
    x : ndarray, shape (N, T, p)
    groups : ndarray of int64, shape (N,)
        0..K-1.
    slots : ndarray of int64, shape (K, p)
        Position in `theta` of each group's slopes.
    theta : ndarray, shape (q,)
        Least-squares slopes.
    factors : ndarray, shape (T, R)
        F'F/T = I; mean zero under entity effects.
    loadings : ndarray, shape (N, R)
    time_effect : ndarray, shape (T,)
        Mean zero under entity effects; zero where not absorbed.
    entity_effect : ndarray, shape (N,)
        Zero where not absorbed.
    resid : ndarray, shape (N, T)
    entity_effects, time_effects : bool
    posterior : ndarray, shape (N, K), or None
        Probabilities of the groups, where slopes of an entity are means over them; `groups` are the most probable then.
    """

    y: Array
    x: Array
    groups: IntArray
    slots: IntArray
    theta: Array
    factors: Array
    loadings: Array
    time_effect: Array
    entity_effect: Array
    resid: Array
    entity_effects: bool
    time_effects: bool
    posterior: Array | None = field(default=None, kw_only=True)

    @property
    def shape(self) -> tuple[int, int]:
        """(N, T)."""
        return self.y.shape[0], self.y.shape[1]

    @property
    def unit_slopes(self) -> Array:
        """Slopes of every entity (N, p): of its group, or the mean over groups by their probabilities."""
        return mean_slopes(self.theta[self.slots], self.groups, self.posterior)

    @property
    def weights(self) -> Array | None:
        """Weights of the observed cells, entity by entity (n,); None where all are one."""
        roots = None if self.root is None else self.cells(self.root)
        return None if roots is None or (roots == 1).all() else roots**2

    def with_holes(self, cube: Array) -> Array:
        """A cube (N, T) or (N, T, q) with NaN in cells that are not observed."""
        if self.observed is None:
            return cube
        seen = self.observed.reshape(self.observed.shape + (1,) * (cube.ndim - 2))
        return np.asarray(np.where(seen, cube, np.nan))

    def cells(self, cube: Array) -> Array:
        """The observed cells of a cube (N, T) or (N, T, q), entity by entity: (n,) or (n, q)."""
        return np.asarray(cube.reshape(-1, *cube.shape[2:]) if self.observed is None else cube[self.observed])

    @property
    def n_factors(self) -> int:
        """R."""
        return int(self.factors.shape[1])

    @property
    def observed(self) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
        """Cells (N, T) that are observed; None where all are."""
        return None

    @property
    def root(self) -> Array | None:
        """Roots of the weights (N, T), zero where nothing is observed; None where all are one."""
        return None

    @property
    def nobs(self) -> int:
        """Number of observed cells."""
        return int(self.y.size)

    @property
    def known_slopes(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """Coefficients of known variables by name: of each entity (N,), and of each period (T,)."""
        return {}, {}

    def period_rows(self, names: Sequence[str]) -> Array:
        """Coefficients of periods (m, T): the time effect for "1", those of known variables for their names."""
        known = self.known_slopes[1]
        rows = [self.time_effect if name == "1" else known[name] for name in names]
        return np.array(rows).reshape(len(names), self.shape[1])

    @property
    def wresid(self) -> Array:
        """Residuals times the roots of the weights (N, T)."""
        return self.resid

    @property
    def ssr(self) -> float:
        """Sum of squared residuals, weighted where rows are."""
        return float(np.vdot(self.wresid, self.wresid))

    @cached_property
    def df(self) -> DegreesOfFreedom:
        """Parameters counted."""
        n, t = self.shape
        return degrees_of_freedom(
            n,
            t,
            self.theta.size,
            self.n_factors,
            entity_effects=self.entity_effects,
            time_effects=self.time_effects,
        )

    @cached_property
    def space(self) -> FactorSpace:
        """Factors and loadings, known and estimated."""
        n, t = self.shape
        return factor_space(
            n,
            t,
            factors=self.factors,
            loadings=self.loadings,
            entity_effects=self.entity_effects,
            time_effects=self.time_effects,
        )

    @cached_property
    def known_space(self) -> FactorSpace:
        """Additive effects alone."""
        n, t = self.shape
        return factor_space(n, t, entity_effects=self.entity_effects, time_effects=self.time_effects)

    @cached_property
    def z(self) -> Array:
        """Group-interacted regressors z_it (N, T, q), as they are in the data."""
        return self.interacted(slice(None))

    def interacted(self, units: slice) -> Array:
        """The regressors z_it of some entities (m, T, q)."""
        if self.posterior is not None:
            return self.averaged(self.posterior, units)
        return self._by_group(self.x[units], self.groups[units])

    def _by_group(self, x: Array, groups: IntArray) -> Array:
        """Regressors (m, T, p) of entities in these groups (m,) in the columns of their slopes (m, T, q)."""
        out = np.zeros((*x.shape[:2], self.theta.size))
        for k, slot in enumerate(self.slots):
            members = np.flatnonzero(groups == k)
            for j, position in enumerate(slot):
                out[members, :, position] = x[members, :, j]
        return out

    @property
    def in_blocks(self) -> bool:
        """Whether what is as long as the regressors is made in blocks of entities, and not kept."""
        return self.observed is None and is_large(*self.x.shape)

    @cached_property
    def blocks(self) -> ProjectedBlocks:
        """M_Lambda z M_F, a few entities at a time."""
        return ProjectedBlocks(self.interacted, self.space, self.theta.size)

    def averaged(self, tau: Array, units: slice = slice(None)) -> Array:
        """``sum_k tau_ik x_it`` in the columns of the slopes of k, of some entities (m, T, q)."""
        x, tau = self.x[units], tau[units]
        out = np.zeros((*x.shape[:2], self.theta.size))
        for weights, slot in zip(tau.T, self.slots, strict=True):
            out[:, :, slot] += weights[:, None, None] * x
        return out

    def by_slope(self, x: Array, entity: IntArray) -> Array:
        """Regressors (m, p) of cells of these entities (m,) in the columns of their slopes (m, q)."""
        out = np.zeros((len(x), self.theta.size))
        if self.posterior is None:
            np.put_along_axis(out, self.slots[self.groups[entity]], x, axis=1)
            return out
        for weights, slot in zip(self.posterior.T, self.slots, strict=True):
            out[:, slot] += weights[entity, None] * x
        return out

    @cached_property
    def z_effects(self) -> Array:
        """z less additive effects: what entered the fit."""
        if self.entity_effects or self.time_effects:
            return project(self.z, self.known_space)
        return self.z

    @cached_property
    def z_projected(self) -> Array:
        """M_Lambda z M_F (N, T, q), additive effects included in both projections."""
        if self.time_effects or self.posterior is not None:
            return project(self.z_effects, self.space)
        # what is taken out of each entity is taken out of p regressors, not of q
        off_loadings = FactorSpace(np.empty((self.shape[1], 0)), self.space.unit)
        return project(self._by_group(self.x_off_units, self.groups), off_loadings)

    @cached_property
    def x_off_units(self) -> Array:
        """The regressors off what is estimated entity by entity (N, T, p)."""
        return self.off_units(self.x - self.x.mean(axis=1, keepdims=True) if self.entity_effects else self.x)

    def spanned(self, noise: float) -> dict[int, list[int]]:
        """Columns of z~ that others span, and by which; rounding is this share of the length of z."""
        if self.in_blocks:
            return self.blocks.reduced.triangle(noise * self.blocks.lengths_of_source)[1]
        q = self.theta.size
        z, projected = self.z.reshape(-1, q), self.z_projected.reshape(-1, q)
        triangle, found = orthogonal_triangle(projected, noise=noise * column_norms(z))
        if not found and noise >= ROUNDING:
            self.__dict__.setdefault("triangle", triangle)  # with less taken for rounding it is the same
        return found

    @cached_property
    def within_tss(self) -> float:
        """Sum of squares of the outcome projected off factors, loadings and effects."""
        if self.in_blocks:
            return tss_in_blocks(self.space, self.y)
        return float(np.vdot(self.y_projected, self.y_projected))

    @cached_property
    def y_projected(self) -> Array:
        """M_Lambda y M_F (N, T)."""
        return project(self.y, self.space)

    def project(self, cube: Array) -> Array:
        """A panel (N, T) or (N, T, k) off factors, loadings and effects."""
        return project(cube, self.space)

    def off_units(self, cube: Array) -> Array:
        """A panel (N, T) or (N, T, k) off what is estimated entity by entity: factors and entity effects."""
        time = FactorSpace(self.space.time, np.empty((self.shape[0], 0)))
        return project(cube, time)

    def moments_of_periods(self, tau: Array) -> Array:
        """What loadings and time effects take from the cross products of averaged regressors (q, q).

        The regressors are those of :meth:`averaged`, off what is estimated entity by entity; blocks of entities meet in
        sums of a number for each loading, period and slope.
        """
        q = self.theta.size
        if not self.space.unit.shape[1]:
            return np.zeros((q, q))
        flat = periods_in_blocks(self.space, self.x, tau, self.slots, q).reshape(-1, q)
        return np.asarray(flat.T @ flat)

    @property
    def unit_ranks(self) -> IntArray:
        """How many coefficients besides slopes every entity has of its own (N,)."""
        return np.full(self.shape[0], self.space.time.shape[1])

    @cached_property
    def unit_moments(self) -> tuple[Array, Array, Array]:
        """X_i'M_i X_i (N, p, p), X_i'M_i r_i (N, p) and r_i'M_i r_i (N,), r_i the outcome less effects of periods.

        s - 2 c'b + b'a b is the sum of squares of an entity with slopes b under the fitted factors.
        """
        if self.in_blocks:
            return moments_in_blocks(self.space.time, self.x, self.y, self.time_effect)
        further = self.other_effects
        r = self.off_units(self.y - self.time_effect - (0.0 if further is None else further))
        xx, xr, rr = cross_moments(np.ascontiguousarray(r), np.ascontiguousarray(np.swapaxes(self.x_off_units, 1, 2)))
        return xx, xr, rr

    @property
    def other_effects(self) -> Array | None:
        """Known columns times their coefficients, but for the additive effects (N, T); None where there are none."""
        return None

    @cached_property
    def triangle(self) -> Triangle:
        """Of z~ as columns (NT, q).

        Raises
        ------
        DataError
            If regressors are collinear once factors and effects are taken out.
        """
        if not self.theta.size:
            return EMPTY
        if self.in_blocks:
            noise = ROUNDING * self.blocks.lengths_of_source
            return independent(*self.blocks.reduced.triangle(noise))
        z = self.z.reshape(-1, self.theta.size)
        return checked_triangle(self.z_projected.reshape(z.shape), ROUNDING * column_norms(z))

    @property
    def bread(self) -> Array:
        """W = z~'z~ / NT (q, q)."""
        return self.triangle.gram / self.nobs
