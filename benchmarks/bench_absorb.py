"""Absorption of fixed effects: whole calls, from formula to results, beside other packages on easy and hard graphs."""

from __future__ import annotations

import gc
import importlib
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from common import markdown_table, parser, write_results

import gifepanel as gife

Frame = pd.DataFrame


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


DESIGNS: dict[str, tuple[Callable[[int], Frame], str]] = {
    "easy": (lambda n: classic(n, False), "person + firm + year"),
    "difficult": (lambda n: classic(n, True), "person + firm + year"),
    "worker-firm, 10 % move": (lambda n: worker_firm(n, 0.1), "person + firm + year"),
    "worker-firm, 1 % move": (lambda n: worker_firm(n, 0.01), "person + firm + year"),
    "ring": (ring, "person + firm + year"),
    "nested": (nested, "person + firm + region + year"),
}


def ours(formula: str, data: Frame) -> float:
    """The slope by gifepanel."""
    return float(gife.PartialledOLS.from_formula(formula, data).fit().params.iloc[0])


def peer(package: str) -> Callable[[str, Frame], float] | None:
    """The slope by a package with pyfixest's interface; None where it is not installed."""
    try:
        module = importlib.import_module(package)
    except ImportError:
        return None
    return lambda formula, data: float(module.feols(formula, data).coef().iloc[0])


def timed(call: Callable[[str, Frame], float], formula: str, data: Frame, repeats: int) -> tuple[float, float]:
    """Median seconds and the slope, once warm."""
    seconds, value = [], call(formula, data.head(len(data) // 10))
    for _ in range(repeats):
        gc.collect()
        begin = time.perf_counter()
        value = call(formula, data)
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds), value


def main() -> None:
    """Time every design."""
    options = parser(__doc__ or "", 3)
    options.add_argument("--rows", type=float, default=1e6)
    options.add_argument("--peers", default="fereg", help="packages with feols(), by comma")
    given = options.parse_args()
    rows, repeats = int(1e4 if given.quick else given.rows), 1 if given.quick else given.draws
    packages = {"gifepanel": ours} | {name: call for name in given.peers.split(",") if name and (call := peer(name))}
    table = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, (make, effects) in DESIGNS.items():
            data, formula = make(rows), f"y ~ x1 | {effects}"
            row: dict[str, Any] = {"design": name, "rows": rows}
            slopes = {}
            for package, call in packages.items():
                row[f"{package}, s"], slopes[package] = timed(call, formula, data, repeats)
            row["largest difference"] = max(abs(slope - slopes["gifepanel"]) for slope in slopes.values())
            row = {k: round(v, 3) if k.endswith(", s") else v for k, v in row.items()}
            print(row, flush=True)
            table.append(row)
    text = "Whole call, formula to results, standard errors included; two cores, medians in seconds.\n\n"
    complete = not given.quick and rows == 1_000_000
    text += markdown_table(table, list(table[0]))
    write_results("absorb", {"absorb": table}, text, options=given, complete=complete, notes={"threads": 2})


if __name__ == "__main__":
    main()
