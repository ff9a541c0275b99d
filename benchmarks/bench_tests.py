"""Rejection rates of the tests on residuals and of slope homogeneity, at 5 % under the null and under an alternative.

    python benchmarks/bench_tests.py [--quick] [--draws 200] [--jobs 2]

Under the null with 50 periods three times as many panels are drawn. Writes ``tests_draws.csv`` (p-values of every
draw), ``tests.csv`` (shares below .05) and ``tests.md``.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bench_estimated_groups import autoregressive
from common import RESULTS, Runner, markdown_table, parser, read_csv, write_results
from draws import ENTROPY

import gifepanel as gife
from gifepanel import diagnostics
from gifepanel.exceptions import GifepanelWarning

Row = Mapping[str, Any]
Key = tuple[str, int, int, str, str]

SIZES = ((50, 25), (100, 25), (100, 50))
PANELS = ("complete", "20 % missing")
# name: what of the null is wrong, and the tests that should see it
ALTERNATIVES: Mapping[str, tuple[str, ...]] = {
    "memory": ("DW", "Q(1)", "Q(3)", "Wooldridge"),
    "tails": ("JB",),
    "factor": ("CD", "CD*", "CDw", "CDw+"),
    "slopes": ("homogeneity",),
}
TESTS = ("DW", "Q(1)", "Q(3)", "Wooldridge", "JB", "CD", "CD*", "CDw", "CDw+", "homogeneity")
CELLS: tuple[Key, ...] = tuple(
    [(design, n, t, panel, "null") for design in "SDP" for n, t in SIZES for panel in PANELS]
    + [("S", n, t, panel, kind) for kind in ALTERNATIVES for n, t in SIZES for panel in PANELS]
)
_DESIGNS = "SDP"
NOTES = """\
Shares of draws with p-values below .05; the Monte Carlo standard error at .05 is .015 with 200 draws, .009 with 600.
Residuals are those of `GroupedIFE` with the true numbers of groups and factors, groups estimated. S has two factors and
groups, D the same and a lag of the outcome, P entity effects and no factor. *DW*: Durbin-Watson; *Q(1)*, *Q(3)*:
Born-Breitung; *Wooldridge*: not for residuals after factors (P has none); *JB*: Jarque-Bera; *CD\\**: Pesaran-Xie, *CD*
(without factors): Pesaran; *CDw*, *CDw+*: Juodis-Reese, without and with the screening term; *homogeneity*: Ando-Bai,
without factors Pesaran-Yamagata, on a panel in which all slopes are equal.

Under the null (nominal .05):
"""
POWER = """\
Under one alternative each, design S: errors AR(.06) (*DW*, *Q*, *Wooldridge*), t-distributed errors with twenty
degrees of freedom (*JB*), a further factor with loadings N(.15, .09) that the model leaves out (*CD*), slopes of three
groups that differ by .12 of what those of the design do (*homogeneity*).
"""


def simulated(key: Key, draw: int) -> tuple[Any, Any, Any]:
    """Outcomes and regressors of the test panel, and outcomes with equal slopes (or hardly unequal ones)."""
    design, n, t, _, kind = key
    spawn = (CELLS.index(key), 97, draw)
    rng = np.random.default_rng(np.random.SeedSequence(ENTROPY, spawn_key=spawn))
    panel = gife.datasets.simulate(design, n, t, random_state=rng)  # type: ignore[arg-type]
    y, x, truth = panel.y, panel.x, panel.truth
    if kind == "memory":
        y = y - truth.errors + autoregressive(rng, y.shape, 0.06)
    elif kind == "tails":
        y = y - truth.errors + rng.standard_t(20, y.shape) * math.sqrt(0.9)
    elif kind == "factor":
        y = y + rng.normal(0.15, 0.3, (n, 1)) * rng.standard_normal((1, t))
    own = truth.alpha[truth.groups - 1]
    share = 0.12 if kind == "slopes" else 0.0
    equal = y + np.einsum("ntp,np->nt", x, (1 - share) * (truth.alpha.mean(axis=0) - own))
    if key[3] != "complete":
        holes = rng.random(y.shape) < 0.2
        y, equal = np.where(holes, np.nan, y), np.where(holes, np.nan, equal)
    return panel, y, equal


def one_draw(key: Key, draw: int) -> dict[str, Any]:
    """p-values of one panel, NaN where a test does not apply."""
    panel, y, equal = simulated(key, draw)
    design, kind = key[0], key[4]
    factors = panel.n_factors
    shared: dict[str, Any] = {"n_factors": factors, **({"absorb": "entity"} if design == "P" else {})}
    lagged: dict[str, Any] = {"predetermined": [0]} if design == "D" else {}
    row: dict[str, Any] = {"design": design, "n": key[1], "t": key[2], "panel": key[3], "kind": kind, "draw": draw}
    row |= dict.fromkeys(TESTS, math.nan)
    wanted = TESTS if kind == "null" else ALTERNATIVES[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GifepanelWarning)
        if "homogeneity" in wanted and design != "D":
            test = gife.InteractiveFE(equal, panel.x, **shared).fit().test_homogeneity()
            row["homogeneity"] = float(f"{test.pvalue:.4g}")
        if wanted == ("homogeneity",):
            return row
        res = gife.GroupedIFE(y, panel.x, n_groups=3, **shared, **lagged).fit()
    estimate = res._inference.final
    e = estimate.with_holes(estimate.resid)
    basis, loadings = (estimate.factors, estimate.loadings) if factors else (None, None)
    calls = {
        "DW": lambda: diagnostics.panel_durbin_watson(e, basis, entity_effects=design == "P"),
        "Q(1)": lambda: diagnostics.born_breitung(e, 1, basis, entity_effects=design == "P"),
        "Q(3)": lambda: diagnostics.born_breitung(e, 3, basis, entity_effects=design == "P"),
        "Wooldridge": lambda: diagnostics.wooldridge_ar1(e),
        "JB": lambda: diagnostics.jarque_bera(e),
        "CDw": lambda: diagnostics.weighted_cd(e),
        "CDw+": lambda: diagnostics.weighted_cd(e, power_enhanced=True),
    }
    if factors:
        calls["CD*"] = lambda: diagnostics.pesaran_xie_cd(e, loadings)
    else:
        calls["CD"] = lambda: diagnostics.pesaran_cd(e)
    for name in wanted:
        if name in calls:
            row[name] = float(f"{calls[name]().pvalue:.4g}")
    return row


def summarize(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Shares of p-values below .05."""
    rows, out = list(rows), []
    for design, n, t, panel, kind in CELLS:
        own = [
            row
            for row in rows
            if (row["design"], row["n"], row["t"], row["panel"], row["kind"]) == (design, n, t, panel, kind)
        ]
        if not own:
            continue
        cell: dict[str, Any] = {"design": f"{design} {n}x{t}", "panel": panel, "kind": kind, "draws": len(own)}
        for name in TESTS:
            values = np.array([row[name] for row in own])
            known = values[~np.isnan(values)]
            cell[name] = float((known < 0.05).mean()) if known.size else math.nan
        out.append(cell)
    return out


def report(table: Sequence[Row]) -> str:
    """The text of ``tests.md``."""
    null = [row for row in table if row["kind"] == "null"]
    parts = [NOTES.strip(), _table(null)]
    merged: dict[tuple[str, str], dict[str, Any]] = {}
    for row in table:
        if row["kind"] != "null":
            into = merged.setdefault((row["design"], row["panel"]), {**row, **dict.fromkeys(TESTS, math.nan)})
            into |= {name: row[name] for name in ALTERNATIVES[row["kind"]]}
    return "\n\n".join([*parts, POWER.strip(), _table(list(merged.values()))]) if merged else "\n\n".join(parts)


def _table(rows: Sequence[Row]) -> str:
    names = [name for name in TESTS if not all(math.isnan(row[name]) for row in rows)]
    shown = [
        {"design": row["design"], "panel": row["panel"]}
        | {name: "" if math.isnan(row[name]) else f"{row[name]:.3f}" for name in names}
        for row in rows
    ]
    for line, row in zip(shown, rows, strict=True):
        line["draws"] = row["draws"]
    headings = {name: name.replace("*", "\\*") for name in names}
    return markdown_table(shown, {"design": "design", "panel": "panel", **headings, "draws": "draws"})


def _n_draws(key: Key, draws: int) -> int:
    """Sizes with 50 periods are what is judged: more draws."""
    return 3 * draws if key[2] == 50 and key[4] == "null" else draws


def stored_draws(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """The rows of ``tests_draws.csv``."""
    text = ("design", "panel", "kind")
    rows = read_csv(folder / "tests_draws.csv")
    return [
        {
            key: value if key in text else int(value) if key in ("n", "t", "draw") else float(value or "nan")
            for key, value in row.items()
        }
        for row in rows
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options: argparse.Namespace = parser(__doc__ or "", draws=200).parse_args(arguments)
    draws = min(options.draws, 2) if options.quick else options.draws
    runner = Runner(jobs=options.jobs, quiet=options.quiet)
    rows: list[dict[str, Any]] = []
    for key in CELLS:
        tasks = [(key, draw) for draw in range(_n_draws(key, draws))]
        done = runner(one_draw, tasks, " ".join(map(str, key)))
        rows += [row for _, row in sorted(done, key=lambda pair: pair[0])]
    if not rows:
        return
    table = summarize(rows)
    folder = write_results(
        "tests",
        {"tests_draws": rows, "tests": table},
        report(table),
        options=options,
        complete=not (options.quick or runner.interrupted or draws < 200),
        notes={"entropy": ENTROPY, "draws": draws},
    )
    print(f"\n{report(table)}\n\nwritten to {folder.name}/")


if __name__ == "__main__":
    main()
