"""Bias terms on observed cells: the balanced ones on a full mask, plain loops with holes, weights and groups."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from gifepanel.inference import bias_terms
from gifepanel.inference.bias import BiasResult
from gifepanel.inference.cell_bias import CellProjection, cell_bias_terms
from gifepanel.inference.predetermined_bias import lag_weights
from gifepanel.kernels.lags import attenuation, lagged_sums

N, T, R, Q = 10, 9, 2, 3
PLAIN = np.arange(T)
ALL = {"predetermined": (0, 1, 2), "m1": 2, "m2": 2}


@dataclass(frozen=True)
class Panel:
    """Anything that a fit could have left behind, on observed cells; factors and residuals need not be a minimum."""

    space: CellProjection
    z: np.ndarray
    phi: np.ndarray
    e: np.ndarray
    left: np.ndarray
    factors: np.ndarray
    loadings: np.ndarray

    def terms(self, **options: object) -> BiasResult:
        """Bias terms, of one group unless said otherwise."""
        groups = {"groups": np.zeros(self.space.ptr.size - 1, dtype=np.int64), "slots": np.arange(Q)[None]}
        root = np.linalg.cholesky(np.linalg.inv(self.left.T @ self.left))
        return cell_bias_terms(self.space, self.z, self.phi, self.e, root, **(groups | options))  # type: ignore[arg-type]


def panel(
    seed: int,
    share: float = 1.0,
    *,
    entity: bool = True,
    time: bool = True,
    weights: np.ndarray | None = None,
    z: np.ndarray | None = None,
) -> Panel:
    """Random factors, loadings, regressors and residuals; z off the tangent space by dense least squares."""
    rng = np.random.default_rng(seed)
    factors, loadings = rng.normal(size=(T, R)), rng.normal(size=(N, R))
    cube, errors = rng.normal(size=(N, T, Q)), rng.normal(size=(N, T))
    cube = cube if z is None else z
    # as fits leave them: factors off known factors, loadings off known loadings
    factors = factors - factors.mean(axis=0) if entity else factors
    if time:
        loadings = loadings - np.average(loadings, axis=0, weights=None if weights is None else weights[:, 0])
    mask = rng.random((N, T)) < share
    mask[:, :5] |= share < 1
    unit, period = map(np.ascontiguousarray, np.nonzero(mask))
    root = np.ones(unit.size) if weights is None else np.sqrt(np.broadcast_to(weights, mask.shape)[mask])
    columns = np.column_stack([np.ones((unit.size, int(entity))), factors[period]]) * root[:, None]
    triangles, basis = np.zeros((N, columns.shape[1], columns.shape[1])), np.zeros(columns.shape)
    for i in range(N):
        basis[unit == i], triangles[i] = np.linalg.qr(columns[unit == i])
    along = np.column_stack([loadings[unit], np.ones((unit.size, int(time)))]) * root[:, None]
    own = np.zeros((unit.size, N * basis.shape[1]))
    dated = np.zeros((unit.size, T * along.shape[1]))
    for k in range(unit.size):
        own[k, unit[k] * basis.shape[1] : (unit[k] + 1) * basis.shape[1]] = basis[k]
        dated[k, period[k] * along.shape[1] : (period[k] + 1) * along.shape[1]] = along[k]
    values = cube[mask] * root[:, None]
    phi = np.linalg.lstsq(dated - own @ (own.T @ dated), values - own @ (own.T @ values), rcond=1e-10)[0]
    left = values - dated @ phi
    left -= own @ (own.T @ left)
    ptr = np.concatenate([[0], np.cumsum(mask.sum(axis=1))])
    space = CellProjection(
        ptr, period, PLAIN, root, np.ascontiguousarray(basis.T), triangles, np.ascontiguousarray(along.T), R
    )
    coefficients = phi.reshape(T, along.shape[1], Q).transpose(2, 1, 0)
    return Panel(space, np.ascontiguousarray(values.T), coefficients, errors[mask] * root, left, factors, loadings)


def two_way(cube: np.ndarray, entity: bool, time: bool) -> np.ndarray:
    """Means of entities and periods taken out."""
    cube = cube - cube.mean(axis=1, keepdims=True) if entity else cube
    return cube - cube.mean(axis=0, keepdims=True) if time else cube


@pytest.mark.parametrize(("entity", "time"), [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("deconvolved", [False, True])
def test_a_full_mask_is_a_complete_panel(entity: bool, time: bool, deconvolved: bool) -> None:
    z = two_way(np.random.default_rng(3).normal(size=(N, T, Q)), entity, time)
    full = panel(1, entity=entity, time=time, z=z)
    expected = bias_terms(
        z,
        full.e.reshape(N, T),
        full.factors,
        full.loadings,
        full.left.T @ full.left / (N * T),
        known_factors=np.ones((T, 1)) if entity else None,
        known_loadings=np.ones((N, 1)) if time else None,
        predetermined=True,
        deconvolved=deconvolved,
        m1=2,
        m2=2,
    )
    found = full.terms(**ALL, deconvolved=deconvolved)
    for name in ("b1", "b2", "b3"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9, atol=1e-12)
    assert np.abs(found.total).min() > 1e-5


def loops(at: Panel, lags: int) -> tuple[np.ndarray, np.ndarray]:
    """The sums of B2 and B3 as they are written, cell by cell (q,)."""
    space, z = at.space, at.z.T
    unit, t, root = space.entity, space.time, space.root
    d = space.triangles.shape[1] - R
    loadings = space.period_loadings.T
    inverses = np.linalg.inv(space.triangles)
    a, b = np.zeros((N, R, Q)), np.zeros((len(t), R, Q))
    for i in range(N):
        rows = unit == i
        basis = space.basis.T[rows]
        rest = z[rows] - np.einsum("kf,qfk->kq", loadings[rows], at.phi[:, :, t[rows]])
        a[i] = (inverses[i] @ basis.T @ rest)[d:]
        path = (root[rows] * at.phi[:, :R, t[rows]]).transpose(2, 1, 0)
        b[rows] = path - np.einsum("kb,sb,srq->krq", basis, basis, path)
    second, third = np.zeros(Q), np.zeros(Q)
    for period in range(T):
        rows = np.flatnonzero(t == period)
        block = np.linalg.inv(loadings[rows].T @ loadings[rows])
        mean = sum(root[k] * a[unit[k]][:, None] * loadings[k][None, :, None] for k in rows)
        for k in rows:
            h = block @ loadings[k]
            second += at.e[k] ** 2 * h[:R] @ (root[k] * a[unit[k]] - np.einsum("rfq,f->rq", mean, h))
    for k in range(len(t)):
        for s in range(len(t)):
            if unit[k] == unit[s] and abs(t[k] - t[s]) <= lags:
                third += at.e[k] * at.e[s] * (inverses[unit[k]] @ space.basis[:, s])[d:] @ b[k]
    return second, third


@pytest.mark.parametrize(("share", "weighted"), [(0.7, False), (0.8, True)])
def test_terms_with_holes_as_they_are_written(share: float, weighted: bool) -> None:
    weights = np.random.default_rng(8).uniform(0.5, 2.0, (N, T)) if weighted else None
    at = panel(4, share, weights=weights)
    res = at.terms(**ALL, deconvolved=False)
    inverse = np.linalg.inv(at.left.T @ at.left)
    for found, expected in zip((res.b2, res.b3), loops(at, 2), strict=True):
        np.testing.assert_allclose(found, inverse @ expected, rtol=1e-9)
    first = np.zeros(Q)
    for k, s in zip(*np.nonzero(np.equal.outer(at.space.entity, at.space.entity)), strict=True):
        if 1 <= at.space.time[s] - at.space.time[k] <= 2:
            first += (at.space.basis[:, k] @ at.space.basis[:, s]) * at.e[k] * at.z[:, s]
    np.testing.assert_allclose(res.b1, inverse @ first, rtol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_expected_products_give_the_exact_bias_with_holes(weighted: bool) -> None:
    """E[e_t z_{t+l}] = gamma_l, pooled over entities with other periods: products in expectation give B1 of gamma."""
    gamma, groups = np.array([0.8, 0.5, -0.3]), np.zeros(N, dtype=np.int64)
    at = panel(6, 0.7, weights=np.random.default_rng(8).uniform(0.5, 2.0, (N, T)) if weighted else None).space
    at = replace(at, periods=np.array([0, 1, 2, 3, 4, 7, 8, 9, 10]))  # and a gap that all share
    p = np.equal.outer(at.entity, at.entity) * (at.basis.T @ at.basis)
    lags = np.where(np.equal.outer(at.entity, at.entity), np.subtract.outer(at.when, at.when).T, 0)
    covariance = sum(g * (lags == lag) for lag, g in enumerate(gamma, 1)) * np.outer(at.root, at.root)
    expected = covariance - p @ covariance
    c, pi, pairs = attenuation(at.ptr, at.when, at.root, at.basis, groups, 1, 3)
    omega = lag_weights(c[0], pi[0], pairs[0])
    moved = np.array([lagged_sums(at.ptr, at.when, row, omega[None], groups) for row in np.eye(len(p))])
    assert (moved * expected).sum() == pytest.approx((p * covariance).sum(), rel=1e-10)


def test_covariances_are_pooled_over_the_entities_of_a_slope() -> None:
    """Groups, one slope in common: each is as in a panel of its own entities, the common one as in the whole."""
    groups, slots = np.arange(N) % 2, np.array([[0, 1], [0, 2]])
    at = panel(9, 0.75)
    x = at.z[:2]
    member = groups[at.space.entity]
    z = np.stack([x[0], x[1] * (member == 0), x[1] * (member == 1)])
    options = {"heteroskedastic": False, "predetermined": (0, 1), "m1": 3}
    found = traces(at.space, z, at.e, groups, slots, **options)
    one = np.array([[0]])
    options["predetermined"] = (0,)
    none = np.zeros(N, dtype=np.int64)
    whole = traces(at.space, x[:1], at.e, none, one, **options)
    np.testing.assert_allclose(found[0], whole[0], rtol=1e-10)
    for g in (0, 1):
        own = np.isin(at.space.entity, np.flatnonzero(groups == g))
        ptr = np.concatenate([[0], np.cumsum(np.diff(at.space.ptr)[groups == g])])
        part = replace(
            at.space,
            ptr=ptr,
            time=at.space.time[own],
            root=at.space.root[own],
            basis=np.ascontiguousarray(at.space.basis[:, own]),
        )
        alone = traces(part, x[1:, own], at.e[own], none[: len(ptr) - 1], one, **options)
        np.testing.assert_allclose(found[1 + g], alone[0], rtol=1e-10)
    options["predetermined"] = (1,)
    assert traces(at.space, z, at.e, groups, slots, **options)[0] == 0.0
    level = z + at.space.entity  # means of entities do not count
    options["predetermined"] = (0, 1)
    np.testing.assert_allclose(traces(at.space, level, at.e, groups, slots, **options)[0], found[0], rtol=1e-9)


def traces(space: CellProjection, z: np.ndarray, e: np.ndarray, groups: np.ndarray, slots: np.ndarray, **options):
    """The first terms before they are multiplied by the bread (q,)."""
    phi = np.zeros((len(z), len(space.period_loadings), T))
    return cell_bias_terms(space, z, phi, e, np.eye(len(z)), groups=groups, slots=slots, **options).b1


def test_weights_are_copies_of_entities() -> None:
    """A weight of 2 for an entity is the entity twice; in B2, as in robust errors, it is one observation."""
    twice = np.where(np.arange(N) < 3, 2.0, 1.0)
    weighted = panel(2, weights=twice[:, None])
    again = np.concatenate([np.arange(N), np.arange(3)])
    cube = (weighted.z / weighted.space.root).T.reshape(N, T, Q)[again]
    e = (weighted.e / weighted.space.root).reshape(N, T)[again]
    left = (weighted.left / weighted.space.root[:, None]).reshape(N, T, Q)[again].reshape(-1, Q)
    expected = bias_terms(
        two_way(cube, True, True),
        e,
        weighted.factors,
        weighted.loadings[again],
        left.T @ left / e.size,
        known_factors=np.ones((T, 1)),
        known_loadings=np.ones((N + 3, 1)),
        predetermined=True,
        deconvolved=True,
        m1=2,
        m2=2,
    )
    found = weighted.terms(**ALL)
    np.testing.assert_allclose(found.b3, expected.b3, rtol=1e-8)
    within = replace(weighted, z=(two_way(cube, True, True)[:N].reshape(-1, Q) * weighted.space.root[:, None]).T)
    np.testing.assert_allclose(within.terms(**ALL).b1, expected.b1, rtol=1e-8)


def test_entities_with_thin_factors_are_left_out_of_the_heteroskedastic_terms() -> None:
    """Their own factor moments are nearly singular: the terms are those of the others' residuals and paths."""
    at = panel(12, 0.8)
    thin = at.space.triangles.copy()
    thin[4, -1, -1] *= 1e-3
    spanned = at.space.triangles.copy()
    spanned[4, -1, -1] = 0.0
    found = replace(at, space=replace(at.space, triangles=thin)).terms(m1=1, m2=1)
    other = replace(at, space=replace(at.space, triangles=spanned)).terms(m1=1, m2=1)
    np.testing.assert_allclose(found.total, other.total, rtol=1e-12)
    assert np.abs(found.total).max() < 1.0
