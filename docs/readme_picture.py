"""Draw the picture of the README: ``python docs/readme_picture.py`` writes ``docs/_static/groups.png``."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt

import gifepanel as gife

PICTURE = Path(__file__).parent / "_static" / "groups.png"


def draw() -> plt.Figure:
    """Slopes of the entities with their groups, and the factors."""
    panel = gife.datasets.simulate("S", n_entities=60, n_times=40, random_state=1)
    model = gife.GroupedIFE.from_formula(
        panel.formula, panel.data, n_groups="auto", n_factors="auto"
    )
    results = model.fit(cov_type="cluster")
    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    results.plot.unit_slopes(ax=left)
    results.plot.factors(ax=right)
    return fig


if __name__ == "__main__":
    draw().savefig(PICTURE, dpi=100, metadata={"Software": None})
