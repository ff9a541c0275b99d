"""A model keeps the data it was given: columns that are read without a copy are not the caller's to change."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import gifepanel as gife


@pytest.mark.parametrize("n", [600, 120_000])
@pytest.mark.parametrize("formula", ["y ~ x | i", "y ~ x + z | i", "y ~ x + np.exp(x) | i"])
def test_frame_changed_between_model_and_fit(n: int, formula: str) -> None:
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"i": np.arange(n) // 10, "y": rng.normal(size=n), "x": rng.normal(size=n)})
    data["z"] = rng.normal(size=n)
    expected = gife.PartialledOLS.from_formula(formula, data.copy()).fit()
    model = gife.PartialledOLS.from_formula(formula, data)
    data.loc[: n // 2, "x"] = -5.0
    data.iloc[: n // 3, 1] = 99.0
    data["z"] = 0.0
    found = model.fit()
    np.testing.assert_array_equal(found.params, expected.params)
    np.testing.assert_array_equal(found.resid, expected.resid)
