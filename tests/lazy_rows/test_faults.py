"""Errors that say which file, which term or which option, before any work starts; and the call after them."""

from __future__ import annotations

import builtins
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gifepanel as gife
from gifepanel.exceptions import DataError, FormulaError, GifepanelError, MissingPackageError, SpecificationError
from tests.lazy_rows.panels import fit, panel

duckdb = pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")
TWO_WAY = "y ~ x1 + x2 | firm + year"

TERMS = [
    "y ~ L(x1) | firm",
    "y ~ bs(x1, 4) | firm",
    "y ~ center(x1) | firm",
    "y ~ np.log1p(positive) | firm",
    "y ~ C(x1 > 0) | firm",
    "y ~ own(x1) | firm",
    "y ~ x1.shift(1) | firm",
    "y ~ x1 | firm[x2]",
    "y ~ {name > 3} | firm",
]


@pytest.mark.parametrize("formula", TERMS)
def test_terms_that_the_engine_is_not_asked_for(path: Path, formula: str) -> None:
    """By name, and before the first scan; the line that mends it runs."""

    def own(values: Any) -> Any:
        return values

    with pytest.raises(GifepanelError) as caught:
        gife.PartialledOLS.from_formula(formula, path, entity="firm", time="year")
    assert caught.value.fix == 'engine="memory"'
    if "shift" not in formula and "name >" not in formula:
        data = panel().drop_duplicates(["firm", "year"])
        gife.PartialledOLS.from_formula(formula, data, entity="firm", time="year", engine="memory")


WRONG: list[tuple[str, dict[str, Any], type[GifepanelError], str]] = [
    ("y ~ x9 | firm", {}, FormulaError, "'x9'"),
    ("y ~ x1 | nothing", {}, FormulaError, "'nothing'"),
    ("name ~ x1", {}, FormulaError, "text or a category"),
    ("y ~ log(x1) | firm", {}, FormulaError, "not finite in"),
    ("y ~ x1 | firm | year", {}, FormulaError, "3 parts"),
    ("y ~ x1", {"weights": np.ones(3)}, SpecificationError, "name of a column"),
    ("y ~ x1", {"weights": "nothing"}, SpecificationError, "'nothing'"),
    ("y ~ x1", {"weights": "x1"}, DataError, "negative in"),
    ("y ~ x1", {"missing": "raise"}, DataError, "missing values in"),
    ("y ~ x1", {"learner": len, "partial": "x2"}, SpecificationError, "learner"),
    ("y ~ x1", {"cov_type": "cluster"}, SpecificationError, "without clusters"),
    ("y ~ x1", {"cov_type": "HC3"}, SpecificationError, "HC3"),
    ("y ~ x1", {"cov_type": "hac-panel"}, SpecificationError, "hac-panel"),
    ("y ~ x1", {"cov_type": "cluster", "cov_kwds": {"groups": "nothing"}}, DataError, "'nothing'"),
    ("y ~ x1", {"cov_type": "cluster", "cov_kwds": {"groups": "name"}}, DataError, "'name' is missing in 1 rows"),
    ("y ~ x1", {"cov_type": "cluster", "cov_kwds": {"groups": np.arange(3)}}, SpecificationError, "names of columns"),
    ("y ~ x1", {"cov_type": "driscoll-kraay"}, SpecificationError, "what time is"),
    ("y ~ x1", {"cov_type": "cluster", "cov_kwds": {"maxlags": 2}}, SpecificationError, "maxlags"),
]


@pytest.mark.parametrize(("formula", "options", "kind", "words"), WRONG, ids=lambda v: str(v)[:40])
def test_wrong_input(path: Path, formula: str, options: dict[str, Any], kind: type[GifepanelError], words: str) -> None:
    cov = {name: options[name] for name in ("cov_type", "cov_kwds") if name in options}
    rest = {name: value for name, value in options.items() if name not in cov}
    with pytest.raises(kind, match=words):
        gife.PartialledOLS.from_formula(formula, path, **rest).fit(**cov)


def _broken(path: Path, folder: Path) -> dict[str, Any]:
    raw = path.read_bytes()
    damaged = bytearray(raw)
    damaged[200:4000] = bytes(3800)
    (folder / "short.parquet").write_bytes(raw[: len(raw) // 2])
    (folder / "torn.parquet").write_bytes(bytes(damaged))
    panel().to_parquet(folder / "a_whole.parquet")
    panel().drop(columns="x2").to_parquet(folder / "lacks.parquet")
    panel().assign(x2="a").to_parquet(folder / "other.parquet")
    whole = folder / "a_whole.parquet"
    return {
        "short": folder / "short.parquet",
        "torn": [whole, folder / "torn.parquet"],
        "lacks": [whole, folder / "lacks.parquet"],
        "other": [whole, folder / "other.parquet"],
        "nowhere": folder / "nowhere.parquet",
        "notes.txt": __file__,
    }


def test_broken_files_are_named(path: Path, tmp_path: Path) -> None:
    """Truncated, corrupt, of other columns, not there; and the next call works."""
    for name, data in _broken(path, tmp_path).items():
        with pytest.raises(DataError) as caught:
            gife.PartialledOLS.from_formula(TWO_WAY, data).fit()
        assert name in str(caught.value) or "test_faults.py" in str(caught.value)
        assert caught.value.needed and caught.value.fix
    assert gife.PartialledOLS.from_formula(TWO_WAY, path).fit().nobs > 0


def test_a_connection_that_closes(path: Path) -> None:
    con = duckdb.connect()
    model = gife.PartialledOLS.from_formula(TWO_WAY, con.read_parquet(str(path)))
    con.close()
    with pytest.raises(DataError, match="closed"):
        model.fit()
    with pytest.raises(DataError, match="closed"):
        model.fit(cov_type="cluster", cov_kwds={"groups": "job"})


def test_memory_and_disk_that_are_full() -> None:
    con = duckdb.connect()
    con.execute("SET memory_limit = '4MB'; SET max_temp_directory_size = '1KB'; SET threads = 1")
    rows = con.sql(
        "SELECT hash(i)::VARCHAR || 'a long name' AS firm, i % 7 AS year, sin(i) AS y, cos(i) AS x1, sin(3 * i) AS x2 "
        "FROM range(200000) t(i)"
    )
    with pytest.raises(DataError, match="temporary folder") as caught:
        gife.PartialledOLS.from_formula(TWO_WAY, rows).fit()
    assert "temp_directory" in str(caught.value.fix)


def test_ctrl_c_stops_the_query(tmp_path: Path) -> None:
    """Within a fraction of a second, and the next call works."""
    file = tmp_path / "large.parquet"
    duckdb.sql("SELECT hash(i) % 100003 AS firm, sin(i) AS y, cos(3 * i) AS x1 FROM range(300000) t(i)").write_parquet(
        str(file)
    )
    model = gife.PartialledOLS.from_formula("y ~ x1 | firm", file, engine="lazy")
    rows = model._rows
    assert rows is not None
    begun, told_to_stop = threading.Event(), threading.Event()
    told = rows._run

    def run(query: Callable[[], Any]) -> Any:
        begun.set()
        return told(lambda: (told_to_stop.wait(30), query())[1])

    rows._run = run  # type: ignore[method-assign]

    def stops() -> None:
        begun.wait()
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
        told_to_stop.set()

    stop = threading.Thread(target=stops)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background may ignore it
    try:
        stop.start()
        with pytest.raises(KeyboardInterrupt):
            model.fit()
        stop.join()
    finally:
        signal.signal(signal.SIGINT, before)
    rows._run = told  # type: ignore[method-assign]
    assert model.fit().nobs > 200_000


def test_without_duckdb(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that fits is read by pandas; one that does not is an error that names the extra."""
    import gifepanel.lazy_rows.sources as sources

    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "duckdb":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    monkeypatch.setattr(sources, "find_spec", lambda name: None)
    res, _ = fit(path, TWO_WAY)
    assert res.model._rows is None and res.nobs > 0
    with pytest.raises(MissingPackageError, match=r"gifepanel\[duckdb\]"):
        fit(path, TWO_WAY, engine="lazy")
    monkeypatch.setattr(sources, "_free_memory", lambda: 1000)
    with pytest.raises(MissingPackageError, match=r"gifepanel\[duckdb\]"):
        fit(path, TWO_WAY)
