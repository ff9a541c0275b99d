"""Coefficients of other sizes beside each other, and coefficients that are one over time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib import pyplot as plt

from gifepanel import GroupedIFE, PartialledOLS
from gifepanel.datasets import load_cigar
from gifepanel.exceptions import SpecificationError

STUDY = "C(year, Treatment(1977)):treated"


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def study() -> Any:
    data = load_cigar().reset_index()
    data["treated"] = (data["state"] < "K") * 1.0
    data["thousands"] = data["ndi"] / 1000
    data["rate"] = data["price"] / 10
    formula = f"sales ~ {STUDY} + rate + ndi | state + year"
    return PartialledOLS.from_formula(formula, data, entity="state", time="year").fit()


def drawn(ax: Any) -> list[float]:
    return [float(bar.lines[0].get_xdata()[0]) for bar in ax.containers]


def test_rows_of_another_size_have_a_scale_of_their_own(study: Any) -> None:
    first, second = study.plot.coefficients(["ndi", "rate"])
    for ax, name in ((first, "ndi"), (second, "rate")):
        assert [label.get_text() for label in ax.get_yticklabels()] == [name]
        assert drawn(ax) == [study.params[name]]
        low, high = ax.get_xlim()
        assert (study.conf_int().loc[name].diff().iloc[1]) > 0.05 * (high - low)
    assert "scales differ" in second.get_xlabel()
    assert drawn(study.plot.coefficients(["ndi", "rate"], separate=False)) == list(study.params[["ndi", "rate"]])
    given = plt.subplots()[1]
    assert study.plot.coefficients(["ndi", "rate"], ax=given) is given and len(given.containers) == 2
    assert len(study.plot.coefficients(["ndi", "rate"], separate=True)) == 2
    with pytest.raises(SpecificationError, match=r"names is empty"):
        study.plot.coefficients([])


def test_periods_are_a_time_axis(study: Any) -> None:
    axes = study.plot.coefficients()
    assert [len(ax.containers) for ax in axes] == [1, 1, 1]
    alone = study.plot.coefficients(STUDY)
    for ax in (axes[0], alone):
        points = ax.containers[0].lines[0]
        years = [year for year in range(1963, 1993) if year != 1977]
        np.testing.assert_array_equal(points.get_xdata(), years)
        own = [f"C(year, Treatment(1977))[T.{year}]:treated" for year in years]
        np.testing.assert_array_equal(points.get_ydata(), study.params[own])
        (hollow,) = [line for line in ax.lines if line.get_markerfacecolor() == "white"]
        assert (hollow.get_xdata()[0], hollow.get_ydata()[0]) == (1977.0, 0.0)
        assert ax.get_xlabel() == "year (hollow: the reference, 1977)"
    assert len(study.plot.coefficients(separate=False).containers) == 31


def test_lags_of_groups_are_side_by_side() -> None:
    formula = "log(sales) ~ log(price) + L(log(price), 1:2) | state"
    res = GroupedIFE.from_formula(formula, load_cigar(), n_groups=2, n_factors=1).fit(n_starts=1)
    ax = res.plot.coefficients()
    assert ax.get_title(loc="left") == "log(price)" and len(ax.containers) == 2
    for k, bars in enumerate(ax.containers, start=1):
        np.testing.assert_allclose(bars.lines[0].get_ydata(), res.params_by_group.loc[k])
        np.testing.assert_array_equal(np.rint(bars.lines[0].get_xdata()), [0, 1, 2])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        f"group {k} (n = {n})" for k, n in res.group_sizes.items()
    ]
