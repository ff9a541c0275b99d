"""Joint tests of linear hypotheses: one mechanism for all models and covariances."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from statsmodels.stats.contrast import ContrastResults

from gifepanel.exceptions import SpecificationError, SpecificationWarning, caller_level
from gifepanel.inference.definite import has_variance
from gifepanel.inference.wald import Hypothesis, independent_rows, wald
from gifepanel.results.group_contrasts import told_of_contrast
from gifepanel.statsmodels_bridge.hypotheses import read_hypothesis

__all__ = ["JointTests"]

Array = np.ndarray[Any, np.dtype[np.float64]]

if TYPE_CHECKING:

    class _Parent:
        _covariance: Any

        @property
        def _names(self) -> list[str]: ...

        params: Any
        use_t: Any
        df_resid_inference: Any
        cov_params_default: Any

        def wald_test(self, *args: Any, **kwargs: Any) -> Any: ...

else:
    _Parent = object


class JointTests(_Parent):
    """Mixed in before statsmodels' class."""

    def f_test(self, r_matrix: Any, cov_p: Any = None, invcov: Any = None) -> Any:
        """Joint F test of linear hypotheses: ``"x1 = x2 = 0"``, a matrix, or a pair (R, q).

        With CR2 it is the approximate Hotelling test of Pustejovsky & Tipton (2018), whose degrees of freedom are those
        of the hypothesis; of one restriction the square of its t test. Restrictions that follow from others are left
        out with a warning. A comparison of estimated groups is naive, which the result and a warning say; see
        ``test_groups`` and ``test_common`` of the models with groups.

        Parameters
        ----------
        r_matrix : str, array_like (r, k) or pair (R, q)
            The hypotheses, R b = 0 or R b = q.
        cov_p : array_like (k, k), optional
            Another covariance of the coefficients.
        invcov : array_like (r, r), optional
            The inverse of R V R', where it is known.

        Raises
        ------
        SpecificationError
            If the restrictions contradict each other, or there are more than the covariance has rank, as with few
            clusters.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> round(float(res.f_test("price = ndi = 0").fvalue), 1)
        191.0
        """
        return self.wald_test(r_matrix, cov_p=cov_p, invcov=invcov, use_f=True, scalar=True)

    def wald_test(
        self,
        r_matrix: Any,
        cov_p: Any = None,
        invcov: Any = None,
        use_f: bool | None = None,
        df_constraints: int | None = None,
        scalar: bool = True,
    ) -> Any:
        """Joint Wald test of linear hypotheses; ``use_f`` chooses F or chi-squared, ``scalar=True`` is the default.

        See :meth:`f_test`; chi-squared has no small-sample correction.

        Parameters
        ----------
        r_matrix : str, array_like (r, k) or pair (R, q)
            The hypotheses, R b = 0 or R b = q.
        cov_p : array_like (k, k), optional
            Another covariance of the coefficients.
        invcov : array_like (r, r), optional
            The inverse of R V R', where it is known.
        use_f : bool, optional
            F or chi-squared; by default F where the results have t distributions.
        df_constraints : int, optional
            Number of restrictions, where it is not that of the rows of R.
        scalar : bool
            Whether the statistic is a number, or an array (1, 1).

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> round(float(res.wald_test("price = -1", use_f=False, scalar=True).statistic), 2)
        5.62
        """
        read = read_hypothesis(r_matrix, self._names)
        options: dict[str, Any] = {"use_f": use_f, "df_constraints": df_constraints, "scalar": scalar}
        test = self._wald_test(read, cov_p, invcov, **options)
        matrix = np.asarray(read[0] if isinstance(read, tuple) else read, dtype=np.float64)
        return told_of_contrast(test, self, np.atleast_2d(matrix), joint=True)

    def _wald_test(
        self,
        read: Any,
        cov_p: Any = None,
        invcov: Any = None,
        *,
        use_f: bool | None = None,
        df_constraints: int | None = None,
        scalar: bool = True,
    ) -> Any:
        """The test of a hypothesis that was read, whatever it says of groups."""
        if invcov is not None:
            return super().wald_test(
                read, cov_p=cov_p, invcov=invcov, use_f=use_f, df_constraints=df_constraints, scalar=scalar
            )
        hypothesis = self._independent(read)
        statistic = self._wald_statistic(hypothesis, cov_p)
        count = len(hypothesis.values) if df_constraints is None else df_constraints
        if not (self.use_t if use_f is None else use_f):
            shaped = statistic if scalar else np.array([[statistic]])
            return ContrastResults(
                chi2=shaped, df_denom=count, statistic=shaped, distribution="chi2", distargs=(count,)
            )
        factor, denominator = 1.0, self.df_resid_inference
        own = self._hypothesis_degrees(hypothesis.matrix) if cov_p is None else None
        if own is not None:
            factor, denominator = _hotelling(own, len(hypothesis.values))
        value = factor * statistic / count
        return ContrastResults(F=value if scalar else np.array([[value]]), df_denom=denominator, df_num=count)

    def _hypothesis_degrees(self, matrix: Array) -> float | None:
        """Degrees of freedom of the covariance of the rows of `matrix`, where they are the hypothesis' own."""
        return None

    def _independent(self, read: Any) -> Hypothesis:
        """The restrictions that do not follow from others."""
        matrix, values = read if isinstance(read, tuple) else (read, 0.0)
        matrix = np.atleast_2d(np.asarray(matrix, dtype=np.float64))
        values = np.asarray(0.0 if values is None else values, dtype=np.float64).ravel()
        if values.size not in (1, len(matrix)):
            raise SpecificationError(
                f"The hypothesis has {len(matrix)} rows and {values.size} values.",
                "There must be one value for each row.",
                f"R, q with q of shape ({len(matrix)},)",
            )
        lengths = self._covariance.triangle.lengths
        out = independent_rows(matrix, np.broadcast_to(values, len(matrix)), lengths)
        if out.contradictory or not len(out.values):
            which = ", ".join(str(i + 1) for i in out.contradictory or out.redundant)
            raise SpecificationError(
                f"Restriction {which} contradicts the others."
                if out.contradictory
                else f"Restriction {which} is 0 = 0.",
                "A hypothesis needs restrictions that can all be true, and can be wrong.",
                f'res.f_test("{self._names[0]} = 0")',
            )
        if out.redundant:
            which = ", ".join(str(i + 1) for i in out.redundant)
            warnings.warn(
                SpecificationWarning(
                    f"Of {len(matrix)} restrictions {len(out.redundant)} follow from the others: number {which}.",
                    f"The test is that of {len(out.values)}, with as many degrees of freedom.",
                    "Leave them out to silence this.",
                ),
                stacklevel=caller_level(),
            )
        return out

    def _core(self, cov_p: Any = None) -> Array:
        """M of a covariance K M K', which has more digits than what is computed back from the covariance."""
        covariance = self._covariance
        cov = np.asarray(self.cov_params_default if cov_p is None else cov_p, dtype=np.float64)
        if cov_p is None and np.array_equal(cov, covariance.cov, equal_nan=True):
            return np.asarray(covariance.core)
        factor = covariance.triangle.factor
        return np.asarray(factor @ cov @ factor.T)

    def _wald_statistic(self, hypothesis: Hypothesis, cov_p: Any) -> float:
        covariance = self._covariance
        single = cov_p is None and len(hypothesis.values) == 1
        if single and not has_variance(hypothesis.matrix, covariance.cov, covariance.gross).all():
            return np.nan  # as its t test
        core = self._core(cov_p)
        said = f"The covariance, {covariance.description}," if cov_p is None else "cov_p"
        count = len(hypothesis.values)
        if not np.isfinite(core).all():
            raise SpecificationError(
                f"{said} has no variance for some coefficients.", "A joint test needs all of them.", _FEWER
            )
        found = wald(hypothesis, np.asarray(self.params, dtype=np.float64), covariance.triangle, core)
        if np.isnan(found.statistic):
            raise SpecificationError(
                f"{count} restriction{'s were' if count > 1 else ' was'} to be tested at once.",
                f"{said} is not positive definite: some combination has a negative variance."
                if found.indefinite
                else f"{said} allows {found.rank} at most.",
                _FEWER,
            )
        return found.statistic


_FEWER = "Test fewer at once, or res.get_robustcov_results() with finer clusters."


def _hotelling(eta: float, count: int) -> tuple[float, float]:
    """Factor and denominator degrees of freedom of the F statistic: (eta - q + 1)/eta Q/q is F(q, eta - q + 1)."""
    left = eta - count + 1
    if not left > 0:
        raise SpecificationError(
            f"{count} restrictions were to be tested at once, with {eta:.2f} degrees of freedom of their covariance.",
            "There must be more degrees of freedom than restrictions less one.",
            "Test fewer at once, or res.wild_bootstrap() of each.",
        )
    return left / eta, left
