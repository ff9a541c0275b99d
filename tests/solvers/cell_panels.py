"""Panels with holes that the tests of solvers on cells share."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

import gifepanel as gife
from gifepanel.solvers.cells import Cells, cells_of, core
from tests.solvers.panels import Panel, grouped_panel

HERE = Path(__file__).parents[1] / "reference"
REFERENCE = json.loads((HERE / "unbalanced.json").read_text())


def holed(n: int = 20, t: int = 15, share: float = 0.2, seed: int = 0, **panel) -> tuple[Panel, np.ndarray]:
    """A panel with groups, and which of its cells are observed; what is fitted exactly is not."""
    found = grouped_panel(n, t, seed=seed, **panel)
    return found, core(np.random.default_rng(seed).random((n, t)) > share, 4, 4)


def laid_out(panel: Panel, observed: np.ndarray, entity: bool = True, time: bool = True, **options) -> Cells:
    """Its cells, with additive effects."""
    one = np.ones((*panel.y.shape, 1))
    parts = {"known": one if entity else None, "period": one if time else None}
    return cells_of(panel.y * observed, panel.x * observed[..., None], observed, **parts, **options)


def cigarettes(time: bool) -> tuple[Cells, np.ndarray]:
    """Log sales on log prices and log incomes in 1,180 of the 1,380 cells, entity effects; and the states."""
    gone = pd.read_csv(HERE / "data" / "cigar_200_gone.csv")
    data = gife.datasets.load_cigar().drop(index=pd.MultiIndex.from_frame(gone)).reset_index()
    states, i = np.unique(data["state"], return_inverse=True)
    t = np.unique(data["year"], return_inverse=True)[1]
    observed = np.zeros((i.max() + 1, t.max() + 1), dtype=bool)
    observed[i, t] = True
    columns = [data["sales"], data["price"] / data["cpi"], data["ndi"] / data["cpi"]]
    cube = np.zeros((*observed.shape, 3))
    cube[i, t] = np.log(np.column_stack(columns))
    one = np.ones((*observed.shape, 1))
    period = one if time else None
    kept = core(observed, 2, 1 + time)
    return cells_of(cube[..., 0], cube[..., 1:], kept, known=one, period=period, standardize=True), states
