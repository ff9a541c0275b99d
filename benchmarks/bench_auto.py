"""How often "auto" chooses the right numbers: errors with memory, unequal variances, weak factors, missing cells.

    python benchmarks/bench_auto.py [--quick] [--draws 100] [--jobs 2] [--only "factors 50x30"]

Writes ``auto_draws.csv`` (every choice on every draw), ``auto.csv`` (shares of draws that are right), ``auto.md``. With
``--only`` the designs whose names begin so are drawn, and the others kept from the stored draws.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from common import RESULTS, Runner, markdown_table, parser, read_csv, write_results
from draws import ENTROPY

import gifepanel as gife
from gifepanel.exceptions import GifepanelWarning

__all__ = ["DESIGNS", "AutoDesign", "one_draw", "report", "simulated", "stored_draws", "summarize"]

Array = np.ndarray[Any, np.dtype[np.float64]]
RULES = ("edge", "ic1", "ic2", "er", "gr", "ed")
MOST = {"factors": 8, "groups": 6}
_SLOPES = np.array([[0.4, 1.6], [1.0, 1.0], [1.6, 0.4]])
NOTES = """\
Design S with errors of unit variance and autocorrelation *ρ*: two factors, three groups, regressors that load on the
factors. *unequal*: a fifth of the entities has five times the variance. *weak*: loadings on the second factor times .4.
*persistent*: factors are AR(.7). *close*: centres of the groups at .6 of their distances. *20 % missing*: cells at
random. *P*: entity effects, no factor. The number of factors is chosen from 0 to 8 with slopes of every entity; the
number of groups from 1 to 6 at two factors, regressors being AR(.7). Numbers are shares of draws with the right choice;
*chosen* is the range of the choices of `auto`, which takes `edge`; *independent* is the criterion for groups without
the design effect.
"""


@dataclass(frozen=True)
class AutoDesign:
    """A design at one size.

    Attributes
    ----------
    what : {"factors", "groups"}
        The number that is chosen; the other one is given.
    n, t : int
    rho : float
        Autocorrelation of the errors.
    variant : str
        "", or words of: unequal, weak, persistent, close, missing, P.
    target : float
        Share of draws that ought to be right; 0 where nothing is asked for.
    """

    what: str
    n: int
    t: int
    rho: float
    variant: str = ""
    target: float = 0.9

    @property
    def name(self) -> str:
        """``factors 50x30 .5 unequal``."""
        rho = f"{self.rho:.1f}".lstrip("0") if self.rho else "0"
        return f"{self.what} {self.n}x{self.t} {rho} {self.variant}".strip()


DESIGNS = (
    *(AutoDesign("factors", 50, 30, rho, v) for rho in (0.0, 0.5) for v in ("", "unequal")),
    *(AutoDesign("factors", 50, 30, 0.7, v, target=0.0) for v in ("", "unequal")),
    *(AutoDesign("factors", 100, 30, 0.5, v) for v in ("", "unequal", "missing", "P")),
    AutoDesign("factors", 100, 30, 0.7, "persistent", target=0.0),
    *(AutoDesign("factors", 100, 60, rho, v) for rho in (0.7, 0.9) for v in ("", "unequal")),
    AutoDesign("factors", 100, 60, 0.9, "missing", target=0.0),
    AutoDesign("factors", 100, 25, 0.0, "weak"),
    AutoDesign("factors", 100, 25, 0.0, "weak unequal", target=0.0),
    AutoDesign("factors", 100, 50, 0.5, "weak"),
    *(AutoDesign("groups", 100, t, rho) for t in (30, 60) for rho in (0.0, 0.5, 0.7)),
    AutoDesign("groups", 100, 60, 0.9, target=0.0),
    AutoDesign("groups", 100, 60, 0.7, "close", target=0.0),
    AutoDesign("groups", 100, 30, 0.5, "missing", target=0.0),
)
FEW = 30  # draws of designs of which nothing is asked


def simulated(design: AutoDesign, draw: int) -> tuple[Array, Array]:
    """Outcome (N, T), NaN where missing, and regressors (N, T, 2): a function of the design and the number alone."""
    key = tuple(design.name.encode())
    rng = np.random.default_rng(np.random.SeedSequence(ENTROPY, spawn_key=(*key, draw)))
    n, t, words = design.n, design.t, design.variant.split()
    groups = np.repeat([0, 1, 2], np.diff([0, *np.rint(np.cumsum([0.3, 0.3, 0.4]) * n).astype(int)]))
    loadings = rng.normal(0.5, 1.0, (n, 2)) * [1.0, 0.4 if "weak" in words else 1.0]
    factors = _remembering(rng, 0.7 if "persistent" in words else 0.0, (t, 2))
    if "P" in words:
        loadings, factors = np.column_stack([rng.normal(size=n), np.zeros(n)]), np.ones((t, 2))
    common = loadings @ factors.T
    shift = 0.5 * common + 0.25 * loadings.sum(axis=1)[:, None] + 0.25 * factors.sum(axis=1)
    noise = _remembering(rng, 0.7 if design.what == "groups" else 0.0, (t, n, 2)).swapaxes(0, 1)
    x = noise + shift[:, :, None]
    errors = _remembering(rng, design.rho, (t, n)).T
    if "unequal" in words:
        errors[rng.permutation(n)[: n // 5]] *= np.sqrt(5.0)
    slopes = 1.0 + (_SLOPES - 1.0) * (0.6 if "close" in words else 1.0)
    y = np.einsum("ntj,nj->nt", x, slopes[groups]) + common + errors
    if "missing" in words:
        y[rng.random((n, t)) < 0.2] = np.nan
    return y, x


def _remembering(rng: np.random.Generator, rho: float, shape: tuple[int, ...]) -> Array:
    """Stationary autoregressions with unit variance along the first axis."""
    out = rng.standard_normal(shape)
    for s in range(1, len(out)):
        out[s] = rho * out[s - 1] + np.sqrt(1.0 - rho**2) * out[s]
    return out


def one_draw(design: AutoDesign, draw: int) -> dict[str, Any]:
    """What is chosen on panel `draw`."""
    y, x = simulated(design, draw)
    row: dict[str, Any] = {"what": design.what, "n": design.n, "t": design.t, "rho": design.rho}
    row |= {"variant": design.variant, "draw": draw}
    absorb = {"absorb": "entity"} if design.variant == "P" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GifepanelWarning)
        if design.what == "factors":
            most = min(MOST["factors"], design.t // 3)
            choice = gife.InteractiveFE(y, x, n_factors=range(most + 1), **absorb).select()
            return row | {name: int(choice.rules[name]) for name in RULES}
        model = gife.GroupedIFE(y, x, n_factors=2, n_groups=range(1, MOST["groups"] + 1))
        choice = model.select()
    row["auto"], row["independent"] = choice.n_groups, int(choice.groups["ic_independent"].idxmin())
    return row | {"design_effect": choice.design_effect}


def truth(row: Mapping[str, Any]) -> int:
    """The right number."""
    if row["what"] == "groups":
        return 3
    return 0 if "P" in row["variant"].split() else 2


def summarize(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Shares of draws that are right, one row for each design."""
    out = []
    kept = list(rows)
    for design in DESIGNS:
        own = [row for row in kept if _of(design, row)]
        if not own:
            continue
        names = ("auto", "independent") if design.what == "groups" else RULES
        chosen = [int(row[names[0]]) for row in own]
        row = {"what": design.what, "n": design.n, "t": design.t, "rho": design.rho, "variant": design.variant}
        row |= {"draws": len(own), "target": design.target}
        row |= {name: float(np.mean([row[name] == truth(row) for row in own])) for name in names}
        out.append(row | {"least": min(chosen), "most": max(chosen)})
    return out


def _of(design: AutoDesign, row: Mapping[str, Any]) -> bool:
    own = (design.what, design.n, design.t, design.rho, design.variant)
    return own == (row["what"], row["n"], row["t"], row["rho"], row["variant"])


def report(table: Sequence[Mapping[str, Any]]) -> str:
    """The tables as Markdown."""
    parts = [NOTES.strip()]
    for what, names in (("factors", RULES), ("groups", ("auto", "independent"))):
        shown = []
        for row in table:
            if row["what"] != what:
                continue
            words = row["variant"].replace("missing", "20 % missing").replace("weak unequal", "weak, unequal")
            line = {what: f"{row['n']}x{row['t']}", "ρ": f"{row['rho']:g}", "variant": words or "as it is"}
            line |= {name: f"{row[name]:.2f}" for name in names}
            shown.append(line | {"chosen": f"{row['least']} to {row['most']}", "draws": row["draws"]})
        if shown:
            parts.append(markdown_table(shown, [what, "ρ", "variant", *names, "chosen", "draws"]))
    return "\n\n".join(parts)


def stored_draws() -> list[dict[str, Any]]:
    """The rows of ``auto_draws.csv``."""
    path = RESULTS / "auto_draws.csv"
    return [_read(row) for row in read_csv(path)] if path.exists() else []


def _read(row: Mapping[str, str]) -> dict[str, Any]:
    kinds = {"what": str, "variant": str, "rho": float, "design_effect": float}
    return {key: kinds.get(key, int)(value) for key, value in row.items() if value != "" or key == "variant"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    command = parser(__doc__ or "", draws=100)
    command.add_argument("--only", default="", help="designs whose names begin so; the others are kept as stored")
    options: argparse.Namespace = command.parse_args(arguments)
    draws = min(options.draws, 2) if options.quick else options.draws
    runner = Runner(jobs=options.jobs, quiet=options.quiet)
    asked = [design for design in DESIGNS if design.name.startswith(options.only)]
    rows = [row for row in stored_draws() if options.only and not any(_of(design, row) for design in asked)]
    for design in asked:
        done = sorted(
            runner(one_draw, [(design, draw) for draw in range(draws)], design.name), key=lambda pair: pair[0]
        )
        rows.extend(row for _, row in done)
    if not rows:
        return
    table = summarize(rows)
    text = report(table)
    folder = write_results(
        "auto",
        {"auto_draws": rows, "auto": table},
        text,
        options=options,
        complete=not (options.quick or runner.interrupted or draws < 100),
        notes={"entropy": ENTROPY, "draws": draws},
    )
    print(f"\n{text}\n\nwritten to {folder.name}/")


if __name__ == "__main__":
    main()
