"""Panels with holes: stored draws come out again, and the tables say what they say."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from bench_cells import PANELS, SIZES, TIMES, one_accuracy, report, summarize
from common import RESULTS, read_csv

TEXT = {"design", "panel"}
WHOLE = {"n", "t", "draw", "converged"}


@pytest.fixture(scope="module")
def draws() -> list[dict[str, Any]]:
    """Rows of the stored draws, numbers as numbers."""
    return [
        {key: value if key in TEXT else int(value) if key in WHOLE else float(value) for key, value in row.items()}
        for row in read_csv(RESULTS / "cells_draws.csv")
    ]


def test_every_panel_has_every_draw_once(draws: list[dict[str, Any]]) -> None:
    counts = Counter((row["design"], row["n"], row["t"], row["panel"]) for row in draws)
    assert set(counts) == {(*size, panel) for size in SIZES for panel in PANELS}
    assert len(set(counts.values())) == 1 and counts.total() == len(draws)
    assert {row["draw"] for row in draws} == set(range(next(iter(counts.values()))))


@pytest.mark.parametrize(("size", "panel", "draw"), [(SIZES[0], "20 %", 7), (SIZES[3], "20 %", 5)])
def test_stored_draws_come_out_again(
    size: tuple[str, int, int], panel: str, draw: int, draws: list[dict[str, Any]]
) -> None:
    kept = next(r for r in draws if (r["design"], r["n"], r["t"], r["panel"], r["draw"]) == (*size, panel, draw))
    for name, value in one_accuracy(*size, panel, draw).items():
        if name in TEXT:
            assert value == kept[name]
        elif name != "seconds":
            assert value == pytest.approx(kept[name], rel=1e-5, abs=1e-9), name


def test_tables_are_those_of_the_draws(draws: list[dict[str, Any]]) -> None:
    again, kept = summarize(draws), read_csv(RESULTS / "cells_accuracy.csv")
    assert len(again) == len(kept) == len(SIZES) * len(PANELS)
    for new, old in zip(again, kept, strict=True):
        for name, value in new.items():
            assert old[name] == value if isinstance(value, str) else float(old[name]) == pytest.approx(value, rel=1e-8)
    text = (RESULTS / "cells.md").read_text("utf-8")
    assert report({"accuracy": again}).strip() in text
    times = read_csv(RESULTS / "cells_time.csv")
    assert [(int(row["n"]), int(row["t"])) for row in times] == list(TIMES)
    assert json.loads((RESULTS / "cells.json").read_text("utf-8"))["complete"]


def test_what_holes_cost(draws: list[dict[str, Any]]) -> None:
    """Intervals given the groups hold; with a fifth missing errors are near those with the groups known."""
    least = {"full": (0.95, 1.2), "20 %": (0.92, 1.2), "staggered": (0.85, 1.5), "40 %": (0.8, 1.7)}
    for row in summarize(draws):
        accuracy, ratio = least[row["panel"]]
        assert row["cover_oracle"] > 0.88, row
        assert row["cover_fit"] > row["cover_oracle"] - 0.15, row
        assert row["accuracy"] > accuracy and row["rmse_fit"] < ratio * row["rmse_oracle"], row
    for row in read_csv(RESULTS / "cells_time.csv"):
        for model in ("InteractiveFE", "GroupedIFE"):
            complete, few = row[f"{model}, complete"], row[f"{model}, 3 rows missing"]
            assert not complete or float(few) <= 3.0 * float(complete), row


def test_least_squares_is_below_em() -> None:
    for row in read_csv(RESULTS / "cells_em.csv"):
        assert float(row["EM ssr above ours by"]) > -1e-9 and float(row["ratio"]) > 1.0
