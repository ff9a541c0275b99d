"""Simulated panels against the equations they are drawn from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gifepanel.datasets import SimulatedPanel, simulate
from gifepanel.exceptions import SpecificationError

DESIGNS = ("S", "D", "P", "G")
SLOPES = {
    "S": [[0.4, 1.6], [1.0, 1.0], [1.6, 0.4]],
    "D": [[0.4, 1.6, 0.4], [0.6, 1.0, 1.0], [0.8, 0.4, 1.6]],
    "P": [[0.4, 1.6], [1.0, 1.0], [1.6, 0.4]],
    "G": [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0], [3.0, 3.0, 3.0]],
}
SHARES = {"S": [30, 30, 40], "D": [40, 30, 30], "P": [30, 30, 40]}
FACTORS = {"S": 2, "D": 2, "P": 0, "G": 3}


@pytest.fixture(scope="module", params=DESIGNS)
def panel(request: pytest.FixtureRequest) -> SimulatedPanel:
    return simulate(request.param, n_entities=100, n_times=60, random_state=3)


@pytest.fixture(scope="module")
def large() -> dict[str, SimulatedPanel]:
    """Panels large enough for moments."""
    return {design: simulate(design, n_entities=600, n_times=400, random_state=11) for design in DESIGNS}


def test_shapes_and_numbers(panel: SimulatedPanel) -> None:
    truth, (k, p) = panel.truth, panel.truth.alpha.shape
    assert panel.y.shape == (100, 60) and panel.x.shape == (100, 60, p)
    assert truth.factors.shape == (60, panel.n_factors) and truth.loadings.shape == (100, panel.n_factors)
    assert truth.errors.shape == (100, 60) and truth.effects.shape == (100,)
    assert (panel.n_groups, panel.n_factors) == (k, FACTORS[panel.design])
    np.testing.assert_array_equal(truth.alpha, SLOPES[panel.design])
    for array in (panel.y, panel.x):
        assert array.dtype == np.float64 and array.flags.c_contiguous


def test_shares_of_the_groups(panel: SimulatedPanel) -> None:
    counts = np.bincount(panel.truth.groups, minlength=4)
    assert counts[0] == 0 and counts.sum() == 100
    if panel.design in SHARES:
        assert list(counts[1:]) == SHARES[panel.design]


def test_truth_adds_up_to_the_outcome(panel: SimulatedPanel) -> None:
    truth = panel.truth
    for i in range(100):
        parts = panel.x[i] @ truth.alpha[truth.groups[i] - 1] + truth.effects[i]
        parts = parts + truth.factors @ truth.loadings[i] + truth.errors[i]
        np.testing.assert_allclose(panel.y[i], parts, rtol=0, atol=1e-12)


def test_frame_holds_the_arrays(panel: SimulatedPanel) -> None:
    data, lagged = panel.data, panel.design == "D"
    assert data.index.names == ["entity", "time"] and data.index.is_monotonic_increasing
    assert list(data.index.levels[0]) == list(range(1, 101))
    assert list(data.index.levels[1]) == list(range(0 if lagged else 1, 61))
    current = data[data.index.get_level_values("time") >= 1]
    np.testing.assert_array_equal(current["y"].to_numpy().reshape(100, 60), panel.y)
    exogenous = panel.x[:, :, 1:] if lagged else panel.x
    names = [f"x{j + 1}" for j in range(exogenous.shape[2])]
    np.testing.assert_array_equal(current[names].to_numpy().reshape(exogenous.shape), exogenous)
    if lagged:
        before = data["y"].groupby("entity").shift(1).dropna()
        np.testing.assert_array_equal(before.to_numpy().reshape(100, 60), panel.x[:, :, 0])


def test_a_seed_is_a_panel(panel: SimulatedPanel) -> None:
    same = simulate(panel.design, 100, 60, random_state=3)  # type: ignore[arg-type]
    from_generator = simulate(panel.design, 100, 60, random_state=np.random.default_rng(3))  # type: ignore[arg-type]
    other = simulate(panel.design, 100, 60, random_state=4)  # type: ignore[arg-type]
    np.testing.assert_array_equal(panel.y, same.y)
    np.testing.assert_array_equal(panel.y, from_generator.y)
    assert not np.isclose(panel.y, other.y).any()


def test_known_groups_and_factors_give_the_slopes(panel: SimulatedPanel) -> None:
    """Least squares with groups and factors known: every slope within four standard errors."""
    truth = panel.truth
    known = truth.effects[:, None] + truth.loadings @ truth.factors.T
    for k, alpha in enumerate(truth.alpha, start=1):
        members = truth.groups == k
        x = panel.x[members].reshape(-1, alpha.size)
        y = (panel.y - known)[members].ravel()
        estimate = np.linalg.solve(x.T @ x, x.T @ y)
        standard_errors = np.sqrt(np.diag(np.linalg.inv(x.T @ x)))
        assert (np.abs(estimate - alpha) < 4 * standard_errors).all()
        # and with the factors alone: loadings of every entity estimated, slopes partialled out
        if truth.factors.size:
            q = np.linalg.qr(truth.factors)[0]
            z = panel.x[members] - np.einsum("itj,tr,sr->isj", panel.x[members], q, q)
            z, w = z.reshape(-1, alpha.size), (panel.y - panel.y @ q @ q.T)[members].ravel()
            standard_errors = np.sqrt(np.diag(np.linalg.inv(z.T @ z)))
            assert (np.abs(np.linalg.solve(z.T @ z, z.T @ w) - alpha) < 4 * standard_errors).all()


def moments(values: Any) -> tuple[float, float]:
    return float(np.mean(values)), float(np.var(values))


def test_moments_of_errors_loadings_and_effects(large: dict[str, SimulatedPanel]) -> None:
    for panel in large.values():
        assert moments(panel.truth.errors) == pytest.approx((0.0, 1.0), abs=0.015)
    for design in "SD":
        loadings = large[design].truth.loadings
        # 1200 draws: standard errors .03 of the mean, .04 of the variance
        assert moments(loadings) == pytest.approx((0.5, 1.0), abs=0.14)
        assert np.corrcoef(loadings.T)[0, 1] == pytest.approx(0.0, abs=0.14)
    assert moments(large["P"].truth.effects) == pytest.approx((0.0, 1.0), abs=0.2)
    own = large["G"].truth.loadings[np.arange(600), large["G"].truth.groups - 1]
    assert own.min() >= 1.0 and own.max() <= 5.0
    assert moments(own) == pytest.approx((3.0, 16 / 12), abs=0.2)
    assert np.count_nonzero(large["G"].truth.loadings) == 600


def test_regressors_of_the_static_design(large: dict[str, SimulatedPanel]) -> None:
    truth, x = large["S"].truth, large["S"].x
    common = truth.loadings @ truth.factors.T
    shift = 0.5 * common + 0.25 * truth.loadings.sum(axis=1)[:, None] + 0.25 * truth.factors.sum(axis=1)
    for j in range(2):
        assert moments(x[:, :, j] - shift) == pytest.approx((0.0, 1.0), abs=0.015)
    noise = x - shift[:, :, None]
    assert np.corrcoef(noise[:, :, 0].ravel(), noise[:, :, 1].ravel())[0, 1] == pytest.approx(0.0, abs=0.015)


def test_dynamic_design(large: dict[str, SimulatedPanel]) -> None:
    truth, x = large["D"].truth, large["D"].x
    common = truth.loadings @ truth.factors.T
    assert moments(x[:, :, 1] - 0.25 * common) == pytest.approx((0.0, 1.0), abs=0.015)
    assert moments(x[:, :, 2] - 0.25 * common) == pytest.approx((0.0, 1.0), abs=0.015)
    factors = simulate("D", 3, 100_000, random_state=5).truth.factors
    assert moments(factors) == pytest.approx((0.0, 1.0), abs=0.03)
    assert autocorrelation(factors) == pytest.approx(0.5, abs=0.02)
    # 50 periods of burn-in: the first usable period is as spread out as the last
    early, late = np.var(x[:, :100, 0]), np.var(x[:, -100:, 0])
    assert 0.7 < early / late < 1.4


def test_factors_of_the_static_design_are_white_and_those_of_g_persistent() -> None:
    static = simulate("S", 3, 100_000, random_state=6).truth.factors
    assert moments(static) == pytest.approx((0.0, 1.0), abs=0.02)
    assert autocorrelation(static) == pytest.approx(0.0, abs=0.02)
    grouped = simulate("G", 3, 100_000, random_state=6).truth.factors
    assert autocorrelation(grouped) == pytest.approx(0.8, abs=0.02)
    assert np.var(grouped[1:] - 0.8 * grouped[:-1]) == pytest.approx(1.0, abs=0.02)


def autocorrelation(factors: Any) -> float:
    return float(np.mean([np.corrcoef(f[1:], f[:-1])[0, 1] for f in factors.T]))


def test_additive_design(large: dict[str, SimulatedPanel]) -> None:
    panel = large["P"]
    noise = panel.x - 0.2 * panel.truth.effects[:, None, None]
    assert moments(noise) == pytest.approx((0.0, 1.0), abs=0.015)


def test_groups_of_g_are_uniform_and_their_number_free() -> None:
    panel = simulate("G", 6000, 2, n_groups=6)
    assert panel.truth.alpha.shape == (6, 3) and panel.n_factors == 6
    np.testing.assert_allclose(np.bincount(panel.truth.groups)[1:], 1000, atol=150)


@pytest.mark.parametrize("n_entities", [3, 4, 5, 7, 11])
@pytest.mark.parametrize("design", ["S", "D", "P"])
def test_small_panels_have_no_empty_group(design: Any, n_entities: int) -> None:
    groups = simulate(design, n_entities, 2).truth.groups
    assert len(groups) == n_entities and set(groups) == {1, 2, 3}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"design": "Z"}, "no design 'Z'"),
        ({"design": "S", "n_groups": 4}, r'simulate\("G", n_groups=4\)'),
        ({"design": "S", "n_entities": 2}, "2 entities"),
        ({"design": "G", "n_times": 0}, "0 periods"),
    ],
)
def test_impossible_panels_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        simulate(**arguments)


def test_unknown_option_is_refused() -> None:
    with pytest.raises(TypeError, match="noise"):
        simulate("S", noise=2.0)  # type: ignore[call-arg]
