"""How categories and products of rows elsewhere are coded: with the columns, references and warnings of memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gifepanel.exceptions import FormulaError
from tests.lazy_rows.panels import assert_same, fit, panel, printed

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def study() -> pd.DataFrame:
    """The panel with what does not vary within firms."""
    frame = panel().assign(only="a", late=lambda d: np.where(d["year"] < 2005, "early", "late"))
    return frame.assign(
        group=np.where(frame["firm"] < 20, "T", "C"), in_group=frame["firm"] < 20, share=1.0 * (frame["firm"] < 20)
    )


def same(data: Any, tmp_path: Path, formula: str, **options: Any) -> None:
    """Fits in memory and elsewhere agree in numbers, warnings and print."""
    data.to_parquet(tmp_path / "study.parquet")
    wanted, told = fit(data, formula, **options)
    found, said = fit(tmp_path / "study.parquet", formula, **options)
    assert_same(found, wanted)
    assert said == told
    assert printed(found) == printed(wanted)


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ industry:x1 | industry",
        "y ~ C(region):industry:x1 | industry^region + year",
        "y ~ only:x1 | firm",
        "y ~ only + x1 | firm",
        "y ~ group:C(year, Treatment(2004)) | firm + year",
        "y ~ in_group:C(year, Treatment(2004)) | firm + year",
        "y ~ share:C(year) | firm + year",
        "y ~ group:late | firm",
        "y ~ treated:x1 | year",
        "y ~ {x1 > 1}:x2 | year",
        "y ~ in_group:x1 + x1 | firm",
    ],
)
def test_what_effects_span_decides_how_products_are_coded(study: pd.DataFrame, tmp_path: Path, formula: str) -> None:
    """Interactions keep every slope that effects leave, and named references are theirs."""
    same(study, tmp_path, formula)


def test_levels_of_rows_without_weight(study: pd.DataFrame, tmp_path: Path) -> None:
    """They have columns of zero, and may be the reference."""
    same(study.assign(w=1.0 * (study["industry"] != "a")), tmp_path, "y ~ industry * x1 | firm", weights="w")


@pytest.mark.parametrize("formula", ["y ~ 0 + x1", "y ~ 0 + industry:x1"])
def test_controls_that_span_a_constant(study: pd.DataFrame, tmp_path: Path, formula: str) -> None:
    same(study, tmp_path, formula, partial="x2 + industry")


@pytest.mark.parametrize(
    ("term", "why"),
    [
        ("I(treated + treated)", "sums truth values"),
        ("I(-treated)", "sums truth values"),
        ("{(x1 > 0) - True}", "sums truth values"),
        ("I(2 * 3)", "has no column"),
        ("C(x2)", "levels in 3"),
    ],
)
def test_terms_that_memory_reads_otherwise_or_refuses(path: Path, term: str, why: str) -> None:
    with pytest.raises(FormulaError, match=why):
        fit(path, f"y ~ x1 + {term} | firm")
