"""Panels with holes: stored draws come out again, and what they say."""

from __future__ import annotations

import pytest
from bench_cells import one_accuracy, report, summarize
from common import RESULTS, read_csv


def test_stored_draws_come_out_again() -> None:
    kept = read_csv(RESULTS / "cells_draws.csv")
    for design, n, t, panel, draw in (("S", 100, 25, "40 %", 3), ("D", 100, 25, "staggered", 5)):
        old = next(
            row
            for row in kept
            if (row["design"], row["n"], row["t"], row["panel"], row["draw"])
            == (design, str(n), str(t), panel, str(draw))
        )
        new = one_accuracy(design, n, t, panel, draw)
        for name in ("accuracy", "rmse_fit", "rmse_oracle", "cover_fit", "cover_oracle", "converged"):
            assert float(old[name]) == pytest.approx(float(new[name]), rel=1e-6), (design, panel, name)


def test_means_are_those_of_the_draws_and_near_what_known_groups_give() -> None:
    table = summarize(read_csv(RESULTS / "cells_draws.csv"))
    for row, old in zip(table, read_csv(RESULTS / "cells_accuracy.csv"), strict=True):
        assert all(str(row[key]) == old[key] or float(old[key]) == pytest.approx(row[key], rel=1e-8) for key in row)
        assert row["cover_oracle"] > 0.88 and row["converged"] > 0.9
        if row["design"] == "S 100x50":
            assert row["accuracy"] > 0.95 and row["rmse_fit"] < 1.2 * row["rmse_oracle"]
    text = (RESULTS / "cells.md").read_text("utf-8")
    assert report({"accuracy": table}).splitlines()[0] in text
