"""Pictures of impulse responses."""

from __future__ import annotations

from typing import Any

import pandas as pd

from gifepanel.plots.coefficients import percent
from gifepanel.plots.style import head, plain, single, style, zero_line

__all__ = ["draw_responses"]


def draw_responses(table: pd.DataFrame, name: str, outcome: str, level: float, permanent: bool, ax: Any) -> Any:
    """Responses over time, a line for each group, intervals as bands.

    Parameters
    ----------
    table : DataFrame
        By period, or by (group, period): ``response``, ``lower``, ``upper``.
    name, outcome : str
    level : float
    permanent : bool
    ax : Axes or None
    """
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    ax = single(ax, 6.0, 3.8)
    zero_line(ax)
    grouped = "group" in table.index.names
    handles = []
    for k, label in enumerate(dict.fromkeys(table.index.get_level_values("group")) if grouped else [None]):
        own = table.xs(label, level="group") if grouped else table
        look = style(k)
        ax.fill_between(own.index, own["lower"], own["upper"], color=look.color, alpha=0.15, linewidth=0)
        line = {"color": look.color, "linestyle": look.line, "marker": look.marker, "markersize": 4}
        ax.plot(own.index, own["response"], **line)
        handles.append(Line2D([], [], label=f"group {label}" if grouped else "response", **line))
    ax.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=True))
    ax.set_xlabel(f"periods after {plain(name)} {'rose for ever' if permanent else 'rose once'}")
    ax.set_ylabel(f"{plain(outcome)}, {percent(level)} interval")
    head(ax, f"Response to {plain(name)}", handles)
    return ax
