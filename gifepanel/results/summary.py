"""The printed report of models with factors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from statsmodels.iolib.summary import Summary
from statsmodels.iolib.table import SimpleTable

from gifepanel.results.blocks import Block, Notes, Pairs, Table, render

if TYPE_CHECKING:
    from gifepanel.results.base import FactorResults

__all__ = ["PanelSummary", "number", "probability", "summarize"]


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


def probability(value: float) -> str:
    """A p-value with three decimals."""
    return "" if np.isnan(value) else f"{value:.3f}"


# ---- the report


def summarize(res: FactorResults, alpha: float) -> PanelSummary:
    """The report of a fit."""
    grouped = hasattr(res, "penalized")
    title = "Grouped Interactive Fixed Effects" if grouped else "Interactive Fixed Effects"
    key = ("_summary_blocks", alpha)
    blocks = res._cache.get(key)
    if blocks is None:
        blocks = (_information(res), _coefficients(res, alpha), _diagnostics(res), Notes(tuple(_notes(res))))
        res._cache[key] = blocks
    return PanelSummary(f"{title} Results", blocks)


def _information(res: Any) -> Pairs:
    design, model = res.model.design, res.model
    grouped = hasattr(res, "penalized")
    left = [
        ("Dep. variable", design.endog_name),
        ("Model", type(model).__name__),
        ("Method", "penalised PC (Su-Ju 2018)" if grouped else "least squares (Bai 2009)"),
        ("Absorbed", ", ".join(design.absorbed) or "none"),
        ("Factors", str(res.n_factors)),
    ]
    if grouped:
        left += [
            ("Groups", f"{res.n_groups}"),
            ("Classification", _classification(res)),
            ("Penalty kappa", _kappa(res)),
        ]
    left += [("Covariance", _covariance(res)), ("Bias correction", res.bias_correction_words)]
    right = [
        ("Observations", f"{int(res.nobs)}"),
        (f"Entities ({design.index.entity_name})", f"{res.n_entities}"),
        (f"Periods ({design.index.time_name})", f"{res.n_times}"),
        ("Df residuals", f"{int(res.df_resid)}"),
        ("R-squared", f"{res.rsquared:.4f}"),
        ("R-squared within", f"{res.rsquared_within:.4f}"),
        ("Residual std. dev.", number(float(np.sqrt(res.mse_resid)))),
        ("Log-likelihood", f"{res.llf:.2f}"),
        ("AIC", f"{res.aic:.1f}"),
        ("BIC", f"{res.bic:.1f}"),
    ]
    return Pairs(tuple(left), tuple(right))


def _classification(res: Any) -> str:
    words = {"refined": "nearest, refined by LS", "nearest": f"nearest ({res.metric})"}
    return words[res.classify]


def _kappa(res: Any) -> str:
    penalized = res.penalized
    if np.isnan(penalized.kappa_scale):
        return f"{penalized.kappa:.4g} (given)"
    return f"{penalized.kappa:.4g} (c = {penalized.kappa_scale:g})"


def _covariance(res: Any) -> str:
    kinds = {
        "nonrobust": "nonrobust (iid)",
        "HC0": "HC0 (heteroskedastic)",
        "HC1": "HC1 (heteroskedastic)",
        "HAC": f"HAC, {res._covariance.maxlags} lags",
        "driscoll-kraay": f"Driscoll-Kraay, {res._covariance.maxlags} lags",
        "cluster": f"clustered by {', '.join(map(str, res._cluster_names))}",
    }
    return kinds[res.cov_type]


def _coefficients(res: Any, alpha: float) -> Table:
    letter = "t" if res.use_t else "z"
    header = ("", "coef", "std err", letter, f"P>|{letter}|", f"[{alpha / 2:g}", f"{1 - alpha / 2:g}]")
    bounds = np.asarray(res.conf_int(alpha))
    rows: list[tuple[str, ...]] = [
        (
            name,
            number(coef),
            number(se),
            f"{t:.3f}",
            probability(p),
            number(low),
            number(high),
        )
        for name, coef, se, t, p, (low, high) in zip(
            res._names,
            np.asarray(res.params),
            np.asarray(res.bse),
            np.asarray(res.tvalues),
            np.asarray(res.pvalues),
            bounds,
            strict=True,
        )
    ]
    if not hasattr(res, "penalized"):
        return Table(header, (("", tuple(rows)),))
    return Table(header, tuple(_group_sections(res, rows)))


def _group_sections(res: Any, rows: list[tuple[str, ...]]) -> list[tuple[str, tuple[tuple[str, ...], ...]]]:
    slots, names = res._slots, res._regressors
    sections = []
    common = list(res.model._common)
    if common:
        sections.append(("All groups", tuple(rows[slots[0, j]] for j in common)))
    for k, size in enumerate(res.group_sizes):
        title = f"Group {k + 1}: {size} of {res.n_entities} entities ({100 * size / res.n_entities:.0f}%)"
        lines = tuple((f"  {names[j]}", *rows[slots[k, j]][1:]) for j in range(len(names)) if j not in common)
        sections.append((title, lines))
    return sections


def _diagnostics(res: Any) -> Table:
    frame = res._diagnostics
    rows = tuple(
        (
            str(name),
            number(row.statistic if abs(row.statistic) > 1e-12 else 0.0, 3),
            probability(row.pvalue),
            str(row.null),
        )
        for name, row in frame.iterrows()
    )
    return Table(("Residuals", "statistic", "p-value", "null hypothesis"), (("", rows),), text_last=True)


def _notes(res: Any) -> list[str]:
    notes = [
        "R-squared counts slopes, effects and factors; R-squared within is the share the slopes explain of what "
        "effects, factors and loadings leave."
    ]
    if res.n_factors:
        shares = ", ".join(f"{100 * share:.1f}%" for share in res.factor_shares)
        notes.append(f"The factors take up {shares} of the variance of y less slopes and additive effects.")
    if hasattr(res, "penalized"):
        notes += _group_notes(res)
    if res.bias_correction == "dynamic":
        notes.append(
            "A lag of the outcome is among the regressors: the bias of predetermined regressors (B1 of Moon and "
            "Weidner 2017) was corrected without being asked for; bias_correction=False leaves it in."
        )
    elif res.bias_correction != "none":
        notes.append(f"Coefficients are corrected for bias: {res.bias_correction_words}.")
    if res.model.dropped:
        notes.append(f"Dropped as absorbed or collinear: {', '.join(res.model.dropped)}.")
    if res.model.design.n_dropped:
        notes.append(f"{res.model.design.n_dropped} rows with missing values (lags included) were left out.")
    minima = res.minima
    if len(minima) > 1:
        notes.append(
            f"Local minima: {len(minima)} found from {minima['n_starts'].sum()} starts; the next best has a sum of "
            f"squares {minima['excess_percent'].iloc[1]:.3g}% higher (see .minima)."
        )
    if not res.converged:
        notes.append("NOT CONVERGED: see .converged, and raise max_iter or lower the number of factors or groups.")
    return notes


def _group_notes(res: Any) -> list[str]:
    penalized = res.penalized
    fused = 100 * float(penalized.fused.mean())
    text = (
        f"Penalised stage: {fused:.0f}% of the entities sit on a centre; criterion {penalized.criterion:.6g} after "
        f"{penalized.n_sweeps} sweeps and {penalized.n_iter} descent steps."
    )
    if res.classify == "refined":
        text += f" Refinement by least squares moved {res.moved_by_refinement} of {res.n_entities} entities."
    names = [name for name in res._names if name.endswith(("[1]", "[2]"))]
    pair = (names[0], names[len(names) // 2]) if len(names) > 1 else (res._names[0], res._names[0])
    notes = [text, "Standard errors take the groups as known."]
    if res.n_groups > 1:
        notes.append(f'In hypotheses write "{pair[0]} = {pair[1]}".')
    return notes
