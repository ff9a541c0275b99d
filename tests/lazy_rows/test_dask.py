"""Rows on Dask, and on a cluster of two processes."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gifepanel as gife
from gifepanel.exceptions import DataError
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


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A scheduler, two workers, each a process."""
    distributed = pytest.importorskip("distributed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with (
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
            ) as two,
            distributed.Client(two) as client,
        ):
            yield client


FORMULA, COV = "y ~ x1 | firm", {"cov_type": "cluster"}  # every query takes Dask a second or so


def _killed(part: Any, flag: str, times: int) -> Any:
    """The process that has this part dies, so many times: kill -9."""
    before = len(list(Path(flag).iterdir()))
    if len(part) > 10 and before < times:
        (Path(flag) / str(before)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return part


def test_two_processes(path: Path, cluster: Any, tmp_path: Path) -> None:
    """One is killed in the middle of the queries of a fit, another between two fits: the fit goes on."""
    wanted, _ = fit(panel(), FORMULA, COV)
    assert len(cluster.scheduler_info()["workers"]) == 2
    whole = _frame(path)
    found, _ = fit(whole.map_partitions(_killed, str(tmp_path), 1, meta=whole._meta), FORMULA, COV)
    assert len(list(tmp_path.iterdir())) == 1
    assert_same(found, wanted)
    next(iter(cluster.cluster.workers.values())).process.process.kill()
    formula = "y ~ x1 + x2 | firm + year"
    assert_same(fit(_frame(path), formula, COV)[0], fit(panel(), formula, COV)[0])


def test_what_kills_every_worker(path: Path, cluster: Any, tmp_path: Path) -> None:
    """The error says so; the next call works."""
    whole = _frame(path)
    deadly = whole.map_partitions(_killed, str(tmp_path), 100, meta=whole._meta)
    with pytest.raises(DataError, match="workers died") as caught:
        fit(deadly, FORMULA, COV)
    names = {"data": whole}
    exec(str(caught.value.fix), names)
    assert names["data"].npartitions == 30 and len(names["data"]) == len(panel())
    assert_same(fit(whole, FORMULA, COV)[0], fit(panel(), FORMULA, COV)[0])


def test_data_that_were_on_a_worker_alone(path: Path, cluster: Any) -> None:
    dd = pytest.importorskip("dask.dataframe")
    frame = dd.from_delayed([cluster.scatter(panel())], meta=panel().iloc[:0])
    model = gife.PartialledOLS.from_formula(FORMULA, frame, entity="firm")
    for worker in list(cluster.cluster.workers.values()):
        worker.process.process.kill()
    with pytest.raises(DataError, match="what is read from files can") as caught:
        model.fit(**COV)
    names = {"dask": pytest.importorskip("dask")}
    again = eval(str(caught.value.fix).replace("panel.parquet", str(path)), names)
    assert_same(fit(again, FORMULA, COV)[0], fit(panel(), FORMULA, COV)[0])


def test_a_client_that_closed(path: Path, cluster: Any) -> None:
    distributed = pytest.importorskip("distributed")
    frame = _frame(path)
    with distributed.Client(cluster.cluster):
        model = gife.PartialledOLS.from_formula(FORMULA, frame, entity="firm")
    with distributed.Client(cluster.cluster) as other:
        other.close()
        with pytest.raises(DataError, match="must stay open"), other.as_current():
            model.fit(**COV)
    assert model.fit(**COV).nobs > 0
