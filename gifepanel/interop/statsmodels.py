"""The closest plain statsmodels regression: on residualised columns, or with every dummy in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import SpecificationError
from gifepanel.interop.common import raw
from gifepanel.projections.controls import Controls

if TYPE_CHECKING:
    from statsmodels.regression.linear_model import RegressionResults

    from gifepanel.inference.estimate import FactorEstimate

__all__ = ["Nuisance", "factor_nuisance", "linear_nuisance", "nuisance_columns", "to_statsmodels"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_CELLS = 100_000_000


def to_statsmodels(res: Any, *, dummies: bool = False, max_columns: int = 2000, **fit: Any) -> RegressionResults:
    """A plain statsmodels result with the same coefficients.

    Without `dummies`, least squares of the residualised outcome on the residualised regressors, its residual degrees of
    freedom corrected for what was partialled out. Coefficients, residuals and standard errors (nonrobust, HC0; with
    groups of slopes those of ``groups_known=True``) are the model's own. What differs: there is no constant, R-squared
    is the one within, AIC and BIC do not count effects and factors, HC2 and HC3 have leverages without the absorbed
    part, predictions are of the residualised outcome.

    With ``dummies=True``, the full regression with every dummy and control in it, or, for models with factors, with the
    estimated factors times dummies of the entities and the estimated loadings times dummies of the periods. All of
    statsmodels is right there, but for models with factors takes groups as known.

    Coefficients are those of least squares: where the model's are corrected for bias, they are its
    `params_uncorrected`.

    Parameters
    ----------
    res : results of this package
    dummies : bool
    max_columns : int
        The most dummies and controls to be written out.
    **fit
        Of statsmodels' ``fit``: ``cov_type="HC1"``, ``cov_kwds={"groups": codes}``.

    Returns
    -------
    statsmodels RegressionResults
        Of ``OLS``, or of ``WLS`` where the model has weights. Coefficients come first, in their order.

    Raises
    ------
    SpecificationError
        With a learner; with soft groups; with more columns than `max_columns`.
    DataError
        After ``remove_data()``.

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> res = gife.PartialledOLS.from_formula("sales ~ price | state + year", cigar).fit()
    >>> plain, full = res.to_statsmodels(), res.to_statsmodels(dummies=True)
    >>> [round(float(r.params["price"]), 6) for r in (res, plain, full)]
    [-1.084712, -1.084712, -1.084712]
    >>> [round(float(r.bse["price"]), 6) for r in (res, plain, full)]
    [0.075548, 0.075548, 0.075548]
    """
    res = raw(res)
    if res._model_kind == "cross-fitted":
        raise SpecificationError(
            "to_statsmodels is not available with a learner.",
            "Coefficients and covariance come from an orthogonal score, not from least squares on one design.",
            "res.fwl().columns for the residualised columns",
        )
    if getattr(res, "is_soft", False):
        raise SpecificationError(
            "to_statsmodels is not available with soft groups.",
            "Their slopes maximise the likelihood of a mixture, which is not least squares on one design.",
            'res.model.fit(groups="hard").to_statsmodels()',
        )
    columns, weights = _residualised(res)
    if dummies:
        nuisance = nuisance_columns(res, max_columns)
        columns = _full(res, nuisance)
    return _regress(columns, weights, res.df_resid, fit)


def _regress(columns: pd.DataFrame, weights: Array | None, df_resid: float, fit: dict[str, Any]) -> RegressionResults:
    """Least squares of the first column on the others, with the residual degrees of freedom given."""
    import statsmodels.api as sm

    endog, exog = columns.iloc[:, 0], columns.iloc[:, 1:]
    model = sm.OLS(endog, exog) if weights is None else sm.WLS(endog, exog, weights=weights)
    model.rank = exog.shape[1]
    model.df_model = float(exog.shape[1] - model.k_constant)
    model.df_resid = float(df_resid)
    return model.fit(**fit)


def _residualised(res: Any) -> tuple[pd.DataFrame, Array | None]:
    """Outcome and regressors without effects, controls and factors, on the caller's index; weights."""
    if res._model_kind == "factors":
        estimate, index = _least_squares(res), res.model.design.index
        y, x = index.from_cube(estimate.y_projected), index.from_cube(estimate.z_projected)
        weights = res.model.design.weights
        if weights is not None:  # what was projected is multiplied by their roots
            y, x = y / np.sqrt(weights), x / np.sqrt(weights)[:, None]
    else:
        fit = res._fit
        y, x, weights = fit.y_tilde, fit.x_tilde, res.model.design.weights
    return _frame(res, y, x, res._names), weights


def _least_squares(res: Any) -> FactorEstimate:
    """The estimate before bias correction, with its data."""
    _ = res._estimate  # says what to do where the data are gone
    return res._inference.estimate


def _full(res: Any, nuisance: Nuisance) -> pd.DataFrame:
    design = res.model.design
    factors = res._model_kind == "factors"
    x = design.index.from_cube(_least_squares(res).z) if factors else design.exog[:, list(res._fit.kept)]
    kept = list(nuisance.kept)
    names = [*res._names, *(nuisance.names[j] for j in kept)]
    return _frame(res, design.endog, np.column_stack([x, nuisance.columns[:, kept]]), names)


def _frame(res: Any, y: Array, x: Array, names: list[str]) -> pd.DataFrame:
    design = res.model.design
    return pd.DataFrame(np.column_stack([y, x]), index=design.row_index, columns=[design.endog_name, *names])


# ---- what is partialled out, written out


@dataclass(frozen=True, eq=False)
class Nuisance:
    """Columns that are partialled out.

    Attributes
    ----------
    columns : ndarray, shape (n, P)
    names : tuple of str
    kept : tuple of int
        A largest set of them that is linearly independent.
    """

    columns: Array
    names: tuple[str, ...]
    kept: tuple[int, ...]


def nuisance_columns(res: Any, max_columns: int = 2000) -> Nuisance:
    """Dummies, controls, and factors times dummies of a fit, written out.

    Raises
    ------
    SpecificationError
        If there are more than `max_columns`, or too many for memory.
    """
    res = raw(res)
    design = res.model.design
    if res._model_kind == "factors":
        estimate = _least_squares(res)
        n, t = estimate.shape
        units, periods = _known(res)
        count = (n + t) * estimate.n_factors + n * (estimate.entity_effects + len(units))
        count += t * (estimate.time_effects + len(periods))
    else:
        _ = res._fit  # says what to do where the data are gone
        count = sum(effect.n_levels for effect in res.model.effects) + len(design.control_names)
    _check_size(int(count), design.nobs, max_columns)
    if res._model_kind == "factors":
        columns, names = factor_nuisance(res)
        weights = design.weights
    else:
        effects = res.model.effects
        codes, values = [np.asarray(effect.codes) for effect in effects], [effect.values for effect in effects]
        columns, names = linear_nuisance(res.model, codes, values, design.controls)
        weights = design.weights
    basis = Controls.from_columns(columns, weights) if columns.shape[1] else None
    return Nuisance(columns, tuple(names), () if basis is None else tuple(sorted(basis.kept)))


def _check_size(count: int, nobs: int, max_columns: int) -> None:
    if count > max_columns or count * nobs > _CELLS:
        limit = f"At most {max_columns} are written out" if count > max_columns else "That is too much for memory"
        raise SpecificationError(
            f"The full regression has {count} dummies and controls on {nobs} rows.",
            f"{limit}; without them coefficients and nonrobust standard errors are the same.",
            "res.to_statsmodels()" if count * nobs > _CELLS else f"res.to_statsmodels(), or max_columns={count}",
        )


def linear_nuisance(model: Any, codes: list[Any], values: list[Any], controls: Array | None) -> tuple[Array, list[str]]:
    """Constant, dummies and controls (m, P) of rows with these levels; the first level of plain effects left out.

    Parameters
    ----------
    model : PartialledOLS
    codes : list of ndarray of int, each shape (m,)
        Levels by block of effects, as ``model.effect_parts``.
    values : list of ndarray or None
        Slope variables by block.
    controls : ndarray, shape (m, q), or None
    """
    parts = model.effect_parts
    m = len(codes[0]) if codes else (0 if controls is None else len(controls))
    blocks: list[Array] = []
    names: list[str] = []
    if any(part.slope is None for part in parts):
        blocks, names = [np.ones((m, 1))], ["Intercept"]
    for part, own, factor in zip(parts, codes, values, strict=True):
        levels = model.design.absorbed_codes[part.source][1]
        first = int(part.slope is None)
        block = np.zeros((m, len(levels)))
        block[np.arange(m), own] = 1.0 if factor is None else factor + part.shift
        blocks.append(block[:, first:])
        suffix = "" if part.slope is None else f":{part.slope}"
        names += [f"{part.block.name.partition('[')[0]}[{_label(level)}]{suffix}" for level in levels[first:]]
    if controls is not None:
        taken = "Intercept" in names
        used = [j for j, name in enumerate(model.design.control_names) if not (taken and name == "Intercept")]
        blocks.append(controls[:, used])
        names += [model.design.control_names[j] for j in used]
    return (np.hstack(blocks) if blocks else np.empty((model.design.nobs, 0))), names


def _label(level: Any) -> str:
    return "^".join(map(str, level)) if isinstance(level, tuple) else str(level)


def _known(res: Any) -> tuple[dict[str, Array], dict[str, Array]]:
    """Known columns (n,) with a coefficient of each entity, and of each period, besides additive effects."""
    parts, index = res.model._parts, res.model.design.index
    sides = ((parts.unit_names, parts.unit), (parts.period_names, parts.period))
    units, periods = (
        {name: index.from_cube(cube[:, :, j]) for j, name in enumerate(names) if name != "1"} for names, cube in sides
    )
    return units, periods


def factor_nuisance(res: Any) -> tuple[Array, list[str]]:
    """Dummies, dummies times known columns, those of entities times factors, of periods times loadings, (n, P).

    They span the directions in which effects, factors and loadings can move the fit, so what they leave of the
    regressors is what inference is based on (Moon & Weidner 2017).
    """
    estimate, index = _least_squares(res), res.model.design.index
    who, when = index.entity_codes, index.time_codes
    rows = np.arange(index.nobs)
    blocks: list[Array] = []
    names: list[str] = []

    def add(codes: Any, labels: Any, name: str, values: Any, suffix: str, first: int = 0) -> None:
        block = np.zeros((index.nobs, len(labels)))
        block[rows, codes] = values
        blocks.append(block[:, first:])
        names.extend(f"{name}[{_label(label)}]{suffix}" for label in labels[first:])

    if estimate.entity_effects or estimate.time_effects:
        blocks, names = [np.ones((index.nobs, 1))], ["Intercept"]
    if estimate.entity_effects:
        add(who, index.entities, index.entity_name, 1.0, "", 1)
    if estimate.time_effects:
        add(when, index.times, index.time_name, 1.0, "", 1)
    units, periods = _known(res)
    for name, values in units.items():
        add(who, index.entities, index.entity_name, values, f":{name}")
    for name, values in periods.items():
        add(when, index.times, index.time_name, values, f":{name}")
    for r in range(estimate.n_factors):
        add(who, index.entities, index.entity_name, estimate.factors[when, r], f":factor{r + 1}")
        add(when, index.times, index.time_name, estimate.loadings[who, r], f":loading{r + 1}")
    return (np.hstack(blocks) if blocks else np.empty((index.nobs, 0))), names
