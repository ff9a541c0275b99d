"""What holds arrays prints its shapes, in five lines at most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import gifepanel as gife
from gifepanel.short_repr import ShortRepr


@dataclass(frozen=True, repr=False, eq=False)
class Held(ShortRepr):
    array: Any
    number: float
    flag: bool
    text: str
    nothing: None = None
    many: tuple[int, ...] = tuple(range(100))
    few: tuple[int, ...] = (1, 2)
    scalar: Any = None
    other: Any = None


def test_fields() -> None:
    shown = " ".join(
        repr(Held(np.zeros((3, 1000)), 1 / 3, True, "x" * 50, scalar=np.float64(1 / 3), other=object())).split()
    )
    assert shown == (
        f"Held(array=<array 3 x 1,000>, number=0.333333, flag=True, text='{'x' * 37}...', nothing=None, "
        "many=<tuple of 100>, few=(1, 2), scalar=0.333333, other=<object>)"
    )


@pytest.fixture(scope="module")
def fits() -> tuple[Any, ...]:
    panel = gife.datasets.simulate("S", 20, 12, random_state=1)
    grouped = gife.GroupedIFE.from_formula(panel.formula, panel.data, n_groups=2, n_factors=1).fit()
    linear = gife.PartialledOLS.from_formula("y ~ x1 + x2 | entity", panel.data).fit(cov_type="cluster")
    inference = grouped._inference
    held = (panel, panel.truth, grouped.penalized, inference, inference.estimate, inference.covariance)
    return (
        *held,
        grouped.model.design,
        grouped.model.design.index,
        linear.wild_bootstrap("x1", n_draws=99),
        linear.fwl(),
    )


def test_what_results_hand_out_is_short(fits: tuple[Any, ...]) -> None:
    for one in fits:
        lines = repr(one).splitlines()
        assert lines[0].startswith(f"{type(one).__name__}(") and len(lines) <= 5
        assert max(map(len, lines)) <= 80, lines
        assert "array([" not in repr(one)
