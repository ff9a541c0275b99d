"""Panels: entity × time indexes, designs from formulas, frames and arrays, panel-aware lags."""

from __future__ import annotations

from gifepanel.panel.absorbed import AbsorbedEffect
from gifepanel.panel.context import capture_context
from gifepanel.panel.cubes import design_from_arrays
from gifepanel.panel.design import design_from_formula
from gifepanel.panel.design_of_frames import design_from_frames
from gifepanel.panel.index import PanelIndex
from gifepanel.panel.matrices import PanelDesign
from gifepanel.panel.spec import DesignSpec, NewExog

__all__ = [
    "AbsorbedEffect",
    "DesignSpec",
    "NewExog",
    "PanelDesign",
    "PanelIndex",
    "capture_context",
    "design_from_arrays",
    "design_from_formula",
    "design_from_frames",
]
