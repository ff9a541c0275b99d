"""The study of bias corrections: stored draws come out again, and the tables say what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bench_bias import CORRECTIONS, DYNAMIC, Dynamic, one_draw, report, stored_draws, summarize
from common import RESULTS
from pages import DOCS

FIRST, NUMBER = 100_000, 60


@pytest.fixture(scope="module")
def draws() -> list[dict[str, Any]]:
    return stored_draws()


def of(cell: Dynamic, rows: Any) -> list[dict[str, Any]]:
    return [r for r in rows if (r["design"], r["n"], r["t"], r["panel"]) == (cell.design, cell.n, cell.t, cell.panel)]


@pytest.mark.parametrize(("cell", "draw"), [(DYNAMIC[0], 7), (DYNAMIC[1], 11), (DYNAMIC[3], 5)])
def test_stored_draws_come_out_again(cell: Dynamic, draw: int, draws: list[dict[str, Any]]) -> None:
    kept = [row for row in of(cell, draws) if row["draw"] == draw]
    for new, old in zip(one_draw(cell, draw), kept, strict=True):
        assert new["correction"] == old["correction"]
        for name in ("bias", "square", "cover"):
            assert new[name] == pytest.approx(old[name], rel=1e-5, abs=1e-7), (cell.name, name)


def test_tables_are_those_of_the_draws(draws: list[dict[str, Any]]) -> None:
    table = summarize(draws)
    assert {row["draws"] for row in table} == {200} and len(table) == len(DYNAMIC) * len(CORRECTIONS)
    text = report(table, 200)
    assert (RESULTS / "bias.md").read_text("utf-8").strip() == text
    shown = (DOCS / "bias.md").read_text("utf-8")
    for cell in DYNAMIC:
        own = {row["correction"]: row for row in of(cell, table)}
        numbers = [f"{own[name]['bias']:+.4f}, {own[name]['cover']:.3f}".replace("-", "−") for name in CORRECTIONS]
        assert f"| {' | '.join(numbers)} |" in shown, cell.name


def test_what_the_corrections_leave(draws: list[dict[str, Any]]) -> None:
    """With entity effects the published term leaves a fifth of the bias and more, the default a tenth."""
    for cell in (cell for cell in DYNAMIC if cell.design == "AR"):
        own = {row["correction"]: row for row in of(cell, summarize(draws))}
        left = {name: abs(row["bias"] / own["none"]["bias"]) for name, row in own.items()}
        assert left["dynamic"] < (0.12 if cell.panel == "full" else 0.15) < 0.2 < left["moon-weidner-b1"]
        assert own["dynamic"]["cover"] > 0.91 > own["moon-weidner-b1"]["cover"]
        assert own["dynamic"]["rmse"] < min(own[name]["rmse"] for name in ("none", "moon-weidner-b1", "jackknife"))


@pytest.mark.slow
def test_other_panels_say_the_same(draws: list[dict[str, Any]]) -> None:
    cell = DYNAMIC[0]
    rows = [row for draw in range(FIRST, FIRST + NUMBER) for row in one_draw(cell, draw)]
    kept = {row["correction"]: row for row in of(cell, summarize(draws))}
    for row in summarize(rows):
        old = kept[row["correction"]]
        assert abs(row["bias"] - old["bias"]) < 3.5 * np.hypot(row["se"], old["se"])
        spread = np.sqrt(old["cover"] * (1 - old["cover"]) * (1 / NUMBER + 1 / 200))
        assert abs(row["cover"] - old["cover"]) < 3.5 * spread
