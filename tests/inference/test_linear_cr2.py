"""CR2 and its degrees of freedom against dense formulas on the full dummy regression."""

from __future__ import annotations

import numpy as np
import pytest

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.inference import cluster_adjusted
from gifepanel.inference.cluster_adjusted import nuisance_columns
from gifepanel.inference.clusters import cluster_ways
from gifepanel.inference.linear_covariance import linear_covariance
from tests.inference.linear_panels import panel


def inverse_root(matrix):
    """Symmetric square root of the Moore-Penrose inverse."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    keep = values > 1e-9
    return (vectors[:, keep] * values[keep] ** -0.5) @ vectors[:, keep].T


def dense_cr2(design, y, codes):
    """Covariance of all coefficients and Satterthwaite degrees of freedom, with n x n matrices."""
    z = np.asarray(design)
    inverse = np.linalg.inv(z.T @ z)
    annihilator = np.eye(len(y)) - z @ inverse @ z.T
    u = annihilator @ y
    groups = [codes == g for g in np.unique(codes)]
    adjust = [inverse_root(annihilator[np.ix_(g, g)]) for g in groups]
    scores = np.array([z[g].T @ a @ u[g] for g, a in zip(groups, adjust, strict=True)])
    df = []
    for j in range(z.shape[1]):
        p = np.column_stack([annihilator[:, g] @ a @ z[g] @ inverse[:, j] for g, a in zip(groups, adjust, strict=True)])
        gram = p.T @ p
        df.append(np.trace(gram) ** 2 / np.sum(gram**2))
    return inverse @ scores.T @ scores @ inverse, np.array(df)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("cluster", ["firm", "region", "year"])
@pytest.mark.parametrize("absorbed", ["constant", "firm", "year", "two", "slopes"])
def test_full_dummy_regression(absorbed, cluster, weighted):
    data = panel(absorbed, weighted=weighted)
    codes = getattr(data, cluster)
    want, df = dense_cr2(data.design * data.root[:, None], data.y * data.root, codes)
    _, x, u = data.partialled()
    ways = cluster_ways([codes], len(u))
    controls = None if data.effects else data.nuisance
    columns = nuisance_columns(ways, effects=data.effects, controls=controls, weights=data.weights)
    got = linear_covariance(
        x, u, df_absorbed=data.rank, kind="CR2", clusters=[codes], nuisance=columns, weights=data.weights
    )
    np.testing.assert_allclose(got.cov, want[:2, :2], rtol=1e-8)
    np.testing.assert_allclose(got.df_inference, df[:2], rtol=1e-8)
    assert got.exact
    assert (got.df_inference <= codes.max() + 1e-9).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("cluster", ["firm", "region"])
def test_absorbed_regression_is_the_full_one_where_effects_are_nested(cluster, weighted):
    data = panel("firm", weighted=weighted)
    codes = getattr(data, cluster)
    _, x, u = data.partialled()
    want, df = dense_cr2(data.design * data.root[:, None], data.y * data.root, codes)
    options = {"kind": "CR2", "clusters": [codes], "weights": data.weights}
    got = linear_covariance(x, u, df_absorbed=data.rank, df_nested=data.rank - 1, **options)
    assert got.exact
    np.testing.assert_allclose(got.cov, want[:2, :2], rtol=1e-8)
    np.testing.assert_allclose(got.df_inference, df[:2], rtol=1e-8)


def test_absorbed_regression_is_another_one_where_they_are_not():
    data = panel("two")
    _, x, u = data.partialled()
    options = {"kind": "CR2", "clusters": [data.firm], "df_absorbed": data.rank, "df_nested": data.rank - 6}
    absorbed = linear_covariance(x, u, **options)
    columns = nuisance_columns(cluster_ways([data.firm], len(u)), effects=data.effects)
    full = linear_covariance(x, u, nuisance=columns, **options)
    assert not absorbed.exact
    assert full.exact
    assert columns.shape[1] == 5
    assert np.abs(absorbed.bse / full.bse - 1).min() > 1e-4


def test_unbiased_under_the_working_model():
    """E[CR2] = sigma^2 A^-1 for independent errors of equal variance, whatever the clusters."""
    data = panel("two", firms=10, regions=4)
    _, x, u = data.partialled()
    ways = cluster_ways([data.region], len(u))
    columns = nuisance_columns(ways, effects=data.effects)
    annihilator = np.eye(len(u)) - data.design @ np.linalg.solve(data.design.T @ data.design, data.design.T)
    # The estimator is a quadratic form in y: its mean is the sum over unit vectors.
    total = sum(
        cluster_adjusted.bell_mccaffrey(x, annihilator[:, i], ways[0], nuisance=columns).cov for i in range(len(u))
    )
    np.testing.assert_allclose(total, np.linalg.inv(x.T @ x), rtol=1e-8)


def test_clusters_of_one_row_are_hc2_and_hc3():
    data = panel("two")
    _, x, u = data.partialled()
    rows = np.arange(len(u))
    leverage = np.sum(data.basis**2, axis=1) + np.sum(x @ np.linalg.inv(x.T @ x) * x, axis=1)
    columns = nuisance_columns(cluster_ways([rows], len(u)), effects=data.effects)
    for adjusted, robust in (("CR2", "HC2"), ("cluster-crv3", "HC3")):
        got = linear_covariance(
            x, u, df_absorbed=data.rank, kind=adjusted, clusters=[rows], nuisance=columns, ssc="none"
        )
        want = linear_covariance(x, u, df_absorbed=data.rank, kind=robust, leverage=leverage)
        np.testing.assert_allclose(got.cov, want.cov, rtol=1e-9)


def test_many_columns_and_many_clusters_take_other_paths(monkeypatch):
    data = panel("two")
    _, x, u = data.partialled()
    ways = cluster_ways([data.year], len(u))
    columns = nuisance_columns(ways, effects=data.effects)
    assert columns.shape[1] > 12
    whole = cluster_adjusted.bell_mccaffrey(x, u, ways[0], nuisance=columns)
    monkeypatch.setattr("gifepanel.inference.clusters._BLOCK", 1)
    blocks = cluster_adjusted.bell_mccaffrey(x, u, ways[0], nuisance=columns)
    np.testing.assert_allclose(blocks.cov, whole.cov, rtol=1e-12)
    np.testing.assert_allclose(blocks.df, whole.df, rtol=1e-12)


def test_what_is_refused(monkeypatch):
    data = panel("two")
    _, x, u = data.partialled()
    only = x.copy()
    only[:, 0] = np.where(data.region == 3, x[:, 0], 0.0)
    with pytest.raises(DataError, match="Without cluster 4 the coefficients"):
        linear_covariance(only, u, df_absorbed=0, kind="cluster-crv3", clusters=[data.region])
    with pytest.raises(DataError, match="not orthogonal"):
        linear_covariance(x, u, df_absorbed=1, kind="CR2", clusters=[data.region], nuisance=x[:, :1] + 1)
    monkeypatch.setattr(cluster_adjusted, "_LARGEST", 10)
    with pytest.raises(SpecificationError, match="400 MB"):
        nuisance_columns(cluster_ways([data.region], len(u)), effects=data.effects)
