"""Write docs/accuracy.md and docs/performance.md from the stored results.

    python benchmarks/pages.py [--check]

``--check`` writes nothing and fails where a page is not what the results give.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common import RESULTS

__all__ = ["PAGES", "page"]

DOCS = Path(__file__).parents[1] / "docs"
PAGES: Mapping[str, Sequence[str]] = {
    "accuracy": ("montecarlo", "bias", "estimated_groups", "tests", "auto"),
    "performance": ("scaling", "entities", "cells", "peer", "absorb", "lazy"),
}
_TITLES = {
    "accuracy": "# Accuracy",
    "performance": "# Performance",
    "bias": "## Corrections of the bias of a lag",
    "estimated_groups": "## Standard errors that allow for estimated groups",
    "tests": "## Size and power of tests",
    "auto": "## Numbers that are left open",
    "scaling": "## Time and memory",
    "entities": "## Entities by the million",
    "cells": "## Panels with holes",
    "peer": "## Beside groupedpaneldatamodels",
    "absorb": "## Absorbing fixed effects",
    "lazy": "## Rows that stay in a file",
}
_INTRODUCTIONS = {
    "accuracy": """\
A Monte Carlo study of {{py:class}}`gifepanel.GroupedIFE` on the designs of {{py:func}}`gifepanel.datasets.simulate`,
through the public interface and with its default options: S (static, two factors), D (dynamic, two factors), P (entity
effects and no factor) and G (a factor for each group). `refined` and `nearest` are the two values of `classify`. Every
draw has a random stream of its own and can be run again by itself; `{command}` runs them all.""",
    "performance": """\
![Times of gifepanel beside other packages: groups of slopes by size of the panel, a million rows with fixed effects by
design](_static/performance.svg)

Times with one thread, compiled code warm, all starts, the refit and, for the whole call, inference included. The chart
is of the tables [beside groupedpaneldatamodels](#beside-groupedpaneldatamodels) and on
[absorbing fixed effects](#absorbing-fixed-effects).""",
    "bias": "`{command}` runs this; what the corrections are is on the page on [bias correction](bias.md).",
    "estimated_groups": """\
Entities that are hard to place make intervals too short that take the groups as known. By default standard errors allow
for it: see [Estimated groups](theory_inference.md#estimated-groups). `{command}` measures this.""",
    "tests": """\
The tests of `gifepanel.diagnostics` and of equal slopes. Tests after grouping (`test_groups`, `test_common`,
`test_additive`) are on the page on [testing groups](testing_groups.md). `{command}` measures this.""",
    "auto": "`{command}` runs this; what the rules are is on the page on [choosing numbers](selecting.md).",
    "scaling": """\
`{command}` measures this. Targets were set on another machine, on which fits of small panels took half of the time that
they take here.""",
    "entities": """\
{{py:class}}`gifepanel.GroupedIFE` with three groups and two factors on 50 periods, from memory-mapped arrays and from a
Parquet file sorted by entity: default options, standard errors and report included, both cores, one call each. *Memory*
is what the process takes beyond the arrays at its peak; what is read from a file is part of it. `{command}` measures
this.""",
    "cells": """\
{{py:class}}`gifepanel.GroupedIFE` with its default options where 20 or 40 % of the cells are missing at random, or
where entities enter in the first half of the panel and a fifth of the rest is missing, beside least squares with the
true groups on the same cells; seconds of a fit to complete panels, to nearly complete ones and with a fifth of the
cells missing; and the EM algorithm (Bai 2009, supplement) on 1,180 of the 1,380 cells of the cigarette panel. In design
D rows whose lag is missing are lost as well. With 40 % missing of 25 periods it is the least sum of squares itself that
misplaces entities: in 40 draws of S 100x25 a descent from the true groups ended at larger sums of squares and an RMSE
of .058, the fit at .080, `groups="soft"` at .077. `{command}` measures all of it.""",
    "peer": """\
[groupedpaneldatamodels](https://pypi.org/project/groupedpaneldatamodels/) has an implementation of the same estimator,
Su & Ju's (2018) penalised principal components. Both packages run in one process on the same panels at the same raw κ;
`{command}` does it.""",
    "lazy": """\
Least squares on a Parquet file, as on the page on data [larger than memory](larger_than_memory.md): three regressors,
errors clustered by entity, reading included, both cores, medians of three calls, one above ten million rows and of
pyfixest there; *apart* is the largest relative difference of coefficients and standard errors from the first line of a
design. A call of gifepanel's loads numba and compiled loops when it first needs them (two to three seconds of the
first million rows); pyfixest does so at its import, which is not counted.
`{command}` measures this.""",
    "absorb": """\
{{py:class}}`gifepanel.PartialledOLS` on one regressor and three or four effects: the easy and the difficult design of
fixest's benchmarks, workers in firms who move rarely or very rarely, firms on a ring, and nested effects. `{command}`
runs all packages; each stops at its own tolerance (gifepanel's is 1e-10 on the true residual). gifepanel and fereg were
measured side by side, the other packages on another day. Workers move to neighbouring firms here, which makes the
factor of the reduced system banded; where 10, 1 and .3 % of the workers in a million rows moved to any firm, gifepanel
took .85, .61 and .70 of fereg's time.""",
}


def page(name: str) -> str:
    """The text of one page."""
    parts = [_TITLES[name]]
    if name not in PAGES[name]:
        parts.append(_INTRODUCTIONS[name].format(command=_command(PAGES[name][0])))
    for result in PAGES[name]:
        text = (RESULTS / f"{result}.md").read_text("utf-8").strip()
        if result in _TITLES:
            parts += [_TITLES[result], _INTRODUCTIONS[result].format(command=_command(result))]
        parts += [text, _machine(json.loads((RESULTS / f"{result}.json").read_text("utf-8")))]
    return "\n\n".join(parts) + "\n"


def _command(result: str) -> str:
    return f"python benchmarks/bench_{result}.py"


def _machine(facts: Mapping[str, Any]) -> str:
    machine = facts["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"Measured with {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}; "
        f"Python {machine['python']}, {versions}; BLAS: {machine['blas']}."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args(arguments)
    stale = []
    for name in PAGES:
        path = DOCS / f"{name}.md"
        text = page(name)
        if options.check:
            if not path.exists() or path.read_text("utf-8") != text:
                stale.append(path.name)
        else:
            path.write_text(text, encoding="utf-8")
    if stale:
        sys.exit(f"not up to date: {', '.join(stale)}; run python benchmarks/pages.py")


if __name__ == "__main__":
    main()
