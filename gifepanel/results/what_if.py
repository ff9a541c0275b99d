"""Questions about cells that were not observed, or not without treatment: methods of models with factors."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, Any

from gifepanel.exceptions import SpecificationError

if TYPE_CHECKING:
    import pandas as pd

    from gifepanel.results.counterfactual import Counterfactual

__all__ = ["WhatIfMethods"]

Progress = bool | Callable[[int, int], None] | None


class WhatIfMethods:
    """Mixed in before statsmodels' class."""

    _fit_options: dict[str, Any]

    def counterfactual(
        self,
        *,
        cov_type: str = "cluster",
        average: str = "cells",
        n_bootstrap: int = 0,
        random_state: Any = 0,
        n_jobs: int | None = None,
        progress: Progress = None,
        checkpoint: str | PathLike[str] | None = None,
    ) -> Counterfactual:
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
        n_bootstrap : int
            Samples of entities, as many treated and as many others as there are, for standard errors and percentile
            intervals beside the analytic ones. The model is fitted to each from the full-sample solution, groups of
            slopes among it; bootstraps of groups repeat the bias that finding them has.
        random_state : int or Generator
            Of the samples.
        n_jobs : int, optional
            Workers of the bootstrap; results do not depend on it.
        progress : bool or callable, optional
        checkpoint : str or path, optional
            A folder that keeps what is finished; the same call again goes on from there.

        Returns
        -------
        Counterfactual

        Raises
        ------
        SpecificationError
            If the model was made without ``treated=``.
        DataError
            If nothing can be said of any treated cell.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> law = "(state == 'California') & (year >= 1989)"
        >>> formula = "sales ~ log(real_income) | state + year"
        >>> res = gife.InteractiveFE.from_formula(formula, cigar, n_factors=2, treated=law).fit()
        >>> cf = res.counterfactual()
        >>> round(cf.att, 1), round(cf.att_se, 1)
        (-4.1, 4.1)
        """
        from gifepanel.results.effects_on_treated import counterfactual_of, with_draws

        if isinstance(n_bootstrap, bool) or int(n_bootstrap) != n_bootstrap or n_bootstrap < 0 or n_bootstrap == 1:
            raise SpecificationError(
                f"n_bootstrap is {n_bootstrap!r}.", "It is 0 or a number of samples, 2 at least.", "n_bootstrap=200"
            )
        if n_bootstrap and getattr(self, "is_soft", False):
            raise SpecificationError(
                "A bootstrap was asked for with soft groups.",
                "It fits least squares with groups as they are to samples of entities.",
                "n_bootstrap=0",
            )
        cf = counterfactual_of(self, cov_type=cov_type, average=average)
        if not n_bootstrap:
            return cf
        how: dict[str, Any] = {"random_state": random_state, "n_jobs": n_jobs, "progress": progress}
        return with_draws(cf, int(n_bootstrap), checkpoint=checkpoint, **how)

    def impute(self, data: Any = None, *, alpha: float = 0.05, cov_type: str = "nonrobust") -> pd.DataFrame:
        """Outcomes that were not observed, filled in, with prediction intervals.

        Parameters
        ----------
        data : DataFrame or array_like, optional
            Rows to be filled in, as of ``predict``; by default the rows of the frame the model was made from whose
            outcome is missing and whose regressors are not. Entities and periods must be in the sample.
        alpha : float
            One less the level of the intervals.
        cov_type : {"nonrobust", "HC2"}
            One variance of errors, or one of each entity. Groups of slopes are taken as known.

        Returns
        -------
        DataFrame
            By (entity, time): ``imputed``; ``se``, ``lower`` and ``upper`` for the outcome itself, its own error and
            the estimation of slopes, factors, loadings and effects in them; ``se_mean``, ``lower_mean`` and
            ``upper_mean`` for its expectation. NaN where observed cells do not determine it.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> was = cigar.loc[("Ohio", 1980), "sales"]
        >>> cigar.loc[("Ohio", 1980), "sales"] = float("nan")
        >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
        >>> filled = res.impute().loc[("Ohio", 1980)]
        >>> bool(filled["lower"] < was < filled["upper"])
        True
        """
        from gifepanel.results.imputation import imputed

        return imputed(self, data, alpha, cov_type)
