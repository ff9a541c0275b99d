"""Panels: entity × time indexes, designs from formulas, frames and arrays, panel-aware lags."""

from __future__ import annotations

from gifepanel.panel.design import PanelDesign, design_from_arrays, design_from_formula, design_from_frames
from gifepanel.panel.grammar import AbsorbedEffect
from gifepanel.panel.index import PanelIndex
from gifepanel.panel.spec import DesignSpec, NewExog, capture_context

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
