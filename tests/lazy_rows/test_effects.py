"""Tables of an engine whose rows come in any order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import gifepanel as gife

pa = pytest.importorskip("pyarrow")

from gifepanel.lazy_rows import cells as pairs  # noqa: E402
from gifepanel.lazy_rows.cells import positions  # noqa: E402
from gifepanel.lazy_rows.engine import Home  # noqa: E402
from tests.lazy_rows.panels import assert_same  # noqa: E402


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0]])
@pytest.mark.parametrize(
    "levels",
    [
        {"firm": ["a", "b", "c", "d"]},
        {"firm": ["a", "b", "b", "c"], "year": [7, 1, 2, 0]},
        {"firm": [-7, 0, 3, 900]},
        {"firm": [-(2**62), 0, 3, 2**62]},
        {"firm": np.array([-30_000, 0, 3, 30_000], dtype=np.int16)},
        {"firm": [0.5, 1.5, 2.5, 7.0]},
    ],
)
def test_levels_are_numbered_as_they_sort(order: list[int], levels: dict[str, Any]) -> None:
    """Whatever the order in which an engine gives rows: pivots that tie are the same every time."""
    home = Home(pa.table(levels))
    other = Home(pa.table({name: np.asarray(values)[order] for name, values in levels.items()}))
    assert positions(home, other, list(levels)).tolist() == order


def _counting_rows(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A list that grows whenever levels of every row come home."""
    came: list[Any] = []
    before = pairs._from_rows
    monkeypatch.setattr(pairs, "_from_rows", lambda *args: came.append(1) or before(*args))
    return came


def _worked(n: int, ordered: bool) -> pd.DataFrame:
    """Firms drawn anew for every row, or few for a worker; twice the same pair now and then."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"worker": rng.integers(0, n // 8, n), "firm": rng.integers(0, 40, n)})
    frame["year"] = rng.integers(2000, 2006, n)
    frame["w"] = rng.random(n) + 0.5
    frame["x"] = rng.normal(size=n) + 0.05 * frame["firm"]
    frame["y"] = frame["x"] + 0.1 * frame["firm"] + 0.01 * frame["worker"] + rng.normal(size=n)
    return frame.sort_values("worker", ignore_index=True) if ordered else frame


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("effects", ["worker + firm", "worker + firm + year", "worker^year + firm"])
def test_rows_come_home_where_each_has_its_own_pair(
    ordered: bool, weights: str | None, effects: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("duckdb")
    data, formula = _worked(1500, ordered), f"y ~ x | {effects}"
    how: dict[str, Any] = {"cov_type": "cluster", "cov_kwds": {"groups": "worker"}}
    wanted = gife.PartialledOLS.from_formula(formula, data, weights=weights).fit(**how)
    summed = gife.PartialledOLS.from_formula(formula, data, weights=weights, engine="lazy").fit(**how)
    monkeypatch.setattr(pairs, "_FEW", 10)
    monkeypatch.setattr(pairs, "_SHARE", 3)
    came = _counting_rows(monkeypatch)
    brought = gife.PartialledOLS.from_formula(formula, data, weights=weights, engine="lazy").fit(**how)
    assert len(came) == 1
    for res in (summed, brought):
        assert_same(res, wanted)
        for name, values in res.effects().items():
            np.testing.assert_allclose(values, wanted.effects()[name].reindex(values.index), rtol=0, atol=1e-7)


@pytest.mark.parametrize("few", [10, 10_000])
@pytest.mark.parametrize("effects", ["worker + firm", "worker + firm + year"])
def test_rings_are_factorised(effects: str, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Conjugate gradients are slow on a ring of workers and firms: S is formed, from pairs and from rows."""
    pytest.importorskip("duckdb")
    monkeypatch.setattr(pairs, "_FEW", few)
    monkeypatch.setattr(pairs, "_SHARE", 3)
    rng, n = np.random.default_rng(2), 1_100
    worker = np.repeat(np.arange(n), 3)
    data = pd.DataFrame({"worker": worker, "firm": (worker + np.tile([0, 0, 1], n)) % n})
    data["year"] = rng.integers(0, 5, 3 * n)
    data["x"] = rng.normal(size=3 * n) + np.sin(data["firm"] / 50)
    data["y"] = data["x"] + np.cos(data["firm"] / 50) + rng.normal(size=3 * n)
    data = data.sample(frac=1, random_state=0)
    how: dict[str, Any] = {"cov_type": "cluster", "cov_kwds": {"groups": "firm"}}
    came = _counting_rows(monkeypatch)
    found = gife.PartialledOLS.from_formula(f"y ~ x | {effects}", data, engine="lazy").fit(**how)
    assert_same(found, gife.PartialledOLS.from_formula(f"y ~ x | {effects}", data).fit(**how))
    assert len(came) == (few == 10)


@pytest.mark.parametrize(("noise", "passes"), [(1.0, 0), (1e-3, 1)])
def test_clusters_that_are_levels_cost_no_pass(noise: float, passes: int) -> None:
    """Unless scores are differences of much larger sums: then residuals are taken first."""
    pytest.importorskip("duckdb")
    rng, n = np.random.default_rng(3), 2_000
    data = pd.DataFrame({"firm": np.arange(n) % 20, "year": np.arange(n) // 20, "x": rng.normal(size=n)})
    data["z"] = rng.normal(size=n)
    data["y"] = 5 * data["x"] + data["z"] + 0.1 * data["firm"] + noise * rng.normal(size=n)
    cov: dict[str, Any] = {"cov_type": "cluster", "cov_kwds": {"groups": "year"}}
    lazily = gife.PartialledOLS.from_formula("y ~ x + z | year + firm", data, engine="lazy")
    found = lazily.fit(**cov)
    assert_same(found, gife.PartialledOLS.from_formula("y ~ x + z | year + firm", data).fit(**cov))
    assert lazily._rows.trips.scans == 5 + 3 * passes  # residuals for coefficients too
    before = lazily._rows.trips.scans
    assert_same(lazily.fit(**cov), found)
    assert lazily._rows.trips.scans == before + 3 * passes
