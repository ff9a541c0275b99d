"""How clearly an entity belongs to its group."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from gifepanel.inference.membership import clear_margin, confidence_sets, excess


@pytest.mark.parametrize("level", [0.6, 0.95, 0.99])
def test_the_margin_is_where_bayes_rule_says(level: float) -> None:
    """Probability of the other group by densities of the residuals."""
    rng = np.random.default_rng(0)
    own, sigma = rng.normal(size=30), 0.7
    for shift in (0.0, 0.3, 0.6, 1.0):
        other = own + shift * np.sign(own)
        logs = np.array([stats.norm.logpdf(e, scale=sigma).sum() for e in (own, other)])
        probability = 1 / (1 + np.exp(logs[0] - logs[1]))
        ssr = np.array([[own @ own, other @ other]])
        m = excess(ssr, np.array([0]), sigma**2)
        assert_allclose(m[0, 1], 2 * (logs[0] - logs[1]), rtol=1e-10)
        assert (m[0, 1] < clear_margin(level)) == (probability > 1 - level)
        assert confidence_sets(ssr, np.array([0]), sigma**2, level)[0].tolist() == [True, probability > 1 - level]


def test_groups_known_but_for_the_noise_are_covered() -> None:
    """With the truth as centres, the set holds the true group as often as it says, or more."""
    rng = np.random.default_rng(1)
    n, t = 4_000, 10
    centres, truth = np.array([-0.4, 0.0, 0.4]), rng.integers(0, 3, n)
    y = centres[truth][:, None] + rng.normal(size=(n, t))
    ssr = ((y[:, :, None] - centres) ** 2).sum(1)
    sets = confidence_sets(ssr, ssr.argmin(1), 1.0, 0.9)
    share = sets[np.arange(n), truth].mean()
    assert 0.9 <= share < 1.0
    assert sets.sum(1).mean() < 2.6
    assert (ssr.argmin(1) == truth).mean() < 0.9
