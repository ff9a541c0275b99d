"""Models from a formula and a data frame, in the manner of ``statsmodels.formula.api``.

`gife`, `ife` and `pols` are the functions ``from_formula`` of the three models, and have their signatures: what a model
takes is written in its class. They are looked up when they are first used, so that the import costs next to nothing.

>>> import gifepanel.formula.api as gfa
>>> from gifepanel.datasets import load_cigar
>>> model = gfa.gife("log(sales) ~ log(real_price) + log(real_income) | state", load_cigar(),
...                  n_groups="auto", n_factors="auto")
>>> gfa.ife("sales ~ 0 + price + ndi", load_cigar(), n_factors=2).fit().params.round(4).tolist()
[-0.222, 0.0057]
>>> res = gfa.pols("sales ~ price | state", load_cigar(), partial="pop").fit(cov_type="cluster")
>>> res.params.index.tolist()
['price']
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gifepanel.models import GroupedIFE, InteractiveFE, PartialledOLS

    gife = GroupedIFE.from_formula
    ife = InteractiveFE.from_formula
    pols = PartialledOLS.from_formula

__all__ = ["gife", "ife", "pols"]

_MODELS = {"gife": "GroupedIFE", "ife": "InteractiveFE", "pols": "PartialledOLS"}


def __getattr__(name: str) -> Any:
    """``from_formula`` of the model that a name stands for (PEP 562)."""
    if name not in _MODELS:
        raise AttributeError(f"module 'gifepanel.formula.api' has no attribute {name!r}")
    from gifepanel import models

    value = getattr(models, _MODELS[name]).from_formula
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
