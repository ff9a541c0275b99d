"""The printed report of models with factors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from statsmodels.iolib.summary import Summary
from statsmodels.iolib.table import SimpleTable

from gifepanel.exceptions import SpecificationError
from gifepanel.results.blocks import Block, Notes, Pairs, Table, render

if TYPE_CHECKING:
    from gifepanel.results.base import FactorResults
    from gifepanel.results.selection import Selection

__all__ = ["PanelSummary", "coefficient_table", "number", "probability", "ratio", "report_parts", "summarize"]


class PanelSummary(Summary):
    """A printed report: text, HTML, LaTeX, Markdown and CSV.

    ``tables`` holds the same content as statsmodels' SimpleTables, for code that goes through them.
    """

    def __init__(self, title: str, blocks: tuple[Block, ...]) -> None:
        super().__init__()
        self.title = title
        self.blocks = blocks
        self.tables = [_simple(block) for block in blocks if not isinstance(block, Notes)]

    def _all(self) -> tuple[Block, ...]:
        return (*self.blocks, Notes(tuple(self.extra_txt.splitlines()))) if self.extra_txt else self.blocks

    def as_text(self) -> str:
        """Text of at most 78 columns."""
        return render(self.title, self._all(), "text")

    def as_html(self) -> str:
        """An HTML fragment."""
        return render(self.title, self._all(), "html")

    def as_latex(self, label: str = "") -> str:
        """A LaTeX table environment (booktabs)."""
        text = render(self.title, self._all(), "latex")
        return text.replace(r"\end{table}", rf"\label{{{label}}}" + "\n" + r"\end{table}") if label else text

    def as_markdown(self) -> str:
        """Markdown tables."""
        return render(self.title, self._all(), "markdown")

    def as_csv(self) -> str:
        """Comma-separated values."""
        return render(self.title, self._all(), "csv")

    def __str__(self) -> str:
        return self.as_text()

    def __repr__(self) -> str:
        return self.as_text()

    def _repr_html_(self) -> str:
        return self.as_html()

    def _repr_latex_(self) -> str:
        return self.as_latex()

    def _repr_markdown_(self) -> str:
        return self.as_markdown()


def _simple(block: Block) -> SimpleTable:
    if isinstance(block, Pairs):
        return SimpleTable([[f"{label}:", value] for label, value in (*block.left, *block.right)])
    assert isinstance(block, Table)
    rows = [row for _, section in block.sections for row in section]
    return SimpleTable([row[1:] for row in rows], block.header[1:], [row[0] for row in rows])


# ---- numbers


def number(value: float, digits: int = 4) -> str:
    """A coefficient: `digits` decimals, scientific where that would lose it."""
    if not np.isfinite(value):
        return str(value)
    if value != 0 and (abs(value) < 10.0**-digits * 5 or abs(value) >= 1e6):
        return f"{value:.3e}"
    return f"{value:.{digits}f}"


def ratio(value: float) -> str:
    """A t statistic with three decimals, scientific from 100 000."""
    return f"{value:.3f}" if abs(value) < 1e5 or not np.isfinite(value) else f"{value:.3e}"


def probability(value: float) -> str:
    """A p-value with three decimals."""
    return "" if np.isnan(value) else f"{value:.3f}"


# ---- the report


def summarize(res: FactorResults, alpha: float) -> PanelSummary:
    """The report of a fit."""
    if not 0 < alpha < 1:
        raise SpecificationError(f"alpha is {alpha!r}.", "It must be between 0 and 1.", "alpha=0.05")
    information, diagnostics, notes = res._report_parts
    blocks = (information, coefficient_table(res, alpha), diagnostics, notes)
    return PanelSummary(res.report_title, tuple(block for block in blocks if block is not None))


def report_parts(res: FactorResults) -> tuple[Pairs, Table | None, Notes]:
    """Information, tests on residuals (None for a panel too small for them) and notes."""
    return _information(res), _diagnostics(res), Notes(tuple(_notes(res)))


def _information(res: Any) -> Pairs:
    sample = res.sample
    left = [
        ("Dep. variable", sample.endog_name),
        ("Model", type(res.model).__name__),
        ("Method", res._method),
        ("Absorbed", ", ".join(sample.absorbed) or "none"),
        ("Factors", str(res.n_factors)),
        *res._group_information(),
        ("Covariance", _covariance(res)),
        ("Bias correction", res.bias_correction_words),
    ]
    right = [
        ("Observations", f"{int(res.nobs)}"),
        (f"Entities ({sample.entity_name})", f"{res.n_entities}"),
        (f"Periods ({sample.time_name})", f"{res.n_times}"),
        ("Df residuals", f"{int(res.df_resid)}"),
        ("R-squared", f"{res.rsquared:.4f}"),
        ("R-squared within", f"{res.rsquared_within:.4f}"),
        ("Residual std. dev.", number(float(np.sqrt(res.mse_resid)))),
        ("Log-likelihood", f"{res.llf:.2f}"),
        ("AIC", f"{res.aic:.1f}"),
        ("BIC", f"{res.bic:.1f}"),
    ]
    return Pairs(tuple(left), tuple(right))


def _covariance(res: Any) -> str:
    found = res._covariance
    ways = ", ".join(f"{name} ({n})" for name, n in zip(res._cluster_names, found.n_groups, strict=False))
    kinds = {
        "nonrobust": "nonrobust (iid)",
        "HC0": "HC0 (heteroskedastic)",
        "HC1": "HC1 (heteroskedastic)",
        "HAC": f"HAC, {found.kernel}, {found.maxlags} lags",
        "driscoll-kraay": f"Driscoll-Kraay, {found.kernel}, {found.maxlags} lags",
        "cluster": f"clustered by {ways}",
    }
    return kinds[res.cov_type]


def coefficient_table(res: Any, alpha: float) -> Table:
    """Coefficients, standard errors, statistics, intervals."""
    letter = "t" if res.use_t else "z"
    header = ("", "coef", "std err", letter, f"P>|{letter}|", f"[{alpha / 2:.3g}", f"{1 - alpha / 2:.3g}]")
    values = (res.params, res.bse, res.tvalues, res.pvalues)
    rows: list[tuple[str, ...]] = [
        (name, number(coef), number(se), ratio(t), probability(p), number(low), number(high))
        for name, coef, se, t, p, (low, high) in zip(
            res._names, *map(np.asarray, values), np.asarray(res.conf_int(alpha)), strict=True
        )
    ]
    return Table(header, tuple(res._sections(rows)))


def _diagnostics(res: Any) -> Table | None:
    if res._diagnostics.empty:
        return None
    rows = []
    for name, row in res._diagnostics.iterrows():
        by_construction = abs(row.statistic) < 1e-8 * np.sqrt(res.mse_resid) and np.isnan(row.pvalue)
        rows.append(
            (
                str(name),
                number(0.0 if by_construction else row.statistic, 3),
                probability(row.pvalue) or "-",
                "zero by construction" if by_construction else str(row.null),
            )
        )
    return Table(("Residual test", "statistic", "p-value", "null hypothesis"), (("", tuple(rows)),), text_last=True)


def _notes(res: Any) -> list[str]:
    parts = [part for part, there in (("effects", res.sample.absorbed), ("factors", res.n_factors)) if there]
    with_slopes = _and(["slopes", *parts])
    notes = [
        f"R-squared counts {with_slopes}"
        + (f"; R-squared within is the share the slopes explain of what {_and(parts)} leave." if parts else ".")
    ]
    if res.n_factors:
        shares = _and([f"{100 * share:.1f}%" for share in res.factor_shares])
        verb = "factor explains" if res.n_factors == 1 else "factors explain"
        effects = " and additive effects" if res.sample.absorbed else ""
        notes.append(f"The {verb} {shares} of what slopes{effects} leave of the outcome.")
    if res.selection is not None:
        notes.append(_note_on_selection(res.selection))
    notes += res._group_notes()
    notes += _notes_on_inference(res)
    notes += _notes_on_sample(res)
    minima = res.minima
    if len(minima) > 1:
        notes.append(
            f"Least squares with factors has local minima: {len(minima)} found from {minima['n_starts'].sum()} "
            f"starts. The best is reported; the next has a sum of squares {minima['excess_percent'].iloc[1]:.3g}% "
            "higher (see .minima)."
        )
    if not res.converged:
        notes.append("NOT CONVERGED: raise max_iter, or lower the number of factors or groups.")
    return notes


def _note_on_selection(selection: Selection) -> str:
    chosen = []
    if len(selection.factors):
        span = f"{selection.factors.index[0]} to {selection.factors.index[-1]}"
        chosen.append(f"the number of factors ({span}) by {selection.rule.upper()}")
    if len(selection.groups):
        span = f"{selection.groups.index[0]} to {selection.groups.index[-1]}"
        chosen.append(f"the number of groups ({span}) by an information criterion")
    return f"Chosen from the data: {_and(chosen)} (see .selection); inference takes it as given."


def _and(parts: Sequence[str]) -> str:
    return " and ".join([*([", ".join(parts[:-1])] if len(parts) > 1 else []), *parts[-1:]])


def _notes_on_inference(res: Any) -> list[str]:
    notes = []
    if res.bias_correction == "dynamic":
        why = "A lag of the outcome is among the regressors" if res.model._lags else "Regressors are predetermined"
        asked = ", without being asked for; bias_correction=False leaves it in." if res.model._lags else "."
        notes.append(f"{why}: their bias of order 1/T was corrected (B1 of Moon and Weidner 2017){asked}")
    elif res.bias_correction != "none":
        notes.append(f"Coefficients are corrected for bias: {res.bias_correction_words}.")
    if not res.cov_kwds["ssc"]:
        notes.append("The covariance has no small-sample factor (ssc=False).")
    return notes


def _notes_on_sample(res: Any) -> list[str]:
    sample, notes = res.sample, []
    if sample.dropped:
        notes.append(f"Dropped, since effects or other regressors span them: {', '.join(sample.dropped)}.")
    if sample.n_incomplete:
        lost = ", ".join(f"{name} in {count}" for name, count in sample.incomplete.items())
        notes.append(f"{sample.n_incomplete} rows were left out for missing values or lags: {lost}.")
    return notes
