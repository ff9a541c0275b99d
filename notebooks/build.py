"""Run notebooks in a kernel and store them: NAME.py becomes NAME.ipynb, with text and small pictures.

The scripts are what to edit; ``python notebooks/build.py [NAME ...]`` writes the notebooks from them (all of them
without a name). It needs the packages of the extra ``docs``.
"""

from __future__ import annotations

import argparse
import base64
import io
import sys
import time
from pathlib import Path

import jupytext
import nbformat
import numpy as np
from nbclient import NotebookClient
from PIL import Image

HERE = Path(__file__).parent
COLOURS, APART = 64, 12


def build(script: Path) -> Path:
    """Run a script in percent format, cell by cell, and write the notebook beside it."""
    notebook = jupytext.read(script)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:03d}"
    NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
    ).execute(cwd=str(HERE))
    for cell in notebook.cells:
        outputs = [one for one in cell.get("outputs", []) if one.get("name") != "stderr"]  # progress bars
        for output in outputs:
            shrink(output)
        if "outputs" in cell:
            cell["outputs"] = outputs
    target = script.with_suffix(".ipynb")
    nbformat.write(notebook, target)
    return target


def shrink(output: nbformat.NotebookNode) -> None:
    """Pictures with a palette of a few dozen colours instead of millions: a fifth of the size."""
    data = output.get("data", {})
    if "image/png" not in data:
        return
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB"))
    colours, place, counts = np.unique(picture.reshape(-1, 3), axis=0, return_inverse=True, return_counts=True)
    palette, nearest = reduced(colours.astype(np.int64), counts)
    image = Image.frombytes("P", picture.shape[1::-1], nearest[place].astype(np.uint8).tobytes())
    image.putpalette([int(value) for colour in palette for value in colour])
    small = io.BytesIO()
    image.save(small, "png", optimize=True)
    data["image/png"] = base64.b64encode(small.getvalue()).decode()


def reduced(colours: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The most frequent colours that differ visibly from each other, and for every colour the nearest of them."""
    chosen: list[int] = []
    for candidate in np.argsort(-counts, kind="stable"):
        if all(np.abs(colours[candidate] - colours[one]).max() > APART for one in chosen):
            chosen.append(int(candidate))
        if len(chosen) == COLOURS:
            break
    palette = colours[chosen]
    return palette, np.stack([np.abs(colours - one).sum(axis=1) for one in palette]).argmin(axis=0)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="*", help="of a notebook, without suffix")
    names = parser.parse_args().name or sorted(path.stem for path in HERE.glob("*.py") if path != Path(__file__))
    for name in names:
        start = time.perf_counter()
        target = build(HERE / f"{name}.py")
        seconds, size = time.perf_counter() - start, target.stat().st_size
        print(f"{target.name}: {seconds:.1f} s, {size / 1000:.0f} kB", file=sys.stderr)


if __name__ == "__main__":
    main()
