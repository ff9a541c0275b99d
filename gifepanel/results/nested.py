"""Tests of a fit against a smaller one on the same rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats
from statsmodels.tools.sm_exceptions import InvalidTestWarning

from gifepanel.exceptions import DataError, SpecificationError, caller_level

if TYPE_CHECKING:

    class _Parent:
        cov_type: str

        def compare_f_test(self, *args: Any, **kwargs: Any) -> Any: ...
        def compare_lr_test(self, *args: Any, **kwargs: Any) -> Any: ...

else:
    _Parent = object

__all__ = ["NestedModels", "check_factors_nested", "check_nested", "lagrange_multiplier"]

_PLAIN = ("nonrobust", "fixed scale", "", None)
_INSTEAD = "res.aic and res.bic, or one model with the regressors of both and res.f_test"


class NestedModels(_Parent):
    """Mixed in before statsmodels' results: sums of squares of nested fits, checked to be nested."""

    def _check_smaller(self, restricted: Any) -> None:
        raise NotImplementedError

    def compare_f_test(self, restricted: Any) -> Any:
        """F test of a smaller model on the same rows: statistic, p-value, restrictions; homoskedastic errors only.

        Parameters
        ----------
        restricted : results
            Of the smaller model.

        Raises
        ------
        SpecificationError
            If the other model is not nested in this one.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> small = gife.PartialledOLS.from_formula("sales ~ price | state", cigar).fit()
        >>> large = gife.PartialledOLS.from_formula("sales ~ price + ndi | state", cigar).fit()
        >>> statistic, pvalue, df = large.compare_f_test(small)
        >>> round(float(statistic), 1), int(df)
        (31.4, 1)
        """
        return self._by_sums_of_squares("F", restricted, super().compare_f_test)

    def compare_lr_test(self, restricted: Any, large_sample: bool = False) -> Any:
        """Likelihood ratio test of a smaller model on the same rows; homoskedastic normal errors only.

        Parameters
        ----------
        restricted : results
            Of the smaller model.
        large_sample : bool
            The Lagrange multiplier test in its place, as in statsmodels.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> small = gife.PartialledOLS.from_formula("sales ~ price | state", cigar).fit()
        >>> large = gife.PartialledOLS.from_formula("sales ~ price + ndi | state", cigar).fit()
        >>> statistic, pvalue, df = large.compare_lr_test(small)
        >>> round(float(statistic), 1), int(df)
        (32.1, 1)
        """
        return self._by_sums_of_squares("likelihood ratio", restricted, super().compare_lr_test, large_sample)

    def _by_sums_of_squares(self, test: str, restricted: Any, compare: Callable[..., Any], *options: Any) -> Any:
        """statsmodels' test, once the other model is known to be smaller; its warning at the caller's line."""
        self._check_smaller(restricted)
        robust = [kind for kind in (self.cov_type, getattr(restricted, "cov_type", "")) if kind not in _PLAIN]
        if robust:
            warnings.warn(
                f"The {test} test compares sums of squares, which takes homoskedastic errors; the covariance is "
                f"{robust[0]}. A Wald test of the coefficients uses it: res.f_test(...).",
                InvalidTestWarning,
                stacklevel=caller_level(),
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InvalidTestWarning)
            return compare(restricted, *options)


def check_nested(res: Any, restricted: Any) -> None:
    """The other model explains the same outcome, and this one's residuals are orthogonal to all that it fits.

    The other one may be of statsmodels. Where data were removed nothing can be checked but counts.
    """
    if int(restricted.nobs) != int(res.nobs) or restricted.df_resid <= res.df_resid:
        raise SpecificationError(
            f"The other model has {int(restricted.nobs)} observations and {restricted.df_resid:g} degrees of "
            f"freedom left, this one {int(res.nobs)} and {res.df_resid:g}.",
            "It must be smaller, on the same observations.",
            'singletons="keep" in both, where effects differ',
        )
    try:
        resid, others, fitted = (np.asarray(v) for v in (res.resid, restricted.resid, restricted.fittedvalues))
        regressors = restricted.model.exog
    except DataError:
        return
    if regressors is None or others.shape != resid.shape:
        return
    spread = np.sqrt(res.centered_tss / res.nobs)
    if np.abs(others + fitted - resid - np.asarray(res.fittedvalues)).max() > 1e-6 * spread:
        raise SpecificationError(
            "The other model has another outcome, or its rows in another order.",
            "A smaller model of the same outcome, on the same rows, is needed.",
            "Fit both to the same frame.",
        )
    weights = getattr(res.model.design, "weights", None)
    score = resid if weights is None else resid * weights
    columns = np.column_stack([fitted, regressors])
    length = np.linalg.norm(columns, axis=0) * np.linalg.norm(score)
    if (np.abs(score @ columns) > 1e-6 * length).any():
        raise SpecificationError(
            "The other model is not nested in this one: it has regressors or effects that this one lacks.",
            "Sums of squares compare a model with a part of itself.",
            _INSTEAD,
        )


def check_factors_nested(res: Any, restricted: Any) -> None:
    """The other model has the same factors, effects and groups, and some of the regressors."""
    other = getattr(restricted, "_results", restricted)
    if not isinstance(other, type(res)):
        raise _not_nested(f"The other model is a {type(other.model).__name__}.", "One with as many factors is needed.")
    for name, what in (("n_factors", "factors"), ("n_groups", "groups"), ("nobs", "observations")):
        if getattr(other, name) != getattr(res, name):
            raise _not_nested(
                f"The other model has {getattr(other, name):g} {what}, this one {getattr(res, name):g}.",
                "F and likelihood ratio tests of their number don't have the usual distributions.",
            )
    if other.sample.absorbed != res.sample.absorbed or not np.isclose(other.centered_tss, res.centered_tss, rtol=1e-9):
        raise _not_nested("The other model has other effects, or another outcome.", "Both must be the same.")
    if res.n_groups > 1 and not other.groups.equals(res.groups):
        moved = int((other.groups.to_numpy() != res.groups.to_numpy()).sum())
        raise _not_nested(
            f"The other model puts {moved} entities into other groups.", "A part of this model has the same groups."
        )
    if not set(other.sample.regressors) < set(res.sample.regressors):
        raise _not_nested("The other model has regressors that this one lacks.", "It must have some of this one's.")
    if getattr(res, "is_soft", False) or getattr(other, "is_soft", False):
        raise _not_nested("Slopes are those of soft groups.", "Sums of squares compare least squares.")
    if res.bias_correction != "none" or other.bias_correction != "none":
        raise _not_nested("Slopes are corrected for bias.", "Sums of squares compare least squares.")


def _not_nested(found: str, needed: str) -> SpecificationError:
    return SpecificationError(found, needed, 'res.f_test("x1 = 0"); gife.select(...) for numbers of factors and groups')


def lagrange_multiplier(res: Any, restricted: Any) -> tuple[float, float, int]:
    """n (SSR_r - SSR) / SSR_r, chi-squared: n R2 of the smaller model's residuals on all columns of the larger."""
    statistic = float(res.nobs * (restricted.ssr - res.ssr) / restricted.ssr)
    degrees = int(restricted.df_resid - res.df_resid)
    return statistic, float(stats.chi2.sf(statistic, degrees)), degrees
