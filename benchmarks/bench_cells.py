"""Panels with holes: accuracy and coverage on the reference designs, time as cells grow, and what holes cost.

    python benchmarks/bench_cells.py [--quick] [--draws 200] [--jobs 2] [--only accuracy|time|em]

Cells are missing at random (20 or 40 %), or entities enter late: entity i starts at a period drawn from the first half,
and 20 % of what is left are missing. In design D rows whose lag is missing are lost as well. Writes
``cells_draws.csv``, ``cells_accuracy.csv``, ``cells_time.csv``, ``cells_em.csv`` and ``cells.md``.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from common import Runner, markdown_table, median_time, one_thread, parser, write_results
from draws import Cell, match_groups, simulate_draw

import gifepanel as gife
from gifepanel.exceptions import GifepanelWarning

Row = dict[str, Any]
PANELS = ("full", "20 %", "40 %", "staggered")
SIZES = (("S", 100, 25), ("S", 100, 50), ("D", 100, 25), ("D", 100, 50))
TIMES = ((100, 50), (1000, 50), (10_000, 50), (10_000, 100))


def holes(cell: Cell, draw: int, panel: str, data: Any) -> Any:
    """The rows of a panel that are observed."""
    rng = np.random.default_rng([draw, cell.t, PANELS.index(panel)])
    unit, period = data.index.codes
    keep = np.ones(len(data), dtype=bool)
    if panel == "staggered":
        keep &= np.asarray(period) >= rng.integers(0, cell.t // 2 + 1, size=cell.n)[unit]
    if panel != "full":
        keep &= rng.random(len(data)) > (0.4 if panel == "40 %" else 0.2)
    return data[keep]


def one_accuracy(design: str, n: int, t: int, panel: str, draw: int) -> Row:
    """Share of entities in their group, errors of slopes and whether intervals hold them, for a draw."""
    cell = Cell(design, n, t)
    simulated = simulate_draw(cell, draw)
    data = holes(cell, draw, panel, simulated.data)
    formula = "y ~ 0 + L(y) + x1 + x2" if design == "D" else "y ~ 0 + x1 + x2"
    row: Row = {"design": design, "n": n, "t": t, "panel": panel, "draw": draw}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GifepanelWarning)
        begin = time.perf_counter()
        model = gife.GroupedIFE.from_formula(formula, data, n_groups=3, n_factors=2)
        res = model.fit(cov_type="HC1")
        row["seconds"] = time.perf_counter() - begin
        entities = np.unique(simulated.data.index.get_level_values(0))
        truth = np.asarray(simulated.truth.groups)[entities.searchsorted(res.groups.index)] - 1
        oracle = _oracle(formula, data, res.groups.index, truth)
    order, row["accuracy"] = match_groups(truth + 1, np.asarray(res.groups), 3)
    slopes = np.asarray(simulated.truth.alpha)
    p = slopes.shape[1]
    fits = {
        "fit": (res.params_by_group.to_numpy()[order], res.bse_by_group.to_numpy()[order]),
        "oracle": (np.asarray(oracle.params).reshape(3, p), np.asarray(oracle.bse).reshape(3, p)),
    }
    for name, (found, error) in fits.items():
        row[f"rmse_{name}"] = float(((found - slopes) ** 2).mean())
        row[f"cover_{name}"] = float((np.abs(found - slopes) <= 1.959964 * error).mean())
    row["converged"] = int(res.converged)
    return row


def _oracle(formula: str, data: Any, entities: Any, truth: Any) -> Any:
    """Least squares with the true groups: regressors interacted with them."""
    group = dict(zip(entities, truth, strict=True))
    data = data[data.index.get_level_values(0).isin(entities)]
    own = data.index.get_level_values(0).map(group).to_numpy()
    names = formula.split("0 + ")[1].split(" + ")
    columns = [f"{name}:g{k}" for k in range(3) for name in names]
    framed = data.assign(**{f"g{k}": (own == k).astype(float) for k in range(3)})
    model = gife.InteractiveFE.from_formula("y ~ 0 + " + " + ".join(columns), framed, n_factors=2)
    return model.fit(cov_type="HC1", bias_correction="dynamic" if "L(y)" in formula else False)


def accuracy_draws(draws: int, runner: Runner, sizes: Sequence[tuple[str, int, int]]) -> list[Row]:
    """All draws, in order."""
    tasks = [(*size, panel, draw) for size in sizes for panel in PANELS for draw in range(draws)]
    return [row for _, row in sorted(runner(one_accuracy, tasks, "accuracy"), key=lambda one: one[0])]


def summarize(rows: Sequence[Row]) -> list[Row]:
    """Means over draws."""
    cells: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        cells.setdefault((row["design"], row["n"], row["t"], row["panel"]), []).append(row)
    names = ("accuracy", "rmse_fit", "rmse_oracle", "cover_fit", "cover_oracle", "converged", "seconds")
    out = []
    for (design, n, t, panel), own in cells.items():
        means = {name: float(np.mean([float(row[name]) for row in own])) for name in names}
        means |= {name: means[name] ** 0.5 for name in ("rmse_fit", "rmse_oracle")}
        out.append({"design": f"{design} {n}x{t}", "panel": panel, "draws": len(own), **means})
    return out


def time_rows(quick: bool) -> list[Row]:
    """Seconds with 20 % of the cells missing, with three rows missing, and on the complete panel."""
    out = []
    for n, t in TIMES[:1] if quick else TIMES:
        simulated = simulate_draw(Cell("S", n, t), 0)
        rng = np.random.default_rng(0)
        keep = rng.random(len(simulated.data)) > 0.2
        few = np.ones(len(simulated.data), dtype=bool)
        few[rng.choice(len(few), 3, replace=False)] = False
        row: Row = {"n": n, "t": t}
        panels = {
            "complete": simulated.data,
            "3 rows missing": simulated.data[few],
            "20 % missing": simulated.data[keep],
        }
        for name, data in panels.items():
            row[f"InteractiveFE, {name}"] = _seconds(_interactive(data), n)
            if n * t <= 500_000:
                row[f"GroupedIFE, {name}"] = _seconds(_grouped(data), n)
        out.append(row)
    return out


def _interactive(data: Any) -> Callable[[], Any]:
    model = gife.InteractiveFE.from_formula("y ~ 0 + x1 + x2", data, n_factors=2)
    return model.fit


def _grouped(data: Any) -> Callable[[], Any]:
    model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", data, n_groups=3, n_factors=2)
    return model.fit


def _seconds(call: Callable[[], Any], n: int) -> float:
    return median_time(call, 7 if n < 5000 else 3)["median"]


def em_rows() -> list[Row]:
    """Least squares on 1,180 of the 1,380 cells of the cigarette panel: ours, and the EM algorithm of Bai (2009)."""
    cigar = gife.datasets.load_cigar()
    keep = np.random.default_rng(7).permutation(len(cigar)) < 1180
    data = cigar[keep]
    out = []
    for effects, right in (("none", "0 + price"), ("state", "price | state"), ("state + year", "price | state + year")):
        model = gife.InteractiveFE.from_formula(f"sales ~ {right}", data, n_factors=2)
        ours = median_time(lambda model=model: model.fit(n_starts=1), 5)["median"]  # type: ignore[misc]
        res = model.fit(n_starts=1)
        begin = time.perf_counter()
        slope, ssr, rounds = em(data, "state" in effects, "year" in effects, res.ssr)
        took = time.perf_counter() - begin
        out.append(
            {
                "effects": effects,
                "ours, seconds": ours,
                "EM, seconds": took,
                "EM, rounds": rounds,
                "ratio": took / ours,
                "slopes differ by": f"{abs(slope - res.params.iloc[0]):.0e}",
                "EM ssr above ours by": f"{ssr / res.ssr - 1:.0e}",
            }
        )
    return out


def em(data: Any, entity: bool, year: bool, target: float, most: int = 20_000) -> tuple[float, float, int]:
    """Fill holes by what is fitted, take means and two components out, regress: until slopes stand still to 1e-10."""
    y, x = (data[name].unstack().to_numpy() for name in ("sales", "price"))
    seen = ~np.isnan(y)
    y, x = np.where(seen, y, 0.0), np.where(seen, x, 0.0)
    slope, fitted = 0.0, np.zeros_like(y)
    rounds = 0
    while rounds < most:
        rounds += 1
        w = np.where(seen, y - slope * x, fitted)
        means = np.zeros_like(w)
        if entity:
            means += w.mean(axis=1, keepdims=True)
        if year:
            means += w.mean(axis=0) - (w.mean() if entity else 0.0)
        u, s, v = np.linalg.svd(w - means, full_matrices=False)
        fitted = means + (u[:, :2] * s[:2]) @ v[:2]
        new = float((x * (y - fitted))[seen].sum() / (x[seen] ** 2).sum())
        moved, slope = abs(new - slope), new
        if moved <= 1e-10 * abs(slope):
            break
    ssr = float(((y - slope * x - fitted)[seen] ** 2).sum())
    return slope, ssr, rounds


def report(tables: Mapping[str, Sequence[Row]]) -> str:
    """Tables as text."""
    text = ""
    if tables.get("accuracy"):
        text += "### Accuracy, errors and coverage\n\n" + markdown_table(
            tables["accuracy"],
            {
                "design": "design",
                "panel": "missing",
                "draws": "draws",
                "accuracy": "accuracy",
                "rmse_fit": "RMSE",
                "rmse_oracle": "RMSE, groups known",
                "cover_fit": "coverage",
                "cover_oracle": "coverage, groups known",
                "converged": "converged",
                "seconds": "seconds",
            },
        )
    for name, title in (("time", "Seconds of a fit"), ("em", "The EM algorithm on the cigarette panel")):
        if tables.get(name):
            text += f"\n\n### {title}\n\n" + markdown_table(tables[name], list(tables[name][0]))
    return text.strip() + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is asked for."""
    given = parser(__doc__ or "", draws=200)
    given.add_argument("--only", default="", help="accuracy, time or em")
    options = given.parse_args(arguments)
    runner = Runner(jobs=options.jobs, quiet=options.quiet)
    wanted = options.only.split(",") if options.only else ["accuracy", "time", "em"]
    tables: dict[str, Sequence[Row]] = {}
    if "accuracy" in wanted:
        draws = 2 if options.quick else options.draws
        tables["draws"] = accuracy_draws(draws, runner, SIZES[:1] if options.quick else SIZES)
        tables["accuracy"] = summarize(tables["draws"])
    with one_thread():
        if "time" in wanted:
            tables["time"] = time_rows(options.quick)
        if "em" in wanted:
            tables["em"] = em_rows()
    complete = not (options.quick or runner.interrupted) and len(tables) == 4
    named = {f"cells_{name}": rows for name, rows in tables.items()}
    print(report(tables))
    write_results("cells", named, report(tables), options=options, complete=complete)


if __name__ == "__main__":
    main()
