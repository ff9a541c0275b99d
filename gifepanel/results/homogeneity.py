"""Slope homogeneity at the factors and effects of a fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from gifepanel.exceptions import SpecificationError
from gifepanel.inference.homogeneity import ando_bai, pesaran_yamagata
from gifepanel.inference.testresult import TestResult
from gifepanel.solvers.arrays import prepare, residuals
from gifepanel.solvers.heterogeneous import heterogeneous_slopes

__all__ = ["homogeneity_of"]

_TOL, _MAX_ITER = 1e-10, 2_000


def homogeneity_of(model: Any, n_factors: int) -> TestResult:
    """Do all entities have the same slopes? Slopes of each entity are estimated anew under `n_factors` factors.

    Parameters
    ----------
    model : GroupedIFE or InteractiveFE
    n_factors : int

    Returns
    -------
    TestResult
        Of :func:`~gifepanel.inference.homogeneity.pesaran_yamagata` without factors, of
        :func:`~gifepanel.inference.homogeneity.ando_bai` with them.

    Raises
    ------
    SpecificationError
        If no regressor varies over time, there are too few periods for slopes of each entity, or time effects.
    """
    if model.time_effects:
        raise SpecificationError(
            "The model absorbs time effects.",
            "The test knows factors and entity effects; a time effect is a factor with loadings of one.",
            f"n_factors={n_factors + 1}, and no time effect in the formula",
        )
    y, x = model._y, model._x
    constant = np.ptp(x, axis=1).max(axis=0) == 0
    if constant.all():
        raise SpecificationError(
            "No regressor varies within an entity.",
            "Slopes of each entity need regressors that vary over time.",
            "Add one to the formula.",
        )
    x = x[:, :, ~constant]
    t, p = x.shape[1:]
    effects = bool(model.entity_effects or constant.any())
    if t <= p + n_factors + effects + 1:
        raise SpecificationError(
            f"{t} periods for {p} slopes in each entity and {n_factors} factors.",
            f"More than {p + n_factors + effects + 1} are needed.",
            "Drop regressors.",
        )
    if not n_factors:
        return pesaran_yamagata(y, x)
    data = prepare(y, x, entity_effects=effects, standardize=True)
    fit = heterogeneous_slopes(data, n_factors, tol=_TOL, max_iter=_MAX_ITER)
    factors, loadings = fit.components.factors, fit.components.loadings
    resid = residuals(data, fit.beta) - loadings @ factors.T
    if effects:
        factors = np.column_stack([factors, np.ones(t)])
    return ando_bai(np.ascontiguousarray(data.xt.transpose(0, 2, 1)), fit.beta, resid, factors, loadings)
