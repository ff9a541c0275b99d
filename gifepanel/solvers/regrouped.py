"""What a search over groupings asks of its data, and a complete panel's answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np

from gifepanel.kernels.regroup import alternate
from gifepanel.solvers.arrays import Array, Components, PanelArrays, UnitQuadratics

__all__ = ["Regrouped", "RegroupedPanel"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]


class Regrouped(Protocol):
    """Data whose entities are regrouped; factors are orthonormal (T, R)."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, T, p)."""

    @property
    def n_cells(self) -> int:
        """Observed cells."""

    def alternate(
        self,
        slots: IntArray,
        groups: IntArray,
        theta: Array,
        factors: Array,
        effect: Array,
        reassign: bool,
        rounds: int,
        tol: float,
        cutoff: float,
        known: IntArray | None = None,
    ) -> float:
        """As :func:`gifepanel.kernels.regroup.alternate`: the sum of squares; groups to effect are overwritten.

        `known` are the groups whose sum of squares `cutoff` is: coming back to them may be noticed early.
        """

    def quadratics(self, factors: Array, effect: Array) -> UnitQuadratics:
        """Sums of squares of the entities as functions of their slopes."""

    def loadings(self, beta: Array, factors: Array, effect: Array) -> Array:
        """Loadings (N, R) at unit slopes (N, p)."""

    def residuals(self, beta: Array, factors: Array, effect: Array) -> Array:
        """What slopes, factors and effects leave (n,), entity by entity, at unit slopes (N, p)."""

    @property
    def starts(self) -> IntArray:
        """Where each entity's cells begin among all, and the end of the last (N + 1,)."""

    def with_errors(self, before: Array, after: Array) -> Self:
        """The same data with other errors (n,) in the outcome."""


@dataclass(frozen=True)
class RegroupedPanel:
    """A complete panel; `effect` is the time effect (T,)."""

    data: PanelArrays

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, T, p)."""
        return self.data.shape

    @property
    def n_cells(self) -> int:
        """N T."""
        return self.data.y.size

    def alternate(
        self,
        slots: IntArray,
        groups: IntArray,
        theta: Array,
        factors: Array,
        effect: Array,
        reassign: bool,
        rounds: int,
        tol: float,
        cutoff: float,
        known: IntArray | None = None,
    ) -> float:
        """Groups, slopes, factors and time effect by turns."""
        d = self.data
        moments, state = (d.y, d.xt, d.xx, d.xy, d.yy), (slots, groups, theta, factors, effect)
        return float(alternate(*moments, *state, d.time_effects, reassign, rounds, tol, cutoff)[0])

    def quadratics(self, factors: Array, effect: Array) -> UnitQuadratics:
        """Sums of squares of the entities under their slopes."""
        n, t, _ = self.data.shape
        components = Components(factors * np.sqrt(t), np.empty((n, 0)), effect, np.inf)
        return self.data.quadratics(components)

    def loadings(self, beta: Array, factors: Array, effect: Array) -> Array:
        """Loadings at unit slopes."""
        resid = self.data.y - effect - np.einsum("npt,np->nt", self.data.xt, beta)
        return np.asarray(resid @ factors)

    def residuals(self, beta: Array, factors: Array, effect: Array) -> Array:
        """What slopes, factors and time effect leave."""
        resid = self.data.y - effect - np.einsum("npt,np->nt", self.data.xt, beta)
        return np.asarray(resid - resid @ factors @ factors.T).ravel()

    @property
    def starts(self) -> IntArray:
        """Multiples of T."""
        n, t = self.data.y.shape
        return np.arange(n + 1, dtype=np.int64) * t

    def with_errors(self, before: Array, after: Array) -> Self:
        """Another outcome, less its entity means where entity effects are absorbed."""
        d = self.data
        y = d.y + (after - before).reshape(d.y.shape)
        if d.entity_effects:
            y -= y.mean(axis=1, keepdims=True)
        xy, yy = np.einsum("npt,nt->np", d.xt, y), np.einsum("nt,nt->n", y, y)
        return replace(self, data=replace(d, y=y, xy=xy, yy=yy))
