"""Fits of rows that stay where they are, against fits in memory: formulas, engines, covariances."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import gifepanel as gife
from gifepanel.exceptions import DataError, SpecificationError
from tests.lazy_rows.panels import assert_same, fit, panel, printed

duckdb = pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

COVARIANCES: list[dict[str, Any]] = [
    {},
    {"cov_type": "HC0"},
    {"cov_type": "HC1", "ssc": "stata"},
    {"cov_type": "cluster"},
    {"cov_type": "CR0", "cov_kwds": {"groups": "job"}},
    {"cov_type": "cluster", "cov_kwds": {"groups": ["firm", "year"]}, "ssc": "stata"},
    {"cov_type": "cluster", "cov_kwds": {"groups": ["firm", "job"], "psd": "eigen"}},
    {"cov_type": "cluster", "cov_kwds": {"groups": "industry^year"}, "ssc": "statsmodels", "use_t": True},
    {"cov_type": "driscoll-kraay"},
    {"cov_type": "driscoll-kraay", "cov_kwds": {"maxlags": 3, "time": "year"}},
    {"cov_type": "fixed scale", "cov_kwds": {"scale": 2.0}},
]
OFTEN: list[tuple[str, dict[str, Any]]] = [
    ("y ~ x1 + x2", {}),
    ("y ~ x1 + x2 | firm + year", {"weights": "w"}),
    ("y ~ x1 + x2 | name + job + year", {}),
    ("y ~ x1 * industry + treated | firm^region", {}),
    ("y ~ x1 + twice + x2 | firm", {}),
    ("y ~ x1 | year + firm", {"singletons": "keep"}),
    ("y ~ x1 | firm", {"partial": ["x2", "industry", "year"], "weights": "w"}),
]
FORMULAS: list[tuple[str, dict[str, Any]]] = [
    ("y ~ 1", {}),
    ("y ~ 0 + x1 + x2", {}),
    ("y ~ 0 + industry + x1", {}),
    ("y ~ x1 + x2 | firm", {}),
    ("y ~ x1 | firm + job + region + year", {"weights": "w"}),
    ("y ~ x1 + x2 | firm^region + job", {}),
    ("y ~ x1 | industry^year + firm", {"weights": "w"}),
    ("y ~ x1 + x2 | job + region", {}),
    ("y ~ x1 + C(region) | year", {}),
    ("y ~ x1 * industry + treated | firm", {}),
    ("y ~ C(industry, contr.sum) * x1 | year", {}),
    ("y ~ C(industry):C(region) | year", {}),
    ("y ~ x1:C(region) + x2 | firm + year", {}),
    ("log(positive) ~ x2 + I(x2**2) + {x2 > 400} + np.exp(x1 / 10) + sqrt(positive) | firm", {}),
    ("y ~ x1 + near + x2 | firm", {}),
    ("y ~ x1 + year + region | firm + year", {}),
    ("y ~ x1", {"partial": "x2 + industry"}),
]
EVERY = [*OFTEN, *(pytest.param(*one, marks=pytest.mark.slow) for one in FORMULAS)]


@pytest.mark.parametrize(("formula", "options"), EVERY, ids=lambda v: v if isinstance(v, str) else "")
def test_formulas(path: Path, formula: str, options: dict[str, Any]) -> None:
    """Numbers, warnings and the printed report are those of memory."""
    cov = {"cov_type": "cluster", "cov_kwds": {"groups": "firm"}}
    wanted, told = fit(panel(), formula, cov, **options)
    found, said = fit(path, formula, cov, **options)
    assert_same(found, wanted, 1e-7 if "near" in formula else 1e-8)
    assert said == told
    assert printed(found) == printed(wanted)


@pytest.mark.parametrize(
    ("formula", "which"),
    [
        ("y ~ x1 + x2 | firm + year", (0, 2, 5, 7, 9)),
        pytest.param("y ~ x1 + x2 | firm + year", range(len(COVARIANCES)), marks=pytest.mark.slow),
        pytest.param("y ~ x1 + x2", range(len(COVARIANCES)), marks=pytest.mark.slow),
    ],
)
def test_covariances(path: Path, formula: str, which: Sequence[int]) -> None:
    """Every covariance that is a sum, from ``fit`` and from results."""
    inside = gife.PartialledOLS.from_formula(formula, panel(), entity="firm", time="year")
    outside = gife.PartialledOLS.from_formula(formula, path, entity="firm", time="year")
    plain = outside.fit()
    for options in (COVARIANCES[j] for j in which):
        wanted, found = inside.fit(**options), outside.fit(**options)
        assert_same(found, wanted)
        assert_allclose(found.pvalues, wanted.pvalues, rtol=1e-7)
        if len(which) < len(COVARIANCES) and options.get("ssc") is None:
            continue
        again = plain.get_robustcov_results(
            options.get("cov_type", "nonrobust"), ssc=options.get("ssc", "fixest"), **options.get("cov_kwds", {})
        )
        assert_allclose(again.bse, wanted.bse, rtol=1e-8)
    assert_allclose(found.f_test("x1 = x2").fvalue, wanted.f_test("x1 = x2").fvalue, rtol=1e-8)
    assert_allclose(plain.HC0_se, inside.fit().HC0_se, rtol=1e-8)


def _polars(path: Path) -> Any:
    return pytest.importorskip("polars").scan_parquet(path)


def _categories(path: Path) -> Any:
    pl = pytest.importorskip("polars")
    kinds = {"name": pl.Categorical, "industry": pl.Enum(["c", "a", "b"]), "year": pl.Int16, "x1": pl.Float32}
    return pl.scan_parquet(path).with_columns(pl.col(name).cast(kind) for name, kind in kinds.items())


def _relation(path: Path) -> Any:
    return duckdb.connect().read_parquet(str(path))


def _csv(path: Path) -> str:
    out = path.parent / "panel.csv"
    panel().to_csv(out, index=False)
    return str(out)


def _pattern(path: Path) -> str:
    folder = path.parent / "parts"
    folder.mkdir(exist_ok=True)
    for number in range(3):
        panel().iloc[number::3].to_parquet(folder / f"part{number}.parquet")
    return str(folder / "*.parquet")


@pytest.mark.parametrize("make", [_polars, _csv, _pattern], ids=lambda make: make.__name__[1:])
def test_kinds_of_data(path: Path, make: Any) -> None:
    """Two-way panels by patterns of periods."""
    for formula in ("y ~ x1 + C(industry) | firm + year",):
        wanted, _ = fit(panel(), formula, {"cov_type": "cluster"})
        found, _ = fit(make(path), formula, {"cov_type": "cluster"}, engine="lazy")
        assert_same(found, wanted)


def test_categories_and_narrow_numbers(path: Path) -> None:
    """Declared levels keep their order, narrow numbers their values."""
    lazy = _categories(path)
    found, _ = fit(lazy, "y ~ x1 + industry | name + year", {"cov_type": "cluster"})
    wanted, _ = fit(lazy.collect(), "y ~ x1 + industry | name + year", {"cov_type": "cluster"})
    assert_same(found, wanted)


def test_where_the_rows_are(path: Path) -> None:
    """`engine=` says so: lazy frames and paths stay where they are, frames in memory don't, unless it is asked for."""
    formula = "y ~ x1 + x2 | firm + year"
    for data, engine, name in (
        (panel(), "auto", None),
        (panel(), "lazy", "DuckDB"),
        (path, "memory", None),
        (_polars(path), "memory", None),
        (_relation(path), "auto", "DuckDB"),
    ):
        res, _ = fit(data, formula, engine=engine)
        rows = res.model._rows
        assert (None if rows is None else rows.engine) == name
        assert_allclose(res.params["x1"], fit(panel(), formula)[0].params["x1"], rtol=1e-9)
    with pytest.raises(SpecificationError, match="engine"):
        fit(path, formula, engine="disk")


def test_repeated_pairs_fall_back_to_cells(path: Path, tmp_path: Path) -> None:
    """A pair that occurs twice has no bit of its own."""
    frame = panel()
    twice = np.concatenate([np.arange(len(frame)), [3, 3, 10]])
    doubled = frame.iloc[twice].reset_index(drop=True)
    doubled.to_parquet(tmp_path / "doubled.parquet")
    for formula in ("y ~ x1 + x2 | firm + year",):
        found, _ = fit(tmp_path / "doubled.parquet", formula)
        assert_same(found, fit(doubled, formula)[0])


@pytest.mark.parametrize("ids", ["int64", "float64", "str"])
@pytest.mark.parametrize("effects", ["firm + year", "firm^half + year + half"])
def test_chains_of_singletons(tmp_path: Path, ids: str, effects: str) -> None:
    """Dropping one leaves another alone, again and again; the rank counts components.

    Whole numbers come home once, whatever the length of the chain.
    """
    rng = np.random.default_rng(1)
    block = panel().head(60)[["firm", "year", "y", "x1"]].dropna().assign(year=lambda d: d["year"] - 2000)
    chain = block.head(12).assign(firm=100 + np.arange(12) // 2, year=200 + (np.arange(12) + 1) // 2)
    other = block.assign(firm=block["firm"] + 500, year=block["year"] + 50, y=rng.normal(size=len(block)))
    whole = type(block)(np.vstack([block, chain, other]), columns=block.columns)
    whole["half"] = (whole["firm"] % 2).astype(int)
    whole[["firm", "year"]] = whole[["firm", "year"]].astype(int).astype(ids)
    whole.to_parquet(tmp_path / "chain.parquet")
    found, _ = fit(tmp_path / "chain.parquet", f"y ~ x1 | {effects}")
    wanted, _ = fit(whole, f"y ~ x1 | {effects}")
    assert wanted.n_singletons == found.n_singletons > 10
    assert_same(found, wanted)
    counts = [one.n_levels for one in found.model.design.sample.effects]
    assert counts == [effect.n_levels for effect in wanted.model.effects]
    assert found.model._rows.trips.scans <= (20 if ids == "int64" else 60)


def test_nan_is_not_null(tmp_path: Path) -> None:
    """Both are missing, and infinite is neither."""
    pl = pytest.importorskip("polars")
    frame = pl.from_pandas(panel()).with_columns(
        pl.when(pl.col("year") == 2003).then(float("nan")).otherwise(pl.col("x1")).alias("x1")
    )
    frame.write_parquet(tmp_path / "nan.parquet")
    found, _ = fit(tmp_path / "nan.parquet", "y ~ x1 | firm + year")
    assert_same(found, fit(frame.to_pandas(), "y ~ x1 | firm + year")[0])
    whole = frame.drop_nulls("x1").with_columns(
        pl.when(pl.col("year") == 2004).then(float("nan")).otherwise("job").alias("c")
    )
    whole.write_parquet(tmp_path / "whole.parquet")  # without a null statistics say that there is no NaN
    assert_same(fit(tmp_path / "whole.parquet", "y ~ x1 | firm")[0], fit(whole.to_pandas(), "y ~ x1 | firm")[0])
    with pytest.raises(DataError, match="'c' is missing in"):
        fit(tmp_path / "whole.parquet", "y ~ x2 | firm", {"cov_type": "cluster", "cov_kwds": {"groups": "c"}})
    frame.with_columns(pl.col("x1").fill_nan(float("inf"))).write_parquet(tmp_path / "inf.parquet")
    with pytest.raises(DataError, match="infinite values in 'x1'"):
        fit(tmp_path / "inf.parquet", "y ~ x1 | firm + year")
