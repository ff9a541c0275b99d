"""Notes where a number may mislead are in the text, the HTML, the LaTeX and the report of every model concerned."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gifepanel import GroupedIFE, InteractiveFE, PartialledOLS, compare

N, T = 24, 8
IDS = {"entity": "firm", "time": "year"}


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"firm": np.repeat(range(N), T), "year": np.tile(range(2001, 2001 + T), N)})
    frame["x"] = rng.normal(size=N * T)
    frame["y"] = frame["x"] * (1 + frame["firm"] % 2 * 2) + rng.normal(size=N * T)
    return frame.assign(c=frame["firm"] % 4)


FITS: dict[str, tuple[type, str, dict[str, Any], tuple[str, ...]]] = {
    "linear": (PartialledOLS, "y ~ L(y) + x | firm", {}, ("clusters are few", "Nickell 1981")),
    "factors": (InteractiveFE, "y ~ x", {"n_factors": 1}, ("clusters are few",)),
    "groups": (
        GroupedIFE,
        "y ~ x",
        {"n_groups": (1, 2), "n_factors": 1},
        ("clusters are few", "with fewer than 10, many entities", "is the largest of those tried"),
    ),
}


@pytest.mark.parametrize("kind", FITS)
def test_notes_are_everywhere(data: pd.DataFrame, kind: str) -> None:
    model, formula, options, words = FITS[kind]
    fit = model.from_formula(formula, data, **options, **IDS)  # type: ignore[attr-defined]
    res = fit.fit(cov_type="cluster", cov_kwds={"groups": "c"}, **({"use_t": False} if kind == "linear" else {}))
    summary = res.summary()
    for text in (summary.as_text(), summary.as_html(), summary.as_latex(), res.report(plots=False)):
        plain = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.unescape(text)))
        assert [word for word in words if word not in plain] == []


GONE = (
    "7 entities (a, b, c, d, e and 2 more) and 1 period (1999), which factors and effects fit exactly whatever the "
    "slopes are; 1 entity (h), whose loadings would grow without bound"
)


def test_holes_and_what_was_pruned_are_said(data: pd.DataFrame) -> None:
    """The facts of a sample, of whatever fit; a complete panel says nothing of them."""
    res = InteractiveFE.from_formula("y ~ x", data, n_factors=1, **IDS).fit()
    complete, beside = res.summary().as_text(), compare(res).as_markdown()
    for word in ("Cells", "cells", "shortest", "Left out", "leaves out", "Without a row"):
        assert word not in complete + beside
    sample = replace(
        res.sample,
        n_observed=150,
        shortest=("a{b}", 1),
        longest=(pd.Timestamp("2001-01-01"), 8),
        pruned_entities=tuple("abcdefg"),
        pruned_times=(1999,),
        set_aside=("h",),
        empty_times=(2000, 2001),
        n_pruned=9,
    )
    res._results.sample = sample
    for name in ("_report_parts", "_data_facts", "nobs"):
        res._results.__dict__.pop(name, None)
    words = (
        "Cells observed: 78.1%",
        "Periods by entity: 1 to 8",
        "150 of 192 cells are observed (78.1% of 24 entities x 8 periods); the shortest entity, a{b}, has 1 period, "
        "the longest, 2001-01-01, 8.",
        "Without a row that could be used: 2 periods (2000, 2001).",
        f"Left out: {GONE}; 9 rows in all.",
    )
    text = re.sub(r"\s+", " ", res.summary().as_text())
    assert [word for word in words if word not in text] == []
    table = re.sub(r"\s+", " ", compare(res).as_markdown())
    assert "| Cells observed | 78.1% |" in table
    assert f"leaves out {GONE}." in table
    assert ("Rows left out, no part of the fit", f"9: {GONE}") in res._data_facts.rows.left
    assert res.nobs == 150
    assert res.default_model_infos["Cells observed"](res) == "78.1%"
    every = replace(sample, shortest=("a", 6), longest=("a", 6), pruned_times=(), set_aside=(), n_pruned=1)
    res._results.sample = every
    res._results.__dict__.pop("_report_parts", None)
    text = re.sub(r"\s+", " ", res.summary().as_text())
    assert "every entity has 6 periods." in text
    assert "e and 2 more), which factors and effects fit exactly whatever the slopes are; 1 row in all." in text
