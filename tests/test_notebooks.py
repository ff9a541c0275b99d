"""Notebooks run from top to bottom, are what their scripts say, and hold no bulky output."""

from __future__ import annotations

import ast
import re
import time
from pathlib import Path
from typing import Any

import jupytext
import matplotlib
import nbformat
import pytest
from matplotlib import pyplot as plt

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
SCRIPTS = sorted(path for path in FOLDER.glob("*.py") if path.stem != "build")
NAMES = [path.stem for path in SCRIPTS]
SECONDS, OUTPUT_KB, NOTEBOOK_KB = 60, 60, 300
SOME = "DRAWS = 3"  # of the many that a stored notebook has


def run(notebook: Any, name: str, *, all_draws: bool) -> dict[str, Any]:
    """Run the code cells in order in one namespace, and show the value of a cell's last line as a notebook does."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        where = f"{name}, cell {number}"
        source = cell.source if all_draws else re.sub(r"^DRAWS = \d+$", SOME, cell.source, flags=re.MULTILINE)
        tree = ast.parse(source, where)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, where, "exec"), namespace)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), where, "eval"), namespace)
            repr(value)
            getattr(value, "_repr_html_", str)()
    return namespace


@pytest.mark.parametrize("all_draws", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["some", "all"])
@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_runs_from_top_to_bottom_in_under_a_minute(
    script: Path, all_draws: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # backends without a screen warn
    monkeypatch.setattr(plt, "show", lambda *_args, **_options: None)
    start = time.process_time()
    with matplotlib.rc_context({"backend": "agg"}):
        try:
            run(jupytext.read(script), script.name, all_draws=all_draws)
            for number in plt.get_fignums():
                plt.figure(number).canvas.draw()
        finally:
            plt.close("all")
    assert time.process_time() - start < SECONDS


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_script_and_notebook_are_in_step(script: Path) -> None:
    pair = (jupytext.read(script), nbformat.read(script.with_suffix(".ipynb"), as_version=4))
    cells = [[(c.cell_type, c.source.strip(), c.metadata.get("tags", [])) for c in one.cells] for one in pair]
    assert cells[0] == cells[1], f"python notebooks/build.py {script.stem}"


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_code_that_only_draws_is_folded_on_the_site(script: Path) -> None:
    for cell in nbformat.read(script.with_suffix(".ipynb"), as_version=4).cells:
        long = cell.cell_type == "code" and "plt.subplots" in cell.source and len(cell.source.splitlines()) >= 8
        assert ("hide-input" in cell.metadata.get("tags", [])) == long, cell.source[:60]


def test_every_notebook_has_its_script() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_stored_output_is_whole_and_small(script: Path) -> None:
    path = script.with_suffix(".ipynb")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "not run from top to bottom"
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert max(len(str(output)) for output in outputs) < 1000 * OUTPUT_KB
    assert path.stat().st_size < 1000 * NOTEBOOK_KB


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_stored_output_names_no_folder_of_the_machine(script: Path) -> None:
    text = script.with_suffix(".ipynb").read_text("utf-8")
    assert str(ROOT) not in text and "site-packages" not in text


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_each_is_in_the_documentation(script: Path) -> None:
    assert f"notebooks/{script.stem}" in (ROOT / "docs" / "notebooks.md").read_text("utf-8")


def test_figures_quoted_from_the_accuracy_study_are_in_it() -> None:
    text = (FOLDER / "dynamic_panels.py").read_text("utf-8")
    quoted = re.findall(r'\((25|50), "([\w-]+)", -(0\.\d+), (0\.\d+)\)', text)
    assert len(quoted) == 6
    study = [line.replace(" ", "") for line in (ROOT / "docs" / "accuracy.md").read_text("utf-8").splitlines()]
    for periods, correction, bias, cover in quoted:
        row = re.compile(rf"\|D100x{periods}\|refined\|{correction}\|[\d.]+\|−{bias}\|{cover}\|")
        assert any(row.match(line) for line in study), (periods, correction)
