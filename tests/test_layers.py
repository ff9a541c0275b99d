"""Imports go one way: kernels, projections, solvers, inference, results, models, formula and command line."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import gifepanel

PACKAGE = Path(gifepanel.__file__).parent

# What each part may import besides itself and `exceptions`, for types too.
BELOW = {
    "exceptions": set(),
    "checkpoint": set(),
    "parallel": {"checkpoint"},
    "threads": {"parallel"},
    "blocks": {"parallel", "threads"},
    "shares": {"parallel", "threads", "blocks"},
    "spellings": set(),
    "short_repr": set(),
    "kernels": set(),
    "projections": {"checkpoint", "kernels", "parallel", "threads"},
    "solvers": {"kernels", "blocks", "shares", "parallel", "short_repr"},
    "inference": {"kernels", "projections", "blocks", "short_repr"},
    "panel": {"spellings", "projections", "blocks", "short_repr"},
    "lazy_rows": {"parallel", "panel", "projections"},
    "diagnostics": {"inference", "panel"},
    "statsmodels_bridge": set(),
    "tables": {"statsmodels_bridge"},
    "plots": set(),
    "page": {"tables", "plots"},
    "interop": {"projections", "inference", "panel"},
    "results": {
        "short_repr",
        "projections",
        "solvers",
        "inference",
        "panel",
        "statsmodels_bridge",
        "tables",
        "plots",
        "page",
        "interop",
    },
    "models": {
        "projections",
        "solvers",
        "inference",
        "panel",
        "lazy_rows",
        "checkpoint",
        "parallel",
        "blocks",
        "shares",
        "spellings",
        "statsmodels_bridge",
        "tables",
        "page",
        "results",
    },
    "simulations": {"models", "parallel"},
    "datasets": {"short_repr"},
    "formula": {"models"},
    "command": {"parallel", "__init__"},
    "cli": {"command", "models", "spellings", "page", "__init__"},
    "__main__": {"cli"},
    "__init__": {"models", "formula", "simulations", "datasets", "diagnostics", "interop", "tables"},
}

# Imported when they are asked for, never with a module.
ON_DEMAND = {"results": {"interop"}, "panel": {"projections"}}

# Arrays in, dataclasses out: these parts know no data frames and no formulas.
ARRAYS_ONLY = ("kernels", "projections", "solvers", "inference")
NO_FRAMES = {"pandas", "statsmodels", "formulaic", "patsy", "narwhals", "polars", "pyarrow", "matplotlib"}


def part_of(module: str) -> str:
    """``gifepanel.solvers.sweep`` -> ``solvers``; the package itself is ``__init__``."""
    pieces = module.split(".")
    return pieces[1] if len(pieces) > 1 else "__init__"


def module_of(path: Path) -> str:
    pieces = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(pieces[:-1] if pieces[-1] == "__init__" else pieces)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def walk(node: ast.AST, *, types: bool, functions: bool = True) -> Iterator[ast.AST]:
    """All nodes, those under ``if TYPE_CHECKING`` only with `types`, those in functions only with `functions`."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) and not functions:
            continue
        if types or not is_type_checking(child):
            yield from walk(child, types=types, functions=functions)


@cache
def parsed(source: str) -> ast.AST:
    return ast.parse(source)


@cache
def imports(source: str, module: str, is_package: bool, *, types: bool = True, functions: bool = True) -> list[str]:
    """Full names of all modules that a source imports; several tests ask for those of every file."""
    found: list[str] = []
    for node in walk(parsed(source), types=types, functions=functions):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = module.split(".")
            parents = parents[: len(parents) - node.level + is_package] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            found += [f"gifepanel.{alias.name}" for alias in node.names] if base == "gifepanel" else [base]
    return found


def sources() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


def identify(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", sources(), ids=identify)
def test_imports_go_down(path: Path) -> None:
    module = module_of(path)
    part = "__init__" if module == "gifepanel" else part_of(module)
    assert part in BELOW, f"{module} is in no layer: add {part} to BELOW"
    for functions, less in ((True, set()), (False, ON_DEMAND.get(part, set()))):
        allowed = (BELOW[part] | {part, "exceptions"}) - less
        found = imports(path.read_text("utf-8"), module, path.name == "__init__.py", functions=functions)
        wrong = [name for name in found if name.split(".")[0] == "gifepanel" and part_of(name) not in allowed]
        assert not wrong, f"{part} may not import {wrong}"


@pytest.mark.parametrize("path", [p for p in sources() if part_of(module_of(p)) in ARRAYS_ONLY], ids=identify)
def test_arrays_only(path: Path) -> None:
    module = module_of(path)
    found = imports(path.read_text("utf-8"), module, path.name == "__init__.py")
    wrong = [name for name in found if name.split(".")[0] in NO_FRAMES]
    assert not wrong, f"{module} works on arrays: no {wrong}"


def loops(arrows: dict[str, set[str]]) -> list[str]:
    """Names that are on a circle of arrows, or above one: what is left when those that point nowhere are taken away."""
    left = {name: set(targets) & set(arrows) - {name} for name, targets in arrows.items()}
    while free := {name for name, targets in left.items() if not targets & set(left)}:
        left = {name: targets for name, targets in left.items() if name not in free}
    return sorted(left)


def between_parts() -> dict[str, set[str]]:
    """Parts that each part imports, for types too."""
    arrows: dict[str, set[str]] = {part: set() for part in BELOW}
    for path in sources():
        module = module_of(path)
        found = imports(path.read_text("utf-8"), module, path.name == "__init__.py")
        part = "__init__" if module == "gifepanel" else part_of(module)
        arrows[part] |= {part_of(name) for name in found if name.split(".")[0] == "gifepanel"}
    return arrows


def test_folders_form_no_circle() -> None:
    """What is imported, for types too; the package itself looks names up when they are first used."""
    arrows = between_parts()
    assert loops(arrows) == []
    assert all(arrows[part] - {part, "exceptions"} <= BELOW[part] for part in arrows if part != "__init__")


@pytest.mark.parametrize("part", sorted(part for part in BELOW if (PACKAGE / part).is_dir()))
def test_files_of_a_folder_form_no_circle(part: str) -> None:
    """For types too: what two files ask of each other is a protocol, or a dataclass, that both import."""
    arrows = {
        module_of(path): set(imports(path.read_text("utf-8"), module_of(path), path.name == "__init__.py"))
        for path in (PACKAGE / part).glob("*.py")
        if path.name != "__init__.py"
    }
    assert loops(arrows) == []


def test_circles_are_found() -> None:
    assert loops({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert loops({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]


def test_no_arrow_is_allowed_and_not_used() -> None:
    """A list of what is allowed that is wider than what is there would hide the next circle."""
    used = between_parts()
    spare = {part: below - used[part] for part, below in BELOW.items() if below - used[part]}
    assert not spare


@pytest.mark.parametrize(
    ("source", "module", "is_package", "expected"),
    [
        ("import pandas as pd", "gifepanel.a", False, ["pandas"]),
        ("from gifepanel.solvers import x", "gifepanel.a", False, ["gifepanel.solvers"]),
        ("from gifepanel import solvers", "gifepanel.a", False, ["gifepanel.solvers"]),
        ("from . import solvers", "gifepanel.a", False, ["gifepanel.solvers"]),
        ("from ..solvers import x", "gifepanel.kernels.a", False, ["gifepanel.solvers"]),
        ("from ..solvers import x", "gifepanel.kernels", True, ["gifepanel.solvers"]),
        ("from .joint import x", "gifepanel.kernels", True, ["gifepanel.kernels.joint"]),
        ("def f():\n    import pandas.api", "gifepanel.a", False, ["pandas.api"]),
        (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import x",
            "gifepanel.a",
            False,
            ["typing"],
        ),
    ],
)
def test_the_walk_finds_every_form(source: str, module: str, is_package: bool, expected: list[str]) -> None:
    assert imports(source, module, is_package, types=False) == expected
