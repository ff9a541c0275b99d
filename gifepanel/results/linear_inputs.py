"""What results of partialled-out least squares are made of, and what they ask of the model and of its covariance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Protocol

import numpy as np

from gifepanel.exceptions import DataError

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

__all__ = [
    "CovarianceChoice",
    "CrossFittedFit",
    "LinearModel",
    "LinearSums",
    "PartialledFit",
    "SummedFit",
    "rows_elsewhere",
]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class LinearSums:
    """Sums over the rows of a regression, where the rows themselves are not at hand.

    Attributes
    ----------
    ssr : float
        (Weighted) sum of squared residuals.
    centered_tss, uncentered_tss, within_tss : float
        Of the outcome: about its mean, about zero, of what effects and controls leave.
    log_weights : float
        Sum of the logarithms of the weights.
    without_effects : (float, int)
        Sum of squares and rank of the regression without the absorbed effects, with a constant.
    """

    ssr: float
    centered_tss: float
    uncentered_tss: float
    within_tss: float
    log_weights: float
    without_effects: tuple[float, int]


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
    sums: ClassVar[LinearSums | None] = None

    def constants(self, exog: Array) -> list[int]:
        """Positions of the coefficients that belong to a constant column of the design's `exog` (n, p)."""
        return [k for k, j in enumerate(self.kept) if exog.size and np.ptp(exog[:, j]) == 0]


@dataclass(frozen=True, eq=False)
class SummedFit:
    """A partialled-out regression of which sums over the rows are known, not the rows: see :class:`PartialledFit`.

    Attributes
    ----------
    projection : Any
        Its ``degrees`` and ``basis``.
    certificate : Certificate
    kept, absorbed, collinear : tuple of int
    params : ndarray, shape (k,)
    triangle : Triangle
    sums : LinearSums
    constant : tuple of int
        Positions of the coefficients that belong to a constant.
    where : str
        The data, in words.
    parts : Any
        What makes residuals and scores at the engine.
    """

    projection: Any
    certificate: Certificate
    kept: tuple[int, ...]
    absorbed: tuple[int, ...]
    collinear: tuple[int, ...]
    params: Array
    triangle: Triangle
    sums: LinearSums
    constant: tuple[int, ...]
    where: str
    parts: Any = None

    def constants(self, exog: Any) -> list[int]:
        """Positions of the coefficients that belong to a constant."""
        return list(self.constant)

    @property
    def resid(self) -> NoReturn:
        """Refused: one for each row."""
        raise rows_elsewhere("Residuals", self.where)

    @property
    def x_tilde(self) -> NoReturn:
        """Refused: one for each row."""
        raise rows_elsewhere("Residualised regressors", self.where)

    @property
    def y_tilde(self) -> NoReturn:
        """Refused: one for each row."""
        raise rows_elsewhere("Values of the residualised outcome", self.where)


def rows_elsewhere(what: str, where: str) -> DataError:
    """The error of whoever asks for rows that are not in memory."""
    return DataError(
        f"{what} have a number for each row, and the rows are in {where}.",
        "Fits of lazy data keep sums; rows with residuals and fitted values are a lazy frame.",
        "res.lazy_frame()",
    )


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
