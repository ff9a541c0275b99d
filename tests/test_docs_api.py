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


# ---- parameters

PARAMETERS = re.compile(r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n-{3,}\n|\Z)", re.MULTILINE | re.DOTALL)
ENTRY = re.compile(r"^(\S[^:\n]*?)(?: :.*)?$", re.MULTILINE)


def documented(function: Any) -> list[str]:
    """Names under Parameters."""
    found = PARAMETERS.search(inspect.cleandoc(function.__doc__ or ""))
    entries = ENTRY.findall(found[1]) if found else []
    return [name.strip().lstrip("*") for entry in entries for name in entry.split(",")]


def taken(function: Any) -> list[str]:
    """Names of the signature; `unknown` is there to be refused."""
    return [name for name in inspect.signature(function).parameters if name not in ("self", "cls", "unknown")]


def callables(name: str) -> Iterator[tuple[str, Any]]:
    """A function; a model, and methods of a class. Other classes are not made by users."""
    obj = find(f"gifepanel.{name}")
    if not inspect.isclass(obj) or name in {"GroupedIFE", "InteractiveFE", "PartialledOLS"}:
        yield name, obj
    for member_name, member in members(obj) if inspect.isclass(obj) else ():
        if isinstance(member, classmethod) or inspect.isfunction(member):
            yield f"{name}.{member_name}", function_of(member)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_those_of_the_signature(name: str) -> None:
    for where, function in callables(name):
        assert sorted(documented(function)) == sorted(taken(function)), where


def test_parameters_are_found() -> None:
    assert documented(gife.select)[:4] == ["model", "data", "n_groups", "n_factors"]
    assert [where for where, _ in callables("GroupedIFE")][1:] == [
        f"GroupedIFE.{m}" for m in ("fit", "from_formula", "select")
    ]
    assert documented(gife.formula.api.pols) == taken(gife.formula.api.pols)


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
