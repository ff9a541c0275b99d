"""How clearly an entity belongs to its group."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from gifepanel.inference.estimated_groups import posterior
from gifepanel.inference.membership import candidates, excess


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_probabilities_and_margins_are_those_of_bayes_rule(share: float) -> None:
    """Probability of the own group by densities of the residuals."""
    rng = np.random.default_rng(0)
    own, sigma = rng.normal(size=30), 0.7
    for shift in (0.0, 0.3, 0.6, 1.0):
        other = own + shift * np.sign(own)
        logs = np.array([stats.norm.logpdf(e, scale=sigma).sum() for e in (own, other)])
        probability = 1 / (1 + (1 - share) / share * np.exp(logs[1] - logs[0]))
        ssr = np.array([[own @ own, other @ other]])
        assert_allclose(excess(ssr, np.array([0]), sigma**2)[0, 1], 2 * (logs[0] - logs[1]), rtol=1e-10)
        tau = posterior(ssr, np.array([share, 1 - share]), sigma**2)
        other_one = 1 / (1 + share / (1 - share) * np.exp(logs[0] - logs[1]))
        assert_allclose(tau, [[probability, other_one]], rtol=1e-10)
        order = (0, 1) if probability >= 0.5 else (1, 0)
        assert candidates(tau, 0.9) == [order[: 1 + (max(probability, 1 - probability) < 0.9)]]


def test_candidates_hold_the_true_group_as_often_as_they_say_or_more() -> None:
    """With the truth as centres and groups drawn by their shares."""
    rng = np.random.default_rng(1)
    n, t = 4_000, 10
    centres, truth = np.array([-0.4, 0.0, 0.4]), rng.integers(0, 3, n)
    y = centres[truth][:, None] + rng.normal(size=(n, t))
    ssr = ((y[:, :, None] - centres) ** 2).sum(1)
    sets = candidates(posterior(ssr, np.full(3, 1 / 3), 1.0), 0.9)
    share = np.mean([k in some for k, some in zip(truth, sets, strict=True)])
    assert 0.9 <= share < 1.0
    assert np.mean([len(some) for some in sets]) < 2.6
    assert (ssr.argmin(1) == truth).mean() < 0.9
