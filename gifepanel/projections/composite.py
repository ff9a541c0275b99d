"""Fixed effects, then controls: the projection of a partialled-out regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gifepanel.projections.absorb import Absorption
from gifepanel.projections.base import Certificate, DegreesAbsorbed, column_norms
from gifepanel.projections.controls import Controls
from gifepanel.projections.system import Effect

__all__ = ["EffectsAndControls"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, eq=False)
class EffectsAndControls:
    """Residuals on absorbed effects and observed controls together.

    By Frisch, Waugh and Lovell the controls are first residualised on the effects; the columns then on effects and on
    what is left of the controls.

    Parameters
    ----------
    effects : sequence of Effect
        May be empty.
    controls : ndarray, shape (n, k), or None
    weights : ndarray, shape (n,), optional
    tol : float
        See :class:`~gifepanel.projections.absorb.Absorption`.
    """

    effects: Sequence[Effect]
    controls: Array | None = None
    weights: Array | None = None
    tol: float = 1e-11

    @cached_property
    def absorption(self) -> Absorption | None:
        """The effects' part."""
        return Absorption(tuple(self.effects), self.weights, self.tol) if self.effects else None

    @cached_property
    def basis(self) -> Controls | None:
        """The controls' part, after the effects."""
        if self.controls is None:
            return None
        return self._basis_of(self._without_effects(self.controls)[0])

    def _basis_of(self, residualised: Array) -> Controls:
        assert self.controls is not None
        before = column_norms(self.controls)
        after = column_norms(residualised)
        # a control that the effects span is left with rounding: it must not become a direction of its own
        residualised = np.where(after > 1e-9 * before, 1.0, 0.0) * residualised
        return Controls.from_columns(residualised, self.weights)

    def _without_effects(self, columns: Array) -> tuple[Array, Certificate]:
        if self.absorption is None:
            return columns.copy(), Certificate("none", 0, 0.0, True)
        return self.absorption.residualize(columns)

    def residualize(self, columns: Array) -> tuple[Array, Certificate]:
        """Residuals of columns (n, m), and the certificate of the absorption."""
        if self.controls is not None and "basis" not in self.__dict__:
            # controls and columns through the effects in one block
            k = self.controls.shape[1]
            both, certificate = self._without_effects(np.hstack([self.controls, columns]))
            self.__dict__["basis"] = self._basis_of(np.ascontiguousarray(both[:, :k]))
            out = np.ascontiguousarray(both[:, k:])
        else:
            out, certificate = self._without_effects(columns)
        if self.basis is not None:
            out, _ = self.basis.residualize(out)
        return out, certificate

    def leverage(self) -> Array | float:
        """Leverage (n,) of every row in effects and controls together; 0.0 where there are none."""
        total: Array | float = 0.0
        if self.absorption is not None:
            total = self.absorption.leverage()
        if self.basis is not None:
            total = total + self.basis.leverage()
        return total

    @cached_property
    def degrees(self) -> DegreesAbsorbed:
        """Rank of effects and controls together."""
        parts = self.absorption.degrees if self.absorption is not None else DegreesAbsorbed(0, True, ())
        extra = len(self.basis.kept) if self.basis is not None else 0
        blocks = (*parts.by_block, extra) if self.controls is not None else parts.by_block
        return DegreesAbsorbed(parts.total + extra, parts.exact, blocks)
