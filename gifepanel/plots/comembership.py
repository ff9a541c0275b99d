"""Who is with whom in bootstrap draws: a picture of the matrix of co-membership."""

from __future__ import annotations

from typing import Any

import numpy as np

from gifepanel.plots.axes import block_edges
from gifepanel.plots.names import short_names
from gifepanel.plots.style import MANY_NAMES, head, single, style

__all__ = ["draw_comembership"]


def draw_comembership(boot: Any, labels: int | None, ax: Any) -> Any:
    """The matrix, entities by group and from stable to unstable; groups are framed in their colours.

    Parameters
    ----------
    boot : Bootstrap
    labels : int or None
        Entities to be named at most.
    ax : Axes or None
    """
    from matplotlib.patches import Rectangle

    groups = boot.groups.to_numpy()
    order = np.lexsort([-np.nan_to_num(boot.stability.to_numpy()), groups])
    shares = boot.comembership.to_numpy()[np.ix_(order, order)]
    n = len(order)
    ax = single(ax, 5.6, 4.9)
    image = ax.imshow(np.ma.masked_invalid(shares), cmap="Greys", vmin=0.0, vmax=1.0, interpolation="nearest")
    for k, (label, low, high) in enumerate(_blocks(groups[order])):
        box = Rectangle((low - 0.5, low - 0.5), high - low, high - low, fill=False, linewidth=2.0, zorder=3)
        box.set_edgecolor(style(label - 1).color)
        ax.add_patch(box)
        ax.text(
            1.01, 1 - (low + high) / (2 * n), f"group {label}", transform=ax.transAxes, va="center", fontsize="x-small",
            color=style(label - 1).color, gid=f"group {k}",
        )  # fmt: skip
    names = short_names(boot.groups.index[order], 24)
    most = MANY_NAMES if labels is None else max(labels, 0)
    shown = np.arange(n) if n <= most else np.empty(0, dtype=int) if labels is None else _spread(n, most)
    ax.set_yticks(shown, [names[j] for j in shown])
    ax.set_xticks([])
    ax.tick_params(axis="y", labelsize="x-small" if n <= 30 else "xx-small", length=0)
    ax.set_xlabel(f"{boot._words['entity']}, by group, from stable to unstable")
    bar = ax.figure.colorbar(image, ax=ax, fraction=0.04, pad=0.11)
    bar.ax.tick_params(labelsize="x-small", length=2)
    bar.outline.set_visible(False)
    head(ax, "Share of draws in which two entities are in one group")
    return ax


def _blocks(groups: Any) -> list[tuple[int, int, int]]:
    labels, edges = block_edges(groups)
    return [(label, int(edges[k]), int(edges[k + 1])) for k, label in enumerate(labels)]


def _spread(n: int, most: int) -> Any:
    return np.unique(np.linspace(0, n - 1, most).round().astype(int)) if most else np.empty(0, dtype=int)
