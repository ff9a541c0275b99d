"""Results as plain frames, in the manner of R's broom: ``tidy``, ``glance``, ``augment``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import SpecificationError
from gifepanel.interop.common import facts, raw, slopes
from gifepanel.interop.frames import beside, given_frame, library_of, to_library

__all__ = ["augment", "glance", "tidy"]

Array = np.ndarray[Any, np.dtype[np.float64]]


def tidy(res: Any, *, conf_level: float = 0.95, native: str | None = None) -> Any:
    """A row for each coefficient.

    Parameters
    ----------
    res : results of this package
    conf_level : float
        Level of the confidence intervals.
    native : {"pandas", "polars", "pyarrow"}, optional
        Kind of frame; by default that of the data the model was given.

    Returns
    -------
    DataFrame
        term, estimate, std_error, statistic, p_value, conf_low, conf_high; after the term group (missing for common
        coefficients) and regressor where slopes differ by group.

    Examples
    --------
    >>> import gifepanel as gife
    >>> panel = gife.datasets.simulate("S", 30, 20, random_state=1)
    >>> res = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2).fit()
    >>> gife.interop.tidy.tidy(res)[["term", "group", "regressor"]].head(3)
        term  group regressor
    0  x1[1]      1        x1
    1  x2[1]      1        x2
    2  x1[2]      2        x1
    """
    res = raw(res)
    if not 0 < conf_level < 1:
        raise SpecificationError(f"conf_level is {conf_level!r}.", "It must be between 0 and 1.", "conf_level=0.95")
    interval = np.asarray(res.conf_int(1 - conf_level))
    columns: dict[str, Any] = {"term": list(res._names)}
    if hasattr(res, "_slots"):
        named = slopes(res)
        columns["group"] = pd.array([pd.NA if group is None else group for _, group, _ in named], dtype="Int64")
        columns["regressor"] = [regressor for _, _, regressor in named]
    columns |= {
        "estimate": np.asarray(res.params),
        "std_error": np.asarray(res.bse),
        "statistic": np.asarray(res.tvalues),
        "p_value": np.asarray(res.pvalues),
        "conf_low": interval[:, 0],
        "conf_high": interval[:, 1],
    }
    return to_library(pd.DataFrame(columns), library_of(given_frame(res.model), native))


def glance(res: Any, *, native: str | None = None) -> Any:
    """One row about the whole fit.

    Parameters
    ----------
    res : results of this package
    native : {"pandas", "polars", "pyarrow"}, optional
        Kind of frame; by default that of the data the model was given.

    Returns
    -------
    DataFrame
        model, nobs, n_entities, n_times, n_groups, n_factors, absorbed, r_squared, adj_r_squared, within_r_squared,
        sigma, statistic and p_value (F test of the slopes by the chosen covariance), df (parameters estimated, effects
        and factors among them), df_residual, log_lik, aic, bic, cov_type, converged. Missing where it does not apply.

    Examples
    --------
    >>> import gifepanel as gife
    >>> res = gife.PartialledOLS.from_formula("sales ~ price | state + year", gife.datasets.load_cigar()).fit()
    >>> gife.interop.tidy.glance(res)[["nobs", "df_residual", "cov_type"]]
       nobs  df_residual   cov_type
    0  1380         1304  nonrobust
    """
    res = raw(res)
    about = facts(res)
    converged = res.converged if res._model_kind == "factors" else res.absorption.converged
    row: dict[str, Any] = {
        "model": about.model,
        "nobs": int(res.nobs),
        "n_entities": _count(about.n_entities),
        "n_times": _count(about.n_times),
        "n_groups": _count(about.n_groups),
        "n_factors": _count(about.n_factors),
        "absorbed": " + ".join(about.absorbed),
        "r_squared": float(res.rsquared),
        "adj_r_squared": float(res.rsquared_adj),
        "within_r_squared": float(res.rsquared_within),
        "sigma": float(np.sqrt(res.mse_resid)),
        "statistic": float(res.fvalue),
        "p_value": float(res.f_pvalue),
        "df": int(res.nobs - res.df_resid),
        "df_residual": int(res.df_resid),
        "log_lik": float(res.llf),
        "aic": float(res.aic),
        "bic": float(res.bic),
        "cov_type": about.covariance,
        "converged": bool(converged),
    }
    columns = {key: [value] if not hasattr(value, "dtype") else value for key, value in row.items()}
    return to_library(pd.DataFrame(columns), library_of(given_frame(res.model), native))


def _count(value: int | None) -> Any:
    return pd.array([pd.NA if value is None else value], dtype="Int64")


def augment(res: Any, *, native: str | None = None) -> Any:
    """The data, row by row as they were given, beside what the fit says of them.

    Parameters
    ----------
    res : results of this package
    native : {"pandas", "polars", "pyarrow"}, optional
        Kind of frame; by default that of the data the model was given.

    Returns
    -------
    DataFrame
        The columns of the data and ``.fitted``, ``.resid``, ``.linear`` (regressors times coefficients), ``.effects``
        (additive effects, trends and other known parts, and controls), ``.common`` (factors times loadings) and
        ``.group``; missing in rows that were not used. ``.fitted`` is the sum of the three parts. A model made from
        arrays, or read from a file, no longer has the data: then the outcome and the regressors of the sample stand for
        them.

    Raises
    ------
    DataError
        After ``remove_data()``, and where the data have columns of these names.

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> res = gife.InteractiveFE.from_formula("sales ~ price | state", cigar, n_factors=1).fit()
    >>> data = res.augment()
    >>> bool(((data[".linear"] + data[".effects"] + data[".common"] - data[".fitted"]).abs() < 1e-8).all())
    True
    """
    res = raw(res)
    parts = _factor_parts(res) if res._model_kind == "factors" else _linear_parts(res)
    design, source = res.model.design, given_frame(res.model)
    library = library_of(source, native)
    if source is None or len(source) != len(design.esample):
        outcome = {design.endog_name: design.endog}
        regressors = {name: design.exog[:, j] for j, name in enumerate(design.exog_names)}
        source = pd.DataFrame(outcome | regressors, index=design.row_index)
        return beside(source, pd.DataFrame(parts), library)
    used = np.flatnonzero(design.esample)
    if design.formula is None and design.endog_name not in list(source.columns):
        parts = {design.endog_name: np.asarray(design.endog)} | parts
    return beside(source, pd.DataFrame(parts).set_index(used).reindex(range(len(design.esample))), library)


def _factor_parts(res: Any) -> dict[str, Any]:
    """Parts of the fit on the rows of the sample (n,)."""
    estimate, index = res._estimate, res.model.design.index
    further = getattr(estimate, "other_effects", None)  # trends, observed factors, known loadings
    additive = estimate.entity_effect[:, None] + estimate.time_effect
    additive = additive if further is None else additive + further
    common = estimate.loadings @ estimate.factors.T
    linear = estimate.y - estimate.resid - additive - common
    parts: dict[str, Any] = {
        ".fitted": index.from_cube(estimate.y - estimate.resid),
        ".resid": index.from_cube(estimate.resid),
        ".linear": index.from_cube(linear),
    }
    if res.sample.absorbed:
        parts[".effects"] = index.from_cube(additive)
    if estimate.n_factors:
        parts[".common"] = index.from_cube(common)
    if hasattr(res, "_slots"):
        parts[".group"] = pd.array(estimate.groups[index.entity_codes] + 1, dtype="Int64")
    return parts


def _linear_parts(res: Any) -> dict[str, Any]:
    fit, design = res._fit, res.model.design
    fitted = design.endog - fit.resid
    parts: dict[str, Any] = {".fitted": fitted, ".resid": np.asarray(fit.resid)}
    linear = design.exog[:, list(fit.kept)] @ fit.params
    parts[".linear"] = linear
    if design.absorbed or design.controls is not None:
        parts[".effects"] = fitted - linear
    return parts
