"""Errors that say which file, which term or which option, before any work starts; and the call after them."""

from __future__ import annotations

import builtins
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import gifepanel as gife
from gifepanel.exceptions import DataError, FormulaError, GifepanelError, MissingPackageError, SpecificationError
from tests.lazy_rows.panels import fit, panel

duckdb = pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")
TWO_WAY = "y ~ x1 + x2 | firm + year"

LONG_NAMES = (
    "SELECT hash(i // 2)::VARCHAR || repeat('x', 1000) AS firm, i % 7 AS year, sin(i) AS y, cos(i) AS x1, "
    "sin(3 * i) AS x2 FROM range(40000) t(i)"
)

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


@pytest.mark.parametrize("queries", [0, 5])
def test_a_connection_that_closes(path: Path, queries: int) -> None:
    """Before a fit or in the middle of it; what is made anew works."""
    con = duckdb.connect()
    model = gife.PartialledOLS.from_formula(TWO_WAY, con.read_parquet(str(path)))
    assert model._rows is not None
    collected, left = model._rows._collected, queries

    def closing(frame: Any) -> Any:
        nonlocal left
        if not left:
            con.close()
        left -= 1
        return collected(frame)

    model._rows._collected = closing  # type: ignore[method-assign]
    with pytest.raises(DataError, match="closed") as caught:
        model.fit(cov_type="cluster", cov_kwds={"groups": ["job", "firm"]})
    assert "make the frame and the model anew" in str(caught.value.fix)
    with pytest.raises(DataError, match="closed"):
        model.fit(cov_type="cluster", cov_kwds={"groups": "job"})
    assert gife.PartialledOLS.from_formula(TWO_WAY, duckdb.read_parquet(str(path))).fit().nobs > 0


@pytest.mark.parametrize("engine", ["memory", "lazy", "auto"])
def test_a_connection_that_was_closed(path: Path, engine: str) -> None:
    con = duckdb.connect()
    data = con.read_parquet(str(path))
    con.close()
    with pytest.raises(DataError, match=r"DuckDB frame.*must stay open until"):
        gife.PartialledOLS.from_formula(TWO_WAY, data, engine=engine)


FULL = [
    (
        "SET memory_limit = '20MB'; SET max_temp_directory_size = '300KB'",
        "29.* of it, which is a setting",
        "RESET max_temp",
    ),
    ("SET memory_limit = '20MB'; SET temp_directory = ''", "no temporary folder", "SET temp_directory"),
    ("SET memory_limit = '20MB'; SET temp_directory = '/proc/nowhere'", "nowhere, which can't be made", "SET temp_dir"),
    ("SET memory_limit = '12MB'; SET max_temp_directory_size = '1KB'", "temporary folder", "RESET memory_limit"),
]


@pytest.mark.parametrize(("limits", "words", "fix"), FULL, ids=lambda v: str(v)[-30:])
def test_memory_and_disk_that_are_full(
    limits: str, words: str, fix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is full and why; the line that mends it does; nothing is left of the query."""
    monkeypatch.chdir(tmp_path)
    connection = duckdb.connect()
    connection.execute(f"SET threads = 1; {limits}")
    rows = connection.sql(LONG_NAMES)
    with pytest.raises(DataError, match=words) as caught:
        gife.PartialledOLS.from_formula(TWO_WAY, rows).fit()
    assert fix in str(caught.value.fix)
    exec(str(caught.value.fix).replace("/large/disk", str(tmp_path / "large")), {"connection": connection})
    connection.execute("RESET memory_limit")  # one limit after the other
    assert gife.PartialledOLS.from_formula(TWO_WAY, rows).fit().nobs == 40_000
    connection.close()
    assert not list(tmp_path.rglob("duckdb_temp*"))


def test_a_disk_that_is_full_needs_a_new_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary folder of one that has used it can't be changed; that of a path is ours."""
    from gifepanel.lazy_rows import failures, sources

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(failures, "_free", lambda folder: 0.0)
    real, file = duckdb.connect, tmp_path / "long.parquet"
    duckdb.sql(LONG_NAMES).write_parquet(str(file), row_group_size=2048)
    small = {"memory_limit": "20MB", "max_temp_directory_size": "300KB", "threads": 1}
    with monkeypatch.context() as patch:
        patch.setattr(
            sources, "_duckdb", lambda why: SimpleNamespace(connect=lambda: real(config=small), Error=duckdb.Error)
        )
        with pytest.raises(DataError, match="whose disk is full") as caught:
            gife.PartialledOLS.from_formula(TWO_WAY, file).fit()
    names: dict[str, Any] = {"duckdb": duckdb}
    exec(str(caught.value.fix).replace("/large/disk", str(tmp_path / "large")), names)
    assert gife.PartialledOLS.from_formula(TWO_WAY, names["data"]).fit().nobs == 40_000


def test_a_transaction_that_failed(path: Path) -> None:
    connection = duckdb.connect()
    rows = connection.read_parquet(str(path))
    model = gife.PartialledOLS.from_formula(TWO_WAY, rows)
    connection.execute("BEGIN")
    with pytest.raises(duckdb.Error):
        connection.execute("SELECT error('no')")
    with pytest.raises(DataError, match="transaction") as caught:
        model.fit()
    exec(str(caught.value.fix), {"connection": connection})
    assert model.fit().nobs > 0


@pytest.mark.parametrize("by", ["path", "relation", "relation that does not tell its connection"])
def test_ctrl_c_stops_the_query(by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a fraction of a second, and the next call works, on the same connection."""
    file = tmp_path / "large.parquet"
    con = duckdb.connect()
    con.sql("SELECT hash(i) % 100003 AS firm, sin(i) AS y, cos(3 * i) AS x1 FROM range(300000) t(i)").write_parquet(
        str(file)
    )
    data: Any = file if by == "path" else con.read_parquet(str(file))
    model = gife.PartialledOLS.from_formula("y ~ x1 | firm", data, engine="lazy")
    rows = model._rows
    assert rows is not None and rows.interrupt is not None
    if "not tell" in by:
        rows.interrupt = None
    begun, told_to_stop = threading.Event(), threading.Event()
    told = rows._run

    def run(query: Callable[[], Any]) -> Any:
        begun.set()
        return told(lambda: (told_to_stop.wait(30), query())[1])

    monkeypatch.setattr(rows, "_run", run)

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
    monkeypatch.setattr(rows, "_run", told)
    assert model.fit().nobs > 200_000
    assert con.sql("SELECT 1").fetchall() == [(1,)]


def test_queries_that_others_interrupt(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What DuckDB makes of it, in the main thread and in others."""
    model = gife.PartialledOLS.from_formula(TWO_WAY, path)
    rows = model._rows
    assert rows is not None
    for error, kind in (
        (RuntimeError("Query interrupted"), KeyboardInterrupt),
        (duckdb.InterruptException("INTERRUPT Error: Interrupted!"), DataError),
    ):

        def fail(query: Callable[[], Any], error: Exception = error) -> Any:
            raise error

        with monkeypatch.context() as patch, pytest.raises(kind):
            patch.setattr(rows, "_run", fail)
            model.fit()
    assert model.fit().nobs > 0


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
    monkeypatch.setattr(sources, "free_memory", lambda: 1000)
    with pytest.raises(MissingPackageError, match=r"gifepanel\[duckdb\]"):
        fit(path, TWO_WAY)
