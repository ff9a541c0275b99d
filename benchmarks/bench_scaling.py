"""Time and memory of a fit as the panel grows, where the time goes, and what a cold start costs.

    python benchmarks/bench_scaling.py [--quick] [--draws 7]

One thread, compiled code warm, all starts and the refit included. Writes ``scaling.csv``, ``scaling_growth.csv``,
``scaling_parts.csv``, ``scaling_start.csv`` and ``scaling.md``.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from common import Runner, child_environment, markdown_table, median_time, one_thread, parser, write_results
from panels import formula_and_frame, timing_panel
from tracing import KINDS, STAGES, traced

import gifepanel as gife
from gifepanel.solvers.arrays import prepare
from gifepanel.solvers.grouped import GroupedOptions, fit_grouped

Row = dict[str, Any]
# (N, T, p, K, R), and the target: seconds of the whole call, megabytes
SIZES = (
    ((100, 50, 2, 3, 2), 0.030, None),
    ((100, 50, 3, 3, 2), 0.030, None),
    ((1000, 100, 3, 3, 2), 0.4, None),
    ((10_000, 100, 3, 3, 2), 5.0, 2000.0),
)
BASE = {"n": 400, "t": 50, "p": 2, "k": 3, "r": 2}
GROWTH = {
    "n": (50, 100, 200, 400, 800, 1600, 3200),
    "t": (25, 50, 100, 200, 400),
    "p": (1, 2, 3, 4, 6, 8),
    "k": (1, 2, 3, 4, 6),
    "r": (0, 1, 2, 4, 8),
}
WAYS = ("solver", "arrays", "formula")
NOTES = """\
*solver*: arrays to groups, factors and refit. *arrays*, *formula*: the whole call, `GroupedIFE(y, x, ...).fit()` and
`GroupedIFE.from_formula(...).fit()` on a frame with an index (entity, time), both with inference. Medians in
milliseconds over panels of different seeds; in brackets the fastest and the slowest. Memory: largest resident set of a
process that draws the panel and fits it.
"""


def call_for(way: str, size: Sequence[int], seed: int) -> Callable[[], Any]:
    """A fit of one panel in one way."""
    n, t, p, k, r = size
    y, x = timing_panel(n, t, p, k, r, seed)
    if way == "solver":
        return lambda: fit_grouped(prepare(y, x, standardize=True), k, r, GroupedOptions())
    if way == "arrays":
        return lambda: gife.GroupedIFE(y, x, n_groups=k, n_factors=r).fit()
    formula, frame = formula_and_frame(y, x)
    return lambda: gife.GroupedIFE.from_formula(formula, frame, n_groups=k, n_factors=r).fit()


def timed(way: str, size: Sequence[int], draws: int) -> Row:
    """Seconds over panels of several seeds, the fastest of three runs of each."""
    per_panel = [median_time(call_for(way, size, seed), 3)["min"] for seed in range(draws)]
    return {"seconds": statistics.median(per_panel), "fastest": min(per_panel), "slowest": max(per_panel)}


def sizes_row(size: Sequence[int], target: float, limit: float | None, draws: int) -> Row:
    """Times and peak memory at one size."""
    row: Row = dict(zip("ntpkr", size, strict=True))
    for way in WAYS:
        for name, value in timed(way, size, draws).items():
            row[f"{way}_{name}"] = value
        row[f"{way}_peak_mb"] = child("memory", way, *size)["peak_mb"]
    row |= {"target_seconds": target, "target_mb": limit}
    row["met"] = int(
        row["arrays_seconds"] <= target and (limit is None or max(row[f"{w}_peak_mb"] for w in WAYS) <= limit)
    )
    return row


def growth_row(name: str, value: int, draws: int) -> Row:
    """Time of the solver and of the whole call with one dimension changed."""
    size = tuple({**BASE, name: value}.values())
    out: Row = {"varied": name, "value": value}
    for way in WAYS[:2]:
        out[way] = timed(way, size, draws)["seconds"]
    return out


def parts_rows(size: Sequence[int], draws: int) -> list[Row]:
    """Seconds by kind of work and by stage, means over panels."""
    out = []
    label = f"{size[0]}x{size[1]}"
    for view, labels, way in (("kind", KINDS, "solver"), ("stage", STAGES, "arrays"), ("stage", STAGES, "formula")):
        seconds: dict[str, float] = {}
        calls: dict[str, int] = {}
        total = 0.0
        for seed in range(draws):
            call = call_for(way, size, seed)
            call()
            with traced(labels, opaque=("audit",)) as clock:
                begin = time.perf_counter()
                call()
                total += time.perf_counter() - begin
            for part, spent in clock.seconds.items():
                seconds[part] = seconds.get(part, 0.0) + spent / draws
                calls[part] = calls.get(part, 0) + clock.calls[part]
        seconds["elsewhere"] = max(total / draws - sum(seconds.values()), 0.0)
        for part in [*dict.fromkeys(labels.values()), "elsewhere"]:
            if part in seconds:
                spent = seconds[part]
                share = spent * draws / total
                count = round(calls.get(part, 0) / draws)
                row = {"size": label, "view": view, "way": way, "part": part}
                out.append({**row, "seconds": spent, "share": share, "calls": count})
    return out


def child(*arguments: Any, environment: Mapping[str, str] | None = None) -> dict[str, float]:
    """Run ``child.py`` in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("child.py")), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**child_environment(), **dict(environment or {})}
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def start_rows(repeats: int) -> list[Row]:
    """Import, and first fits where nothing is compiled, without and with missing cells, and with a filled cache."""
    bare = [_seconds("pass") for _ in range(repeats)]
    imported = [_seconds("import gifepanel") for _ in range(repeats)]
    rows: list[Row] = [
        {"what": "interpreter alone", "seconds": statistics.median(bare)},
        {"what": "import gifepanel, beyond it", "seconds": statistics.median(imported) - statistics.median(bare)},
    ]
    with tempfile.TemporaryDirectory() as empty, tempfile.TemporaryDirectory() as cache:
        first = partial(child, "first", 100, 50)
        plain = [first(environment={"NUMBA_CACHE_DIR": empty}) for _ in range(repeats)]
        holes = first("holes", environment={"NUMBA_CACHE_DIR": empty})
        compiled = first("compiled", environment={"NUMBA_CACHE_DIR": cache})
        warm = [first(environment={"NUMBA_CACHE_DIR": cache}) for _ in range(repeats)]
    for runs, key, what in (
        (plain, "process", "first fit of a process, nothing compiled"),
        (plain, "second", "second fit and summary, nothing compiled"),
        ([compiled], "process", "the same fit compiled first, as large panels are"),
        ([holes], "process", "first fit of a process, cells missing"),
        (warm, "process", "first fit of a process, warm cache"),
        (warm, "second", "second fit and summary, warm cache"),
    ):
        rows.append({"what": what, "seconds": statistics.median(run[key] for run in runs)})
    return rows


def _seconds(program: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, env=child_environment())
    return time.perf_counter() - begin


def elasticities(rows: Sequence[Row]) -> list[Row]:
    """The exponent of growth between the last two values of each dimension, and over the whole range."""
    out = []
    for name in GROWTH:
        line = [row for row in rows if row["varied"] == name and row["value"] > 0]
        if len(line) < 2:
            continue
        row: Row = {"varied": name, "from": line[0]["value"], "to": line[-1]["value"]}
        for way in WAYS[:2]:
            row[way] = _slope(line[0], line[-1], way)
            row[f"{way}_end"] = _slope(line[-2], line[-1], way)
        out.append(row)
    return out


def _slope(a: Row, b: Row, way: str) -> float:
    return round(math.log(b[way] / a[way]) / math.log(b["value"] / a["value"]), 2)


def report(sizes: Sequence[Row], growth: Sequence[Row], parts: Sequence[Row], start: Sequence[Row]) -> str:
    """The text of ``scaling.md``."""
    out = [NOTES.strip()]
    if sizes:
        out.append(markdown_table([_size_cells(row) for row in sizes], list(_size_cells(sizes[0]))))
    for view, way, title in (
        ("kind", "solver", "Time of the solver by kind of work"),
        ("stage", "arrays", "Time of the whole call from arrays by stage"),
        ("stage", "formula", "Time of the whole call by formula by stage"),
    ):
        chosen = [row for row in parts if (row["view"], row["way"]) == (view, way)]
        if chosen:
            out += [f"{title}: milliseconds and share.", _wide(chosen)]
    if growth:
        out += [
            "Growth of the time, one dimension at a time from N = {n}, T = {t}, p = {p}, K = {k}, R = {r}.\n"
            "Exponents: time proportional to a power of the dimension, over the whole range and at its\n"
            "end.".format(**BASE),
            markdown_table([_growth_cells(row) for row in growth], ["varied", "value", "solver, ms", "arrays, ms"]),
            markdown_table(
                elasticities(growth),
                {
                    "varied": "dimension",
                    "from": "from",
                    "to": "to",
                    "solver": "solver",
                    "solver_end": "at the end",
                    "arrays": "arrays",
                    "arrays_end": "at the end",
                },
            ),
        ]
    if start:
        cells = [{"what": row["what"], "seconds": f"{row['seconds']:.3f}"} for row in start]
        out += ["Start of a process:", markdown_table(cells, ["what", "seconds"])]
    return "\n\n".join(out)


def _size_cells(row: Row) -> Row:
    cells: Row = {"N x T": f"{row['n']}x{row['t']}", "p": row["p"], "K": row["k"], "R": row["r"]}
    for way in WAYS:
        mid, low, high = (1e3 * row[f"{way}_{name}"] for name in ("seconds", "fastest", "slowest"))
        cells[f"{way}, ms"] = f"{mid:.1f} [{low:.1f}, {high:.1f}]"
    cells["target, ms"] = f"{1e3 * row['target_seconds']:.0f}"
    cells["peak, MB"] = f"{row['arrays_peak_mb']:.0f}"
    cells["by formula"] = f"{row['formula_peak_mb']:.0f}"
    cells["met"] = bool(row["met"])
    return cells


def _growth_cells(row: Row) -> Row:
    return {
        "varied": row["varied"],
        "value": row["value"],
        "solver, ms": f"{1e3 * row['solver']:.1f}",
        "arrays, ms": f"{1e3 * row['arrays']:.1f}",
    }


def _wide(rows: Sequence[Row]) -> str:
    sizes = list(dict.fromkeys(row["size"] for row in rows))
    cells: dict[str, Row] = {}
    for row in rows:
        shown = f"{1e3 * row['seconds']:.1f} ({100 * row['share']:.0f} %)"
        cells.setdefault(row["part"], {"part": row["part"]})[row["size"]] = shown
    return markdown_table(cells.values(), ["part", *sizes])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options = parser(__doc__ or "", draws=7).parse_args(arguments)
    draws = 2 if options.quick else options.draws
    sizes = SIZES[:2] if options.quick else SIZES
    runner = Runner(quiet=options.quiet)
    collected: dict[str, list[Row]] = {"scaling": [], "scaling_parts": [], "scaling_growth": [], "scaling_start": []}

    def small(size: Sequence[int]) -> int:
        return draws if size[0] < 5000 else min(draws, 3)

    with one_thread():
        for _, row in runner(sizes_row, [(*entry, small(entry[0])) for entry in sizes], "sizes"):
            collected["scaling"].append(row)
            print(json.dumps(_size_cells(row)), flush=True)
        chosen = [entry[0] for entry in sizes if entry[0][:3] != (100, 50, 3)]
        for _, rows in runner(parts_rows, [(size, small(size)) for size in chosen], "parts"):
            collected["scaling_parts"] += rows
        grid = [(name, value) for name, values in GROWTH.items() for value in (values[:2] if options.quick else values)]
        for _, row in runner(growth_row, [(*entry, max(draws // 2, 1)) for entry in grid], "growth"):
            collected["scaling_growth"].append(row)
        for _, rows in runner(start_rows, [(1 if options.quick else 5,)], "start"):
            collected["scaling_start"] += rows
    text = report(*(collected[name] for name in ("scaling", "scaling_growth", "scaling_parts", "scaling_start")))
    complete = not (options.quick or runner.interrupted)
    folder = write_results("scaling", collected, text, options=options, complete=complete, notes={"panels": draws})
    print(f"\n{text}\n\nwritten to {folder.name}/")


if __name__ == "__main__":
    main()
