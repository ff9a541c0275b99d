"""Every formula of the theory pages says which function computes it, and that function exists and is documented."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("theory_*.md"))
ROLE = re.compile(r"\{py:(func|meth|class|attr)\}`~?([\w.]+)`")
FORMULA = re.compile(r"^\$\$\n(.*?)^\$\$\n\n(.*?)(?:\n\n|\Z)", re.MULTILINE | re.DOTALL)


def named(page: Path) -> list[str]:
    return sorted({name for _, name in ROLE.findall(page.read_text("utf-8"))})


def find(name: str) -> Any:
    """The object of a dotted name; where a function and a module share a name, the function, as in Python."""
    found: Any = import_module(name.partition(".")[0])
    for part in name.split(".")[1:]:
        if not hasattr(found, part) and hasattr(found, "__path__") and find_spec(f"{found.__name__}.{part}"):
            import_module(f"{found.__name__}.{part}")
        found = getattr(found, part)
    return found


def test_there_is_a_page_for_each_part() -> None:
    topics = {page.stem.removeprefix("theory_") for page in PAGES}
    assert topics == {"grouped", "interactive", "partialled", "selection", "inference"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_formula_names_its_function(page: Path) -> None:
    text = page.read_text("utf-8")
    formulas = FORMULA.findall(text)
    assert len(formulas) == text.count("\n$$\n") / 2 > 0
    for formula, after in formulas:
        assert after.startswith("*Computed by* {py:"), formula


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_function_that_is_named_exists_and_is_documented(page: Path) -> None:
    for name in named(page):
        assert (find(name).__doc__ or "").strip(), name


def test_every_function_has_a_place_in_the_reference() -> None:
    """A link needs a target: the pages api and internals."""
    text = "".join((DOCS / page).read_text("utf-8") for page in ("api.rst", "internals.rst"))
    listed = set(re.findall(r"[\w.]+", text))
    listed |= {f"gifepanel.{name}" for name in listed}
    for page in PAGES:
        for name in named(page):
            assert name in listed or name.rpartition(".")[0] in listed, name


def test_a_name_that_is_not_there_is_found() -> None:
    with pytest.raises(AttributeError):
        find("gifepanel.solvers.penalty.no_such_function")
