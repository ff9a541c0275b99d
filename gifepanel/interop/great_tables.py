"""Coefficients as a table by the package great_tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import SpecificationError
from gifepanel.interop.common import facts, neighbour, raw
from gifepanel.interop.tidy import tidy

__all__ = ["coefficients"]

_NUMBERS = ["estimate", "std_error", "statistic", "conf_low", "conf_high"]


def coefficients(
    res: Any, *, conf_level: float = 0.95, digits: int = 3, title: str | None = None, notes: bool = True
) -> Any:
    """The coefficients as a great table, by group where slopes differ by group.

    Parameters
    ----------
    res : results of this package
    conf_level : float
        Level of the intervals.
    digits : int
        Decimals; numbers that they would not show are in scientific notation.
    title : str, optional
        By default the model and its outcome.
    notes : bool
        Effects, factors, covariance and fit under the table.

    Returns
    -------
    great_tables.GT
        To be styled further; ``as_raw_html()``, ``as_latex()``, ``save("table.png")``.

    Raises
    ------
    MissingPackageError
        Where great_tables is not installed.

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
    >>> table = gife.interop.great_tables.coefficients(res)
    >>> "price" in table.as_raw_html()
    True
    """
    package = neighbour("great_tables", "great-tables")
    if digits not in range(1, 13):
        raise SpecificationError(f"digits is {digits!r}.", "It is a number of decimals, 1 to 12.", "digits=3")
    res = raw(res)
    about, frame = facts(res), _frame(res, conf_level)
    sections = {"groupname_col": "section"} if "section" in frame else {}
    table = package.GT(frame, rowname_col="term", **sections)
    table = table.tab_header(title or f"{about.model}: {about.endog}", subtitle=_subtitle(res, about))
    table = table.cols_label(
        estimate="Estimate",
        std_error="Std. error",
        statistic="t" if res.use_t else "z",
        p_value="p",
        conf_low="lower",
        conf_high="upper",
    )
    table = table.tab_spanner(f"{100 * conf_level:g} % interval", columns=["conf_low", "conf_high"])
    table = _formatted(table, frame, digits)
    for note in _notes(res, about) if notes else []:
        table = table.tab_source_note(note)
    return table


def _formatted(table: Any, frame: pd.DataFrame, digits: int) -> Any:
    for name in _NUMBERS:
        table = table.fmt_number(columns=name, decimals=digits, use_seps=False)
        size = frame[name].abs()
        lost = np.flatnonzero((size > 0) & ((size < 0.5 * 10.0**-digits) | (size >= 1e9)))
        if lost.size:
            table = table.fmt_scientific(columns=name, rows=[int(row) for row in lost], decimals=1)
    table = table.fmt_number(columns="p_value", decimals=digits)
    smallest = 10.0**-digits
    return table.sub_small_vals(columns="p_value", threshold=smallest, small_pattern=f"<{smallest:.{digits}f}")


def _frame(res: Any, conf_level: float) -> pd.DataFrame:
    """Numbers of the table, a row for each coefficient, common ones first."""
    values = tidy(res, conf_level=conf_level, native="pandas")
    out = values[["term", "estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high"]]
    if "group" not in values:
        return out
    sizes = res.group_sizes
    section = ["All groups" if pd.isna(k) else f"Group {k}: {sizes[k]} entities" for k in values["group"]]
    order = values["group"].fillna(0).argsort(kind="stable")
    return out.assign(term=values["regressor"], section=section).iloc[order].reset_index(drop=True)


def _subtitle(res: Any, about: Any) -> str:
    parts = [f"{int(res.nobs)} observations"]
    if about.n_entities:
        parts += [f"{about.n_entities} entities", f"{about.n_times} periods"]
    return ", ".join(parts)


def _notes(res: Any, about: Any) -> list[str]:
    parts = [f"Absorbed: {', '.join(about.absorbed)}."] if about.absorbed else []
    if about.n_factors is not None:
        parts.append(f"Factors: {about.n_factors}.")
    by = f" by {', '.join(about.clusters)}" if about.clusters else ""
    parts.append(f"Covariance: {about.covariance}{by}.")
    within = f", within {res.rsquared_within:.3f}" if about.absorbed or about.n_factors else ""
    return [" ".join(parts), f"R-squared {res.rsquared:.3f}{within}."]
