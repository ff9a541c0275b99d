"""What the architecture page and the README name exists."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
FILE = r"`((?:gifepanel|tests|docs|benchmarks|notebooks)(?:/[\w.-]+)*)`"
NAMED = re.compile(FILE + r"(?:[\s,]*\(((?:`\w+(?:\.\w+)?`(?:,\s*)?)+)\))?")
FILES = [(match[1], re.findall(r"`([\w.]+)`", match[2] or "")) for match in NAMED.finditer(PAGE)]


def definitions(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    """Functions, classes, methods and names that are assigned."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from definitions(node.body, f"{node.name}.")
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (prefix + target.id for target in targets if isinstance(target, ast.Name))


@pytest.mark.parametrize(("path", "names"), FILES, ids=[f"{path} {' '.join(names)}" for path, names in FILES])
def test_files_and_functions_exist(path: str, names: list[str]) -> None:
    assert (ROOT / path).exists()
    if names:
        assert set(names) <= set(definitions(ast.parse((ROOT / path).read_text("utf-8")).body))


def test_the_page_names_enough() -> None:
    assert len(FILES) > 80
    assert sum(len(names) for _, names in FILES) > 60


def test_commands_and_variables_exist() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"`make (\w+)`", PAGE)) <= targets
    tests = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__))
    variables = set(re.findall(r"GIFEPANEL_\w+", PAGE))
    assert len(variables) == 3 and all(name in tests for name in variables)


def loaded(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    drawing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(drawing)
    return drawing


def test_the_chart_is_that_of_the_stored_times() -> None:
    drawing = loaded("performance_picture")
    assert drawing.PICTURE.read_text("utf-8") == drawing.draw(), "python docs/performance_picture.py"
    assert all(times for _, times in (*drawing.groups(), *drawing.effects()))


def test_the_picture_is_that_of_the_imports() -> None:
    drawing = loaded("architecture_picture")
    picture = drawing.draw()
    assert drawing.PICTURE.read_text("utf-8") == picture, "python docs/architecture_picture.py"
    drawn = set(re.findall(r"<text[^>]*>([\w.]+)</text>", picture))
    parts = {path.name for path in (ROOT / "gifepanel").iterdir() if (path / "__init__.py").exists()}
    assert (
        parts | {"blocks", "checkpoint", "cli", "diagnostics", "parallel", "shares", "simulations", "threads"} == drawn
    )


def test_pictures_of_the_readme() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert pictures
    for picture in pictures:
        assert 0 < (ROOT / picture).stat().st_size < 100_000
