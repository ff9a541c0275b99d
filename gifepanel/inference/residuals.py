"""Residuals of a panel with or without holes: which cells are observed, and how many each entity and period has."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from gifepanel.exceptions import DataError
from gifepanel.inference.space import FloatArray

__all__ = ["Residuals", "check_residuals", "has_entity_effects", "has_time_effects"]

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Residuals:
    """Residuals on the grid of entities and periods.

    Attributes
    ----------
    e : ndarray, shape (N, T)
        Zero in holes.
    observed : ndarray of bool, shape (N, T), or None
        None where every cell is.
    """

    e: FloatArray
    observed: BoolArray | None

    @cached_property
    def mask(self) -> FloatArray:
        """1 in observed cells, 0 in holes, (N, T)."""
        return np.ones(self.e.shape) if self.observed is None else self.observed.astype(np.float64)

    @cached_property
    def by_entity(self) -> FloatArray:
        """Cells of each entity, T_i (N,)."""
        return np.asarray(self.mask.sum(axis=1))

    @cached_property
    def by_time(self) -> FloatArray:
        """Cells of each period, N_t (T,)."""
        return np.asarray(self.mask.sum(axis=0))

    @property
    def cells(self) -> FloatArray:
        """The residuals of observed cells, (n,)."""
        return np.asarray(self.e.ravel() if self.observed is None else self.e[self.observed])

    @cached_property
    def centred(self) -> FloatArray:
        """Less their mean by entity over its observed periods; zero in holes."""
        if self.observed is None:
            return np.asarray(self.e - self.e.mean(axis=1, keepdims=True))
        return np.asarray((self.e - (self.e.sum(axis=1) / self.by_entity)[:, None]) * self.mask)

    def pairs(self, lag: int) -> BoolArray:
        """Which cells (N, T - lag) are observed, and `lag` periods before as well."""
        seen = np.ones(self.e.shape, dtype=bool) if self.observed is None else self.observed
        return np.asarray(seen[:, lag:] & seen[:, :-lag])


def check_residuals(resid: npt.ArrayLike | Residuals, *, min_units: int = 2, min_periods: int = 3) -> Residuals:
    """Residuals (N, T), NaN in holes, or what is wrong with them.

    Raises
    ------
    DataError
        For another shape, too few entities or periods, infinite values, and entities without any residual.
    """
    if isinstance(resid, Residuals):
        return resid
    e = np.asarray(resid, dtype=np.float64)
    if e.ndim != 2 or e.shape[0] < min_units or e.shape[1] < min_periods:
        raise DataError(
            f"Residuals have shape {e.shape}.",
            f"They must be (N, T) with N >= {min_units} and T >= {min_periods}.",
            "Pass entities along axis 0 and periods along axis 1.",
        )
    observed = ~np.isnan(e)
    if observed.all():
        _check_finite(e)
        return Residuals(e, None)
    e = np.where(observed, e, 0.0)
    _check_finite(e)
    empty = np.flatnonzero(~observed.any(axis=1))
    if empty.size:
        raise DataError(
            f"{empty.size} entities have no residual (first: row {int(empty[0])}).",
            "NaN marks a cell that is not observed; every entity needs one that is, and loadings the same rows.",
            "resid = resid[~np.isnan(resid).all(axis=1)]",
        )
    return Residuals(e, observed)


def _check_finite(e: FloatArray) -> None:
    infinite = int((~np.isfinite(e)).sum())
    if infinite:
        raise DataError(
            f"{infinite} residuals are infinite.", "They must be numbers, NaN where a cell is not observed.", None
        )


def has_entity_effects(resid: Residuals) -> bool:
    """Whether residuals sum to zero in every entity, as after entity effects or unit intercepts."""
    means = resid.e.mean(axis=1) if resid.observed is None else resid.e.sum(axis=1) / resid.by_entity
    return bool(np.all(np.abs(means) <= 1e-7 * _spread(resid)))


def has_time_effects(resid: Residuals) -> bool:
    """Whether residuals sum to zero in every period, as after time effects."""
    means = resid.e.mean(axis=0) if resid.observed is None else resid.e.sum(axis=0) / np.maximum(resid.by_time, 1)
    return bool(np.all(np.abs(means) <= 1e-7 * _spread(resid)))


def _spread(resid: Residuals) -> float:
    return max(float(resid.e.std() if resid.observed is None else resid.cells.std()), 1e-300)
