"""Names that are too long are cut where they are alike, and differ where they did."""

from __future__ import annotations

import pytest

from gifepanel.plots.names import short_names

FIRMS = [f"Firma Übermut {k} & Co_KG" for k in (1, 9, 10, 11, 112)]


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (FIRMS, ("1", "9", "10", "11", "112")),
        ([f"C(year, Treatment(1977))[T.{year}]:treated" for year in (1963, 1964, 2001)], ("1963", "1964", "2001")),
        ([f"L(log(a_very_long_name_of_a_variable), {k})" for k in (1, 2, 10)], ("1", "2", "10")),
        (["the share of exports in all sales of firms", "the share of imports in all sales of firms"], ("ex", "im")),
        (["Ohio", "the state north of the river", "the state south of the river"], ("Ohio", "north", "south")),
        (["x" * 40 + "1" + "x" * 40, "x" * 40 + "2" + "x" * 40], ("", "")),
    ],
)
@pytest.mark.parametrize("limit", [14, 22, 28])
def test_differ_where_the_names_do(names: list[str], shown: tuple[str, ...], limit: int) -> None:
    found = short_names(names, limit)
    assert len(set(found)) == len(names)
    assert all(len(text) <= limit for text in found)
    assert all(part in text for part, text in zip(shown, found, strict=True))


def test_what_fits_is_left_alone() -> None:
    assert short_names(["Utah", ("a", 1), "$x$", "Utah"]) == ["Utah", "a, 1", r"\$x\$", "Utah"]
    assert short_names([]) == []
    assert short_names(["one name that is much longer than it may be"], 20)[0].startswith("one name")
