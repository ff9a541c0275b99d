"""Residuals on the panel and against fitted values; actual against fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import SpecificationError
from gifepanel.plots.added_variable import local_means, scatter
from gifepanel.plots.axes import block_edges, dot_alone, name_rows, spread, time_axis, time_labels, whole_calendar
from gifepanel.plots.names import short_names
from gifepanel.plots.style import (
    GREY,
    LINE,
    MANY_NAMES,
    axes_room,
    find_name,
    head,
    plain,
    several,
    shared_legend,
    single,
    style,
    zero_line,
)

__all__ = ["check_by", "chosen_entities", "draw_fit_scatter", "draw_fitted", "draw_heat_map", "draw_residual_scatter"]

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

# blue - white - orange: nothing to see at zero, both ends equally dark, hues that all readers tell apart
_DIVERGING = ("#08306b", "#2171b5", "#92c0df", "#f7f7f5", "#f5b47a", "#d9660f", "#7a2c04")


def check_by(by: str, choices: tuple[str, ...], method: str) -> str:
    """One of the choices, or an error that lists them."""
    if by not in choices:
        raise SpecificationError(
            f"by is {by!r}.", f"It must be {' or '.join(map(repr, choices))}.", f'res.plot.{method}("{choices[0]}")'
        )
    return by


# ---- the panel as a picture ----


def draw_heat_map(
    resid: Array, entities: pd.Index, times: pd.Index, groups: IntArray | None, ax: Any, cmap: Any = None
) -> Any:
    """Residuals (N, T) as colours centred at 0, entities sorted by group; missing cells are hatched.

    The scale ends where one residual in two hundred is beyond.
    """
    order = np.arange(len(entities)) if groups is None else np.argsort(groups, kind="stable")
    n = len(resid)
    few = n <= MANY_NAMES
    height = float(np.clip(1.3 + 0.115 * n, 2.6, 7.4)) if few else 5.2
    ax = single(ax, 6.4, height)
    from matplotlib.colors import LinearSegmentedColormap

    if cmap is None:
        cmap = LinearSegmentedColormap.from_list("gifepanel", _DIVERGING)
    magnitude = np.abs(resid[np.isfinite(resid)])
    top = float(np.quantile(magnitude, 0.995)) or float(magnitude.max()) or 1.0
    image = ax.imshow(np.ma.masked_invalid(resid[order]), aspect="auto", cmap=_see_through(cmap), vmin=-top, vmax=top)
    labels = time_labels(times)
    shown = spread(labels, 0.75 * axes_room(ax)[0])
    ax.set_xticks(shown, [labels[s] for s in shown])
    ax.set_xlabel(plain(times.name or "time"))
    _rows(ax, entities[order], None if groups is None else groups[order], few)
    bar = ax.figure.colorbar(image, ax=ax, extend="both" if magnitude.max() > top else "neither", pad=0.02, aspect=30)
    bar.ax.tick_params(labelsize="small", color="0.35", length=3)
    bar.outline.set_linewidth(0.5)
    bar.set_label("residual (units of the outcome; white: none)", fontsize="small")
    head(ax, "Residuals by entity over time", _hatch_holes(ax, int(resid.size - magnitude.size), resid.size))
    return ax


def _see_through(cmap: Any) -> Any:
    """The colours, with none in cells without a value: what is behind them shows."""
    from matplotlib import colormaps

    return colormaps.get_cmap(cmap).with_extremes(bad=(1.0, 1.0, 1.0, 0.0))


_HOLE: dict[str, Any] = {"facecolor": "white", "edgecolor": "0.72", "hatch": "//////", "linewidth": 0.0}


def _hatch_holes(ax: Any, holes: int, cells: int) -> list[Any]:
    """Hatch what is behind the cells, and its entry in the legend; nothing where every cell is observed."""
    from matplotlib.patches import Patch

    if not holes:
        return []
    ax.patch.set(**_HOLE)
    return [Patch(**_HOLE, label=f"not observed: {holes:,} of {cells:,} cells")]


def _rows(ax: Any, entities: pd.Index, groups: IntArray | None, few: bool) -> None:
    """Names, or groups where there are too many; white lines between groups."""
    n = len(entities)
    ax.set_ylabel(f"{plain(entities.name or 'entity')}" + ("" if few else f" ({n:,})"))
    blocks, edges = ([], np.array([0, n])) if groups is None else block_edges(groups)
    for edge in edges[1:-1]:
        ax.axhline(edge - 0.5, color="white", linewidth=3.0)
        ax.axhline(edge - 0.5, color="black", linewidth=1.2)
    middle = (edges[:-1] + edges[1:] - 1) / 2
    if few:
        name_rows(ax, entities)
        for k, row in zip(blocks, middle, strict=False):
            if len(blocks) > 1:
                ax.annotate(f"group {k}", (1.0, row), xycoords=("axes fraction", "data"), xytext=(4, 0),
                            textcoords="offset points", rotation=270, va="center", fontsize="small",
                            annotation_clip=False)  # fmt: skip
        return
    if len(blocks) > 1:
        ax.set_yticks(middle, [f"group {k}" for k in blocks])
        ax.tick_params(axis="y", length=0)
    else:
        ax.set_yticks([])


# ---- scatters ----


def draw_residual_scatter(fitted: Array, resid: Array, weights: Array, endog: str, ax: Any) -> Any:
    """Residuals against fitted values with the line of local means."""
    ax = single(ax)
    scatter(ax, fitted, resid, weights)
    zero_line(ax)
    means = local_means(ax, fitted, resid, weights)
    ax.set_xlabel(f"fitted {plain(endog)}")
    ax.set_ylabel("residual")
    head(ax, "Residuals against fitted values", [means])
    return ax


def draw_fit_scatter(fitted: Array, actual: Array, weights: Array, endog: str, ax: Any) -> Any:
    """Actual against fitted values, with the line on which they agree."""
    ax = single(ax, 4.6, 4.2)
    scatter(ax, fitted, actual, weights)
    low, high = fitted.min(), fitted.max()
    line = ax.plot([low, high], [low, high], color=LINE, linewidth=1.6, label="actual = fitted", zorder=4)[0]
    ax.set_xlabel(f"fitted {plain(endog)}")
    ax.set_ylabel(f"actual {plain(endog)}")
    head(ax, "Actual against fitted values", [line])
    return ax


# ---- small multiples ----


def chosen_entities(entities: Any, known: pd.Index, resid: Array, groups: IntArray, count: int = 6) -> list[int]:
    """Positions of the entities to be drawn: those named, or some of each group from well to badly fitted."""
    if entities is not None:
        single_name = isinstance(entities, (str, bytes)) or not np.iterable(entities)
        if not single_name and isinstance(entities, tuple) and entities in known:
            single_name = True
        given = [entities] if single_name else list(entities)
        if not given:
            raise SpecificationError("entities is empty.", "One or more are drawn.", f"[{known[0]!r}]")
        return [find_name(entity, known, f"is not among the {len(known)} entities of the sample") for entity in given]
    size = np.sqrt(np.nanmean(resid**2, axis=1))
    labels = np.unique(groups)
    each = max(1, count // len(labels))
    out: list[int] = []
    for k in labels:
        members = np.flatnonzero(groups == k)
        ordered = members[np.argsort(size[members], kind="stable")]
        ranks = np.unique(((np.arange(each) + 0.5) / each * len(ordered)).astype(int))
        out += [int(i) for i in ordered[ranks]]
    return out[:12]


def draw_fitted(
    actual: Array, resid: Array, entities: pd.Index, times: pd.Index, groups: IntArray, rows: list[int], endog: str,
    ax: Any,
) -> Any:  # fmt: skip
    """Actual and fitted outcome over time, a panel for each entity; lines break at missing values."""
    from matplotlib.lines import Line2D

    several_groups = len(np.unique(groups)) > 1
    axes = several(ax, len(rows), columns=min(3, len(rows)), size=(3.0, 2.1))
    own_figure = ax is None
    dots = actual.shape[1] <= 80
    look: dict[str, Any] = {"color": "0.25", "linestyle": "none", "marker": "o", "markersize": 2.6}
    look = look if dots else {"color": "0.6", "linewidth": 0.9}
    titles = short_names([entities[i] for i in rows], 20)
    for one, i, name in zip(axes, rows, titles, strict=True):
        t = time_axis(one, times)
        k = int(groups[i]) - 1
        one.plot(t, actual[i], label="actual", zorder=2, **look)
        one.plot(t, actual[i] - resid[i], color=style(k).color, linewidth=1.5, label="fitted", zorder=3)
        dot_alone(one, t, actual[i] - resid[i], style(k).color, zorder=3)
        if not dots:
            dot_alone(one, t, actual[i], "0.6", zorder=2)
        if np.isnan(actual[i]).any():
            whole_calendar(one, t)
        suffix = f" (group {k + 1})" if several_groups else ""
        head(one, name + suffix)
    for position, one in enumerate(axes):
        last_row = position + min(3, len(rows)) >= len(rows)
        if own_figure and not last_row:
            one.set_xlabel("")
        if position % 3 == 0 or not own_figure:
            one.set_ylabel(plain(endog), fontsize="small")
        one.xaxis.label.set_fontsize("small")
    handles = [Line2D([], [], label="actual", **look), Line2D([], [], color=GREY, linewidth=1.5, label="fitted")]
    shared_legend(axes, handles, own_figure)
    return axes
