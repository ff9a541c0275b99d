"""Answers that must agree: one panel written down in several ways, over random small panels and options.

The ways: rows shuffled, entities renamed, regressors reversed, outcome and regressors times powers of two and
signs, the frame of another library; for linear models also copies of rows for weights and dummies for effects.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gifepanel as gife

DRAWS = {"grouped": 5, "interactive": 6, "partialled": 8}
MANY = {"grouped": 80, "interactive": 80, "partialled": 80}


def pick(rng: np.random.Generator, *choices: Any) -> Any:
    return choices[int(rng.integers(len(choices)))]


def panel(rng: np.random.Generator) -> pd.DataFrame:
    """A noisy panel of two or three groups: firm, year, y, x1, x2 (and now and then x3)."""
    n, t, p = int(rng.integers(12, 26)), int(rng.integers(9, 15)), pick(rng, 2, 2, 3)
    k, r = int(rng.integers(2, 4)), int(rng.integers(1, 3))
    loadings, factors = rng.normal(0.5, 1.0, (n, r)), rng.standard_normal((t, r))
    common = loadings @ factors.T
    x = rng.standard_normal((n, t, p)) + 0.5 * common[:, :, None]
    alpha = rng.normal(1.0, 1.0, (k, p))
    beta = alpha[rng.integers(k, size=n)]
    y = np.einsum("ntp,np->nt", x, beta) + common + pick(rng, 0.5, 1.0, 2.0) * rng.standard_normal((n, t))
    index = {"firm": np.repeat(np.arange(n) + 100, t), "year": np.tile(np.arange(t) + 1990, n)}
    return pd.DataFrame({**index, "y": y.ravel(), **{f"x{j + 1}": x[:, :, j].ravel() for j in range(p)}})


@dataclass
class Way:
    """Another way to write a panel down, and what becomes of its answers.

    `firms` maps old labels to new ones; slopes become ``y / x[name]`` times themselves, without rounding where `exact`.
    """

    data: Any
    terms: list[str]
    firms: dict[Any, Any]
    y: float
    x: dict[str, float]
    exact: bool


def ways(data: pd.DataFrame, rng: np.random.Generator) -> dict[str, Way]:
    terms = [name for name in data if str(name).startswith("x")]
    firms = data["firm"].unique()
    same, one = dict(zip(firms, firms, strict=True)), dict.fromkeys(terms, 1.0)
    shuffled = data.iloc[rng.permutation(len(data))]
    numbers = dict(zip(firms, rng.permutation(len(firms)) + 1, strict=True))
    words = {firm: f"{'zyxwvut'[int(number) % 7]}{number}" for firm, number in numbers.items()}
    y = float(pick(rng, -1.0, 1.0) * 2.0 ** rng.integers(-30, 30))
    x = {name: float(pick(rng, -1.0, 1.0) * 2.0 ** rng.integers(-30, 30)) for name in terms}
    scaled = data.assign(y=y * data["y"], **{name: x[name] * data[name] for name in terms})
    out = {
        "rows shuffled": Way(shuffled, terms, same, 1.0, one, True),
        "renamed by numbers": Way(data.assign(firm=data["firm"].map(numbers)), terms, numbers, 1.0, one, True),
        "renamed by words": Way(shuffled.assign(firm=shuffled["firm"].map(words)), terms, words, 1.0, one, True),
        "regressors reversed": Way(data, terms[::-1], same, 1.0, one, True),
        "powers of two and signs": Way(scaled, terms, same, y, x, True),
    }
    for name in ("polars", "pyarrow"):
        other = pytest.importorskip(name)
        frame = other.from_pandas(data) if name == "polars" else other.Table.from_pandas(data)
        out[name] = Way(frame, terms, same, 1.0, one, True)
    return out


def quiet(fit: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit()


def same_slopes(new: Any, old: Any, way: Way, name: str) -> None:
    """Slopes by entity or in all, in the terms of the first way."""
    for term, size in way.x.items():
        expected, got = np.asarray(old[term]) * (way.y / size), np.asarray(new[term])
        if way.exact:
            np.testing.assert_array_equal(got, expected, err_msg=f"{name}: {term}")
        else:
            np.testing.assert_allclose(got, expected, rtol=1e-8, err_msg=f"{name}: {term}")


# ---- groups -----------------------------------------------------------------------------------------------------


def check_grouped(seed: int) -> None:
    rng = np.random.default_rng([1, seed])
    data = panel(rng)
    absorb = pick(rng, "", "", " | firm", " | firm + year")
    options = {"n_groups": int(rng.integers(2, 4)), "n_factors": int(rng.integers(0, 3))}
    if rng.random() < 0.2:
        options["common"] = ["x2"]
    fit = {"classify": pick(rng, "refined", "refined", "nearest"), "metric": pick(rng, "absolute", "mahalanobis")}
    fit["kappa_scale"] = pick(rng, 0.2, 1.0, 1.0)

    def run(frame: Any, terms: list[str]) -> Any:
        formula = f"y ~ {'' if absorb else '0 + '}{' + '.join(terms)}{absorb}"
        return gife.GroupedIFE.from_formula(formula, frame, entity="firm", time="year", **options).fit(**fit)

    terms = [name for name in data if str(name).startswith("x")]
    first = quiet(lambda: run(data, terms))
    slopes = first.params_by_group.loc[first.groups].set_index(first.groups.index)
    for name, way in ways(data, rng).items():
        res = quiet(lambda way=way: run(way.data, way.terms))
        told = f"seed {seed}, {name}, {absorb}, {options}, {fit}"
        groups = res.groups.loc[[way.firms[firm] for firm in first.groups.index]].to_numpy()
        pairs = set(zip(groups, first.groups.to_numpy(), strict=True))
        assert len(pairs) == options["n_groups"], told
        same_slopes(res.params_by_group.loc[groups], slopes, way, told)
        assert res.ssr == pytest.approx(first.ssr * way.y**2, rel=1e-12), told
        assert res.penalized.kappa_scale == first.penalized.kappa_scale
        assert res.converged == first.converged, told


@pytest.mark.parametrize("seed", range(DRAWS["grouped"]))
def test_groups_do_not_move(seed: int) -> None:
    check_grouped(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(DRAWS["grouped"], MANY["grouped"]))
def test_groups_do_not_move_in_many_draws(seed: int) -> None:
    check_grouped(seed)


# ---- one slope vector with factors ------------------------------------------------------------------------------


def check_interactive(seed: int) -> None:
    rng = np.random.default_rng([2, seed])
    data = panel(rng)
    absorb, n_factors = pick(rng, "", "", " | firm", " | firm + year"), int(rng.integers(0, 4))
    cov_type = pick(rng, "nonrobust", "HC1", "cluster")

    def run(frame: Any, terms: list[str]) -> Any:
        formula = f"y ~ {'' if absorb else '0 + '}{' + '.join(terms)}{absorb}"
        model = gife.InteractiveFE.from_formula(formula, frame, entity="firm", time="year", n_factors=n_factors)
        return model.fit(cov_type=cov_type, cov_kwds={"groups": "firm"} if cov_type == "cluster" else None, n_starts=5)

    terms = [name for name in data if str(name).startswith("x")]
    first = quiet(lambda: run(data, terms))
    for name, way in ways(data, rng).items():
        res = quiet(lambda way=way: run(way.data, way.terms))
        told = f"seed {seed}, {name}, {absorb}, R = {n_factors}, {cov_type}"
        same_slopes(res.params, first.params, way, told)
        sizes = np.abs([way.y / way.x[term] for term in terms])
        np.testing.assert_allclose(res.bse[terms], first.bse[terms] * sizes, rtol=1e-7, err_msg=told)
        assert len(res.minima) == len(first.minima), told


@pytest.mark.parametrize("seed", range(DRAWS["interactive"]))
def test_slopes_under_factors_do_not_move(seed: int) -> None:
    check_interactive(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(DRAWS["interactive"], MANY["interactive"]))
def test_slopes_under_factors_do_not_move_in_many_draws(seed: int) -> None:
    check_interactive(seed)


# ---- linear models ----------------------------------------------------------------------------------------------


def check_partialled(seed: int) -> None:
    rng = np.random.default_rng([3, seed])
    data = panel(rng).assign(w=lambda frame: rng.integers(1, 4, len(frame)))
    effects = pick(rng, [], ["firm"], ["firm", "year"])
    cov_type = pick(rng, "nonrobust", "HC1", "cluster")

    def run(frame: Any, terms: list[str], absorbed: list[str] = effects, **options: Any) -> Any:
        formula = f"y ~ {' + '.join(terms)}" + (f" | {' + '.join(absorbed)}" if absorbed else "")
        model = gife.PartialledOLS.from_formula(formula, frame, entity="firm", time="year", **options)
        return model.fit(cov_type=cov_type, cov_kwds={"groups": "firm"} if cov_type == "cluster" else None)

    terms = [name for name in data if str(name).startswith("x")]
    first = quiet(lambda: run(data, terms))
    for name, way in ways(data, rng).items():
        way.exact = False
        res = quiet(lambda way=way: run(way.data, way.terms))
        told = f"seed {seed}, {name}, {effects}, {cov_type}"
        same_slopes(res.params, first.params, way, told)
        sizes = np.abs([way.y / way.x[term] for term in terms])
        np.testing.assert_allclose(res.bse[terms], first.bse[terms] * sizes, rtol=1e-7, err_msg=told)
    # dummies for effects, rows so many times for weights
    dummies = quiet(lambda: run(data, [*terms, *(f"C({effect})" for effect in effects)], []))
    np.testing.assert_allclose(dummies.params[terms], first.params[terms], rtol=1e-8)
    weighted = quiet(lambda: run(data, terms, weights="w"))
    copies = data.loc[data.index.repeat(data["w"])]
    np.testing.assert_allclose(quiet(lambda: run(copies, terms)).params[terms], weighted.params[terms], rtol=1e-8)


@pytest.mark.parametrize("seed", range(DRAWS["partialled"]))
def test_linear_models_do_not_move(seed: int) -> None:
    check_partialled(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(DRAWS["partialled"], MANY["partialled"]))
def test_linear_models_do_not_move_in_many_draws(seed: int) -> None:
    check_partialled(seed)
