"""What the API page lists is documented, with an example; the examples themselves run as doctests."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

import gifepanel as gife
from gifepanel.statsmodels_bridge.shown_names import _FOR_CODE, _ONLY_RESULTS, _refuses
from tests.test_docs_theory import DOCS, find

LISTED = re.compile(r"^   ([\w.]+)$", re.MULTILINE)
NAMES = LISTED.findall((DOCS / "api.rst").read_text("utf-8"))


def function_of(member: Any) -> Any:
    """What carries the docstring: of methods, class methods, properties and cached ones."""
    for name in ("__func__", "fget", "func"):
        member = getattr(member, name, None) or member
    return member


def members(cls: type) -> Iterator[tuple[str, Any]]:
    """Public members that this package defines, refuses nothing by, and does not keep for other code."""
    for name in dir(cls):
        member = inspect.getattr_static(cls, name)
        function = function_of(member)
        ours = (getattr(function, "__module__", None) or "").startswith("gifepanel.")
        hidden = name in _FOR_CODE or (name in _ONLY_RESULTS and function.__module__.startswith("gifepanel.models"))
        if ours and not name.startswith("_") and not hidden and not _refuses(member):
            yield name, member


def without_example(name: str) -> list[str]:
    obj = find(f"gifepanel.{name}")
    missing = [] if ">>>" in (obj.__doc__ or "") else [name]
    for member_name, member in members(obj) if inspect.isclass(obj) else ():
        doc = function_of(member).__doc__ or ""
        callable_ = inspect.isfunction(function_of(member)) and not isinstance(member, property)
        cached = type(member).__name__ in ("cached_property", "property")
        if not doc.strip() or (callable_ and not cached and ">>>" not in doc):
            missing.append(f"{name}.{member_name}")
    return missing


@pytest.mark.parametrize("name", NAMES)
def test_is_documented_with_an_example(name: str) -> None:
    assert without_example(name) == []


def test_public_names_are_listed() -> None:
    modules = {"datasets", "diagnostics", "exceptions", "formula", "interop", "__version__"}
    assert set(gife.__all__) - modules <= set(NAMES)
    for module in ("datasets", "diagnostics", "exceptions"):
        assert {f"{module}.{name}" for name in getattr(gife, module).__all__} <= set(NAMES), module


def test_pages_of_all_entries_are_linked_from_the_index() -> None:
    """No page of the documentation is an orphan."""
    index = (DOCS / "index.md").read_text("utf-8")
    others = {"validation", "architecture", "validation_fixed_effects"}  # by pattern
    for page in DOCS.glob("*.md"):
        assert page.stem in {"index", *others} or re.search(rf"^{page.stem}$", index, re.MULTILINE), page.stem
