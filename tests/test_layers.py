"""Imports go one way: kernels, projections, solvers, inference, results, models, formula and command line."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import gifepanel

PACKAGE = Path(gifepanel.__file__).parent

# What each part may import besides itself and `exceptions`.
BELOW = {
    "exceptions": set(),
    "parallel": set(),
    "spellings": set(),
    "kernels": set(),
    "projections": {"kernels", "parallel"},
    "solvers": {"kernels", "projections", "parallel"},
    "inference": {"kernels", "projections", "solvers", "parallel"},
    "diagnostics": {"kernels", "projections", "solvers", "inference", "panel"},
    "panel": {"spellings"},
    "results": {"kernels", "projections", "solvers", "inference", "diagnostics"},
    "models": {
        "kernels",
        "projections",
        "solvers",
        "inference",
        "diagnostics",
        "results",
        "panel",
        "parallel",
        "spellings",
    },
    "datasets": set(),
    "interop": {"projections", "inference", "panel", "results", "models"},
    "formula": {"models"},
    "cli": {"models", "spellings", "formula", "datasets", "results", "interop", "diagnostics", "__init__"},
    "__main__": {"cli"},
    "__init__": {"models", "formula", "datasets", "diagnostics"},
}

# Packages of others are handed results through these: imported when a method is called, never with a module.
ON_DEMAND = {"results": {"interop"}}

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


def imports(source: str, module: str, is_package: bool, *, types: bool = True, functions: bool = True) -> Iterator[str]:
    """Full names of all modules that a source imports."""
    for node in walk(ast.parse(source), types=types, functions=functions):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = module.split(".")
            parents = parents[: len(parents) - node.level + is_package] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            if base == "gifepanel":
                yield from (f"gifepanel.{alias.name}" for alias in node.names)
            else:
                yield base


def sources() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


def identify(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", sources(), ids=identify)
def test_imports_go_down(path: Path) -> None:
    module = module_of(path)
    part = "__init__" if module == "gifepanel" else part_of(module)
    assert part in BELOW, f"{module} is in no layer: add {part} to BELOW"
    for functions, more in ((True, ON_DEMAND.get(part, set())), (False, set())):
        allowed = BELOW[part] | {part, "exceptions"} | more
        found = imports(path.read_text("utf-8"), module, path.name == "__init__.py", types=False, functions=functions)
        wrong = [name for name in found if name.split(".")[0] == "gifepanel" and part_of(name) not in allowed]
        assert not wrong, f"{part} may not import {wrong}"


@pytest.mark.parametrize("path", [p for p in sources() if part_of(module_of(p)) in ARRAYS_ONLY], ids=identify)
def test_arrays_only(path: Path) -> None:
    module = module_of(path)
    found = imports(path.read_text("utf-8"), module, path.name == "__init__.py")
    wrong = [name for name in found if name.split(".")[0] in NO_FRAMES]
    assert not wrong, f"{module} works on arrays: no {wrong}"


def test_layers_have_no_cycle() -> None:
    done: set[str] = set()
    while len(done) < len(BELOW):
        free = {part for part, below in BELOW.items() if part not in done and below - {"__init__"} <= done}
        assert free, f"a cycle among {sorted(set(BELOW) - done)}"
        done |= free


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
    assert list(imports(source, module, is_package, types=False)) == expected
