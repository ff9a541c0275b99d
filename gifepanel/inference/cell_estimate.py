"""A fitted model with factors on the observed cells of a panel, as the inference layer sees it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gifepanel.inference.dof import DegreesOfFreedom, checked_residual
from gifepanel.inference.estimate import FactorEstimate
from gifepanel.inference.space import FactorSpace
from gifepanel.projections.tangent import TangentSpace

__all__ = ["CellEstimate"]

Array = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, eq=False, repr=False)
class CellEstimate(FactorEstimate):
    """Slopes, factors and effects where cells are missing, rows are weighted, or further parts are known.

    Cubes are zero in cells that are not observed. What is projected is multiplied by the roots of the weights.

    Attributes
    ----------
    cell_mask : ndarray of bool, shape (N, T)
        Cells that are observed.
    roots : ndarray, shape (N, T)
        Roots of the weights, zero where nothing is observed.
    tangent : TangentSpace
        Of factors, loadings and effects.
    additive : TangentSpace
        Of effects and further known parts alone.
    further : ndarray, shape (N, T)
        Known columns times their coefficients, but for the additive effects of entities and periods.
    entity_slopes, period_slopes : dict of str to ndarray
        Their coefficients, (N,) and (T,), by name.
    """

    cell_mask: BoolArray
    roots: Array
    tangent: TangentSpace
    additive: TangentSpace
    further: Array
    entity_slopes: dict[str, Array]
    period_slopes: dict[str, Array]

    @property
    def observed(self) -> BoolArray | None:
        """Cells (N, T) that are observed; None where all are."""
        return None if self.cell_mask.all() else self.cell_mask

    @property
    def in_blocks(self) -> bool:
        """Never: the projection is one of all cells together."""
        return False

    @property
    def known_slopes(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """Coefficients of known variables by name: of each entity (N,), and of each period (T,)."""
        return self.entity_slopes, self.period_slopes

    @property
    def nobs(self) -> int:
        """Number of observed cells."""
        return self.tangent.n_cells

    @property
    def wresid(self) -> Array:
        """Residuals times the roots of the weights (N, T)."""
        return self.resid * self.roots

    @property
    def root(self) -> Array:
        """Roots of the weights (N, T), zero where nothing is observed."""
        return self.roots

    @cached_property
    def df(self) -> DegreesOfFreedom:
        """Parameters counted: ranks of what entities and periods have of their own."""
        effects = self.additive.rank_units + self.additive.rank_periods
        factors = self.tangent.rank_units + self.tangent.rank_periods - effects
        return checked_residual(self.nobs, self.theta.size, effects, factors)

    @property
    def space(self) -> FactorSpace:
        """There is none: the projection is not one on either side."""
        raise AttributeError("a panel with holes has no space of factors and loadings; use project()")

    @cached_property
    def z_effects(self) -> Array:
        """z less additive effects (N, T, q)."""
        return self.additive.off(self.z)

    @cached_property
    def z_projected(self) -> Array:
        """z off the tangent space (N, T, q), times the roots of the weights."""
        return self.project(self.z)

    @cached_property
    def y_projected(self) -> Array:
        """y likewise (N, T): z~'theta and the residuals, of which next to nothing is left to take out."""
        return self.z_projected @ self.theta + self.project(self.resid)

    @cached_property
    def x_off_units(self) -> Array:
        """The regressors off the bases of entities (N, T, p), times the roots of the weights."""
        return self.off_units(self.x)

    @property
    def unit_ranks(self) -> IntArray:
        """How many coefficients besides slopes every entity has of its own (N,)."""
        return self.tangent.unit_ranks

    @property
    def other_effects(self) -> Array:
        """Known columns times their coefficients, but for the additive effects (N, T)."""
        return self.further

    def off_units(self, cube: Array) -> Array:
        """A panel (N, T) or (N, T, k) off the bases of entities, times the roots of the weights."""
        return self.tangent.off_units(cube)

    def moments_of_periods(self, tau: Array) -> Array:
        """What loadings and period coefficients take from the cross products of averaged regressors (q, q)."""
        return self.tangent.taken_by_periods(self.averaged(tau))

    def project(self, cube: Array) -> Array:
        """A panel (N, T) or (N, T, k) off factors, loadings and effects, times the roots of the weights."""
        return self.tangent.off(cube)
