"""Notes where a number may mislead are in the text, the HTML, the LaTeX and the report of every model concerned."""

from __future__ import annotations

import html
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gifepanel import GroupedIFE, InteractiveFE, PartialledOLS

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
    for text in (summary.as_text(), summary.as_html(), summary.as_latex(), res.report()):
        plain = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.unescape(text)))
        assert [word for word in words if word not in plain] == []
