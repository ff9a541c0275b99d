"""An outcome and one regressor read where they are: the same as columns in sorted order."""

from __future__ import annotations

import numpy as np
import pytest

from gifepanel.projections.absorb import Absorption
from gifepanel.projections.pairs import Pair
from gifepanel.projections.system import Effect


@pytest.mark.parametrize("is_sorted", [True, False])
@pytest.mark.parametrize("n_others", [0, 1, 2, 3])
def test_pair_is_a_block_of_two_columns(is_sorted: bool, n_others: int) -> None:
    rng, n = np.random.default_rng(0), 12_000
    base = np.concatenate([np.arange(3_000), rng.integers(0, 3_000, n - 3_000)])
    codes = [np.sort(base) if is_sorted else base]
    codes += [np.concatenate([np.arange(width), rng.integers(0, width, n - width)]) for width in (40, 7, 1_200)]
    effects = [Effect(str(g), own, int(own.max()) + 1) for g, own in enumerate(codes[: 1 + n_others])]
    columns = rng.normal(size=(n, 2)) + codes[0][:, None] + [1e3, -50.0]
    expected, found = Absorption(effects).residualize(columns)
    absorption = Absorption(effects)
    pair = Pair(absorption.system, columns[:, 0].copy(), columns[:, 1].copy(), columns.mean(axis=0))
    certificate = absorption.solve_pair(pair)
    np.testing.assert_allclose(np.column_stack(pair.left), expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(pair.squares, (expected**2).sum(axis=0), rtol=1e-10)
    assert certificate.converged
    assert certificate.method == found.method
