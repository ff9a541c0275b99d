"""Results in the hands of other packages; each module is imported when it is first asked for.

>>> import gifepanel as gife
>>> res = gife.PartialledOLS.from_formula("sales ~ price | state + year", gife.datasets.load_cigar()).fit()
>>> gife.interop.tidy.tidy(res)[["term", "estimate", "std_error"]].round(4)
    term  estimate  std_error
0  price   -1.0847     0.0755
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["great_tables", "linearmodels", "maketables", "marginaleffects", "stargazer", "statsmodels", "tidy"]


def __getattr__(name: str) -> Any:
    """Import a module when it is first used (PEP 562)."""
    if name in __all__:
        return import_module(f"gifepanel.interop.{name}")
    raise AttributeError(f"module 'gifepanel.interop' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
