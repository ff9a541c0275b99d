"""Pictures of partialled-out least squares: what a coefficient is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from gifepanel.exceptions import SpecificationError

if TYPE_CHECKING:
    from gifepanel.results.partialled import PartialledOLSResults

__all__ = ["LinearPlots", "PartialColumns", "partial_columns"]

Array = np.ndarray[Any, np.dtype[np.float64]]

POINTS, LINE, BAND, GREY = "#0072B2", "#D55E00", "#D55E00", "#666666"
_MANY = 5_000
_BINS = 100


@dataclass(frozen=True, eq=False)
class PartialColumns:
    """The two columns of an added-variable plot.

    Attributes
    ----------
    x, y : ndarray, shape (n,)
        One regressor, and the outcome, residualised on everything else: effects, controls and the other regressors.
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


def partial_columns(res: PartialledOLSResults, name: str) -> PartialColumns:
    """Residualise one regressor and the outcome on everything else (Frisch & Waugh 1933)."""
    j, fit = _position(res, name), res._fit
    weights = np.ones(len(fit.resid)) if res.model.design.weights is None else res.model.design.weights
    root = np.sqrt(weights)
    others = np.delete(fit.x_tilde, j, axis=1)
    x = fit.x_tilde[:, j]
    if others.shape[1]:
        x = x - others @ np.linalg.lstsq(others * root[:, None], x * root, rcond=None)[0]
    slope, error = float(np.asarray(res.params)[j]), float(np.asarray(res.bse)[j])
    q = stats.t.ppf(0.975, res._covariance.df_inference[j]) if res.use_t else stats.norm.ppf(0.975)
    return PartialColumns(x, fit.resid + slope * x, slope, error, float(q), weights)


def _position(res: PartialledOLSResults, name: str) -> int:
    names = res._names
    if name not in names:
        raise SpecificationError(f"{name!r} has no coefficient.", f"There are {', '.join(names)}.", f'"{names[0]}"')
    return names.index(name)


class LinearPlots:
    """Pictures of a partialled-out regression; each method draws on `ax` and returns it."""

    def __init__(self, res: PartialledOLSResults) -> None:
        self._res = res

    def __dir__(self) -> list[str]:
        return ["added_variable", "component_plus_residual", "fwl"]

    def added_variable(self, name: str, *, ax: Any = None, labels: int = 3) -> Any:
        """Added-variable plot: outcome against one regressor, both residualised on everything else.

        The line is the coefficient of the full model, the band its 95 % interval; above 5 000 rows the points are
        means of a hundred bins.

        Parameters
        ----------
        name : str
            A coefficient.
        ax : Axes, optional
        labels : int
            Rows to be named: those that move the coefficient most.
        """
        part = partial_columns(self._res, name)
        ax = _axes(ax)
        _scatter(ax, part.x, part.y, part.weights)
        _line(ax, part)
        if labels and len(part.x) <= _MANY:
            _label_influence(ax, self._res, part, labels)
        ax.set_xlabel(f"{name}, residualised")
        ax.set_ylabel(f"{self._res.endog_name}, residualised")
        ax.set_title(f"slope {part.slope:.4g}, std. error {part.error:.3g}", fontsize="medium")
        return ax

    def component_plus_residual(self, name: str, *, ax: Any = None) -> Any:
        """Component-plus-residual plot: the part of one regressor plus the residuals, against the regressor as it is.

        Curvature the linear model misses shows as a bend in the dashed line of local means.
        """
        res = self._res
        j, fit = _position(res, name), res._fit
        x = res.model.design.exog[:, fit.kept[j]]
        component = fit.params[j] * (x - x.mean())
        y = component + fit.resid
        ax = _axes(ax)
        weights = np.ones(len(x)) if res.model.design.weights is None else res.model.design.weights
        _scatter(ax, x, y, weights)
        order = np.argsort(x)
        ax.plot(x[order], component[order], color=LINE, linewidth=1.6, label="linear component")
        centre, mean = _binned(x, y, weights, min(20, max(3, len(x) // 30)))[:2]
        ax.plot(centre, mean, color=GREY, linestyle="--", linewidth=1.4, label="local means")
        ax.set_xlabel(name)
        ax.set_ylabel("component plus residual")
        ax.legend(frameon=False)
        return ax

    def fwl(self, name: str, *, axes: Any = None) -> Any:
        """The theorem in three pictures: raw, both residualised, only the outcome y residualised.

        Parameters
        ----------
        name : str
        axes : sequence of three Axes, optional

        Returns
        -------
        ndarray of Axes
        """
        from matplotlib import pyplot as plt

        part, res = partial_columns(self._res, name), self._res
        if axes is None:
            _, axes = plt.subplots(1, 3, figsize=(10.5, 3.4), layout="constrained")
        raw = res.model.design.exog[:, res._fit.kept[res._names.index(name)]]
        outcome = res.model.design.endog
        pictures = (
            ("as they are", raw, outcome),
            ("both residualised", part.x, part.y),
            ("only y residualised", raw, part.y),
        )
        for ax, (title, x, y) in zip(axes, pictures, strict=True):
            _scatter(ax, x, y, part.weights)
            centred = x - np.average(x, weights=part.weights)
            slope = float((part.weights * centred) @ y / ((part.weights * centred) @ centred))
            ends = np.array([x.min(), x.max()])
            level = np.average(y, weights=part.weights) - slope * np.average(x, weights=part.weights)
            ax.plot(ends, level + slope * ends, color=LINE, linewidth=1.6)
            ax.set_title(f"{title}: slope {slope:.4g}", fontsize="medium")
            ax.set_xlabel(name)
        axes[0].set_ylabel(res.endog_name)
        return axes


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    from matplotlib import pyplot as plt

    return plt.subplots(figsize=(5.2, 3.8), layout="constrained")[1]


def _scatter(ax: Any, x: Array, y: Array, weights: Array) -> None:
    """Points sized by weight; means of bins where there are too many."""
    if len(x) > _MANY:
        centre, mean, count = _binned(x, y, weights, _BINS)
        ax.scatter(centre, mean, s=14, color=POINTS, alpha=0.9, linewidths=0)
        ax.text(0.99, 0.01, f"means of {len(count)} bins of {len(x):,} rows", transform=ax.transAxes, ha="right",
                va="bottom", fontsize="x-small", color=GREY)  # fmt: skip
        return
    size = 12 * weights / weights.mean()
    ax.scatter(x, y, s=np.clip(size, 2, 80), color=POINTS, alpha=0.55 if len(x) > 200 else 0.8, linewidths=0)


def _binned(x: Array, y: Array, weights: Array, bins: int) -> tuple[Array, Array, Array]:
    """Weighted means of x and y in bins of equal numbers of rows."""
    order = np.argsort(x, kind="stable")
    edges = np.linspace(0, len(x), bins + 1).astype(int)
    starts = np.unique(edges[:-1])
    w = np.add.reduceat(weights[order], starts)
    centre = np.add.reduceat((weights * x)[order], starts) / w
    mean = np.add.reduceat((weights * y)[order], starts) / w
    return centre, mean, w


def _line(ax: Any, part: PartialColumns) -> None:
    grid = np.linspace(part.x.min(), part.x.max(), 60)
    half = part.quantile * part.error * np.abs(grid)
    ax.fill_between(grid, part.slope * grid - half, part.slope * grid + half, color=BAND, alpha=0.18, linewidth=0)
    ax.plot(grid, part.slope * grid, color=LINE, linewidth=1.6)


def _label_influence(ax: Any, res: PartialledOLSResults, part: PartialColumns, labels: int) -> None:
    """Name the rows whose removal would move the coefficient most (to first order, w x e / sum w x^2)."""
    push = np.abs(part.weights * part.x * (part.y - part.slope * part.x))
    index = res.model.design.row_index
    for row in np.argsort(-push)[:labels]:
        label = index[row]
        text = " ".join(map(str, label)) if isinstance(label, tuple) else str(label)
        left = part.x[row] < 0.5 * (part.x.min() + part.x.max())
        ax.annotate(
            text,
            (part.x[row], part.y[row]),
            textcoords="offset points",
            xytext=(4 if left else -4, 3),
            ha="left" if left else "right",
            fontsize="x-small",
        )
