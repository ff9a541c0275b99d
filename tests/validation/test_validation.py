"""Every number within its tolerance; the pages of the documentation are what the numbers give."""

from __future__ import annotations

import pytest

from tests.validation import effects
from tests.validation.live import LIVE
from tests.validation.page import DOCS, PAGES, PARTS, differences, texts
from tests.validation.record import Number, Section, bound, decimals, number, several

SECTIONS = [section for sections in PARTS.values() for section in sections]


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return texts()


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.title)
def test_numbers_are_met(section: Section) -> None:
    if not section.available:
        pytest.skip("data without a licence to copy them; set GIFEPANEL_REFERENCE")
    numbers = list(section.numbers())
    assert numbers
    assert [n for n in numbers if not n.met] == []


def test_every_entry_of_the_fixed_effects_file() -> None:
    found = effects.entries()
    assert len(found) == 103
    assert [n for pair in found.values() for numbers in pair for n in numbers if not n.met] == []


@pytest.mark.parametrize("name", PAGES)
def test_page_is_up_to_date(name: str, pages: dict[str, str]) -> None:
    stale = list(differences((DOCS / f"{name}.md").read_text("utf-8"), pages[name]))
    assert not stale, "run python -m tests.validation\n" + "\n".join(stale[:5])


@pytest.mark.parametrize("test", [row[2] for row in LIVE])
def test_live_comparisons_exist(test: str) -> None:
    path, _, name = test.partition("::")
    assert f"def {name}(" in (DOCS.parent / path).read_text("utf-8")


def test_what_makes_a_page_stale() -> None:
    row = "| slope | 0.12 | 0.1234 | ≤ 1e-8 |"
    assert not list(differences(row, row.replace("0.1234", "0.1235").replace("1e-8", "1e-9")))
    for changed in ("0.1238", "0.123", "-0.1234"):
        assert list(differences(row, row.replace("0.1234", changed)))
    assert list(differences(row, row.replace("1e-8", "1e-6")))
    assert list(differences(row, row.replace("slope", "error")))
    assert list(differences(row, f"{row}\n{row}"))


def test_digits_and_bounds() -> None:
    assert [decimals(v) for v in (0.4017041, 163.0135049122, 41.0, 4.340731748e-4, -0.1)] == [7, 7, 0, 13, 1]
    assert [bound(v) for v in (0, 3e-11, 1e-8, 1.1e-8, 0.02)] == ["≤ 1e-10", "≤ 1e-10", "≤ 1e-8", "≤ 1e-7", "≤ 1e-1"]
    assert number("a", 0.25, 0.2549).met and not number("a", 0.25, 0.2551).met
    assert several(["a", "b"], [0.5, 0.25], [0.5, 0.25])[0].digits == 2
    assert Number("a", 31, 31.0, 0, 0).row() == ("a", "31", "31", "0")
