"""A flat unbalanced panel with every kind of column, and models of it on dummies."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from statsmodels.tools.sm_exceptions import SingularMatrixWarning


@cache
def _panel() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 300
    d = pd.DataFrame(
        {"firm": rng.integers(0, 25, n), "year": rng.integers(2000, 2008, n), "region": rng.integers(0, 5, n)}
    )
    d["trend"] = d["year"] - 2000.0 + 0.1 * rng.normal(size=n)
    d["x1"] = rng.normal(size=n) + 0.1 * d["firm"]
    d["x2"] = rng.normal(size=n) + 0.2 * (d["year"] - 2000)
    d["z1"], d["z2"] = rng.normal(size=n), rng.normal(size=n)
    d["kind"] = np.array(list("abc"))[rng.integers(0, 3, n)]
    noise = rng.normal(size=n) * (1 + 0.3 * d["x1"].abs())
    d["y"] = d["x1"] - 0.5 * d["x2"] + 0.3 * d["firm"] + 0.2 * (d["year"] - 2000) + 0.4 * d["z1"] + noise
    d["w"] = rng.uniform(0.2, 3, n)
    d["w0"] = np.where(rng.random(n) < 0.1, 0.0, d["w"])
    d["block"] = d["firm"] // 2
    d.index = pd.Index(rng.permutation(n) + 1000, name="row")
    return d


def panel() -> pd.DataFrame:
    """300 rows, 25 firms, 8 years; a copy."""
    return _panel().copy()


# name: formula, controls, the same with dummies
MODELS: dict[str, tuple[str, str, str]] = {
    "one effect": ("y ~ x1 + x2 | firm", "", "y ~ x1 + x2 + C(firm)"),
    "two effects": ("y ~ x1 + x2 | firm + year", "", "y ~ x1 + x2 + C(firm) + C(year)"),
    "three effects": ("y ~ x1 + x2 | firm + year + region", "", "y ~ x1 + x2 + C(firm) + C(year) + C(region)"),
    "combined": ("y ~ x1 + x2 | region^year", "", "y ~ x1 + x2 + C(region):C(year) - 1"),
    "slopes": ("y ~ x1 + x2 | firm[trend]", "", "y ~ x1 + x2 + C(firm) + C(firm):trend"),
    "slopes of years": ("y ~ x1 | region[year] + firm", "", "y ~ x1 + C(firm) + C(region):I(year-2003) + C(region)"),
    "slopes and year": ("y ~ x1 + x2 | firm[trend] + year", "", "y ~ x1 + x2 + C(firm) + C(firm):trend + C(year)"),
    "two slopes": ("y ~ x1 | region[[trend, z1]]", "", "y ~ x1 + C(region):trend + C(region):z1"),
    "slopes without effect": ("y ~ x1 + x2 | firm[[trend]] + year", "", "y ~ x1 + x2 + C(firm):trend + C(year)"),
    "slopes alone": ("y ~ x1 + x2 | firm[[trend]]", "", "y ~ x1 + x2 + C(firm):trend"),
    "slopes, no constant": ("y ~ 0 + x1 + x2 | region[[trend]]", "", "y ~ x1 + x2 + C(region):trend - 1"),
    "said twice": ("y ~ x1 | firm + firm[trend] + firm[[trend]]", "", "y ~ x1 + C(firm) + C(firm):trend"),
    "controls": ("y ~ x1 + x2 | firm", "z1 + bs(z2, df=4) + kind", "y ~ x1 + x2 + C(firm) + z1 + bs(z2, df=4) + kind"),
    "controls alone": ("y ~ x1 + x2", "z1 + bs(z2, df=4) + kind", "y ~ x1 + x2 + z1 + bs(z2, df=4) + kind"),
    "aliased control": ("y ~ x1 | firm", "z1 + z2 + I(z1 - z2) + block", "y ~ x1 + C(firm) + z1 + z2"),
    "nothing": ("y ~ x1 + x2", "", "y ~ x1 + x2"),
    "no constant": ("y ~ 0 + x1 + x2", "", "y ~ x1 + x2 - 1"),
    "hidden constant": ("y ~ 0 + x1 + kind", "", "y ~ x1 + kind - 1"),
    "category": ("y ~ x1 + kind | firm", "", "y ~ x1 + kind + C(firm)"),
}


def dummy_fit(name: str, weights: str | None, data: pd.DataFrame) -> Any:
    """statsmodels on all dummies; rows with weight zero left out."""
    formula = MODELS[name][2]
    data = data if weights is None else data[data[weights] > 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularMatrixWarning)  # it takes the pseudoinverse
        return smf.ols(formula, data).fit() if weights is None else smf.wls(formula, data, weights=data[weights]).fit()
