"""Fixed effects, then controls: the projection of a partialled-out regression."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from gifepanel.projections import row_blocks
from gifepanel.projections.absorb import Absorption
from gifepanel.projections.base import Certificate, DegreesAbsorbed, column_norms
from gifepanel.projections.controls import Controls
from gifepanel.projections.pairs import Pair
from gifepanel.projections.system import Effect
from gifepanel.projections.triangle import constant_column

__all__ = ["EffectsAndControls", "PartialledOut", "spanned_columns"]

Array = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

_ROUNDING = 1e-12
_DOUBTFUL = 1e-4
_CONSTANT = 1e-14


def spanned_columns(
    columns: Array | Callable[[], Array],
    residuals: Array,
    project: Callable[[Array], Array],
    weights: Array | None = None,
    raw: Array | None = None,
) -> tuple[Array, BoolArray]:
    """Which columns (n, m) a nuisance part spans, by what is left of them.

    A column is spanned where no more than 1e-12 of its length is left (a large constant is no variation). Where little
    is left of its variation it is projected once more: what remains of an iterative solution's error shrinks, what is
    truly there does not, and is more exact for it.

    Parameters
    ----------
    columns : ndarray, shape (n, m), or callable
        The columns, or what makes them where they are needed.
    residuals : ndarray, shape (n, m)
    project : callable
        Residuals of columns (n, k): (n, k).
    weights : ndarray, shape (n,), optional
    raw : ndarray, shape (m,), optional
        Lengths of the columns, where they are known.

    Returns
    -------
    residuals : ndarray, shape (n, m)
    spanned : ndarray of bool, shape (m,)
    """

    def given() -> Array:
        return columns() if callable(columns) else columns

    raw, left = _lengths(given(), weights) if raw is None else raw, _lengths(residuals, weights)
    variation = raw
    if (left <= _DOUBTFUL * raw).any():
        variation = _lengths(given() - np.average(given(), axis=0, weights=weights), weights)
    spanned = left <= _ROUNDING * raw
    doubtful = np.flatnonzero(~spanned & (left <= _DOUBTFUL * variation))
    if doubtful.size:
        again = project(np.ascontiguousarray(residuals[:, doubtful]))
        residuals = residuals.copy()
        residuals[:, doubtful] = again
        spanned[doubtful] = _lengths(again, weights) <= 0.5 * left[doubtful]
    return residuals, np.asarray(spanned)


def _lengths(columns: Array, weights: Array | None) -> Array:
    return column_norms(columns) if weights is None else np.sqrt(weights @ columns**2)


class PartialledOut(NamedTuple):
    """What is left of an outcome and regressors.

    Attributes
    ----------
    y : ndarray, shape (n,)
    x : ndarray, shape (n, p)
    spanned : ndarray of bool, shape (1 + p,)
        Which of them the nuisance part spans.
    certificate : Certificate
    raw : ndarray, shape (1 + p,)
        Lengths of the columns as they were.
    """

    y: Array
    x: Array
    spanned: BoolArray
    certificate: Certificate
    raw: Array


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
    tol, accelerator
        See :class:`~gifepanel.projections.absorb.Absorption`.
    """

    effects: Sequence[Effect]
    controls: Array | None = None
    weights: Array | None = None
    tol: float = 1e-10
    accelerator: str | None = None

    @cached_property
    def absorption(self) -> Absorption | None:
        """The effects' part."""
        if not self.effects:
            return None
        return Absorption(tuple(self.effects), self.weights, self.tol, accelerator=self.accelerator)

    @cached_property
    def basis(self) -> Controls | None:
        """The controls' part, after the effects."""
        if self.controls is None:
            return None
        return self._basis_of(self._without_effects(self.controls)[0])

    def _basis_of(self, residualised: Array) -> Controls:
        assert self.controls is not None
        if self.absorption is not None:
            # a control that the effects span is left with rounding: it must not become a direction of its own
            residualised, spanned = spanned_columns(
                self.controls, residualised, lambda left: self._without_effects(left)[0], self.weights
            )
            residualised[:, spanned] = 0.0
        return Controls.from_columns(residualised, self.weights)

    @cached_property
    def spans_constant(self) -> bool:
        """Whether a constant is among effects or controls."""
        return any(effect.values is None for effect in self.effects) or (
            self.controls is not None and constant_column(self.controls) >= 0
        )

    def partial_out(self, make: Callable[[], Array]) -> tuple[Array, BoolArray, Certificate]:
        """Residuals (n, m) of the columns that `make` makes, which of them are spanned, and the certificate.

        The memory of the columns is used for the residuals; they are made again only where little is left of one.
        """
        columns = make()
        raw = _lengths(columns, self.weights)
        if self.spans_constant:  # what is far from zero loses digits on the way
            columns -= columns.mean(axis=0)
            columns[:, _lengths(columns, self.weights) <= _CONSTANT * raw] = 0.0
        out, certificate = self.residualize(columns, overwrite=True)
        del columns
        out, spanned = spanned_columns(make, out, lambda left: self.residualize(left)[0], self.weights, raw)
        return out, spanned, certificate

    def partial_out_of(self, y: Array, x: Array) -> PartialledOut:
        """The same of y (n,) and x (n, p)."""
        absorption = self.absorption
        if absorption is None or self.controls is not None or not x.shape[1]:
            out, spanned, certificate = self.partial_out(lambda: np.column_stack([y, x]))
            raw = row_blocks.lengths_and_means(y, x, self.weights)[0]
            return PartialledOut(np.ascontiguousarray(out[:, 0]), out[:, 1:], spanned, certificate, raw)
        system = absorption.system
        weights = system.weights if system.weights.size else None
        raw, means = row_blocks.lengths_and_means(y, x, self.weights)
        centre = means if self.spans_constant else np.zeros_like(means)
        if system.takes_pairs and x.shape[1] == 1 and self.accelerator is None:
            pair = Pair(system, y, np.ascontiguousarray(x)[:, 0], centre)
            if (pair.scale > _CONSTANT * raw).all():
                certificate = absorption.solve_pair(pair)
                return self._judged(
                    y, x, (pair.left[0], pair.left[1][:, None]), certificate, raw, np.sqrt(pair.squares)
                )
            del pair
        work, scale = row_blocks.in_one_block(y, x, system.order, centre, weights)
        constant = scale <= _CONSTANT * raw
        if self.spans_constant and constant.any():
            work[:, constant] = 0.0
            scale = np.where(constant, 0.0, scale)
        certificate = absorption.solve_sorted(work, scale)[1]
        left = row_blocks.lengths(work, weights)
        parts = row_blocks.in_two_blocks(work, system.order)
        del work
        return self._judged(y, x, parts, certificate, raw, left)

    def _judged(
        self, y: Array, x: Array, left: tuple[Array, Array], certificate: Certificate, raw: Array, lengths: Array
    ) -> PartialledOut:
        """What is left of y (n,) and x (n, p), with its lengths (1 + p,), and which columns are spanned."""
        y_left, x_left = left
        spanned = lengths <= _ROUNDING * raw
        if (lengths <= _DOUBTFUL * raw).any():
            out, spanned = spanned_columns(
                lambda: np.column_stack([y, x]),
                np.column_stack([y_left, x_left]),
                lambda rest: self.residualize(rest)[0],
                self.weights,
                raw,
            )
            y_left, x_left = np.ascontiguousarray(out[:, 0]), out[:, 1:]
        return PartialledOut(y_left, x_left, spanned, certificate, raw)

    def _without_effects(self, columns: Array, overwrite: bool = False) -> tuple[Array, Certificate]:
        if self.absorption is None:
            return columns if overwrite else columns.copy(), Certificate("none", 0, 0.0, True)
        return self.absorption.residualize(columns, overwrite=overwrite)

    def residualize(self, columns: Array, *, overwrite: bool = False) -> tuple[Array, Certificate]:
        """Residuals of columns (n, m), and the certificate of the absorption; `overwrite` may use their memory."""
        if self.controls is not None and "basis" not in self.__dict__:
            # controls and columns through the effects in one block
            k = self.controls.shape[1]
            both, certificate = self._without_effects(np.hstack([self.controls, columns]), overwrite=True)
            self.__dict__["basis"] = self._basis_of(np.ascontiguousarray(both[:, :k]))
            out = np.ascontiguousarray(both[:, k:])
        else:
            out, certificate = self._without_effects(columns, overwrite)
        if self.basis is not None:
            out, _ = self.basis.residualize(out)
        return out, certificate

    def forget_rows(self) -> None:
        """Count degrees of freedom, and let go of the effects' sorted rows; they are sorted again if need be."""
        if self.absorption is not None and self.degrees.total >= 0:
            self.absorption.forget_rows()

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
