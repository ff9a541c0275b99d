"""``res.report()``: everything about a fit on one page."""

from __future__ import annotations

import datetime
import html
import os
import platform
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np

from gifepanel.exceptions import SpecificationError
from gifepanel.page.data import described_columns, rows_in_memory
from gifepanel.page.html import Section, figure, page, paragraph
from gifepanel.page.pictures import Drawn, chosen_pictures, draw_pictures
from gifepanel.page.source import reproduction
from gifepanel.page.tables import (
    blocks_html,
    coefficients_by_group,
    corrected,
    diagnostic_table,
    equality_tests,
    listing,
    members,
    unstyled,
)
from gifepanel.tables.blocks import Pairs, Table
from gifepanel.tables.coefficients import number

__all__ = ["check_report_path", "write_report"]

_MINIMA = 20
_SUFFIXES = (".html", ".htm")


def check_report_path(path: Any) -> Path:
    """A file that can be written, or an error before any work.

    Raises
    ------
    SpecificationError
        A directory that is not there or not writable, a directory itself, or a name that is none of HTML.
    """
    try:
        target = Path(path)
    except TypeError:
        raise SpecificationError(f"path is {path!r}.", "It must name a file.", 'res.report("report.html")') from None
    where = target.parent
    if target.is_dir():
        raise SpecificationError(f"{target} is a directory.", "A file is needed.", f"{str(target / 'report.html')!r}")
    if target.suffix.lower() not in _SUFFIXES:
        raise SpecificationError(
            f"{target} has not the name of a web page.",
            "A report is HTML; a browser prints it to PDF.",
            f"{str(target.with_suffix('.html'))!r}" if target.name else "'report.html'",
        )
    if not where.is_dir():
        raise SpecificationError(
            f"There is no directory {where}.",
            f"{target.name} can't be written there.",
            f"pathlib.Path({str(where)!r}).mkdir(parents=True)",
        )
    if not os.access(target if target.exists() else where, os.W_OK):
        raise SpecificationError(
            f"{target} can't be written.", "Its directory, or the file itself, is protected.", None
        )
    return target


def write_report(
    res: Any, path: Any = None, *, title: str | None = None, plots: Any = True, code: bool = True, date: Any = None
) -> Any:
    """Write the page, or return it as text where there is no path; see ``ReportedResults.report``."""
    target = None if path is None else check_report_path(path)
    pictures = chosen_pictures(res, plots)
    text, when = _title(res, title), _date(date)
    drawn, remarks = draw_pictures(res, pictures)
    sections = _sections(res, drawn, remarks, bool(code), with_plots=bool(drawn))
    foot = paragraph(f"Written by gifepanel {_version('gifepanel')}.")
    out = page(f"{text}: {_outcome(res)}", _head(res, text, when), sections, foot)
    if target is None:
        return out
    target.write_text(out, encoding="utf-8", newline="\n")
    return target


def _title(res: Any, title: Any) -> str:
    if title is None:
        return str(res.report_title)
    if not isinstance(title, str) or not title.strip():
        raise SpecificationError(f"title is {title!r}.", "It must be text.", 'title="Cigarette demand"')
    return title.strip()


def _date(date: Any) -> str:
    if date is None:
        return ""
    if isinstance(date, datetime.datetime):
        return date.date().isoformat()
    if isinstance(date, datetime.date):
        return date.isoformat()
    if isinstance(date, str) and date.strip():
        return date.strip()
    raise SpecificationError(f"date is {date!r}.", "It must be a date or text.", "date=datetime.date.today()")


def _outcome(res: Any) -> str:
    return str(res.sample.endog_name if hasattr(res, "sample") else res.model.endog_names)


# ---- the head


def _head(res: Any, title: str, date: str) -> str:
    model = res.model
    formula = model.formula
    words = f"<code>{html.escape(formula)}</code>" if formula else f"outcome {html.escape(_outcome(res))}"
    out = [f"<h1>{html.escape(title)}</h1>", f'<p class="formula">{type(model).__name__}: {words}</p>']
    if date:
        out.append(f'<p class="soft">{html.escape(date)}</p>')
    if not _converged(res):
        text = "The estimation did not converge: what follows is the best point found."
        out.append(f'<p class="alarm" role="note">{text}</p>')
    key = "\n".join(
        f"<div><dt>{html.escape(label)}</dt><dd>{html.escape(value)}</dd></div>" for label, value in _key_figures(res)
    )
    return "\n".join([*out, f'<dl class="key">\n{key}\n</dl>'])


def _converged(res: Any) -> bool:
    return bool(res.converged if hasattr(res, "converged") else res.absorption.converged)


def _key_figures(res: Any) -> list[tuple[str, str]]:
    out = [("Observations", f"{int(res.nobs):,}")]
    if hasattr(res, "sample"):
        sample = res.sample
        out.append((f"{sample.entity_name} × {sample.time_name}", f"{res.n_entities:,} × {res.n_times:,}"))
        out += [("Groups", str(res.n_groups))] if res.n_groups > 1 else []
        out.append(("Factors", str(res.n_factors)))
    elif res._absorbed_names:
        out.append(("Absorbed", ", ".join(map(str, res._absorbed_names))))
    for label, value in (("R² within", res.rsquared_within), ("R²", res.rsquared)):
        if np.isfinite(value):
            out.append((label, f"{value:.3f}"))
    return out


# ---- sections


def _sections(res: Any, drawn: list[Drawn], remarks: list[str], code: bool, *, with_plots: bool) -> list[Section]:
    figures = _figures(drawn)
    told = "\n".join(paragraph(remark, "soft") for remark in remarks)
    bodies: list[tuple[str, str, str, str]] = [  # id, title, above the figures, below them
        ("summary", "Summary", _summary(res), ""),
        ("estimates", "Estimates", *_estimates(res)),
        ("groups", "Groups", *_groups(res)),
        ("factors", "Factors", *_factors(res)),
        ("selection", "Selection", _selection(res), ""),
        ("tests", "Tests", _tests(res), ""),
        ("partial", "Partialling out", _partialling_out(res), ""),
        ("residuals", "Residuals and fit", "", told),
        ("computation", "Computation", _computation(res), ""),
        ("data", "Data", _data(res), ""),
        ("code", "Code", _code(res) if code else "", ""),
        ("versions", "Versions", _versions(res, with_plots), ""),
    ]
    out = []
    for key, title, above, below in bodies:
        text = "\n".join(part for part in (above, figures.get(key, ""), below) if part)
        if text:
            out.append(Section(key, title, text, key in _SHORT))
    return out


_SHORT = ("estimates", "selection", "tests", "computation", "data", "code", "versions")


def _figures(drawn: list[Drawn]) -> dict[str, str]:
    by_section: dict[str, list[str]] = {}
    for n, one in enumerate(drawn, 1):
        by_section.setdefault(one.section, []).append(figure(n, one.svg, one.caption))
    return {key: '<div class="figures">\n' + "\n".join(parts) + "\n</div>" for key, parts in by_section.items()}


def _summary(res: Any) -> str:
    return unstyled(res.summary(title="", full=True).as_html(), "Summary")


def _estimates(res: Any) -> tuple[str, str]:
    out, below = [], ""
    if getattr(res, "n_groups", 1) > 1:
        out.append(coefficients_by_group(res))
    if getattr(res, "bias_correction", "none") != "none":
        out.append(corrected(res))
    if hasattr(res, "nuisance") and len(res.repeats) > 1:
        frame = res.repeats.copy()
        frame.columns = [f"{name}: {what}" for what, name in frame.columns]
        below = listing(frame, "Repeats of the cross-fitting")
    return "\n".join(out), below


def _groups(res: Any) -> tuple[str, str]:
    if getattr(res, "n_groups", 1) < 2:
        return "", ""
    renamed = res.membership.rename(columns=lambda name: str(name).replace("distance_", "distance to group "))
    renamed = renamed.rename(columns=lambda name: name.replace("posterior_", "posterior of group "))
    renamed = renamed.assign(clear=np.where(renamed["clear"], "yes", "no"))
    renamed = renamed.rename(columns={"runner_up": "runner-up", "candidates": "candidates (95 %)"})
    words = (
        "Membership: the posterior of a group is its probability given the data; an entity is clear where that of its "
        "own group is 95 % or more; candidates are the most probable groups that together reach 95 %. The distance to "
        "a group is the root mean squared residual of the entity under its slopes; the margin is by how much the sum "
        "of squares is larger in the runner-up, in error variances."
    )
    return members(res), "\n".join([paragraph(words, "soft"), listing(renamed, "Membership of every entity")])


def _factors(res: Any) -> tuple[str, str]:
    if getattr(res, "n_factors", 0) == 0:
        return "", ""
    shares = res.factor_shares
    rows = tuple((f"Factor {r + 1}", f"{100 * share:.1f}%") for r, share in enumerate(shares))
    table = Table(("Factor", "share of variance"), (("", (*rows, ("Together", f"{100 * shares.sum():.1f}%"))),))
    return blocks_html(table), "\n".join([listing(res.factors, "Factors"), listing(res.loadings, "Loadings")])


def _selection(res: Any) -> str:
    found = getattr(res, "selection", None)
    return "" if found is None else unstyled(found.as_html(), "Selection")


def _tests(res: Any) -> str:
    out = []
    if hasattr(res, "diagnostics"):
        out.append(diagnostic_table(res))
    if getattr(res, "n_groups", 1) > 1:
        table = equality_tests(res)
        words = (
            "These tests use the standard errors above"
            f"{', which take the groups as known' if res.missing_information is None else ''}. The groups were formed "
            "to differ in their slopes, so that small p-values are to be expected; they are no evidence that there are "
            "groups. res.test_groups() and res.test_common() are tests that allow for it."
        )
        out += [table, paragraph(words, "soft")] if table else []
    return "\n".join(part for part in out if part)


def _partialling_out(res: Any) -> str:
    if not hasattr(res, "fwl") or hasattr(res, "nuisance") or not rows_in_memory(res):
        return ""
    check = res.fwl()
    negligible = 1e-10 * float(np.sqrt(res.uncentered_tss / res.nobs))
    rows = []
    for (name, what), row in check.table.iterrows():
        intercept = 0.0 if abs(row.intercept) < negligible else row.intercept
        cells = (number(row.estimate), "-" if np.isnan(intercept) else number(intercept), number(row.iloc[2]))
        rows.append((f"{name}: {what}", *cells))
    table = Table(("Regression", "coefficient", "intercept", "std err (iid)"), (("", tuple(rows)),))
    return "\n".join([blocks_html(table), *map(paragraph, check.differences)])


def _computation(res: Any) -> str:
    if not hasattr(res, "minima"):
        return _absorption(res)
    frame = res.minima
    names = {"ssr": "sum of squares", "excess_percent": "excess (%)", "n_starts": "starts", "starts": "which"}
    frame = frame.rename(columns={**names, "n_groupings": "groupings"}).head(_MINIMA)
    frame.index = frame.index + 1
    frame.index.name = "minimum"
    forms = {"sum of squares": lambda value: f"{value:.6g}", "excess (%)": lambda value: f"{value:.3g}"}
    words = "Least squares with factors has local minima. Found over the starts, best first; the first is reported."
    facts = [("Converged", "yes" if res.converged else "no"), ("Iterations", str(res.n_iter))]
    table = listing(frame, "Local minima", forms) if len(frame) else ""
    parts = [blocks_html(Pairs(tuple(facts), ())), *([paragraph(words), table] if table else [])]
    return "\n".join(parts)


def _absorption(res: Any) -> str:
    found, degrees = res.absorption, res.degrees
    facts = [
        ("Method", found.method),
        ("Iterations", str(found.iterations)),
        ("Largest residual in the span of the effects, relative", f"{found.residual:.0e}"),
        ("Degrees of freedom absorbed", f"{degrees.total:,}" + ("" if degrees.exact else " at most")),
    ]
    return blocks_html(Pairs(tuple(facts), ())) if found.method != "none" else ""


def _data(res: Any) -> str:
    facts = res._data_facts
    out = [blocks_html(facts.rows), blocks_html(facts.variables)]
    table = described_columns(res)
    out.append(blocks_html(table) if table is not None else paragraph("The data themselves were removed.", "soft"))
    return "\n".join(out)


def _code(res: Any) -> str:
    build = getattr(res.model, "_call", None)
    if build is None:
        return ""
    index = res._data_facts.index
    text = reproduction(build, res._fit_call, res._robust_call, index, getattr(res.model, "learner", None))
    words = "This fits the model again, with the same numbers."
    if any(call is not None and call.given for call in (build, res._fit_call, res._robust_call)):
        words = "This fits the model again. What the comments name was given to it, and is not part of this page."
    if "random_state=None" in text:
        words += " With random_state=None the numbers differ from run to run."
    return f'{paragraph(words)}\n<pre tabindex="0"><code>{html.escape(text)}</code></pre>'


def _versions(res: Any, with_plots: bool) -> str:
    names = ["gifepanel", "numpy", "scipy", "pandas", "statsmodels", "formulaic", "numba", "scikit-learn"]
    names += ["matplotlib"] if with_plots else []
    facts = [(name, _version(name)) for name in names]
    facts.insert(1, ("python", platform.python_version()))
    half = -(-len(facts) // 2)
    return blocks_html(Pairs(tuple(facts[:half]), tuple(facts[half:])))


def _version(name: str) -> str:
    if name == "gifepanel":
        return str(import_module(name).__version__)
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
