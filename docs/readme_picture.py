"""Draw the picture of the README: ``python docs/readme_picture.py`` writes ``docs/_static/cigarettes.png``."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt

import gifepanel as gife

PICTURE = Path(__file__).parent / "_static" / "cigarettes.png"


def draw() -> plt.Figure:
    """Slopes of the states with their groups, and the factors."""
    data = gife.datasets.load_cigar()
    results = gife.GroupedIFE.from_formula(
        "log(sales) ~ log(real_price) + log(real_income) | state",
        data,
        n_groups=3,
        n_factors=2,
    ).fit()
    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    results.plot.unit_slopes(ax=left)
    results.plot.factors(ax=right)
    return fig


if __name__ == "__main__":
    draw().savefig(PICTURE, dpi=100, metadata={"Software": None})
