"""What results are made of: the sample in words and counts, and the inference on the slopes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gifepanel.inference.bias import BiasResult
from gifepanel.inference.covariance import CovarianceResult
from gifepanel.inference.estimate import FactorEstimate
from gifepanel.inference.soft_groups import SoftGroups
from gifepanel.panel.balance import labels_without
from gifepanel.short_repr import ShortRepr

if TYPE_CHECKING:
    from gifepanel.panel.index import PanelIndex
    from gifepanel.panel.matrices import PanelDesign

__all__ = ["FittedFactorModel", "Inference", "Pruned", "Sample"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Pruned:
    """What was left out of a sample since it is fitted exactly whatever the slopes are.

    Attributes
    ----------
    entities, times : tuple
        Labels.
    n_rows : int
        Rows, those of entities and periods that stay among them.
    set_aside : tuple
        Entities left out since their loadings would grow without bound.
    """

    entities: tuple[Any, ...] = ()
    times: tuple[Any, ...] = ()
    n_rows: int = 0
    set_aside: tuple[Any, ...] = ()

    @classmethod
    def between(cls, before: PanelIndex, after: PanelIndex) -> Pruned:
        """What the smaller of two samples lacks."""
        return cls(
            labels_without(before.entities, after.entities),
            labels_without(before.times, after.times),
            before.nobs - after.nobs,
        )


@dataclass(frozen=True, eq=False, repr=False)
class Sample(ShortRepr):
    """Names and counts of the data a model was fitted to.

    Attributes
    ----------
    endog_name : str
    absorbed : tuple of str
    entity_name, time_name : str
    n_entities, n_times : int
    regressors : tuple of str
        Without those that were dropped.
    dropped : tuple of str
        Regressors that effects or other regressors span.
    n_incomplete : int
        Rows left out.
    incomplete : dict of str to int
        How many rows each variable or lag cost.
    n_observed, n_cells : int
        Cells with a row, and all N times T.
    shortest, longest : tuple of a label and int
        The first of the entities with the fewest periods, and of those with the most, and how many they have.
    pruned_entities, pruned_times : tuple
        Labels of entities and periods that are fitted exactly whatever the slopes are, and hence left out.
    set_aside : tuple
        Labels of entities left out since their loadings would grow without bound.
    n_pruned : int
        Rows of all of these.
    empty_entities, empty_times : tuple
        Labels of entities and periods of which no row can be used.
    weights : str
        What they are called; empty where there are none.
    n_zero_weights : int
        Rows left out since their weight is zero.
    """

    endog_name: str
    absorbed: tuple[str, ...]
    entity_name: str
    time_name: str
    n_entities: int
    n_times: int
    regressors: tuple[str, ...]
    dropped: tuple[str, ...]
    n_incomplete: int
    incomplete: dict[str, int]
    n_observed: int
    n_cells: int
    shortest: tuple[Any, int]
    longest: tuple[Any, int]
    pruned_entities: tuple[Any, ...] = ()
    pruned_times: tuple[Any, ...] = ()
    set_aside: tuple[Any, ...] = ()
    n_pruned: int = 0
    empty_entities: tuple[Any, ...] = ()
    empty_times: tuple[Any, ...] = ()
    weights: str = ""
    n_zero_weights: int = 0

    @property
    def left_out(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Entities and periods that are in the data and not in the fit."""
        entities = (*self.pruned_entities, *self.set_aside, *self.empty_entities)
        return entities, (*self.pruned_times, *self.empty_times)

    @property
    def has_holes(self) -> bool:
        """Whether cells are missing."""
        return self.n_observed < self.n_cells


@dataclass(frozen=True, eq=False, repr=False)
class Inference(ShortRepr):
    """What is known about the slopes.

    Attributes
    ----------
    estimate : FactorEstimate
        Least squares.
    final : FactorEstimate
        At the reported slopes.
    params : ndarray, shape (q,)
        Corrected for bias where that was asked for.
    bias : BiasResult or None
    correction : {"none", "dynamic", "analytic", "jackknife"}
    covariance : CovarianceResult
    cluster_names : tuple of str
    ssc, use_t : bool
    soft : SoftGroups or None
        The mixture whose slopes are reported, at the least-squares factors.
    clusters : tuple of ndarray of int64, shape (N, T), or None
        Codes of the clusters, a way each.
    """

    estimate: FactorEstimate
    final: FactorEstimate
    params: Array
    bias: BiasResult | None
    correction: str
    covariance: CovarianceResult
    cluster_names: tuple[str, ...]
    ssc: bool
    use_t: bool
    soft: SoftGroups | None = None
    clusters: tuple[np.ndarray[Any, np.dtype[np.int64]], ...] | None = None


class FittedFactorModel(Protocol):
    """What results ask of the model that made them."""

    design: PanelDesign
    sample: Sample
    _names: list[str]
    _common: Any

    def _at(self, estimate: FactorEstimate, names: Any) -> Any: ...
