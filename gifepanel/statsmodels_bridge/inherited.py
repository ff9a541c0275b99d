"""Methods of statsmodels' results that need another answer where effects, controls or factors were partialled out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pandas as pd
from statsmodels.base import wrapper as wrap

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.statsmodels_bridge.callers import SeenFromStatsmodels
from gifepanel.statsmodels_bridge.hypotheses import check_level, read_hypothesis

if TYPE_CHECKING:

    class _Parent(SeenFromStatsmodels):
        cov_type: str
        report_title: str
        normalized_cov_params: Any
        _covariance: Any

        def _core(self, cov_p: Any = None) -> Array: ...
        @property
        def default_model_infos(self) -> dict[str, Any]: ...
        @property
        def _names(self) -> list[str]: ...
        def _is_definite(self, matrix: Any) -> bool: ...
        def conf_int(self, *args: Any, **kwargs: Any) -> Any: ...
        def cov_params(self, *args: Any, **kwargs: Any) -> Any: ...
        def wald_test_terms(self, *args: Any, **kwargs: Any) -> Any: ...

else:
    _Parent = SeenFromStatsmodels

__all__ = ["InheritedMethods", "populate_wrapper", "terms_of"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_LEVELS = re.compile(r"(\[[^\[\]]*\])+(?=:|$)")


class InheritedMethods(_Parent):
    """Mixed in before statsmodels' results."""

    def conf_int(self, alpha: float = 0.05, cols: Any = None) -> Array:
        """Confidence intervals of the coefficients, (q, 2), or of some of them, by position or name.

        Parameters
        ----------
        alpha : float
            One less the level.
        cols : int, str or sequence of them, optional

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
        >>> res.conf_int(alpha=0.1).round(3)
                   0      1
        price -0.268 -0.175
        ndi    0.005  0.006
        """
        out = np.asarray(super().conf_int(alpha=check_level(alpha)))
        return out if cols is None else out[self._positions(cols)]

    def cov_params(
        self, r_matrix: Any = None, column: Any = None, scale: float | None = None, cov_p: Any = None, other: Any = None
    ) -> Any:
        """Covariance of the coefficients (q, q), of some of them, or of linear combinations of them.

        Parameters
        ----------
        r_matrix : str or array_like, optional
            Combinations: ``"x1 - x2"``, or a matrix R for R V R'.
        column : int, str or sequence of them, optional
            Coefficients, by position or name; the variance for one.
        scale : float, optional
            An error variance in place of the estimated one; for "nonrobust" and "fixed scale" alone.
        cov_p : array_like, optional
            In place of the covariance of the fit.
        other : array_like, optional
            S for R V S'.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
        >>> res.cov_params().shape
        (2, 2)
        """
        if scale is not None and cov_p is None:
            if self.cov_type not in ("nonrobust", "fixed scale"):
                raise SpecificationError(
                    f"scale={scale!r} was given under cov_type={self.cov_type!r}.",
                    "A robust covariance has no common error variance.",
                    "res.cov_params()",
                )
            cov_p = scale * np.asarray(self.normalized_cov_params)
            missing = getattr(self._covariance, "missing", None)
            cov_p = cov_p if missing is None else missing.inflated(cov_p)
        if r_matrix is not None:
            read = read_hypothesis(r_matrix, self._names)
            r_matrix = read[0] if isinstance(read, tuple) else read
        if column is not None:
            at = self._positions(column)
            column = int(at[0]) if np.ndim(column) == 0 else at
        if cov_p is None and other is None and r_matrix is not None and column is None:
            rows = self._covariance.triangle.coordinates(np.atleast_2d(np.asarray(r_matrix, dtype=np.float64)))
            out = rows @ self._core() @ rows.T
            return out if np.ndim(r_matrix) > 1 else out[0, 0]
        cov_p = None if cov_p is None else np.asarray(cov_p)
        return super().cov_params(r_matrix=r_matrix, column=column, cov_p=cov_p, other=other)

    def _positions(self, cols: Any) -> Any:
        """Positions of coefficients given by position or name."""
        wanted = [cols] if isinstance(cols, str) or np.ndim(cols) == 0 else list(cols)
        unknown = [name for name in wanted if isinstance(name, str) and name not in self._names]
        if unknown:
            raise SpecificationError(
                f"There is no coefficient {unknown[0]!r}.",
                f"The coefficients are {', '.join(self._names)}.",
                repr(self._names[0]),
            )
        return np.array([self._names.index(w) if isinstance(w, str) else int(w) for w in wanted], dtype=np.int64)

    def wald_test_terms(
        self,
        skip_single: bool = False,
        extra_constraints: Sequence[tuple[str, Any]] | None = None,
        combine_terms: Sequence[str] | None = None,
        scalar: bool = True,
    ) -> Any:
        """Wald test of every term: all levels of a category, all columns of a spline, all groups of a regressor.

        Parameters
        ----------
        skip_single : bool
            Leave out terms of one coefficient.
        extra_constraints : sequence of (str, matrix), optional
        combine_terms : sequence of str, optional
            Each is tested as one: all coefficients whose name has it.
        scalar : bool

        Returns
        -------
        statsmodels WaldTestResults

        Examples
        --------
        >>> import gifepanel as gife
        >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=30, random_state=1)
        >>> model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2)
        >>> res = model.fit()
        >>> res.wald_test_terms().table.index.tolist()
        ['x1', 'x2']
        """
        identity = np.eye(len(self._names))
        found = terms_of(self._names)
        tests = [(term, identity[at]) for term, at in found.items() if not (skip_single and len(at) == 1)]
        for part in combine_terms or ():
            at = [j for j, name in enumerate(self._names) if part in name]
            if not at:
                raise SpecificationError(
                    f"No coefficient has {part!r} in its name.", f"They are {', '.join(self._names)}.", None
                )
            tests.append((part, identity[at]))
        tests += [(name, np.atleast_2d(matrix)) for name, matrix in extra_constraints or ()]
        there = [(name, matrix) for name, matrix in tests if len(matrix) == 1 or self._is_definite(matrix)]
        out = super().wald_test_terms(skip_single=True, extra_constraints=there, scalar=scalar)
        if len(there) < len(tests):  # NaN for terms whose covariance is indefinite
            counts = [len(matrix) for _, matrix in tests]
            out.table = out.table.reindex([name for name, _ in tests])
            out.table["df_constraint"] = counts
        return out

    def vif(self) -> pd.DataFrame:
        """Variance inflation factors of the coefficients.

        Returns
        -------
        DataFrame
            ``full``: by all other columns of the full regression, effects, controls and factors among them, as
            ``variance_inflation_factor`` gives it on all dummies. ``within``: by the other regressors alone, once
            effects, controls and factors are taken out of all of them. NaN for a constant.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
        >>> res.vif().round(2).to_dict()
        {'full': {'price': 163.7, 'ndi': 321.66}, 'within': {'price': 2.06, 'ndi': 2.06}}
        """
        model = self.model
        if model.exog is None:
            raise DataError(
                "The data of these results are gone: remove_data() was called.",
                "Variance inflation needs the regressors.",
                "res = model.fit()",
            )
        x, projected = np.asarray(model.exog), np.asarray(model.wexog)
        weights = getattr(model.design, "weights", None)
        w = np.ones(len(x)) if weights is None else np.asarray(weights)
        middle = w @ x / w.sum() if model.k_constant else np.zeros(x.shape[1])
        around = w @ (x - middle) ** 2
        variances = np.diag(np.asarray(self.normalized_cov_params))
        out = np.column_stack([around * variances, (projected**2).sum(axis=0) * variances])
        out[np.ptp(x, axis=0) == 0] = np.nan
        return pd.DataFrame(out, index=list(self._names), columns=["full", "within"])

    def summary2(
        self,
        yname: str | None = None,
        xname: Sequence[str] | None = None,
        title: str | None = None,
        alpha: float = 0.05,
        float_format: str = "%.4f",
    ) -> Any:
        """The fit in statsmodels' second format, ``statsmodels.iolib.summary2.Summary``, to add tables to.

        Groups, factors, absorbed effects and covariance are named; statsmodels' tests on residuals are left out, which
        are not those of panels. :meth:`summary` says more.
        """
        from statsmodels.iolib.summary2 import Summary

        out = Summary()
        out.add_base(
            results=self,
            alpha=check_level(alpha),
            float_format=float_format,
            xname=xname,
            yname=yname,
            title=title or self.report_title,
        )
        infos = {label: value for label, value in self.default_model_infos.items() if label != "N"}
        out.add_dict({f"{label}:": value(self) for label, value in infos.items()})
        return out

    def el_test(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: empirical likelihood would look at the regressors alone."""
        raise SpecificationError(
            "el_test is not available here.", "It would look at the regressors alone.", 'res.f_test("x1 = 0")'
        )

    def conf_int_el(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: empirical likelihood would look at the regressors alone."""
        raise SpecificationError(
            "conf_int_el is not available here.", "It would look at the regressors alone.", "res.conf_int()"
        )


def terms_of(names: Sequence[str]) -> dict[str, list[int]]:
    """Positions of the coefficients of each term: names without their levels and groups.

    Examples
    --------
    >>> terms_of(["x1[1]", "x1[2]", "kind[T.b]", "kind[T.c]", "kind[T.b]:x1", "bs(z, 4)[1]"])
    {'x1': [0, 1], 'kind': [2, 3], 'kind:x1': [4], 'bs(z, 4)': [5]}
    """
    out: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        out.setdefault(_LEVELS.sub("", name) or name, []).append(position)
    return out


def populate_wrapper(wrapper: Any, results: Any) -> None:
    """statsmodels' wrapping, which labels whole tables only; here parts of them keep their labels too."""
    wrap.populate_wrapper(wrapper, results)

    def conf_int(self: Any, alpha: float = 0.05, cols: Any = None) -> pd.DataFrame:
        own = self._results
        out = pd.DataFrame(own.conf_int(alpha=alpha), index=own._names)
        return out if cols is None else out.iloc[own._positions(cols)]

    def cov_params(
        self: Any,
        r_matrix: Any = None,
        column: Any = None,
        scale: float | None = None,
        cov_p: Any = None,
        other: Any = None,
    ) -> Any:
        own = self._results
        out = own.cov_params(r_matrix=r_matrix, column=column, scale=scale, cov_p=cov_p, other=other)
        if r_matrix is not None or np.ndim(out) < 2:
            return out
        names = own._names if column is None else [own._names[j] for j in own._positions(column)]
        return pd.DataFrame(out, index=names, columns=names)

    def __setattr__(self: Any, name: str, value: Any) -> None:
        if name == "use_t":  # statsmodels hands out robust results without wrapper, where this counts
            self._results.use_t = value
        else:
            object.__setattr__(self, name, value)

    wrapper.__setattr__ = __setattr__
    for method in (conf_int, cov_params):
        method.__doc__ = getattr(results, method.__name__).__doc__
        setattr(wrapper, method.__name__, method)
