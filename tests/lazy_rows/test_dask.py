"""Rows on Dask, and on a cluster of two processes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from tests.lazy_rows.panels import assert_same, fit, panel

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def _frame(path: Path) -> Any:
    dd = pytest.importorskip("dask.dataframe")
    return dd.read_parquet(path).repartition(npartitions=3)


@pytest.mark.parametrize(
    "formula", ["y ~ x1 + C(industry) | firm + year", "y ~ x1 + x2 | name + job + year", "y ~ x1 + x2"]
)
def test_dask(path: Path, formula: str) -> None:
    found, _ = fit(_frame(path), formula, {"cov_type": "cluster", "cov_kwds": {"groups": ["firm", "year"]}})
    wanted, _ = fit(panel(), formula, {"cov_type": "cluster", "cov_kwds": {"groups": ["firm", "year"]}})
    assert found.model._rows.engine == "Dask"
    assert_same(found, wanted)


def test_two_processes(path: Path) -> None:
    """A scheduler, two workers, each a process; one of them is killed between fits."""
    distributed = pytest.importorskip("distributed")
    formula, cov = "y ~ x1 + x2 | firm + year", {"cov_type": "cluster"}
    wanted, _ = fit(panel(), formula, cov)
    with (
        warnings.catch_warnings(),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        warnings.simplefilter("ignore")
        assert len(client.scheduler_info()["workers"]) == 2
        found, _ = fit(_frame(path), formula, cov)
        assert_same(found, wanted)
        next(iter(cluster.workers.values())).process.process.kill()
        again, _ = fit(_frame(path), formula, cov)
        assert_same(again, wanted)
