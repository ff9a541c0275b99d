"""K-means against scikit-learn from the same starts."""

from __future__ import annotations

import numpy as np
import pytest

from gifepanel.kernels.kmeans import group_slopes, lloyd, lloyd_of_slopes, plus_plus


def blobs(n=90, p=2, groups=4, seed=0, spread=0.6):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((groups, p))[rng.integers(groups, size=n)] * 2 + spread * rng.standard_normal((n, p))


def inertia_of(points, centers, labels):
    return ((points - centers[labels]) ** 2).sum()


@pytest.mark.parametrize("seed", range(6))
def test_same_minimum_as_scikit_learn_from_the_same_start(seed):
    from sklearn.cluster import KMeans

    points = blobs(p=1 + seed % 3, seed=seed)
    start = points[np.random.default_rng(100 + seed).choice(len(points), 4, replace=False)].copy()
    other = KMeans(4, init=start, n_init=1, algorithm="lloyd", tol=0, max_iter=500).fit(points)
    centers, labels = start.copy(), np.empty(len(points), dtype=np.int64)
    inertia = lloyd(points, centers, labels, 500)
    assert inertia == pytest.approx(other.inertia_, rel=1e-10)
    np.testing.assert_array_equal(labels, other.labels_)
    np.testing.assert_allclose(centers, other.cluster_centers_, rtol=1e-9, atol=1e-12)
    assert inertia == pytest.approx(inertia_of(points, centers, labels), rel=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_more_iterations_never_raise_the_inertia(seed):
    points = blobs(seed=seed, spread=1.5)
    start = points[:5].copy()
    path = []
    for rounds in range(1, 25):
        centers, labels = start.copy(), np.empty(len(points), dtype=np.int64)
        path.append(lloyd(points, centers, labels, rounds))
    assert (np.diff(path) <= 1e-12 * path[0]).all()
    assert path[-1] < path[0]


def test_an_empty_group_takes_the_worst_placed_point():
    points = np.array([[0.0], [0.1], [0.2], [10.0], [10.1], [14.0]])
    centers = np.array([[0.0], [10.0], [1e6]])
    labels = np.empty(6, dtype=np.int64)
    inertia = lloyd(points, centers, labels, 50)
    np.testing.assert_array_equal(labels, [0, 0, 0, 1, 1, 2])
    np.testing.assert_allclose(centers[:, 0], [0.1, 10.05, 14.0])
    assert inertia == pytest.approx(0.02 + 0.005)


@pytest.mark.parametrize("points", [np.ones((6, 2)), np.repeat([[0.0, 0.0], [1.0, 1.0]], 3, axis=0)])
def test_fewer_distinct_points_than_groups(points):
    centers, labels = np.empty((3, 2)), np.empty(6, dtype=np.int64)
    plus_plus(points, np.array([0.3, 0.6, 0.9]), centers)
    assert lloyd(points, centers, labels, 100) == 0.0
    assert np.bincount(labels, minlength=3).min() >= 1


def test_seeds_are_points_far_from_those_before():
    """The probability of a seed is proportional to its squared distance from the nearest seed."""
    points = np.array([[0.0], [1.0], [3.0]])
    uniforms = np.random.default_rng(0).random((20_000, 2))
    uniforms[:, 0] = 0.0
    picks = np.empty(len(uniforms))
    centers = np.empty((2, 1))
    for row, u in enumerate(uniforms):
        plus_plus(points, u, centers)
        assert centers[0, 0] == 0.0
        picks[row] = centers[1, 0]
    # squared distances 0, 1, 9
    assert (picks != 0.0).all()
    assert (picks == 3.0).mean() == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_slopes_in_the_metric_of_every_unit(seed):
    """Nobody would rather be in another group, and slopes are the pooled regressions of the groups."""
    rng = np.random.default_rng(seed)
    x, labels = rng.standard_normal((40, 12, 2)) * rng.uniform(0.3, 3.0, (40, 1, 2)), rng.integers(3, size=40)
    y = np.einsum("ntp,np->nt", x, np.array([[1.0, 0], [0, 1], [-1, 1]])[labels]) + rng.standard_normal((40, 12))
    a, c, s = np.einsum("ntp,ntq->npq", x, x), np.einsum("ntp,nt->np", x, y), (y**2).sum(axis=1)
    alpha, labels = np.empty((3, 2)), np.where(rng.random(40) < 0.5, labels, 0)
    ssr = lloyd_of_slopes(a, c, s, labels, alpha, 100)
    for k in range(3):
        own = np.linalg.lstsq(x[labels == k].reshape(-1, 2), y[labels == k].ravel(), rcond=None)[0]
        np.testing.assert_allclose(alpha[k], own, rtol=1e-9)
    losses = np.square(y[:, None] - np.einsum("ntp,kp->nkt", x, alpha)).sum(axis=2)
    np.testing.assert_array_equal(losses.argmin(axis=1), labels)
    assert ssr == pytest.approx(losses.min(axis=1).sum(), rel=1e-10)


def test_slopes_of_a_group_without_any_are_zero():
    a, c = np.ones((4, 1, 1)), np.ones((4, 1))
    alpha = np.empty((2, 1))
    group_slopes(a, c, np.zeros(4, dtype=np.int64), np.empty((2, 1, 1)), alpha)
    np.testing.assert_array_equal(alpha, [[1.0], [0.0]])
