"""What has to be measured in a process of its own: peak memory, import time, the first fit. Prints one JSON line."""

from __future__ import annotations

import json
import resource
import sys
import time

_START = time.perf_counter()


def peak_mb() -> float:
    """Largest resident memory until now, in megabytes (ru_maxrss is in kilobytes on Linux, in bytes on macOS)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1e-6 if sys.platform == "darwin" else 1.024e-3)


def memory(how: str, n: int, t: int, p: int, k: int, r: int) -> dict[str, float]:
    """Peak memory of a fit, and of the process before it."""
    from panels import formula_and_frame, timing_panel

    import gifepanel as gife
    from gifepanel.solvers.arrays import prepare
    from gifepanel.solvers.grouped import fit_grouped

    y, x = timing_panel(30, 20, p, k, r)
    gife.GroupedIFE(y, x, n_groups=k, n_factors=r).fit()
    y, x = timing_panel(n, t, p, k, r)
    size = (y.nbytes + x.nbytes) / 1e6
    if how == "formula":
        formula, frame = formula_and_frame(y, x)
        del y, x
    before = peak_mb()
    if how == "solver":
        fit_grouped(prepare(y, x, standardize=True), k, r)
    elif how == "formula":
        gife.GroupedIFE.from_formula(formula, frame, n_groups=k, n_factors=r).fit()
    else:
        gife.GroupedIFE(y, x, n_groups=k, n_factors=r).fit()
    return {"data_mb": size, "before_mb": before, "peak_mb": peak_mb()}


def compile_all() -> None:
    """No panel is small enough for NumPy: what runs is compiled code, as in a process that has gone on for a while."""
    from gifepanel.kernels import _jit

    _jit._SMALL = -1


def first_fit(n: int, t: int, holes: bool) -> dict[str, float]:
    """Seconds of the import, of the first fit by formula and of the second."""
    begin = time.perf_counter()
    import gifepanel as gife

    imported = time.perf_counter()
    panel = gife.datasets.simulate("S", n, t, random_state=0)
    data = panel.data.drop(panel.data.index[:: 11 if holes else len(panel.data) + 1][1:])
    ready = time.perf_counter()

    def fit() -> None:
        gife.GroupedIFE.from_formula(panel.formula, data, n_groups=3, n_factors=2).fit().summary()

    fit()
    first = time.perf_counter()
    fit()
    second = time.perf_counter()
    return {
        "import": imported - begin,
        "first": first - ready,
        "second": second - first,
        "process": first - _START - (ready - imported),
    }


if __name__ == "__main__":
    if sys.argv[1] == "memory":
        compile_all()
        outcome = memory(sys.argv[2], *map(int, sys.argv[3:8]))
    else:
        if "compiled" in sys.argv:
            compile_all()
        outcome = first_fit(int(sys.argv[2]), int(sys.argv[3]), "holes" in sys.argv)
    print(json.dumps(outcome))
