"""Grouped interactive fixed effects for panel data: latent groups of slopes, common factors, inference.

>>> import gifepanel as gife
>>> data = gife.datasets.load_cigar()
>>> model = gife.GroupedIFE.from_formula(
...     "log(sales) ~ log(real_price) + log(real_income) | state", data, n_groups="auto", n_factors="auto"
... )

Everything is imported when it is first used, so that ``import gifepanel`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gifepanel import datasets, diagnostics, exceptions, formula, interop
    from gifepanel.models import GroupedIFE, InteractiveFE, PartialledOLS
    from gifepanel.models.selection import select
    from gifepanel.simulations import monte_carlo
    from gifepanel.tables.compare import compare

__version__ = "0.1.0.dev0"

__all__ = [
    "GroupedIFE",
    "InteractiveFE",
    "PartialledOLS",
    "__version__",
    "compare",
    "datasets",
    "diagnostics",
    "exceptions",
    "formula",
    "interop",
    "monte_carlo",
    "select",
]

_CLASSES = {
    "GroupedIFE": "gifepanel.models.grouped",
    "InteractiveFE": "gifepanel.models.interactive",
    "PartialledOLS": "gifepanel.models.partialled",
    "compare": "gifepanel.tables.compare",
    "monte_carlo": "gifepanel.simulations",
    "select": "gifepanel.models.selection",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name in _CLASSES:
        value = getattr(import_module(_CLASSES[name]), name)
    elif name in __all__:
        value = import_module(f"gifepanel.{name}")
    else:
        raise AttributeError(f"module 'gifepanel' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
