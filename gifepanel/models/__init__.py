"""Model classes: formula or data in, results out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gifepanel.models.grouped import GroupedIFE
    from gifepanel.models.interactive import InteractiveFE
    from gifepanel.models.partialled import PartialledOLS

__all__ = ["GroupedIFE", "InteractiveFE", "PartialledOLS"]

_MODULES = {"GroupedIFE": "grouped", "InteractiveFE": "interactive", "PartialledOLS": "partialled"}


def __getattr__(name: str) -> Any:
    """Import a model class when it is first used (PEP 562): partialled-out OLS needs none of the factor models."""
    if name not in _MODULES:
        raise AttributeError(f"module 'gifepanel.models' has no attribute {name!r}")
    value = getattr(import_module(f"gifepanel.models.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
