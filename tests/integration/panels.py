"""A small panel, a fit of every kind on it, and the regression with every nuisance column that each one stands for.

At the estimate, a model with factors is least squares on the regressors, the factors times dummies of the entities and
the loadings times dummies of the periods: coefficients, residuals, degrees of freedom and covariances are those of that
regression, which statsmodels can run.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm

from gifepanel import GroupedIFE, InteractiveFE, PartialledOLS

N, T = 20, 8
MODELS = ("grouped", "interactive", "partialled", "weighted")
FACTORS = ("grouped", "interactive")
LINEAR = ("partialled", "weighted")


@cache
def _panel() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    firm, year = np.repeat(np.arange(N), T), np.tile(np.arange(2001, 2001 + T), N)
    common = np.outer(rng.normal(1, 1, size=N), rng.normal(size=T)).ravel()
    x1 = rng.normal(size=N * T) + 0.4 * common
    x2 = rng.normal(size=N * T) + 0.3 * np.repeat(rng.normal(size=N), T)
    slope = np.where(firm % 2, -1.5, 2.0)
    noise = 0.4 * rng.normal(size=N * T) * (1 + 0.3 * np.abs(x1))
    return pd.DataFrame(
        {
            "firm": firm,
            "year": year,
            "y": slope * x1 + 0.3 * x2 + common + np.repeat(rng.normal(size=N), T) + noise,
            "x1": x1,
            "x2": x2,
            "z1": rng.normal(size=N * T),
            "w": rng.uniform(0.5, 2, N * T),
            "block": firm // 2,
            "kind": np.array(list("abc"))[rng.integers(0, 3, N * T)],
        }
    ).set_index(["firm", "year"])


def panel() -> pd.DataFrame:
    """20 firms, 8 years; a copy."""
    return _panel().copy()


def fit(name: str, regressors: str = "x1 + x2", **options: Any) -> Any:
    """A fit of the kind named."""
    data = panel()
    if name == "grouped":
        model = GroupedIFE.from_formula(f"y ~ {regressors} | firm", data, n_groups=2, n_factors=1)
        return model.fit(groups_known=True, **options)  # as the regression on dummies beside it
    if name == "interactive":
        return InteractiveFE.from_formula(f"y ~ {regressors} | firm", data, n_factors=1).fit(**options)
    if name == "partialled":
        return PartialledOLS.from_formula(f"y ~ {regressors} | firm + year", data).fit(**options)
    if name == "weighted":
        return PartialledOLS.from_formula(f"y ~ {regressors} | firm", data, partial="z1", weights="w").fit(**options)
    from sklearn.linear_model import LinearRegression

    learner = LinearRegression()
    model = PartialledOLS.from_formula(f"y ~ {regressors} | firm", data, partial="z1", learner=learner)
    return model.fit(n_folds=3, **options)


@dataclass(frozen=True)
class Pair:
    """Our results, and statsmodels' on all columns; regressors come first there."""

    name: str
    ours: Any
    full: Any
    smaller: Any
    smaller_full: Any

    @property
    def k(self) -> int:
        """Number of coefficients of ours."""
        return len(self.ours.params)

    def block(self, matrix: Any) -> np.ndarray:
        """The rows and columns of a covariance of `full` that are ours."""
        return np.asarray(matrix)[: self.k, : self.k]

    def robust(self, cov_type: str, **options: Any) -> tuple[Any, Any]:
        """Both with another covariance."""
        return (
            self.ours.get_robustcov_results(cov_type, **options),
            self.full.get_robustcov_results(cov_type, **options),
        )


def pair(name: str) -> Pair:
    """The fit of a kind beside the full regression, and both without x2."""
    ours, smaller = fit(name), fit(name, "x1")
    return Pair(name, ours, full_regression(name, ours), smaller, full_regression(name, smaller))


def full_regression(name: str, ours: Any) -> Any:
    """statsmodels on the regressors and every dummy, control, factor and loading; spanned columns left out."""
    data = panel()
    columns = all_columns(name, ours, data)
    triangle = np.linalg.qr(columns / np.linalg.norm(columns, axis=0), mode="r")
    exog = columns.loc[:, np.abs(np.diag(triangle)) > 1e-9]
    if name == "weighted":
        return sm.WLS(data["y"], exog, weights=data["w"]).fit()
    return sm.OLS(data["y"], exog).fit()


def all_columns(name: str, ours: Any, data: pd.DataFrame) -> pd.DataFrame:
    """Regressors first, then what is partialled out, on the rows of `data`."""
    firm, year = (np.asarray(data.index.get_level_values(level)) for level in ("firm", "year"))
    firms, years = np.eye(N)[firm], np.eye(T)[year - 2001]
    nuisance = [firms]
    if name in FACTORS:
        nuisance += [firms * ours.factors.loc[year].to_numpy(), years * ours.loadings.loc[firm].to_numpy()]
    else:
        nuisance.append(years if name == "partialled" else data[["z1"]].to_numpy())
    columns = np.hstack([_regressors(name, ours, data), *nuisance])
    names = [*ours.params.index, *(f"n{j}" for j in range(columns.shape[1] - len(ours.params)))]
    return pd.DataFrame(columns, index=data.index, columns=names)


def _regressors(name: str, ours: Any, data: pd.DataFrame) -> np.ndarray:
    """One column per coefficient."""
    if name != "grouped":
        return data[list(ours.params.index)].to_numpy()
    group = ours.groups.loc[data.index.get_level_values("firm")].to_numpy()
    parts = [label.rstrip("]").split("[") for label in ours.params.index]
    return np.column_stack([data[stem].to_numpy() * (group == int(number)) for stem, number in parts])
