"""The pictures that ``res.plot`` has whatever the model: of coefficients, and of what one is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gifepanel.plots.added_variable import PartialPicture, draw_added_variable, draw_fwl
from gifepanel.plots.coefficients import draw_coefficients

__all__ = ["CoefficientPlots"]


class CoefficientPlots:
    """Each method draws on `ax`, or on a new figure, and returns its Axes."""

    def __init__(self, res: Any) -> None:
        self._res: Any = res

    def __repr__(self) -> str:
        return f"Plots of {type(self._res.model).__name__}: {', '.join(self.__dir__())}"

    def _partial_picture(self, name: str) -> PartialPicture:
        """One regressor and the outcome, residualised on everything else."""
        raise NotImplementedError

    def coefficients(
        self,
        names: str | Sequence[str] | None = None,
        *,
        alpha: float = 0.05,
        separate: bool | None = None,
        ax: Any = None,
    ) -> Any:
        """Coefficients with their confidence intervals, groups side by side.

        A row for each regressor; rows whose coefficients are of another size have axes of their own. Leads and lags of
        a variable (``L(x, 0:3) + F(x, 1:2)``) and periods (``C(year, Treatment(1977)):treated``, or counted from an
        event) are drawn over time, three or more of them, with a hollow mark at the reference that the formula names.

        Parameters
        ----------
        names : str or sequence of str, optional
            Regressors; by default all but constants. ``C(year, Treatment(1977)):treated`` stands for its coefficients.
        alpha : float
            One less the level of the intervals.
        separate : bool, optional
            True: a panel with a scale of its own for each regressor. False: all of them in rows of one.
        ax : Axes, or a sequence of them where there are several, optional
            On a single one all coefficients are rows.

        Returns
        -------
        Axes, or ndarray of Axes where there are several

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> formula = "log(sales) ~ log(real_price) + log(real_income) | state + year"
        >>> res = gife.PartialledOLS.from_formula(formula, cigar).fit()
        >>> res.plot.coefficients().get_xlabel()
        'coefficient, with its 95 % confidence interval'
        """
        return draw_coefficients(self._res, names, alpha, separate, ax)

    def added_variable(self, name: str, *, labels: int = 3, ax: Any = None) -> Any:
        """Added-variable plot: outcome against one regressor, both residualised on everything else.

        Everything else are the other regressors, effects and controls, and the estimated factors and loadings. The line
        is the coefficient of the full model, the band its 95 % interval; rows of other groups, which a coefficient of
        one group touches through the loadings only, are grey. Above 5 000 rows the points are means of a hundred bins.

        Parameters
        ----------
        name : str
            A coefficient, as in ``res.params``.
        labels : int
            Rows to be named: those that move the coefficient most.
        ax : Axes, optional

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> res.plot.added_variable("price").get_xlabel()
        'price, residualised'
        """
        return draw_added_variable(self._partial_picture(name), ax, labels)

    def fwl(self, name: str, *, ax: Any = None) -> Any:
        """The theorem of Frisch, Waugh and Lovell: raw, both residualised, only the outcome y residualised.

        The middle panel's line is the coefficient with its interval, the others' are least squares of what is drawn,
        with the band of that simple regression. For a coefficient of one group the outer panels hold its rows.

        Parameters
        ----------
        name : str
        ax : sequence of three Axes, optional

        Returns
        -------
        ndarray of Axes

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> panels = res.plot.fwl("price")
        >>> len(panels)
        3
        """
        return draw_fwl(self._partial_picture(name), ax)
