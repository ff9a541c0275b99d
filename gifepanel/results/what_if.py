"""Questions about cells that were not observed, or not without treatment: methods of models with factors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gifepanel.results.counterfactual import Counterfactual

__all__ = ["WhatIfMethods"]


class WhatIfMethods:
    """Mixed in before statsmodels' class."""

    def counterfactual(self, *, cov_type: str = "cluster", average: str = "cells") -> Counterfactual:
        """What treated rows would have been without treatment: effects by cell, averages, tests, pictures.

        The rows named by ``treated=`` were left out of the fit; the model says what they would have been, from its
        slopes and the effects, factors and loadings that untreated rows determine. Without factors this is the
        imputation estimator of Borusyak, Jaravel & Spiess (2024); with factors that of Gobillon & Magnac (2016).

        Parameters
        ----------
        cov_type : {"cluster", "HC2", "nonrobust"}
            Standard errors of averages. They account for the estimation of slopes, factors, loadings and effects by
            the delta method, and for the errors of the treated cells. "cluster": errors of an entity may depend on
            each other in any way; the error of a treated cell is what its effect has beyond the average of its cohort
            and period, so that effects that differ within them make the standard error too large, never too small
            (Borusyak, Jaravel & Spiess 2024). "HC2": errors are independent, with variances of their own.
            "nonrobust": with one variance. Groups of slopes are taken as known.
        average : {"cells", "entities"}
            What the overall average gives equal weight.

        Returns
        -------
        Counterfactual

        Raises
        ------
        SpecificationError
            If the model was made without ``treated=``.
        DataError
            If nothing can be said of any treated cell.
        """
        from gifepanel.results.effects_on_treated import counterfactual_of

        return counterfactual_of(self, cov_type=cov_type, average=average)
