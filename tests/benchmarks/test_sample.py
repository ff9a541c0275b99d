"""A sample of the Monte Carlo on panels that the stored tables do not hold."""

from __future__ import annotations

import math

import bench_estimated_groups as estimated_groups
import pytest
from bench_montecarlo import TARGETS, compare, summarize
from draws import REFERENCE, Cell, one_draw

pytestmark = pytest.mark.slow
FIRST, NUMBER = 100_000, 40


@pytest.mark.parametrize("cell", REFERENCE, ids=lambda cell: cell.name)
def test_sample_reaches_the_known_figures(cell: Cell) -> None:
    rows = [row for draw in range(FIRST, FIRST + NUMBER) for row in one_draw(cell, draw)]
    compared = compare(summarize(rows))
    assert compared
    for row in compared:
        target = TARGETS[row["what"].replace(" ", "_")]
        shortfall = abs(row["ours"] - target) - abs(row["figure"] - target)
        if abs(row["ours"] - target) > abs(row["attainable"] - target):
            assert shortfall <= 3 * row["se"] + 1e-3, row
    accuracy = {fit: [r["accuracy"] for r in rows if r["fit"] == fit and _plain(r)] for fit in ("refined", "nearest")}
    bound = [row["bound"] for row in rows if row["fit"] == "oracle" and row["correction"] == "none"]
    gaps = [ours - best for ours, best in zip(accuracy["refined"], bound, strict=True)]
    noise = math.sqrt(sum(gap**2 for gap in gaps)) / NUMBER
    # close to least squares that knows slopes and factors, and not above it but by luck
    assert -0.015 <= sum(gaps) / NUMBER <= 3 * noise


def _plain(row: dict[str, object]) -> bool:
    return row["kappa_scale"] == 1.0 and (row["correction"] == "none" or row["fit"] == "nearest")


@pytest.mark.parametrize(
    ("name", "least"), [("S 100x15", 0.9), ("S 100x25", 0.92), ("S 100x25, unequal variances", 0.92)]
)
def test_intervals_and_sets_allow_for_estimated_groups(name: str, least: float) -> None:
    rows = [estimated_groups.one_draw(name, draw) for draw in range(FIRST, FIRST + NUMBER)]
    (means,) = estimated_groups.summarize(rows)
    noise = math.sqrt(0.05 / (6 * NUMBER))
    assert least - 2 * noise <= means["allowing"] <= 0.965 + 2 * noise
    assert means["known"] < means["allowing"]
    assert means["length_allowing"] <= 1.3 * means["length_oracle"]
    assert means["joint"] >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / NUMBER)
    assert means["single"] >= 0.94 and means["size_joint"] <= 1.95
    assert abs(means["outward_soft"]) < abs(means["outward_allowing"])
