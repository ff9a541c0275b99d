"""What the benchmarks share: options, progress, tables, and the facts of the machine."""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = [
    "RESULTS",
    "Runner",
    "child_environment",
    "machine_facts",
    "markdown_table",
    "median_time",
    "one_thread",
    "parser",
    "read_csv",
    "write_results",
]

RESULTS = Path(__file__).parent / "results"
_NUMBER = re.compile(r"[-+−]?\d")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_PACKAGES = (
    "gifepanel",
    "numpy",
    "scipy",
    "numba",
    "pandas",
    "statsmodels",
    "scikit-learn",
    "groupedpaneldatamodels",
    "fereg",
    "pyfixest",
    "within-py",
    "linearmodels",
    "pyhdfe",
)


def parser(description: str, draws: int | None = None) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    out = argparse.ArgumentParser(description=description)
    out.add_argument("--quick", action="store_true", help="a small run, to see that it works: minutes become seconds")
    out.add_argument("--draws", type=int, default=draws, help=f"draws, or repetitions (default {draws})")
    out.add_argument("--jobs", type=int, default=1, help="processes (default 1; timings are only right with 1)")
    out.add_argument("--quiet", action="store_true", help="no progress bar")
    out.add_argument("--output", type=Path, default=None, help="folder for the tables")
    return out


def one_thread() -> Any:
    """One BLAS thread in this process, whatever library NumPy was built with."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)


def child_environment() -> dict[str, str]:
    """The environment of a process with one thread."""
    return {**os.environ, **dict.fromkeys(_THREADS, "1")}


class Runner:
    """Tasks one by one or on several processes, with a progress bar; Ctrl-C keeps what is done.

    Attributes
    ----------
    interrupted : bool
        Whether somebody stopped the run.
    """

    def __init__(self, *, jobs: int = 1, quiet: bool = False) -> None:
        self.jobs, self.quiet, self.interrupted = jobs, quiet, False

    def __call__(
        self, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], label: str = ""
    ) -> Iterator[tuple[int, Any]]:
        """Yield (number of the task, its result), in the order of completion."""
        from joblib import Parallel, delayed
        from tqdm.auto import tqdm

        if self.interrupted or not tasks:
            return
        calls = (delayed(_numbered)(function, number, task) for number, task in enumerate(tasks))
        done = Parallel(n_jobs=self.jobs, return_as="generator_unordered")(calls)
        with tqdm(total=len(tasks), desc=label, disable=self.quiet, file=sys.stderr, leave=False) as bar:
            try:
                for result in done:
                    bar.update()
                    yield result
            except KeyboardInterrupt:
                self.interrupted = True
                print("\nstopped: the tables hold what was done until now", file=sys.stderr)


def _numbered(function: Callable[..., Any], number: int, task: tuple[Any, ...]) -> tuple[int, Any]:
    with one_thread():
        return number, function(*task)


def median_time(call: Callable[[], Any], repeats: int = 5, *, warm: bool = True) -> dict[str, float]:
    """Median, minimum and maximum wall-clock seconds of `call`, on compiled code for panels of every size."""
    from gifepanel.kernels import _jit

    _jit._SMALL = -1
    if warm:
        call()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return {"median": statistics.median(times), "min": min(times), "max": max(times)}


def machine_facts() -> dict[str, Any]:
    """Processor, memory and versions: no names, no paths."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    from threadpoolctl import threadpool_info

    blas = sorted(
        {f"{lib['internal_api']} {lib.get('version')}" for lib in threadpool_info() if lib["user_api"] == "blas"}
    )
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "blas": ", ".join(blas),
        "versions": versions,
    }


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def markdown_table(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str] | Sequence[str]) -> str:
    """Rows as a Markdown table that also reads well as text.

    Parameters
    ----------
    rows : iterable of mapping
    columns : mapping or sequence
        Keys, or keys with their headings.
    """
    headings = dict(columns) if isinstance(columns, Mapping) else {name: name for name in columns}
    body = [[_cell(row.get(key)) for key in headings] for row in rows]
    widths = [max([len(head), *(len(line[j]) for line in body)]) for j, head in enumerate(headings.values())]
    left = [not any(_NUMBER.match(line[j]) for line in body) for j in range(len(widths))]

    def joined(cells: Iterable[str]) -> str:
        padded = (c.ljust(w) if side else c.rjust(w) for c, w, side in zip(cells, widths, left, strict=True))
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (w + 2) if side else "-" * (w + 1) + ":" for w, side in zip(widths, left, strict=True))
    return "\n".join([joined(headings.values()), rule + "|", *map(joined, body)])


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def read_csv(path: Path) -> list[dict[str, str]]:
    """Rows of a stored table, as text."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_results(
    name: str,
    tables: Mapping[str, Sequence[Mapping[str, Any]]],
    text: str,
    *,
    options: argparse.Namespace,
    complete: bool,
    notes: Mapping[str, Any] | None = None,
) -> Path:
    """Write ``name.md``, ``name.json`` (the machine and how it was run) and one CSV for each table.

    A run that is small or was stopped goes to a folder of its own, so that it does not take the place of a whole one.
    """
    folder = options.output or (RESULTS if complete else RESULTS / "partial")
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "benchmark": name,
        "complete": complete,
        "threads": 1,
        "processes": options.jobs,
        **dict(notes or {}),
        "machine": machine_facts(),
    }
    (folder / f"{name}.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    (folder / f"{name}.md").write_text(text.rstrip() + "\n", encoding="utf-8")
    for table, rows in tables.items():
        if not rows:
            continue
        keys = list(dict.fromkeys(key for row in rows for key in row))
        with (folder / f"{table}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, keys, lineterminator="\n")
            writer.writeheader()
            writer.writerows({key: _stored(value) for key, value in row.items()} for row in rows)
    return folder


def _stored(value: Any) -> Any:
    return f"{value:.10g}" if isinstance(value, float) else value
