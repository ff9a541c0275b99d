"""The cells of a panel that say something about slopes: what is fitted exactly whatever these are goes first."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from gifepanel.exceptions import DataError, SpecificationError, SpecificationWarning, caller_level
from gifepanel.models.read_data import CellFactorData
from gifepanel.panel.matrices import PanelDesign
from gifepanel.panel.text import first_of
from gifepanel.results.inputs import Pruned
from gifepanel.solvers.cells import core

__all__ = ["largest_with_core", "pruned_design", "warn_of_pieces"]

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]


def pruned_design(
    design: PanelDesign, n_factors: int, n_known: int, n_period: int, set_aside: tuple[Any, ...] = ()
) -> tuple[PanelDesign, Pruned]:
    """The design without entities and periods that have no more cells than coefficients, again and again.

    Parameters
    ----------
    design : PanelDesign
    n_factors : int
    n_known, n_period : int
        Known coefficients of each entity and of each period, additive effects among them.
    set_aside : tuple
        Entities to be left out besides.

    Raises
    ------
    SpecificationError, DataError
        If nothing is left; with the largest number of factors that leaves something.
    """
    index = design.index
    observed = index.mask.copy()
    aside = np.isin(np.arange(index.n_entities), index.entities.get_indexer(list(set_aside))) if set_aside else None
    if aside is not None:
        observed[aside] = False
    kept = core(observed, n_factors + n_known, n_factors + n_period)
    if not kept.any():
        raise _nothing_left(design, n_factors, n_known, n_period)
    if kept.all():
        return design, Pruned()
    rows = kept[index.entity_codes, index.time_codes]
    smaller = design if rows.all() else design.take(rows)
    left_out = Pruned.between(index, smaller.index)
    entities = tuple(name for name in left_out.entities if name not in set(set_aside))
    return smaller, replace(left_out, entities=entities, set_aside=set_aside)


def largest_with_core(observed: BoolArray, n_known: int, n_period: int, limit: int, share: float = 0.0) -> int:
    """The largest number of factors up to `limit` with which more than a share of the cells stays; -1 for none."""
    total = observed.sum()
    for r in range(limit, -1, -1):
        if core(observed, r + n_known, r + n_period).sum() > share * total:
            return r
    return -1


def _nothing_left(design: PanelDesign, n_factors: int, n_known: int, n_period: int) -> DataError | SpecificationError:
    index = design.index
    longest, fullest = int(index.counts.max()), int(index.mask.sum(axis=0).max())
    largest = largest_with_core(index.mask, n_known, n_period, n_factors - 1)
    found = (
        f"With {n_factors} factors and {n_known} known coefficients of each entity nothing is left to estimate slopes: "
        f"entities have at most {longest} periods, periods at most {fullest} entities."
    )
    needed = (
        f"Entities need more than {n_factors + n_known} periods, and periods more than {n_factors + n_period} entities."
    )
    if largest >= 0:
        return SpecificationError(found, needed, f"n_factors={largest}")
    return DataError(found, needed, "Absorb fewer effects, or take entities that are observed longer.")


def warn_of_pieces(model: CellFactorData) -> None:
    """Warn of a panel that falls into pieces which share neither entities nor periods."""
    index = model.design.index
    if index.is_balanced or not (model.n_factors or model._parts.period_names):
        return
    n, edges = index.n_entities, np.ones(index.nobs)
    graph = coo_matrix((edges, (index.entity_codes, n + index.time_codes)), shape=(n + index.n_times,) * 2)
    pieces, labels = connected_components(graph, directed=False)
    if pieces < 2:
        return
    sizes = np.bincount(labels[:n], minlength=pieces)
    small = index.entities[labels[:n] == int(sizes.argmin())]
    warnings.warn(
        SpecificationWarning(
            f"The panel is in {pieces} pieces that share no period; the smallest has {len(small)} entities: "
            f"{first_of(small)}.",
            "Slopes are estimated from all of them; factors, loadings and time effects do not compare across pieces.",
            "Look at the entities of one piece alone to compare factors.",
        ),
        stacklevel=caller_level(),
    )
