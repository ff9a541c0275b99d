"""Compile the kernels that most tests use, once, into ``NUMBA_CACHE_DIR``: test processes start from them.

python -m tests.compile_kernels factors|effects
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pandas as pd

import gifepanel as gife
from gifepanel.datasets import simulate
from gifepanel.kernels import _jit
from gifepanel.projections import row_blocks, system


def factors() -> None:
    """Small fits of every kind, on complete panels and on cells."""
    data = simulate("D", 12, 14, random_state=0).data
    holes = data[np.random.default_rng(0).random(len(data)) > 0.1]
    for panel in (holes, data):
        for formula in ("y ~ 0 + x1 + x2", "y ~ L(y) + x1 | entity + time"):
            gife.InteractiveFE.from_formula(formula, panel, n_factors=1).fit(bias_correction=True)
            gife.GroupedIFE.from_formula(formula, panel, n_groups=2, n_factors=1).fit()


def effects() -> None:
    """Effects that are absorbed in each way. No kernel is one of `factors`: two processes may compile at a time."""
    rng = np.random.default_rng(0)
    n = 100_000
    rows = pd.DataFrame({"a": rng.integers(0, 20_000, n), "b": rng.integers(0, 2_000, n), "c": rng.integers(0, 10, n)})
    rows[["y", "x", "z", "w"]] = rng.uniform(1, 2, (n, 4))
    for formula, options in (("a + b + c", {}), ("a + b", {"weights": "w"}), ("a + c[z]", {}), ("a", {})):
        model = gife.PartialledOLS.from_formula(f"y ~ x | {formula}", rows, **options)
        model.fit(cov_type="cluster", cov_kwds={"groups": "b"})
    gife.PartialledOLS.from_formula("y ~ x | b + c", rows[:5_000]).fit(cov_type="HC3")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    # nothing is small enough for NumPy, or for one thread
    _jit._SMALL = system._SMALL = -1
    row_blocks._SERIAL = 0
    {"factors": factors, "effects": effects}[sys.argv[1]]()
