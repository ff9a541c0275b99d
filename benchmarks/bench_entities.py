"""Grouped fits by number of entities: time, and memory beyond the arrays, from arrays on disk and from a file."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import markdown_table, parser, write_results

SIZES = ((10_000, 2), (30_000, 2), (100_000, 2), (300_000, 2), (1_000_000, 3))
_PERIODS, _STEP = 50, 10_000
_SLOPES = np.array([[0.4, 1.6, 1.0], [1.0, 1.0, 0.0], [1.6, 0.4, -1.0]])


def write_panel(folder: Path, n: int, p: int) -> None:
    """Three groups, two factors: arrays that can be memory-mapped, and the same as a sorted file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng, t = np.random.default_rng(0), _PERIODS
    factors = rng.normal(size=(t, 2))
    y, x = (
        np.lib.format.open_memmap(folder / f"{name}.npy", "w+", shape=shape, dtype=np.float64)
        for name, shape in (("y", (n, t)), ("x", (n, t, p)))
    )
    writer = None
    for first in range(0, n, _STEP):
        own = slice(first, min(first + _STEP, n))
        m = own.stop - first
        common = (0.5 + rng.normal(size=(m, 2))) @ factors.T
        part = rng.normal(size=(m, t, p)) + 0.5 * common[:, :, None]
        slopes = _SLOPES[rng.integers(3, size=m), :p]
        x[own], y[own] = part, np.einsum("ntp,np->nt", part, slopes) + common + rng.normal(size=(m, t))
        ids = {"i": np.repeat(np.arange(own.start, own.stop), t), "t": np.tile(np.arange(t, dtype=np.int32), m)}
        columns = {"y": y[own].ravel()} | {f"x{j + 1}": part[:, :, j].ravel() for j in range(p)}
        table = pa.table(ids | columns)
        writer = writer or pq.ParquetWriter(folder / "panel.parquet", table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


class _Watched:
    """The largest memory of this process that is its own, mapped files left out, beyond what it began with."""

    def __enter__(self) -> _Watched:
        self.before = self.most = self._now()
        self._on = True
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def _look(self) -> None:
        while self._on:
            self.most = max(self.most, self._now())
            time.sleep(0.02)

    @staticmethod
    def _now() -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(float(line.split()[1]) * 1.024e-6 for line in lines if line.startswith("RssAnon"))

    def __exit__(self, *_: object) -> None:
        self._on = False
        self._thread.join()
        self.grown = self.most - self.before


def one_fit(source: str, folder: str, p: int) -> dict[str, Any]:
    """Seconds from arrays or a path to standard errors and a report, compiled code warm; memory in GB."""
    import gifepanel as gife

    rng = np.random.default_rng(1)
    options: dict[str, Any] = {"n_groups": 3, "n_factors": 2}
    gife.GroupedIFE(rng.normal(size=(60, 30)), rng.normal(size=(60, 30, p)), **options).fit().summary()
    path = Path(folder)
    with _Watched() as watched:
        begin = time.perf_counter()
        if source == "arrays":
            y, x = (np.load(path / f"{name}.npy", mmap_mode="r") for name in ("y", "x"))
            model = gife.GroupedIFE(y, x, **options)
        else:
            formula = "y ~ 0 + " + " + ".join(f"x{j + 1}" for j in range(p))
            model = gife.GroupedIFE.from_formula(formula, path / "panel.parquet", entity="i", time="t", **options)
        read = time.perf_counter()
        res = model.fit()
        fitted = time.perf_counter()
        str(res.summary())
        seconds = time.perf_counter() - begin
    times = {"seconds": seconds, "reading": read - begin, "report": seconds - (fitted - begin)}
    return times | {"gb": watched.grown, "params": list(res.params), "errors": list(res.bse)}


def main() -> None:
    """Write the panels, fit each from arrays and from its file, print a table."""
    options = parser("Grouped fits by number of entities.", draws=1)
    options.add_argument("--sizes", nargs="*", default=None, help="entities x regressors, such as 300000x2")
    given = options.parse_args()
    sizes = [tuple(map(int, size.split("x"))) for size in given.sizes] if given.sizes else list(SIZES)
    rows: list[dict[str, Any]] = []
    for n, p in [(300, 2)] if given.quick else sizes:
        with tempfile.TemporaryDirectory() as folder:
            write_panel(Path(folder), n, p)
            data, first = n * _PERIODS * (p + 1) * 8e-9, None
            for source in ("arrays", "file"):
                command = [sys.executable, __file__, "--child", source, folder, str(p)]
                done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent, check=True)
                found = json.loads(done.stdout.strip().splitlines()[-1])
                first = first or found
                apart = max(np.abs(np.array(found[k]) / first[k] - 1).max() for k in ("params", "errors"))
                assert apart < 1e-9, f"{source} differs by {apart:.1e}"
                rows.append(
                    {
                        "entities": f"{n:,}",
                        "regressors": p,
                        "data": f"{data:.2f}",
                        "from": source,
                        "seconds": f"{found['seconds']:.1f}",
                        "reading": f"{found['reading']:.1f}",
                        "gb": f"{found['gb']:.2f}",
                        "times": f"{found['gb'] / data:.1f}",
                        "apart": f"{apart:.0e}",
                    }
                )
                print(rows[-1], flush=True)
    names = {"entities": "entities", "regressors": "regressors", "data": "data GB", "from": "from"}
    names |= {"seconds": "seconds", "reading": "of which reading", "gb": "memory GB", "times": "times the data"}
    table = markdown_table(rows, names | {"apart": "apart"})
    print(table)
    complete = not (given.quick or given.sizes)
    write_results("entities", {"entities": rows}, table, options=given, complete=complete, notes={"threads": 2})


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(one_fit(sys.argv[2], sys.argv[3], int(sys.argv[4]))))
    else:
        main()
