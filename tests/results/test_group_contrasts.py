"""Comparisons of estimated groups say that they are naive, once, and other tests say nothing."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import gifepanel as gife
from gifepanel.exceptions import SpecificationWarning
from gifepanel.results.group_contrasts import NaiveContrast, compared_groups


@pytest.fixture(scope="module")
def grouped() -> Any:
    panel = gife.datasets.simulate("S", 30, 12, random_state=1)
    model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2, common=["x2"])
    return model.fit(cov_type="cluster")


NAIVE = [
    lambda r: r.f_test("x1[1] = x1[2]"),
    lambda r: r.f_test("x1[1] = x1[2] = x1[3]"),
    lambda r: r.wald_test("x1[1] - x1[2] = 0.5, x2 = 0", use_f=False),
    lambda r: r.wald_test("2 * x1[1] = 2 * x1[3]", scalar=False),
    lambda r: r.wald_test("x1[1] + x1[2] - 2 * x1[3] = 0", use_f=True),
    lambda r: r.t_test("x1[3] = x1[2], x2 = 1"),
    lambda r: r.f_test(np.array([[0.0, 1.0, -1.0, 0.0]])),
    # the two rows together compare groups, neither alone does
    lambda r: r.f_test("x1[1] + x2 = 1, x1[2] + x2 = 1"),
    lambda r: r.wald_test(np.array([[0.0, 1.0, -1.0, 0.0]]), invcov=np.eye(1), use_f=True),
]
FINE = [
    lambda r: r.f_test("x1[1] = 1"),
    lambda r: r.f_test("x1[1] = 0, x1[2] = 0"),
    lambda r: r.f_test("x1[1] = x1[2] = 0"),
    lambda r: r.f_test("x1[1] - x1[2] = 0, x1[1] + x1[2] = 2"),
    lambda r: r.f_test("x1[1] + x1[2] + x1[3] = 3"),
    lambda r: r.t_test(np.eye(4)),
    lambda r: r.t_test("x1[1] = x2"),
    lambda r: r.f_test(np.eye(4)),
    lambda r: r.wald_test_terms(),
    lambda r: r.fvalue,
    lambda r: r.report(plots=False),
]


@pytest.mark.parametrize("call", NAIVE)
def test_naive_tests_say_so_once_and_are_the_same_test(grouped: Any, call: Any) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        test = call(grouped)
    assert [w.category for w in said] == [SpecificationWarning] and said[0].filename == __file__
    message = said[0].message
    assert "as if the groups had been given" in message.found and message.fix == 'res.test_common("x1")'
    assert isinstance(test, NaiveContrast) and "formed to differ" in test.note
    assert test.note in " ".join(str(test).split())
    assert "res.test_groups()" in test.note and repr(test) == str(test)
    known = call(grouped.get_robustcov_results("cluster", groups_known=True))
    assert not isinstance(known, NaiveContrast) and np.shape(known.statistic) == np.shape(test.statistic)


@pytest.mark.parametrize("call", FINE)
def test_others_say_nothing(grouped: Any, call: Any) -> None:
    assert not isinstance(call(grouped), NaiveContrast)


def test_groups_and_regressors_are_named(grouped: Any) -> None:
    with pytest.warns(SpecificationWarning, match="The slope of x1 in groups 1, 2 and 3 was compared"):
        grouped.f_test("x1[1] = x1[2] = x1[3]")


def test_one_group_and_no_groups_are_silent() -> None:
    panel = gife.datasets.simulate("S", 20, 12, random_state=1)
    one = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=1, n_factors=1).fit()
    assert not isinstance(one.f_test("x1[1] = x2[1]"), NaiveContrast)
    ols = gife.PartialledOLS.from_formula("y ~ x1 + x2", panel.data).fit()
    assert not isinstance(ols.t_test("x1 = x2"), NaiveContrast)


def test_comparisons_are_seen_whatever_the_units() -> None:
    slots = np.array([[0, 1], [2, 3]])
    for unit in (1e-6, 1.0, 1e6):
        lengths = np.array([unit, 1.0, unit, 3.0])
        matrix = np.array([[1.0, 5.0, 0.0, 0.0], [0.0, 5.0, 1.0, 0.0]])
        assert compared_groups(matrix, slots, lengths, joint=True) == [(0, 0, 1)]
        assert compared_groups(matrix, slots, lengths, joint=False) == []
        assert compared_groups(np.eye(4), slots, lengths, joint=True) == []
