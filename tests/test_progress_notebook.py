"""Progress bars in a notebook: shown when asked for, and by themselves once the work takes two seconds."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("ipywidgets")

CELLS = [
    "import math, time\nfrom gifepanel.parallel import run_tasks",
    "run_tasks(math.sqrt, [(k,) for k in range(5)], progress=True, description='roots')",
    "run_tasks(time.sleep, [(0.3,)] * 9, description='slow')",
    "run_tasks(math.sqrt, [(k,) for k in range(5)], description='quick')",
    "run_tasks(time.sleep, [(0.3,)] * 8, progress=False, description='silent')",
]


@pytest.fixture(scope="module")
def outputs() -> list[str]:
    """What every cell showed."""
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the kernel's own packages
        NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return [
        str([dict(output) for output in cell.outputs if output.output_type != "execute_result"])
        for cell in notebook.cells
    ]


@pytest.mark.filterwarnings("ignore")
def test_bars(outputs: list[Any]) -> None:
    widget = "application/vnd.jupyter.widget-view+json"
    for cell, text in ((1, "roots"), (2, "slow")):
        assert widget in outputs[cell] and text in outputs[cell]
    for cell in (0, 3, 4):
        assert widget not in outputs[cell]
