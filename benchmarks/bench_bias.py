"""Bias and coverage of the coefficient of a lag, with each correction: AR(1) with entity effects, and design D.

    python benchmarks/bench_bias.py [--quick] [--draws 200] [--jobs 2]

Writes ``bias_draws.csv`` (every fit of every draw), ``bias.csv`` (means over draws), ``bias.md``.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from common import RESULTS, Runner, markdown_table, parser, read_csv, write_results
from draws import ENTROPY, match_groups

import gifepanel as gife

__all__ = ["DYNAMIC", "Dynamic", "one_draw", "simulated", "stored_draws", "summarize"]

Array = np.ndarray[Any, np.dtype[np.float64]]
RHO = 0.6
CORRECTIONS = ("none", "moon-weidner-b1", "dynamic", "jackknife")
NOTES = """\
*AR*: y = .6 L(y) + x + entity effect + one factor + noise, with x = loading times factor + noise, fitted by
`InteractiveFE` with entity effects. *D*: three groups, two factors, by `GroupedIFE`; means over the groups' lags.
`moon-weidner-b1` is the published term of predetermined regressors, `dynamic` the default, which gives back what
projected residuals hide of it. *20 %*: a fifth of the outcomes is missing at random, and so are the rows whose lag they
would be. *se*: Monte Carlo standard error of the bias. *cover*: of nominal 95 % intervals
(`HC1`).
"""


@dataclass(frozen=True)
class Dynamic:
    """A dynamic design at one size: "AR" or "D"; with holes a fifth of the outcomes is missing."""

    design: str
    n: int
    t: int
    panel: str = "full"

    @property
    def name(self) -> str:
        """``AR 100x30, 20 %``."""
        return f"{self.design} {self.n}x{self.t}" + ("" if self.panel == "full" else f", {self.panel}")


DYNAMIC = (
    Dynamic("AR", 100, 30),
    Dynamic("AR", 100, 30, "20 %"),
    Dynamic("AR", 100, 50, "20 %"),
    Dynamic("D", 100, 25),
    Dynamic("D", 100, 25, "20 %"),
)


def simulated(n: int, t: int, seed: np.random.SeedSequence) -> tuple[Array, Array]:
    """An AR(1) with entity effects and one factor that x loads on too: y (N, T), and L(y) and x (N, T, 2)."""
    rng = np.random.default_rng(seed)
    before = 50
    loadings, effects, factor = rng.normal(size=n), rng.normal(size=n), rng.normal(size=before + t)
    common = np.outer(loadings, factor)
    x = common + rng.normal(size=common.shape)
    shocks = x + effects[:, None] + common + rng.normal(size=common.shape)
    y = np.zeros_like(shocks)
    for s in range(1, before + t):
        y[:, s] = RHO * y[:, s - 1] + shocks[:, s]
    return y[:, before:], np.stack([y[:, before - 1 : -1], x[:, before:]], axis=2)


def with_holes(y: Array, x: Array, seed: np.random.SeedSequence) -> tuple[Array, Array]:
    """The panel without a fifth of the outcomes, and so without the rows of which they are the lag, regressor one."""
    missing = np.random.default_rng(seed.spawn(1)[0]).random(y.shape) < 0.2
    y, x = np.where(missing, np.nan, y), x.copy()
    x[:, 1:, 0][missing[:, :-1]] = np.nan
    return y, x


def one_draw(cell: Dynamic, draw: int) -> list[dict[str, Any]]:
    """Fit panel `draw` with every correction; one row for each."""
    seed = np.random.SeedSequence(ENTROPY, spawn_key=(ord(cell.design[0]), cell.n, cell.t, draw))
    truth = np.array([RHO])
    if cell.design == "AR":
        y, x = simulated(cell.n, cell.t, seed)
        y, x = (y, x) if cell.panel == "full" else with_holes(y, x, seed)
        model: Any = gife.InteractiveFE(y, x, n_factors=1, absorb="entity", predetermined=[0])
    else:
        panel = gife.datasets.simulate("D", cell.n, cell.t, random_state=seed)
        y, x = (panel.y, panel.x) if cell.panel == "full" else with_holes(panel.y, panel.x, seed)
        model = gife.GroupedIFE(y, x, n_groups=3, n_factors=2, predetermined=[0])
    rows = []
    for correction in CORRECTIONS:
        res = model.fit(bias_correction=correction, cov_type="HC1")
        estimates, errors = _lags(res)
        if cell.design == "D":
            order = match_groups(panel.truth.groups[res.groups.index], res.groups.to_numpy(), 3)[0]
            estimates, errors, truth = estimates[order], errors[order], panel.truth.alpha[:, 0]
        error = estimates - truth
        row = {"design": cell.design, "n": cell.n, "t": cell.t, "panel": cell.panel}
        row |= {"draw": draw, "correction": correction}
        row |= {"bias": float(error.mean()), "square": float((error**2).mean())}
        row["cover"] = float((np.abs(error) <= 1.959963984540054 * errors).mean())
        rows.append(row)
    return rows


def _lags(res: Any) -> tuple[Array, Array]:
    """Coefficients of the lag and their errors, one for each group."""
    k = res.n_groups
    return np.asarray(res.params).reshape(k, -1)[:, 0], np.asarray(res.bse).reshape(k, -1)[:, 0]


def summarize(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Means over draws, one row for each design and correction."""
    cells: dict[tuple[Any, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        cells[row["design"], row["n"], row["t"], row["panel"], row["correction"]].append(row)
    out = []
    for (design, n, t, panel, correction), own in cells.items():
        bias = np.array([row["bias"] for row in own])
        means = {"bias": float(bias.mean()), "se": float(bias.std(ddof=1)) / math.sqrt(len(own))}
        means["rmse"] = math.sqrt(float(np.mean([row["square"] for row in own])))
        means["cover"] = float(np.mean([row["cover"] for row in own]))
        out.append(
            {"design": design, "n": n, "t": t, "panel": panel, "correction": correction, "draws": len(own), **means}
        )
    return out


def report(table: Sequence[Mapping[str, Any]], draws: int) -> str:
    """The tables as Markdown."""
    shown = []
    for row in table:
        text = {name: f"{row[name]:+.4f}".replace("-", "−") for name in ("bias",)}
        text |= {name: f"{row[name]:.4f}" for name in ("se", "rmse")} | {"cover": f"{row['cover']:.3f}"}
        name = Dynamic(row["design"], row["n"], row["t"], row["panel"]).name
        shown.append({"design": name, "correction": row["correction"], **text})
    columns = ["design", "correction", "bias", "se", "rmse", "cover"]
    return "\n\n".join([f"{draws} draws of each design.", NOTES.strip(), markdown_table(shown, columns)])


def stored_draws() -> list[dict[str, Any]]:
    """The rows of ``bias_draws.csv``."""
    whole = ("n", "t", "draw")
    return [
        {key: value if key in ("design", "panel", "correction") else (int if key in whole else float)(value)
         for key, value in row.items()}
        for row in read_csv(RESULTS / "bias_draws.csv")
    ]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options: argparse.Namespace = parser(__doc__ or "", draws=200).parse_args(arguments)
    draws = min(options.draws, 3) if options.quick else options.draws
    runner = Runner(jobs=options.jobs, quiet=options.quiet)
    rows: list[dict[str, Any]] = []
    for cell in DYNAMIC:
        done = sorted(runner(one_draw, [(cell, draw) for draw in range(draws)], cell.name), key=lambda pair: pair[0])
        rows.extend(row for _, result in done for row in result)
    if not rows:
        return
    table = summarize(rows)
    text = report(table, draws)
    folder = write_results(
        "bias",
        {"bias_draws": rows, "bias": table},
        text,
        options=options,
        complete=not (options.quick or runner.interrupted or draws < 100),
        notes={"entropy": ENTROPY, "draws": draws},
    )
    print(f"\n{text}\n\nwritten to {folder.name}/")


if __name__ == "__main__":
    main()
