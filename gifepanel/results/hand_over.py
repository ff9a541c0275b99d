"""Results handed to other packages: thin methods, everything else is imported when they are called."""

from __future__ import annotations

from typing import Any

__all__ = ["NeighbourMethods"]


class NeighbourMethods:
    """Mixed in before statsmodels' class."""

    def tidy(self, *, conf_level: float = 0.95, native: str | None = None) -> Any:
        """A frame with a row for each coefficient; see :func:`gifepanel.interop.tidy.tidy`.

        Parameters
        ----------
        conf_level : float
            Level of the confidence intervals.
        native : {"pandas", "polars", "pyarrow"}, optional
            Kind of frame; by default that of the data the model was given.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> res.tidy()[["term", "estimate"]].round(3)
            term  estimate
        0  price    -0.823
        1    ndi    -0.005
        """
        from gifepanel.interop.tidy import tidy

        return tidy(self, conf_level=conf_level, native=native)

    def glance(self, *, native: str | None = None) -> Any:
        """A frame with one row about the fit; see :func:`gifepanel.interop.tidy.glance`.

        Parameters
        ----------
        native : {"pandas", "polars", "pyarrow"}, optional
            Kind of frame; by default that of the data the model was given.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> int(res.glance()["nobs"].iloc[0])
        1380
        """
        from gifepanel.interop.tidy import glance

        return glance(self, native=native)

    def augment(self, *, native: str | None = None) -> Any:
        """The data with fitted values, residuals and their parts; see :func:`gifepanel.interop.tidy.augment`.

        Parameters
        ----------
        native : {"pandas", "polars", "pyarrow"}, optional
            Kind of frame; by default that of the data the model was given.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> res.augment().columns[-2:].tolist()
        ['.linear', '.effects']
        """
        from gifepanel.interop.tidy import augment

        return augment(self, native=native)

    def to_statsmodels(self, *, dummies: bool = False, max_columns: int = 2000, **fit: Any) -> Any:
        """The closest plain statsmodels result; see :func:`gifepanel.interop.statsmodels.to_statsmodels`.

        Parameters
        ----------
        dummies : bool
            The full regression, with a column for each level of the effects.
        max_columns : int
            The most dummies and controls to be written out.
        **fit
            Of statsmodels' ``fit``: ``cov_type="HC1"``, ``cov_kwds={"groups": codes}``.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> len(res.to_statsmodels(dummies=True).params)
        77
        """
        from gifepanel.interop.statsmodels import to_statsmodels

        return to_statsmodels(self, dummies=dummies, max_columns=max_columns, **fit)

    def to_marginaleffects(self, *, effects: bool = True) -> Any:
        """A model that marginaleffects takes; see :func:`gifepanel.interop.marginaleffects.wrap`.

        Parameters
        ----------
        effects : bool
            Have effects, controls and factors in predictions.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> model = res.to_marginaleffects()  # doctest: +SKIP
        """
        from gifepanel.interop.marginaleffects import wrap

        return wrap(self, effects=effects)

    def to_maketables(self) -> Any:
        """What ``maketables.ETable`` takes; see :func:`gifepanel.interop.maketables.wrap`.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> adapter = res.to_maketables()
        """
        from gifepanel.interop.maketables import wrap

        return wrap(self)

    def to_linearmodels(self) -> Any:
        """What comparisons of linearmodels take; see :func:`gifepanel.interop.linearmodels.compare`.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> res.to_linearmodels().params.round(3).to_dict()
        {'price': -0.823, 'ndi': -0.005}
        """
        from gifepanel.interop.linearmodels import wrap

        return wrap(self)

    def to_great_tables(
        self, *, conf_level: float = 0.95, digits: int = 3, title: str | None = None, notes: bool = True
    ) -> Any:
        """The coefficients as a great table; see :func:`gifepanel.interop.great_tables.coefficients`.

        Parameters
        ----------
        conf_level : float
            Level of the intervals.
        digits : int
            Decimals; numbers that they would not show are in scientific notation.
        title : str, optional
            By default the model and its outcome.
        notes : bool
            Effects, factors, covariance and fit under the table.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> table = res.to_great_tables(digits=2)
        """
        from gifepanel.interop.great_tables import coefficients

        return coefficients(self, conf_level=conf_level, digits=digits, title=title, notes=notes)
