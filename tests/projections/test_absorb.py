"""Absorption of fixed effects against least squares on all dummies, by every method."""

from __future__ import annotations

import pickle
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gifepanel.exceptions import SpecificationError
from gifepanel.projections import absorb, bordered, reduced, row_blocks
from gifepanel.projections.absorb import Absorption
from gifepanel.projections.hat import hat_rows, identified
from gifepanel.projections.system import Effect
from tests.projections.effects import KINDS, Design, design, dummies, effect, ring

METHODS = (
    "Cholesky",
    "conjugate gradients",
    "conjugate gradients (sparse)",
    "sparse factorisation",
    "banded factorisation",
)

pytestmark = pytest.mark.usefixtures("both_passes")


def force(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """Thresholds that leave one method only."""
    if method == "Cholesky":
        return
    monkeypatch.setattr(reduced, "DENSE", -1)
    monkeypatch.setattr(reduced, "_SPARSE_DEGREE", -1 if method == "conjugate gradients" else 10**9)
    monkeypatch.setattr(reduced, "_SLOW", 2.0)
    monkeypatch.setattr(reduced, "_BANDED", -1)
    if method == "banded factorisation":
        monkeypatch.setattr(reduced, "_BANDED", 10**9)
        monkeypatch.setattr(bordered, "_BORDER", 1)
    if method == "sparse factorisation":
        monkeypatch.setattr(reduced, "_SLOW", -1.0)
        monkeypatch.setattr(reduced, "_PROBE", 1)


def span_share(data: Design, residuals: np.ndarray) -> float:
    """Largest norm of residuals in the span of one block of dummies, relative to the column: what is certified."""
    scaled = residuals * data.root[:, None]
    worst = 0.0
    edges = np.cumsum([0, *(e.n_levels for e in data.effects)])
    for first, last in pairwise(edges):
        block = data.dummies[:, first:last] * data.root[:, None]
        length = np.linalg.norm(block, axis=0)
        share = np.linalg.norm((block[:, length > 0] / length[length > 0]).T @ scaled, axis=0)
        worst = max(worst, float((share / np.linalg.norm(data.columns * data.root[:, None], axis=0)).max()))
    return worst


@pytest.mark.parametrize("weights", ["none", "positive", "zeros"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_residuals_are_those_of_all_dummies(
    monkeypatch: pytest.MonkeyPatch, kind: str, weights: str, method: str
) -> None:
    force(monkeypatch, method)
    data = design(kind, weights)
    absorption = Absorption(data.effects, data.weights)
    before = data.columns.copy()
    got, certificate = absorption.residualize(data.columns)
    assert_array_equal(data.columns, before)
    assert certificate.converged
    if kind in ("two", "disconnected", "three", "four", "slope and another"):  # others are solved at once
        assert certificate.method == method
    assert_allclose(got * data.root[:, None], data.residuals(), atol=2e-10)
    assert span_share(data, got) <= max(certificate.residual * 1.01, 1e-13)


@pytest.mark.parametrize("weights", ["none", "positive", "zeros"])
@pytest.mark.parametrize("kind", KINDS)
def test_rank_and_leverage(kind: str, weights: str) -> None:
    data = design(kind, weights)
    absorption = Absorption(data.effects, data.weights)
    degrees, leverage = absorption.degrees, absorption.leverage()
    assert degrees.exact
    assert degrees.total == data.rank == sum(degrees.by_block)
    assert_allclose(leverage, np.sum(data.basis**2, axis=1), atol=1e-9)
    assert_allclose(leverage.sum(), data.rank, rtol=1e-10)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", ["two", "disconnected", "three", "four"])
def test_rank_of_sparse_graphs(kind: str, seed: int) -> None:
    """Few rows: many components."""
    data = design(kind, n=50, seed=seed)
    assert Absorption(data.effects).degrees.total == np.linalg.matrix_rank(data.dummies)


@pytest.mark.parametrize("kind", KINDS)
def test_bound_on_the_rank(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Beyond the size that is factorised: exact where it says so, and never too small."""
    monkeypatch.setattr(absorb, "DENSE", -1)
    for weights in ("none", "zeros"):
        data = design(kind, weights, n=120)
        degrees = Absorption(data.effects, data.weights).degrees
        assert degrees.total >= data.rank
        if degrees.exact:
            assert degrees.total == data.rank
        expected = kind in ("one", "two", "equal", "slope", "slopes alone")
        assert degrees.exact == expected


@pytest.mark.parametrize("method", METHODS)
def test_ring(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """A graph on which the residual says little about the error: all methods agree to 1e-10 all the same."""
    effects = ring(120, 60, 6)
    rng = np.random.default_rng(1)
    columns = rng.normal(size=(720, 3)) + rng.normal(size=120)[effects[0].codes][:, None]
    data = Design(effects, None, columns)
    force(monkeypatch, method)
    got, certificate = Absorption(effects).residualize(columns)
    assert certificate.converged
    assert certificate.method == method
    assert_allclose(got, data.residuals(), atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_a_column_that_the_effects_span(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """Nothing is left of it but rounding, whatever its size; other columns do not notice."""
    force(monkeypatch, method)
    data = design("three")
    rng = np.random.default_rng(3)
    spanned = data.dummies @ rng.normal(size=data.dummies.shape[1])
    columns = np.column_stack([data.columns, spanned, 1e9 * spanned, np.full(len(spanned), 1e12)])
    got, certificate = Absorption(data.effects).residualize(columns)
    assert certificate.converged
    assert_allclose(got[:, :3], data.residuals(), atol=2e-10)
    share = np.linalg.norm(got[:, 3:], axis=0) / np.linalg.norm(columns[:, 3:], axis=0)
    assert share.max() < 1e-10


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [1e-6, 1e9])
def test_scale_of_columns_does_not_matter(monkeypatch: pytest.MonkeyPatch, method: str, factor: float) -> None:
    force(monkeypatch, method)
    data = design("three", "positive")
    plain, _ = Absorption(data.effects, data.weights).residualize(data.columns)
    scaled, certificate = Absorption(data.effects, data.weights).residualize(data.columns * factor)
    assert certificate.converged
    assert_allclose(scaled / factor, plain, atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_scale_of_weights_does_not_matter(monkeypatch: pytest.MonkeyPatch, method: str, factor: float) -> None:
    force(monkeypatch, method)
    data = design("three", "positive")
    plain, _ = Absorption(data.effects, data.weights).residualize(data.columns)
    scaled, certificate = Absorption(data.effects, data.weights * factor).residualize(data.columns)
    assert certificate.converged
    assert_allclose(scaled, plain, atol=2e-10)


def test_a_large_constant_costs_only_its_own_digits() -> None:
    data = design("two")
    plain, _ = Absorption(data.effects).residualize(data.columns)
    shifted = data.columns + 2.0**33
    exact, _ = Absorption(data.effects).residualize(shifted - 2.0**33)
    got, certificate = Absorption(data.effects).residualize(shifted)
    assert certificate.converged
    assert_allclose(got, exact, atol=1e-12 * 2**13)
    assert_allclose(got, plain, atol=1e-5)


def test_one_effect_with_a_large_constant() -> None:
    data = design("one")
    shifted = data.columns + 2.0**33
    got, _ = Absorption(data.effects).residualize(shifted)
    exact, _ = Absorption(data.effects).residualize(shifted - 2.0**33)
    assert_allclose(got, exact, atol=1e-13)


@pytest.mark.parametrize("kind", ["two", "three", "slope and another"])
def test_order_of_rows_does_not_matter(kind: str) -> None:
    data = design(kind, "positive")
    order = np.random.default_rng(5).permutation(len(data.columns))
    shuffled = tuple(
        Effect(e.name, e.codes[order], e.n_levels, None if e.values is None else e.values[order]) for e in data.effects
    )
    one = Absorption(data.effects, data.weights)
    two = Absorption(shuffled, data.weights[order])
    assert_allclose(two.residualize(data.columns[order])[0], one.residualize(data.columns)[0][order], atol=1e-12)
    assert_allclose(two.leverage(), one.leverage()[order], atol=1e-12)
    assert two.degrees.total == one.degrees.total


@pytest.mark.parametrize("method", METHODS)
def test_number_of_threads_does_not_matter(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """To the last bit: sums are over pieces that the data fix."""
    force(monkeypatch, method)
    data = design("three", "positive", n=900)
    monkeypatch.setattr(row_blocks, "_SERIAL", 10)
    answers = []
    for threads in (1, 2, 4):
        monkeypatch.setattr(row_blocks, "n_threads", lambda threads=threads: threads)
        answers.append(Absorption(data.effects, data.weights).residualize(data.columns)[0])
    assert_array_equal(answers[0], answers[1])
    assert_array_equal(answers[0], answers[2])
    assert_allclose(answers[0] * data.root[:, None], data.residuals(), atol=1e-10)


@pytest.mark.parametrize("weights", ["none", "positive", "zeros"])
@pytest.mark.parametrize("kind", KINDS)
def test_coefficients_reproduce_what_was_taken_out(kind: str, weights: str) -> None:
    data = design(kind, weights)
    absorption = Absorption(data.effects, data.weights)
    found = absorption.coefficients(data.columns)
    assert [len(own) for own in found] == [e.n_levels for e in data.effects]
    fitted = np.zeros_like(data.columns)
    for e, own in zip(data.effects, found, strict=True):
        fitted += own[e.codes] * (1.0 if e.values is None else e.values[:, None])
    expected = data.columns - absorption.residualize(data.columns)[0]
    assert_allclose(fitted * data.root[:, None], expected * data.root[:, None], atol=1e-9)


@pytest.mark.parametrize("weights", ["none", "positive"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["one", "two", "three", "slope and another", "slopes alone"])
def test_hat_rows(monkeypatch: pytest.MonkeyPatch, kind: str, weights: str, method: str) -> None:
    """The projection's columns for rows of the sample are those of the dense projection."""
    force(monkeypatch, method)
    data = design(kind, weights)
    rows = np.array([3, 77, 200])
    codes = [e.codes[rows] for e in data.effects]
    values = [None if e.values is None else e.values[rows] for e in data.effects]
    absorption = Absorption(data.effects, data.weights)
    q = data.basis / data.root[:, None]
    assert_allclose(hat_rows(absorption, codes, values), q @ q[rows].T, atol=1e-9)
    assert identified(absorption, codes, values).all()


def test_identified_combinations() -> None:
    """Levels of two components have no common sum; a slope is identified where its level's slope is."""
    a = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    b = np.array([0, 1, 0, 1, 2, 3, 2, 3])
    absorption = Absorption((effect("a", a), effect("b", b)))
    codes = [np.array([0, 0, 2, 3]), np.array([1, 2, 0, 3])]
    assert identified(absorption, codes, [None, None]).tolist() == [True, False, False, True]
    flat = np.array([1.0, 2.0, 1.0, 1.0, 0.0, 1.0, 3.0, 4.0])  # no variation in level 1
    sloped = Absorption((effect("a", a), effect("a[z]", a, flat)))
    rows = np.array([0, 1, 1])
    assert identified(sloped, [rows, rows], [None, np.array([5.0, 1.0, 2.0])]).tolist() == [True, True, False]


def test_nonconvergence_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    force(monkeypatch, "conjugate gradients")
    monkeypatch.setattr(reduced, "_PROBE", 1)
    effects = ring(120, 60, 6)
    columns = np.random.default_rng(1).normal(size=(720, 2))
    got, certificate = Absorption(effects, max_iter=2).residualize(columns)
    assert not certificate.converged
    assert certificate.residual > 1e-10
    shares = [np.linalg.norm(np.eye(e.n_levels)[e.codes].T @ got, axis=0) for e in effects]
    assert max(s.max() for s in shares) > 1e-9


def test_leverage_of_a_system_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absorb, "_INVERTIBLE", 5)
    with pytest.raises(SpecificationError, match="inverse of a system of 12 effects"):
        Absorption(design("two").effects).leverage()


@pytest.mark.parametrize("fitted", [False, True])
def test_pickle(fitted: bool) -> None:
    data = design("three", "positive")
    absorption = Absorption(data.effects, data.weights)
    expected = absorption.residualize(data.columns)[0] if fitted else None
    again = pickle.loads(pickle.dumps(absorption))
    got = again.residualize(data.columns)[0]
    assert_allclose(got * data.root[:, None], data.residuals(), atol=1e-10)
    if fitted:
        assert_array_equal(got, expected)


def test_a_band_that_can_not_be_factorised_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    force(monkeypatch, "banded factorisation")
    monkeypatch.setattr(reduced, "_SLOW", -1.0)
    monkeypatch.setattr(reduced, "_PROBE", 1)
    monkeypatch.setattr(reduced.Band, "factor", lambda *_: None)
    data = design("three")
    got, certificate = Absorption(data.effects).residualize(data.columns)
    assert certificate.method == "sparse factorisation"
    assert_allclose(got, data.residuals(), atol=2e-10)


@pytest.mark.parametrize("method", ["sparse factorisation", "banded factorisation"])
def test_pickle_of_a_sparse_factor(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    force(monkeypatch, method)
    data = design("three")
    absorption = Absorption(data.effects)
    assert absorption.residualize(data.columns)[1].method == method
    again = pickle.loads(pickle.dumps(absorption))
    assert_allclose(again.residualize(data.columns)[0], data.residuals(), atol=1e-10)


def test_no_columns_and_one_row() -> None:
    data = design("two")
    got, certificate = Absorption(data.effects).residualize(np.empty((240, 0)))
    assert got.shape == (240, 0)
    assert certificate.converged
    single = (effect("a", np.zeros(1)), effect("b", np.zeros(1)))
    assert_allclose(Absorption(single).residualize(np.array([[3.0]]))[0], 0)
    assert Absorption(single).degrees.total == 1


def test_dummies_of_the_tests() -> None:
    effects = (effect("a", np.array([5, 7, 5])), effect("z", np.array([0, 0, 1]), np.array([2.0, 3.0, 4.0])))
    assert_array_equal(dummies(effects), [[1, 0, 2, 0], [0, 1, 3, 0], [1, 0, 0, 4]])
