"""The half-panel jackknife refuses halves that do not identify a slope, with its name, before any work."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gifepanel import GroupedIFE, InteractiveFE
from gifepanel.exceptions import SpecificationError
from gifepanel.models import grouped, interactive, open_numbers

MODELS: list[tuple[Any, dict[str, Any]]] = [
    (InteractiveFE, {"n_factors": 1}),
    (InteractiveFE, {"n_factors": 0}),
    (InteractiveFE, {"n_factors": "auto"}),
    (GroupedIFE, {"n_factors": 1, "n_groups": 2}),
]


@cache
def panel(t: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n, middle = 20, 1980 + t // 2
    index = pd.MultiIndex.from_product([range(n), range(1980, 1980 + t)], names=["firm", "year"])
    firm, year = (index.get_level_values(name) for name in ("firm", "year"))
    load, factor = rng.normal(size=n), rng.normal(size=t)
    x, noise = rng.normal(size=(2, n * t))
    d = pd.DataFrame({"x": x, "y": x * (1 + firm % 2) + np.outer(load, factor).ravel() + noise}, index=index)
    d["late"] = rng.normal(size=n * t) * (year > middle)
    d["once"] = (firm % 2) * (year == 1980 + t - 2) * 1.0
    d["step"] = ((firm % 3 == 0) & (year >= middle)) * 1.0
    d["twin"] = d["x"].where(year < middle, rng.normal(size=n * t))
    d["shock"] = rng.normal(size=n * t)
    return d


@pytest.mark.parametrize(("model", "options"), MODELS)
@pytest.mark.parametrize("t", [10, 11])
@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("y ~ 0 + x + late", r"first, 1980 to 1984, late does not vary\."),
        ("y ~ 0 + x + once", r"first, 1980 to 1984, once does not vary\."),
        ("y ~ x + step | firm", "step does not vary beyond the absorbed effects"),
        ("y ~ x + late | firm + year", "late does not vary beyond the absorbed effects"),
        ("y ~ 0 + x + twin", "first, 1980 to 1984, twin is a multiple of x"),
        ("y ~ L(y) + x + step | firm", "step does not vary beyond the absorbed effects"),
    ],
)
def test_refused_before_any_work(
    model: Any, options: dict[str, Any], t: int, formula: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (interactive, grouped, open_numbers):
        monkeypatch.setattr(module, "prepare_panel", lambda *a, **k: pytest.fail("work was done"))
    with pytest.raises(SpecificationError, match=words) as caught:
        model.from_formula(formula, panel(t), **options).fit(bias_correction="jackknife")
    assert caught.value.fix == "bias_correction=True" and "Each half" in str(caught.value.needed)


def test_what_it_proposes_works_and_good_halves_stay() -> None:
    model = InteractiveFE.from_formula("y ~ 0 + x + late", panel(10), n_factors=1)
    assert np.isfinite(model.fit(bias_correction=True).params).all()
    for t in (10, 11):
        for kind, options in (MODELS[0], MODELS[3]):
            res = kind.from_formula("y ~ x + shock | firm", panel(t), **options).fit(bias_correction="jackknife")
            assert (np.abs(res.params - res.params_uncorrected) < 0.7).all()


def test_groups_must_be_identified_in_each_half() -> None:
    """Known after the groups are: in one of them the regressor stands still in the first half."""
    d = panel(10)
    firm, year = (d.index.get_level_values(name) for name in ("firm", "year"))
    slopes = np.where(firm % 2 == 1, 4.0, -4.0)
    x = np.where((firm % 2 == 1) & (year < 1985), 0.0, d["shock"])
    d = d.assign(z=x, y=slopes * x + np.where(firm % 2 == 1, 5.0, -5.0) * d["x"] + 0.1 * d["late"])
    model = GroupedIFE.from_formula("y ~ 0 + x + z", d, n_groups=2, n_factors=0)
    with pytest.raises(SpecificationError, match=r"first, 1980 to 1984, z\[\d\] does not vary"):
        model.fit(bias_correction="jackknife")
