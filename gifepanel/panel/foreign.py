"""Formulas in words of other packages: the error says what they are here."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from gifepanel.exceptions import FormulaError
from gifepanel.panel.context import capture_context
from gifepanel.spellings.formulas import Translation, formula_in_our_words

__all__ = ["foreign_words_told"]

P = ParamSpec("P")
R = TypeVar("R")


def foreign_words_told(build: Callable[P, R]) -> Callable[P, R]:
    """Let errors of a function of (formula, data) end with the formula in our words where it was in others'."""

    @functools.wraps(build)
    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        names = capture_context(kwargs.get("context"))  # type: ignore[arg-type]
        kwargs["context"] = names
        try:
            return build(*args, **kwargs)
        except FormulaError as error:
            formula, data = args[:2]
            if isinstance(formula, str):
                levels, columns = _names_of(data)
                entity, time = (
                    given if isinstance(given := kwargs.get(key), str) else own
                    for key, own in zip(("entity", "time"), levels, strict=True)
                )
                found = formula_in_our_words(formula, entity, time, columns, [n for n in names if callable(names[n])])
                if found is not None:
                    raise _in_our_words(error, formula, found) from None
            raise

    return told


def _names_of(data: Any) -> tuple[tuple[str | None, str | None], tuple[str, ...]]:
    """Names of who and when, and of the columns, as far as the frame tells."""
    names = getattr(getattr(data, "index", None), "names", ())
    levels = [str(own or default) for own, default in zip(names, ("entity", "time"), strict=False)]
    columns = tuple(str(name) for name in getattr(data, "columns", ()))
    return ((levels[0], levels[1]) if len(names) == 2 else (None, None)), columns


def _in_our_words(error: FormulaError, formula: str, found: Translation) -> FormulaError:
    if found.instruments is not None:
        return _with_instruments(*found.instruments)
    if found.clusters and len(found.formulas) == 1:
        ways = f'"{found.clusters[0]}"' if len(found.clusters) == 1 else str(list(found.clusters)).replace("'", '"')
        return FormulaError(
            error.found,
            "clusters are an option of fit()",
            f'gife.PartialledOLS.from_formula("{found.formulas[0]}", data)'
            f'.fit(cov_type="cluster", cov_kwds={{"groups": {ways}}})',
        )
    if len(found.formulas) == 1:
        if not all(side.strip() for side in found.formulas[0].split("~")):
            return error
        return FormulaError(error.found, "formulas of other packages have other words", found.formulas[0])
    listed = ", ".join(f'"{one}"' for one in found.formulas)
    return FormulaError(
        f"the formula {formula.strip()!r} stands for {len(found.formulas)} models",
        "a model has one formula, with one outcome",
        f"[gife.PartialledOLS.from_formula(formula, data).fit() for formula in ({listed})]",
    )


def _with_instruments(outcome: str, kept: str, endogenous: str, instruments: str) -> FormulaError:
    """Effects and controls can be partialled out here; two stages are for linearmodels."""
    exog, _, effects = (part.strip() for part in kept.partition("|"))
    needed = "there are no instruments here; linearmodels has them"
    if not effects:
        text = " + ".join(part for part in ("1", exog, f"[{endogenous} ~ {instruments}]") if part)
        line = f'linearmodels.IV2SLS.from_formula("{outcome} ~ {text}", data).fit()'
        return FormulaError(f"the formula has instruments, {endogenous} ~ {instruments}", needed, line)
    every = " + ".join(part for part in (exog, endogenous, instruments) if part)
    lists = [[term.strip() for term in part.split("+") if term.strip()] for part in (exog, endogenous, instruments)]
    own, endog, instr = (f"c[{terms}]".replace("'", '"') if terms else "None" for terms in lists)
    return FormulaError(
        f"the formula has instruments, {endogenous} ~ {instruments}",
        f"{needed}, and takes what is left after effects; its errors do not count these",
        f'c = gife.PartialledOLS.from_formula("{outcome} ~ {every} | {effects}", data).fit().fwl().columns; '
        f'linearmodels.IV2SLS(c["{outcome}"], {own}, {endog}, {instr}).fit()',
    )
