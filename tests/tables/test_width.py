"""No report is wider than 80 columns, whatever names, groups and numbers."""

from __future__ import annotations

import re
import unicodedata
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gifepanel.tables.blocks import Notes, Pairs, Span, Table
from gifepanel.tables.coefficients import coefficient_blocks
from gifepanel.tables.render import render
from gifepanel.tables.text_width import centered, clip, columns, first_names, ljust, rjust, wrap

ODD = "a漢\u0301é|&<_ \t\n😀"
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(["log(x1)", "region", *ODD])
NAMES = st.builds(lambda words, n, glue: glue.join(words * n), st.lists(WORDS, max_size=3), st.integers(1, 9), WORDS)
SIZES = np.array([0.0, 1e-12, 1e-4, 1.0, 1.0, 1.0, 40.0, 1e5, 1e9, -1e300, np.inf, np.nan])


def widest(text: str) -> int:
    """Columns of the widest line, counted anew: wide characters two, combining and invisible ones none."""

    def width(character: str) -> int:
        if unicodedata.category(character) in ("Mn", "Me", "Cf"):
            return 0
        return 2 if unicodedata.east_asian_width(character) in "WF" else 1

    return max(sum(map(width, line)) for line in text.split("\n"))


@st.composite
def results(draw: Any) -> Any:
    """What the tables of coefficients ask of a result with groups."""
    n_groups, n_names = draw(st.integers(1, 8)), draw(st.integers(1, 6))
    names = draw(st.lists(NAMES, min_size=n_names, max_size=n_names))
    n_common = draw(st.integers(0, n_names - 1))
    keys = [f"{name}[{k + 1}]" for k in range(n_groups) for name in names[n_common:]] + names[:n_common]
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    plain = draw(st.booleans())
    values = rng.normal(size=(6, len(keys))) * (1 if plain else rng.choice(SIZES, size=(6, len(keys))))
    own = len(names) - n_common

    def by_group(rows: Any) -> Any:
        return [
            (f"Group {k + 1}", [(names[n_common + j], *rows[k * own + j][1:]) for j in range(own)])
            for k in range(n_groups)
        ]

    def common(rows: Any) -> Any:
        return [(f"  {names[j]}", *rows[n_groups * own + j][1:]) for j in range(n_common)]

    return SimpleNamespace(
        params=values[0],
        bse=values[1],
        tvalues=values[2],
        pvalues=np.clip(np.nan_to_num(values[3]), 0, 1),
        conf_int=lambda alpha: values[4:6].T,
        use_t=draw(st.booleans()),
        _names=keys,
        _columns_by_group=by_group,
        _common_rows=common,
        _sections=lambda rows: [(title, tuple(part)) for title, part in [("All", common(rows)), *by_group(rows)]],
    )


@settings(max_examples=60, deadline=None)
@given(results(), st.sampled_from(["auto", "side", "stacked"]), NAMES)
def test_coefficients_by_group(res: Any, layout: str, title: str) -> None:
    blocks = coefficient_blocks(res, 0.05, layout)
    text = render(title, blocks, "text")
    assert widest(text) <= 80
    for fmt in ("html", "latex", "markdown", "csv"):
        assert render(title, blocks, fmt)
    flat = re.sub(r"[\s()]", "", text)
    for value in res.params:
        if 1e-3 < abs(value) < 1e5:
            assert f"{value:.4f}" in flat


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_block(data: Any) -> None:
    n = data.draw(st.integers(1, 7))
    row = st.lists(NAMES, min_size=n + 1, max_size=n + 1).map(tuple)
    rows = tuple(data.draw(st.lists(row, min_size=1, max_size=4)))
    table = Table(
        data.draw(row),
        ((data.draw(NAMES), rows),),
        text_last=data.draw(st.booleans()) and n > 1,
        units=data.draw(st.sampled_from([(), (1,) * n, (n,)])),
        spanners=data.draw(st.sampled_from([(), (("", Span("over", n) if n > 1 else "over"),)])),
        hang=data.draw(st.sampled_from([0, 1, 3])),
    )
    pairs = Pairs(
        tuple(data.draw(st.lists(st.tuples(NAMES, NAMES), max_size=4))), ((data.draw(NAMES), data.draw(NAMES)),)
    )
    text = render(data.draw(NAMES), [pairs, table, Notes((data.draw(NAMES),))], "text")
    assert widest(text) <= 80


@given(NAMES, st.integers(4, 60))
def test_wrapped_text_keeps_every_character(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert all(columns(line) <= width for line in lines)
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", text)
    assert all(columns(line) <= width for line in wrap(text, width, "  "))


@given(NAMES, st.integers(3, 60))
def test_clipped_and_aligned(text: str, width: int) -> None:
    short = clip(text, width)
    assert columns(short) <= width
    for align in (ljust, rjust, centered):
        assert columns(align(short, width)) == width


@given(st.lists(NAMES, min_size=1, max_size=12), st.integers(0, 900), st.integers(24, 90))
def test_first_names(names: list[str], more: int, width: int) -> None:
    text = first_names(names, len(names) + more, width)
    assert columns(text) <= width
    if more:
        assert text.endswith("more")


def test_a_thousand_members_take_two_lines() -> None:
    names = [f"firm{k}" for k in range(12)]
    assert first_names(names, 1000, 40) == "firm0, firm1, firm2, firm3 and 996 more"
