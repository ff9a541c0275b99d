"""Tests on the residuals of a panel model, as functions.

Each takes residuals as an array (N, T), or as a pandas Series or one-column frame with a two-level index
(entity, time), and returns a :class:`TestResult` (or several). Cells that are not observed are NaN in an array; a
Series may leave them out. No test takes a residual across such a hole, or for zero.

Examples
--------
>>> import numpy as np
>>> from gifepanel import diagnostics
>>> resid = np.random.default_rng(0).normal(size=(40, 20))
>>> print(diagnostics.pesaran_cd(resid).null)
no cross-section dependence is left in the errors
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gifepanel.exceptions import DataError
from gifepanel.inference import crosssection as _cross
from gifepanel.inference import diagnostics as _standard
from gifepanel.inference import serial as _serial
from gifepanel.inference.homogeneity import ando_bai, pesaran_yamagata, slope_homogeneity
from gifepanel.inference.testresult import TestResult

__all__ = [
    "TestResult",
    "ando_bai",
    "born_breitung",
    "jarque_bera",
    "panel_durbin_watson",
    "pesaran_cd",
    "pesaran_xie_cd",
    "pesaran_yamagata",
    "residual_diagnostics",
    "residual_moments",
    "slope_homogeneity",
    "weighted_cd",
    "wooldridge_ar1",
]


def _to_panel(resid: Any, *, serial: bool = False, **aligned: Any) -> tuple[npt.NDArray[np.float64], dict[str, Any]]:
    """Array (N, T) from an array or an indexed Series; factors and loadings put into the same order.

    For `serial` correlation the order of times counts: that of the calendar, not of the labels. Rows that are not
    there are NaN; entities without any residual are left out.
    """
    if not hasattr(resid, "index") or not hasattr(resid, "unstack"):
        return np.asarray(resid, dtype=np.float64), aligned
    series = resid.squeeze(axis=1) if getattr(resid, "ndim", 1) == 2 and resid.shape[1] == 1 else resid
    if getattr(series, "ndim", 1) == 2:
        if getattr(series.index, "nlevels", 1) == 1:
            wide = series
        else:
            raise DataError(
                f"The frame of residuals has {series.shape[1]} columns.",
                "One column with an (entity, time) index is needed.",
                "Pass one column.",
            )
    elif series.index.nlevels == 2:
        if series.index.duplicated().any():
            raise DataError("Some (entity, time) pairs occur twice.", "Each may occur once.", "Drop duplicates.")
        wide = _by_time(series.unstack()) if serial else series.unstack()
    else:
        raise DataError(
            f"The index of the residuals has {series.index.nlevels} level(s).",
            "Two are needed: entity and time.",
            "resid.index = pd.MultiIndex.from_arrays([entity, time])",
        )
    wide, aligned = _with_residuals(wide, aligned)
    axes = {"factors": wide.columns, "loadings": wide.index}
    ordered = {
        name: value.reindex(axes[name]).to_numpy(dtype=float) if hasattr(value, "reindex") else value
        for name, value in aligned.items()
    }
    return wide.to_numpy(dtype=np.float64), ordered


def _with_residuals(wide: Any, aligned: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Entities that have a residual, in the loadings too, where those are an array of as many rows."""
    some = wide.notna().any(axis=1).to_numpy()
    if some.all():
        return wide, aligned
    loadings = aligned.get("loadings")
    if loadings is not None and not hasattr(loadings, "reindex") and len(loadings) == len(some):
        aligned = aligned | {"loadings": np.asarray(loadings)[some]}
    return wide[some], aligned


def _by_time(wide: Any) -> Any:
    """Columns in the order of time; numbers that stand for dates are refused, as in lags and covariances."""
    from gifepanel.panel.times import order_times

    name = str(wide.columns.name or "time")
    grid = order_times(wide.columns, name)
    if grid.packed is not None:
        column = "pd.Series(resid.index.get_level_values(1))"
        raise DataError(
            f"The times of {name!r} look like {grid.packed.form} in one number.",
            "Serial correlation goes by the order and distance of times: dates are needed.",
            f"names = resid.index.names; when = {grid.packed.whole.format(column)}; "
            "who = resid.index.get_level_values(0); "
            f"resid.index = pd.MultiIndex.from_arrays([who, {grid.packed.code}], names=names)",
        )
    return wide.iloc[:, grid.order]


def residual_diagnostics(
    resid: Any,
    factors: Any = None,
    loadings: Any = None,
    *,
    random_state: int | np.random.Generator | None = 0,
) -> tuple[TestResult, ...]:
    """Moments, Jarque-Bera, Durbin-Watson, Q(1) and the cross-section test that is valid for these residuals.

    Parameters
    ----------
    resid : array_like (N, T) or Series with index (entity, time)
        Residuals, NaN in cells that are not observed.
    factors : array_like (T, R) or DataFrame indexed by time, optional
        Estimated factors.
    loadings : array_like (N, R) or DataFrame indexed by entity, optional
        Estimated loadings.
    random_state : int, Generator or None
        Seed of the random weights of CDw, where CDw is used.

    Returns
    -------
    tuple of TestResult

    Examples
    --------
    >>> import numpy as np
    >>> from gifepanel import diagnostics
    >>> resid = np.random.default_rng(0).normal(size=(40, 20))
    >>> for test in diagnostics.residual_diagnostics(resid):
    ...     print(test.name)
    Mean
    Skewness
    Kurtosis
    Jarque-Bera
    Panel Durbin-Watson
    Born-Breitung Q(1)
    Pesaran CD
    """
    e, kw = _to_panel(resid, serial=True, factors=factors, loadings=loadings)
    return _standard.residual_diagnostics(e, **kw, random_state=random_state)


def residual_moments(resid: Any) -> tuple[TestResult, TestResult, TestResult, TestResult]:
    """Mean, skewness, kurtosis and Jarque-Bera test of the pooled residuals.

    Parameters
    ----------
    resid : array_like (N, T), or Series with index (entity, time)
        Residuals, NaN in cells that are not observed.

    Examples
    --------
    >>> import numpy as np
    >>> from gifepanel import diagnostics
    >>> resid = np.random.default_rng(0).normal(size=(40, 20))
    >>> [test.name for test in diagnostics.residual_moments(resid)]
    ['Mean', 'Skewness', 'Kurtosis', 'Jarque-Bera']
    """
    return _standard.residual_moments(_to_panel(resid)[0])


def jarque_bera(resid: Any) -> TestResult:
    """Jarque-Bera test of normality of the pooled residuals.

    Parameters
    ----------
    resid : array_like (N, T), or Series with index (entity, time)
        Residuals, NaN in cells that are not observed.

    Examples
    --------
    >>> import numpy as np
    >>> from gifepanel import diagnostics
    >>> resid = np.random.default_rng(0).normal(size=(40, 20))
    >>> round(diagnostics.jarque_bera(resid).pvalue, 3)
    0.277
    """
    return _standard.jarque_bera(_to_panel(resid)[0])


def panel_durbin_watson(resid: Any, factors: Any = None, *, entity_effects: bool | None = None) -> TestResult:
    """Panel Durbin-Watson (Bhargava, Franzini & Narendranathan 1982), valid after effects and factors.

    Parameters
    ----------
    resid : array_like (N, T), or Series with index (entity, time)
        Residuals, NaN in cells that are not observed.
    factors : array_like (T, R) or DataFrame indexed by time, optional
        Estimated factors.
    entity_effects : bool, optional
        Whether the residuals come after entity effects; found from their means if None.

    Examples
    --------
    >>> import numpy as np
    >>> from gifepanel import diagnostics
    >>> resid = np.random.default_rng(0).normal(size=(40, 20))
    >>> round(diagnostics.panel_durbin_watson(resid).statistic, 3)
    1.88
    """
    e, kw = _to_panel(resid, serial=True, factors=factors)
    return _serial.panel_durbin_watson(e, **kw, entity_effects=entity_effects)


def born_breitung(resid: Any, lags: int = 1, factors: Any = None, *, entity_effects: bool | None = None) -> TestResult:
    """Bias-corrected Q(p) test of serial correlation (Born & Breitung 2016), valid after effects and
    factors.

    Parameters
    ----------
    resid : array_like (N, T), or Series with index (entity, time)
        Residuals, NaN in cells that are not observed.
    lags : int
        Serial correlation up to this order.
    factors : array_like (T, R) or DataFrame indexed by time, optional
        Estimated factors.
    entity_effects : bool, optional
        Whether the residuals come after entity effects; found from their means if None.

    Examples
    --------
    >>> import numpy as np
    >>> from gifepanel import diagnostics
    >>> resid = np.random.default_rng(0).normal(size=(40, 20))
    >>> round(diagnostics.born_breitung(resid, lags=2).pvalue, 3)
    0.96
    """
    e, kw = _to_panel(resid, serial=True, factors=factors)
    return _serial.born_breitung(e, lags, **kw, entity_effects=entity_effects)


def wooldridge_ar1(resid: Any) -> TestResult:
    """AR(1) test of Wooldridge (2010) and Drukker (2003), for residuals without estimated factors.

    Parameters
    ----------
    resid : array_like (N, T), or Series with index (entity, time)
        Residuals, NaN in cells that are not observed.

    Examples
    --------
    >>> import numpy as np
    >>> from gifepanel import diagnostics
    >>> resid = np.random.default_rng(0).normal(size=(40, 20))
    >>> round(diagnostics.wooldridge_ar1(resid).pvalue, 3)
    0.477
    """
    return _serial.wooldridge_ar1(_to_panel(resid, serial=True)[0])


def pesaran_cd(resid: Any) -> TestResult:
    """CD test of cross-section dependence (Pesaran 2015), without period-specific parameters.

    Parameters
    ----------
    resid : array_like (N, T), or Series with index (entity, time)
        Residuals, NaN in cells that are not observed.

    Examples
    --------
    >>> import numpy as np
    >>> from gifepanel import diagnostics
    >>> resid = np.random.default_rng(0).normal(size=(40, 20))
    >>> round(diagnostics.pesaran_cd(resid).pvalue, 3)
    0.797
    """
    return _cross.pesaran_cd(_to_panel(resid)[0])


def pesaran_xie_cd(resid: Any, loadings: Any) -> TestResult:
    """CD* test (Pesaran & Xie 2021), for residuals after estimated factors.

    Parameters
    ----------
    resid : array_like (N, T), or Series with index (entity, time)
        Residuals, NaN in cells that are not observed.
    loadings : array_like (N, R) or DataFrame indexed by entity
        Of all parameters by period; with time effects, a column of ones among them.

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
    >>> from gifepanel import diagnostics
    >>> round(diagnostics.pesaran_xie_cd(res.resid, res.loadings).statistic, 2)
    1.55
    """
    e, kw = _to_panel(resid, loadings=loadings)
    return _cross.pesaran_xie_cd(e, kw["loadings"])


def weighted_cd(
    resid: Any,
    *,
    n_draws: int = 30,
    power_enhanced: bool = False,
    random_state: int | np.random.Generator | None = 0,
) -> TestResult:
    """CDw and CDw+ tests (Juodis & Reese 2022), for residuals after factors or time effects.

    Parameters
    ----------
    resid : array_like (N, T), or Series with index (entity, time)
        Residuals, NaN in cells that are not observed.
    n_draws : int
        Draws of the weights.
    power_enhanced : bool
        CDw+ in place of CDw.
    random_state : int, Generator or None
        Seed of the weights.

    Examples
    --------
    >>> import numpy as np
    >>> from gifepanel import diagnostics
    >>> resid = np.random.default_rng(0).normal(size=(40, 20))
    >>> round(diagnostics.weighted_cd(resid).pvalue, 3)
    0.291
    """
    e, _ = _to_panel(resid)
    return _cross.weighted_cd(e, n_draws=n_draws, power_enhanced=power_enhanced, random_state=random_state)
