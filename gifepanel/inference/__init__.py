"""Covariance, bias correction, degrees of freedom and residual diagnostics."""

from __future__ import annotations

from gifepanel.inference.bias import BiasResult, bias_terms, default_bandwidth
from gifepanel.inference.covariance import CovarianceResult, default_maxlags, factor_covariance
from gifepanel.inference.dof import DegreesOfFreedom, degrees_of_freedom, residual_df
from gifepanel.inference.space import FactorSpace, factor_space, project

__all__ = [
    "BiasResult",
    "CovarianceResult",
    "DegreesOfFreedom",
    "FactorSpace",
    "bias_terms",
    "default_bandwidth",
    "default_maxlags",
    "degrees_of_freedom",
    "factor_covariance",
    "factor_space",
    "project",
    "residual_df",
]
