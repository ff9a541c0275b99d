"""Pictures of partialled-out least squares: what a coefficient is made of, and what is left."""

from __future__ import annotations

from typing import Any

import numpy as np

from gifepanel.exceptions import SpecificationError
from gifepanel.plots.added_variable import (
    PartialColumns,
    PartialPicture,
    beyond,
    interval_quantile,
    local_means,
    scatter,
)
from gifepanel.plots.residuals import (
    check_by,
    chosen_entities,
    draw_fit_scatter,
    draw_fitted,
    draw_heat_map,
    draw_residual_scatter,
)
from gifepanel.plots.shared_methods import CoefficientPlots
from gifepanel.plots.style import LINE, find_name, head, one_line, plain, single

__all__ = ["LinearPlots", "PartialColumns", "partial_columns"]

Array = np.ndarray[Any, np.dtype[np.float64]]


def partial_columns(res: Any, name: str) -> PartialColumns:
    """Residualise one regressor and the outcome on everything else (Frisch & Waugh 1933)."""
    j, fit = _position(res, name), res._fit
    weights = _weights(res)
    x = beyond(np.delete(fit.x_tilde, j, axis=1), fit.x_tilde[:, j], np.sqrt(weights))
    slope, error = float(np.asarray(res.params)[j]), float(np.asarray(res.bse)[j])
    quantile = interval_quantile(res, res._covariance.df_inference[j])
    return PartialColumns(x, fit.resid + slope * x, slope, error, quantile, weights)


def _position(res: Any, name: str) -> int:
    return find_name(name, res._names, "has no coefficient")


def _weights(res: Any) -> Array:
    weights = res.model.design.weights
    return np.ones(len(res._fit.resid)) if weights is None else np.asarray(weights)


def _picture(res: Any, name: str) -> PartialPicture:
    part, design = partial_columns(res, name), res.model.design
    raw = design.exog[:, res._fit.kept[_position(res, name)]]
    index = design.row_index

    def label(row: int) -> str:
        own = index[row]
        return " ".join(map(one_line, own if isinstance(own, tuple) else (own,)))

    return PartialPicture(part, raw, design.endog, name, res.endog_name, label)


class LinearPlots(CoefficientPlots):
    """Pictures of a partialled-out regression; each method draws on `ax`, or on a new figure, and returns its Axes.

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
    >>> ax = res.plot.added_variable("price")
    >>> ax.get_xlabel()
    'price, residualised'
    """

    def __dir__(self) -> list[str]:
        return ["coefficients", "added_variable", "component_plus_residual", "fwl", "residuals", "fitted"]

    def _partial_picture(self, name: str) -> PartialPicture:
        return _picture(self._res, name)

    def component_plus_residual(self, name: str, *, ax: Any = None) -> Any:
        """Component-plus-residual plot: the part of one regressor plus the residuals, against the regressor as it is.

        Curvature the linear model misses shows as a bend in the dashed line of local means.

        Parameters
        ----------
        name : str
        ax : Axes, optional

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> res.plot.component_plus_residual("price").get_xlabel()
        'price'
        """
        res = self._res
        j, fit = _position(res, name), res._fit
        x = res.model.design.exog[:, fit.kept[j]]
        component = fit.params[j] * (x - x.mean())
        y = component + fit.resid
        ax, weights = single(ax), _weights(res)
        scatter(ax, x, y, weights)
        order = np.argsort(x)
        line = ax.plot(x[order], component[order], color=LINE, linewidth=1.8, label="linear component", zorder=4)[0]
        means = local_means(ax, x, y, weights)
        ax.set_xlabel(plain(name))
        ax.set_ylabel("component plus residual")
        head(ax, f"Linear in {plain(name)}?", [line, means])
        return ax

    def residuals(self, by: str = "fitted", *, cmap: Any = None, ax: Any = None) -> Any:
        """Residuals against fitted values; or as a picture of the panel, entity by time.

        Parameters
        ----------
        by : {"fitted", "panel"}
        cmap : str or Colormap, optional
            Of the panel; it is centred at zero.
        ax : Axes, optional

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> res.plot.residuals().get_xlabel()
        'fitted sales'
        """
        res = self._res
        resid = res._fit.resid
        if check_by(by, ("fitted", "panel"), "residuals") == "fitted":
            return draw_residual_scatter(res.model.design.endog - resid, resid, _weights(res), res.endog_name, ax)
        index, cube = self._on_panel("by", resid)
        return draw_heat_map(cube, *_ids(index), None, ax, cmap)

    def fitted(self, entities: Any = None, *, ax: Any = None) -> Any:
        """Actual against fitted values; over time, a panel for each, for entities that are named.

        Parameters
        ----------
        entities : label or sequence of labels, optional
        ax : Axes, or a sequence of one for each entity, optional

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> axes = res.plot.fitted(["Utah", "Texas"])
        """
        res = self._res
        resid, outcome = res._fit.resid, res.model.design.endog
        if entities is None:
            return draw_fit_scatter(outcome - resid, outcome, _weights(res), res.endog_name, ax)
        index, left = self._on_panel("entities", resid)
        actual = self._on_panel("entities", outcome)[1]
        known, times = _ids(index)
        groups = np.ones(len(known), dtype=np.int64)
        rows = chosen_entities(entities, known, left, groups)
        return draw_fitted(actual, left, known, times, groups, rows, res.endog_name, ax)

    def _on_panel(self, option: str, values: Array) -> tuple[Any, Array]:
        """Rows as a table entity by time, NaN where there is no row."""
        model = self._res.model
        index = model.panel_index(model._entity, model._time, required=False)
        if index is None or index.has_duplicates:
            found = "The data do not say which entity and period a row belongs to."
            if index is not None:
                found = "Several rows belong to one entity and period."
            raise SpecificationError(
                found, f"{option}= is for panels.", 'PartialledOLS.from_formula(formula, data, entity="firm", time="t")'
            )
        table = np.full((index.n_entities, index.n_times), np.nan)
        table[index.entity_codes, index.time_codes] = values
        return index, table


def _ids(index: Any) -> tuple[Any, Any]:
    return index.entities.rename(index.entity_name), index.times.rename(index.time_name)
