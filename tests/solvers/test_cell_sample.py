"""Large panels with holes: descents on a sample of the entities lead to the minima of the whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gifepanel.solvers import cell_interactive, grouped_cells
from gifepanel.solvers.cell_interactive import fit_cells_multistart
from gifepanel.solvers.cell_sample import sample_of
from gifepanel.solvers.cells import Cells, canonical_units
from gifepanel.solvers.grouped_cells import GroupedCellFit, fit_grouped_cells
from gifepanel.solvers.interactive import SlopeMap
from tests.solvers.cell_panels import holed, laid_out

LEAST = 800


@pytest.fixture(scope="module")
def large() -> tuple[Cells, SlopeMap]:
    """240 x 14, a fifth missing, time effects, as a large panel; slopes common to all."""
    panel, observed = holed(240, 14, seed=4, noise=1.0)
    cells = laid_out(panel, observed, entity=False, standardize=True)
    return cells, SlopeMap(np.zeros(240, dtype=np.int64), np.arange(2)[None])


@pytest.fixture(scope="module")
def grouped(large) -> GroupedCellFit:
    """Searched whole."""
    return fit_grouped_cells(large[0], 2, 1)[0]


def test_a_sample_is_every_third_entity_by_size(large):
    cells, slopes = large
    sample = sample_of(cells, slopes, 1, LEAST)
    assert sample is not None and cells.size // LEAST == 3
    np.testing.assert_array_equal(sample.units, canonical_units(cells)[::3])
    assert sample.cells.shape == (80, 14) and sample.cells.size == np.diff(cells.data.ptr)[sample.units].sum()
    order = np.random.default_rng(0).permutation(240)
    other = sample_of(cells.take(order), slopes, 1, LEAST)
    np.testing.assert_array_equal(order[other.units], sample.units)


def test_there_is_none_of_small_and_thin_panels_and_groups(large):
    cells, slopes = large
    assert sample_of(cells, slopes, 1) is None
    assert sample_of(cells, slopes, 0, LEAST) is None
    few = SlopeMap((np.arange(240) < 50).astype(np.int64), np.arange(4).reshape(2, 2))
    assert sample_of(cells, few, 1, LEAST) is None
    late = cells.take(np.arange(240))
    keep = (late.data.time > 0) | (late.entity % 8 == 0)  # the first period has few entities
    ptr = np.concatenate([[0], np.cumsum(np.bincount(late.entity[keep], minlength=240))])
    columns = {name: getattr(late.data, name)[..., keep] for name in ("time", "y", "x", "known", "period", "root")}
    thin = replace(late, data=late.data._replace(ptr=ptr, **columns), entity=late.entity[keep])
    assert sample_of(thin, slopes, 1, LEAST) is None


@pytest.mark.parametrize("n_factors", [1, 2])
def test_minima_and_their_starts_are_those_without_a_sample(large, n_factors, monkeypatch):
    cells, slopes = large
    whole = fit_cells_multistart(cells, slopes, n_factors, 6, np.random.default_rng(0))
    monkeypatch.setattr(cell_interactive, "sample_of", lambda *of: sample_of(*of, LEAST))
    found = fit_cells_multistart(cells, slopes, n_factors, 6, np.random.default_rng(0))
    assert found.fit.converged and found.fit.gradient <= 1e-12
    assert found.fit.ssr == pytest.approx(whole.fit.ssr, rel=1e-12)
    np.testing.assert_allclose(found.fit.theta, whole.fit.theta, rtol=1e-9)
    names = {name for minimum in found.minima for name in minimum.starts}
    assert names == {name for minimum in whole.minima for name in minimum.starts}


def test_groupings_searched_on_a_sample_are_as_good(large, grouped, monkeypatch):
    cells, whole = large[0], grouped
    monkeypatch.setattr(cell_interactive, "sample_of", lambda *of: sample_of(*of, LEAST))
    monkeypatch.setattr(grouped_cells, "_SEARCHED", LEAST)
    found, _ = fit_grouped_cells(cells, 2, 1)
    done = found.classification
    assert done.fit.converged and done.settled
    assert done.fit.ssr <= whole.classification.fit.ssr * (1.0 + 1e-6)
    assert (found.groups != whole.groups).mean() < 0.02


def test_a_better_grouping_of_the_sample_is_taken_to_the_whole(large, grouped, monkeypatch):
    cells = large[0]
    monkeypatch.setattr(grouped_cells, "_SEARCHED", LEAST)
    monkeypatch.setattr(grouped_cells, "_from_centres", _spoiled(grouped_cells._from_centres))
    found, _ = fit_grouped_cells(cells, 2, 1)
    assert found.classification.fit.ssr <= grouped.classification.fit.ssr * (1.0 + 1e-4)


def _spoiled(fitted):
    """A stage that ends at least squares with its entities in groups drawn at random, slopes and factors given."""

    def spoiled(*args):
        fit = fitted(*args)
        panel, options = args[0], args[4]
        done = fit.classification
        groups = np.random.default_rng(0).integers(2, size=len(fit.groups))
        at = done.fit
        held = replace(options, classify="nearest")
        worse = grouped_cells._refined(panel.cells, 2, held, groups, at.theta, at.factors, at.effects)
        return replace(fit, groups=groups, classification=worse)

    return spoiled
