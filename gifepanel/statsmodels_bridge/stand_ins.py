"""Stand-ins for a fitted model, for functions of statsmodels that read a few arrays off it.

Each makes one function right: the arrays that it reads are those with which its formula gives the full regression's
answer.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from gifepanel.exceptions import SpecificationError

__all__ = ["interval_rows", "refittable", "residualised"]

Array = np.ndarray[Any, np.dtype[np.float64]]


def residualised(res: Any, model: Any) -> Any:
    """Outcome and regressors with effects, controls and factors taken out, for partial regression plots.

    The points are those of the full regression's plot, by the theorem of Frisch, Waugh & Lovell.
    """
    return SimpleNamespace(
        endog=np.asarray(model.wendog),
        exog=np.asarray(model.wexog),
        endog_names=model.endog_names,
        exog_names=list(model.exog_names),
        data=model.data,
    )


def refittable(res: Any, model: Any) -> Any:
    """A model whose class, called with an outcome and more regressors, keeps effects, controls and factors.

    For ``linear_reset``, which fits ``res.model.__class__(res.model.data.endog, augmented)``.
    """
    if getattr(model, "learner", None) is not None:
        raise SpecificationError(
            "linear_reset is not available with a learner.",
            "Its regressors would need nuisance functions of their own.",
            "res.nuisance",
        )

    class Augmented:
        """The same model with other regressors."""

        def __new__(cls, endog: Any, exog: Any) -> Any:
            return _Refit(model._with_regressors(np.asarray(exog, dtype=np.float64)))

    stand_in = object.__new__(Augmented)
    constants = sorted(model._constants)
    data = _Data(np.asarray(model.endog), constants[0] if constants else None)
    # the constant in the span of effects is no column that could be left out
    stand_in.__dict__.update(exog=np.asarray(model.exog), k_constant=len(constants), data=data)
    return stand_in


class _Refit:
    """The model to be fitted; statsmodels below 0.15 spells an option of ``fit`` in its own way."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def fit(self, cov_type: str = "nonrobust", cov_kwds: Any = None, cov_kwargs: Any = None) -> Any:
        """Fit it."""
        return self._model.fit(cov_type=cov_type, cov_kwds=cov_kwds or cov_kwargs or None)


class _Data:
    """Outcome and position of the constant."""

    def __init__(self, endog: Array, constant: int | None) -> None:
        self.endog = endog
        self._constant = constant

    @property
    def const_idx(self) -> int:
        """Asked for by ``test_type="princomp"``, which standardises the regressors if there is a constant."""
        if self._constant is None:
            raise SpecificationError(
                'linear_reset(res, test_type="princomp") has no answer here.',
                "It needs the column of the constant, which effects and controls stand for.",
                'linear_reset(res, test_type="fitted")',
            )
        return self._constant

    def wrap_output(self, value: Any, how: Any = None, *args: Any) -> Any:
        """As it is."""
        return value


def interval_rows(res: Any, model: Any) -> Any:
    """Rows z with z'Vz the variance of the full regression's fitted values, V the covariance of the coefficients.

    For ``wls_prediction_std(res)``, and ``plot_fit`` through it.
    """
    try:
        spread = np.asarray(res.get_prediction().se_mean)
    except SpecificationError as error:
        raise SpecificationError(
            "wls_prediction_std, and plot_fit which draws it, has no answer here.",
            f"{error.found} {error.needed}",
            f"plot_fit(res, name, vlines=False), or {error.fix}",
        ) from None
    rows = np.zeros((int(res.nobs), len(res._names)))
    errors = np.asarray(res.bse)
    at = int(np.isnan(errors).argmin())  # the first that has a standard error
    rows[:, at] = spread / errors[at]
    weights = getattr(model.design, "weights", None)
    weights = 1.0 if weights is None else weights
    return SimpleNamespace(exog=rows, weights=weights, data=model.data, predict=_refuse_new_rows)


def _refuse_new_rows(*args: Any, **kwargs: Any) -> Any:
    raise SpecificationError(
        "wls_prediction_std has no answer for new rows.",
        "It takes regressors alone, without effects and controls.",
        "res.get_prediction(data)",
    )
