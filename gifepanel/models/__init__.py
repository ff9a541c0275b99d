"""Model classes: formula or data in, results out."""

from __future__ import annotations

from gifepanel.models.grouped import GroupedIFE
from gifepanel.models.interactive import InteractiveFE

__all__ = ["GroupedIFE", "InteractiveFE"]
