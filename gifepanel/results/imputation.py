"""Outcomes that were not observed, with prediction intervals."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from gifepanel.exceptions import DataError, SpecificationError, SpecificationWarning, caller_level
from gifepanel.inference.counterfactual import cell_variances, noise_variances, single_cells
from gifepanel.panel.text import first_of
from gifepanel.results.prediction import rows_to_predict
from gifepanel.statsmodels_bridge.hypotheses import check_level

__all__ = ["imputed"]

_COLUMNS = ["imputed", "se", "lower", "upper", "se_mean", "lower_mean", "upper_mean"]


def imputed(res: Any, data: Any, alpha: float, cov_type: str) -> pd.DataFrame:
    """See :meth:`WhatIfMethods.impute`."""
    check_level(alpha)
    if cov_type not in ("HC2", "nonrobust"):
        raise SpecificationError(
            f"cov_type is {cov_type!r}.", "It must be 'nonrobust' or 'HC2'.", 'cov_type="nonrobust"'
        )
    estimate, model = res._estimate, res.model
    source = model._source if data is None else data
    if source is None:
        raise DataError(
            "The model does not hold the frame it was made from.",
            "Models from arrays have none, and results that were pickled leave it out; the regressors of the cells to "
            "be filled in are needed.",
            "res.impute(data)",
        )
    exog, index, _, _ = rows_to_predict(model.design, source)
    if index is None:
        raise DataError(
            "The data do not say which entity and period a row belongs to.",
            "Both are needed.",
            f'data.set_index(["{res.sample.entity_name}", "{res.sample.time_name}"])',
        )
    rows = np.arange(len(exog))
    if data is None:
        whole = model._whole if model._treatment is None else model._treatment.design
        seen = index.frame_index().isin(whole.index.frame_index())
        rows = rows[~seen]
    what_if = model._what_if()
    outside = what_if.outside_rows(estimate, index, exog, rows, source)
    known = outside.entity_known & outside.time_known
    fit = what_if.fitted_cells(estimate)
    single = single_cells(fit, outside.cells, fit.weighted(estimate.y - estimate.resid))
    level = np.where(np.isnan(outside.levels), single.dot, outside.levels)
    mean = cell_variances(fit, outside.cells, single, cov_type)
    both = mean + noise_variances(fit, outside.cells.entity, cov_type)
    q = stats.t.ppf(1 - alpha / 2, fit.df_resid)
    values = np.full((len(rows), len(_COLUMNS)), np.nan)
    se, se_mean = np.sqrt(both), np.sqrt(mean)
    found = [level, se, level - q * se, level + q * se, se_mean, level - q * se_mean, level + q * se_mean]
    values[known] = np.where(single.reached[:, None], np.column_stack(found), np.nan)
    frame = pd.DataFrame(values, columns=_COLUMNS, index=index.frame_index()[rows])
    _warn_of_open_rows(frame)
    return frame.sort_index() if data is None else frame


def _warn_of_open_rows(frame: pd.DataFrame) -> None:
    open_rows = frame.index[frame["imputed"].isna()]
    if len(open_rows):
        warnings.warn(
            SpecificationWarning(
                f"{len(open_rows)} of {len(frame)} outcomes can't be filled in: {first_of(open_rows, 3)}.",
                "Their entity or period is not in the fit, or has too few observed cells in it.",
                "frame.dropna()",
            ),
            stacklevel=caller_level(),
        )
