"""String hypotheses: the same under both of statsmodels' formula engines, and readable errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import statsmodels.formula

from gifepanel.exceptions import SpecificationError

P, INC = "log(real_price)", "log(real_income)"


@pytest.fixture(params=["patsy", "formulaic"])
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    options = getattr(statsmodels.formula, "options", None)
    if options is None:
        pytest.skip("this statsmodels has one formula engine")
    before = options.formula_engine
    options.formula_engine = request.param
    yield request.param
    options.formula_engine = before


HYPOTHESES = {
    f"{P}[1] = {P}[2]": ([[1, 0, -1, 0, 0, 0]], [0]),
    f"{P}[1] = {P}[2] = {P}[3]": ([[1, 0, -1, 0, 0, 0], [0, 0, 1, 0, -1, 0]], [0, 0]),
    f"{P}[1] = {INC}[3] = 0": ([[1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]], [0, 0]),
    f"{P}[1] = -0.5": ([[1, 0, 0, 0, 0, 0]], [-0.5]),
    f"-{P}[1] = 5e-1": ([[-1, 0, 0, 0, 0, 0]], [0.5]),
    f"2*{P}[1] - 1.5E+0*{INC}[2] = 1e-3": ([[2, 0, 0, -1.5, 0, 0]], [1e-3]),
    f"{P}[1] = 0, {INC}[1] = 0": ([[1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0]], [0, 0]),
    f"{P}[1]": ([[1, 0, 0, 0, 0, 0]], [0]),
}


@pytest.mark.parametrize("text", list(HYPOTHESES))
@pytest.mark.filterwarnings("ignore:.* compared as if the groups had been given")
def test_strings_are_matrices(grouped: Any, engine: str, text: str) -> None:
    matrix, q = (np.array(part, dtype=float) for part in HYPOTHESES[text])
    gap = matrix @ grouped.params.to_numpy() - q
    middle = matrix @ grouped.cov_params().to_numpy() @ matrix.T
    wald = float(gap @ np.linalg.solve(middle, gap))
    assert float(grouped.wald_test(text, use_f=False).statistic) == pytest.approx(wald, rel=1e-9)
    f = grouped.f_test(text)
    assert float(f.fvalue) == pytest.approx(wald / len(q), rel=1e-9)
    assert f.df_num == len(q) and f.df_denom == grouped.df_resid
    assert float(grouped.f_test((matrix, q)).fvalue) == pytest.approx(wald / len(q), rel=1e-9)
    if len(q) == 1:
        t = grouped.t_test(text)
        assert float(t.tvalue.squeeze()) == pytest.approx(float(gap[0] / np.sqrt(middle[0, 0])), rel=1e-9)
        assert float(np.squeeze(t.pvalue)) == pytest.approx(float(f.pvalue), rel=1e-6, abs=1e-300)


def test_lists_and_dicts(grouped: Any) -> None:
    expected = float(grouped.f_test(f"{P}[1] = 0, {P}[2] = 0").fvalue)
    assert float(grouped.f_test([f"{P}[1] = 0", f"{P}[2] = 0"]).fvalue) == pytest.approx(expected)
    assert float(grouped.f_test({f"{P}[1]": 0, f"{P}[2]": 0}).fvalue) == pytest.approx(expected)


def test_robust_fits_test_with_their_covariance(mixed: Any, single: Any) -> None:
    z = mixed.params[f"{P}[1]"] / mixed.bse[f"{P}[1]"]
    assert float(mixed.wald_test(f"{P}[1] = 0").statistic) == pytest.approx(z**2)
    assert single.f_test(f"{P} = 0").df_denom == 45  # clusters less one
    assert single.conf_int().shape == (2, 2)


def test_the_interval_is_the_set_of_hypotheses_not_rejected(grouped: Any) -> None:
    low, high = grouped.conf_int(alpha=0.1).loc[f"{P}[2]"]
    for end in (low, high):
        assert float(grouped.f_test(f"{P}[2] = {end:.15g}").pvalue) == pytest.approx(0.1, rel=1e-6)


@pytest.mark.parametrize("text", [f"{P} = 0", f"{P}[4] = 0", "nonsense = 0", f"{P}[1] = ", "== 0"])
def test_unreadable(grouped: Any, text: str) -> None:
    with pytest.raises(SpecificationError) as caught:
        grouped.f_test(text)
    assert text in caught.value.found and f"{P}[1]" in str(caught.value.needed)
    grouped.f_test(str(caught.value.fix).strip('"'))
    if text.startswith(P):
        assert caught.value.fix == f'"{P}[1] = 0"'


@pytest.mark.parametrize("matrix", [np.eye(3), np.ones(5), (np.eye(2), [0, 0]), 1.0])
def test_matrices_of_the_wrong_width(grouped: Any, matrix: Any) -> None:
    for test in (grouped.f_test, grouped.t_test, grouped.wald_test):
        with pytest.raises(SpecificationError, match="6 columns"):
            test(matrix)
