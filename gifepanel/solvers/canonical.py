"""One form for all panels that differ in the order of entities and regressors, in signs and in powers of two.

Starts, ties and the last digits of sums must not depend on how a panel was written down. The solvers therefore see it
in an order that the data themselves give, with signs and units of measurement taken out. All of that is exact in
floating point, and undone in what they return.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gifepanel.kernels.passes import cross_moments
from gifepanel.parallel import one_thread
from gifepanel.solvers.arrays import Array, PanelArrays
from gifepanel.solvers.blocked import (
    BlockedPanel,
    copied,
    first_sign,
    largest,
    moments_of_units,
    order_of_rows,
    reordered,
)
from gifepanel.solvers.interactive import InteractiveFit, LocalMinimum, SlopeMap
from gifepanel.solvers.multistart import interactive_starts
from gifepanel.solvers.panel_sample import fit_on_sample_first, sample_of_panel
from gifepanel.solvers.shared_panel import on_workers

__all__ = ["Canonical", "canonical", "fit_one_group"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Canonical:
    """A panel in canonical form, and the way back.

    Attributes
    ----------
    data : PanelArrays
        Entities in the order of the sizes of their outcomes, regressors in the order of theirs.
    units, columns : ndarray of int64, shapes (N,) and (p,)
        Where canonical entity i and regressor j stood.
    signs : ndarray, shape (p,)
        Of the canonical regressors.
    outcome : float
        The outcome over the canonical one: a power of two with a sign.
    """

    data: PanelArrays
    units: IntArray
    columns: IntArray
    signs: Array
    outcome: float

    @property
    def size(self) -> float:
        """The outcome's power of two."""
        return abs(self.outcome)

    def columns_of(self, positions: Sequence[int]) -> tuple[int, ...]:
        """Canonical positions of regressors."""
        wanted = set(positions)
        return tuple(int(j) for j in np.flatnonzero([int(c) in wanted for c in self.columns]))

    def centres(self, alpha: Array) -> Array:
        """Slopes (m, p) of the data as those of the canonical panel, both in units of the data's regressors."""
        return np.asarray(alpha[:, self.columns] * (self.signs / self.outcome))

    def slopes_back(self, slopes: Array) -> Array:
        """Canonical slopes (m, p), on any scale of the regressors, in the order and sign of the data."""
        out = np.empty_like(slopes)
        out[:, self.columns] = slopes * (self.signs * self.outcome)
        return out

    def units_back(self, values: Any) -> Any:
        """Rows by canonical entity in the order of the data."""
        out = np.empty_like(values)
        out[self.units] = values
        return out

    def columns_back(self, values: Array) -> Array:
        """Values by canonical regressor in the order of the data."""
        out = np.empty_like(values)
        out[self.columns] = values
        return out

    def map_back(self, slopes: SlopeMap, common: Sequence[int] = ()) -> SlopeMap:
        """The map of free parameters in the order of the data; `common` are columns of the data."""
        k, p = slopes.slots.shape
        return SlopeMap.grouped(self.units_back(slopes.groups), k, p, common)

    def theta_back(self, slopes: SlopeMap, back: SlopeMap) -> Callable[[Array], Array]:
        """The function that brings parameters of `slopes` to those of `back`."""

        def bring(theta: Array) -> Array:
            out = np.empty_like(theta)
            out[back.slots] = self.slopes_back(theta[slopes.slots])
            return out

        return bring

    def fit_back(self, fit: InteractiveFit, bring: Callable[[Array], Array]) -> InteractiveFit:
        """A least-squares fit in the order and units of the data."""
        components = replace(
            fit.components,
            loadings=self.units_back(fit.components.loadings) * self.outcome,
            time_effect=fit.components.time_effect * self.outcome,
            ssr=fit.components.ssr * self.size**2,
        )
        return replace(
            fit,
            theta=bring(fit.theta),
            components=components,
            resid=self.units_back(fit.resid) * self.outcome if isinstance(fit.resid, np.ndarray) else fit.resid,
            ssr=fit.ssr * self.size**2,
            minima=self.minima_back(fit.minima, bring),
        )

    def minima_back(self, minima: Sequence[LocalMinimum], bring: Callable[[Array], Array]) -> tuple[LocalMinimum, ...]:
        """Minima in the order and units of the data."""
        return tuple(replace(m, ssr=m.ssr * self.size**2, theta=bring(m.theta)) for m in minima)


def canonical(data: PanelArrays, *, rescale: bool = True, given_up: bool = False) -> Canonical:
    """The canonical form of a panel.

    Parameters
    ----------
    data : PanelArrays
    rescale : bool
        Bring the regressors to like powers of two as well, each by its own.
    given_up : bool
        Whether the data are not used again: of a large panel they are overwritten.
    """
    if isinstance(data, BlockedPanel):
        return _canonical_in_place(data if given_up else copied(data), rescale)
    y_size = _power_of_two(np.abs(data.y).max(initial=0.0))
    x_sizes = np.array([_power_of_two(size) for size in np.abs(data.xt).max(axis=(0, 2), initial=0.0)])
    scaled = np.abs(data.xt) / x_sizes[:, None]
    units = _order_of_units(np.abs(data.y), scaled)
    columns = _order_of_columns(scaled, units)
    y = data.y[units] / y_size
    xt = np.ascontiguousarray(data.xt[units[:, None], columns])
    signs = np.array([_sign(xt[:, j]) for j in range(len(columns))])
    sizes = x_sizes[columns] if rescale else np.ones(len(columns))
    xt *= (signs / sizes)[:, None]
    sign = _sign(y)
    y *= sign
    xx, xy, yy = cross_moments(y, xt)
    form = replace(data, y=y, xt=xt, xx=xx, xy=xy, yy=yy, scale=data.scale[columns] * sizes)
    return Canonical(form, units, columns, signs, sign * y_size)


def _canonical_in_place(data: BlockedPanel, rescale: bool) -> Canonical:
    """The canonical form of a panel in blocks, whose arrays are overwritten."""
    size, sizes = largest(data)
    y_size, x_sizes = _power_of_two(size), np.array([_power_of_two(one) for one in sizes])
    units = order_of_rows(
        data.y, lambda rows: np.sort(np.abs(data.xt[rows]) / x_sizes[:, None], axis=1).reshape(len(rows), -1)
    )
    columns = _first_that_differ(data.xt, x_sizes, units)
    signs = np.array([first_sign(data.xt[:, j], units) for j in columns])
    sign = first_sign(data.y, units)
    sizes = x_sizes[columns] if rescale else np.ones(len(columns))
    y, xt = reordered(data, units, columns, signs / sizes, sign / y_size)
    form = replace(data, y=y, xt=xt, scale=data.scale[columns] * sizes)
    xx, xy, yy = moments_of_units(y, xt)
    return Canonical(replace(form, xx=xx, xy=xy, yy=yy), units, columns, signs, sign * y_size)


def _first_that_differ(x: Array, sizes: Array, units: IntArray) -> IntArray:
    """As :func:`_order_of_columns`, from as many of the first units as tell regressors apart."""
    n, p, _ = x.shape
    few = 1
    while True:
        rows = (np.abs(x[units[:few]]) / sizes[:, None]).transpose(1, 0, 2).reshape(p, -1)
        if few >= n or len(np.unique(rows, axis=0)) == p:
            return np.lexsort(rows.T[::-1])
        few *= 4


def _power_of_two(size: float) -> float:
    """The power of two above a size; 1 for none."""
    return float(np.ldexp(1.0, int(np.frexp(size)[1]))) if 0.0 < size < np.inf else 1.0


def _sign(values: Array) -> float:
    flat = values.ravel()
    first = int((flat != 0.0).argmax()) if flat.size else 0
    return -1.0 if flat.size and flat[first] < 0.0 else 1.0


def _order_of_units(y: Array, x: Array) -> IntArray:
    """By the sizes of the outcome over time; where all of them tie, by those of the regressors."""
    order = np.argsort(y[:, 0], kind="stable")
    first = y[order, 0]
    if (first[1:] != first[:-1]).all():
        return np.asarray(order, dtype=np.int64)
    keys = y.T[::-1]
    order = np.lexsort(keys)
    if (y[order[1:]] != y[order[:-1]]).any(axis=1).all():
        return np.asarray(order, dtype=np.int64)
    # without regard to which regressor it is
    rest = np.sort(x, axis=1).reshape(len(y), -1)
    return np.lexsort(np.concatenate([rest.T[::-1], keys]))


def _order_of_columns(x: Array, units: IntArray) -> IntArray:
    """By the sizes of the regressors, units in canonical order."""
    p = x.shape[1]
    if p < 2:
        return np.arange(p)
    first = x[units[0]]
    if len({tuple(row) for row in first}) == p:
        return np.lexsort(first.T[::-1])
    return np.lexsort(x[units].transpose(1, 0, 2).reshape(p, -1).T[::-1])


def fit_one_group(
    data: PanelArrays,
    n_factors: int,
    n_starts: int,
    rng: np.random.Generator,
    *,
    tol: float = 1e-9,
    max_iter: int = 500,
    given_up: bool = False,
) -> tuple[SlopeMap, InteractiveFit]:
    """Least squares with factors and one slope vector, from `n_starts` starts of the canonical panel.

    With `given_up` the data are not used again, see :func:`canonical`.
    """
    n, _, p = data.shape
    inner = SlopeMap.grouped(np.zeros(n, dtype=np.int64), 1, p)
    with one_thread():
        own, form = data.scale, canonical(data, given_up=given_up)
        form = replace(form, data=on_workers(form.data, n_factors))
        del data
        sample = sample_of_panel(form.data, inner, n_factors) if n_starts > 1 else None
        where = (form.data, inner) if sample is None else (sample.data, sample.slopes)
        starts = interactive_starts(*where, n_factors, n_starts, rng)
        fit = fit_on_sample_first(form.data, inner, n_factors, starts, sample, tol=tol, max_iter=max_iter)
    slopes = form.map_back(inner)
    bring = form.theta_back(inner, slopes)
    scale = form.columns_back(form.data.scale)

    def in_units_of_data(theta: Array) -> Array:
        out = bring(theta)
        return np.asarray(out * (own / scale)[_column_of(slopes)])

    return slopes, form.fit_back(fit, in_units_of_data)


def _column_of(slopes: SlopeMap) -> IntArray:
    """The regressor of every free parameter."""
    out = np.empty(slopes.size, dtype=np.int64)
    for row in slopes.slots:
        out[row] = np.arange(row.size)
    return out
