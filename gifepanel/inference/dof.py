"""Degrees of freedom of a panel regression with estimated factors and additive effects.

An N x T error matrix leaves this much once its nuisance parts are fitted:

* entity effects span N directions and time effects T; both share the grand mean, so
  together they take N + T - 1;
* after entity effects every row sums to zero, so a factor lives in T - 1 dimensions; after time effects
  a loading vector lives in N - 1. With N* = N - [time effects] and T* = T - [entity effects] the set of
  N* x T* matrices of rank R has dimension R (N* + T* - R), the R^2 rotations of (F, Lambda) counted once;
* the slopes take q.

What is left is ``(N* - R)(T* - R) - q``, which is also the rank of the operator M_Lambda (x) M_F applied
to the demeaned panel, less q.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict, Unpack

from gifepanel.exceptions import SpecificationError

__all__ = ["DegreesOfFreedom", "DofConvention", "checked_residual", "degrees_of_freedom", "residual_df"]

DofConvention = Literal["rank", "parameters", "effects", "none"]


@dataclass(frozen=True)
class DegreesOfFreedom:
    """What was counted, so that another package's convention can be rebuilt from ours.

    Attributes
    ----------
    nobs : int
        N * T.
    slopes : int
        Number of slope coefficients, q.
    effects : int
        Directions absorbed by additive effects (known factors and loadings).
    factors : int
        Free parameters of the R estimated factors beyond the additive effects.
    residual : int
        ``nobs - slopes - effects - factors``.
    convention : str
        Name of the counting rule, see :func:`degrees_of_freedom`.
    """

    nobs: int
    slopes: int
    effects: int
    factors: int
    residual: int
    convention: str

    @property
    def model(self) -> int:
        """Everything that was estimated: slopes, additive effects and factors."""
        return self.slopes + self.effects + self.factors

    def __str__(self) -> str:
        return (
            f"{self.nobs} observations - {self.slopes} slopes - {self.effects} additive effects"
            f" - {self.factors} factor parameters = {self.residual}"
        )


def degrees_of_freedom(
    n_units: int,
    n_periods: int,
    n_slopes: int,
    n_factors: int = 0,
    *,
    entity_effects: bool = False,
    time_effects: bool = False,
    convention: DofConvention = "rank",
) -> DegreesOfFreedom:
    """Count the parameters of y_it = z_it'b + a_i + c_t + lambda_i'f_t + e_it.

    Parameters
    ----------
    n_units, n_periods : int
        N and T of the balanced panel.
    n_slopes : int
        Number of slopes q; with K groups of p slopes, K * p.
    n_factors : int
        Number of estimated factors R.
    entity_effects, time_effects : bool
        Additive effects that were projected out of y and z.
    convention : {"rank", "parameters", "effects", "none"}
        ``"rank"`` (default): the dimension of the fitted surface, ``R (N* + T* - R)`` for the factors with
        N* = N - [time effects], T* = T - [entity effects] (module docstring).
        ``"parameters"``: every dummy, loading and factor value counts, ``N``, ``T`` and ``R (N + T)``;
        rotations, the mean that two-way effects share and the overlap of factors with effects are not
        taken off (Stata ``regife`` and early ``InteractiveFixedEffectModels.jl``).
        ``"effects"``: slopes and dummies only (later versions of ``InteractiveFixedEffectModels.jl``).
        ``"none"``: slopes only.

    Returns
    -------
    DegreesOfFreedom

    Raises
    ------
    SpecificationError
        If nothing is left for the residuals.

    Notes
    -----
    Moon & Weidner (2017, Econometric Theory 33) scale by NT alone, which understates standard errors by
    sqrt(NT / df); all conventions agree as N and T grow.
    """
    n_dummies = n_units * entity_effects + n_periods * time_effects
    free_units, free_periods = n_units - time_effects, n_periods - entity_effects
    if n_factors < 0 or n_factors >= min(free_units, free_periods):
        raise SpecificationError(
            f"{n_factors} factors were asked of {n_units} entities and {n_periods} periods.",
            f"The number of factors must be between 0 and {min(free_units, free_periods) - 1}.",
            "Lower n_factors.",
        )
    counted = {
        "rank": (
            n_dummies - (entity_effects and time_effects),
            n_factors * (free_units + free_periods - n_factors),
        ),
        "parameters": (n_dummies, n_factors * (n_units + n_periods)),
        "effects": (n_dummies, 0),
        "none": (0, 0),
    }
    if convention not in counted:
        raise SpecificationError(
            f"Unknown degrees-of-freedom convention {convention!r}.",
            "Known are 'rank', 'parameters', 'effects' and 'none'.",
            "Leave it out for 'rank'.",
        )
    n_effects, factor_params = counted[convention]
    return checked_residual(n_units * n_periods, n_slopes, n_effects, factor_params, convention)


def checked_residual(
    nobs: int, n_slopes: int, n_effects: int, n_factor_parameters: int, convention: DofConvention = "rank"
) -> DegreesOfFreedom:
    """What is left for residuals, which must be something.

    Raises
    ------
    SpecificationError
        If nothing is left.
    """
    residual = nobs - n_slopes - n_effects - n_factor_parameters
    counts = DegreesOfFreedom(nobs, n_slopes, n_effects, n_factor_parameters, residual, convention)
    if residual <= 0:
        raise SpecificationError(
            f"No residual degrees of freedom are left: {counts}.",
            "There must be fewer parameters than observations.",
            "Lower n_factors or n_groups, or drop regressors.",
        )
    return counts


class _Effects(TypedDict, total=False):
    entity_effects: bool
    time_effects: bool
    convention: DofConvention


def residual_df(n_units: int, n_periods: int, n_slopes: int, n_factors: int = 0, **effects: Unpack[_Effects]) -> int:
    """Residual degrees of freedom; see :func:`degrees_of_freedom`, whose arguments these are."""
    return degrees_of_freedom(n_units, n_periods, n_slopes, n_factors, **effects).residual
