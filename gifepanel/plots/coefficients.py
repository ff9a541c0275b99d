"""Coefficients with their intervals, by group where there are groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gifepanel.plots.style import find_name, head, plain, several, shared_legend, single, style, zero_line

__all__ = ["draw_coefficients", "group_names", "percent"]

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]


def percent(level: float) -> str:
    """0.95 as ``95 %``."""
    return f"{100 * level:g} %"


def group_names(res: Any) -> list[str]:
    """Labels of groups for legends, with their sizes."""
    return [f"group {k} (n = {size})" for k, size in res.group_sizes.items()]


def draw_coefficients(
    res: Any, names: str | Sequence[str] | None, alpha: float, separate: bool, ax: Any, width: float = 5.4
) -> Any:
    """Points and intervals: one row for each regressor, groups side by side in it; see the methods that call it."""
    table, slots = _table(res)
    chosen = _chosen(res, table, slots, names)
    interval = np.asarray(res.conf_int(alpha))
    params = np.asarray(res.params)
    n_groups = slots.shape[0]
    height = 0.95 + len(chosen) * (0.3 + 0.17 * n_groups)
    if separate:
        axes = several(ax, len(chosen), size=(3.0, 1.3 + 0.17 * n_groups))
        for j, one in zip(chosen, axes, strict=True):
            _rows(one, [j], table, slots, params, interval)
            one.set_yticks([])
            one.set_xlabel(f"coefficient, {percent(1 - alpha)} interval", fontsize="small")
            head(one, plain(table[j]))
        if n_groups > 1:
            shared_legend(axes, _handles(res, slots, chosen), ax is None)
        return axes
    ax = single(ax, width, height)
    _rows(ax, chosen, table, slots, params, interval)
    ax.set_xlabel(f"coefficient, with its {percent(1 - alpha)} confidence interval")
    head(ax, *(("Coefficients by group", _handles(res, slots, chosen)) if n_groups > 1 else ("Coefficients",)))
    return ax


def _table(res: Any) -> tuple[list[str], IntArray]:
    """Names of regressors, and the position of each group's coefficient, (K, p)."""
    slots = getattr(res, "_slots", None)
    if slots is None:
        return res._names, np.arange(len(res._names))[None, :]
    return list(res._regressors), np.asarray(slots)


def _chosen(res: Any, table: list[str], slots: IntArray, names: str | Sequence[str] | None) -> list[int]:
    if names is None:
        variable = [j for j in range(len(table)) if int(slots[0, j]) not in res.model._constants]
        return variable or list(range(len(table)))
    given = [names] if isinstance(names, str) else list(names)
    return [find_name(name, table, "is not a regressor of the model") for name in given]


def _rows(ax: Any, chosen: list[int], table: list[str], slots: IntArray, params: Array, interval: Array) -> None:
    n_groups = slots.shape[0]
    step = 0.62 / max(n_groups - 1, 1) if n_groups > 1 else 0.0
    for row, j in enumerate(chosen):
        positions = slots[:, j]
        common = n_groups > 1 and (positions == positions[0]).all()
        for k, position in enumerate(positions[:1] if common else positions):
            own = style(6 if common else k)
            shift = 0.0 if common else (k - (n_groups - 1) / 2) * step
            low, high = interval[position]
            ax.errorbar(
                params[position],
                row + shift,
                xerr=[[params[position] - low], [high - params[position]]],
                color=own.color,
                marker="*" if common else own.marker,
                markersize=7.5 if common else 5,
                markeredgecolor="0.15",
                markeredgewidth=0.5,
                elinewidth=1.4,
                capsize=2.5,
            )
    zero_line(ax, vertical=True)
    ax.set_yticks(range(len(chosen)), [plain(table[j]) for j in chosen])
    ax.set_ylim(len(chosen) - 0.45, -0.55)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    for row in range(1, len(chosen)):
        ax.axhline(row - 0.5, color="0.9", linewidth=0.8, zorder=0)


def _handles(res: Any, slots: IntArray, chosen: list[int]) -> list[Any]:
    """Markers of the groups, and of coefficients in common."""
    from matplotlib.lines import Line2D

    shared = [(slots[:, j] == slots[0, j]).all() for j in chosen]
    look: dict[str, Any] = {"linewidth": 1.4, "markersize": 5, "markeredgecolor": "0.15", "markeredgewidth": 0.5}
    handles = []
    if not all(shared):
        for k, label in enumerate(group_names(res)):
            handles.append(Line2D([], [], color=style(k).color, marker=style(k).marker, label=label, **look))
    if any(shared):
        handles.append(
            Line2D([], [], color=style(6).color, marker="*", label="all groups", **{**look, "markersize": 7.5})
        )
    return handles
