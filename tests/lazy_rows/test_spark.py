"""Rows on Spark in local mode, where PySpark and Java are there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lazy_rows.panels import assert_same, fit, panel

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    sql = pytest.importorskip("pyspark.sql")
    if shutil.which("java") is None:
        pytest.skip("Java is not there")
    builder = sql.SparkSession.builder.master("local[2]").appName("gifepanel")
    for key, value in {"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "2"}.items():
        builder = builder.config(key, value)
    made = builder.getOrCreate()
    made.sparkContext.setLogLevel("ERROR")
    yield made
    made.stop()


@pytest.mark.parametrize("formula", ["y ~ x1 + C(industry) | firm + year", "y ~ x1 + x2 | name + job + year"])
def test_spark(session: Any, path: Path, formula: str) -> None:
    cov = {"cov_type": "cluster", "cov_kwds": {"groups": ["firm", "year"]}}
    found, _ = fit(session.read.parquet(str(path)), formula, cov)
    wanted, _ = fit(panel(), formula, cov)
    assert found.model._rows.engine == "Spark"
    assert_same(found, wanted)
