from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import gifepanel as gife


@pytest.fixture(scope="module")
def flat() -> pd.DataFrame:
    """30 firms over 9 years, with sectors, weights and frequencies."""
    rng = np.random.default_rng(5)
    firm, year = np.repeat(np.arange(30), 9), np.tile(np.arange(2000, 2009), 30)
    x, z = rng.normal(size=(2, 270))
    level = rng.normal(size=30)
    y = x + 0.5 * z + level[firm] + 0.1 * (year - 2000) + rng.normal(size=270)
    w = x + rng.normal(size=270)
    return pd.DataFrame(
        {"firm": firm, "year": year, "y": y, "x": x, "z": z, "w": w, "sector": firm % 12,
         "size": rng.uniform(1, 2, 270),
         "n": rng.integers(1, 4, 270), "half": firm % 2}
    )  # fmt: skip


@pytest.fixture(scope="module")
def panel(flat: pd.DataFrame) -> pd.DataFrame:
    return flat.set_index(["firm", "year"])


@pytest.fixture(scope="module")
def effects(flat: pd.DataFrame) -> gife.PartialledOLS:
    return gife.PartialledOLS.from_formula("y ~ x + z | firm + year", flat, entity="firm", time="year")


@pytest.fixture(scope="module")
def factors(flat: pd.DataFrame) -> gife.InteractiveFE:
    return gife.InteractiveFE.from_formula("y ~ x + z | firm", flat, entity="firm", time="year", n_factors=1)
