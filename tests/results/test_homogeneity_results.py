"""res.test_homogeneity(): the tests as functions, at the estimates of a fit."""

from __future__ import annotations

import numpy as np
import pytest

import gifepanel as gife
from gifepanel import diagnostics
from gifepanel.exceptions import DataError, SpecificationError
from tests.inference.test_homogeneity import heterogeneous_factor_fit, simulate


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_with_factors_and_without(spread: float) -> None:
    """Against an independent alternation for the slopes of the entities, and the plain dispersion test."""
    y, x = simulate(np.random.default_rng(5), 40, 40, 1, spread)
    under = gife.InteractiveFE(y, x, n_factors=1).fit().test_homogeneity()
    b, f, lam, e = heterogeneous_factor_fit(y, x, 1)
    assert under.statistic == pytest.approx(diagnostics.ando_bai(x, b, e, f, lam).statistic, rel=1e-3, abs=1e-3)
    assert (under.pvalue < 0.01) == (spread > 0)
    y, x = simulate(np.random.default_rng(6), 40, 25, 0, spread)
    plain = gife.GroupedIFE(y, x, n_groups=2, n_factors=0, absorb="entity").fit().test_homogeneity()
    assert plain.statistic == pytest.approx(diagnostics.pesaran_yamagata(y, x).statistic)


def test_entity_effects_are_a_known_factor() -> None:
    """Levels of entities change nothing where they are absorbed."""
    y, x = simulate(np.random.default_rng(7), 30, 30, 1, 0.2)
    shifted = y + 5 * np.random.default_rng(8).normal(size=(30, 1))
    one, two = (gife.InteractiveFE(v, x, n_factors=1, absorb="entity").fit().test_homogeneity() for v in (y, shifted))
    assert two.statistic == pytest.approx(one.statistic, rel=1e-6)
    constant = np.concatenate([x, np.ones((30, 30, 1))], axis=2)
    three = gife.InteractiveFE(shifted, constant, n_factors=1).fit().test_homogeneity()
    assert three.statistic == pytest.approx(one.statistic, rel=1e-6)


@pytest.mark.slow
def test_size_with_absorbed_effects() -> None:
    """With the same slopes for all, the test with entity effects and a factor rejects about as often as it says."""
    rng = np.random.default_rng(9)
    rejections = []
    for _ in range(60):
        y, x = simulate(rng, 40, 40, 1, 0.0)
        y = y + rng.normal(size=(40, 1))
        res = gife.InteractiveFE(y, x, n_factors=1, absorb="entity").fit()
        rejections.append(res.test_homogeneity().pvalue < 0.05)
    assert np.mean(rejections) < 0.17


def test_what_it_needs() -> None:
    y, x = simulate(np.random.default_rng(1), 12, 5, 0, 0.0)
    res = gife.InteractiveFE(y, x, n_factors=2).fit()
    with pytest.raises(SpecificationError, match="5 periods for 2 slopes in each entity and 2 factors"):
        res.test_homogeneity()
    twoway = gife.InteractiveFE(*simulate(np.random.default_rng(1), 12, 20, 0, 0.0), n_factors=1, absorb="time").fit()
    with pytest.raises(SpecificationError, match=r"absorbs time effects.*n_factors=2"):
        twoway.test_homogeneity()
    res.remove_data()
    with pytest.raises(DataError, match="remove_data"):
        res.test_homogeneity()


@pytest.mark.parametrize("n_factors", [0, 1])
@pytest.mark.parametrize(("model", "options"), [(gife.InteractiveFE, {}), (gife.GroupedIFE, {"n_groups": 2})])
def test_entities_without_slopes_of_their_own_are_left_out(model, options, n_factors) -> None:
    """The test of the others, and the count; one regressor stands still, one is a multiple of the other."""
    y, x = simulate(np.random.default_rng(3), 20, 15, n_factors, 0.3)
    x[4, :, 0] = x[4, 0, 0]
    x[7, :, 1] = 2 * x[7, :, 0] + 1
    keep = [i for i in range(20) if i not in (4, 7)]
    same = {"n_factors": n_factors, "absorb": "entity", **options}
    test = model(y, x, **same).fit().test_homogeneity()
    rest = model(y[keep], x[keep], **same).fit().test_homogeneity()
    assert test.statistic == pytest.approx(rest.statistic, rel=1e-6, abs=1e-6) and rest.note == ""
    assert test.note.startswith("2 entities were left out, within which x1 or x2 does not vary by itself")
    assert test.note in str(test)


def test_too_few_entities_are_left() -> None:
    y, x = simulate(np.random.default_rng(3), 12, 15, 0, 0.0)
    x[1:, :, 0] = x[1:, :1, 0]
    res = gife.InteractiveFE(y, x, n_factors=0, absorb="entity").fit()
    with pytest.raises(SpecificationError, match="x1 does not vary by itself within 11 of 12 entities"):
        res.test_homogeneity()


def test_the_functions_name_them() -> None:
    y, x = simulate(np.random.default_rng(3), 20, 15, 0, 0.0)
    x[4, :, 1] = 7.0
    with pytest.raises(DataError, match="regressor 2 does not vary by itself within entity 5") as caught:
        diagnostics.pesaran_yamagata(y, x)
    here = {"x": x, "y": y}
    exec(str(caught.value.fix), here)
    assert np.isfinite(diagnostics.pesaran_yamagata(here["y"], here["x"]).statistic) and len(here["y"]) == 19
    b, lam, f = np.zeros((20, 2)), np.ones((20, 1)), np.ones((15, 1))
    with pytest.raises(DataError, match="regressor 2 does not vary by itself within entity 5"):
        diagnostics.ando_bai(x, b, y, f, lam)
