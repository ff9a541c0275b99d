"""Tests on a partialled-out regression: with the right degrees of freedom, and only where a test exists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from scipy import stats

from gifepanel.exceptions import SpecificationError
from gifepanel.inference.wild_bootstrap import WildBootstrap, wild_cluster_bootstrap
from gifepanel.results.nested import NestedModels, check_nested, lagrange_multiplier
from gifepanel.results.shared_methods import ReportedResults
from gifepanel.statsmodels_bridge.hypotheses import read_hypothesis

if TYPE_CHECKING:
    from gifepanel.inference.linear_covariance import LinearCovariance
    from gifepanel.results.linear_inputs import PartialledFit

__all__ = ["LinearTests"]

Array = np.ndarray[Any, np.dtype[np.float64]]


class LinearTests(ReportedResults, NestedModels):
    """Mixed in before statsmodels' class."""

    if TYPE_CHECKING:
        _covariance: LinearCovariance
        _choice: Any
        params: Any
        cov_type: str
        df_resid: float
        df_resid_inference: Any

        @property
        def _fit(self) -> PartialledFit: ...
        @property
        def nobs(self) -> float: ...
        @property
        def ssr(self) -> float: ...

    # ---- t, F and Wald tests ----

    def t_test(self, r_matrix: Any, cov_p: Any = None, use_t: Any = None) -> Any:
        """t tests of linear hypotheses: ``"x1 = x2"``, a matrix, or a pair (R, q).

        With CR2 every restriction has Satterthwaite degrees of freedom of its own.

        Parameters
        ----------
        r_matrix : str, array_like (r, k) or pair (R, q)
            The hypotheses, R b = 0 or R b = q.
        cov_p : array_like (k, k), optional
            Another covariance of the coefficients.
        use_t : bool, optional
            t or normal distribution; by default that of the results.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> round(float(res.t_test("price + 1 = 0").tvalue.item()), 2)
        2.37
        """
        hypothesis = read_hypothesis(r_matrix, self._names)
        if self._covariance.kind != "CR2" or cov_p is not None:
            return super().t_test(hypothesis, use_t=use_t, cov_p=cov_p)
        matrix = np.atleast_2d(np.asarray(hypothesis[0] if isinstance(hypothesis, tuple) else hypothesis, dtype=float))
        usual = self.df_resid_inference
        df = self._contrast_degrees(matrix)
        self.df_resid_inference = df if len(df) > 1 else float(df[0])
        try:
            return super().t_test(hypothesis, use_t=use_t)
        finally:
            self.df_resid_inference = usual

    def _contrast_degrees(self, matrix: Array) -> Array:
        own = np.asarray(self._covariance.df_inference)
        single = (matrix != 0).sum(axis=1) == 1
        if single.all():
            return own[np.abs(matrix).argmax(axis=1)]
        return np.array([self._joint_degrees(row[None]) for row in matrix])

    def _joint_degrees(self, matrix: Array) -> float:
        """Of a hypothesis R b = q under CR2, R (r, k): Pustejovsky & Tipton's, Satterthwaite's for one row."""
        contrasts = self._covariance.contrasts
        rows = np.linalg.qr(self._covariance.triangle.coordinates(matrix).T)[
            0
        ].T  # any basis of them: the degrees are the same
        if contrasts is None:
            if self.model._fit is None:
                return float(np.min(self._covariance.df_inference))
            contrasts, rows = self._choice.contrasts(self.model, self._fit, rows), np.eye(len(rows))
        return contrasts.degrees(rows)

    def _hypothesis_degrees(self, matrix: Array) -> float | None:
        return self._joint_degrees(matrix) if self._covariance.kind == "CR2" else None

    # ---- the wild cluster bootstrap ----

    def wild_bootstrap(
        self,
        hypothesis: str,
        *,
        groups: Any = None,
        n_draws: int = 9999,
        impose_null: bool = True,
        distribution: str = "auto",
        pvalue_type: str = "symmetric",
        alpha: float | None = 0.05,
        ssc: str = "fixest",
        random_state: Any = 0,
    ) -> WildBootstrap:
        """Wild cluster bootstrap of one hypothesis: p-value and, by inversion, confidence interval.

        Parameters
        ----------
        hypothesis : str
            A coefficient, tested against zero, or one equation: ``"x1 = 0.5"``, ``"x1 = x2"``.
        groups : str or array_like, optional
            Clusters; by default those of the covariance, or the entity where the data say what it is.
        n_draws : int
        impose_null : bool
            Residuals of the restricted fit (recommended), or of the unrestricted one.
        distribution : {"auto", "rademacher", "webb", "mammen"}
            Webb's six points below 12 clusters by default where there are too few sign patterns.
        pvalue_type : {"symmetric", "equal-tailed"}
        alpha : float or None
            One less the level of the interval; None for no interval.
        ssc : {"fixest", "stata", "statsmodels", "none"}
            Of the standard error; p-value and interval do not depend on it.
        random_state : int or Generator

        Returns
        -------
        WildBootstrap

        References
        ----------
        Roodman, D., J. G. MacKinnon, M. Ø. Nielsen and M. D. Webb (2019). Fast and wild: bootstrap inference in Stata
        using boottest. *Stata Journal* 19, 4-60.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price | state + year", cigar).fit()
        >>> boot = res.wild_bootstrap("price", groups="state", n_draws=999)
        >>> boot.n_groups, boot.pvalue < 0.05
        (46, True)
        """
        row, null = self._one_restriction(hypothesis)
        fit, design = self._fit, self.model.design
        choice = self.model._clustered_choice(self._choice, groups, ssc)
        codes = choice.clusters[0]
        effects, controls = self.model._bootstrap_nuisance(fit)
        return wild_cluster_bootstrap(
            fit.x_tilde,
            fit.resid,
            fit.params,
            row,
            clusters=codes,
            null=null,
            effects=effects,
            controls=controls,
            weights=design.weights,
            impose_null=impose_null,
            distribution=distribution,  # type: ignore[arg-type]
            n_draws=n_draws,
            pvalue_type=pvalue_type,  # type: ignore[arg-type]
            alpha=alpha,
            scale=choice(self.model, fit).factor[0],
            random_state=random_state,
            triangle=fit.triangle,
        )

    def _one_restriction(self, hypothesis: Any) -> tuple[Array, float]:
        """r and c of r'b = c; a bare name is tested against zero."""
        if isinstance(hypothesis, str) and hypothesis in self._names:
            return np.eye(len(self._names))[self._names.index(hypothesis)], 0.0
        read = read_hypothesis(hypothesis, self._names)
        matrix, values = read if isinstance(read, tuple) else (read, 0.0)
        matrix = np.atleast_2d(np.asarray(matrix, dtype=float))
        if len(matrix) != 1:
            raise SpecificationError(
                f"The hypothesis {hypothesis!r} has {len(matrix)} restrictions.",
                "The wild bootstrap tests one.",
                f'res.wild_bootstrap("{self._names[0]}")',
            )
        return matrix[0], float(np.ravel(values)[0])

    # ---- against smaller models ----

    def test_absorbed(self) -> tuple[float, float, tuple[int, int]]:
        """F test that all absorbed effects are zero, given controls and a constant: statistic, p-value, df.

        Valid under homoskedastic errors, like the F test that statsmodels prints.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> statistic, pvalue, df = res.test_absorbed()
        >>> round(float(statistic), 1), df
        (72.9, (74, 1303))
        """
        kept, design = list(self._fit.kept), self.model.design
        if not design.absorbed:
            raise SpecificationError(
                "The model absorbs no effects.", "There is nothing to test.", 'res.f_test("x1 = x2 = 0")'
            )
        if self._fit.sums is not None:
            return self._against_none(*self._fit.sums.without_effects)
        blocks = [np.ones((design.nobs, 1)), design.exog[:, kept]]
        if design.controls is not None:
            blocks.append(design.controls)
        root = np.ones(design.nobs) if design.weights is None else np.sqrt(design.weights)
        left = np.hstack(blocks) * root[:, None]
        length = np.linalg.norm(left, axis=0)
        left = left / np.where(length > 0, length, 1.0)
        coefficients, _, rank, _ = np.linalg.lstsq(left, design.endog * root, rcond=1e-10)
        restricted = float(((design.endog * root - left @ coefficients) ** 2).sum())
        return self._against_none(restricted, int(rank))

    def _against_none(self, restricted: float, rank: int) -> tuple[float, float, tuple[int, int]]:
        """F test against a regression without effects: its sum of squares and its rank."""
        extra = int(self.nobs - self.df_resid) - rank
        if extra <= 0:
            return np.nan, np.nan, (0, int(self.df_resid))
        statistic = (restricted - self.ssr) / extra / (self.ssr / self.df_resid)
        return statistic, float(stats.f.sf(statistic, extra, self.df_resid)), (extra, int(self.df_resid))

    def _check_smaller(self, restricted: Any) -> None:
        check_nested(self, restricted)

    def compare_lm_test(self, restricted: Any, demean: bool = True, use_lr: bool = False) -> tuple[float, float, int]:
        """Lagrange multiplier test of a smaller model on the same rows: statistic, p-value, restrictions.

        For homoskedastic errors, where `demean` and `use_lr` make no difference: n times the R-squared of the smaller
        model's residuals on all columns of this one, effects and controls among them.

        Parameters
        ----------
        restricted : results
            Of the smaller model.
        demean, use_lr : bool
            statsmodels' variants, for its robust tests.

        Raises
        ------
        SpecificationError
            If the other model is not nested in this one, or the covariance is robust: that needs the scores of every
            effect.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> small = gife.PartialledOLS.from_formula("sales ~ price | state", cigar).fit()
        >>> large = gife.PartialledOLS.from_formula("sales ~ price + ndi | state", cigar).fit()
        >>> statistic, pvalue, df = large.compare_lm_test(small)
        >>> round(float(statistic), 1), int(df)
        (31.7, 1)
        """
        self._check_smaller(restricted)
        if self.cov_type not in ("nonrobust", "fixed scale"):
            _refuse(
                f"compare_lm_test under cov_type={self.cov_type!r}",
                "It would need the scores of effects and controls.",
                'res.wald_test("x1 = 0"), which uses the covariance',
            )
        return lagrange_multiplier(self, restricted)

    def t_test_pairwise(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: it needs the coding of terms by patsy."""
        _refuse("t_test_pairwise", "It needs terms coded by patsy.", 'res.t_test("a = b, a = c, b = c")')


def _refuse(name: str, why: str, instead: str) -> NoReturn:
    raise SpecificationError(f"{name} is not available for partialled-out least squares.", why, instead)
