"""What several pictures need: time axes, names beside points, limits that outliers don't set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.plots.names import short_names
from gifepanel.plots.style import GREY, axes_room, plain, points_of, text_width

__all__ = [
    "block_edges",
    "counted",
    "dot_alone",
    "frame_points",
    "name_choice",
    "name_points",
    "name_rows",
    "spread",
    "time_axis",
    "time_labels",
    "whole_calendar",
]

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]


def spread(labels: Sequence[str], room: float = 300.0) -> IntArray:
    """Positions at equal steps, eight at most, whose labels have room (in points) side by side."""
    longest = max(map(len, labels))
    count = int(np.clip(room // (5.4 * longest + 8), 2, 8))
    return np.arange(0, len(labels), max(1, -(-len(labels) // count)))


def time_labels(times: pd.Index) -> list[str]:
    """Periods as short text."""
    if isinstance(times, pd.DatetimeIndex):
        days = bool((times == times.normalize()).all())
        years = days and bool(times.is_year_start.all() or times.is_year_end.all())
        months = days and bool(times.is_month_start.all() or times.is_month_end.all())
        return list(times.strftime("%Y" if years else "%Y-%m" if months else "%Y-%m-%d" if days else "%Y-%m-%d %H:%M"))
    return [plain(time, 12) for time in times]


def time_axis(ax: Any, times: pd.Index) -> Any:
    """Values for the horizontal axis, whose ticks are set: numbers and dates as they are, other labels by position."""
    from matplotlib import dates as untyped
    from matplotlib.ticker import MaxNLocator

    dates: Any = untyped
    ax.set_xlabel(plain(times.name or "time"))
    if isinstance(times, pd.PeriodIndex):
        times = times.to_timestamp()
    if isinstance(times, pd.DatetimeIndex):
        locator = dates.AutoDateLocator(minticks=3, maxticks=8)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
        return dates.date2num(times.tz_localize(None).to_numpy())
    if pd.api.types.is_numeric_dtype(times.dtype) and not pd.api.types.is_bool_dtype(times.dtype):
        values = np.asarray(times, dtype=np.float64)
        bins, whole = int(np.clip(axes_room(ax)[0] // 34, 3, 7)), bool((values == np.rint(values)).all())
        ax.xaxis.set_major_locator(MaxNLocator(nbins=bins, integer=whole, steps=[1, 2, 5, 10]))
        return values
    labels = time_labels(times)
    shown = spread(labels, 0.75 * axes_room(ax)[0])
    ax.set_xticks(shown, [labels[t] for t in shown])
    return np.arange(len(times), dtype=np.float64)


def block_edges(labels: IntArray) -> tuple[list[int], IntArray]:
    """Labels of consecutive blocks, and where they start and end."""
    starts = np.flatnonzero(np.diff(labels, prepend=labels[0] - 1))
    return [int(labels[start]) for start in starts], np.append(starts, len(labels))


def dot_alone(ax: Any, t: Array, values: Array, color: Any, zorder: float = 2) -> None:
    """Dots where a value stands between two that are missing: a line has nothing to draw there."""
    padded = np.concatenate([[False], np.isfinite(values), [False]])
    alone = padded[1:-1] & ~padded[:-2] & ~padded[2:]
    if alone.any():
        ax.plot(t[alone], values[alone], color=color, linestyle="none", marker="o", markersize=1.8, zorder=zorder)


def whole_calendar(ax: Any, t: Array) -> None:
    """Limits around all periods, those in which nothing is observed among them."""
    margin = 0.05 * np.ptp(t)
    ax.set_xlim(t.min() - margin, t.max() + margin)


def name_rows(ax: Any, names: Any) -> None:
    """Each row 0..n-1 by its name, in letters that fit."""
    ax.set_yticks(np.arange(len(names)), short_names(names, 24))
    ax.tick_params(axis="y", labelsize="x-small" if len(names) <= 30 else "xx-small", length=0)


def frame_points(ax: Any, x: Array, y: Array, what: str = "entities") -> None:
    """Limits around the points; those further than six interquartile ranges out are counted instead of shown."""
    outside = np.zeros(len(x), dtype=bool)
    for values, setter in ((x, ax.set_xlim), (y, ax.set_ylim)):
        low, high = np.quantile(values, [0.25, 0.75])
        reach = 6 * (high - low)
        near = (values >= low - reach) & (values <= high + reach)
        if near.all() or reach == 0:
            continue
        margin = 0.06 * np.ptp(values[near])
        setter(values[near].min() - margin, values[near].max() + margin)
        outside |= ~near
    if outside.any():
        text = f"{int(outside.sum())} of {len(x)} {what} outside of the frame"
        ax.text(0.99, 0.01, text, transform=ax.transAxes, ha="right", va="bottom", fontsize="x-small", color=GREY)


def name_points(ax: Any, x: Array, y: Array, rows: Any, names: Any, avoid: bool = True) -> None:
    """Write names (of each row) beside the points `rows` where there is room; the first have the choice.

    Names that would cover others, leave the frame or, with `avoid`, cover points are left out.
    """
    from matplotlib.patheffects import withStroke

    room = np.array(axes_room(ax))
    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    at = np.column_stack([(x - x0) / (x1 - x0), (y - y0) / (y1 - y0)]) * room
    taken: list[tuple[float, float, float, float]] = []
    point = points_of("x-small")
    for row, text in zip(rows, short_names([names[row] for row in rows]), strict=True):
        width, height = text_width(text, point), 1.15 * point
        best = _place(at, int(row), width, height, room, taken, avoid)
        if best is None:
            continue
        dx, dy, ha = best
        taken.append(_box(at[row], dx, dy, ha, width, height))
        ax.annotate(
            text,
            (x[row], y[row]),
            textcoords="offset points",
            xytext=(dx, dy),
            ha=ha,
            va="center",
            fontsize="x-small",
            path_effects=[withStroke(linewidth=2, foreground="white")],
            zorder=6,
        )


def counted(n: int, what: str) -> str:
    """``1 factor``, ``2 factors``."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def name_choice(ax: Any, x: float, y: float, text: str) -> None:
    """Write beside a point that it was chosen, at the side that has room."""
    from matplotlib.patheffects import withStroke

    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    right, low = (x - x0) / (x1 - x0) < 0.6, (y - y0) / (y1 - y0) < 0.75
    ax.annotate(
        text, (x, y), xytext=(9 if right else -9, 16 if low else -14), textcoords="offset points",
        ha="left" if right else "right", va="center", fontsize="small", fontweight="bold", zorder=6,
        path_effects=[withStroke(linewidth=2.5, foreground="white")],
        arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.8, "shrinkB": 4},
    )  # fmt: skip


_OFFSETS = ((6, 0, "left"), (-6, 0, "right"), (4, 7, "left"), (-4, 7, "right"), (4, -7, "left"), (-4, -7, "right"),
            (0, 9, "center"), (0, -9, "center"))  # fmt: skip


def _box(point: Array, dx: float, dy: float, ha: str, width: float, height: float) -> tuple[float, float, float, float]:
    left = point[0] + dx - {"left": 0.0, "center": width / 2, "right": width}[ha]
    return left, point[1] + dy - height / 2, left + width, point[1] + dy + height / 2


def _place(
    at: Array,
    row: int,
    width: float,
    height: float,
    frame: Array,
    taken: list[tuple[float, float, float, float]],
    avoid: bool,
) -> tuple[float, float, str] | None:
    """The first offset at which nothing is covered, None if there is none."""
    for dx, dy, ha in _OFFSETS:
        left, low, right, high = _box(at[row], dx, dy, ha, width, height)
        if left < 0 or right > frame[0] or low < 0 or high > frame[1]:
            continue
        if any(left < b[2] and right > b[0] and low < b[3] and high > b[1] for b in taken):
            continue
        inside = (at[:, 0] > left - 3) & (at[:, 0] < right + 3) & (at[:, 1] > low - 2) & (at[:, 1] < high + 2)
        inside[row] = False
        if not (avoid and inside.any()):
            return dx, dy, ha
    return None
