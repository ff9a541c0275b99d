"""Groups in bootstrap draws, against loops."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from gifepanel.inference.resampled_groups import co_membership, match_labels, stability

SLOTS = np.array([[0, 1, 2], [0, 3, 4], [0, 5, 6]])  # the first regressor is common


def test_labels_are_those_of_the_best_permutation():
    """Slopes of draws far from the fit: nearest labels clash, the assignment does not; of all permutations."""
    rng = np.random.default_rng(0)
    reference, scale = rng.standard_normal(7), np.array([1.0, 3.0, 0.2])
    theta = rng.standard_normal((60, 7))
    groups = rng.integers(-1, 3, size=(60, 9)).astype(np.int16)
    matched, named = match_labels(theta, groups, reference, SLOTS, scale)
    moved = 0
    for b in range(60):

        def cost(p: tuple[int, ...], b: int = b) -> float:
            gap = theta[b, SLOTS][list(p)] - reference[SLOTS]
            return float(np.square(gap * scale).sum())

        best = min(permutations(range(3)), key=cost)  # group best[k] of the draw is group k of the fit
        moved += best != (0, 1, 2)
        np.testing.assert_array_equal(matched[b, SLOTS], theta[b, SLOTS][list(best)])
        for k, other in enumerate(best):
            np.testing.assert_array_equal(named[b] == k, groups[b] == other)
        np.testing.assert_array_equal(named[b] < 0, groups[b] < 0)
    assert 20 < moved < 60


def test_co_membership_and_stability_by_hand():
    rng = np.random.default_rng(1)
    groups = rng.integers(-1, 3, size=(300, 6)).astype(np.int16)
    groups[:, 5] = -1
    together, own = co_membership(groups, 3), np.array([0, 1, 2, 0, 1, 2])
    for i in range(6):
        for j in range(6):
            both = [b for b in range(300) if groups[b, i] >= 0 and groups[b, j] >= 0]
            same = [b for b in both if groups[b, i] == groups[b, j]]
            assert together[i, j] == len(same) / len(both) if both else np.isnan(together[i, j])
    for i, share in enumerate(stability(groups, own)):
        drawn = groups[groups[:, i] >= 0, i]
        assert share == (drawn == own[i]).mean() if len(drawn) else np.isnan(share)
