"""Which entity is in which group, and how clearly: slopes of the entities, margins, outcomes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from gifepanel.exceptions import SpecificationError
from gifepanel.plots.axes import block_edges, dot_alone, frame_points, name_rows, time_axis, whole_calendar
from gifepanel.plots.coefficients import group_names, percent
from gifepanel.plots.style import (
    GREY,
    MANY_NAMES,
    axes_room,
    edge_width,
    find_name,
    folded,
    head,
    plain,
    point_size,
    points_of,
    several,
    shared_legend,
    single,
    style,
)

__all__ = ["draw_margins", "draw_outcomes", "draw_posterior", "draw_unit_slopes", "ellipse", "group_handles"]

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]


def group_handles(res: Any) -> list[Any]:
    """Markers of the groups for a legend."""
    from matplotlib.lines import Line2D

    look: dict[str, Any] = {"linestyle": "none", "markeredgecolor": "white", "markeredgewidth": 0.4, "markersize": 7}
    return [
        Line2D([], [], color=style(k).color, marker=style(k).marker, label=label, **look)
        for k, label in enumerate(group_names(res))
    ]


# ---- slopes of the entities ----


def draw_unit_slopes(
    res: Any, x: str | None, y: str | None, level: float, errors: bool | None, shrunken: bool, ax: Any
) -> Any:
    """Slopes of the entities in two regressors, or of one in a sorted strip."""
    if not 0 < level < 1:
        raise SpecificationError(f"level is {level!r}.", "It must be between 0 and 1.", "level=0.95")
    names = list(res._regressors)
    varying = [name for j, name in enumerate(names) if j not in res._common] or names
    if x is None and y is None:
        x, y = (varying[0], varying[1]) if len(varying) > 1 else (varying[0], None)
    elif x is None:
        x, y = y, None
    first = find_name(x, names, "is not a regressor of the model")
    if y is None:
        return _strip(res, first, level, _Layers(res, [first], errors, shrunken), ax)
    second = find_name(y, names, "is not a regressor of the model")
    if first == second:
        raise SpecificationError(
            f"Both regressors are {names[first]}.",
            "Ellipses need two.",
            f'res.plot.unit_slopes("{names[first]}") draws the strip of one.',
        )
    return _plane(res, (first, second), level, _Layers(res, [first, second], errors, shrunken), ax)


class _Layers:
    """What is drawn of the entities' slopes: themselves, their errors, and where they are drawn to.

    Attributes
    ----------
    own, bse, drawn : ndarray, shape (n, p)
        Of the entities that have slopes of their own.
    groups : ndarray of int, shape (n,)
        From 1.
    missing : int
        The entities that have none.
    errors, shrunken : bool
        Whether the layers are shown.
    """

    def __init__(self, res: Any, columns: list[int], errors: bool | None, shrunken: bool) -> None:
        own = res.unit_params.iloc[:, columns].to_numpy()
        known = np.isfinite(own).all(axis=1)
        self.own, self.groups = own[known], res.groups.to_numpy()[known]
        self.bse = res.unit_bse.iloc[:, columns].to_numpy()[known]
        self.drawn = res.unit_params_shrunken.iloc[:, columns].to_numpy()[known]
        self.missing, self.n = int((~known).sum()), len(own)
        self.errors = self.n <= MANY_NAMES if errors is None else bool(errors)
        self.shrunken = bool(shrunken) and res.n_groups < self.n

    def note(self, ax: Any) -> None:
        """How many entities are not in the picture."""
        if self.missing:
            text = f"{self.missing} of {self.n} entities have no slopes of their own"
            ax.text(0.01, 0.01, text, transform=ax.transAxes, va="bottom", fontsize="x-small", color=GREY)

    def handles(self) -> list[Any]:
        """Their entries in a legend."""
        from matplotlib.lines import Line2D

        out = []
        if self.errors:
            out.append(Line2D([], [], color=GREY, linewidth=0.8, alpha=0.7, label="± standard error"))
        if self.shrunken:
            look: dict[str, Any] = {"marker": "o", "markersize": 3.5, "markerfacecolor": "white", "linestyle": "none"}
            out.append(Line2D([], [], color=GREY, label="shrunken toward the group", **look))
        return out


def _plane(res: Any, pair: tuple[int, int], level: float, layers: _Layers, ax: Any) -> Any:
    names = [list(res._regressors)[j] for j in pair]
    ax = single(ax, 5.8, 4.8)
    slopes, drawn, n = layers.own, layers.drawn, layers.n
    size = point_size(n)
    for k in range(res.n_groups):
        own, members = style(k), layers.groups == k + 1
        if layers.errors:
            (x, y), (dx, dy) = slopes[members].T, layers.bse[members].T
            ax.errorbar(x, y, xerr=dx, yerr=dy, linestyle="none", color=own.color, elinewidth=0.6, alpha=0.3, zorder=1)
        ax.scatter(slopes[members, 0], slopes[members, 1], s=size, color=own.color, marker=own.marker, alpha=0.8,
                   edgecolors="white", linewidths=edge_width(n), zorder=2)  # fmt: skip
        if layers.shrunken:
            ax.scatter(drawn[members, 0], drawn[members, 1], s=0.35 * size, facecolors="white", edgecolors=own.color,
                       linewidths=0.7, zorder=4)  # fmt: skip
    for k in range(res.n_groups):
        shape = ellipse(res, k, pair, level)
        shape.set(facecolor=style(k).color, alpha=0.22, zorder=3)
        outline = ellipse(res, k, pair, level)
        outline.set(fill=False, edgecolor="0.1", linewidth=1.1, zorder=4)
        ax.add_patch(shape)
        ax.add_patch(outline)
        ax.scatter(*shape.center, s=62, color=style(k).color, marker=style(k).marker, edgecolors="black",
                   linewidths=1.0, zorder=5)  # fmt: skip
    frame_points(ax, slopes[:, 0], slopes[:, 1])
    ax.set_xlabel(f"slope of {plain(names[0])}")
    ax.set_ylabel(f"slope of {plain(names[1])}")
    title = f"Slopes of the entities; group slopes with {percent(level)} ellipses"
    head(ax, title, [*group_handles(res), *layers.handles()])
    layers.note(ax)
    return ax


def ellipse(res: Any, k: int, pair: tuple[int, int], level: float) -> Any:
    """The joint confidence region of two slopes of group k as a patch: where the Wald test does not reject."""
    from matplotlib.patches import Ellipse

    positions = [int(res._slots[k, j]) for j in pair]
    centre = np.asarray(res.params)[positions]
    cov = np.asarray(res.cov_params())[np.ix_(positions, positions)]
    if res.use_t:
        radius = np.sqrt(2 * stats.f.ppf(level, 2, res.df_resid_inference))
    else:
        radius = np.sqrt(stats.chi2.ppf(level, 2))
    lengths, axes = np.linalg.eigh(cov)
    width, height = 2 * radius * np.sqrt(np.maximum(lengths, 0.0))
    return Ellipse(tuple(centre), width, height, angle=float(np.degrees(np.arctan2(axes[1, 0], axes[0, 0]))))


def _name_blocks(ax: Any, res: Any, labels: list[int], edges: IntArray) -> None:
    """Groups and their sizes below their entities."""
    between = " (n = {})" if len(labels) <= 3 else "\nn = {}"
    names = [f"group {k}" + between.format(res.group_sizes[k]) for k in labels]
    ax.set_xticks((edges[:-1] + edges[1:] - 1) / 2, names)
    ax.tick_params(axis="x", length=0)


def _strip(res: Any, j: int, level: float, layers: _Layers, ax: Any) -> Any:
    name = list(res._regressors)[j]
    ax = single(ax, 6.2, 3.9)
    slopes, groups, n = layers.own[:, 0], layers.groups, layers.n
    order = np.lexsort((slopes, groups))
    position = np.arange(len(order), dtype=np.float64)
    interval = np.asarray(res.conf_int(1 - level))
    labels, edges = block_edges(groups[order])
    for k, start, end in zip(labels, edges[:-1], edges[1:], strict=True):
        own, rows = style(k - 1), slice(start, end)
        slot = int(res._slots[k - 1, j])
        ends = [start - 0.5, end - 0.5]
        ax.fill_between(ends, *interval[slot], color=own.color, alpha=0.25, linewidth=0, zorder=1)
        ax.plot(ends, [np.asarray(res.params)[slot]] * 2, color="0.1", linewidth=1.2, zorder=3)
        if layers.errors:
            ax.errorbar(position[rows], slopes[order][rows], yerr=layers.bse[order, 0][rows], linestyle="none",
                        color=own.color, elinewidth=0.7, alpha=0.45, zorder=1)  # fmt: skip
        ax.scatter(position[rows], slopes[order][rows], s=point_size(n), color=own.color, marker=own.marker,
                   edgecolors="white", linewidths=edge_width(n), zorder=2)  # fmt: skip
        if layers.shrunken:
            ax.scatter(position[rows], layers.drawn[order, 0][rows], s=0.35 * point_size(n), facecolors="white",
                       edgecolors=own.color, linewidths=0.7, zorder=4)  # fmt: skip
    ax.set_xlim(-0.5 - 0.01 * len(order), len(order) - 0.5 + 0.01 * len(order))
    frame_points(ax, position, slopes[order])
    _name_blocks(ax, res, labels, edges)
    for edge in edges[1:-1]:
        ax.axvline(edge - 0.5, color="0.85", linewidth=0.8, zorder=0)
    ax.set_xlabel("entities, sorted by group and slope")
    ax.set_ylabel(f"slope of {plain(name)}")
    head(ax, f"Slopes of the entities; lines: group slopes with {percent(level)} intervals", layers.handles())
    layers.note(ax)
    return ax


# ---- margins ----


def draw_margins(res: Any, level: float, ax: Any) -> Any:
    """Margins of the entities, sorted within groups; hollow where the own group has a probability below `level`."""
    table = res.membership
    own = _own_probability(res, level)
    n = len(table)
    few = n <= MANY_NAMES
    ax = single(ax, 5.6, float(np.clip(1.4 + 0.115 * n, 2.6, 7.6)) if few else 5.0)
    margin, groups = table["margin"].to_numpy(), table["group"].to_numpy()
    order = np.lexsort((-margin, groups))
    row = np.arange(n)
    for k in range(res.n_groups):
        for clear in (True, False):
            chosen = (groups[order] == k + 1) & ((own[order] >= level) == clear)
            _dots(ax, margin[order][chosen], row[chosen], k, clear, point_size(n))
    _frame_margins(ax, margin, groups[order], table.index[order], few)
    head(ax, _unclear(own, level, " (hollow)"), group_handles(res))
    return ax


def _own_probability(res: Any, level: Any) -> Array:
    """Probability of each entity's own group (N,)."""
    table = res.membership
    if "clear" not in table:
        raise SpecificationError(
            "There is one group.", "Probabilities are those of one among several.", 'res.plot.membership("panel")'
        )
    if isinstance(level, str) or not 0.5 < level < 1:
        raise SpecificationError(f"level is {level!r}.", "It must be between 0.5 and 1.", "level=0.95")
    tau = table[[f"posterior_{k}" for k in res.group_labels]].to_numpy()
    return np.asarray(tau[np.arange(len(tau)), table["group"].to_numpy() - 1])


def _unclear(own: Array, level: float, look: str = "") -> str:
    return f"{int((own < level).sum())} of {len(own)} unclear{look}: own group less than {percent(level)} probable"


def draw_posterior(res: Any, level: float, ax: Any) -> Any:
    """Posterior probabilities of the groups as a bar of each entity, those of the own group sorted within groups."""
    own, table = _own_probability(res, level), res.membership
    n, groups = len(table), table["group"].to_numpy()
    ax = single(ax, 6.2, 3.8)
    order = np.lexsort((-own, groups))
    tau = table[[f"posterior_{k}" for k in res.group_labels]].to_numpy()[order]
    ends = np.concatenate([np.zeros((n, 1)), np.cumsum(tau, axis=1)], axis=1)[[*range(n), -1]]  # the last one twice
    for k in range(res.n_groups):
        ax.fill_between(np.arange(n + 1) - 0.5, ends[:, k], ends[:, k + 1], step="post", color=style(k).color,
                        linewidth=0, alpha=0.85)  # fmt: skip
    labels, edges = block_edges(groups[order])
    for edge in edges[1:-1]:
        ax.axvline(edge - 0.5, color="white", linewidth=1.6)
    _name_blocks(ax, res, labels, edges)
    ax.set_xlim(-0.5, n - 0.5)
    ax.set_ylim(0, 1)
    ax.set_xlabel(f"{plain(table.index.name or 'entity')}, sorted by group and probability")
    ax.set_ylabel("posterior probability")
    head(ax, _unclear(own, level), group_handles(res))
    return ax


def _dots(ax: Any, x: Array, y: IntArray, k: int, clear: bool, size: float) -> None:
    own = style(k)
    ax.scatter(x, y, s=size, marker=own.marker, facecolors=own.color if clear else "white", edgecolors=own.color,
               linewidths=0.4 if clear else 1.0, zorder=3)  # fmt: skip


def _frame_margins(ax: Any, margin: Array, groups: IntArray, names: pd.Index, few: bool) -> None:
    n = len(margin)
    ax.set_ylim(n - 0.5 + 0.01 * n, -0.5 - 0.01 * n)
    scale = _scale_margins(ax, margin)
    ax.set_ylabel(plain(names.name or "entity") + ("" if few else f" ({n:,}), sorted by margin in groups"))
    labels, edges = block_edges(groups)
    for edge in edges[1:-1]:
        ax.axhline(edge - 0.5, color="0.85", linewidth=0.8, zorder=0)
    if few:
        name_rows(ax, names)
        ax.hlines(np.arange(n), ax.get_xlim()[0], ax.get_xlim()[1], color="0.94", linewidth=0.6, zorder=0)
    else:
        ax.set_yticks((edges[:-1] + edges[1:] - 1) / 2, [f"group {k}" for k in labels])
        ax.tick_params(axis="y", length=0)
    words = f"(margin: its sum of squares less that of the own group, in error variances; at 0 both fit alike; {scale})"
    room = 0.97 * axes_room(ax)[0]
    first, rest = (folded(one, room, points_of("medium")) for one in (_MARGIN, words))
    ax.set_xlabel(f"{first}\n{rest}")


_MARGIN = "how much worse the next best group fits"
_ROOTS_UP_TO = 400.0  # margins beyond are on a logarithmic scale, or the small ones would be one
_STEPS = (0, 1, 3, 10, 20, 50, 100, 200, 300, 400)


def _scale_margins(ax: Any, margin: Array) -> str:
    """A scale that shows the small margins beside the large ones, and its name."""
    top, low = max(float(margin.max()), 1.0), float(margin.min())
    if top > _ROOTS_UP_TO:
        ax.set_xscale("symlog", linthresh=1.0, linscale=0.4)
        ax.set_xlim(min(-0.08, 1.3 * low), 1.5 * top)
        exponents = range(int(np.floor(np.log10(top))) + 1)
        ax.set_xticks([0, *(10.0**k for k in exponents)], ["0", *(f"{10**k:,}" for k in exponents)])
        return "logarithmic scale from 1 on"
    ax.set_xscale("function", functions=(lambda x: np.sign(x) * np.sqrt(np.abs(x)), lambda x: np.sign(x) * x**2))
    left = -((0.03 * top**0.5) ** 2)
    ax.set_xlim(min(left, 1.3 * low), (1.04 * top**0.5) ** 2)
    shown = [step for step in _STEPS if step <= top * 1.02 and (step != 3 or top <= 120) and (step != 1 or top <= 250)]
    ax.set_xticks(shown, [str(step) for step in shown])
    return "square-root scale"


# ---- outcomes ----


def draw_outcomes(res: Any, outcome: str, ax: Any) -> Any:
    """The outcome of every entity over time, a panel for each group; see :meth:`FactorPlots.membership`.

    Lines break where an entity is not observed; means and bands are those of the entities that are.
    """
    estimate, words = res._estimate, plain(res.sample.endog_name)
    if outcome not in ("raw", "residualised"):
        raise SpecificationError(f"outcome is {outcome!r}.", "It must be 'raw' or 'residualised'.", 'outcome="raw"')
    values = estimate.with_holes(estimate.y if outcome == "raw" else estimate.y_projected)
    axes = several(ax, res.n_groups, size=(3.0, 2.9), **({"sharey": True} if ax is None else {}))
    bands = max(res.group_sizes) > _MANY_LINES
    for k, one in enumerate(axes):
        members = values[estimate.groups == k]
        t = time_axis(one, res._times)
        seen = np.isfinite(members).any(axis=0)  # periods in which somebody of the group is observed
        if bands:
            for low, alpha in ((0.05, 0.3), (0.25, 0.5)):
                ends = np.full((2, len(seen)), np.nan)
                ends[:, seen] = np.nanquantile(members[:, seen], [low, 1 - low], axis=0)
                one.fill_between(t, *ends, color=style(k).color, alpha=alpha, linewidth=0, zorder=1)
        else:
            _lines(one, t, members, style(k).color)
        mean = np.full(len(seen), np.nan)
        mean[seen] = np.nanmean(members[:, seen], axis=0)
        one.plot(t, mean, color="black", linewidth=1.8, zorder=3)
        if np.isnan(members).any():
            whole_calendar(one, t)
        head(one, f"Group {k + 1} (n = {len(members)})")
        if k % 3 == 0 or ax is not None:
            one.set_ylabel(words + ("" if outcome == "raw" else ", residualised"))
    shared_legend(axes, _outcome_handles(bands), ax is None)
    return axes


_MANY_LINES = 40


def _lines(ax: Any, t: Array, values: Array, color: str) -> None:
    from matplotlib.collections import LineCollection

    paths = np.stack([np.broadcast_to(t, values.shape), values], axis=-1)
    ax.add_collection(LineCollection(list(paths), colors=color, linewidths=0.8, alpha=0.65, zorder=2))
    ax.autoscale_view()
    for row in values[~np.isfinite(values).all(axis=1)]:
        dot_alone(ax, t, row, color)


def _outcome_handles(bands: bool) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    mean = Line2D([], [], color="black", linewidth=1.8, label="mean of the group")
    if not bands:
        return [mean, Line2D([], [], color=GREY, linewidth=0.8, label="one entity")]
    middle = ((50, 0.65), (90, 0.3))
    return [mean, *(Patch(color=GREY, alpha=a, linewidth=0, label=f"middle {p} % of entities") for p, a in middle)]
