"""Predictions, comparisons, slopes and hypotheses by the package marginaleffects."""

from __future__ import annotations

import sys
import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import SpecificationError, SpecificationWarning
from gifepanel.interop.common import neighbour, raw
from gifepanel.interop.rows import GROUP, LinearRows, linear_rows, sample_frame, variables
from gifepanel.panel.frames import plain_column

__all__ = ["wrap"]

_RESERVED = {
    "rowid",
    "type",
    "group",
    "estimate",
    "std_error",
    "p_value",
    "s_value",
    "conf_low",
    "conf_high",
    "term",
    "contrast",
    "statistic",
}
_DIFFERENCES = {"difference", "differenceavg", "differenceavgwts", "dydx", "dydxavg", "dydxavgwts"}
_KIND = "marginaleffects_comparison"


def wrap(res: Any, *, effects: bool = True) -> Any:
    """A model that all functions of marginaleffects take.

    Predictions are those of ``res.predict``: regressors at the slopes of the row's group, plus effects and factors.
    Slopes and comparisons of the regressors have the standard errors of the fit, by its covariance. Predictions
    themselves vary with the effects too: where that is known (regressions without factors, nonrobust or HC covariance,
    up to 1000 dummies and controls), standard errors are those of the regression with all dummies; otherwise effects
    and factors are held at their estimates, and a warning says so when standard errors of predictions are asked for.

    Slopes that differ by group: ``avg_slopes(model, by="latent_group")``; a grid over ``latent_group`` says what
    another group's slopes would give.

    Parameters
    ----------
    res : results of this package
        From a formula or frames, without lags.
    effects : bool
        Have effects, controls and factors in predictions. Without, predictions are the regressors' part alone.

    Returns
    -------
    marginaleffects ModelAbstract
        Standard errors come from finite differences there: about seven digits; ``eps_vcov=1e-3``, exact enough where
        no nonlinear hypothesis is asked for, gives ten.

    Raises
    ------
    MissingPackageError
        Where marginaleffects is not installed.
    DataError, SpecificationError
        For models from arrays, with lags, and with a learner unless ``effects=False``.

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
    >>> import marginaleffects  # doctest: +SKIP
    >>> marginaleffects.avg_slopes(gife.interop.marginaleffects.wrap(res), variables="price")  # doctest: +SKIP
    """
    res = raw(res)
    parts = variables(res)
    return _adapter()(res, linear_rows(res, effects), parts)


@cache
def _adapter() -> Any:
    """The subclass of marginaleffects' model, made when it is first needed."""
    package = neighbour("marginaleffects.classes", "marginaleffects")
    parent: Any = package.ModelAbstract
    pl = neighbour("polars")

    class GifepanelModel(parent):
        """Results of gifepanel, as marginaleffects sees a model."""

        def __init__(self, res: Any, linear: LinearRows, parts: Any) -> None:
            self._linear, self._parts, self._asked = linear, parts, True
            frame = sample_frame(res)
            needed = tuple(dict.fromkeys([*parts.regressors, *parts.nuisance]))
            self._needed = tuple(name for name in needed if name in frame.columns)
            columns, self._levels = _columns(frame, set(self._needed), pl)
            vault = package.ModelVault(
                coef=linear.coef,
                coefnames=np.array(linear.names),
                formula=" ~ " + " + ".join(f"`{name}`" for name in self._needed),
                modeldata=pl.DataFrame(columns),
                package="gifepanel",
                vcov=linear.cov,
                variable_names=[str(res.model.design.endog_name), *self._needed],
            )
            super().__init__(res, vault)
            self.df_resid = float(res.df_resid_inference) if res.use_t else np.inf
            for name in (*parts.labels, GROUP):
                if name in columns and name not in self._levels:
                    self.set_variable_type(name, "character")

        def find_predictors(self) -> list[str]:
            """Variables with slopes, not those of effects and controls."""
            return list(self._parts.regressors)

        def get_vcov(self, vcov: Any = True) -> Any:
            """True: the covariance of the fit; False: none; a name: another one."""
            self._asked = vcov is not False and vcov is not None
            if not self._asked:
                return None
            if vcov is True:
                return self._linear.cov
            if not isinstance(vcov, str):
                raise SpecificationError(
                    f"vcov is {vcov!r}.",
                    "It is a truth value, a name of a covariance, or a matrix.",
                    'res.get_robustcov_results("cluster", groups="firm").to_marginaleffects()',
                )
            other = linear_rows(self.model.get_robustcov_results(vcov), self._linear.effects)
            if other.names != self._linear.names:
                raise SpecificationError(
                    f"vcov={vcov!r} does not cover effects and controls.", None, f'res.get_robustcov_results("{vcov}")'
                )
            return other.cov

        def get_exog(self, newdata: Any) -> Any:
            """Rows of new data."""
            names = set(newdata.columns)
            if _KIND in names:
                changed = {str(term) for term in newdata["term"].drop_nulls().unique().to_list()}
                changed |= {name.removeprefix("contrast_") for name in names if name.startswith("contrast_")}
                self._check_changed(changed)
                kinds = set(newdata[_KIND].drop_nulls().unique().to_list())
                levels = bool(kinds - _DIFFERENCES)
            else:
                levels = True
            if levels and self._asked and not self._linear.complete:
                _warn_of_effects(self.model)
            wanted = [name for name in (*self._needed, GROUP) if name in names]
            data = pd.DataFrame({name: _restored(newdata[name], self._levels.get(name)) for name in wanted})
            return self._linear.rows(data)

        def _check_changed(self, changed: set[str]) -> None:
            wrong = sorted(changed & set(self._parts.nuisance)) if self._linear.kept is None else []
            if wrong:
                raise SpecificationError(
                    f"Effects of {', '.join(wrong)} are not estimated here: it is part of what is partialled out.",
                    "Effects of the regressors are.",
                    f"variables={list(self._parts.regressors)}",
                )

        def get_predict(self, params: Any, newdata: Any) -> Any:
            """Predictions at other coefficients; `newdata` are rows of ``get_exog``."""
            rows = newdata if isinstance(newdata, np.ndarray) else self.get_exog(newdata)
            values = self._linear.predict(np.asarray(params), rows)
            return pl.DataFrame({"rowid": np.arange(len(values), dtype=np.int32), "estimate": values})

        def get_autodiff_args(self) -> Any:
            """Linear, where rows have a column for each coefficient."""
            known = self._linear.complete
            return {"model_type": "linear", "family": None, "link": None} if known else None

    return GifepanelModel


def _columns(frame: pd.DataFrame, needed: set[str], pl: Any) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Columns as polars series, text and dates as Enum; what their levels were."""
    columns: dict[str, Any] = {}
    levels: dict[str, dict[str, Any]] = {}
    for name in frame.columns:
        if not isinstance(name, str) or (name in _RESERVED and name not in needed):
            continue
        values = plain_column(frame[name])
        if isinstance(values.dtype, np.dtype) and values.dtype.kind in "biuf":
            columns[name] = pl.Series(name, values.to_numpy(), nan_to_null=True)
            continue
        if isinstance(values.dtype, pd.CategoricalDtype):
            labels = [label for label in values.cat.categories if (values == label).any()]
        else:
            labels = sorted(values.dropna().unique(), key=_order)
        texts = {str(label): label for label in labels}
        missing = values.isna()
        plain = [None if gone else str(value) for value, gone in zip(values, missing, strict=True)]
        columns[name] = pl.Series(name, plain, dtype=pl.Enum(list(texts)))
        levels[name] = texts
    return columns, levels


def _order(label: Any) -> tuple[str, Any]:
    return type(label).__name__, label


def _restored(column: Any, levels: dict[str, Any] | None) -> Any:
    """A polars column in the types the model was made from."""
    if levels is None:
        return column.to_numpy()
    return pd.Series([None if text is None else levels.get(str(text), text) for text in column.to_list()])


def _warn_of_effects(res: Any) -> None:
    """Point at the first line that is neither of this package nor of marginaleffects or what it calls."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in (
        "gifepanel",
        "marginaleffects",
    ):
        frame, level = frame.f_back, level + 1
    what = "effects and factors" if getattr(res, "n_factors", 0) else "effects and controls"
    warnings.warn(
        SpecificationWarning(
            f"Standard errors of these predictions hold {what} at their estimates.",
            "Those of slopes and differences are not affected.",
            "vcov=False, or res.to_marginaleffects(effects=False) for the regressors' part",
        ),
        stacklevel=level,
    )
