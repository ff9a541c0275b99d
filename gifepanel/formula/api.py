"""Models from a formula and a data frame, in the manner of ``statsmodels.formula.api``.

>>> import gifepanel.formula.api as gfa
>>> from gifepanel.datasets import load_cigar
>>> model = gfa.gife("log(sales) ~ log(real_price) + log(real_income) | state", load_cigar(),
...                  n_groups=3, n_factors=2)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from gifepanel.models import GroupedIFE, InteractiveFE

__all__ = ["gife", "ife"]

Count = int | Iterable[int] | Literal["auto"]


def gife(
    formula: str,
    data: Any,
    *,
    n_groups: Count,
    n_factors: Count,
    entity: str | None = None,
    time: str | None = None,
    context: int | Mapping[str, Any] | None = 0,
    **options: Any,
) -> GroupedIFE:
    """Grouped interactive fixed effects: :meth:`gifepanel.GroupedIFE.from_formula`.

    Parameters
    ----------
    formula : str
        ``"y ~ x1 + x2 | entity"``; the part after ``|`` names absorbed effects.
    data : DataFrame
        With an index (entity, time), or flat with `entity` and `time`; anything narwhals reads.
    n_groups, n_factors : int, iterable of int or "auto"
        Number of groups of slopes and of common factors, or the numbers to choose from.
    entity, time : str, optional
        Names of the columns that say who and when.
    context : int, mapping or None
        Where functions used in the formula are looked up: frames above the caller, or names.
    **options
        Further arguments of :meth:`gifepanel.GroupedIFE.from_formula`.

    Returns
    -------
    GroupedIFE
        The model, not fitted yet: call ``.fit()``.
    """
    from gifepanel.models import GroupedIFE

    return GroupedIFE.from_formula(
        formula,
        data,
        entity=entity,
        time=time,
        n_groups=n_groups,
        n_factors=n_factors,
        context=context + 1 if isinstance(context, int) else context,
        **options,
    )


def ife(
    formula: str,
    data: Any,
    *,
    n_factors: Count,
    entity: str | None = None,
    time: str | None = None,
    context: int | Mapping[str, Any] | None = 0,
    **options: Any,
) -> InteractiveFE:
    """Interactive fixed effects with one slope vector: :meth:`gifepanel.InteractiveFE.from_formula`.

    Parameters
    ----------
    formula : str
        ``"y ~ x1 + x2 | entity"``; the part after ``|`` names absorbed effects.
    data : DataFrame
        With an index (entity, time), or flat with `entity` and `time`; anything narwhals reads.
    n_factors : int, iterable of int or "auto"
        Number of common factors, or the numbers to choose from.
    entity, time : str, optional
        Names of the columns that say who and when.
    context : int, mapping or None
        Where functions used in the formula are looked up: frames above the caller, or names.
    **options
        Further arguments of :meth:`gifepanel.InteractiveFE.from_formula`.

    Returns
    -------
    InteractiveFE
        The model, not fitted yet: call ``.fit()``.
    """
    from gifepanel.models import InteractiveFE

    return InteractiveFE.from_formula(
        formula,
        data,
        entity=entity,
        time=time,
        n_factors=n_factors,
        context=context + 1 if isinstance(context, int) else context,
        **options,
    )
