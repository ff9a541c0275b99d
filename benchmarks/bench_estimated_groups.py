"""Coverage of intervals and of membership sets where groups are estimated.

    python benchmarks/bench_estimated_groups.py [--quick] [--draws 200] [--jobs 2] [--only "S 100x15" ...]

Writes ``estimated_groups_draws.csv`` (every draw), ``estimated_groups.csv`` (means over draws) and
``estimated_groups.md``.
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
from common import RESULTS, Runner, markdown_table, parser, read_csv, write_results
from draws import ENTROPY, Cell, interacted, match_groups

import gifepanel as gife
from gifepanel.exceptions import GifepanelWarning

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Setting:
    """A design of :func:`gifepanel.datasets.simulate` and what is changed in it.

    Attributes
    ----------
    cell : Cell
    closer : float
        Distances of the groups' slopes from their mean, over those of the design.
    unequal : bool
        Whether variances of the errors differ between entities, from .25 to 2.1.
    missing : float
        Share of the cells that are not observed.
    memory : tuple of float
        First autocorrelations of the errors and of what regressors have of their own.
    cov_type : str
    """

    cell: Cell
    closer: float = 1.0
    unequal: bool = False
    missing: float = 0.0
    memory: tuple[float, float] = (0.0, 0.0)
    cov_type: str = "HC1"


# a draw's stream is that of its place here: new designs go to the end
DESIGNS: Mapping[str, Setting] = {
    "S 100x15": Setting(Cell("S", 100, 15)),
    "S 100x25": Setting(Cell("S", 100, 25)),
    "S 100x25, unequal variances": Setting(Cell("S", 100, 25), unequal=True),
    "P 100x15": Setting(Cell("P", 100, 15, r=0)),
    "S 100x50": Setting(Cell("S", 100, 50)),
    "S 100x50, 20 % missing": Setting(Cell("S", 100, 50), missing=0.2),
    "S 100x50, closer groups": Setting(Cell("S", 100, 50), closer=0.6),
    "D 100x25": Setting(Cell("D", 100, 25)),
    "D 100x50": Setting(Cell("D", 100, 50)),
    "G 100x20": Setting(Cell("G", 100, 20, r=3)),
    "S 100x25, AR(.5) errors": Setting(Cell("S", 100, 25), memory=(0.5, 0.7), cov_type="cluster"),
    "S 100x50, AR(.5) errors": Setting(Cell("S", 100, 50), memory=(0.5, 0.7), cov_type="cluster"),
}
_INTERVALS = {
    "design": "design",
    "misplaced": "misplaced",
    "missing": "missing information",
    "unclear": "unclear",
    "oracle": "oracle",
    "known": "groups known",
    "allowing": "allowing for groups",
    "soft": "soft groups",
    "length_oracle": "length, oracle",
    "length_known": "known",
    "length_allowing": "allowing",
    "length_soft": "soft",
}
_SETS = {
    "design": "design",
    "joint": "joint sets: coverage",
    "size_joint": "size",
    "single": "single sets: coverage",
    "size_single": "size ",
    "clear": "clear and right",
    "outward_allowing": "bias of slopes",
    "outward_soft": "soft",
}
_EXACT = ("outward_allowing", "outward_soft")
NOTES = """\
Means over {draws} draws of 100 entities in three groups; nominal 95 %. Standard errors are robust to heteroskedasticity
(HC1), clustered by entity with AR(.5) errors, where regressors are AR(.7) beside what they share with the factors. In D
slopes are corrected for the bias of a lag, as by default. With *unequal variances* those of the entities differ between
.25 and 2.1; *closer groups* are at .6 of the distance.

Coverage and mean length of intervals of slopes by group. *groups known*: `groups_known=True`. *allowing for groups*:
the default. *soft groups*: `groups="soft"`. *oracle*: least squares with factors that is told the groups. *misplaced*:
share of entities in another group than their own. *missing information*, *unclear*: what the summary says, the share
and the number of entities.
"""
MEMBERSHIPS = """\
Confidence sets of groups. *joint sets*: share of draws in which the sets of all entities hold their groups, and groups
in a set; *single sets*: share of entities whose set does. *clear and right*: of the entities called clear, those in
their true group. *bias*: of the slopes, away from the mean of the groups, by least squares and of soft groups.
"""


def autoregressive(rng: np.random.Generator, shape: tuple[int, ...], rho: float) -> Any:
    """Stationary with variance one along the second axis."""
    out = rng.standard_normal(shape)
    for t in range(1, shape[1]):
        out[:, t] = rho * out[:, t - 1] + math.sqrt(1.0 - rho**2) * out[:, t]
    return out


def simulated(name: str, draw: int) -> tuple[Any, Any, Any, Any]:
    """Panel number `draw` of a design, its outcomes (N, T), regressors (N, T, p) and true slopes (K, p)."""
    setting = DESIGNS[name]
    cell = setting.cell
    rng = np.random.default_rng(np.random.SeedSequence(ENTROPY, spawn_key=(list(DESIGNS).index(name), 99, draw)))
    panel = gife.datasets.simulate(cell.design, cell.n, cell.t, random_state=rng)  # type: ignore[arg-type]
    y, x, alpha, own = panel.y, panel.x, panel.truth.alpha, panel.truth.groups - 1
    if setting.memory != (0.0, 0.0):
        common = panel.truth.loadings @ panel.truth.factors.T
        x = autoregressive(rng, x.shape, setting.memory[1]) + 0.25 * common[:, :, None]
        y = np.einsum("ntp,np->nt", x, alpha[own]) + common + autoregressive(rng, y.shape, setting.memory[0])
    if setting.unequal:
        y = y + (np.sqrt(rng.uniform(0.25, 2.1, (cell.n, 1))) - 1.0) * panel.truth.errors
    if setting.closer != 1.0:
        nearer = alpha.mean(axis=0) + setting.closer * (alpha - alpha.mean(axis=0))
        y = y + np.einsum("ntp,np->nt", x, (nearer - alpha)[own])
        alpha = nearer
    if setting.missing:
        y = np.where(rng.random(y.shape) < setting.missing, np.nan, y)
    return panel, y, x, alpha


def one_draw(name: str, draw: int) -> dict[str, Any]:
    """Fit one panel with hard and soft groups and with the true ones; score intervals and sets."""
    setting = DESIGNS[name]
    cell, cov_type = setting.cell, setting.cov_type
    panel, y, x, alpha = simulated(name, draw)
    shared: dict[str, Any] = {"n_factors": cell.r, **({"absorb": "entity"} if cell.design == "P" else {})}
    lagged = cell.design == "D"
    of_groups = [k * x.shape[2] for k in range(cell.k)] if lagged else []
    model = gife.GroupedIFE(y, x, n_groups=cell.k, predetermined=[0] if lagged else [], **shared)
    correction = "dynamic" if lagged else False
    panel = panel if x is panel.x else gife.datasets.SimulatedPanel(**{**vars(panel), "x": x})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GifepanelWarning)
        res = model.fit(cov_type=cov_type, bias_correction=correction)
        soft = model.fit(cov_type=cov_type, bias_correction=correction, groups="soft")
        known = res.get_robustcov_results(cov_type, groups_known=True)
        told = gife.InteractiveFE(y, interacted(panel), **shared, predetermined=of_groups)
        oracle = told.fit(cov_type=cov_type, bias_correction=correction)
    order, accuracy = match_groups(panel.truth.groups, res.groups.to_numpy(), cell.k)
    row: dict[str, Any] = {"design": name, "draw": draw, "misplaced": 1.0 - accuracy}
    row |= {"missing": res.missing_information.share, "unclear": res.missing_information.n_unclear}
    alike = np.arange(cell.k)
    for label, fit, turn in (
        ("oracle", oracle, alike),
        ("known", known, order),
        ("allowing", res, order),
        ("soft", soft, order),
    ):
        limits = np.asarray(fit.conf_int()).reshape(*alpha.shape, 2)[turn]
        row[label] = float(((limits[..., 0] <= alpha) & (alpha <= limits[..., 1])).mean())
        row[f"length_{label}"] = float((limits[..., 1] - limits[..., 0]).mean())
        if label in ("allowing", "soft"):
            error = np.asarray(fit.params).reshape(alpha.shape)[turn] - alpha
            away = alpha - alpha.mean(axis=0)
            row[f"outward_{label}"] = float((error * np.sign(away))[np.abs(away) > 1e-9].mean())
    return row | _sets(res, order[panel.truth.groups - 1])


def _sets(res: Any, own: Any) -> dict[str, float]:
    """Coverage and size of the sets, and what clear entities are worth; `own` are the true groups, from 0."""
    out = {}
    for label, joint in (("joint", True), ("single", False)):
        sets = res.confidence_sets(joint=joint).to_numpy()
        held = sets[np.arange(len(own)), own]
        out[label] = float(held.all() if joint else held.mean())
        out[f"size_{label}"] = float(sets.sum(axis=1).mean())
    clear = res.membership["clear"].to_numpy()
    out["clear"] = float((res.groups.to_numpy() - 1 == own)[clear].mean()) if clear.any() else 1.0
    return out


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
    shown = [
        {key: f"{value:.3f}" if isinstance(value, float) else value for key, value in row.items()} for row in table
    ]
    for row, exact in zip(shown, table, strict=True):
        row |= {"misplaced": f"{100 * exact['misplaced']:.1f} %", "unclear": f"{exact['unclear']:.0f}"}
        row |= {key: f"{exact[key]:.4f}" for key in _EXACT}
        row |= {key: f"{exact[key]:.2f}" for key in ("missing", "size_joint", "size_single")}
    draws = min(row["draws"] for row in table)
    parts = [NOTES.format(draws=draws).strip(), markdown_table(shown, _INTERVALS)]
    return "\n\n".join([*parts, MEMBERSHIPS.strip(), markdown_table(shown, _SETS)])


def stored_draws(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """The rows of ``estimated_groups_draws.csv``."""
    rows = read_csv(folder / "estimated_groups_draws.csv")
    return [{key: value if key == "design" else float(value) for key, value in row.items()} for row in rows]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    reader = parser(__doc__ or "", draws=200)
    reader.add_argument("--only", nargs="*", default=[], help="designs whose names start with one of these")
    options: argparse.Namespace = reader.parse_args(arguments)
    draws = min(options.draws, 2) if options.quick else options.draws
    runner = Runner(jobs=options.jobs, quiet=options.quiet)
    rows: list[dict[str, Any]] = []
    for name in DESIGNS:
        if options.only and not name.startswith(tuple(options.only)):
            continue
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
        complete=not (options.quick or options.only or runner.interrupted or draws < 200),
        notes={"entropy": ENTROPY, "draws": draws},
    )
    print(f"\n{report(table)}\n\nwritten to {folder.name}/")


if __name__ == "__main__":
    main()
