"""The way of a formula: which files it enters, how often, and that stages and functions stay small."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import gifepanel as gife
from gifepanel.datasets import load_cigar
from gifepanel.panel.evaluate import Evaluated
from gifepanel.panel.formulaic_evaluation import Encoded
from gifepanel.panel.grammar import FormulaParts
from gifepanel.panel.sample import Sample
from gifepanel.panel.terms import Terms

PACKAGE = Path(gife.__file__).parent
STAGES = (FormulaParts, Terms, Evaluated, Sample, Encoded)


def rooms(formula: str, data: Any, **options: Any) -> list[str]:
    """Files, in order, in which a function is handed the formula or what a stage made of it; helpers of text count."""
    entered: list[str] = []

    def profile(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(str(PACKAGE)):
            return
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + 2]
        values = [frame.f_locals.get(name) for name in names]
        values += [one for value in values if isinstance(value, tuple) for one in value[:9]]
        if any(isinstance(value, STAGES) or (isinstance(value, str) and value == formula) for value in values):
            room = str(Path(code.co_filename).relative_to(PACKAGE))
            if entered[-1:] != [room]:
                entered.append(room)

    gife.PartialledOLS.from_formula(formula, data, **options)
    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        gife.PartialledOLS.from_formula(formula, data, **options)
    finally:
        sys.setprofile(before)
    return entered


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("log(sales) ~ log(price) + L(ndi) | state + year", {}),
        ("sales ~ price", {"partial": "ndi + bs(pop, df=3)", "weights": "pop"}),
    ],
)
def test_at_most_twelve_rooms_and_none_more_than_twice(formula: str, options: dict[str, Any]) -> None:
    entered = rooms(formula, load_cigar(), **options)
    assert len(set(entered)) <= 12
    assert max(Counter(entered).values()) <= 2
    order = [f"panel/{name}.py" for name in ("design", "grammar", "terms", "evaluate", "design")]
    left = iter(entered)
    assert all(room in left for room in order)


@pytest.mark.parametrize("path", sorted((PACKAGE / "panel").glob("*.py")), ids=lambda path: path.stem)
def test_no_function_is_longer_than_forty_lines(path: Path) -> None:
    """Signature and code; the docstring does not count."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef):
            doc = node.body[0] if ast.get_docstring(node) else None
            length = (node.end_lineno or 0) - node.lineno + 1
            length -= 0 if doc is None else (doc.end_lineno or 0) - doc.lineno + 1
            assert length <= 40, f"{node.name} of {path.name}"
