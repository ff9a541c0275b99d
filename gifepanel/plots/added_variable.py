"""The theorem of Frisch, Waugh and Lovell as pictures: points, line and band, for linear and for factor models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from gifepanel.exceptions import SpecificationError
from gifepanel.plots.axes import name_points
from gifepanel.plots.style import (
    BAND,
    GREY,
    LINE,
    POINTS,
    edge_width,
    head,
    plain,
    point_size,
    several,
    short,
    single,
)

__all__ = [
    "PartialColumns",
    "PartialPicture",
    "beyond",
    "binned",
    "draw_added_variable",
    "draw_fwl",
    "interval_quantile",
    "local_means",
    "scatter",
]

Array = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

_MANY = 5_000
_BINS = 100


@dataclass(frozen=True, eq=False)
class PartialColumns:
    """The two columns of an added-variable plot.

    Attributes
    ----------
    x, y : ndarray, shape (n,)
        One regressor, and the outcome, residualised on everything else: effects, controls, factors and the other
        regressors.
    slope, error, quantile : float
        The coefficient of the full model, its standard error, and the quantile for a 95 % interval.
    weights : ndarray, shape (n,)
    """

    x: Array
    y: Array
    slope: float
    error: float
    quantile: float
    weights: Array


@dataclass(frozen=True, eq=False)
class PartialPicture:
    """What the pictures need besides the columns.

    Attributes
    ----------
    columns : PartialColumns
    raw, outcome : ndarray, shape (n,)
        As they are in the data.
    regressor, endog : str
    label_of : callable
        Text for a row.
    members : ndarray of bool, shape (n,), or None
        Rows of the coefficient's group.
    note : str
        What to know about the slope.
    """

    columns: PartialColumns
    raw: Array
    outcome: Array
    regressor: str
    endog: str
    label_of: Callable[[int], str]
    members: BoolArray | None = None
    note: str = ""


def beyond(others: Array, columns: Array, root_weights: Array | None = None) -> Array:
    """Columns (n,) or (n, m) less their least-squares fit by others (n, q)."""
    if not others.shape[1]:
        return columns
    left, right = others, columns
    if root_weights is not None:
        left, right = others * root_weights[:, None], (columns.T * root_weights).T
    return np.asarray(columns - others @ np.linalg.lstsq(left, right, rcond=None)[0])


def interval_quantile(res: Any, df: float) -> float:
    """Quantile for a 95 % interval, t or normal as the results have it."""
    return float(stats.t.ppf(0.975, df) if res.use_t else stats.norm.ppf(0.975))


def draw_added_variable(picture: PartialPicture, ax: Any, labels: int) -> Any:
    """Outcome against one regressor, both residualised on everything else; the line is the coefficient."""
    ax = single(ax)
    part = picture.columns
    scatter(ax, part.x, part.y, part.weights, picture.members)
    _coefficient_line(ax, part)
    ax.set_xlabel(f"{plain(picture.regressor)}, residualised")
    ax.set_ylabel(f"{plain(picture.endog)}, residualised")
    head(ax, f"Slope {short(part.slope)}, std. error {short(part.error, 3)}")
    _note(ax, picture.note)
    if labels and len(part.x) <= _MANY:
        _label_influence(ax, picture, labels)
    return ax


def draw_fwl(picture: PartialPicture, ax: Any) -> Any:
    """Raw, both residualised, only y residualised: points, line and band each."""
    part, own = picture.columns, picture.members
    if np.ptp(picture.raw) == 0:
        raise SpecificationError(
            f"{picture.regressor} is constant.", "A line needs a regressor that varies.", "res.plot.coefficients()"
        )
    axes = several(ax, 3, size=(3.5, 3.1))
    rows = np.ones(len(part.x), dtype=bool) if own is None else own
    panels = (
        ("As they are", picture.raw, picture.outcome),
        ("Both residualised", part.x, part.y),
        ("Only y residualised", picture.raw, part.y),
    )
    for number, (one, (title, x, y)) in enumerate(zip(axes, panels, strict=True)):
        if number == 1:
            scatter(one, x, y, part.weights, own)
            slope = _coefficient_line(one, part)
        else:
            scatter(one, x[rows], y[rows], part.weights[rows])
            slope = _own_line(one, x[rows], y[rows], part.weights[rows])
        head(one, f"{title}: slope {short(slope)}")
        one.set_xlabel(plain(picture.regressor) + (", residualised" if number == 1 else ""))
        one.set_ylabel(plain(picture.endog) + (", residualised" if number else ""))
    _note(axes[1], picture.note)
    return axes


def _note(ax: Any, text: str) -> None:
    if text:
        ax.text(0.99, 0.99, text, transform=ax.transAxes, ha="right", va="top", fontsize="x-small", color=GREY)


# ---- points ----


def scatter(ax: Any, x: Array, y: Array, weights: Array, members: BoolArray | None = None) -> None:
    """Points sized by weight, those of other groups in grey; means of bins where there are too many."""
    if len(x) > _MANY:
        of_group = members is not None and not members.all()
        if of_group:
            x, y, weights = x[members], y[members], weights[members]
        centre, mean, count = binned(x, y, weights, _BINS)
        ax.scatter(centre, mean, s=16, color=POINTS, edgecolors="white", linewidths=0.3, zorder=2)
        text = f"means of {len(count)} bins of {len(x):,} rows" + (" of the group" if of_group else "")
        ax.text(0.99, 0.01, text, transform=ax.transAxes, ha="right", va="bottom", fontsize="x-small", color=GREY)
        return
    size = np.clip(point_size(len(x)) * weights / weights.mean(), 2, 90)
    look = {"edgecolors": "white", "linewidths": edge_width(len(x))}
    if members is not None and not members.all():
        ax.scatter(x[~members], y[~members], s=0.5 * size[~members], color="0.75", zorder=1, linewidths=0)
        x, y, size = x[members], y[members], size[members]
    ax.scatter(x, y, s=size, color=POINTS, alpha=0.6 if len(x) > 200 else 0.85, zorder=2, **look)


def binned(x: Array, y: Array, weights: Array, bins: int) -> tuple[Array, Array, Array]:
    """Weighted means of x and y in bins of equal numbers of rows, and the weights of the bins."""
    order = np.argsort(x, kind="stable")
    edges = np.linspace(0, len(x), bins + 1).astype(int)
    starts = np.unique(edges[:-1])
    w = np.add.reduceat(weights[order], starts)
    centre = np.add.reduceat((weights * x)[order], starts) / w
    mean = np.add.reduceat((weights * y)[order], starts) / w
    return centre, mean, w


def local_means(ax: Any, x: Array, y: Array, weights: Array) -> Any:
    """A dashed line through the means of bins of equal numbers of rows."""
    centre, mean, _ = binned(x, y, weights, min(20, max(3, len(x) // 30)))
    return ax.plot(centre, mean, color="0.15", linestyle=(0, (4, 1.5)), linewidth=1.5, label="local means", zorder=4)[0]


# ---- lines ----


def _coefficient_line(ax: Any, part: PartialColumns) -> float:
    """The coefficient of the full model through the origin, with its 95 % interval."""
    grid = np.linspace(part.x.min(), part.x.max(), 61)
    half = part.quantile * part.error * np.abs(grid)
    _line_and_band(ax, grid, part.slope * grid, half)
    return part.slope


def _own_line(ax: Any, x: Array, y: Array, weights: Array) -> float:
    """Least squares of the two columns drawn, with the 95 % band of that simple regression (iid errors)."""
    mean_x, mean_y = np.average(x, weights=weights), np.average(y, weights=weights)
    spread = float(weights @ (x - mean_x) ** 2)
    slope = float(weights @ ((x - mean_x) * y)) / spread
    resid = y - mean_y - slope * (x - mean_x)
    df = max(len(x) - 2, 1)
    variance = float(weights @ resid**2) / df
    grid = np.linspace(x.min(), x.max(), 61)
    half = stats.t.ppf(0.975, df) * np.sqrt(variance * (1 / weights.sum() + (grid - mean_x) ** 2 / spread))
    _line_and_band(ax, grid, mean_y + slope * (grid - mean_x), half)
    return slope


def _line_and_band(ax: Any, grid: Array, line: Array, half: Array) -> None:
    ax.fill_between(grid, line - half, line + half, color=BAND, alpha=0.22, linewidth=0, zorder=3)
    ax.plot(grid, line, color=LINE, linewidth=1.8, zorder=4)


def _label_influence(ax: Any, picture: PartialPicture, labels: int) -> None:
    """Name the rows whose removal would move the coefficient most (to first order, w x e / sum w x^2)."""
    part = picture.columns
    push = np.abs(part.weights * part.x * (part.y - part.slope * part.x))
    rows = np.argsort(-push)[:labels]
    ax.scatter(part.x[rows], part.y[rows], s=26, facecolors="none", edgecolors="0.1", linewidths=0.8, zorder=5)
    names = {int(row): picture.label_of(int(row)) for row in rows}
    name_points(ax, part.x, part.y, rows, names, avoid=False)
