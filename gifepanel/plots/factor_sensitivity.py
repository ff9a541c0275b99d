"""Slopes against the number of factors."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from gifepanel.plots.style import LINE, head, plain, several, shared_legend, style

__all__ = ["draw_sensitivity"]


def draw_sensitivity(found: Any, alpha: float, ax: Any) -> Any:
    """Points and intervals, a panel for each regressor, groups side by side; see the method that calls it.

    Parameters
    ----------
    found : FactorSensitivity
    alpha : float
    ax : sequence of Axes or None
    """
    numbers = [int(r) for r in found.params.columns]
    panels: dict[str, list[tuple[int | None, str]]] = {}
    for name, (regressor, k) in zip(found.params.index, found.terms, strict=True):
        panels.setdefault(regressor, []).append((k, name))
    grouped = any(k is not None for _, k in found.terms)
    axes = several(ax, len(panels), size=(3.4, 2.9))
    reach = float(stats.norm.ppf(1 - alpha / 2))
    handles: dict[str, Any] = {}
    for one, (regressor, members) in zip(axes, panels.items(), strict=True):
        step = 0.5 / max(len(members), 2)
        for position, (k, name) in enumerate(members):
            own = style(6 if k is None and grouped else (k or 1) - 1)
            at = np.array(numbers) + (position - (len(members) - 1) / 2) * step
            bars = one.errorbar(
                at,
                found.params.loc[name],
                yerr=reach * found.bse.loc[name],
                color=own.color,
                marker=own.marker,
                linestyle=own.line,
                linewidth=1.0,
                elinewidth=1.4,
                markersize=5,
                capsize=2.5,
                markeredgecolor="0.15",
                markeredgewidth=0.5,
            )
            if k is not None:
                handles.setdefault(f"group {k}", bars)
        one.axvline(found.n_factors, color=LINE, linewidth=1.2, linestyle=(0, (4, 2)), zorder=0)
        one.set_xticks(numbers)
        one.set_xlim(numbers[0] - 0.5, numbers[-1] + 0.5)
        one.set_xlabel("number of factors")
        one.set_ylabel(f"coefficient, {100 * (1 - alpha):g} % interval", fontsize="small")
        head(one, plain(regressor))
    if handles:
        for label, bars in handles.items():
            bars.set_label(label)
        shared_legend(axes, list(handles.values()), ax is None)
    return axes
