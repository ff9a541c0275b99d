"""Checks of a specification against the data, before any work starts."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from gifepanel.exceptions import CollinearityWarning, DataError, FormulaError, SpecificationError
from gifepanel.inference.space import factor_space, project
from gifepanel.panel.design import PanelDesign

__all__ = [
    "absorbed_effects",
    "check_choice",
    "check_count",
    "check_counts_fit",
    "check_unit_periods",
    "reject_unknown",
    "usable_columns",
]

Array = np.ndarray[Any, np.dtype[np.float64]]
_RELATIVE = 1e-9


def reject_unknown(options: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Raise for options that nothing reads."""
    if not options:
        return
    known = sorted(known)
    name = next(iter(options))
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    raise SpecificationError(
        f"{where} got an unknown option {name!r}.",
        f"It knows {', '.join(known)}.",
        f"{near[0]}={options[name]!r}" if near else f"Leave {name!r} out.",
    )


def check_choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """`value`, if it is one of the `choices`."""
    choices = tuple(choices)
    if not isinstance(value, str) or value not in choices:
        near = difflib.get_close_matches(str(value), choices, n=1, cutoff=0.4)
        raise SpecificationError(
            f"{name} is {value!r}.",
            f"It must be one of {', '.join(map(repr, choices))}.",
            f"{name}={(near[0] if near else choices[0])!r}",
        )
    return value


def check_count(name: str, value: Any, minimum: int) -> int:
    """A whole number that is at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < minimum:
        raise SpecificationError(
            f"{name} is {value!r}.", f"It must be a whole number, {minimum} or more.", f"{name}={max(minimum, 2)}"
        )
    return int(value)


def absorbed_effects(design: PanelDesign) -> tuple[bool, bool]:
    """Whether entity and time effects are absorbed; other effects are refused."""
    names = {design.index.entity_name: "entity", design.index.time_name: "time"}
    found = set()
    for effect in design.absorbed_effects:
        if effect.slopes or len(effect.factors) != 1 or effect.factors[0] not in names:
            raise FormulaError(
                f"The model absorbs {effect.name!r}.",
                f"Models with factors absorb the entity ({design.index.entity_name!r}) and the time "
                f"({design.index.time_name!r}); other effects enter as regressors.",
                f"y ~ x + C({effect.factors[0]}) | {design.index.entity_name}",
            )
        found.add(names[effect.factors[0]])
    return "entity" in found, "time" in found


def check_counts_fit(
    design: PanelDesign, n_groups: int, n_factors: int, entity_effects: bool, time_effects: bool
) -> None:
    """n_factors below both dimensions of the residual matrix, n_groups not above the number of entities."""
    n, t = design.index.n_entities, design.index.n_times
    limit = min(n - time_effects, t - entity_effects)
    if n_factors >= limit:
        raise SpecificationError(
            f"n_factors is {n_factors} with {n} entities and {t} periods.",
            f"It must be below {limit}: that many factors fit any residuals exactly.",
            f"n_factors={max(0, min(2, limit - 1))}",
        )
    if n_groups > n:
        raise SpecificationError(
            f"n_groups is {n_groups} with {n} entities.",
            "Every group needs an entity, and several to say anything.",
            f"n_groups={max(1, min(3, n // 2))}",
        )


def check_unit_periods(design: PanelDesign, n_regressors: int, n_factors: int, entity_effects: bool) -> None:
    """Every entity must identify its own slopes under the factors: T > p + R + [entity effects]."""
    needed = n_regressors + n_factors + int(entity_effects) + 1
    counts = np.bincount(design.index.entity_codes, minlength=design.index.n_entities)
    short = np.flatnonzero(counts < needed)
    if short.size == 0:
        return
    names = ", ".join(map(str, design.index.entities[short[:5]])) + (", ..." if short.size > 5 else "")
    level = design.index.entity_name
    fix = (
        f"data = data.groupby(level={level!r}).filter(lambda unit: len(unit) >= {needed})"
        if short.size < counts.size
        else "Lower n_factors, drop regressors, or take InteractiveFE (one slope vector for all)."
    )
    raise DataError(
        f"{short.size} of {counts.size} entities have too few periods: {names} ({counts[short].min()} periods).",
        f"Slopes of single entities need at least {needed} periods: {n_regressors} regressors, {n_factors} factors"
        + (", an entity effect" if entity_effects else "")
        + " and one to spare.",
        fix,
    )


def usable_columns(design: PanelDesign, cube: Array, entity_effects: bool, time_effects: bool) -> list[int]:
    """Columns left after those that effects absorb or that others span; the rest are named in a warning.

    Parameters
    ----------
    design : PanelDesign
    cube : ndarray, shape (N, T, p)
    entity_effects, time_effects : bool
    """
    n, t, p = cube.shape
    space = factor_space(n, t, entity_effects=entity_effects, time_effects=time_effects)
    flat = project(cube, space).reshape(n * t, p)
    before = np.linalg.norm(cube.reshape(n * t, p), axis=0)
    after = np.linalg.norm(flat, axis=0)
    absorbed = [j for j in range(p) if after[j] <= _RELATIVE * before[j]]
    effects = " and ".join(
        name for name, on in ((design.index.entity_name, entity_effects), (design.index.time_name, time_effects)) if on
    )
    names = design.exog_names
    for j in absorbed:
        what = f"is absorbed by the effects of {effects}" if before[j] > 0 else "is zero throughout"
        _warn_dropped(names[j], what)
    kept = [j for j in range(p) if j not in absorbed]
    spanned = _spanned(flat[:, kept] / after[kept]) if kept else []
    for position in spanned:
        others = [names[kept[j]] for j in range(position) if j not in spanned]
        _warn_dropped(names[kept[position]], f"is a linear combination of {', '.join(others)}")
    kept = [j for position, j in enumerate(kept) if position not in spanned]
    if not kept:
        raise DataError(
            f"No regressor is left: {', '.join(names) or 'the formula has none'}.",
            "At least one must vary within the effects.",
            "Add a regressor that varies over time within entities.",
        )
    return kept


def _spanned(columns: Array) -> list[int]:
    """Positions of columns (of length one) that those before them span."""
    triangle = np.linalg.qr(columns, mode="r")
    return [int(j) for j in np.flatnonzero(np.abs(np.diag(triangle)) <= _RELATIVE)]


def _warn_dropped(name: str, why: str) -> None:
    warnings.warn(
        CollinearityWarning(f"{name} was dropped: it {why}.", None, "Leave it out of the formula to silence this."),
        stacklevel=6,
    )
