"""One small panel: 6 firms, 8 years, numbers, text, truth values, a category."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def flat() -> pd.DataFrame:
    """A balanced panel as a flat frame, rows by firm and year."""
    rng = np.random.default_rng(7)
    n = 48
    frame = pd.DataFrame(
        {
            "firm": np.repeat(["f1", "f2", "f3", "f4", "f5", "f6"], 8),
            "year": np.tile(np.arange(2001, 2009), 6),
            "y": rng.normal(size=n),
            "x1": rng.normal(size=n),
            "x2": np.exp(rng.normal(size=n)),
            "count": rng.integers(1, 9, size=n),
            "flag": rng.random(n) > 0.5,
            "region": np.repeat(["east", "west", "north"], 16),
        }
    )
    frame["size"] = pd.Categorical(np.tile(["small", "mid", "big", "mid"], 12), ["small", "mid", "big"])
    return frame


@pytest.fixture
def indexed(flat: pd.DataFrame) -> pd.DataFrame:
    """The same with a two-level index."""
    return flat.set_index(["firm", "year"])
