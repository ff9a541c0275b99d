"""Hypotheses as strings, and the report in every format: what all results share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from gifepanel.inference.definite import has_variance, is_definite, standard_errors
from gifepanel.results.dynamics import DynamicMethods
from gifepanel.results.group_contrasts import told_of_contrast
from gifepanel.results.hand_over import NeighbourMethods
from gifepanel.results.joint_tests import JointTests
from gifepanel.statsmodels_bridge.hypotheses import read_hypothesis
from gifepanel.statsmodels_bridge.inherited import InheritedMethods
from gifepanel.statsmodels_bridge.shown_names import RESULT_NAMES, public_names

if TYPE_CHECKING:
    from gifepanel.tables.summary import PanelSummary

    class _Parent:
        model: Any
        _use_t: bool
        _covariance: Any
        _cluster_names: tuple[str, ...]

        _cache: dict[str, Any]

        def remove_data(self) -> None: ...
        def cov_params(self, *args: Any, **kwargs: Any) -> Any: ...
        def t_test(self, *args: Any, **kwargs: Any) -> Any: ...

else:
    _Parent = object

__all__ = ["ReportedResults"]

Array = np.ndarray[Any, np.dtype[np.float64]]


class ReportedResults(NeighbourMethods, DynamicMethods, JointTests, InheritedMethods, _Parent):
    """Mixed in before statsmodels' class."""

    @cached_property
    def _inputs(self) -> tuple[str, ...]:
        return tuple(map(str, self.model.design.exog_names))

    @cached_property
    def _ids(self) -> tuple[str, str]:
        spec = self.model.design.spec
        return ("entity", "time") if spec is None else (spec.entity_name, spec.time_name)

    @property
    def _names(self) -> list[str]:
        return list(self.model.data.param_names)

    report_title = ""
    _model_kind: ClassVar[str]  # "factors", "linear" or "cross-fitted"

    def _terms(self) -> list[tuple[str, int | None]]:
        """Regressor and group (0..K-1; None: of all) of every coefficient, in order."""
        return [(name, None) for name in self._names]

    def summary(
        self,
        alpha: float = 0.05,
        *,
        layout: str = "auto",
        title: str | None = None,
        slim: bool = False,
        full: bool = False,
        yname: str | None = None,
        xname: Sequence[str] | None = None,
    ) -> PanelSummary:
        """The printed report: what was estimated and how, the fit, the coefficients, groups, tests and notes.

        As text it is 78 columns wide, in a narrower terminal as wide as that, down to 60. What warns of a number is in
        every report, however short.

        Parameters
        ----------
        alpha : float
            One less the level of the confidence intervals.
        layout : {"auto", "side", "stacked"}
            Coefficients of groups side by side, with standard errors and p-values, or one group below the other, with
            t statistics and intervals too. "auto" has them side by side where they fit in 80 columns and `alpha` was
            left alone.
        title : str, optional
        slim : bool
            The fit, the coefficients and what warns of them: without groups, tests and other notes.
        full : bool
            With all tests on residuals, more of the members, and how the solution was found.
        yname : str, optional
            What to call the outcome in the report.
        xname : sequence of str, optional
            What to call the coefficients, all of them in their order; one a row then, whatever the layout.

        Returns
        -------
        PanelSummary
            ``as_text()``, ``as_html()``, ``as_latex()``, ``as_markdown()``, ``as_csv()``.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
        >>> print(res.summary().as_text().splitlines()[0].strip())
        Interactive Fixed Effects Results
        """
        from gifepanel.tables.summary import report

        return report(self, alpha, layout, title, slim, yname, xname, full)

    # ---- the report as a page ----

    _fit_call: Any = None
    _robust_call: Any = None

    def report(
        self,
        path: str | PathLike[str] | None = None,
        *,
        title: str | None = None,
        plots: bool | Sequence[str] = True,
        code: bool = True,
        date: Any = None,
    ) -> Any:
        """One HTML page with everything about the fit: tables, pictures, tests, the data, the code, the versions.

        The page needs nothing else, neither a network nor scripts, and prints. The same fit gives the same bytes.

        Parameters
        ----------
        path : str or path, optional
            File to be written, ``.html``; one that is there is replaced once the page is complete. Without it the page
            is returned as text.
        title : str, optional
            By default that of the summary.
        plots : bool or sequence of str
            Pictures: all that fit the model, none, or those named, as ``dir(res.plot)`` has them. They need matplotlib.
        code : bool
            Whether to show the code that fits the model again.
        date : date or str, optional
            Printed under the title.

        Returns
        -------
        pathlib.Path or str
            The file written, or the page.

        Raises
        ------
        SpecificationError
            For a directory that is not there, a file that is none of HTML, or unknown pictures: before any work.

        Examples
        --------
        >>> import gifepanel as gife
        >>> res = gife.PartialledOLS.from_formula("sales ~ price | state", gife.datasets.load_cigar()).fit()
        >>> page = res.report(plots=False)
        >>> page[:15]
        '<!DOCTYPE html>'
        """
        from gifepanel.page.report import write_report

        return write_report(self, path, title=title, plots=plots, code=code, date=date)

    @cached_property
    def _data_facts(self) -> Any:
        """What of the data a report tells; kept by ``remove_data``."""
        from gifepanel.page.data import data_facts

        return data_facts(self)

    # ---- errors robust to heteroskedasticity ----

    def _heteroskedastic(self, kind: Any) -> Array:
        raise NotImplementedError

    @cached_property
    def cov_HC0(self) -> Array:
        """Covariance robust to heteroskedasticity, without small-sample factor."""
        return self._heteroskedastic("HC0")

    @cached_property
    def cov_HC1(self) -> Array:
        """The same times n over the residual degrees of freedom, effects, controls and factors counted."""
        return self._heteroskedastic("HC1")

    @cached_property
    def HC0_se(self) -> Array:
        """Standard errors of `cov_HC0`."""
        return np.sqrt(np.diag(self.cov_HC0))

    @cached_property
    def HC1_se(self) -> Array:
        """Standard errors of `cov_HC1`."""
        return np.sqrt(np.diag(self.cov_HC1))

    @cached_property
    def bse(self) -> Array:
        """Standard errors of the coefficients; NaN where the variance is negative, or zero to rounding."""
        return standard_errors(np.asarray(self.cov_params()), self._covariance.without)

    @property
    def _infos_on_variances(self) -> dict[str, Any]:
        """A row of ``summary_col`` about coefficients without a standard error, where there are some."""
        if not self._covariance.without:
            return {}
        return {"No std. error": lambda res: ", ".join(res._names[j] for j in res._covariance.without)}

    @property
    def use_t(self) -> bool:
        """Whether p-values and intervals are of the t distribution, or of the normal; it can be set."""
        return bool(self._use_t)

    @use_t.setter
    def use_t(self, value: Any) -> None:
        self._use_t = bool(value)
        own = self.__dict__
        gone = own.get("_inference", 0) is None or getattr(own.get("model"), "_fit", 0) is None
        for name in ("pvalues",) if gone else ("pvalues", "_report_parts"):  # what was computed under the other
            own.pop(name, None)
            own.get("_cache", {}).pop(name, None)

    def _without_covariance(self) -> Self:
        """A copy, for another covariance: what was computed under this one is not in it."""
        other = copy(self)
        other._cache = {}
        for name in ("_overall", "_report_parts", "bse", "tvalues", "pvalues"):
            other.__dict__.pop(name, None)
        return other

    # ---- without the data ----

    _kept: ClassVar[tuple[str, ...]]  # computed before the data go
    _recipe: Any = None  # of predictions, once the data are gone

    def _new_recipe(self) -> Any:
        raise NotImplementedError

    def _remove_rows(self) -> None:
        """Drop what has rows in it; what is kept, and the names that statsmodels' summary_col asks for, come first."""
        for name in self._kept:
            getattr(self, name)
        _ = self.model.data.ynames, self.model.data.param_names
        if self._recipe is None:
            self._recipe = self._new_recipe()
        forget = getattr(self.model, "_forget_rows", None)
        if forget is not None:
            forget()
        super().remove_data()
        for name in ("resid", "fittedvalues", "wresid"):
            self.__dict__.pop(name, None)
        self.model._release()

    # ---- hypotheses ----

    def _is_definite(self, matrix: Array) -> bool:
        """Whether the covariance of R b allows a joint test."""
        return is_definite(matrix, self._covariance.cov, self._covariance.gross)

    def t_test(self, r_matrix: Any, cov_p: Any = None, use_t: Any = None) -> Any:
        """t tests of linear hypotheses: ``"x1[1] = 1, x2[1] = 0"``, a matrix, or a pair (R, q).

        A comparison of estimated groups is naive, which the result and a warning say: ``test_groups``, ``test_common``.
        NaN for a combination whose variance is not positive, as it can be with several ways of clustering.

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
        >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
        >>> round(float(res.t_test("price + 1 = 0").tvalue.item()), 2)
        27.55
        """
        hypothesis = read_hypothesis(r_matrix, self._names)
        with np.errstate(invalid="ignore"):  # roots of negative variances, blanked below
            out = super().t_test(hypothesis, cov_p=cov_p, use_t=use_t)
        cov, gross = (self._covariance.cov, self._covariance.gross) if cov_p is None else (np.asarray(cov_p), None)
        missing = ~has_variance(_matrix(hypothesis), cov, gross)
        if missing.any():
            out.sd = _blanked(out.sd, missing)
            out.tvalue = out.statistic = _blanked(out.statistic, missing)
            out.pvalue = np.squeeze(_blanked(out.pvalue, missing))
        return told_of_contrast(out, self, _matrix(hypothesis), joint=False)

    # ---- the report ----

    def _sections(self, rows: list[tuple[str, ...]]) -> list[tuple[str, tuple[tuple[str, ...], ...]]]:
        """Titles and rows of the table of coefficients."""
        return [("", tuple(rows))]

    def _columns_by_group(self, rows: list[tuple[str, ...]]) -> list[tuple[str, list[tuple[str, ...]]]]:
        """Titles and rows of the groups, the same regressors in each; nothing where there are no groups."""
        return []

    def _common_rows(self, rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
        """Rows of the regressors whose slope is the same in all groups."""
        return []

    def to_html(self) -> str:
        """The summary as HTML.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
        >>> "<table" in res.to_html()
        True
        """
        return self.summary().as_html()

    def to_latex(
        self,
        *,
        full: bool = False,
        rename: Mapping[str, str] | None = None,
        escape: bool = True,
        title: str | None = None,
        label: str = "",
    ) -> str:
        r"""The coefficients as LaTeX, for a paper; the preamble needs ``\usepackage{booktabs}``.

        Standard errors stand under the coefficients, below the table what was estimated from what, and what warns of a
        number. It fits a page of an article.

        Parameters
        ----------
        full : bool
            Everything that ``summary(full=True)`` prints.
        rename : dict, optional
            Names to be printed, of regressors.
        escape : bool
            False takes mathematics and commands in names as LaTeX: ``rename={"x1": r"$\beta_1$"}``.
        title : str, optional
            The caption; by default the outcome.
        label : str
            What ``\ref`` calls the table.

        Raises
        ------
        SpecificationError
            If `rename` names what is no regressor.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
        >>> print(res.to_latex(rename={"price": r"$\beta_1$"}, escape=False).splitlines()[7])
        $\beta_1$ & $-$0.2220 & 0.0282\phantom{0} & $-$7.860 & 0.000 & $-$0.2774 & $-$0.1666 \\
        """
        from gifepanel.tables.paper import paper_report

        return paper_report(self, full=full, rename=rename, title=title).as_latex(label, escape=escape)

    def to_markdown(self) -> str:
        """The summary as Markdown.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
        >>> "| price" in res.to_markdown()
        True
        """
        return self.summary().as_markdown()

    def _repr_html_(self) -> str:
        return self.summary().as_html()

    def __repr__(self) -> str:
        count = f"{len(self._names)} coefficient{'s' if len(self._names) > 1 else ''}"
        return f"<{type(self).__name__}: {self.model.endog_names}, {count}; .summary() prints the report>"

    def __dir__(self) -> list[str]:
        return public_names(self, RESULT_NAMES)


def _matrix(hypothesis: Any) -> Array:
    """R (q, k) of a hypothesis that was read."""
    return np.atleast_2d(np.asarray(hypothesis[0] if isinstance(hypothesis, tuple) else hypothesis, dtype=np.float64))


def _blanked(values: Any, missing: Any) -> Array:
    """NaN in the tests that are `missing`."""
    out = np.array(values, dtype=np.float64)
    out.reshape(-1)[missing] = np.nan
    return out
