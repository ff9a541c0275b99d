"""Checks of options, and of a specification against the data, before any work starts."""

from __future__ import annotations

import difflib
import numbers
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gifepanel.blocks import is_large
from gifepanel.exceptions import CollinearityWarning, ConvergenceWarning, DataError, FormulaError, SpecificationError
from gifepanel.inference.estimate import FactorEstimate
from gifepanel.panel.brackets import split_top
from gifepanel.panel.grammar import split_formula
from gifepanel.panel.matrices import PanelDesign
from gifepanel.panel.text import caller_level, first_of
from gifepanel.projections.base import column_norms
from gifepanel.projections.triangle import spanned_by
from gifepanel.spellings.formulas import quoted

if TYPE_CHECKING:
    from gifepanel.models.additive import Additive

__all__ = [
    "check_choice",
    "check_count",
    "check_counts_fit",
    "check_flag",
    "check_groups",
    "check_halves",
    "check_identified",
    "check_no_id_dummies",
    "check_number",
    "check_outcome",
    "check_seed",
    "check_unit_periods",
    "combination_of",
    "near",
    "references_last",
    "reject_unknown",
    "usable_columns",
    "warn_dropped",
    "warn_not_converged",
    "warn_of_near_columns",
]

Array = np.ndarray[Any, np.dtype[np.float64]]
_RELATIVE = 1e-9
_NEAR = 1e-5
_FACTORS = 1e-9  # factors are known as well as the descent converges


# ---- options


def near(value: Any, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name that was probably meant; letters of another case count as the same."""
    lower = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(str(value).casefold(), lower, n=1, cutoff=cutoff)
    return lower[found[0]] if found else None


def reject_unknown(options: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Raise for options that nothing reads."""
    if not options:
        return
    known = sorted(known)
    name = next(iter(options))
    meant = near(name, known, cutoff=0.7)
    raise SpecificationError(
        f"{where} got an unknown option {name!r}.",
        f"It knows {', '.join(known)}." if known else "It takes no options.",
        f"{meant}={options[name]!r}" if meant else f"Leave {name!r} out.",
    )


def check_choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """`value`, if it is one of the `choices`."""
    choices = tuple(choices)
    if not isinstance(value, str) or value not in choices:
        raise SpecificationError(
            f"{name} is {value!r}.",
            f"It must be one of {', '.join(map(repr, choices))}.",
            f"{name}={(near(value, choices) or choices[0])!r}",
        )
    return value


def check_groups(groups: Any, columns: Iterable[Any]) -> None:
    """``groups`` of a fit; elsewhere the word means clusters, or how many groups there are."""
    if isinstance(groups, str) and groups in ("hard", "soft"):
        return
    if isinstance(groups, str) and groups in tuple(columns):
        fix = f'cov_type="cluster", cov_kwds={{"groups": {groups!r}}}'
    elif isinstance(groups, (int, np.integer)) and not isinstance(groups, bool) and groups > 0:
        fix = f"n_groups={int(groups)} where the model is made"
    elif isinstance(groups, str) or groups is None or isinstance(groups, (bool, numbers.Number)):
        fix = f'groups="{near(groups, ("hard", "soft")) or "hard"}"' if isinstance(groups, str) else 'groups="hard"'
    else:
        fix = 'cov_type="cluster", cov_kwds={"groups": groups}'
    raise SpecificationError(
        f"groups is {groups!r}."
        if isinstance(groups, (str, numbers.Number))
        else f"groups is a {type(groups).__name__}.",
        "It says how entities count in groups, 'hard' or 'soft'; clusters of errors go into cov_kwds.",
        fix,
    )


def check_count(name: str, value: Any, minimum: int, maximum: int | None = None, usual: int = 2) -> int:
    """A whole number from `minimum` to `maximum`; `usual` is what the fix says where nothing better is known."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if whole and value >= minimum and (maximum is None or value <= maximum):
        return int(value)
    span = f"{minimum} or more" if maximum is None else f"from {minimum} to {maximum}"
    raise SpecificationError(
        f"{name} was not given." if value is None else f"{name} is {value!r}.",
        f"It must be a whole number, {span}.",
        f"{name}={_whole_number(value, minimum, maximum, usual)}",
    )


def _whole_number(value: Any, minimum: int, maximum: int | None, usual: int) -> int:
    """The number that was meant by "3" or 3.0; the usual one otherwise."""
    try:
        meant = int(value) if float(value) == int(value) else minimum - 1
    except (TypeError, ValueError, OverflowError):
        meant = minimum - 1
    limit = max(meant, usual) if maximum is None else maximum
    return meant if minimum <= meant <= limit else min(max(minimum, usual), limit)


def check_number(name: str, value: Any, usual: float, *, positive: bool = False) -> float:
    """A finite number that is not negative, or is positive."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if real and np.isfinite(value) and (value > 0 or (value == 0 and not positive)):
        return float(value)
    needed = "It must be a positive number." if positive else "It must be a number that is not negative."
    raise SpecificationError(f"{name} is {value!r}.", needed, f"{name}={usual:g}")


def check_flag(name: str, value: Any) -> bool:
    """True or False."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise SpecificationError(f"{name} is {value!r}.", "It must be True or False.", f"{name}=True")


def check_seed(value: Any) -> Any:
    """What ``numpy.random.default_rng`` takes."""
    try:
        np.random.default_rng(value)
    except (TypeError, ValueError):
        raise SpecificationError(
            f"random_state is {value!r}.",
            "It must be a whole number that is not negative, a numpy.random.Generator, or None.",
            "random_state=0",
        ) from None
    return value


# ---- the specification against the data


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


def check_halves(n_times: int, n_factors: int, n_slopes: int, n: int, entity_effects: bool, time_effects: bool) -> None:
    """Half of the periods must be enough for a fit of its own (half-panel jackknife)."""
    half = n_times // 2
    enough = n_factors < min(n - time_effects, half - entity_effects)
    left = (n - time_effects - n_factors) * (half - entity_effects - n_factors) - n_slopes
    if not enough or left <= 0:
        raise SpecificationError(
            f'bias_correction="jackknife" fits halves of {half} periods.',
            f"With {n_factors} factors and {n_slopes} slopes they are too short.",
            "bias_correction=True",
        )


def check_unit_periods(design: PanelDesign, n_regressors: int, n_factors: int, entity_effects: bool) -> None:
    """Every entity must identify its own slopes under the factors: T > p + R + [entity effects]."""
    spare = n_regressors + int(entity_effects) + 1
    needed = spare + n_factors
    counts = design.index.counts
    short = np.flatnonzero(counts < needed)
    if short.size == 0:
        return
    shortest = int(counts.min())
    fix = "Take InteractiveFE, which has one slope vector for all, or drop regressors."
    raise DataError(
        f"{short.size} of {counts.size} entities have too few periods: {first_of(design.index.entities[short])} "
        f"({shortest} periods).",
        f"Slopes of single entities need at least {needed} periods: {n_regressors} regressors, {n_factors} factors"
        + (", an entity effect" if entity_effects else "")
        + " and one to spare.",
        f"n_factors={shortest - spare}" if shortest >= spare else fix,
    )


def usable_columns(
    design: PanelDesign, cube: Array, effects: Additive, *, warn: bool = True, needed: bool = True
) -> list[int]:
    """Columns left after those that effects absorb or that others span; the rest are named in a warning.

    Parameters
    ----------
    design : PanelDesign
    cube : ndarray, shape (N, T, p)
    effects : Additive
    warn : bool
    needed : bool
        Whether a design without columns is an error.
    """
    n, t, p = cube.shape
    if effects.space is None and is_large(n, t, p):
        return _usable_in_blocks(design, cube, effects, warn, needed)
    flat = effects.taken_out(cube).reshape(n * t, p)
    before = column_norms(cube.reshape(n * t, p))
    after = column_norms(flat)
    absorbed = [j for j in range(p) if after[j] <= _RELATIVE * before[j]]
    why = {j: f"absorbed by the effects of {effects.words}" if before[j] > 0 else "zero throughout" for j in absorbed}
    left = references_last(design, [j for j in range(p) if j not in absorbed])
    spanned = spanned_by(flat[:, left] / after[left], _RELATIVE) if left else {}
    why |= {left[k]: why_spanned(design, left[k], [left[i] for i in others]) for k, others in spanned.items()}
    return _kept(design, why, warn, needed)


def _kept(design: PanelDesign, why: Mapping[int, str], warn: bool, needed: bool) -> list[int]:
    """Columns that are not dropped, of which there must be some."""
    names = design.exog_names
    if warn:
        warn_dropped(design, why)
    kept = [j for j in range(len(names)) if j not in why]
    if not kept and (needed or names):
        raise DataError(
            f"No regressor is left: {', '.join(names) or 'the formula has none'}.",
            "At least one must vary within the effects.",
            "Add a regressor that varies over time within entities.",
        )
    return kept


def _usable_in_blocks(design: PanelDesign, cube: Array, effects: Additive, warn: bool, needed: bool) -> list[int]:
    """The same of a large panel, from the triangle of its columns."""
    blocks = effects.in_blocks(cube)
    factor, before = blocks.reduced_as_they_are, blocks.lengths_of_source
    after = column_norms(factor)
    absorbed = [j for j in range(cube.shape[2]) if after[j] <= _RELATIVE * before[j]]
    words = f"absorbed by the effects of {effects.words}"
    why = {j: words if before[j] > 0 else "zero throughout" for j in absorbed}
    left = references_last(design, [j for j in range(cube.shape[2]) if j not in absorbed])
    spanned = spanned_by(factor[:, left] / after[left], _RELATIVE) if left else {}
    why |= {left[k]: why_spanned(design, left[k], [left[i] for i in others]) for k, others in spanned.items()}
    return _kept(design, why, warn, needed)


def check_outcome(design: PanelDesign, effects: Additive, y: Array) -> None:
    """The outcome (N, T) must vary, also once additive effects are taken out."""
    rows = design.endog
    if effects.space is None and is_large(y.shape[0], y.shape[1], 1):
        left = np.sqrt(effects.in_blocks(y[:, :, None], mean=not effects.any).total)
    else:
        left = np.linalg.norm(effects.taken_out(y) if effects.any else rows - rows.mean())
    if left <= _RELATIVE * np.linalg.norm(y):
        within = " within the absorbed effects" if design.absorbed and np.ptp(rows) > 0 else ""
        raise DataError(
            f"The outcome {design.endog_name} doesn't vary{within}.",
            "There is nothing to explain.",
            "Check how it was made, or absorb fewer effects." if within else "Check how it was made.",
        )


def check_identified(estimate: FactorEstimate, names: Sequence[str], regressors: Sequence[str], grouped: bool) -> None:
    """Regressors projected off factors and effects must still be linearly independent; raises with their names.

    Parameters
    ----------
    estimate : FactorEstimate
    names : sequence of str
        Of the coefficients.
    regressors : sequence of str
        Of the regressors, for the fix.
    grouped : bool
    """
    if not estimate.theta.size:
        return
    spanned = estimate.spanned(_FACTORS)
    if not spanned:
        return
    lost = sorted(spanned)
    alone = [names[j] for j in lost if not spanned[j]]
    which = [name for name in regressors if any(names[j] == name or names[j].startswith(f"{name}[") for j in lost)]
    pairs = [f"{names[j]} ({combination_of([names[i] for i in spanned[j]])})" for j in lost if spanned[j]]
    raise DataError(
        f"Not identified: the coefficients {_listed([*alone, *pairs])}. Factors, effects and other regressors "
        "span what they stand before" + (", within the group." if grouped else "."),
        "Every regressor needs variation of its own" + (" in every group." if grouped else "."),
        f"common={which}" if grouped and which else "Leave them out, or lower n_factors.",
    )


def warn_of_near_columns(estimate: FactorEstimate, names: Sequence[str]) -> None:
    """Name regressors that nearly agree: slopes of entities, by which groups are found, lose digits with the square."""
    for j, others in estimate.triangle.nearly_spanned(_NEAR).items():
        warnings.warn(
            CollinearityWarning(
                f"{names[j]} is {combination_of([names[i] for i in others])} but for "
                f"{estimate.triangle.left[j]:.0e} of its variation: groups may not be told apart by it.",
                None,
                f"Leave {names[j]} out, or put its difference from the others in its place.",
            ),
            stacklevel=caller_level(),
        )


def _listed(names: Sequence[str]) -> str:
    """The first five, without quotes."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def combination_of(names: Sequence[str]) -> str:
    """What a column is that these span."""
    return f"a multiple of {names[0]}" if len(names) == 1 else f"a linear combination of {_listed(names)}"


def why_spanned(design: PanelDesign, column: int, others: Sequence[int]) -> str:
    """What a column is that others of the design span; a level becomes the reference of the others of its term.

    So it goes where the reference that was meant has no rows in the interaction.
    """
    words = combination_of([design.exog_names[j] for j in others])
    terms = {design.terms[j] for j in (column, *others)} if design.terms else set()
    term = terms.pop() if len(terms) == 1 else ""
    coded = ":" in term and "[" in design.exog_names[column] and not (design.references and design.references[column])
    return f"{words}, whose coefficients are relative to it" if coded else words


def references_last(design: PanelDesign, columns: Sequence[int]) -> list[int]:
    """Columns in the order in which they are kept: where some are collinear, references of categories are left out."""
    references = design.references
    return sorted(columns, key=lambda j: references[j]) if any(references) else list(columns)


def warn_dropped(design: PanelDesign, why: Mapping[int, str]) -> None:
    """One warning for each term that lost columns.

    Parameters
    ----------
    design : PanelDesign
    why : mapping of int to str
        What each column of the design that was dropped is.
    """
    terms: dict[str, list[int]] = {}
    for j in why:
        terms.setdefault(design.terms[j] if design.terms else str(j), []).append(j)
    for term, columns in terms.items():
        names = [design.exog_names[j] for j in columns]
        reasons = list(dict.fromkeys(why[j] for j in columns))
        if len(columns) == 1:
            found = f"{names[0]} was dropped: it is {reasons[0]}."
        elif len(reasons) == 1:
            found = f"{len(columns)} columns of {term} were dropped, {_listed(names)}: they are {reasons[0]}."
        else:
            found = f"{len(columns)} columns of {term} were dropped: " + "; ".join(
                f"{name} is {why[j]}" for name, j in list(zip(names, columns, strict=True))[:3]
            )
            found += f"; and {len(columns) - 3} more." if len(columns) > 3 else "."
        warnings.warn(
            CollinearityWarning(found, None, "Leave it out of the model to silence this."), stacklevel=caller_level()
        )


def warn_not_converged(what: str, fix: str) -> None:
    """One warning, at the line that called ``fit``."""
    warnings.warn(ConvergenceWarning(f"{what} did not converge.", None, fix), stacklevel=caller_level())


def check_no_id_dummies(design: PanelDesign) -> None:
    """Refuse dummies of entities or periods among the regressors: beside factors they are absorbed effects."""
    if design.formula is None:
        return
    index, parts = design.index, split_formula(design.formula)
    for name in (index.entity_name, index.time_name):
        own = rf"`?{re.escape(name)}`?(?![\w`])"
        dummy = re.compile(rf"(C\({own}[^:]*\)|{own})\[[^\]]*\]")
        columns = [column for column in design.exog_names if dummy.fullmatch(column)]
        if not columns:
            continue
        term = re.compile(rf"(C\(\s*{own}.*\)|{own})")
        terms = [term.strip() for term in split_top(parts.exog, "+")]
        kept = " + ".join(part for part in terms if not term.fullmatch(part)) or "..."
        absorbed = [part.strip() for part in split_top(parts.absorbed, "+") if part.strip()]
        names = " + ".join(dict.fromkeys([*absorbed, quoted(name)]))
        each = f"{quoted(str(index.entity_name))} + {quoted(str(index.time_name))}"
        both = f", | {each} for both" if not absorbed else ""
        raise FormulaError(
            f"The formula has {len(columns)} dummies of {name!r} among the regressors, {columns[0]} and others.",
            f"Beside factors the effects of entities and periods are absorbed, by name after a bar{both}.",
            f'"{parts.endog.strip()} ~ {kept} | {names}"',
        )
