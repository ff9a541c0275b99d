"""Model classes: formula or data in, results out."""

from __future__ import annotations

from gifepanel.models.grouped import GroupedIFE
from gifepanel.models.interactive import InteractiveFE
from gifepanel.models.partialled import PartialledOLS

__all__ = ["GroupedIFE", "InteractiveFE", "PartialledOLS"]
