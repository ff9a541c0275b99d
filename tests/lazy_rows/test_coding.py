"""How categories and products of rows elsewhere are coded: with the columns, references and warnings of memory."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gifepanel.exceptions import DataError, FormulaError
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
    "term",
    [
        "I(treated + (x1 > 0))",
        "I(-treated)",
        "{(x1 > 0) - True}",
        "I(treated * x1)",
        "exp(treated)",
        "sqrt(x1 > 0)",
        "{treated | (x1 > 0)}",
        "{~treated}",
        "{treated == (x1 > 0)}",
    ],
)
def test_truth_values_count_as_0_and_1(study: pd.DataFrame, tmp_path: Path, term: str) -> None:
    same(study, tmp_path, f"y ~ x2 + {term} | firm")


def test_whole_numbers_without_room(study: pd.DataFrame, tmp_path: Path) -> None:
    large = 4_000_000_000 * (1 + np.arange(len(study)) % 7)
    same(study.assign(large=large), tmp_path, "y ~ x1 + I(large * large) + large:x2 + I(large**3) | firm")


@pytest.mark.parametrize(
    ("term", "why"),
    [
        ("I(2 * 3)", "has no column"),
        ("C(x2)", "levels in 3"),
    ],
)
def test_terms_that_memory_reads_otherwise_or_refuses(path: Path, term: str, why: str) -> None:
    with pytest.raises(FormulaError, match=why):
        fit(path, f"y ~ x1 + {term} | firm")


@pytest.mark.parametrize("ordered", [False, True])
def test_declared_levels_keep_their_order(study: pd.DataFrame, tmp_path: Path, ordered: bool) -> None:
    """In a file of pandas', and in a frame in memory that goes the way of files."""
    kept = pd.Categorical(study["industry"], categories=["c", "d", "b", "a"], ordered=ordered)
    frame = study.assign(industry=kept)
    same(frame, tmp_path, "y ~ industry * x1 | firm")
    found, _ = fit(frame, "y ~ C(industry) + x1 | firm", engine="lazy")
    assert_same(found, fit(frame, "y ~ C(industry) + x1 | firm")[0])
    assert_same(*(fit(frame, "y ~ x1 | industry^year", engine=one)[0] for one in ("lazy", "memory")))
    with pytest.raises(FormulaError, match="own order"):
        fit(tmp_path / "study.parquet", "y ~ {industry < 'b'} | firm")


@pytest.mark.parametrize("second", ["bca", "bcad"])
def test_files_that_declare_levels_otherwise(study: pd.DataFrame, tmp_path: Path, second: str) -> None:
    """The first file's order where the levels are the same, none otherwise, as in memory."""
    files = []
    for part, order in enumerate((list("cab"), list(second))):
        files.append(tmp_path / f"{part}.parquet")
        own = study.iloc[part::2]
        own.assign(industry=pd.Categorical(own["industry"], categories=order)).to_parquet(files[-1])
    assert_same(*(fit(files, "y ~ industry + x1 | firm", engine=one)[0] for one in ("lazy", "memory")))


def test_numbers_as_categories_are_no_numbers(study: pd.DataFrame) -> None:
    frame = study.assign(region=study["region"].astype("category"))
    with pytest.raises(FormulaError, match="region"):
        fit(frame, "y ~ x1 + region | firm", engine="lazy")
    assert_same(*(fit(frame, "y ~ x1 | region + year", engine=one)[0] for one in ("lazy", "memory")))


@pytest.mark.parametrize("engine", ["duckdb", "polars", pytest.param("dask", marks=pytest.mark.slow)])
def test_decimals_beyond_floats_are_ids_of_their_own(study: pd.DataFrame, tmp_path: Path, engine: str) -> None:
    """Numbers of databases, of which float64 would make one."""
    frame = study.assign(firm=[Decimal(10**20 + firm) for firm in study["firm"]])
    frame.to_parquet(tmp_path / "ids.parquet")
    data: Any = tmp_path / "ids.parquet"
    if engine != "duckdb":
        home = pytest.importorskip("dask.dataframe" if engine == "dask" else "polars")
        data = home.read_parquet(data) if engine == "dask" else home.scan_parquet(data)
    formula = "y ~ x1 | firm + year + job"
    found, _ = fit(data, formula, {"cov_type": "cluster"})
    assert_same(found, fit(study, formula, {"cov_type": "cluster"})[0])
    assert found.effects()["firm"].index[0] == Decimal(10**20)


def test_zero_is_no_constant(study: pd.DataFrame, tmp_path: Path) -> None:
    """A column of zeros centres nothing."""
    same(study.assign(zero=0.0), tmp_path, "y ~ 0 + x1 + zero")


@pytest.mark.parametrize("size", [1e-150, 1e150, 1e200])
def test_sizes_whose_products_are_no_numbers(study: pd.DataFrame, size: float) -> None:
    with pytest.raises(DataError, match="Values of x1 are"):
        fit(study.assign(x1=size * study["x1"]), "y ~ x1 + x2 | firm", engine="lazy")


def test_names_that_end_in_a_space(study: pd.DataFrame, tmp_path: Path) -> None:
    same(study.rename(columns={"job": "job "}), tmp_path, "y ~ x1 | firm + `job `")


@pytest.mark.parametrize("engine", ["memory", "lazy"])
def test_an_outcome_without_variance_has_no_r_squared(study: pd.DataFrame, engine: str) -> None:
    """The summary stands."""
    found, _ = fit(study.assign(y=3.0), "y ~ x1", engine=engine)
    assert np.isnan(found.rsquared)
    assert "R-squared" in str(found.summary())
