"""Long-run effects and responses against finite differences, inverted tests and the equation run forward."""

from __future__ import annotations

import numpy as np
import pytest

from gifepanel.inference.dynamics import DynamicEquation, fieller_limits, impulse_responses, long_run_effects

# y_t = r1 y_{t-1} + r2 y_{t-2} + b0 x_t + b1 x_{t-1} + c w_t
OUTCOME = np.zeros((3, 5))
OUTCOME[1, 0] = OUTCOME[2, 1] = 1.0
INPUTS = np.zeros((2, 3, 5))
INPUTS[0, 0, 2] = INPUTS[0, 1, 3] = INPUTS[1, 0, 4] = 1.0
EQUATION = DynamicEquation(np.array([1.0, 0.0, 0.0]), OUTCOME, INPUTS)
THETA = np.array([0.5, 0.2, 1.0, -0.3, 2.0])
_ROOT = np.random.default_rng(0).standard_normal((5, 5)) / 20
COV = _ROOT @ _ROOT.T


def forward(theta: np.ndarray, periods: int) -> np.ndarray:
    """Responses to steps in x and in w, the equation run period by period."""
    out = np.zeros((2, periods + 1))
    for j, step in enumerate(((1.0, 0.0), (0.0, 1.0))):
        y = np.zeros(periods + 3)
        for s in range(periods + 1):
            x, before, w = step[0], step[0] * (s > 0), step[1]
            y[s + 2] = theta[0] * y[s + 1] + theta[1] * y[s] + theta[2] * x + theta[3] * before + theta[4] * w
        out[j] = y[2:]
    return out


def differences(function: object, theta: np.ndarray) -> np.ndarray:
    step = 1e-6
    return np.stack([(function(theta + e) - function(theta - e)) / (2 * step) for e in step * np.eye(5)], axis=-1)  # type: ignore[operator]


def test_long_run_effects_and_their_errors() -> None:
    def effect(theta: np.ndarray) -> np.ndarray:
        return np.array([theta[2] + theta[3], theta[4]]) / (1 - theta[0] - theta[1])

    found = long_run_effects(EQUATION, THETA, COV, 1.96)
    np.testing.assert_allclose(found.effect, effect(THETA), rtol=1e-14)
    gradient = differences(effect, THETA)
    np.testing.assert_allclose(found.se**2, np.einsum("kq,qr,kr->k", gradient, COV, gradient), rtol=1e-7)
    np.testing.assert_allclose(forward(THETA, 400)[:, -1], found.effect, rtol=1e-10)


@pytest.mark.parametrize("permanent", [True, False])
def test_responses_are_those_of_the_equation_run_forward(permanent: bool) -> None:
    def run(theta: np.ndarray) -> np.ndarray:
        steps = forward(theta, 12)
        return steps if permanent else np.diff(steps, axis=1, prepend=0.0)

    response, se = impulse_responses(EQUATION, THETA, COV, 12, permanent=permanent)
    np.testing.assert_allclose(response, run(THETA), rtol=1e-12, atol=1e-14)
    gradient = differences(run, THETA)
    np.testing.assert_allclose(se**2, np.einsum("ksq,qr,ksr->ks", gradient, COV, gradient), rtol=1e-6, atol=1e-12)


def test_fieller_sets_are_inverted_tests() -> None:
    rng = np.random.default_rng(1)
    kinds = set()
    for _ in range(300):
        above, below = rng.normal(0, 1, 2)
        root = rng.normal(0, 0.6, (2, 2))
        v = root @ root.T
        low, high = fieller_limits(above, below, v[0, 0], v[0, 1], v[1, 1], 1.96)
        kinds.add("all" if np.isinf(low) else "interval" if low <= high else "rays")
        for ratio in rng.normal(0, 3, 8):
            kept = (above - ratio * below) ** 2 <= 1.96**2 * (v[0, 0] - 2 * ratio * v[0, 1] + ratio**2 * v[1, 1])
            inside = low <= ratio <= high if low <= high else not high < ratio < low
            assert kept == inside
    assert kinds == {"all", "interval", "rays"}


def test_stability() -> None:
    assert EQUATION.stable(THETA)
    assert not EQUATION.stable(np.array([0.9, 0.2, 0.0, 0.0, 0.0]))
    assert not EQUATION.stable(np.array([0.0, -1.1, 0.0, 0.0, 0.0]))
    assert EQUATION.stable(np.zeros(5))
