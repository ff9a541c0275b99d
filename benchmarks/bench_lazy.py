"""Rows that stay in a Parquet file: time from path to standard errors and peak memory, beside pyfixest."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from child import peak_mb
from common import markdown_table, parser, write_results

DESIGNS = ("i + t", "i + firm", "i + firm + t")
TOOLS = ("DuckDB", "Polars", "memory", "pyfixest")
_PERIODS = 20
_LONG = 40.0  # seconds beyond which a call is measured once


def write_panel(path: Path, n: int) -> None:
    """Entities of twenty periods, firms drawn at random, three regressors: a block of entities at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    entities, firms = n // _PERIODS, max(2, n // 1_000)
    of_time, of_firm = rng.normal(size=_PERIODS), rng.normal(size=firms)
    writer, step = None, max(1, min(entities, 100_000))
    for first in range(0, entities, step):
        own = np.arange(first, min(first + step, entities))
        i, t = np.repeat(own, _PERIODS), np.tile(np.arange(_PERIODS), len(own))
        firm = rng.integers(0, firms, i.size)
        common = np.repeat(rng.normal(size=len(own)), _PERIODS) + of_time[t] + of_firm[firm]
        x = [rng.normal(size=i.size) + 0.3 * common for _ in range(3)]
        y = x[0] - 0.5 * x[1] + 0.2 * x[2] + common + rng.normal(size=i.size)
        columns = {"i": i.astype(np.int32), "t": (2000 + t).astype(np.int16), "firm": firm.astype(np.int32), "y": y}
        table = pa.table(columns | {f"x{j + 1}": column for j, column in enumerate(x)})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def one_call(tool: str, path: str, effects: str) -> dict[str, Any]:
    """Seconds from the path to coefficients and standard errors, imports not counted; and the peak of this process."""
    formula = f"y ~ x1 + x2 + x3 | {effects}"
    if tool == "pyfixest":
        import pandas as pd
        import pyfixest

        pyfixest.feols("y ~ x1 | i", pd.DataFrame({"y": [1.0, 2, 3, 5], "x1": [1.0, 3, 2, 4], "i": [0, 0, 1, 1]}))
        begin = time.perf_counter()
        fit = pyfixest.feols(formula, pd.read_parquet(path), vcov={"CRV1": "i"}, store_data=False, copy_data=False)
        params, errors, extra = fit.coef(), fit.se(), {}
    else:
        import pandas as pd

        import gifepanel as gife

        small = pd.DataFrame({"y": np.arange(12.0) ** 1.5, "x1": np.arange(12) % 5 * 1.0, "i": np.arange(12) // 3})
        gife.PartialledOLS.from_formula("y ~ x1 | i", small, engine="memory" if tool == "memory" else "lazy").fit()
        data: Any = path
        begin = time.perf_counter()
        if tool == "Polars":
            import polars

            data = polars.scan_parquet(path)
        model = gife.PartialledOLS.from_formula(formula, data, engine="memory" if tool == "memory" else "lazy")
        res = model.fit(cov_type="cluster", cov_kwds={"groups": "i"})
        params, errors = res.params, res.bse
        trips = None if model._rows is None else model._rows.trips
        extra = {} if trips is None else {"scans": trips.scans, "largest_mb": trips.largest / 1e6}
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "peak_mb": peak_mb(), "params": list(params), "errors": list(errors), **extra}


def measured(tool: str, path: Path, effects: str, repeats: int) -> dict[str, Any]:
    """Medians of calls, each in a process of its own."""
    found: list[dict[str, Any]] = []
    for _ in range(repeats):
        command = [sys.executable, __file__, "--child", tool, str(path), effects]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent)
        if done.returncode:
            return {"failed": done.stderr.strip().splitlines()[-1] if done.stderr else f"code {done.returncode}"}
        found.append(json.loads(done.stdout.strip().splitlines()[-1]))
        if found[-1]["seconds"] > _LONG:
            break
    middle = {name: statistics.median(one[name] for one in found) for name in ("seconds", "peak_mb")}
    return {**found[0], **middle}


def agreement(found: dict[str, Any], wanted: dict[str, Any]) -> float:
    """Largest relative difference of coefficients and standard errors."""
    parts = [np.abs(np.array(found[name]) / np.array(wanted[name]) - 1).max() for name in ("params", "errors")]
    return float(max(parts))


def main() -> None:
    """Write the files, ask every tool, print a table."""
    options = parser("Rows that stay in a Parquet file.", draws=3)
    options.add_argument("--rows", type=float, nargs="*", default=None, help="sizes (default 1e6 1e7)")
    options.add_argument("--tools", nargs="*", default=list(TOOLS))
    options.add_argument("--effects", nargs="*", default=list(DESIGNS), help="effects (default all three)")
    given = options.parse_args()
    sizes = [20_000] if given.quick else [int(size) for size in given.rows or (1e6, 1e7)]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for n in sizes:
            path = Path(folder) / f"rows{n}.parquet"
            write_panel(path, n)
            for effects in DESIGNS[:1] if given.quick else given.effects:
                first: dict[str, Any] | None = None
                for tool in given.tools:
                    found = measured(tool, path, effects, 1 if given.quick else given.draws)
                    about = {"rows": f"{n:,}", "effects": effects, "by": tool}
                    if "failed" in found:
                        rows.append({**about, "failed": found["failed"][:60]})
                        continue
                    first = first or found
                    away = agreement(found, first)
                    assert away < 1e-6, f"{tool} differs by {away:.1e}"
                    told = {"seconds": f"{found['seconds']:.2f}", "peak_gb": f"{found['peak_mb'] / 1e3:.2f}"}
                    rows.append(about | told | {"scans": str(found.get("scans", "-")), "apart": f"{away:.0e}"})
                    print(rows[-1], flush=True)
    names = {"rows": "rows", "effects": "effects", "by": "by", "seconds": "seconds", "peak_gb": "peak GB"}
    table = markdown_table([{"seconds": "-", "peak_gb": "-", "scans": "-", "apart": "-", **row} for row in rows],
                           names | {"scans": "scans", "apart": "apart"})  # fmt: skip
    print(table)
    write_results("lazy", {"lazy": rows}, table, options=given, complete=not given.quick, notes={"threads": 2})


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(one_call(*sys.argv[2:5])))
    else:
        main()
