"""Coverage of confidence sets for memberships, and bias and coverage of slopes of hard and soft groups.

    python benchmarks/bench_memberships.py [--quick] [--draws 100] [--jobs 2]

Writes ``memberships_draws.csv`` (every draw), ``memberships.csv`` (means over draws) and ``memberships.md``.
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
from draws import ENTROPY, match_groups

import gifepanel as gife
from gifepanel.exceptions import GifepanelWarning

Row = Mapping[str, Any]

# by name: periods, autocorrelation of the errors and of what is added to the regressors, and standard errors
DESIGNS: Mapping[str, tuple[int, float, float, str]] = {
    "S 100x15": (15, 0.0, 0.0, "HC1"),
    "S 100x25": (25, 0.0, 0.0, "HC1"),
    "S 100x25, AR(.5) errors": (25, 0.5, 0.7, "cluster"),
    "S 100x50, AR(.5) errors": (50, 0.5, 0.7, "cluster"),
}
_SHOWN = {
    "design": "design",
    "misplaced": "misplaced",
    "hard": "hard: coverage",
    "soft": "soft: coverage",
    "outward_hard": "hard: bias",
    "outward_soft": "soft: bias",
    "joint": "joint sets: coverage",
    "size_joint": "size",
    "single": "single sets: coverage",
    "size_single": "size ",
    "clear": "clear and right",
}
NOTES = """\
Means over {draws} draws of 100 entities in three groups. *hard*, *soft*: coverage of nominal 95 % intervals of slopes
by group, and bias away from the mean of the groups. *joint sets*: share of draws in which the sets of all entities hold
their groups (nominal 95 %), and groups in a set; *single sets*: share of entities whose set does. *clear and right*: of
the entities called clear, those in their true group. Standard errors are HC1, clustered by entity with AR(.5) errors,
where regressors have an AR(.7) component too.
"""


def autoregressive(rng: np.random.Generator, shape: tuple[int, ...], rho: float) -> Any:
    """Stationary with variance one along the second axis."""
    out = rng.standard_normal(shape)
    for t in range(1, shape[1]):
        out[:, t] = rho * out[:, t - 1] + math.sqrt(1.0 - rho**2) * out[:, t]
    return out


def simulated(name: str, draw: int) -> tuple[Any, Any, Any]:
    """Panel number `draw` of a design, its outcomes (N, T) and regressors (N, T, p)."""
    periods, rho, persistence, _ = DESIGNS[name]
    key = (list(DESIGNS).index(name), 98, draw)
    rng = np.random.default_rng(np.random.SeedSequence(ENTROPY, spawn_key=key))
    panel = gife.datasets.simulate("S", 100, periods, random_state=rng)
    if not rho:
        return panel, panel.y, panel.x
    truth = panel.truth
    more = autoregressive(rng, panel.x.shape, persistence)
    y = panel.y - truth.errors + autoregressive(rng, panel.y.shape, rho)
    return panel, y + np.einsum("ntp,np->nt", more, truth.alpha[truth.groups - 1]), panel.x + more


def one_draw(name: str, draw: int) -> dict[str, Any]:
    """Fit one panel with hard and soft groups, and score intervals and sets."""
    panel, y, x = simulated(name, draw)
    model = gife.GroupedIFE(y, x, n_groups=3, n_factors=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GifepanelWarning)
        hard = model.fit(cov_type=DESIGNS[name][3])
        soft = model.fit(cov_type=DESIGNS[name][3], groups="soft")
    alpha, truth = panel.truth.alpha, panel.truth.groups
    order, accuracy = match_groups(truth, hard.groups.to_numpy(), 3)
    row: dict[str, Any] = {"design": name, "draw": draw, "misplaced": 1.0 - accuracy}
    for label, fit in (("hard", hard), ("soft", soft)):
        limits = np.asarray(fit.conf_int()).reshape(*alpha.shape, 2)[order]
        row[label] = float(((limits[..., 0] <= alpha) & (alpha <= limits[..., 1])).mean())
        error = np.asarray(fit.params_by_group)[order] - alpha
        row[f"outward_{label}"] = float((error * np.sign(alpha - 1.0))[alpha != 1.0].mean())
    own = order[truth - 1]
    for label, joint in (("joint", True), ("single", False)):
        sets = hard.confidence_sets(joint=joint).to_numpy()
        held = sets[np.arange(len(own)), own]
        row[label] = float(held.all() if joint else held.mean())
        row[f"size_{label}"] = float(sets.sum(axis=1).mean())
    clear = hard.membership["clear"].to_numpy()
    row["clear"] = float((hard.groups.to_numpy() - 1 == own)[clear].mean()) if clear.any() else 1.0
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
    """The text of ``memberships.md``."""
    shown = [
        {key: f"{value:.3f}" if isinstance(value, float) else value for key, value in row.items()} for row in table
    ]
    for row, exact in zip(shown, table, strict=True):
        row["misplaced"] = f"{100 * exact['misplaced']:.1f} %"
        row |= {key: f"{exact[key]:.4f}" for key in ("outward_hard", "outward_soft")}
        row |= {key: f"{exact[key]:.2f}" for key in ("size_joint", "size_single")}
    draws = max(row["draws"] for row in table)
    return "\n\n".join([NOTES.format(draws=draws).strip(), markdown_table(shown, _SHOWN)])


def stored_draws(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """The rows of ``memberships_draws.csv``."""
    rows = read_csv(folder / "memberships_draws.csv")
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
        "memberships",
        {"memberships_draws": rows, "memberships": table},
        report(table),
        options=options,
        complete=not (options.quick or runner.interrupted or draws < 100),
        notes={"entropy": ENTROPY, "draws": draws},
    )
    print(f"\n{report(table)}\n\nwritten to {folder.name}/")


if __name__ == "__main__":
    main()
