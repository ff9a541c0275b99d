"""The stored tables are whole, belong together, and can be computed again."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any

import bench_estimated_groups as estimated_groups
import bench_group_tests as group_tests
import bench_tests
import pytest
from bench_montecarlo import compare, stored_draws, summarize
from common import RESULTS, read_csv
from draws import CELLS, Cell, one_draw
from pages import DOCS, PAGES, page

TEXT = {"design", "fit", "correction", "varied", "size", "view", "way", "part", "what"}


def stored(name: str) -> list[dict[str, Any]]:
    """A stored table, numbers as numbers and empty cells left out."""
    rows = []
    for row in read_csv(RESULTS / f"{name}.csv"):
        full = {key: value for key, value in row.items() if value != ""}
        rows.append({key: value if key in TEXT else _number(value) for key, value in full.items()})
    return rows


def _number(value: str) -> float | int:
    return int(value) if re.fullmatch(r"-?\d+", value) else float(value)


@pytest.fixture(scope="module")
def draws() -> list[dict[str, Any]]:
    return stored_draws()


def test_every_cell_has_every_draw_once(draws: list[dict[str, Any]]) -> None:
    counts = Counter((r["design"], r["n"], r["t"], r["fit"], r["correction"], r["kappa_scale"]) for r in draws)
    assert len(set(counts.values())) == 1
    number = next(iter(counts.values()))
    assert number >= 100
    assert {key[:3] for key in counts} == {(cell.design, cell.n, cell.t) for cell in CELLS}
    seen = {(r["design"], r["n"], r["t"], r["fit"], r["correction"], r["kappa_scale"], r["draw"]) for r in draws}
    assert len(seen) == len(draws)
    assert {row["draw"] for row in draws} == set(range(number))


def test_draws_are_sound(draws: list[dict[str, Any]]) -> None:
    for row in draws:
        assert all(math.isfinite(value) for key, value in row.items() if key not in TEXT)
        shares = [row[name] for name in ("accuracy", "cover", "cover_hc1")]
        assert all(0 <= share <= 1 for share in shares)
        assert row["accuracy"] == 1 or row["fit"] != "oracle"
        # a misclassified entity is at least as far from its slopes as the coefficients are from theirs
        assert row["rmse_unit"] > 0 and row["rmse_coef"] > 0
    # no two panels are the same
    sums = [row["ssr"] for row in draws if row["fit"] == "oracle" and row["correction"] == "none"]
    assert len(set(sums)) == len(sums)


def test_means_are_those_of_the_draws(draws: list[dict[str, Any]]) -> None:
    again, kept = summarize(draws), stored("montecarlo")
    assert len(again) == len(kept)
    for new, old in zip(again, kept, strict=True):
        for key, value in new.items():
            if isinstance(value, float) and not math.isnan(value):
                assert value == pytest.approx(float(old[key]), rel=1e-8, abs=1e-9), key
            elif value is not None and not isinstance(value, float):
                assert value == old[key]


@pytest.mark.parametrize(("cell", "draw"), [(CELLS[0], 3), (CELLS[3], 42), (CELLS[7], 99), (CELLS[9], 17)])
def test_stored_draws_come_out_again(cell: Cell, draw: int, draws: list[dict[str, Any]]) -> None:
    kept = [r for r in draws if (r["design"], r["n"], r["t"], r["draw"]) == (cell.design, cell.n, cell.t, draw)]
    again = one_draw(cell, draw)
    assert len(again) == len(kept)
    for new, old in zip(again, kept, strict=True):
        for key, value in new.items():
            if key in TEXT:
                assert value == old[key]
            else:
                # sums of squares run into the thousands; everything else is of order one
                assert value == pytest.approx(old[key], rel=1e-9, abs=1e-8), (cell.name, key)


def test_nothing_falls_short_of_the_known_figures() -> None:
    rows = [{**row, "kappa_scale": float(row["kappa_scale"])} for row in stored("montecarlo")]
    compared = compare(rows)
    assert len(compared) > 30
    assert {row["verdict"] for row in compared} <= {"better", "level", "short, as the oracle"}


def test_what_estimated_groups_do_is_stored_as_it_comes_out() -> None:
    kept = estimated_groups.stored_draws()
    table = estimated_groups.summarize(kept)
    assert [row["design"] for row in table] == list(estimated_groups.DESIGNS)
    for row, old in zip(table, stored("estimated_groups"), strict=True):
        assert row["draws"] >= 200 and row["size_joint"] <= 1.95
        assert all(row[key] == pytest.approx(old[key], rel=1e-8, abs=1e-9) for key in row if key != "design")
        assert row["known"] <= row["allowing"] <= row["oracle"] + 0.02
        assert row["outward_soft"] < row["outward_allowing"]
    assert estimated_groups.report(table) == (RESULTS / "estimated_groups.md").read_text("utf-8").strip()
    for name, draw in (("S 100x15", 42), ("D 100x25", 91), ("S 100x50, 20 % missing", 1)):
        old = next(row for row in kept if row["design"] == name and row["draw"] == draw)
        new = estimated_groups.one_draw(name, draw)
        assert all(new[key] == pytest.approx(old[key], rel=1e-8, abs=1e-8) for key in new if key != "design")


def test_tests_after_grouping_are_stored_as_they_come_out() -> None:
    kept = group_tests.stored_draws()
    table = group_tests.summarize(kept)
    assert len(table) == len(group_tests.CELLS)
    for row, old in zip(table, read_csv(RESULTS / "group_tests.csv"), strict=True):
        assert row["draws"] == int(old["draws"]) >= 100 and row["rate"] == pytest.approx(float(old["rate"]), abs=1e-9)
        naive = row["test"] == "groups"
        assert row["naive"] > 0.7 if naive else math.isnan(row["naive"])
    text = group_tests.report(table)
    assert text == (RESULTS / "group_tests.md").read_text("utf-8").strip()
    page = (RESULTS.parents[1] / "docs" / "testing_groups.md").read_text("utf-8")
    assert text.split("\n\n")[1] in page
    for cell in group_tests.CELLS[0], group_tests.CELLS[-1]:
        old = next(row for row in kept if row["cell"] == cell.name and row["draw"] == 17)
        new = group_tests.one_draw(cell, 17)
        assert all(new[key] == pytest.approx(old[key], rel=1e-6, nan_ok=True) for key in new if key != "cell")


def test_fits_to_cells_converge() -> None:
    rows = read_csv(RESULTS / "cells_accuracy.csv")
    assert all(int(row["draws"]) == 200 and float(row["converged"]) >= 0.9 for row in rows)


def test_sizes_of_tests_are_stored_as_they_come_out() -> None:
    kept = bench_tests.stored_draws()
    table = bench_tests.summarize(kept)
    assert [row["kind"] for row in table] == [cell[4] for cell in bench_tests.CELLS]
    assert bench_tests.report(table) == (RESULTS / "tests.md").read_text("utf-8").strip()
    for row in table:
        assert row["draws"] >= (600 if row["design"].endswith("50") and row["kind"] == "null" else 200)
        if row["design"].endswith("x50") and row["kind"] == "null":
            off = {name: row[name] - 0.05 for name in bench_tests.TESTS if row[name] > 0.07 + 2 * 0.009}
            assert off == {}
    for cell in (("S", 50, 25, "20 % missing", "null"), ("P", 100, 25, "complete", "null")):
        design, n, t, panel, kind = cell
        own = {"design": design, "n": n, "t": t, "panel": panel, "kind": kind, "draw": 17}
        old = next(row for row in kept if own.items() <= row.items())
        new = bench_tests.one_draw(cell, 17)
        assert all(new[name] == pytest.approx(old[name], rel=2e-4, nan_ok=True) for name in bench_tests.TESTS)


def test_criterion_is_never_above_the_peers() -> None:
    rows = stored("peer")
    assert {row["kappa"] for row in rows if row["n"] == 100} == {0.01, 0.1, 1, 10}
    assert all(row["q_ours"] <= row["q_peer"] * (1 + 1e-10) for row in rows)


@pytest.mark.parametrize("name", ["montecarlo", "estimated_groups", "group_tests", "tests", "peer", "scaling"])
def test_facts_say_how_it_was_run_and_not_where(name: str) -> None:
    text = (RESULTS / f"{name}.json").read_text("utf-8")
    facts = json.loads(text)
    assert facts["complete"] and facts["threads"] == 1
    assert {"gifepanel", "numpy", "scipy", "numba"} <= set(facts["machine"]["versions"])
    assert not re.search(r"(^|[\"\s])/\w+/|[A-Z]:\\", text)


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_those_of_the_results(name: str) -> None:
    assert (DOCS / f"{name}.md").read_text("utf-8") == page(name)
