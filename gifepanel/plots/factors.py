"""Factors, loadings, shares of variance, and the way to the estimate."""

from __future__ import annotations

from typing import Any

import numpy as np

from gifepanel.exceptions import SpecificationError
from gifepanel.plots.axes import block_edges, counted, frame_points, name_choice, name_points, time_axis
from gifepanel.plots.membership import group_handles
from gifepanel.plots.style import (
    GREY,
    LINE,
    POINTS,
    edge_width,
    head,
    point_size,
    several,
    single,
    style,
    zero_line,
)

__all__ = ["draw_factors", "draw_loadings", "draw_path", "draw_scree"]

Array = np.ndarray[Any, np.dtype[np.float64]]


def _share(res: Any, factor: int) -> str:
    return f"factor {factor + 1}: {100 * float(res.factor_shares.iloc[factor]):.1f} % of variance"


# ---- factors ----


def draw_factors(res: Any, separate: bool, ax: Any) -> Any:
    """Factors over time; see :meth:`FactorPlots.factors`."""
    count, values = res.n_factors, res.factors.to_numpy()
    if separate:
        axes = several(ax, count, columns=1, size=(5.6, 1.6), **({"sharex": True} if ax is None else {}))
        for r, one in enumerate(axes):
            _factor(one, res, values, r)
            head(one, _share(res, r))
            if ax is None and r < count - 1:
                one.set_xlabel("")
        return axes
    ax = single(ax, 6.0, 3.6)
    lines = [_factor(ax, res, values, r) for r in range(count)]
    ax.set_ylabel("factor (mean square one)")
    head(ax, "Common factors" if count > 1 else "Common factor", lines)
    return ax


def _factor(ax: Any, res: Any, values: Array, r: int) -> Any:
    t = time_axis(ax, res.factors.index)
    own = style(r)
    every = max(1, len(t) // 12)
    line = ax.plot(
        t,
        values[:, r],
        color=own.color,
        linestyle=own.line,
        linewidth=1.6,
        marker=own.marker,
        markersize=4.5,
        markevery=(min(r, every - 1), every),
        markeredgecolor="white",
        markeredgewidth=0.5,
        label=_share(res, r),
    )[0]
    zero_line(ax)
    return line


# ---- loadings ----


def draw_loadings(res: Any, first: int, second: int, labels: int, ax: Any) -> Any:
    """Loadings of two factors, or of the only one; see :meth:`FactorPlots.loadings`."""
    groups = res.groups.to_numpy() if hasattr(res, "groups") else np.ones(res.n_entities, dtype=np.int64)
    values, names = res.loadings.to_numpy(), res.loadings.index
    handles = group_handles(res) if res.n_groups > 1 else []
    only = res.n_factors == 1 or first == second
    if only:
        x, y, groups, names = _sorted_strip(values[:, first], groups, names)
    else:
        x, y = values[:, first], values[:, second]
    ax = single(ax, 6.2 if only else 5.6, 3.8 if only else 4.6)
    zero_line(ax)
    for k in range(res.n_groups):
        own, rows = style(k), groups == k + 1
        ax.scatter(x[rows], y[rows], s=1.15 * point_size(len(x)), color=own.color, marker=own.marker, alpha=0.85,
                   edgecolors="white", linewidths=edge_width(len(x)), zorder=2)  # fmt: skip
    ax.margins(0.08)
    frame_points(ax, x, y)
    if only:
        ax.set_xlabel("entities, sorted by group and loading" if handles else "entities, sorted by loading")
        ax.set_ylabel(f"loading on factor {first + 1}")
        _blocks(ax, groups, len(x))
        distance = np.abs(y - y.mean())
    else:
        zero_line(ax, vertical=True)
        ax.set_xlabel(f"loading on {_share(res, first)}")
        ax.set_ylabel(f"loading on {_share(res, second)}")
        distance = ((x - x.mean()) / (x.std() or 1)) ** 2 + ((y - y.mean()) / (y.std() or 1)) ** 2
    head(ax, "Factor loadings by group" if handles else "Factor loadings", handles)
    name_points(ax, x, y, np.argsort(-distance, kind="stable")[:labels], list(names))
    return ax


def _sorted_strip(values: Array, groups: Any, names: Any) -> tuple[Array, Array, Any, Any]:
    order = np.lexsort((values, groups))
    return np.arange(len(order), dtype=np.float64), values[order], groups[order], names[order]


def _blocks(ax: Any, groups: Any, n: int) -> None:
    ax.set_xlim(-0.5 - 0.02 * n, n - 0.5 + 0.02 * n)
    ax.set_xticks([])
    for edge in block_edges(groups)[1][1:-1]:
        ax.axvline(edge - 0.5, color="0.85", linewidth=0.8, zorder=0)


# ---- shares of variance ----


def draw_scree(res: Any, n: Any, ax: Any) -> Any:
    """Principal components of what slopes and additive effects leave; see :meth:`FactorPlots.scree`.

    Where cells are not observed, the first shares are those of the factors on the cells that are, and what these leave
    is divided as the components of the residuals are, cells completed by the factors.
    """
    estimate = res._estimate
    before = estimate.loadings @ estimate.factors.T + estimate.resid
    lengths = np.linalg.svd(before, compute_uv=False) ** 2
    shares = lengths[lengths > 1e-20 * lengths[0]] / lengths.sum()
    if estimate.observed is not None and res.n_factors:
        own, rest = np.asarray(res.factor_shares), shares[res.n_factors :]
        shares = np.concatenate([own, rest * (1 - own.sum()) / (rest.sum() or 1.0)])
    if n is not None and (not isinstance(n, (int, np.integer)) or n < 1):
        raise SpecificationError(f"n is {n!r}.", "It must be 1 or more.", "n=10")
    count = min(len(shares), max(res.n_factors + 5, 10) if n is None else int(n))
    from matplotlib.ticker import MaxNLocator

    ax = single(ax, 5.4, 3.4)
    number = np.arange(1, count + 1)
    chosen = min(res.n_factors, count)
    shares = 100 * shares
    ax.plot(number, shares[:count], color="0.6", linewidth=1.0, zorder=1)
    look = {"linestyle": "none", "marker": "o", "markersize": 6, "zorder": 3}
    handles = []
    if chosen:
        total = shares[:chosen].sum()
        label = f"in the model: {total:.1f} % together"
        handles += ax.plot(number[:chosen], shares[:chosen], color=POINTS, label=label, **look)
    handles += ax.plot(
        number[chosen:], shares[chosen:count], color=POINTS, markerfacecolor="white", label="left in the residuals",
        **look,
    )  # fmt: skip
    ax.axvline(res.n_factors + 0.5, color=LINE, linewidth=1.2, linestyle=(0, (4, 2)), zorder=0)
    ax.set_xlim(0.5 if chosen else 0.3, count + 0.5)
    ax.set_ylim(0, 1.12 * shares.max())
    name_choice(ax, max(chosen, 0.5), shares[chosen - 1] if chosen else shares[0], counted(res.n_factors, "factor"))
    ax.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
    ax.set_xlabel("principal component")
    ax.set_ylabel("share of variance (%)")
    head(ax, "Outcome less slopes and additive effects", handles)
    return ax


# ---- the way to the estimate ----


def draw_path(res: Any, scale: str, ax: Any) -> Any:
    """The criterion by sweep and descent step; see :meth:`FactorPlots.path`."""
    from matplotlib.ticker import MaxNLocator

    sweeps, steps = np.asarray(res.penalized.sweep_path), np.asarray(res.penalized.path)
    steps = steps[1:] if len(sweeps) else steps
    values = np.concatenate([sweeps, steps])
    if scale == "log":
        final = values[-1]
        values = 100 * (values / final - 1)
        values[values <= 0] = np.nan
    ax = single(ax, 5.6, 3.4)
    number = np.arange(1, len(values) + 1)
    s = len(sweeps)
    look = {"linewidth": 1.2, "markersize": 4.5, "markeredgecolor": "white", "markeredgewidth": 0.4}
    handles = ax.plot(number[:s], values[:s], color=style(0).color, marker="o", label="sweep", **look) if s else []
    if len(steps):
        ax.plot(number[max(s - 1, 0) : s + 1], values[max(s - 1, 0) : s + 1], color=GREY, linewidth=0.8, zorder=1)
        handles += ax.plot(number[s:], values[s:], color=LINE, marker="s", label="descent step", **look)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    ax.set_xlim(0.4, len(values) + 0.6)
    ax.set_xlabel("sweeps, then steps of the descent")
    if scale == "log":
        ax.set_yscale("log")
        ax.set_ylabel("criterion above its last value (%)")
    else:
        ax.ticklabel_format(axis="y", useOffset=False)
        ax.set_ylabel("penalised criterion Q")
    ended = "converged" if res.penalized.converged else "not converged"
    head(ax, f"Path of the penalised criterion ({ended})", handles)
    return ax
