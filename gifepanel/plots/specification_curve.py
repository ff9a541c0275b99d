"""The specification curve: estimates under many choices, and below what each of them has chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.plots.coefficients import percent
from gifepanel.plots.style import BAND, GREY, POINTS, dress, head, plain, pyplot, zero_line

__all__ = ["draw_specification_curve"]

_WORDS = {
    "factors": "factors",
    "groups": "groups",
    "penalty": "penalty",
    "classification": "groups are",
    "bias": "bias correction",
    "errors": "standard errors",
}


def draw_specification_curve(checks: Any, slopes: Sequence[str], sort: str, ax: Any) -> Any:
    """Two Axes for each slope.

    Parameters
    ----------
    checks : Robustness
    slopes : sequence of str
    sort : {"estimate", "choice"}
    ax : sequence of Axes or None
    """
    table = checks.table[checks.table["slope"].isin(slopes) & checks.table["estimate"].notna()]
    settings = checks.settings.loc[list(dict.fromkeys(table["specification"]))]
    levels = [(name, level) for name in settings for level in dict.fromkeys(settings[name])]
    axes = _axes(ax, len(slopes), len(settings), len(levels))
    for column, slope in enumerate(slopes):
        own = table[table["slope"] == slope]
        if sort == "estimate":
            own = own.sort_values("estimate", kind="stable")
        _curve(axes[0, column], own, slope, checks.level)
        _choices(axes[1, column], settings, own, levels, first=column == 0)
    return axes


def _axes(ax: Any, n: int, width: int, rows: int) -> Any:
    if ax is None:
        size = (2.3 + n * max(2.6, 0.24 * width), 2.5 + 0.19 * rows)
        heights = {"height_ratios": [2.3, 0.19 * rows + 0.2]}
        fig, grid = pyplot().subplots(
            2, n, figsize=size, layout="constrained", squeeze=False, sharex="col", gridspec_kw=heights
        )
        fig.get_layout_engine().set(w_pad=0.07, h_pad=0.04)
    else:
        from gifepanel.exceptions import SpecificationError

        grid = np.asarray(ax, dtype=object).ravel()
        if len(grid) < 2 * n:
            needed = f"fig, ax = plt.subplots(2, {n})"
            raise SpecificationError(f"ax has {len(grid)} Axes.", f"This picture has {2 * n} panels.", needed)
        grid = grid[: 2 * n].reshape(2, n)
    for one in grid.ravel():
        dress(one)
    return grid


def _curve(ax: Any, own: pd.DataFrame, slope: str, level: float) -> None:
    """Estimates with intervals; the fit in a colour of its own, its interval as a band."""
    at = np.arange(len(own))
    fitted = (own["choice"] == "").to_numpy()
    values, low, high = (own[name].to_numpy() for name in ("estimate", "lower", "upper"))
    zero_line(ax)
    for some, colour in ((~fitted, POINTS), (fitted, BAND)):
        reach = np.nan_to_num(np.vstack([values - low, high - values])[:, some])
        ax.errorbar(
            at[some], values[some], yerr=reach, color=colour, linestyle="none", marker="o", markersize=4.5,
            elinewidth=1.3, capsize=0, zorder=3,
        )  # fmt: skip
    for j in np.flatnonzero(fitted):
        ax.axhline(values[j], color=BAND, linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)
        ax.axhspan(low[j], high[j], color=BAND, alpha=0.08, linewidth=0, zorder=0)
    ax.set_ylabel(f"slope of {plain(slope)}")
    ax.tick_params(axis="x", bottom=False, labelbottom=False)
    head(ax, f"Estimates and {percent(level)} intervals", _handles())


def _handles() -> list[Any]:
    from matplotlib.lines import Line2D

    look: dict[str, Any] = {"marker": "o", "markersize": 4.5, "linewidth": 1.3}
    return [
        Line2D([], [], color=BAND, label="as fitted", **look),
        Line2D([], [], color=POINTS, label="one choice different", **look),
    ]


def _choices(ax: Any, settings: pd.DataFrame, own: pd.DataFrame, levels: list[tuple[str, str]], *, first: bool) -> None:
    """A dot where a specification has a level of a choice; dark where that is what is different."""
    position = {label: j for j, label in enumerate(own["specification"])}
    different = dict(zip(own["specification"], own["choice"], strict=True))
    for row, (name, level) in enumerate(levels):
        for label, j in position.items():
            if settings.loc[label, name] == level:
                changed = different[label] == name
                ax.plot(j, row, marker="o", markersize=4.5 if changed else 3, color=POINTS if changed else "0.75")
    starts = [row for row in range(1, len(levels)) if levels[row][0] != levels[row - 1][0]]
    for row in starts:
        ax.axhline(row - 0.5, color="0.9", linewidth=0.8, zorder=0)
    names = [f"{_WORDS.get(name, name)}: {level}" if k == 0 else level for k, name, level in _numbered(levels)]
    ax.set_yticks(range(len(levels)), [plain(name, 34) for name in names] if first else [""] * len(levels))
    ax.set_ylim(len(levels) - 0.4, -0.6)
    ax.set_xlim(-0.7, len(own) - 0.3)
    ax.set_xticks([])
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.tick_params(axis="y", length=0, labelsize="x-small", labelcolor=GREY)


def _numbered(levels: list[tuple[str, str]]) -> list[tuple[int, str, str]]:
    """How many levels of the same choice are above."""
    return [(sum(name == other for other, _ in levels[:row]), name, level) for row, (name, level) in enumerate(levels)]
