"""Absorption of fixed effects: whole calls, from formula to results, beside other packages on easy and hard graphs."""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from common import markdown_table, parser, write_results

import gifepanel as gife

Frame = pd.DataFrame
Call = Callable[[str, Frame], float]
_LONG = 10.0  # seconds beyond which a package is asked once
_AT_TEN_MILLIONS = ("gifepanel", "fereg")


def _outcome(frame: dict[str, Any], rng: np.random.Generator, x: np.ndarray, *levels: np.ndarray) -> Frame:
    y = x + rng.normal(size=x.size)
    for codes in levels:
        y += rng.normal(size=codes.max() + 1)[codes]
    return Frame({"y": y, "x1": x, **frame})


def classic(n: int, hard: bool) -> Frame:
    """The design of the fixest benchmarks: firms drawn at random (easy) or in turn (difficult)."""
    rng = np.random.default_rng(0)
    person, year = np.repeat(np.arange(n // 10), 10), np.tile(np.arange(10), n // 10)
    firms = n // 230
    firm = np.resize(np.arange(firms), n) if hard else rng.integers(0, firms, n)
    return _outcome({"person": person, "firm": firm, "year": year}, rng, rng.normal(size=n), person, firm, year)


def worker_firm(n: int, mobility: float) -> Frame:
    """Ten years of workers who move to a neighbouring firm with some probability a year."""
    rng = np.random.default_rng(0)
    people, firms = n // 10, n // 200
    firm = np.empty((people, 10), dtype=np.int64)
    firm[:, 0] = rng.integers(0, firms, people)
    for t in range(1, 10):
        moves = rng.random(people) < mobility
        firm[:, t] = np.where(moves, (firm[:, t - 1] + rng.integers(1, 20, people)) % firms, firm[:, t - 1])
    person, year, firm = np.repeat(np.arange(people), 10), np.tile(np.arange(10), people), firm.ravel()
    x = rng.normal(size=n) + 0.3 * rng.normal(size=firms)[firm]
    return _outcome({"person": person, "firm": firm, "year": year}, rng, x, person, firm)


def ring(n: int) -> Frame:
    """Firms on a ring, every worker moving once to the next one."""
    rng = np.random.default_rng(0)
    people, firms = n // 5, n // 20
    first, move, t = np.arange(people) % firms, rng.integers(1, 5, people), np.arange(5)
    firm = np.where(t < move[:, None], first[:, None], (first[:, None] + 1) % firms).ravel()
    person, year = np.repeat(np.arange(people), 5), np.tile(t, people)
    return _outcome({"person": person, "firm": firm, "year": year}, rng, rng.normal(size=n), person, firm)


def nested(n: int) -> Frame:
    """Workers in firms in regions, and years."""
    rng = np.random.default_rng(0)
    person, year = np.repeat(np.arange(n // 5), 5), np.tile(np.arange(5), n // 5)
    firm = person // 50
    frame = {"person": person, "firm": firm, "region": firm // 10, "year": year}
    return _outcome(frame, rng, rng.normal(size=n), person)


def many_regressors(n: int) -> Frame:
    """A regressor, 119 dummies of sectors, regions and both, and an effect of firms."""
    rng = np.random.default_rng(0)
    firm, sector, region = (rng.integers(0, levels, n) for levels in (max(n // 20, 2), 20, 6))
    frame = {"firm": firm, "sector": sector, "region": region}
    return _outcome(frame, rng, rng.normal(size=n), firm, sector)


DESIGNS: dict[str, tuple[Callable[[int], Frame], str]] = {
    "easy": (lambda n: classic(n, False), "person + firm + year"),
    "difficult": (lambda n: classic(n, True), "person + firm + year"),
    "worker-firm, 10 % move": (lambda n: worker_firm(n, 0.1), "person + firm + year"),
    "worker-firm, 1 % move": (lambda n: worker_firm(n, 0.01), "person + firm + year"),
    "ring": (ring, "person + firm + year"),
    "nested": (nested, "person + firm + region + year"),
}
MANY = "many regressors"
_WITH_FORMULAS = ("gifepanel", "fereg", "pyfixest")
_CLOSE = 1e-8


def ours(accelerator: str | None = None) -> Call:
    """The slope by gifepanel."""
    return lambda formula, data: float(
        gife.PartialledOLS.from_formula(formula, data).fit(accelerator=accelerator).params.iloc[0]
    )


def by_feols(package: str, **options: Any) -> Call:
    """The slope by a package with fixest's interface."""
    module = importlib.import_module(package)
    return lambda formula, data: float(module.feols(formula, data, **options).coef().iloc[0])


def by_linearmodels(formula: str, data: Frame) -> float:
    """The slope by linearmodels, which takes frames."""
    from linearmodels.iv.absorbing import AbsorbingLS

    effects = pd.DataFrame({name: pd.Categorical(data[name]) for name in _effects(formula)}, index=data.index)
    return float(AbsorbingLS(data["y"], data[["x1"]], absorb=effects).fit(cov_type="unadjusted").params["x1"])


def by_pyhdfe(formula: str, data: Frame) -> float:
    """The slope by PyHDFE, which residualises arrays."""
    import pyhdfe

    algorithm = pyhdfe.create(data[_effects(formula)].to_numpy())
    y, x = algorithm.residualize(data[["y", "x1"]].to_numpy()).T
    return float(x @ y / (x @ x))


def _effects(formula: str) -> list[str]:
    return [name.strip() for name in formula.split("|")[1].split("+")]


PACKAGES: dict[str, Callable[[], Call]] = {
    "gifepanel": ours,
    "gifepanel, within-py": lambda: ours("within"),
    "fereg": lambda: by_feols("fereg"),
    "pyfixest": lambda: by_feols("pyfixest"),
    "pyfixest, within-py": lambda: by_feols("pyfixest", demeaner_backend="within"),
    "linearmodels": lambda: by_linearmodels,
    "PyHDFE": lambda: by_pyhdfe,
}


def resident() -> float:
    """Memory of this process in megabytes, on Linux; NaN elsewhere."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6 if statm.exists() else float("nan")


class Watched:
    """Largest memory while a block runs, beyond what there was before."""

    def __enter__(self) -> Watched:
        gc.collect()
        self.before = self.peak = resident()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._done.wait(0.005):
            self.peak = max(self.peak, resident())

    def __exit__(self, *exc: object) -> None:
        self._done.set()
        self._thread.join()


def one(package: str, design: str, rows: int, repeats: int) -> dict[str, Any]:
    """Seconds of whole calls once warm, the slope, and the memory of one more call."""
    warnings.simplefilter("ignore")
    make, effects = (many_regressors, "firm") if design == MANY else DESIGNS[design]
    data, formula = make(rows), f"y ~ x1{' + C(sector) * C(region)' if design == MANY else ''} | {effects}"
    call = PACKAGES[package]()
    call(formula, make(max(rows // 20, 1_000)))
    seconds = []
    for _ in range(repeats):
        gc.collect()
        begin = time.perf_counter()
        slope = call(formula, data)
        seconds.append(time.perf_counter() - begin)
    with Watched() as memory:
        call(formula, data)
    return {
        "seconds": seconds,
        "slope": slope,
        "data": float(data.memory_usage(index=False).sum()) / 1e6,
        "memory": memory.peak - memory.before,
    }


def in_a_process(package: str, design: str, rows: int, repeats: int, limit: float) -> dict[str, Any] | str:
    """:func:`one` in a process of its own, or why there is no number."""
    command = [sys.executable, __file__, "--one", package, design, str(rows), str(repeats)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return f"> {limit:.0f}"
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["?"])[-1]
        if "No module named" in last or "is not installed" in last:
            return "not installed"
        return "not converged" if "iterations" in last or "converge" in last else "failed"
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def measure(
    design: str, rows: int, packages: list[str], repeats: int, rounds: int, limit: float
) -> list[dict[str, Any]]:
    """A row for each package, which take turns."""
    found: dict[str, list[dict[str, Any]]] = {}
    reasons: dict[str, str] = {}
    for _ in range(rounds):
        for package in packages:
            done = found.get(package)
            if package not in reasons and not (done and max(done[0]["seconds"]) > _LONG):
                outcome = in_a_process(package, design, rows, repeats, limit)
                if isinstance(outcome, str):
                    reasons[package] = outcome
                else:
                    found.setdefault(package, []).append(outcome)
    own = found["gifepanel"][0]["slope"]
    table = []
    for package in packages:
        row: dict[str, Any] = {"design": design, "rows": rows, "package": package}
        if package in reasons:
            row |= {"seconds": reasons[package], "extra memory / data": "", "slope differs by": ""}
        else:
            runs = found[package]
            row["seconds"] = round(statistics.median(s for run in runs for s in run["seconds"]), 3)
            row["extra memory / data"] = round(max(run["memory"] / run["data"] for run in runs), 1)
            row["slope differs by"] = f"{abs(runs[0]['slope'] - own):.0e}"
            if abs(runs[0]["slope"] - own) > _CLOSE:  # no time is worth anything then
                raise SystemExit(f"{package} has another slope on {design}: {row['slope differs by']} off")
        print(row, flush=True)
        table.append(row)
    return table


def report(table: Sequence[Mapping[str, Any]]) -> str:
    """The stored rows as tables of designs by packages."""
    text = (
        "Seconds of a whole call, from formula to results with standard errors (PyHDFE: residuals and the slope "
        "alone), compiled code warm, two cores, each package in a process of its own and by turns; medians.\n\n"
    )
    for rows in dict.fromkeys(row["rows"] for row in table):
        some = [row for row in table if row["rows"] == rows]
        text += f"### {float(rows):.0e} rows\n\n".replace("e+0", "e")
        text += _pivoted(some, "seconds") + "\n\n"
        text += "Largest memory beyond what there was before the call, in multiples of the data frame's own:\n\n"
        text += _pivoted(some, "extra memory / data") + "\n\n"
        text += "Slope, distance from gifepanel's:\n\n" + _pivoted(some, "slope differs by") + "\n\n"
    return text


def _pivoted(table: Sequence[Mapping[str, Any]], what: str) -> str:
    designs = dict.fromkeys(row["design"] for row in table)
    packages = list(dict.fromkeys(row["package"] for row in table))
    cells = {(row["design"], row["package"]): row[what] for row in table}
    rows = [{"design": design} | {name: cells[design, name] for name in packages} for design in designs]
    return markdown_table(rows, ["design", *packages])


def main() -> None:
    """Time every design."""
    options = parser(__doc__ or "", 3)
    options.add_argument("--rows", default="1e6,1e7", help="numbers of rows, by comma")
    options.add_argument("--packages", default="", help=f"some of: {'; '.join(PACKAGES)}, by semicolon")
    options.add_argument("--limit", type=float, default=180.0, help="seconds for a package on a design")
    options.add_argument("--one", nargs=4, default=None, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.one is not None:
        package, design, rows, repeats = given.one
        print(json.dumps(one(package, design, int(rows), int(repeats))))
        return
    packages = [name.strip() for name in given.packages.split(";") if name.strip()] or list(PACKAGES)
    sizes = [10_000] if given.quick else [int(float(n)) for n in given.rows.split(",")]
    table = []
    for rows in sizes:
        # packages that take minutes at a million rows are not asked for ten millions
        some = packages if rows <= 1_000_000 else [name for name in packages if name in _AT_TEN_MILLIONS]
        rounds = 1 if given.quick or rows > 1_000_000 else 2
        repeats = 1 if given.quick else given.draws
        for design in DESIGNS:
            table += measure(design, rows, some, repeats, rounds, given.limit)
    if not given.quick:
        some = [name for name in packages if name in _WITH_FORMULAS]
        table += measure(MANY, 100_000, some, given.draws, 2, given.limit)
    complete = not given.quick and sizes == [1_000_000, 10_000_000] and packages == list(PACKAGES)
    write_results("absorb", {"absorb": table}, report(table), options=given, complete=complete, notes={"threads": 2})


if __name__ == "__main__":
    main()
