"""Accuracy, errors of slopes and coverage on the reference designs, against prototype and published figures.

    python benchmarks/bench_montecarlo.py [--quick] [--draws 200] [--jobs 2] [--designs S D]

Writes ``montecarlo_draws.csv`` (every fit of every draw), ``montecarlo.csv`` (means over draws), ``montecarlo.md``.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from common import RESULTS, Runner, markdown_table, parser, read_csv, write_results
from draws import CELLS, ENTROPY, Cell, one_draw

Row = Mapping[str, Any]
Key = tuple[str, int, int, str, str, float]

# (what, figure, which fit) of a prototype of the same methods, and of published software, by design and size
PROTOTYPE: dict[tuple[str, int, int], dict[str, tuple[float, str, str]]] = {
    ("S", 100, 25): {"accuracy": (0.956, "nearest", "none")},
    ("S", 100, 50): {
        "accuracy": (0.995, "refined", "none"),
        "rmse_coef": (0.0255, "refined", "none"),
        "rmse_coef_oracle": (0.0252, "oracle", "none"),
        "cover": (0.94, "refined", "none"),
    },
    ("S", 100, 100): {
        "accuracy": (1.0, "refined", "none"),
        "rmse_coef": (0.0175, "refined", "none"),
        "rmse_coef_oracle": (0.0175, "oracle", "none"),
        "cover": (0.945, "refined", "none"),
    },
    ("D", 100, 25): {
        "accuracy_nearest": (0.963, "nearest", "moon-weidner-b1"),
        "accuracy": (0.99, "refined", "moon-weidner-b1"),
        "lag_bias": (-0.0076, "refined", "none"),
        "lag_bias_corrected": (-0.0014, "refined", "moon-weidner"),
    },
    ("D", 100, 50): {
        "accuracy": (0.997, "refined", "moon-weidner-b1"),
        "lag_cover": (0.89, "refined", "none"),
        "lag_cover_corrected": (0.93, "refined", "moon-weidner"),
    },
    ("D", 100, 100): {
        "accuracy": (1.0, "refined", "moon-weidner-b1"),
        "lag_cover": (0.93, "refined", "none"),
        "lag_cover_corrected": (0.957, "refined", "moon-weidner"),
    },
    ("P", 100, 15): {"accuracy_nearest": (0.8950, "nearest", "none"), "accuracy": (0.8950, "refined", "none")},
    ("P", 100, 25): {"accuracy_nearest": (0.9639, "nearest", "none"), "accuracy": (0.9639, "refined", "none")},
    ("P", 100, 50): {"accuracy_nearest": (0.9963, "nearest", "none"), "accuracy": (0.9963, "refined", "none")},
    ("G", 100, 20): {
        "accuracy": (0.999, "refined", "none"),
        "rmse_coef": (0.044, "refined", "none"),
        "cover": (0.949, "refined", "none"),
    },
}
PUBLISHED: dict[tuple[str, int, int], dict[str, tuple[float, str, str]]] = {
    ("P", 100, 15): {"accuracy": (0.8987, "refined", "none")},
    ("P", 100, 25): {"accuracy": (0.9645, "refined", "none")},
    ("P", 100, 50): {"accuracy": (0.9965, "refined", "none")},
    ("G", 100, 20): {
        "accuracy": (0.996, "refined", "none"),
        "rmse_coef": (0.065, "refined", "none"),
        "cover": (0.816, "refined", "none"),
    },
    ("G", 200, 50): {
        "accuracy": (0.996, "refined", "none"),
        "rmse_coef": (0.092, "refined", "none"),
        "cover": (0.671, "refined", "none"),
    },
}
TARGETS = {"cover": 0.95, "lag_cover": 0.95, "lag_bias": 0.0, "accuracy": 1.0, "rmse_coef": 0.0}
# draws taken to stand behind a figure of others
FIGURE_DRAWS = 100
# a sum of squares so much lower, relatively, is another minimum
_MISSED = 1e-6
NOTES = """\
Means over draws. *accuracy*: share of entities in their group after the best relabelling. *bound*: the same for least
squares that knows slopes and factors. *rmse unit*: root mean square over entities and regressors of slope less true
slope, so a misclassified entity counts with the distance between groups. *rmse coef*: the same over groups and
regressors. *oracle*: least squares with factors that is told the groups. *cover*, *HC1*: coverage of nominal 95 %
intervals that take the groups as given (`groups_known=True`): where entities are misclassified, they cover less than
those of the oracle. What the default does about it is in the last table of the page.
*missed*: share of draws where a search ten times as long, from other draws, or the oracle has a sum of squares below
ours by more than a millionth: a better partition exists that the search did not find; `nearest` does not look for one.
Design D is with the default bias correction.
"""
COMPARISON = f"""\
Beside figures of a prototype of the same methods and published ones. *se*: Monte Carlo standard error of the
difference, the other figure taken for a mean of {FIGURE_DRAWS} draws. *level*: within two of them. *attainable*: the
same on the same panels by the oracle that knows the groups; for accuracy, the bound.
"""


def summarize(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Means over draws, one row for each cell and way of fitting."""
    cells: dict[Key, list[Row]] = defaultdict(list)
    least: dict[tuple[Any, ...], float] = {}
    for row in rows:
        cells[_key(row)].append(row)
        if row["fit"] in ("oracle", "longer") and row["correction"] == "none":
            panel = (row["design"], row["n"], row["t"], row["draw"])
            least[panel] = min(row["ssr"], least.get(panel, math.inf))
    order = {cell.name: number for number, cell in enumerate(CELLS)}
    out = []
    for key in sorted(cells, key=lambda key: order.get(f"{key[0]} {key[1]}x{key[2]}", 99)):
        out.append(_mean_row(key, cells[key], least))
    return out


def _key(row: Row) -> Key:
    return (row["design"], row["n"], row["t"], row["fit"], row["correction"], row["kappa_scale"])


def _mean_row(key: Key, rows: Sequence[Row], least: Mapping[tuple[Any, ...], float]) -> dict[str, Any]:
    names = ("design", "n", "t", "fit", "correction", "kappa_scale")
    out: dict[str, Any] = {**dict(zip(names, key, strict=True)), "draws": len(rows)}
    out["accuracy"], out["accuracy_se"] = _mean(rows, "accuracy")
    out["rmse_unit"] = math.sqrt(_mean(rows, "rmse_unit", power=2)[0])
    out["rmse_coef"] = math.sqrt(_mean(rows, "rmse_coef", power=2)[0])
    out["cover"], out["cover_se"] = _mean(rows, "cover")
    out["cover_hc1"] = _mean(rows, "cover_hc1")[0]
    if key[0] == "D":
        out["lag_bias"], out["lag_bias_se"] = _mean(rows, "lag_bias")
        out["lag_cover"], out["lag_cover_se"] = _mean(rows, "lag_cover")
        out["lag_cover_hc1"] = _mean(rows, "lag_cover_hc1")[0]
    if key[3] == "oracle":
        out["bound"] = _mean(rows, "bound")[0]
    elif key[4] == "none":
        pairs = [(row["ssr"], least.get((*key[:3], row["draw"]))) for row in rows]
        known = [ssr > other * (1 + _MISSED) for ssr, other in pairs if other is not None]
        out["missed"] = sum(known) / len(known) if known else None
    out["not_converged"] = 1.0 - _mean(rows, "converged")[0]
    return out


def _mean(rows: Sequence[Row], name: str, power: int = 1) -> tuple[float, float]:
    """Mean and its standard error."""
    values = [row[name] ** power for row in rows]
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, math.nan
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, math.sqrt(variance / len(values))


def compare(table: Sequence[Row]) -> list[dict[str, Any]]:
    """Ours beside the prototype's and the published figures, with a verdict."""
    out = []
    for source, figures in (("prototype", PROTOTYPE), ("published", PUBLISHED)):
        for cell, quantities in figures.items():
            for what, (figure, fit, correction) in quantities.items():
                row = _find(table, cell, fit, correction)
                if row is None:
                    continue
                name = what.removesuffix("_oracle").removesuffix("_nearest").removesuffix("_corrected")
                ours, se = row[name], row.get(f"{name}_se", math.nan)
                if name == "rmse_coef":
                    se = ours / math.sqrt(2 * row["draws"] * (6 if cell[0] == "S" else 9))
                best = _attainable(table, cell, name, correction)
                both = se * math.sqrt(1.0 + row["draws"] / FIGURE_DRAWS)
                out.append(
                    {
                        "design": f"{cell[0]} {cell[1]}x{cell[2]}",
                        "what": name.replace("_", " "),
                        "fit": fit + (f", {correction}" if cell[0] == "D" else ""),
                        "source": source,
                        "figure": figure,
                        "ours": round(ours, 4),
                        "attainable": round(best, 4),
                        "se": round(both, 4),
                        "verdict": verdict(name, ours, figure, both, best, se),
                    }
                )
    order = {cell.name: number for number, cell in enumerate(CELLS)}
    return sorted(out, key=lambda row: order[row["design"]])


def _attainable(table: Sequence[Row], cell: tuple[str, int, int], name: str, correction: str) -> float:
    """The same quantity on the same panels with the groups known; for accuracy, with slopes and factors known."""
    oracle = _find(table, cell, "oracle", correction if cell[0] == "D" else "none")
    if oracle is None:
        return math.nan
    return float(oracle["bound" if name == "accuracy" else name])


def verdict(
    name: str, ours: float, figure: float, se: float, attainable: float = math.nan, own_se: float = math.nan
) -> str:
    """How `ours` compares with another figure.

    "better", "level" (within two standard errors `se` of the difference), "short"; and "short, as the oracle" where
    what is attainable on the same panels is no better than ours by more than two of our own standard errors.
    """
    target = TARGETS[name]
    gain = abs(figure - target) - abs(ours - target)
    if abs(gain) <= 2 * se:
        return "level"
    if gain > 0:
        return "better"
    lost = abs(ours - target) - abs(attainable - target)
    return "short, as the oracle" if lost <= 2 * own_se else "short"


def _find(table: Sequence[Row], cell: tuple[str, int, int], fit: str, correction: str) -> Row | None:
    wanted = (*cell, fit, correction, 1.0)
    return next((row for row in table if _key(row) == wanted), None)


def report(table: Sequence[Row], draws: int) -> str:
    """The text of ``montecarlo.md``."""
    shown = [_shown(row) for row in table if row["kappa_scale"] == 1.0 and row["fit"] != "longer"]
    columns = {
        "name": "design",
        "fit": "fit",
        "accuracy": "accuracy",
        "bound": "bound",
        "rmse_unit": "rmse unit",
        "rmse_coef": "rmse coef",
        "cover": "cover",
        "cover_hc1": "HC1",
        "missed": "missed",
    }
    lag = {
        "name": "design",
        "fit": "fit",
        "correction": "bias correction",
        "rmse_coef": "rmse coef",
        "lag_bias": "bias of lag",
        "lag_cover": "cover of lag",
        "lag_cover_hc1": "HC1",
        "cover": "cover, all",
    }
    scales = {
        "name": "design",
        "fit": "fit",
        "scale": "c",
        "accuracy": "accuracy",
        "rmse_coef": "rmse coef",
        "missed": "missed",
    }
    # the default of dynamic models is the first bias correction; sums of squares compare without it
    missed = {(row["name"], row["fit"]): row.get("missed") for row in shown if row["correction"] == "none"}
    usual = [row for row in shown if row["correction"] == ("moon-weidner-b1" if row["design"] == "D" else "none")]
    usual = [{**row, "missed": missed.get((row["name"], row["fit"]))} for row in usual]
    dynamic = [row for row in shown if row["name"].startswith("D")]
    robust = [_shown(row) for row in table if row["design"] == "S" and row["t"] == 25 and row["fit"] != "oracle"]
    compared = compare(table)
    head = ["design", "what", "fit", "source", "figure", "ours", "attainable", "se", "verdict"]
    parts = [f"{draws} draws of each design.", NOTES, markdown_table(usual, columns)]
    if compared:
        parts += [COMPARISON, markdown_table(compared, head)]
    if dynamic:
        parts += ["Design D, the coefficient of the lag (mean over groups):", markdown_table(dynamic, lag)]
    if robust:
        robust.sort(key=lambda row: (row["fit"], float(row["scale"])))
        parts += ["The penalty's scale c (`kappa_scale`):", markdown_table(robust, scales)]
    return "\n\n".join(part.strip() for part in parts)


def _shown(row: Row) -> dict[str, Any]:
    out = dict(row, name=f"{row['design']} {row['n']}x{row['t']}", scale=f"{row['kappa_scale']:g}")
    for name, digits in (("accuracy", 4), ("bound", 4), ("rmse_unit", 4), ("rmse_coef", 4), ("cover", 3)):
        if out.get(name) is not None:
            out[name] = f"{out[name]:.{digits}f}"
    for name in ("cover_hc1", "lag_cover", "lag_cover_hc1", "missed"):
        if out.get(name) is not None:
            out[name] = f"{out[name]:.3f}"
    if out.get("lag_bias") is not None:
        out["lag_bias"] = f"{out['lag_bias']:+.4f}".replace("-", "−")
    return out


def run(cells: Sequence[Cell], draws: int, runner: Runner) -> list[dict[str, Any]]:
    """All draws of all cells, in order."""
    rows: list[dict[str, Any]] = []
    for cell in cells:
        done = sorted(runner(one_draw, [(cell, draw) for draw in range(draws)], cell.name))
        rows.extend(row for _, result in done for row in result)
        table = summarize([row for row in rows if (row["design"], row["n"], row["t"]) == (cell.design, cell.n, cell.t)])
        if table:
            columns = ["fit", "correction", "kappa_scale", "draws", "accuracy", "rmse_coef", "cover", "missed"]
            print(f"\n{cell.name}\n{markdown_table(table, columns)}", flush=True)
        if runner.interrupted:
            break
    return rows


def stored_draws(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """The rows of ``montecarlo_draws.csv``, empty cells left out."""
    out = []
    for row in read_csv(folder / "montecarlo_draws.csv"):
        values: dict[str, Any] = {key: value for key, value in row.items() if value != ""}
        for key in values.keys() - {"design", "fit", "correction"}:
            values[key] = int(values[key]) if key in ("n", "t", "draw", "converged", "warnings") else float(values[key])
        out.append(values)
    return out


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options_parser = parser(__doc__ or "", draws=200)
    options_parser.add_argument("--stored", action="store_true", help="no new draws: tables from the stored ones")
    options_parser.add_argument("--designs", nargs="+", choices=list("SDPG"), default=list("SDPG"))
    options: argparse.Namespace = options_parser.parse_args(arguments)
    draws = min(options.draws, 4) if options.quick else options.draws
    cells = [cell for cell in CELLS if cell.design in options.designs]
    runner = Runner(jobs=options.jobs, quiet=options.quiet)
    rows = stored_draws() if options.stored else run(cells, draws, runner)
    if not rows:
        return
    draws = max(row["draw"] for row in rows) + 1
    table = summarize(rows)
    text = report(table, draws)
    complete = not (options.quick or runner.interrupted or len(cells) < len(CELLS) or draws < 100)
    folder = write_results(
        "montecarlo",
        {"montecarlo_draws": rows, "montecarlo": table},
        text,
        options=options,
        complete=complete,
        notes={"entropy": ENTROPY, "draws": draws},
    )
    print(f"\n{text}\n\nwritten to {folder.name}/")


if __name__ == "__main__":
    main()
