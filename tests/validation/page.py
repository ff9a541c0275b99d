"""The text of the pages."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

from tests.reference.fwl_cases import CASES
from tests.validation import digits, effects, factors, groups
from tests.validation.live import LIVE
from tests.validation.record import Section, bound, table

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("validation", "validation_fixed_effects")
PARTS = {
    "Interactive fixed effects": factors.SECTIONS,
    "Latent groups": groups.SECTIONS,
    "Fixed effects": effects.SECTIONS,
    "Least squares": digits.SECTIONS,
    "Published tables": [*groups.REPLICATIONS, *effects.REPLICATIONS],
    "Not met": [*factors.UNMET, *groups.UNMET],
}
HEAD = ("", "reference", "gifepanel", "difference")

_INTRODUCTION = """\
# Validation

Every number of other software and of published tables that gifepanel is held against: where it comes from, the number,
ours, the difference. `python -m tests.validation` computes all of it again and writes this page; a test fails when a
number leaves its tolerance or the page is not what the code gives. Differences below 1e-10 are shown as `≤ 1e-10`: what
is beyond depends on the processor. Where their number has few digits, the difference is that of rounding.

How far the estimates are from the truth is another question: see [accuracy](accuracy.md). What holds whatever the data
(identities, optimality conditions) is tested too: see [architecture](architecture.md).
"""
_EFFECTS = """\
### Least squares with effects, against fixest

Every regression of `tests/reference/fwl.json` from a formula by {{py:class}}`gifepanel.PartialledOLS`: {entries}
entries, {numbers} numbers. References: least squares on all dummies with textbook formulas (`dummies`), and the R
package fixest 0.14.2 at its defaults. Two-way clustered errors "own G/(G−1)" give each term its own number of clusters
(`ssc="stata"`). The table has the largest relative difference over both references; degrees of freedom, sums of squares
and R² are equal too. Formulas, data and all entries: [every fixed-effects regression](validation_fixed_effects.md).
"""
_LIVE = """\
### While the tests run

Other packages on data that the tests draw, held to these relative differences. pyfixest, wildboottest, doubleml and
marginaleffects are no part of the usual tests: install the extras `peers` and `marginaleffects`, or these tests skip.
"""
_UNMET = """\
Numbers that are not met, and why. Besides: the Monte Carlo figures of a prototype and of published studies that the
estimates fall short of are marked so in [accuracy](accuracy.md) ({short}).
"""
_ALL = """\
# Validation: every fixed-effects regression

The entries behind the [summary](validation.md). *dummies*: least squares on all dummies; *fixest*: R package fixest
0.14.2. Numbers are shown with eight digits; the differences are those of all digits.
"""


def validation(old: str = "") -> str:
    """The page; a section whose data are absent is taken from `old`."""
    parts = [_INTRODUCTION]
    for part, sections in PARTS.items():
        parts.append(f"## {part}\n")
        if part == "Fixed effects":
            every = effects.entries()
            count = sum(len(a) + len(b) for a, b in every.values())
            parts += [_EFFECTS.format(entries=len(every), numbers=count), summary() + "\n"]
        if part == "Not met":
            parts.append(fill(_UNMET.format(short=short())) + "\n")
        parts += [section_text(section, old) for section in sections]
        if part == "Fixed effects":
            parts.append(live())
    return "\n".join(parts).rstrip() + "\n"


def section_text(section: Section, old: str) -> str:
    if not section.available:
        found = re.search(rf"^### {re.escape(section.title)}\n.*?(?=^##|\Z)", old, re.MULTILINE | re.DOTALL)
        if found is None:
            raise FileNotFoundError(f"{section.title}: {section.data} is absent, and the page has no such section")
        return found[0].rstrip() + "\n"
    rows = table(HEAD, (n.row() for n in section.numbers()))
    return f"### {section.title}\n\n{fill(section.text)}\n\n{rows}\n"


def fill(text: str) -> str:
    """Lines of at most 120 characters."""
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def live() -> str:
    """What is compared while the tests run."""
    rows = ((package, what, f"`{test.partition('::')[0]}`", rel) for package, what, test, rel in LIVE)
    return f"{_LIVE}\n{table(('package', 'what', 'test', 'relative'), rows, 3)}\n"


def summary() -> str:
    """Per case and covariance: the worst difference over sources and regressors."""
    every, rows = effects.entries(), []
    for name in CASES:
        labels = dict.fromkeys(label for case, _, label in every if case == name)
        for label in labels:
            found = {source: pair for (case, source, kind), pair in every.items() if (case, kind) == (name, label)}
            coef = max(effects.relative(pair[0]) for pair in found.values())
            se = max(effects.relative(pair[1]) for pair in found.values())
            sources = ", ".join(effects.SOURCES[source] for source in found)
            rows.append((name, kind_text(label), sources, bound(coef), bound(se)))
    return table(("case", "covariance", "references", "coefficients", "errors"), rows, right=3)


def kind_text(label: str) -> str:
    return label.replace(" (own G/(G-1) per term)", ", own G/(G−1)")


def fixed_effects() -> str:
    """The second page."""
    parts = [_ALL]
    head = ("covariance", "reference", "regressor", "coefficient", "ours", "error", "ours")
    for name in CASES:
        own = {key[1:]: pair for key, pair in effects.entries().items() if key[0] == name}
        worst = bound(max(effects.relative(numbers) for pair in own.values() for numbers in pair))
        rows = [
            (kind_text(label), effects.SOURCES[source], c.what, *c.row()[1:3], *e.row()[1:3])
            for (source, label), pair in own.items()
            for c, e in zip(*pair, strict=True)
        ]
        text = f"`{effects.formula(name)}`; {effects.DATA[name]}. Largest relative difference {worst}."
        parts += [f"## {name}\n", fill(text) + "\n", table(head, rows, 3) + "\n"]
    return "\n".join(parts).rstrip() + "\n"


def short() -> str:
    """Lines of the stored Monte Carlo comparison that say "short"."""
    text = (DOCS.parent / "benchmarks" / "results" / "montecarlo.md").read_text("utf-8")
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[-1].startswith("short"):
            design, what, _, source, figure, ours, attainable = cells[:7]
            found.append(
                f"{what} of design {design.replace('x', '×')}: {figure} ({source}), ours {ours}, "
                f"{attainable} with the groups known"
            )
    return "; ".join(found) if found else "there is none"


def texts() -> dict[str, str]:
    path = DOCS / "validation.md"
    return {
        "validation": validation(path.read_text("utf-8") if path.exists() else ""),
        "validation_fixed_effects": fixed_effects(),
    }


# ---- is a page up to date? --------------------------------------------------------------------------------------

_TOKEN = re.compile(r"≤ 1e-?\d+|[-+]?\d+\.\d+")
_VERSION = re.compile(r"(?<=models )\d+(\.\w+)+")


def differences(stored: str, found: str) -> Iterable[str]:
    """Lines that differ by more than the last digits shown, or than one power of ten of a difference."""
    old, new = lines(stored), lines(found)
    if len(old) != len(new):
        yield f"{len(old)} lines stored, {len(new)} found"
        return
    for a, b in zip(old, new, strict=True):
        numbers = zip(_TOKEN.findall(a), _TOKEN.findall(b), strict=False)
        if _squeeze(_TOKEN.sub("#", a)) != _squeeze(_TOKEN.sub("#", b)) or not all(_alike(x, y) for x, y in numbers):
            yield f"stored {a}\nfound  {b}"


def lines(text: str) -> list[str]:
    """Rows of tables, and paragraphs as one line each; without versions of packages."""
    blocks = _VERSION.sub("", text).split("\n\n")
    return [line for block in blocks for line in (block.splitlines() if block.startswith("|") else [block])]


def _squeeze(line: str) -> str:
    return re.sub(r"[\s-]+", " ", line)  # widths of columns


def _alike(a: str, b: str) -> bool:
    if a.startswith("≤") or b.startswith("≤"):
        if not (a.startswith("≤") and b.startswith("≤")):
            return False
        return abs(int(a.rpartition("e")[2]) - int(b.rpartition("e")[2])) <= 1
    digits = len(a.partition(".")[2])
    return digits == len(b.partition(".")[2]) and abs(float(a) - float(b)) <= 2.01 * 10.0**-digits


def main() -> None:
    """Write the pages."""
    for name, text in texts().items():
        (DOCS / f"{name}.md").write_text(text, encoding="utf-8")
        print(f"docs/{name}.md", file=sys.stderr)
