"""What results of partialled-out least squares are made of, and what they ask of the model and of its covariance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from gifepanel.inference.cluster_adjusted import Contrasts
    from gifepanel.inference.linear_covariance import LinearCovariance
    from gifepanel.inference.orthogonal import OrthogonalEstimate
    from gifepanel.panel.matrices import PanelDesign
    from gifepanel.projections.base import Certificate
    from gifepanel.projections.composite import EffectsAndControls
    from gifepanel.projections.crossfit import CrossFit
    from gifepanel.projections.system import Effect
    from gifepanel.projections.triangle import Triangle

__all__ = ["CovarianceChoice", "CrossFittedFit", "LinearModel", "PartialledFit"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, eq=False)
class PartialledFit:
    """The partialled-out regression.

    Attributes
    ----------
    projection : EffectsAndControls
    certificate : Certificate
    y_tilde : ndarray, shape (n,)
    x_tilde : ndarray, shape (n, k)
    kept : tuple of int
        Columns of the design that vary beyond the nuisance part and each other.
    absorbed : tuple of int
        Columns that the nuisance part spans.
    collinear : tuple of int
        Columns that other regressors span.
    params : ndarray, shape (k,)
    resid : ndarray, shape (n,)
        Of the full regression.
    triangle : Triangle
        Of `x_tilde` times the square roots of the weights.
    """

    projection: EffectsAndControls
    certificate: Certificate
    y_tilde: Array
    x_tilde: Array
    kept: tuple[int, ...]
    absorbed: tuple[int, ...]
    collinear: tuple[int, ...]
    params: Array
    resid: Array
    triangle: Triangle

    def constants(self, exog: Array) -> list[int]:
        """Positions of the coefficients that belong to a constant column of the design's `exog` (n, p)."""
        return [k for k, j in enumerate(self.kept) if exog.size and np.ptp(exog[:, j]) == 0]


@dataclass(frozen=True, eq=False)
class CrossFittedFit:
    """A fit by cross-fitting, in the form of a partialled-out regression.

    Attributes
    ----------
    fit : PartialledFit
        Residualised columns of the representative repeat.
    covariance : LinearCovariance
    crossfit : CrossFit
    estimate : OrthogonalEstimate
    grouped_by : str or None
        What the folds keep together.
    cluster_names : tuple of str
        Of every way of clustering.
    """

    fit: PartialledFit
    covariance: LinearCovariance
    crossfit: CrossFit
    estimate: OrthogonalEstimate
    grouped_by: str | None
    cluster_names: tuple[str, ...] = ()


class LinearModel(Protocol):
    """What results ask of the model that made them."""

    design: PanelDesign
    learner: Any
    n_singletons: int
    df_resid: float

    @property
    def effects(self) -> tuple[Effect, ...]: ...
    @property
    def effect_parts(self) -> tuple[Any, ...]: ...


class CovarianceChoice(Protocol):
    """A covariance estimator with its clusters and times looked up."""

    @property
    def cluster_names(self) -> tuple[str, ...]: ...
    def __call__(self, model: Any, fit: PartialledFit) -> LinearCovariance: ...
    def contrasts(self, model: Any, fit: PartialledFit, rows: Array) -> Contrasts: ...
