"""Great tables of coefficients: the cells, the groups, the notes."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from gifepanel import PartialledOLS
from gifepanel.exceptions import SpecificationError
from tests.interop.conftest import demand

pytest.importorskip("great_tables")


def texts(table: Any) -> list[list[str]]:
    """Rows of the table as text."""
    rows = re.findall(r"<tr.*?>(.*?)</tr>", table.as_raw_html(), re.DOTALL)
    cells = [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [[html.unescape(re.sub(r"<[^>]+>", "", cell)).replace("−", "-").strip() for cell in row] for row in cells]


def test_cells_are_the_coefficients(partialled: Any) -> None:
    rows = texts(partialled.to_great_tables(digits=4))
    own = next(row for row in rows if row[0] == "lp")
    low, high = partialled.conf_int().loc["lp"]
    expected = [partialled.params["lp"], partialled.bse["lp"], partialled.tvalues["lp"]]
    assert own[1:] == [*(f"{value:.4f}" for value in expected), "<0.0001", f"{low:.4f}", f"{high:.4f}"]
    assert ["", "Estimate", "Std. error", "z", "p", "95 % interval"] in rows
    assert ["lower", "upper"] in rows
    assert ["PartialledOLS: ls"] in rows
    assert ["1380 observations, 46 entities, 30 periods"] in rows
    assert ["Absorbed: state, year. Covariance: cluster by state."] in rows


def test_groups_have_sections(mixed: Any) -> None:
    rows = texts(mixed.to_great_tables(conf_level=0.9))
    sizes = mixed.group_sizes
    titles = [row[0] for row in rows if len(row) == 1]
    sections = ["All groups", f"Group 1: {sizes[1]} entities", f"Group 2: {sizes[2]} entities"]
    assert [title for title in titles if title in sections] == sections
    terms = [row[0] for row in rows if len(row) == 7 and row[0]]
    assert terms == ["li", "L(ls)", "lp", "L(ls)", "lp"]
    assert [row[1] for row in rows if row[0] == "lp"] == [f"{mixed.params[f'lp[{k}]']:.3f}" for k in (1, 2)]
    assert any("90 % interval" in row for row in rows)


def test_small_numbers_are_not_lost() -> None:
    data = demand().assign(big=lambda d: d["lp"] * 1e6)
    rows = texts(PartialledOLS.from_formula("ls ~ big | state", data).fit().to_great_tables())
    cell = next(row for row in rows if row[0] == "big")[1]
    assert re.fullmatch(r"-\d\.\d × 10-7", cell)


def test_titles_notes_and_latex(grouped: Any) -> None:
    table = grouped.to_great_tables(title="Demand", notes=False)
    assert "Absorbed" not in table.as_raw_html()
    assert r"lp & " in table.as_latex()
    with pytest.raises(SpecificationError, match="digits is 0"):
        grouped.to_great_tables(digits=0)
