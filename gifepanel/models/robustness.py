"""The same model with other choices than those of a fit, one at a time."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.checkpoint import Checkpoint, fingerprint
from gifepanel.exceptions import GifepanelError, SpecificationError
from gifepanel.models.checks import near
from gifepanel.parallel import Progress, run_tasks
from gifepanel.results.robustness import Alternative
from gifepanel.solvers.grouped import counterparts, shared_units
from gifepanel.solvers.selection import smallest_group

__all__ = ["alternatives", "read_choices"]

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
_CHOICES = ("factors", "groups", "penalty", "classification", "bias", "errors")
_OF_GROUPS = ("groups", "penalty", "classification")
_ERRORS = ("nonrobust", "HC1", "cluster", "HAC", "driscoll-kraay")


@dataclass(frozen=True, eq=False)
class _Fitted:
    """What of the fit its alternatives are compared with."""

    names: tuple[str, ...]
    regressors: tuple[str, ...]
    entities: pd.Index
    groups: IntArray
    slots: IntArray
    nobs: int
    level: float


@dataclass(frozen=True)
class _Change:
    """One thing that is different: options of the fit, numbers of the model, or the covariance alone."""

    choice: str
    label: str
    value: str
    options: Mapping[str, Any]
    numbers: Mapping[str, int]
    errors: bool = False


def read_choices(choices: Any, grouped: bool) -> tuple[str, ...]:
    """Choices asked for, in their usual order; those of groups only in models that have some."""
    known = tuple(name for name in _CHOICES if grouped or name not in _OF_GROUPS)
    if choices is None:
        return known
    given = [choices] if isinstance(choices, str) else list(choices) if isinstance(choices, Iterable) else [choices]
    for name in given:
        if name not in known:
            why = "It is of models with groups" if name in _CHOICES else f"There are {', '.join(map(repr, known))}"
            raise SpecificationError(
                f"choices has {name!r}.", f"{why}.", f"choices=[{(near(name, known) or known[0])!r}]"
            )
    if not given:
        raise SpecificationError("The list of choices is empty.", "It needs one.", f"choices=[{known[0]!r}]")
    return tuple(name for name in known if name in given)


def alternatives(
    res: Any,
    choices: Sequence[str],
    level: float,
    *,
    n_jobs: int | None,
    progress: Progress,
    checkpoint: Checkpoint | None = None,
) -> list[Alternative]:
    """The fit, and what it would be with one choice different.

    Parameters
    ----------
    res : FactorResults
    choices : sequence of str
        As of :func:`read_choices`.
    level : float
        Of the intervals.
    n_jobs, progress, checkpoint
        As of :func:`gifepanel.parallel.run_tasks`.
    """
    estimate, model = res._estimate, res.model
    regressors = tuple(model._names)
    base = _Fitted(tuple(res._names), regressors, res._entities, estimate.groups, estimate.slots, estimate.nobs, level)
    settings = _settings(res)
    changes = [change for choice in choices for change in _CHANGES[choice](res, settings)]
    refits = [change for change in changes if not change.errors]
    arguments = {**res._fit_options, **res._covariance_options}
    unfitted = copy.copy(model)
    unfitted._estimate = None  # pickles of fitted models leave the caller's frame out
    tasks = [(unfitted, arguments, dict(change.options), dict(change.numbers), base) for change in refits]
    keys = [f"fit-{fingerprint(*change.options.items(), *change.numbers.items())}" for change in refits]
    work: dict[str, Any] = {"n_jobs": n_jobs, "progress": progress, "checkpoint": checkpoint, "keys": keys}
    fitted = iter(run_tasks(_refitted, tasks, description="specifications", **work))
    out = [Alternative("", "as fitted", settings, *_compared(res, base))]
    for change in changes:
        found = _other_errors(res, change.options, base) if change.errors else next(fitted)
        out.append(Alternative(change.choice, change.label, {**settings, change.choice: change.value}, *found))
    return out


# ---- what there is to choose


def _settings(res: Any) -> dict[str, str]:
    """What the fit has for every choice."""
    out = {"factors": str(res.n_factors)}
    if hasattr(res, "penalized"):
        out["groups"] = str(res.n_groups)
        out["penalty"] = _penalty(res._fit_options)
        out["classification"] = "soft" if res.is_soft else res.classify
    return out | {"bias": _bias_word(res.bias_correction), "errors": res._covariance.kind}


def _penalty(options: Mapping[str, Any]) -> str:
    raw = options["kappa"] is not None
    return f"kappa = {options['kappa']:g}" if raw else f"c = {options['kappa_scale']:g}"


def _bias_word(kind: str) -> str:
    return {"none": "none", "dynamic": "B1", "analytic": "B1, B2, B3"}.get(kind, kind)


def _factors(res: Any, settings: Mapping[str, str]) -> list[_Change]:
    others = [r for r in (res.n_factors - 1, res.n_factors + 1) if r >= 0]
    return [_Change("factors", f"R = {r}", str(r), {}, {"n_factors": r}) for r in others]


def _groups(res: Any, settings: Mapping[str, str]) -> list[_Change]:
    others = [k for k in (res.n_groups - 1, res.n_groups + 1) if k >= 1]
    start = {} if isinstance(res._fit_options["start"], str) else {"start": "kmeans"}
    out = []
    for k in others:
        one = {"groups": "hard"} if k == 1 else {}
        out.append(_Change("groups", f"K = {k}", str(k), start | one, {"n_groups": k}))
    return out


def _penalties(res: Any, settings: Mapping[str, str]) -> list[_Change]:
    if res.n_groups == 1:
        return []
    name = "kappa_scale" if res._fit_options["kappa"] is None else "kappa"
    out = []
    for times in (0.5, 2.0):
        options = {name: times * res._fit_options[name]}
        word = _penalty({**res._fit_options, **options})
        out.append(_Change("penalty", word, word, options, {}))
    return [change for change in out if change.value != settings["penalty"]]


def _classifications(res: Any, settings: Mapping[str, str]) -> list[_Change]:
    if res.n_groups == 1:
        return []
    options: dict[str, dict[str, Any]] = {
        "refined": {"classify": "refined", "groups": "hard"},
        "nearest": {"classify": "nearest", "groups": "hard"},
        "soft": {"groups": "soft", "groups_known": False},
    }
    others = [name for name in options if name != settings["classification"]]
    return [_Change("classification", name, name, options[name], {}) for name in others]


def _biases(res: Any, settings: Mapping[str, str]) -> list[_Change]:
    kinds = ["none", *(["dynamic"] if res.model._predetermined else []), "analytic", "jackknife"]
    words = {kind: _bias_word(kind) for kind in kinds}
    labels = {"none": "not corrected", "jackknife": "half-panel jackknife"}
    return [
        _Change("bias", labels.get(kind, f"corrected, {words[kind]}"), words[kind], {"bias_correction": kind}, {})
        for kind in kinds
        if words[kind] != settings["bias"]
    ]


def _errors(res: Any, settings: Mapping[str, str]) -> list[_Change]:
    out = [
        _Change("errors", kind, kind, {"cov_type": kind}, {}, True) for kind in _ERRORS if kind != settings["errors"]
    ]
    entity = res.sample.entity_name
    if settings["errors"] == "cluster" and res._cluster_names != (entity,):
        word = f"cluster by {entity}"
        out.append(_Change("errors", word, word, {"cov_type": "cluster"}, {}, True))
    if res.n_groups > 1 and not res.is_soft:
        known = not res._groups_known
        word = f"{settings['errors']}, groups {'known' if known else 'estimated'}"
        own = {
            name: value for name, value in res._covariance_options.items() if name not in ("cov_kwds", "groups_known")
        }
        options = {**own, **(res._covariance_options.get("cov_kwds") or {}), "groups_known": known}
        out.append(_Change("errors", word, word, options, {}, True))
    return out


_CHANGES = {
    "factors": _factors,
    "groups": _groups,
    "penalty": _penalties,
    "classification": _classifications,
    "bias": _biases,
    "errors": _errors,
}


# ---- fits


def _refitted(
    model: Any, arguments: dict[str, Any], options: dict[str, Any], numbers: dict[str, int], base: _Fitted
) -> tuple[Array, float, tuple[str, ...]]:
    """Values (q, 4), sum of squares and notes of the model with other options or numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            res = model._with_numbers(**numbers).fit(**{**arguments, **options})
        except GifepanelError as error:
            return _nothing(base, error)
        return _compared(res._results, base)


def _other_errors(res: Any, options: Mapping[str, Any], base: _Fitted) -> tuple[Array, float, tuple[str, ...]]:
    """The same for another covariance."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _compared(res.get_robustcov_results(**options)._results, base)
        except GifepanelError as error:
            return _nothing(base, error)


def _nothing(base: _Fitted, error: GifepanelError) -> tuple[Array, float, tuple[str, ...]]:
    return np.full((len(base.names), 4), np.nan), np.nan, (f"not fitted: {error.found}",)


def _compared(res: Any, base: _Fitted) -> tuple[Array, float, tuple[str, ...]]:
    """Slopes of the fit's groups in other results, sum of squares and notes."""
    estimate = res._estimate
    label, notes = _counterparts(res, estimate, base)
    found = np.column_stack([np.asarray(res.params), np.asarray(res.bse), np.asarray(res.conf_int(1 - base.level))])
    values = np.full((len(base.names), 4), np.nan)
    own = list(res.model._names)
    for j, name in enumerate(base.regressors):
        if name not in own:
            notes.append(f"{name} is spanned")
            continue
        column = own.index(name)
        for k, other in enumerate(label):
            values[base.slots[k, j]] = found[estimate.slots[other, column]]
    if not res.converged:
        notes.insert(0, "not converged")
    if estimate.nobs != base.nobs:
        notes.append(f"{estimate.nobs:,} of {base.nobs:,} observations")
    return values, float(res.ssr), tuple(notes)


def _counterparts(res: Any, estimate: Any, base: _Fitted) -> tuple[IntArray, list[str]]:
    """Which group of other results stands for each group of the fit (K,), and what is to be said of groups."""
    n_groups, n_own = len(estimate.slots), len(base.slots)
    notes: list[str] = []
    if n_groups == n_own == 1:
        return np.zeros(1, dtype=np.int64), notes
    at = res._entities.get_indexer(base.entities)
    shared = shared_units(base.groups[at >= 0], estimate.groups[at[at >= 0]], (n_own, n_groups))
    label = counterparts(shared)
    sizes = np.bincount(estimate.groups, minlength=n_groups)
    together = [np.flatnonzero(label == k) + 1 for k in range(n_groups)]
    notes += [f"groups {' and '.join(map(str, some))} are one" for some in together if len(some) > 1]
    more = [int(sizes[k]) for k in range(n_groups) if not len(together[k])]
    if more:
        notes.append(f"a further group of {more[0]}")
    moved = int(shared.sum() - shared[np.arange(n_own), label].sum())
    if moved and n_groups == n_own:
        notes.append(f"{moved} in another group")
    least = smallest_group(res.model._min_group_share, len(estimate.groups))
    if sizes.min() < max(2, least) and n_groups > 1 and int(sizes.min()) not in more:
        notes.append(f"a group of {sizes.min()}")
    return label, notes
