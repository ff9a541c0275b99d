"""How many factors, how many groups: candidates, criteria, choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from gifepanel.exceptions import SpecificationError
from gifepanel.models.checks import reject_unknown
from gifepanel.models.counts import Count
from gifepanel.models.foreign import options_given, refuse_model_words
from gifepanel.panel.context import capture_context
from gifepanel.parallel import Progress
from gifepanel.results.selection import Selection
from gifepanel.spellings.options import Source, keywords

if TYPE_CHECKING:
    from gifepanel.models.base import FactorModel

__all__ = ["select"]


def select(
    model: FactorModel | str,
    data: Any = None,
    *,
    n_groups: Count = "auto",
    n_factors: Count = "auto",
    common: str | Sequence[str] | None = None,
    entity: Any = None,
    time: Any = None,
    predetermined: str | Sequence[str] = (),
    weights: Any = None,
    missing: str = "drop",
    rule: str = "edge",
    min_group_share: float | None = None,
    kappa_scale: float = 1.0,
    random_state: Any = 0,
    n_jobs: int | None = None,
    progress: Progress = None,
    checkpoint: str | PathLike[str] | None = None,
    context: int | Mapping[str, Any] | None = 0,
    **unknown: Any,
) -> Selection:
    """Choose the numbers of factors and groups.

    The number of factors comes first, with slopes of each entity (no grouping is assumed then), by a sequential test of
    the next principal component against noise with the memory of the residuals; IC1 and IC2 of Bai & Ng (2002) and
    three rules on eigenvalues stand beside it. The number of groups follows at that number, by ln sigma^2 + (2/3)
    (NT)^(-1/2) p K phi after classification (Su, Shi & Phillips 2016; Su & Ju 2018), phi being the design effect of
    dependence within entities.

    Parameters
    ----------
    model : str or model
        A formula, with `data`; or a :class:`gifepanel.GroupedIFE` or a :class:`gifepanel.InteractiveFE`, whose own
        numbers are not used.
    data : DataFrame, optional
        With a two-level index (entity, time), or flat with `entity` and `time`; anything narwhals reads.
    n_groups, n_factors : int, iterable of int or "auto"
        Candidates; "auto" is 1..6 groups and 0..8 factors (fewer for small panels). An int fixes the number.
    common : str or sequence of str, optional
        Regressors, or terms, whose slope is the same in all groups; by default the intercept, where the formula has
        one. ``[]`` gives every group its own.
    entity, time : str, optional
        Columns that say who and when.
    predetermined : str or sequence of str
        Regressors that react to past errors, for the model; the choice does not depend on them.
    weights : str or array_like, optional
        Weights of observations: a column, or one value per row.
    missing : {"drop", "raise"}
        What to do with rows that hold NaN.
    rule : {"edge", "ic2", "ic1", "er", "gr", "ed", "cv"}
        What chooses the number of factors; all but "cv", cross-validation, are reported.
    min_group_share : float, optional
        Smallest share of the entities in a group, which has two at least; numbers of groups with a smaller one are not
        chosen. By default 0.05, or that of the model; 0 allows any.
    kappa_scale : float
        Of the fits by number of groups.
    random_state : int or Generator
        Of K-means and of random starts.
    n_jobs : int, optional
        Workers; None is one unless a ``joblib.parallel_config`` says otherwise.
    progress : bool or callable, optional
        Progress bar: None shows it on a terminal after two seconds.
    checkpoint : str or path, optional
        A folder that keeps finished fits; the same call again goes on from there, with more candidates too.
    context : int, mapping or None
        Where functions used in the formula are looked up: frames above the caller, or names; a formula is code then.
        None for formulas of others: known functions only, anything else is refused before it runs.

    Returns
    -------
    Selection

    Examples
    --------
    >>> import gifepanel as gife
    >>> panel = gife.datasets.simulate("S", n_entities=60, n_times=40, random_state=1)
    >>> choice = gife.select("y ~ 0 + x1 + x2", panel.data, n_factors=range(0, 5), n_groups=range(1, 5))
    >>> choice.n_factors, choice.n_groups
    (2, 3)
    """
    from gifepanel.models.grouped import GroupedIFE

    counts: dict[str, Any] = {"n_groups": n_groups, "n_factors": n_factors}
    built: dict[str, Any] = {"common": common, "entity": entity, "time": time}
    built |= {"predetermined": predetermined, "weights": weights, "missing": missing}
    how: dict[str, Any] = {"rule": rule, "min_group_share": min_group_share, "kappa_scale": kappa_scale}
    how |= {"random_state": random_state, "n_jobs": n_jobs, "progress": progress, "checkpoint": checkpoint}
    _check_call(model, data, unknown, {**counts, **built, **how})
    if isinstance(model, str):
        model = GroupedIFE.from_formula(model, data, context=capture_context(context), **counts, **built)
        return model.select(**how)
    _refuse_built(model, data, counts, built, how)
    return model.select(**counts, **how)


def _check_call(model: Any, data: Any, unknown: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Options of others, and what is no model."""
    defaults = select.__kwdefaults__ or {}
    if not isinstance(model, str) and not hasattr(model, "_read_counts"):
        raise SpecificationError(
            f"select was given a {type(model).__name__} first.",
            "It takes a formula and data, or a model with factors.",
            'gife.select("y ~ x1 + x2", data)',
        )
    formula = model if isinstance(model, str) else None
    refuse_model_words(
        "gife.select", unknown, given, defaults, formula=formula, data=data, positional="model", factors=True
    )
    reject_unknown(unknown, defaults, "select")


def _refuse_built(
    model: Any, data: Any, counts: Mapping[str, Any], built: Mapping[str, Any], how: Mapping[str, Any]
) -> None:
    """Options that say how a model is built do nothing to one that is."""
    defaults = select.__kwdefaults__ or {}
    asked, counts, how = (options_given(one, defaults) for one in (built, counts, how))
    if not asked and data is None:
        return
    call = model._call
    before = {key: Source(text) for key, text in call.options if key not in (*asked, "n_groups", "n_factors")}
    arguments = [*call.arguments, keywords({**before, **asked, **counts, **how})]
    fix = f"gife.select({', '.join(one for one in arguments if one)})"
    if "data" not in call.arguments:
        counts = {"n_groups": "auto", "n_factors": "auto", **counts}
        options = keywords({**before, **asked, **counts})
        fix = f"gife.GroupedIFE({', '.join([*call.arguments, options])}).select({keywords(how)})"
    raise SpecificationError(
        f"select got a model and {', '.join([*(['data'] if data is not None else []), *asked])}.",
        "The model is built: its data and its regressors are settled.",
        fix,
    )
