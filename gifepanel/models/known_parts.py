"""Parts of a model with factors that are known: effects, trends, observed factors and loadings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gifepanel.exceptions import FormulaError
from gifepanel.panel.complete import CompleteDesign
from gifepanel.panel.matrices import PanelDesign

__all__ = ["KnownParts", "known_parts"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class KnownParts:
    """Columns with a coefficient of each entity or of each period.

    Attributes
    ----------
    unit, period : ndarray, shapes (N, T, d) and (N, T, m)
        Zero where nothing is observed; ones are additive effects.
    unit_names, period_names : tuple of str
        "1" for additive effects.
    """

    unit: Array
    period: Array
    unit_names: tuple[str, ...]
    period_names: tuple[str, ...]

    @property
    def entity_effects(self) -> bool:
        """Whether entities have additive effects."""
        return "1" in self.unit_names

    @property
    def time_effects(self) -> bool:
        """Whether periods have additive effects."""
        return "1" in self.period_names

    @property
    def only_additive(self) -> bool:
        """Whether there is nothing but additive effects."""
        return {*self.unit_names, *self.period_names} <= {"1"}


def known_parts(design: PanelDesign) -> KnownParts:
    """The parts that a formula names after the bar: ``firm + year + firm[trend] + year[size]``.

    Raises
    ------
    FormulaError
        For effects of anything but the entity and the time.
    """
    index = design.index
    columns: dict[str, dict[str, Array | None]] = {index.entity_name: {}, index.time_name: {}}
    for effect in design.absorbed_effects:
        if len(effect.factors) != 1 or effect.factors[0] not in columns:
            raise _unknown(design, effect.name, effect.factors)
        own = columns[effect.factors[0]]
        if effect.intercept:
            own["1"] = None
        own.update(dict.fromkeys(effect.slopes))
    unit, period = (_cube(design, columns[name]) for name in (index.entity_name, index.time_name))
    return KnownParts(unit, period, tuple(columns[index.entity_name]), tuple(columns[index.time_name]))


def _cube(design: PanelDesign, columns: dict[str, Array | None]) -> Array:
    index = design.index
    if isinstance(design, CompleteDesign):  # entities and times alone
        return np.broadcast_to(np.ones(()), (index.n_entities, index.n_times, len(columns)))
    rows = [np.ones(design.nobs) if name == "1" else design.absorbed_slopes[name] for name in columns]
    return index.to_cube(np.column_stack(rows) if rows else np.empty((design.nobs, 0)))


def _unknown(design: PanelDesign, name: str, factors: tuple[str, ...]) -> FormulaError:
    index = design.index
    other = "" if set(factors) & {index.entity_name, index.time_name} else f" + C({factors[0]})"
    return FormulaError(
        f"The model absorbs {name!r}.",
        f"Models with factors absorb the entity ({index.entity_name!r}) and the time ({index.time_name!r}), and slopes "
        "of both; other effects enter as regressors.",
        f"y ~ x{other} | {index.entity_name}",
    )
