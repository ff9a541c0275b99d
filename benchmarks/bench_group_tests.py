"""Size and power of the tests after grouping: of groups, of common slopes, of additive effects.

    python benchmarks/bench_group_tests.py [--quick] [--draws 200] [--jobs 2]

Writes ``group_tests_draws.csv`` (every draw), ``group_tests.csv`` (rejection rates) and ``group_tests.md``. Bootstraps
are run at warp speed (Giacomini, Politis & White 2013): one bootstrap draw for each panel, and the critical value is
the quantile of these over all panels of a design.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bench_estimated_groups import autoregressive
from common import RESULTS, Runner, markdown_table, parser, read_csv, write_results
from draws import ENTROPY

import gifepanel as gife
from gifepanel.exceptions import GifepanelWarning

Row = Mapping[str, Any]
LEVEL = 0.05


@dataclass(frozen=True)
class Cell:
    """A test on a design.

    Attributes
    ----------
    test : {"groups", "more", "common", "additive"}
        One slope against two groups; two groups against three; the slope of x1 common to two groups; additive effects.
    n, t : int
    kind : str
        "iid"; "unequal": variances of entities between .25 and 1.75; "AR": errors AR(.5), regressors AR(.7); "missing":
        a fifth of the cells; "of x": variances .25 + .75 z1^2, z1 the regressor without the factors.
    effect : float
        How far the alternative is from the null, 0 for the null.
    errors : str
        Option of the test.
    """

    test: str
    n: int
    t: int
    kind: str = "iid"
    effect: float = 0.0
    errors: str = ""

    @property
    def name(self) -> str:
        """All of it."""
        return f"{self.test} {self.n}x{self.t} {self.kind} {self.effect:g} {self.errors}".strip()


CELLS = (
    Cell("groups", 50, 15),
    Cell("groups", 50, 15, effect=0.12),
    Cell("groups", 100, 25),
    Cell("groups", 100, 25, effect=0.08),
    Cell("groups", 50, 25, "missing"),
    Cell("groups", 50, 25, "unequal"),
    Cell("groups", 50, 15, "AR"),
    Cell("groups", 50, 50, "AR"),
    Cell("groups", 50, 50, "of x"),
    Cell("groups", 50, 50, "of x", errors="cells"),
    Cell("more", 50, 15),
    Cell("more", 100, 25),
    Cell("more", 100, 25, effect=0.4),
    Cell("common", 50, 15),
    Cell("common", 100, 25),
    Cell("common", 100, 25, effect=0.05),
    Cell("additive", 50, 20),
    Cell("additive", 100, 25),
    Cell("additive", 100, 25, effect=0.6),
    Cell("additive", 50, 20, "AR", errors="cluster"),
)
_TESTS = {
    "groups": "one slope / 2 groups",
    "more": "2 / 3 groups",
    "common": "x1 common / by group",
    "additive": "additive / 2 factors",
}
_SHOWN = {
    "test": "H0 / against",
    "panel": "panel",
    "kind": "errors",
    "errors": "option",
    "effect": "truth",
    "draws": "draws",
    "rate": "rejected at 5 %",
    "naive": "naive Wald",
}
NOTES = """\
Share of panels in which a test rejects at 5 %, under the null (should be .05) and at one alternative. Bootstraps run
at warp speed: one draw for each panel, the critical value that of all draws of a row together; the binomial standard
error at .05 is .031 with 50 panels, .022 with 100 and .015 with 200. *naive Wald*: the slopes in the two groups of a
fit tested to be the same by `f_test`, HC1, as if the groups were known. Panels have two factors, correlated with both
regressors; in the last test additive effects in their place. Alternatives, row by row: slopes 1 - d and 1 + d of both
regressors in two halves of the entities; slopes .4 and 1.6 in two halves, half of the second one nearer to 1 by a
share d; x1 with 1 - d and 1 + d in the two groups; d times a factor with loadings beside the additive effects. *AR*:
AR(.5) errors, AR(.7) regressors; *unequal*: variances of entities from .25 to 1.75; *missing*: a fifth of the cells
is; *of x*: variances .25 + .75 z^2 with z what the regressor has of its own.
"""


def simulated(cell: Cell, draw: int) -> tuple[Any, Any]:
    """Panel number `draw` of a cell: outcomes (N, T), NaN where missing, and regressors (N, T, 2)."""
    kinds = ("iid", "unequal", "AR", "missing", "of x")
    # an alternative and other options of a test see the panels of the null
    key = (list(_TESTS).index(cell.test), cell.n, cell.t, kinds.index(cell.kind), draw)
    rng = np.random.default_rng(np.random.SeedSequence(ENTROPY, spawn_key=(12, *key)))
    n, t = cell.n, cell.t
    rho = (0.7, 0.5) if cell.kind == "AR" else (0.0, 0.0)
    z, noise = (autoregressive(rng, shape, r) for shape, r in zip(((n, t, 2), (n, t)), rho, strict=True))
    if cell.kind == "unequal":
        noise = noise * np.sqrt(rng.uniform(0.25, 1.75, (n, 1)))
    if cell.kind == "of x":
        noise = noise * np.sqrt(0.25 + 0.75 * z[:, :, 0] ** 2)
    loadings, factors = rng.normal(0.5, 1.0, (n, 2)), rng.standard_normal((t, 2))
    if cell.test == "additive":
        common = loadings[:, :1] + factors[:, 0] + cell.effect * loadings[:, 1:] * factors[:, 1]
        shift = 0.5 * common
    else:
        common = loadings @ factors.T
        shift = 0.5 * common + 0.25 * loadings.sum(axis=1)[:, None] + 0.25 * factors.sum(axis=1)
    x = z + shift[:, :, None]
    y = np.einsum("ntp,np->nt", x, _slopes(cell)) + common + noise
    if cell.kind == "missing":
        y[rng.random((n, t)) < 0.2] = np.nan
    return y, x


def _slopes(cell: Cell) -> Any:
    """Slopes of the entities (N, 2)."""
    side = np.where(np.arange(cell.n) % 2 == 0, -1.0, 1.0)
    if cell.test == "groups":
        return 1.0 + cell.effect * np.column_stack([side, -side])
    if cell.test == "more":
        nearer = cell.effect * (np.arange(cell.n) % 4 == 1)[:, None]
        return 1.0 + 0.6 * np.column_stack([side, -side]) * (1.0 - nearer)
    if cell.test == "common":
        return np.column_stack([1.0 + cell.effect * side, 1.0 - 0.6 * side])
    return np.ones((cell.n, 2))


def one_draw(cell: Cell, draw: int) -> dict[str, Any]:
    """The statistic on one panel, one bootstrap draw of it (or its p-value), and the naive p-value."""
    y, x = simulated(cell, draw)
    row: dict[str, Any] = {"cell": cell.name, "draw": draw, "drawn": math.nan, "pvalue": math.nan, "naive": math.nan}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GifepanelWarning)
        if cell.test == "additive":
            test = gife.InteractiveFE(y, x, n_factors=2).fit(n_starts=4).test_additive(cov_type=cell.errors or None)
            return row | {"statistic": test.statistic, "pvalue": test.pvalue}
        options: dict[str, Any] = {"n_draws": 1, "random_state": draw, "errors": cell.errors or "series"}
        two = gife.GroupedIFE(y, x, n_groups=2, n_factors=2).fit(cov_type="HC1", groups_known=True)
        if cell.test == "groups":
            found = two.test_groups(**options)
            row["naive"] = float(two.f_test("x1[1] = x1[2], x2[1] = x2[2]").pvalue)
        else:
            found = two.test_groups(3, **options) if cell.test == "more" else two.test_common("x1", **options)
    return row | {"statistic": found.statistic, "drawn": float(found.draws[0])}


def summarize(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Rejection rates by cell."""
    rows, out = list(rows), []
    for cell in CELLS:
        own = [row for row in rows if row["cell"] == cell.name]
        if not own:
            continue
        if cell.test == "additive":
            rate = sum(row["pvalue"] < LEVEL for row in own) / len(own)
        else:
            critical = float(np.quantile([row["drawn"] for row in own], 1 - LEVEL))
            rate = sum(row["statistic"] > critical for row in own) / len(own)
        naive = [row["naive"] for row in own if not math.isnan(row["naive"])]
        out.append(
            {
                "test": cell.test,
                "panel": f"{cell.n}x{cell.t}",
                "kind": cell.kind,
                "errors": cell.errors,
                "effect": cell.effect,
                "draws": len(own),
                "rate": rate,
                "naive": sum(p < LEVEL for p in naive) / len(naive) if naive else math.nan,
            }
        )
    return out


def report(table: Sequence[Row]) -> str:
    """The text of ``group_tests.md``."""
    shown = []
    for row in table:
        words = {"test": _TESTS[row["test"]], "effect": f"d = {row['effect']:g}" if row["effect"] else "null"}
        rates = {key: "" if math.isnan(row[key]) else f"{row[key]:.3f}" for key in ("rate", "naive")}
        shown.append({**row, **words, **rates})
    return "\n\n".join([NOTES.strip(), markdown_table(shown, _SHOWN)])


def stored_draws(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """The rows of ``group_tests_draws.csv``."""
    rows = read_csv(folder / "group_tests_draws.csv")
    return [{key: value if key == "cell" else float(value) for key, value in row.items()} for row in rows]


def write(rows: Sequence[Row], options: argparse.Namespace, draws: int, *, complete: bool) -> Path:
    """Draws, rates and text."""
    table = summarize(rows)
    return write_results(
        "group_tests",
        {"group_tests_draws": rows, "group_tests": table},
        report(table),
        options=options,
        complete=complete,
        notes={"entropy": ENTROPY, "draws": draws},
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options: argparse.Namespace = parser(__doc__ or "", draws=200).parse_args(arguments)
    draws = min(options.draws, 4) if options.quick else options.draws
    runner = Runner(jobs=options.jobs, quiet=options.quiet)
    rows: list[dict[str, Any]] = []
    for cell in CELLS:
        tasks = [(cell, draw) for draw in range(draws)]
        rows += [row for _, row in sorted(runner(one_draw, tasks, cell.name), key=lambda pair: pair[0])]
    if not rows:
        return
    whole = not (options.quick or runner.interrupted or draws < 100)
    folder = write(rows, options, draws, complete=whole)
    print(f"\n{report(summarize(rows))}\n\nwritten to {folder.name}/")


if __name__ == "__main__":
    main()
