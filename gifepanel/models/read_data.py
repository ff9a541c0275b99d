"""What a model has read before anything is estimated: all that covariances, bias corrections and refits ask of it."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from gifepanel.models.known_parts import KnownParts
from gifepanel.panel.index import PanelIndex
from gifepanel.panel.matrices import PanelDesign
from gifepanel.results.linear_inputs import LinearModel

__all__ = ["CellFactorData", "FactorData", "LinearData"]

Array = np.ndarray[Any, np.dtype[np.float64]]


class FactorData(Protocol):
    """Of a model with factors: the panel as cubes, its effects, and the numbers of factors and groups.

    ``_y`` is (N, T) and ``_x`` (N, T, p), the regressors called ``_names``; ``_lags`` and ``_predetermined`` are
    positions among them. ``_source`` is the caller's frame, where there is one.
    """

    design: PanelDesign
    entity_effects: bool
    time_effects: bool
    n_factors: int
    n_groups: int
    _y: Array
    _x: Array
    _names: list[str]
    _lags: tuple[int, ...]
    _predetermined: tuple[int, ...]
    _source: Any

    @property
    def n_entities(self) -> int: ...
    @property
    def n_times(self) -> int: ...


class CellFactorData(FactorData, Protocol):
    """Besides, which cells (N, T) are observed (None: all), their weights (None: one), and what is known of effects."""

    _observed: np.ndarray[Any, np.dtype[np.bool_]] | None
    _cell_weights: Array | None
    _parts: KnownParts

    @property
    def _on_cells(self) -> bool: ...


class LinearData(LinearModel, Protocol):
    """Of partialled-out least squares: besides what results ask, who and when by the caller's frame and words."""

    _source: Any
    _entity: Any
    _time: Any
    _rows: Any

    def panel_index(self, entity: Any = None, time: Any = None, *, required: bool = True) -> PanelIndex | None: ...
