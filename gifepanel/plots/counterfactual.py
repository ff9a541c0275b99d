"""Pictures of what would have been: effects by event time, gaps, paths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.plots.axes import time_axis
from gifepanel.plots.coefficients import percent
from gifepanel.plots.style import BAND, GREY, LINE, POINTS, head, plain, single, zero_line

__all__ = ["draw_event_study", "draw_gaps", "draw_paths"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_SINCE = "periods since treatment began (0: first treated)"


def draw_event_study(effects: pd.DataFrame, leads: pd.DataFrame, alpha: float, ax: Any) -> Any:
    """Average effects by event time with their intervals; what is before treatment is hollow.

    Parameters
    ----------
    effects, leads : DataFrame
        By event time: ``effect``, ``lower``, ``upper``.
    alpha : float
        One less the level of the intervals.
    ax : Axes or None
    """
    from matplotlib.lines import Line2D

    ax = single(ax, 6.0, 3.8)
    zero_line(ax)
    look: dict[str, Any] = {"marker": "o", "markersize": 5, "linestyle": "none"}
    handles = [Line2D([], [], color=POINTS, label="effect", **look)]
    if len(leads) or (effects.index < 0).any():
        handles.append(Line2D([], [], color=GREY, markerfacecolor="white", label="before treatment", **look))
    both = pd.concat([leads[~leads.index.isin(effects.index)], effects])[["effect", "lower", "upper"]].astype(
        np.float64
    )
    for event, (effect, lower, upper) in zip(both.index, both.to_numpy(), strict=True):
        before = event < 0
        ax.errorbar(
            event,
            effect,
            yerr=[[effect - lower], [upper - effect]],
            color=GREY if before else POINTS,
            marker="o",
            markersize=5,
            markerfacecolor="white" if before else POINTS,
            elinewidth=1.3,
            capsize=2.5,
        )
    _onset(ax)
    ax.set_xlabel(_SINCE)
    ax.set_ylabel(f"effect, {percent(1 - alpha)} interval")
    head(ax, "Effects by event time", handles)
    return ax


def _onset(ax: Any) -> None:
    """A line before the first treated period."""
    from matplotlib.ticker import MaxNLocator

    ax.axvline(-0.5, color="0.6", linewidth=0.9, linestyle=(0, (4, 2)), zorder=0)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=True))


def draw_gaps(frame: pd.DataFrame, words: Mapping[str, Any], ax: Any) -> Any:
    """Outcome less counterfactual of each treated entity by event time, and their mean.

    Parameters
    ----------
    frame : DataFrame
        By (entity, time): ``observed``, ``counterfactual``, ``event_time``.
    words : mapping
        ``outcome``.
    ax : Axes or None
    """
    from matplotlib.lines import Line2D

    ax = single(ax, 6.0, 3.8)
    zero_line(ax)
    gap = (frame["observed"] - frame["counterfactual"]).rename("gap")
    table = pd.DataFrame({"gap": gap, "event": frame["event_time"]}).dropna()
    for _, own in table.groupby(level=0):
        own = own.sort_values("event")
        ax.plot(own["event"], own["gap"], color="0.75", linewidth=0.8, zorder=1)
    mean = table.groupby("event")["gap"].mean()
    ax.plot(mean.index, mean, color=LINE, linewidth=2, zorder=3)
    _onset(ax)
    ax.set_xlabel(_SINCE)
    ax.set_ylabel(f"{plain(words['outcome'])} less counterfactual")
    handles = [Line2D([], [], color=LINE, linewidth=2, label="mean")]
    several = len(table.index.get_level_values(0).unique()) > 1
    handles += [Line2D([], [], color="0.75", linewidth=0.8, label="entities")] if several else []
    head(ax, "Gaps", handles)
    return ax


def draw_paths(frame: pd.DataFrame, words: Mapping[str, Any], ax: Any) -> Any:
    """Outcome and counterfactual: of one entity over time, of several their means by event time."""
    from matplotlib.lines import Line2D

    ax = single(ax, 6.0, 3.8)
    entities = frame.index.get_level_values(0).unique()
    if len(entities) == 1:
        own = frame.droplevel(0).sort_index()
        at = time_axis(ax, own.index)
        treated = own["treated"].to_numpy(dtype=bool)
        step = np.median(np.diff(at)) if len(at) > 1 else 1.0
        for k in np.flatnonzero(treated):
            ax.axvspan(at[k] - step / 2, at[k] + step / 2, color="0.93", zorder=0, linewidth=0)
        title = f"{plain(entities[0])}: outcome and counterfactual"
    else:
        own = frame.dropna(subset=["event_time"]).groupby("event_time")[["observed", "counterfactual"]].mean()
        at = own.index.to_numpy(dtype=np.float64)
        _onset(ax)
        ax.set_xlabel(_SINCE)
        title = f"Means of {len(entities)} treated entities"
    ax.plot(at, own["observed"], color=POINTS, linewidth=1.8)
    ax.plot(at, own["counterfactual"], color=BAND, linewidth=1.6, linestyle=(0, (5, 1.5)))
    ax.set_ylabel(plain(words["outcome"]))
    handles = [
        Line2D([], [], color=POINTS, linewidth=1.8, label="observed"),
        Line2D([], [], color=BAND, linewidth=1.6, linestyle=(0, (5, 1.5)), label="without treatment"),
    ]
    head(ax, title, handles)
    return ax
