"""Coefficients with their intervals, by group where there are groups: in rows, or over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gifepanel.exceptions import SpecificationError
from gifepanel.plots.axes import time_axis, time_labels
from gifepanel.plots.event_terms import EventSeries, event_series
from gifepanel.plots.names import short_names
from gifepanel.plots.style import (
    GREY,
    axes_room,
    find_name,
    folded,
    head,
    plain,
    points_of,
    several,
    shared_legend,
    short,
    single,
    stacked,
    style,
    zero_line,
)

__all__ = ["draw_coefficients", "group_names", "percent"]

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
_APART = 8.0  # times as wide an interval, zero included, and a row has a scale of its own


@dataclass(frozen=True)
class _Shown:
    """Coefficients of a model: names of regressors, where each group has its own, estimates and intervals."""

    res: Any
    names: list[str]
    slots: IntArray
    params: Array
    interval: Array
    level: float

    @property
    def n_groups(self) -> int:
        return int(self.slots.shape[0])

    def common(self, j: int) -> bool:
        """Whether all groups have the same coefficient, where there are several."""
        return self.n_groups > 1 and bool((self.slots[:, j] == self.slots[0, j]).all())

    def reach(self, j: int) -> float:
        """From zero to the far end of the longest interval."""
        return float(np.abs(self.interval[self.slots[:, j]]).max())


def percent(level: float) -> str:
    """0.95 as ``95 %``."""
    return f"{100 * level:g} %"


def group_names(res: Any) -> list[str]:
    """Labels of groups for legends, with their sizes."""
    return [f"group {k} (n = {size})" for k, size in res.group_sizes.items()]


def draw_coefficients(
    res: Any, names: str | Sequence[str] | None, alpha: float, separate: bool | None, ax: Any, width: float = 5.4
) -> Any:
    """Points and intervals: one row for each regressor, groups side by side in it; see the methods that call it.

    Leads and lags, and categories that are periods, are drawn over time where they are not asked for in rows; rows
    whose coefficients are of another size have axes of their own.
    """
    table, slots = _table(res)
    shown = _Shown(res, table, slots, np.asarray(res.params), np.asarray(res.conf_int(alpha)), 1 - alpha)
    series = event_series(table, _time_name(res))
    chosen = _chosen(shown, series, names)
    if separate:
        return _one_each(shown, chosen, ax)
    parts = [chosen] if separate is False else _parts(shown, series, chosen)
    if hasattr(ax, "plot") and len(parts) > 1:
        parts = [chosen]
    if len(parts) == 1:
        return _draw_alone(shown, parts[0], ax, width)
    axes = stacked(ax, [_height(shown, part) for part in parts], width)
    handles = _handles(shown, chosen) if shown.n_groups > 1 else []
    for number, (one, part) in enumerate(zip(axes, parts, strict=True)):
        if isinstance(part, EventSeries):
            _over_time(one, shown, part)
            head(one, plain(part.name, 60))
        else:
            _rows(one, part, shown)
            head(one, _title(shown) if number == 0 else "")
    if handles:
        shared_legend(axes, handles, ax is None)
    rows = [one for one, part in zip(axes, parts, strict=True) if not isinstance(part, EventSeries)]
    if rows:
        _say(rows[-1], _words(shown) + (" (scales differ)" if len(rows) > 1 else ""))
    return axes


def _title(shown: _Shown) -> str:
    return "Coefficients by group" if shown.n_groups > 1 else "Coefficients"


def _say(ax: Any, text: str) -> None:
    """A label below the axes, no wider than they are."""
    ax.set_xlabel(folded(text, axes_room(ax)[0] + 12, points_of("medium")))


def _words(shown: _Shown) -> str:
    return f"coefficient, with its {percent(shown.level)} confidence interval"


def _draw_alone(shown: _Shown, part: EventSeries | list[int], ax: Any, width: float) -> Any:
    handles = _handles(shown, list(part.regressors) if isinstance(part, EventSeries) else part)
    handles = handles if shown.n_groups > 1 else []
    if isinstance(part, EventSeries):
        ax = single(ax, 6.2, 3.6)
        _over_time(ax, shown, part)
        head(ax, plain(part.name, 60), handles)
        return ax
    ax = single(ax, width, 0.95 + _height(shown, part))
    _rows(ax, part, shown)
    _say(ax, _words(shown))
    head(ax, _title(shown), handles)
    return ax


def _one_each(shown: _Shown, chosen: list[int], ax: Any) -> Any:
    """A panel with a scale of its own for every regressor."""
    axes = several(ax, len(chosen), size=(3.0, 1.3 + 0.17 * shown.n_groups))
    titles = short_names([shown.names[j] for j in chosen])
    for j, one, title in zip(chosen, axes, titles, strict=True):
        _rows(one, [j], shown)
        one.set_yticks([])
        one.set_xlabel(f"coefficient, {percent(shown.level)} interval", fontsize="small")
        head(one, title)
    if shown.n_groups > 1:
        shared_legend(axes, _handles(shown, chosen), ax is None)
    return axes


# ---- what is shown, and in which part ----


def _table(res: Any) -> tuple[list[str], IntArray]:
    """Names of regressors, and the position of each group's coefficient, (K, p)."""
    slots = getattr(res, "_slots", None)
    if slots is None:
        return list(res._names), np.arange(len(res._names))[None, :]
    return list(res._regressors), np.asarray(slots)


def _time_name(res: Any) -> str:
    sample = getattr(res, "sample", None)
    return str(sample.time_name if sample is not None else getattr(res.model, "_time", None))


def _chosen(shown: _Shown, series: list[EventSeries], names: str | Sequence[str] | None) -> list[int]:
    """Positions of the regressors named; the name of a series stands for all of its coefficients."""
    if names is None:
        variable = [j for j in range(len(shown.names)) if int(shown.slots[0, j]) not in shown.res.model._constants]
        return variable or list(range(len(shown.names)))
    whole = {one.name: one.regressors for one in series}
    out: list[int] = []
    for name in [names] if isinstance(names, str) else list(names):
        if name in whole and name not in shown.names:
            out += whole[name]
        else:
            out.append(find_name(name, [*shown.names], "is not a regressor of the model"))
    if not out:
        raise SpecificationError("names is empty.", "One or more are drawn.", repr([shown.names[0]]))
    return out


def _parts(shown: _Shown, series: list[EventSeries], chosen: list[int]) -> list[EventSeries | list[int]]:
    """Whole series that were chosen, and the other rows by the size of their coefficients, in the order chosen."""
    whole = [one for one in series if set(one.regressors) <= set(chosen)]
    taken = {j for one in whole for j in one.regressors}
    rest = [j for j in chosen if j not in taken]
    parts: list[EventSeries | list[int]] = [rows for rows in _by_scale(shown, rest) if rows]
    return [*whole, *parts]


def _by_scale(shown: _Shown, rows: list[int]) -> list[list[int]]:
    """Rows of about one size each, so that the smallest interval can be seen beside the largest."""
    reach = {j: shown.reach(j) for j in rows}
    finite = sorted((j for j in rows if np.isfinite(reach[j]) and reach[j] > 0), key=lambda j: -reach[j])
    classes: list[set[int]] = []
    top = np.inf
    for j in finite:
        if not classes or reach[j] < top / _APART:
            classes.append(set())
            top = reach[j]
        classes[-1].add(j)
    if len(classes) <= 1:
        return [rows]
    classes[0] |= set(rows) - set(finite)
    parts = [[j for j in rows if j in members] for members in classes]
    return sorted(parts, key=lambda part: rows.index(part[0]))


def _height(shown: _Shown, part: EventSeries | list[int]) -> float:
    if isinstance(part, EventSeries):
        return 2.6
    return len(part) * ((0.3 + 0.17 * shown.n_groups) if len(part) <= 8 else (0.17 + 0.13 * shown.n_groups))


# ---- drawn ----


def _rows(ax: Any, chosen: list[int], shown: _Shown) -> None:
    from matplotlib.ticker import MaxNLocator

    n_groups = shown.n_groups
    step = 0.62 / max(n_groups - 1, 1) if n_groups > 1 else 0.0
    for row, j in enumerate(chosen):
        positions, common = shown.slots[:, j], shown.common(j)
        for k, position in enumerate(positions[:1] if common else positions):
            shift = 0.0 if common else (k - (n_groups - 1) / 2) * step
            low, high = shown.interval[position]
            value = shown.params[position]
            reach = [[value - low], [high - value]]
            ax.errorbar(value, row + shift, xerr=reach, **_marks(k, common), elinewidth=1.4, capsize=2.5)
    zero_line(ax, vertical=True)
    ax.set_yticks(range(len(chosen)), short_names([shown.names[j] for j in chosen]))
    ax.xaxis.set_major_formatter(lambda value, _: short(value, 6))
    ax.xaxis.set_major_locator(MaxNLocator(nbins=int(np.clip(axes_room(ax)[0] // 42, 3, 8)), steps=[1, 2, 5, 10]))
    ax.set_ylim(len(chosen) - 0.45, -0.55)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    for row in range(1, len(chosen)):
        ax.axhline(row - 0.5, color="0.9", linewidth=0.8, zorder=0)


def _over_time(ax: Any, shown: _Shown, series: EventSeries) -> None:
    """Estimates and intervals over periods, the reference hollow at zero, a line where counting begins."""
    common = shown.common(series.regressors[0])
    groups = 1 if common else shown.n_groups
    at = np.asarray(time_axis(ax, series.at), dtype=np.float64)
    gap = float(np.diff(np.sort(at)).min()) if len(at) > 1 else 1.0
    for k in range(groups):
        positions = shown.slots[k, list(series.regressors)]
        values, interval = shown.params[positions], shown.interval[positions]
        where = at + (k - (groups - 1) / 2) * (0.5 * gap / max(groups, 2))
        look = _marks(k, common)
        reach = [values - interval[:, 0], interval[:, 1] - values]
        ax.errorbar(where, values, yerr=reach, **look, elinewidth=1.3, capsize=2.0 if len(at) < 25 else 0.0,
                    linestyle="none")  # fmt: skip
        ax.plot(where, values, color=look["color"], linewidth=0.8, alpha=0.5, zorder=1)
    zero_line(ax)
    if series.reference is not None and series.reference not in series.at:
        period = series.at[:0].insert(0, series.reference)
        reference = np.asarray(time_axis(ax, period), dtype=np.float64)
        time_axis(ax, series.at)
        ax.plot(reference, [0.0], marker="o", markersize=5, color=GREY, markerfacecolor="white", linestyle="none")
        ax.set_xlabel(f"{ax.get_xlabel()} (hollow: the reference, {time_labels(period)[0]})")
    if series.relative:
        ax.axvline(0.0 if series.lags else -0.5, color="0.7", linewidth=0.8, linestyle=(0, (4, 2)), zorder=0)
    if series.lags:
        ax.set_xlabel("periods later (lags); before (leads) below zero" if (at < 0).any() else "periods later (lags)")
    ax.set_ylabel(f"coefficient, {percent(shown.level)} interval", fontsize="small")


def _marks(k: int, common: bool) -> dict[str, Any]:
    own = style(6 if common else k)
    return {
        "color": own.color,
        "marker": "*" if common else own.marker,
        "markersize": 7.5 if common else 5,
        "markeredgecolor": "0.15",
        "markeredgewidth": 0.5,
    }


def _handles(shown: _Shown, chosen: list[int]) -> list[Any]:
    """Markers of the groups, and of coefficients in common."""
    from matplotlib.lines import Line2D

    shared = [shown.common(j) for j in chosen]
    handles = []
    if not all(shared):
        labels = group_names(shown.res) if shown.n_groups > 1 else [""]
        handles += [Line2D([], [], label=label, linewidth=1.4, **_marks(k, False)) for k, label in enumerate(labels)]
    if any(shared):
        handles.append(Line2D([], [], label="all groups", linewidth=1.4, **_marks(0, True)))
    return handles
