"""Pictures of models with factors: ``res.plot``."""

from __future__ import annotations

from typing import Any

import numpy as np

from gifepanel.exceptions import SpecificationError
from gifepanel.plots.added_variable import PartialColumns, PartialPicture, beyond, interval_quantile
from gifepanel.plots.axes import time_labels
from gifepanel.plots.factors import draw_factors, draw_loadings, draw_path, draw_scree
from gifepanel.plots.membership import draw_margins, draw_outcomes, draw_posterior, draw_unit_slopes
from gifepanel.plots.residuals import (
    check_by,
    chosen_entities,
    draw_fitted,
    draw_heat_map,
    draw_residual_scatter,
)
from gifepanel.plots.shared_methods import CoefficientPlots
from gifepanel.plots.style import find_name, one_line

__all__ = ["FactorPlots", "partial_picture"]

Array = np.ndarray[Any, np.dtype[np.float64]]

_ALL = ("coefficients", "unit_slopes", "membership", "factors", "loadings", "scree", "criteria", "path", "residuals",
        "fitted", "added_variable", "fwl")  # fmt: skip
_OF_GROUPS = ("unit_slopes", "membership", "path")


class FactorPlots(CoefficientPlots):
    """Pictures of a model with factors; each method draws on `ax`, or on a new figure, and returns its Axes.

    Examples
    --------
    >>> import gifepanel as gife
    >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=30, random_state=1)
    >>> model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2)
    >>> res = model.fit()
    >>> ax = res.plot.coefficients()
    >>> ax.get_xlabel()
    'coefficient, with its 95 % confidence interval'
    """

    def __dir__(self) -> list[str]:
        return [name for name in _ALL if name not in _OF_GROUPS or self._grouped]

    @property
    def _grouped(self) -> bool:
        return hasattr(self._res, "penalized")

    def _need_groups(self, what: str, instead: str) -> None:
        if not self._grouped:
            raise SpecificationError(
                f"{type(self._res.model).__name__} has no {what}.", "They belong to models with groups.", instead
            )

    # ---- slopes and groups ----

    def unit_slopes(
        self,
        x: str | None = None,
        y: str | None = None,
        *,
        level: float = 0.95,
        errors: bool | None = None,
        shrunken: bool = True,
        ax: Any = None,
    ) -> Any:
        """Slopes of the entities at the factors of the fit, by group, with the group slopes and their uncertainty.

        Two regressors make a scatter with joint confidence ellipses of the group slopes, the region where the Wald
        test does not reject; one makes a strip, sorted by group and slope, with intervals. The slopes of a group are
        the mean of its members' (``res.unit_params``), weighted by precision. Entities whose own periods do not
        determine their slopes are counted instead of shown.

        Parameters
        ----------
        x, y : str, optional
            Regressors; by default the first two whose slopes differ across groups.
        level : float
            Of ellipses and intervals.
        errors : bool, optional
            Bars of one standard error (``res.unit_bse``) at either side; by default for sixty entities at most.
        shrunken : bool
            Small hollow marks where the slopes are once they are drawn to those of the group
            (``res.unit_params_shrunken``).
        ax : Axes, optional

        Examples
        --------
        >>> import gifepanel as gife
        >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=30, random_state=1)
        >>> model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2)
        >>> res = model.fit()
        >>> res.plot.unit_slopes().get_xlabel()
        'slope of x1'
        """
        self._need_groups("slopes by entity", "GroupedIFE.from_formula(..., n_groups=3)")
        return draw_unit_slopes(self._res, x, y, level, errors, shrunken, ax)

    def membership(self, by: str = "margin", *, level: float = 0.95, outcome: str = "raw", ax: Any = None) -> Any:
        """Who is in which group: by margin, by posterior probability, or on the panel.

        By margin: how much worse each entity fits in the next best group (``res.membership``), its sum of squares less
        that in its own group over the error variance, sorted within groups, on a scale of square roots (of logarithms
        where margins are in the hundreds), so that the small ones can be told apart. Hollow are the unclear ones, whose
        own group has a posterior probability below `level`. By posterior: probabilities of all groups. On the panel:
        the outcome over time, an Axes for each group, with bands that hold the middle 50 and 90 % of groups of more
        than forty.

        Parameters
        ----------
        by : {"margin", "posterior", "panel"}
        level : float
            Probability of the own group from which an entity is clear.
        outcome : {"raw", "residualised"}
            On the panel: as it is, or projected off effects, factors and loadings.
        ax : Axes, or a sequence of one for each group, optional

        Examples
        --------
        >>> import gifepanel as gife
        >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=30, random_state=1)
        >>> model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2)
        >>> res = model.fit()
        >>> res.plot.membership().get_xlabel().splitlines()[0]
        'how much worse the next best group fits'
        """
        self._need_groups("groups", "GroupedIFE.from_formula(..., n_groups=3)")
        if check_by(by, ("margin", "posterior", "panel"), "membership") != "panel":
            return (draw_margins if by == "margin" else draw_posterior)(self._res, level, ax)
        return draw_outcomes(self._res, outcome, ax)

    # ---- factors ----

    def factors(self, *, separate: bool = False, ax: Any = None) -> Any:
        """Factors over time, with their shares of the variance of the outcome less slopes and additive effects.

        Factors have mean square one; their signs are a matter of convention.

        Parameters
        ----------
        separate : bool
            A panel for each factor.
        ax : Axes, or a sequence of them with `separate`, optional

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
        >>> res.plot.factors().get_xlabel()
        'year'
        """
        self._need_factors()
        return draw_factors(self._res, separate, ax)

    def loadings(self, first: int = 1, second: int = 2, *, labels: int = 6, ax: Any = None) -> Any:
        """Loadings of two factors by group, the extreme entities named; of the only factor as a sorted strip.

        Parameters
        ----------
        first, second : int
            Factors, counted from 1.
        labels : int
            Entities to be named: those furthest from the mean, in standard deviations.
        ax : Axes, optional

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
        >>> res.plot.loadings(labels=3).get_xlabel()
        'loading on factor 1: 98.0 % of variance'
        """
        self._need_factors()
        count = self._res.n_factors
        given: tuple[Any, ...] = (first, second) if count > 1 else (first,)
        for factor in given:
            if not (isinstance(factor, (int, np.integer)) and 1 <= factor <= count):
                raise SpecificationError(
                    f"There is no factor {factor!r}.", f"Factors are counted from 1 to {count}.", "res.plot.loadings()"
                )
        return draw_loadings(self._res, int(first) - 1, int(second) - 1, labels, ax)

    def scree(self, n: int | None = None, *, ax: Any = None) -> Any:
        """Shares of variance of the principal components of outcome less slopes and additive effects.

        The first R of them are the factors of the model.

        Parameters
        ----------
        n : int, optional
            How many; by default five more than there are factors, ten at least.
        ax : Axes, optional

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
        >>> res.plot.scree().get_xlabel()
        'principal component'
        """
        return draw_scree(self._res, n, ax)

    def criteria(self, *, ax: Any = None) -> Any:
        """Information criteria by numbers of factors and groups, where the fit has chosen them.

        Parameters
        ----------
        ax : sequence of Axes, optional
            One for each number that was left open.

        Returns
        -------
        ndarray of Axes

        Examples
        --------
        >>> import gifepanel as gife
        >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=30, random_state=1)
        >>> model = gife.InteractiveFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_factors=range(0, 4))
        >>> axes = model.fit().plot.criteria()
        """
        if self._res.selection is None:
            raise SpecificationError(
                "The numbers of factors and groups were given: there are no criteria.",
                "Leave a number open, or call gifepanel.select.",
                'n_factors="auto"',
            )
        return self._res.selection.plot(ax)

    def path(self, *, scale: str = "linear", ax: Any = None) -> Any:
        """The penalised criterion after each sweep and each step of the descent.

        Parameters
        ----------
        scale : {"linear", "log"}
            "log" shows by how much, in per cent, the criterion is above its last value.
        ax : Axes, optional

        Examples
        --------
        >>> import gifepanel as gife
        >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=30, random_state=1)
        >>> model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2)
        >>> res = model.fit()
        >>> res.plot.path().get_xlabel()
        'sweeps, then steps of the descent'
        """
        self._need_groups("penalised criterion", "res.minima lists the minima over the starts.")
        return draw_path(self._res, check_by(scale, ("linear", "log"), "path"), ax)

    def _need_factors(self) -> None:
        if self._res.n_factors == 0:
            raise SpecificationError(
                "The model has no factors.", "It was fitted with n_factors=0.", "Fit it with n_factors=1 or more."
            )

    # ---- residuals and fit ----

    def residuals(self, by: str = "panel", *, cmap: Any = None, ax: Any = None) -> Any:
        """Residuals as a picture of the panel, entities sorted by group; or against fitted values.

        Cells that are not observed are hatched.

        Parameters
        ----------
        by : {"panel", "fitted"}
        cmap : str or Colormap, optional
            Of the panel; it is centred at zero. By default blue below, orange above, white at zero.
        ax : Axes, optional

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
        >>> res.plot.residuals().get_xlabel()
        'year'
        """
        res = self._res
        estimate = res._estimate
        if check_by(by, ("panel", "fitted"), "residuals") == "panel":
            groups = estimate.groups + 1 if res.n_groups > 1 else None
            return draw_heat_map(estimate.with_holes(estimate.resid), res._entities, res._times, groups, ax, cmap)
        resid = estimate.cells(estimate.resid)
        fitted = estimate.cells(estimate.y) - resid
        return draw_residual_scatter(fitted, resid, _weights(estimate), res.sample.endog_name, ax)

    def fitted(self, entities: Any = None, *, ax: Any = None) -> Any:
        """Actual and fitted outcome over time, a panel for each entity; lines break where a period is not observed.

        Parameters
        ----------
        entities : label or sequence of labels, optional
            By default six, as many of each group, from well to badly fitted.
        ax : sequence of Axes, optional

        Returns
        -------
        ndarray of Axes

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
        >>> axes = res.plot.fitted(["Utah", "Texas"])
        """
        estimate, res = self._res._estimate, self._res
        groups = estimate.groups + 1
        outcome, resid = estimate.with_holes(estimate.y), estimate.with_holes(estimate.resid)
        rows = chosen_entities(entities, res._entities, resid, groups)
        return draw_fitted(outcome, resid, res._entities, res._times, groups, rows, res.sample.endog_name, ax)

    def _partial_picture(self, name: str) -> PartialPicture:
        return partial_picture(self._res, name)


def _weights(estimate: Any) -> Array:
    """Weights of observed cells (n,)."""
    return np.ones(estimate.nobs) if estimate.weights is None else np.asarray(estimate.weights)


def partial_picture(res: Any, name: str) -> PartialPicture:
    """One regressor and the outcome, projected off factors, loadings and effects, residualised on the others."""
    position = find_name(name, res._names, "has no coefficient")
    estimate = res._estimate
    roots = None if estimate.weights is None else np.sqrt(estimate.weights)  # by which what was projected is multiplied
    z, y = estimate.cells(estimate.z_projected), estimate.cells(estimate.y_projected)
    if roots is not None:
        z, y = z / roots[:, None], y / roots
    others = np.delete(z, position, axis=1)
    columns = beyond(others, np.column_stack([z[:, position], y]), roots)
    quantile = interval_quantile(res, res.df_resid_inference)
    slope, error = float(np.asarray(res.params)[position]), float(np.asarray(res.bse)[position])
    part = PartialColumns(columns[:, 0], columns[:, 1], slope, error, quantile, _weights(estimate))
    where = np.argwhere(estimate.slots == position)
    of_group = len(where) == 1 and estimate.slots.shape[0] > 1
    who, when = (estimate.cells(codes) for codes in np.indices(estimate.shape))
    members = estimate.groups[who] == where[0, 0] if of_group else None
    entities, times = res._entities, time_labels(res._times)
    return PartialPicture(
        part,
        estimate.cells(estimate.x[:, :, where[0, 1]]),
        estimate.cells(estimate.y),
        name,
        res.sample.endog_name,
        lambda row: f"{one_line(entities[who[row]])} {times[when[row]]}",
        members,
        "" if res.bias_correction == "none" else "slope corrected for bias",
    )
