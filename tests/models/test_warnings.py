"""Warnings: of which kind, what they name, where they point, and that there are no others."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gifepanel.formula.api as gfa
from gifepanel import GroupedIFE, InteractiveFE
from gifepanel.datasets import simulate
from gifepanel.exceptions import CollinearityWarning, ConvergenceWarning, SpecificationWarning

COUNTS = {"n_groups": 2, "n_factors": 1}


def caught_in(call: Callable[[], Any]) -> tuple[Any, list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        return call(), found


def points_here(found: warnings.WarningMessage, call: Callable[[], Any]) -> bool:
    lines, first = inspect.getsourcelines(call)
    return found.filename == __file__ and first <= found.lineno < first + len(lines)


@pytest.mark.parametrize(
    ("formula", "dropped", "why"),
    [
        ("y ~ x1 + size | entity", "size", "absorbed by the effects of entity"),
        ("y ~ x1 + constant | entity", "constant", "absorbed by the effects of entity"),
        ("y ~ x1 + trend | time", "trend", "absorbed by the effects of time"),
        ("y ~ x1 + size | entity + time", "size", "absorbed by the effects of entity and time"),
        ("y ~ x1 + constant", "constant", "a multiple of Intercept"),
        ("y ~ x1 + x2 + trend + both | entity", "both", "a linear combination of x1, x2"),
    ],
)
def test_dropped_regressors(panel: pd.DataFrame, formula: str, dropped: str, why: str) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: GroupedIFE.from_formula(formula, panel, **COUNTS),
        lambda: InteractiveFE.from_formula(formula, panel, n_factors=1),
        lambda: gfa.gife(formula, panel, **COUNTS),
        lambda: gfa.ife(formula, panel, n_factors=1),
    ]
    for call in calls:
        model, found = caught_in(call)
        assert [w.category for w in found] == [CollinearityWarning]
        assert str(found[0].message).startswith(f"{dropped} was dropped: it is {why}.")
        assert points_here(found[0], call)
        assert model.dropped == (dropped,) and dropped not in model.exog_names
    rest = formula.replace(f" + {dropped}", "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        res = InteractiveFE.from_formula(formula, panel, n_factors=1).fit()
    without = InteractiveFE.from_formula(rest, panel, n_factors=1).fit()
    np.testing.assert_allclose(res.params, without.params, rtol=1e-9)
    assert dropped in res.summary().as_text().split("Dropped")[1]


def test_dropped_from_frames(panel: pd.DataFrame) -> None:
    y, x = panel["y"], panel[["x1", "size", "x2"]]
    call = lambda: GroupedIFE(y, x, absorb="entity", **COUNTS)  # noqa: E731
    model, found = caught_in(call)
    assert len(found) == 1 and points_here(found[0], call) and model.exog_names == ["x1", "x2"]
    cube = caught_in(lambda: InteractiveFE(y.unstack().to_numpy(), x.to_numpy().reshape(24, 20, 3), n_factors=1))
    assert cube[1] == []


def test_time_invariant_regressors_stay_without_effects(panel: pd.DataFrame) -> None:
    model, found = caught_in(lambda: InteractiveFE.from_formula("y ~ x1 + size", panel, n_factors=2))
    assert found == [] and model.exog_names == ["Intercept", "x1", "size"]


@pytest.mark.parametrize(
    "model",
    [
        lambda data: GroupedIFE.from_formula("y ~ 0 + x1 + x2", data, n_groups=3, n_factors=2),
        lambda data: InteractiveFE.from_formula("y ~ x1 + x2", data, n_factors=2),
    ],
    ids=["grouped", "interactive"],
)
def test_too_few_iterations(panel: pd.DataFrame, model: Callable[[pd.DataFrame], Any]) -> None:
    ready = model(panel)
    call = lambda: ready.fit(max_iter=1)  # noqa: E731
    res, found = caught_in(call)
    assert {w.category for w in found} == {ConvergenceWarning}
    assert all(points_here(w, call) for w in found)
    assert not res.converged and "NOT CONVERGED" in res.summary().as_text()
    assert "max_iter=10" in str(found[0].message)
    settled, none = caught_in(ready.fit)
    assert none == [] and settled.converged and "NOT CONVERGED" not in settled.summary().as_text()


def test_groups_of_one(panel: pd.DataFrame) -> None:
    odd = panel.copy()
    odd.loc[4, "y"] = odd.loc[4, "y"].to_numpy() + 25 * odd.loc[4, "x1"].to_numpy()
    model = GroupedIFE.from_formula("y ~ 0 + x1 + x2", odd, n_groups=4, n_factors=2)
    call = lambda: model.fit()  # noqa: E731
    res, found = caught_in(call)
    assert res.group_sizes.min() == 1
    warned = [w for w in found if w.category is SpecificationWarning]
    assert len(warned) == len(found) == 1 and points_here(warned[0], call)
    alone = res.groups.index[res.groups == res.group_sizes.idxmin()][0]
    assert alone == 4 and "has one entity: 4." in str(warned[0].message)
    assert warned[0].message.fix == "n_groups=3"


def test_many_groups_of_one_are_listed_in_short(panel: pd.DataFrame) -> None:
    model = GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel, n_groups=24, n_factors=1)
    _, found = caught_in(model.fit)
    messages = [str(w.message) for w in found if w.category is SpecificationWarning]
    assert len(messages) == 1 and "and 19 more" in messages[0] and len(messages[0]) < 250


def test_indefinite_covariance(panel: pd.DataFrame) -> None:
    rng = np.random.default_rng(0)
    ways = [rng.integers(0, 3, len(panel)), rng.integers(0, 3, len(panel))]
    model = InteractiveFE.from_formula("y ~ 0 + x1 + x2", panel, n_factors=2)
    call = lambda: model.fit(cov_type="cluster", cov_kwds={"groups": ways})  # noqa: E731
    _, found = caught_in(call)
    assert [w.category for w in found] == [SpecificationWarning] and points_here(found[0], call)
    assert "not positive semidefinite" in str(found[0].message)


def test_groups_from_few_periods_are_told() -> None:
    panel = simulate("S", n_entities=30, n_times=9, random_state=0)
    model = GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=1)
    with pytest.warns(SpecificationWarning, match="found from 9 periods of each entity") as said:
        model.fit()
    assert said[0].filename == __file__
    longer = simulate("S", n_entities=30, n_times=10, random_state=0).data
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GroupedIFE.from_formula("y ~ 0 + x1 + x2", longer, n_groups=3, n_factors=1).fit()
        GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=1, n_factors=1).fit()
