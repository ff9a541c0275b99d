"""Compile the kernels that most tests use, once, into ``NUMBA_CACHE_DIR``: test processes start from them.

python -m tests.compile_kernels
"""

from __future__ import annotations

import warnings

import numpy as np

import gifepanel as gife
from gifepanel.datasets import simulate
from gifepanel.kernels import _jit
from gifepanel.projections import system


def main() -> None:
    """Small fits of every kind, on complete panels and on cells."""
    warnings.simplefilter("ignore")
    _jit._SMALL = -1  # nothing is small enough for NumPy
    system._SMALL = -1
    data = simulate("D", 12, 14, random_state=0).data
    holes = data[np.random.default_rng(0).random(len(data)) > 0.1]
    for panel in (holes, data):
        for formula in ("y ~ 0 + x1 + x2", "y ~ L(y) + x1 | entity + time"):
            gife.InteractiveFE.from_formula(formula, panel, n_factors=1).fit(bias_correction=True)
            gife.GroupedIFE.from_formula(formula, panel, n_groups=2, n_factors=1).fit()
    flat = data.reset_index()
    for effects in ("entity + time", "entity"):
        model = gife.PartialledOLS.from_formula(f"y ~ x1 + x2 | {effects}", flat, entity="entity", time="time")
        model.fit(cov_type="cluster")


if __name__ == "__main__":
    main()
