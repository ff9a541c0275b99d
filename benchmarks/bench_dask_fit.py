"""Grouped fits on two Dask workers of one thread each against two threads: time, messages and bytes."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from bench_entities import write_panel
from common import markdown_table, parser, write_results

from gifepanel import shares

SIZES = ((30_000, 2), (100_000, 2), (300_000, 2), (1_000_000, 2))
_PERIODS = 50


class _Counted:
    """Of every message: bytes out and home, seconds from the call to the answer, and those of them without work."""

    def __init__(self) -> None:
        self.bytes: list[int] = []
        self.seconds: list[float] = []
        self._real = shares.Shares.gathered

    def __enter__(self) -> _Counted:
        counted, real = self, self._real

        def gathered(home: Any, rows: Any) -> Any:
            sent = sum(_size(calls) for calls in home._waiting)
            begin = time.perf_counter()
            parts = real(home, rows)
            took = time.perf_counter() - begin
            busy = [store.busy for store in home._stores]  # of this message alone
            counted.seconds.append(took - max(busy))
            counted.bytes.append(sent + sum(map(_size, parts)))
            return parts

        shares.Shares.gathered = gathered
        return self

    def __exit__(self, *_: object) -> None:
        shares.Shares.gathered = self._real


class _Timed(shares._Store):
    """Says for how many seconds a worker was at work on a message."""

    busy = 0.0

    def run(self, *given: Any) -> Any:
        begin = time.perf_counter()
        try:
            return super().run(*given)
        finally:
            self.busy = time.perf_counter() - begin


def _size(value: Any) -> int:
    buffers: list[Any] = []
    head = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return len(head) + sum(one.raw().nbytes for one in buffers)


def one_fit(where: str, folder: str) -> dict[str, Any]:
    """Seconds of a fit and of its search for slopes and groups alone, compiled code warm."""
    import joblib

    import gifepanel as gife
    from gifepanel.models import grouped

    options: dict[str, Any] = {"n_groups": 3, "n_factors": 2}
    y, x = (np.load(Path(folder) / f"{name}.npy", mmap_mode="r") for name in ("y", "x"))
    inside: list[float] = []
    solve = grouped.fit_grouped

    def timed(*args: Any, **given: Any) -> Any:
        begin = time.perf_counter()
        try:
            return solve(*args, **given)
        finally:
            inside.append(time.perf_counter() - begin)

    def fitted() -> dict[str, Any]:
        begin = time.perf_counter()
        res = gife.GroupedIFE(y, x, **options).fit()
        found = {"seconds": time.perf_counter() - begin, "solver": inside[-1]}
        return found | {"params": list(res.params), "errors": list(res.bse)}

    grouped.fit_grouped = timed
    if where == "threads":
        fitted()
        return fitted()
    from distributed import Client, LocalCluster

    shares._Store = _Timed
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as two,
        Client(two),
        joblib.parallel_config(backend="dask"),
    ):
        fitted()
        with _Counted() as count:
            found = fitted()
        return found | {
            "panel": count.bytes[0] * 1e-6,
            "sending": count.seconds[0],
            "messages": len(count.bytes) - 1,
            "kb": float(np.median(count.bytes[1:])) * 1e-3,
            "mb": sum(count.bytes[1:]) * 1e-6,
            "ms": float(np.median(count.seconds[1:])) * 1e3,
            "way": sum(count.seconds[1:]),
        }


def main() -> None:
    """Write the panels, fit each on threads and on workers, print a table."""
    options = parser("Grouped fits on Dask workers.", draws=1)
    options.add_argument("--sizes", nargs="*", default=None, help="entities x regressors, such as 300000x2")
    given = options.parse_args()
    sizes = [tuple(map(int, size.split("x"))) for size in given.sizes] if given.sizes else list(SIZES)
    rows: list[dict[str, Any]] = []
    for n, p in [(30_000, 2)] if given.quick else sizes:
        with tempfile.TemporaryDirectory() as folder:
            write_panel(Path(folder), n, p)
            found = {}
            for where in ("threads", "workers"):
                command = [sys.executable, __file__, "--child", where, folder]
                threads = os.environ | {"NUMBA_NUM_THREADS": "2"}
                done = subprocess.run(
                    command, capture_output=True, text=True, cwd=Path(__file__).parent, check=True, env=threads
                )
                found[where] = json.loads(done.stdout.strip().splitlines()[-1])
            one, two = found["threads"], found["workers"]
            assert one["params"] == two["params"] and one["errors"] == two["errors"]
            rows.append(
                {
                    "entities": f"{n:,}",
                    "threads": f"{one['seconds']:.1f}",
                    "workers": f"{two['seconds']:.1f}",
                    "own": f"{one['solver']:.1f}",
                    "theirs": f"{two['solver']:.1f}",
                    "panel": f"{two['panel']:.0f}",
                    "sending": f"{two['sending']:.2f}",
                    "messages": two["messages"],
                    "kb": f"{two['kb']:.0f}",
                    "mb": f"{two['mb']:.0f}",
                    "ms": f"{two['ms']:.0f}",
                    "way": f"{two['way']:.2f}",
                    "share": f"{100 * two['way'] / two['solver']:.0f} %",
                }
            )
            print(rows[-1], flush=True)
    names = {"entities": "entities", "threads": "fit, threads (s)", "workers": "fit, workers (s)"}
    names |= {"own": "solver, threads (s)", "theirs": "solver, workers (s)", "panel": "panel (MB)"}
    names |= {"sending": "on the way (s)", "messages": "messages", "kb": "median (KB)", "mb": "all (MB)"}
    names |= {"ms": "on the way, median (ms)", "way": "all (s)", "share": "of the solver"}
    table = markdown_table(rows, names)
    print(table)
    complete = not (given.quick or given.sizes)
    write_results("dask_fit", {"dask_fit": rows}, table, options=given, complete=complete, notes={"threads": 2})


if __name__ == "__main__":
    if "--child" in sys.argv:
        at = sys.argv.index("--child") + 1
        print(json.dumps(one_fit(*sys.argv[at : at + 2])))
    else:
        main()
