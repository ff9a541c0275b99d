"""Hypotheses as strings, and the report in every format: what all results share."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gifepanel.results.hypotheses import read_hypothesis

if TYPE_CHECKING:
    from gifepanel.results.summary import PanelSummary

    class _Parent:
        model: Any

        def t_test(self, *args: Any, **kwargs: Any) -> Any: ...
        def f_test(self, *args: Any, **kwargs: Any) -> Any: ...
        def wald_test(self, *args: Any, **kwargs: Any) -> Any: ...

else:
    _Parent = object

__all__ = ["ReportedResults"]

Array = np.ndarray[Any, np.dtype[np.float64]]


class ReportedResults(_Parent):
    """Mixed in before statsmodels' class."""

    @property
    def _names(self) -> list[str]:
        return list(self.model.data.param_names)

    def summary(self, alpha: float = 0.05) -> PanelSummary:
        """The printed report."""
        raise NotImplementedError

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

    # ---- hypotheses ----

    def t_test(self, r_matrix: Any, cov_p: Any = None, use_t: Any = None) -> Any:
        """t tests of linear hypotheses: ``"x1[1] = x1[2]"``, a matrix, or a pair (R, q)."""
        return super().t_test(read_hypothesis(r_matrix, self._names), cov_p=cov_p, use_t=use_t)

    def f_test(self, r_matrix: Any, cov_p: Any = None, invcov: Any = None) -> Any:
        """Joint F test of linear hypotheses: ``"x1[1] = x1[2] = 0"``, a matrix, or a pair (R, q)."""
        return super().f_test(read_hypothesis(r_matrix, self._names), cov_p=cov_p, invcov=invcov)

    def wald_test(self, r_matrix: Any, cov_p: Any = None, invcov: Any = None, **options: Any) -> Any:
        """Joint Wald test of linear hypotheses; ``use_f`` chooses F or chi-squared, ``scalar=True`` is the default."""
        options.setdefault("scalar", True)
        return super().wald_test(read_hypothesis(r_matrix, self._names), cov_p=cov_p, invcov=invcov, **options)

    # ---- the report ----

    def _sections(self, rows: list[tuple[str, ...]]) -> list[tuple[str, tuple[tuple[str, ...], ...]]]:
        """Titles and rows of the table of coefficients."""
        return [("", tuple(rows))]

    def to_html(self) -> str:
        """The summary as HTML."""
        return self.summary().as_html()

    def to_latex(self) -> str:
        """The summary as LaTeX (booktabs)."""
        return self.summary().as_latex()

    def to_markdown(self) -> str:
        """The summary as Markdown."""
        return self.summary().as_markdown()

    def _repr_html_(self) -> str:
        return self.summary().as_html()
