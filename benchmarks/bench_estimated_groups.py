"""Coverage of intervals that take estimated groups as known, and of those that allow for them.

    python benchmarks/bench_estimated_groups.py [--quick] [--draws 100] [--jobs 2]

Writes ``estimated_groups_draws.csv`` (every draw), ``estimated_groups.csv`` (means over draws) and
``estimated_groups.md``.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, Runner, markdown_table, parser, read_csv, write_results
from draws import ENTROPY, Cell, interacted, match_groups

import gifepanel as gife
from gifepanel.exceptions import GifepanelWarning

Row = Mapping[str, Any]

# by name: the cell, and whether variances of the errors differ between entities, from .25 to 2.1
DESIGNS: Mapping[str, tuple[Cell, bool]] = {
    "S 100x15": (Cell("S", 100, 15), False),
    "S 100x25": (Cell("S", 100, 25), False),
    "S 100x25, unequal variances": (Cell("S", 100, 25), True),
    "P 100x15": (Cell("P", 100, 15, r=0), False),
}
_COLUMNS = {
    "design": "design",
    "misplaced": "misplaced",
    "missing": "missing information",
    "unclear": "unclear",
    "oracle": "oracle",
    "known": "groups known",
    "allowing": "allowing for groups",
    "length_oracle": "length, oracle",
    "length_known": "length, known",
    "length_allowing": "length, allowing",
}
NOTES = """\
Coverage and mean length of nominal 95 % intervals of slopes by group, robust to heteroskedasticity (HC1), means over
{draws} draws. *groups known*: `groups_known=True`. *allowing for groups*: the default. *oracle*: least squares with
factors that is told the groups. *misplaced*: share of entities in another group than their own. *missing information*,
*unclear*: what the summary says, the share and the number of entities. With *unequal variances* those of the entities
differ between .25 and 2.1.
"""


def simulated(name: str, draw: int) -> tuple[Any, Any]:
    """Panel number `draw` of a design, and its outcomes (N, T)."""
    cell, unequal = DESIGNS[name]
    key = (list(DESIGNS).index(name), 99, draw)
    rng = np.random.default_rng(np.random.SeedSequence(ENTROPY, spawn_key=key))
    panel = gife.datasets.simulate(cell.design, cell.n, cell.t, random_state=rng)  # type: ignore[arg-type]
    if not unequal:
        return panel, panel.y
    spread = np.sqrt(rng.uniform(0.25, 2.1, (cell.n, 1)))
    return panel, panel.y + (spread - 1.0) * panel.truth.errors


def one_draw(name: str, draw: int) -> dict[str, Any]:
    """Fit one panel and score its intervals."""
    cell, _ = DESIGNS[name]
    panel, y = simulated(name, draw)
    shared: dict[str, Any] = {"n_factors": cell.r, **({"absorb": "entity"} if cell.design == "P" else {})}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GifepanelWarning)
        res = gife.GroupedIFE(y, panel.x, n_groups=cell.k, **shared).fit(cov_type="HC1")
        known = res.get_robustcov_results("HC1", groups_known=True)
        oracle = gife.InteractiveFE(y, interacted(panel), **shared).fit(cov_type="HC1")
    order, accuracy = match_groups(panel.truth.groups, res.groups.to_numpy(), cell.k)
    row = {"design": name, "draw": draw, "misplaced": 1.0 - accuracy}
    row |= {"missing": res.missing_information.share, "unclear": res.missing_information.n_unclear}
    for label, fit, turn in (("oracle", oracle, np.arange(cell.k)), ("known", known, order), ("allowing", res, order)):
        alpha = panel.truth.alpha
        limits = np.asarray(fit.conf_int()).reshape(*alpha.shape, 2)[turn]
        row[label] = float(((limits[..., 0] <= alpha) & (alpha <= limits[..., 1])).mean())
        row[f"length_{label}"] = float((limits[..., 1] - limits[..., 0]).mean())
    return row


def summarize(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Means over draws."""
    rows, out = list(rows), []
    for name in DESIGNS:
        own = [row for row in rows if row["design"] == name]
        if own:
            keys = [key for key in own[0] if key not in ("design", "draw")]
            means = {key: math.fsum(row[key] for row in own) / len(own) for key in keys}
            out.append({"design": name, "draws": len(own), **means})
    return out


def report(table: Sequence[Row]) -> str:
    """The text of ``estimated_groups.md``."""
    shown = [dict(row) for row in table]
    for row in shown:
        row["misplaced"] = f"{100 * row['misplaced']:.1f} %"
        row["missing"] = f"{row['missing']:.2f}"
        row["unclear"] = f"{row['unclear']:.0f}"
        for key in ("oracle", "known", "allowing"):
            row[key], row[f"length_{key}"] = f"{row[key]:.3f}", f"{row[f'length_{key}']:.3f}"
    draws = max(row["draws"] for row in table)
    return "\n\n".join([NOTES.format(draws=draws).strip(), markdown_table(shown, _COLUMNS)])


def stored_draws(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """The rows of ``estimated_groups_draws.csv``."""
    rows = read_csv(folder / "estimated_groups_draws.csv")
    return [{key: value if key == "design" else float(value) for key, value in row.items()} for row in rows]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options: argparse.Namespace = parser(__doc__ or "", draws=100).parse_args(arguments)
    draws = min(options.draws, 2) if options.quick else options.draws
    runner = Runner(jobs=options.jobs, quiet=options.quiet)
    rows: list[dict[str, Any]] = []
    for name in DESIGNS:
        done = sorted(runner(one_draw, [(name, draw) for draw in range(draws)], name), key=lambda pair: pair[0])
        rows += [row for _, row in done]
    if not rows:
        return
    table = summarize(rows)
    folder = write_results(
        "estimated_groups",
        {"estimated_groups_draws": rows, "estimated_groups": table},
        report(table),
        options=options,
        complete=not (options.quick or runner.interrupted or draws < 100),
        notes={"entropy": ENTROPY, "draws": draws},
    )
    print(f"\n{report(table)}\n\nwritten to {folder.name}/")


if __name__ == "__main__":
    main()
