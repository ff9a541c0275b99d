"""Additive effects, and further known parts, taken out of a panel before anything is estimated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gifepanel.inference.projected_blocks import ProjectedBlocks
from gifepanel.inference.space import factor_space, project
from gifepanel.panel.matrices import PanelDesign
from gifepanel.projections.tangent import TangentSpace

if TYPE_CHECKING:
    from gifepanel.models.read_data import CellFactorData

__all__ = ["Additive"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Additive:
    """What is known besides regressors.

    Attributes
    ----------
    design : PanelDesign
    entity_effects, time_effects : bool
    space : TangentSpace or None
        Where cells are missing or weighted, or more is known than additive effects.
    any : bool
        Whether anything is.
    """

    design: PanelDesign
    entity_effects: bool
    time_effects: bool
    space: TangentSpace | None
    any: bool

    @classmethod
    def of(cls, model: CellFactorData) -> Additive:
        """Of a model that has read its cells."""
        from gifepanel.models.cell_estimation import additive_space, cells_of_model

        parts = model._parts
        known = bool(parts.unit_names or parts.period_names)
        space = additive_space(cells_of_model(model)) if model._on_cells else None
        return cls(model.design, parts.entity_effects, parts.time_effects, space, known)

    def taken_out(self, cube: Array) -> Array:
        """A panel (N, T) or (N, T, k) without them; times the roots of the weights where rows have weights."""
        if self.space is None:
            n, t = cube.shape[:2]
            space = factor_space(n, t, entity_effects=self.entity_effects, time_effects=self.time_effects)
            return project(cube, space)
        return self.space.off(cube)

    def in_blocks(self, cube: Array, *, mean: bool = False) -> ProjectedBlocks:
        """A panel (N, T, k) without them, a few entities at a time; with `mean` less the mean of all cells."""
        n, t, k = cube.shape
        effects = {"entity_effects": self.entity_effects, "time_effects": self.time_effects}
        middle = cube.mean() if mean else 0.0
        return ProjectedBlocks(lambda rows: cube[rows] - middle, factor_space(n, t, **effects), k)

    @property
    def words(self) -> str:
        """Whose effects these are."""
        index = self.design.index
        named = {name for effect in self.design.absorbed_effects for name in effect.factors}
        return " and ".join(name for name in (index.entity_name, index.time_name) if name in named)
