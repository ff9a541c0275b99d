"""Models from a formula and a data frame, in the manner of ``statsmodels.formula.api``.

>>> import gifepanel.formula.api as gfa
>>> from gifepanel.datasets import load_cigar
>>> model = gfa.gife("log(sales) ~ log(real_price) + log(real_income) | state", load_cigar(),
...                  n_groups=3, n_factors=2)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from gifepanel.models import GroupedIFE, InteractiveFE, PartialledOLS

__all__ = ["gife", "ife", "pols"]

Count = int | Iterable[int] | Literal["auto"]


def gife(
    formula: str,
    data: Any,
    *,
    n_groups: Count | None = None,
    n_factors: Count | None = None,
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
        Where functions used in the formula are looked up: frames above the caller, or names; a formula is code then.
        None for formulas of others: known functions only, anything else is refused before it runs.
    **options
        Further arguments of :meth:`gifepanel.GroupedIFE.from_formula`.

    Returns
    -------
    GroupedIFE
        The model, not fitted yet: call ``.fit()``.

    Examples
    --------
    >>> import gifepanel.formula.api as gfa
    >>> from gifepanel.datasets import simulate
    >>> panel = simulate("S", n_entities=40, n_times=30, random_state=1)
    >>> gfa.gife("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2).fit().group_sizes.tolist()
    [12, 11, 17]
    """
    from gifepanel.models import GroupedIFE

    return GroupedIFE.from_formula(
        formula,
        data,
        entity=entity,
        time=time,
        context=context + 1 if isinstance(context, int) else context,
        **_given(n_groups=n_groups, n_factors=n_factors),
        **options,
    )


def ife(
    formula: str,
    data: Any,
    *,
    n_factors: Count | None = None,
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
        Where functions used in the formula are looked up: frames above the caller, or names; a formula is code then.
        None for formulas of others: known functions only, anything else is refused before it runs.
    **options
        Further arguments of :meth:`gifepanel.InteractiveFE.from_formula`.

    Returns
    -------
    InteractiveFE
        The model, not fitted yet: call ``.fit()``.

    Examples
    --------
    >>> import gifepanel.formula.api as gfa
    >>> from gifepanel.datasets import load_cigar
    >>> gfa.ife("sales ~ 0 + price + ndi", load_cigar(), n_factors=2).fit().params.round(4).tolist()
    [-0.222, 0.0057]
    """
    from gifepanel.models import InteractiveFE

    return InteractiveFE.from_formula(
        formula,
        data,
        entity=entity,
        time=time,
        context=context + 1 if isinstance(context, int) else context,
        **_given(n_factors=n_factors),
        **options,
    )


def pols(
    formula: str,
    data: Any,
    *,
    partial: str | Sequence[str] = "",
    weights: Any = None,
    entity: str | None = None,
    time: str | None = None,
    context: int | Mapping[str, Any] | None = 0,
    **options: Any,
) -> PartialledOLS:
    """Least squares after partialling out: :meth:`gifepanel.PartialledOLS.from_formula`.

    Parameters
    ----------
    formula : str
        ``"y ~ x1 + x2 | firm + year"``; the part after ``|`` names absorbed effects, ``firm^year`` and ``firm[trend]``
        among them.
    data : DataFrame
        Of any kind narwhals reads; an index (entity, time) is not needed.
    partial : str or sequence of str
        Controls to be partialled out.
    weights : str or array_like, optional
        Analytic weights.
    entity, time : str, optional
        Names of the columns that say who and when, for lags and for covariances over time.
    context : int, mapping or None
        Where functions used in the formula are looked up: frames above the caller, or names; a formula is code then.
        None for formulas of others: known functions only, anything else is refused before it runs.
    **options
        Further arguments of :meth:`gifepanel.PartialledOLS.from_formula`.

    Returns
    -------
    PartialledOLS
        The model, not fitted yet: call ``.fit()``.

    Examples
    --------
    >>> import gifepanel.formula.api as gfa
    >>> from gifepanel.datasets import load_cigar
    >>> res = gfa.pols("sales ~ price | state", load_cigar(), partial="pop").fit(cov_type="cluster")
    >>> res.params.index.tolist()
    ['price']
    """
    from gifepanel.models import PartialledOLS

    return PartialledOLS.from_formula(
        formula,
        data,
        partial=partial,
        weights=weights,
        entity=entity,
        time=time,
        context=context + 1 if isinstance(context, int) else context,
        **options,
    )


def _given(**counts: Any) -> dict[str, Any]:
    """Numbers that were given; what is missing is told by the model, which knows words of others."""
    return {name: value for name, value in counts.items() if value is not None}
