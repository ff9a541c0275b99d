"""A panel with everything in it that a formula can ask for, and fits of it in memory and elsewhere."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.testing import assert_allclose

import gifepanel as gife
from gifepanel.tables.blocks import Notes, Pairs

MEASURES = ("nobs", "df_resid", "df_model", "ssr", "centered_tss", "uncentered_tss", "within_tss", "llf", "aic", "bic")
MORE = ("rsquared", "rsquared_adj", "rsquared_within", "fvalue", "f_pvalue", "ess", "mse_resid", "mse_total")


@cache
def panel() -> pd.DataFrame:
    """A few hundred rows: missing values, singletons, weights of zero, text, truth values; not to be changed."""
    rng = np.random.default_rng(0)
    firms, years = 40, 10
    n = firms * years
    frame = pd.DataFrame(
        {"firm": np.repeat(np.arange(firms), years), "year": np.tile(np.arange(2000, 2000 + years), firms)}
    )
    frame["x1"] = rng.normal(size=n) + 0.1 * frame["firm"]
    frame["x2"] = rng.normal(size=n) + 0.2 * frame["year"]
    frame["w"] = 0.5 * rng.integers(0, 4, n)
    effects = 3 * rng.normal(size=firms)[frame["firm"]] + rng.normal(size=years)[frame["year"] - 2000]
    frame["y"] = 1000 + frame["x1"] - 0.5 * frame["x2"] + effects + rng.normal(size=n)
    frame["positive"] = np.exp(0.3 * frame["x1"])
    frame["treated"] = rng.random(n) < 0.3
    frame["name"] = [f"f{k:03d}" for k in frame["firm"]]
    frame["industry"] = rng.choice(list("abc"), n)
    frame["job"] = rng.integers(0, 25, n)
    frame["region"] = frame["firm"] % 5
    frame["twice"] = 2 * frame["x1"] + 1
    frame["near"] = frame["x1"] + 1e-5 * rng.normal(size=n)
    frame.loc[5, "x1"] = np.nan
    frame.loc[17, "y"] = np.nan
    frame.loc[20, "name"] = None
    frame = frame.sample(frac=0.8, random_state=1).sort_index()
    return pd.concat([frame, frame.iloc[[0]].assign(firm=777, name="zzz")], ignore_index=True)


def fit(data: Any, formula: str, cov: dict[str, Any] | None = None, **options: Any) -> Any:
    """Results, and what was warned of on the way."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = gife.PartialledOLS.from_formula(formula, data, entity="firm", time="year", **options)
        res = model.fit(**(cov or {}))
    return res, [str(one.message) for one in said if one.category.__module__.startswith("gifepanel")]


def assert_same(found: Any, wanted: Any, rtol: float = 1e-8) -> None:
    """Both results say the same."""
    assert list(found.params.index) == list(wanted.params.index)
    assert_allclose(found.params, wanted.params, rtol=rtol)
    assert_allclose(found.bse, wanted.bse, rtol=rtol)
    assert found.degrees == wanted.degrees
    for name in (*MEASURES, *MORE):
        assert_allclose(getattr(found, name), getattr(wanted, name), rtol=rtol, atol=1e-8, err_msg=name)


def printed(res: Any) -> list[Any]:
    """What the summary holds, less what says where the rows were."""
    out: list[Any] = []
    for block in res.summary()._complete:
        if isinstance(block, Pairs):
            out.append([pair for pair in (*block.left, *block.right) if pair[0] != "Rows"])
        elif isinstance(block, Notes):
            out.append([line for line in block.lines if not line.startswith("The rows stayed in")])
        else:
            out.append(block)
    return out
