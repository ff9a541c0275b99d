"""Tables of a report: blocks as they are in summaries, and long listings that fold away."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.page.html import details, scrolling
from gifepanel.tables.blocks import Alternatives, Block, Table
from gifepanel.tables.coefficients import coefficient_blocks, number, probability
from gifepanel.tables.markup import STYLE
from gifepanel.tables.render import render

__all__ = [
    "blocks_html",
    "coefficients_by_group",
    "corrected",
    "diagnostic_table",
    "equality_tests",
    "listing",
    "members",
    "unstyled",
]

_LONG, _MOST, _LISTED = 12, 2_000, 60


def unstyled(fragment: str, label: str = "Table") -> str:
    """A fragment without its style, which the page has, that scrolls with the keyboard too."""
    reachable = f'<div role="region" tabindex="0" aria-label="{html.escape(label)}" class="gifepanel'
    return fragment.replace(STYLE, "").replace('<div class="gifepanel', reachable, 1)


def blocks_html(*blocks: Block | Alternatives) -> str:
    """Tables in the look of the summary."""
    first = blocks[0]
    label = first.header[0] if isinstance(first, Table) and first.header[0].strip() else "Table"
    return unstyled(render("", blocks, "html"), label)


def listing(frame: pd.DataFrame, title: str, forms: Mapping[str, Callable[[Any], str]] | None = None) -> str:
    """A frame with its index, folded away where it is long; at most two thousand rows."""
    shown = frame.iloc[:_MOST]
    names = [str(name) for name in frame.columns]
    form = [(forms or {}).get(name, _cell) for name in names]
    corner = html.escape(str(frame.index.name or ""))
    looks = [' class="text"' if shown[name].dtype.kind not in "biuf" else "" for name in frame.columns]
    heads = "".join(f'<th scope="col"{look}>{html.escape(name)}</th>' for name, look in zip(names, looks, strict=True))
    rows = []
    for label, values in zip(shown.index, shown.itertuples(index=False, name=None), strict=True):
        cells = "".join(
            f"<td{look}>{html.escape(one(value))}</td>" for one, look, value in zip(form, looks, values, strict=True)
        )
        rows.append(f'<tr><th scope="row">{html.escape(_label(label))}</th>{cells}</tr>')
    body = "\n".join(rows)
    table = (
        f'<div class="gifepanel"><table class="listing">\n<caption>{html.escape(title)}</caption>\n'
        f'<thead><tr><th scope="col">{corner}</th>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'
    )
    table = scrolling(table, title)
    if len(frame) <= _LONG:
        return table
    count = f"{len(frame):,} rows" if len(frame) <= _MOST else f"the first {_MOST:,} of {len(frame):,} rows"
    return details(f"{title} ({count})", table)


def _label(label: Any) -> str:
    if isinstance(label, tuple):
        return ", ".join(map(_label, label))
    if isinstance(label, pd.Timestamp) and label == label.normalize():
        return str(label.date())
    return str(label)


def _cell(value: Any) -> str:
    if isinstance(value, (float, np.floating)):
        return number(float(value))
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


# ---- tables of results


def coefficients_by_group(res: Any) -> str:
    """Every coefficient with its statistic and interval, one group below the other."""
    return blocks_html(*coefficient_blocks(res, 0.05, "stacked"))


def corrected(res: Any) -> str:
    """Coefficients before and after the correction of their bias."""
    before, after = np.asarray(res.params_uncorrected), np.asarray(res.params)
    rows = tuple(
        (name, number(a), number(b), number(b - a)) for name, a, b in zip(res._names, before, after, strict=True)
    )
    return blocks_html(Table(("Bias correction", "least squares", "corrected", "difference"), (("", rows),)))


def members(res: Any) -> str:
    """Who is in which group, all of them."""
    rows = []
    for k, size in res.group_sizes.items():
        names = ", ".join(_label(name) for name in res.groups.index[res.groups == k])
        rows.append((f"Group {k}", str(size), f"{100 * size / res.n_entities:.0f}%", names))
    table = Table((str(res.sample.entity_name), "entities", "share", "members"), (("", tuple(rows)),), text_last=True)
    text = blocks_html(table)
    return text if res.n_entities <= _LISTED else details("Members of every group", text)


def diagnostic_table(res: Any) -> str:
    """Tests on residuals with the distribution that they are held against."""
    frame = res._diagnostics
    if frame.empty:
        return ""
    rows = []
    for name, row in frame.iterrows():
        known = not np.isnan(row.pvalue)
        statistic = row.statistic if known or abs(row.statistic) > 1e-8 * np.sqrt(res.mse_resid) else 0.0
        cells = (number(statistic, 3), probability(row.pvalue) or "-", str(row.distribution or "-"), str(row.null))
        rows.append((str(name), *cells))
    header = ("Residual test", "statistic", "p-value", "distribution", "null hypothesis")
    return blocks_html(Table(header, (("", tuple(rows)),), text_last=True))


def equality_tests(res: Any) -> str:
    """Wald tests that a slope is the same in all groups, for every regressor that has slopes by group."""
    names, rows = res._names, []
    for j, regressor in enumerate(res._regressors):
        positions = [int(k) for k in res._slots[:, j]]
        if len(set(positions)) < 2:
            continue
        matrix = np.zeros((len(positions) - 1, len(names)))
        for row, position in enumerate(positions[1:]):
            matrix[row, positions[0]], matrix[row, position] = 1.0, -1.0
        test = res._wald_test(matrix, use_f=res.use_t)
        df = f"({len(matrix)}, {test.df_denom:.0f})" if res.use_t else f"({len(matrix)})"
        law = f"{'F' if res.use_t else 'chi2'}{df}"
        rows.append((str(regressor), number(float(test.statistic), 3), law, probability(float(test.pvalue))))
    if not rows:
        return ""
    return blocks_html(
        Table(("Same slope in all groups", "statistic", "distribution", "p-value"), (("", tuple(rows)),))
    )
