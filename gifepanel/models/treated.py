"""Treated rows of a model with factors: read, checked against the fit, told of where they are lost."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from gifepanel.exceptions import DataError, SpecificationError, SpecificationWarning, caller_level
from gifepanel.models.checks import check_count
from gifepanel.panel.matrices import PanelDesign
from gifepanel.panel.text import first_of
from gifepanel.panel.treatment import Treatment, read_treatment

__all__ = ["covariance_options", "read_treatment_for", "refit_options", "refuse_treated_arrays", "warn_of_lost_cells"]

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
_OF_COVARIANCES = ("cov_type", "cov_kwds", "use_t", "ssc")


def refuse_treated_arrays(name: str, unknown: Mapping[str, Any]) -> None:
    """Treated rows are named with a formula; in arrays they are outcomes that are missing."""
    if "treated" in unknown:
        raise SpecificationError(
            f"{name} was given treated=.",
            f"It belongs to {name}.from_formula; in arrays, outcomes of treated cells are left out by hand, and "
            "res.impute(exog) says what they would have been.",
            "endog = np.where(treated, np.nan, endog)",
        )


def read_treatment_for(
    design: PanelDesign, data: Any, given: Mapping[str, Any], context: Mapping[str, Any]
) -> Treatment:
    """The treatment that a model was given.

    Raises
    ------
    SpecificationError, DataError, FormulaError
        A lag of the outcome among the regressors; a treatment that can't be read; no row without it.
    """
    if design.lags_of_endog:
        lag = design.exog_names[design.lags_of_endog[0]]
        raise SpecificationError(
            f"{lag} is a regressor, and treated= is {given['treated']!r}.",
            "In treated periods the lag of the outcome is an outcome of the treatment: what would have been without it "
            "is not known.",
            f"Leave {lag} out of the formula; factors take up what persists.",
        )
    treatment = read_treatment(
        given["treated"],
        design,
        data,
        entity=given["entity"],
        time=given["time"],
        context=context,
        anticipation=check_count("anticipation", given["anticipation"], 0),
    )
    if treatment.left_out.all():
        raise DataError(
            f"No row is left: {int(treatment.treated.sum())} are treated and the others anticipate it.",
            "What would have been is learned from rows without treatment.",
            "anticipation=0",
        )
    return treatment


def warn_of_lost_cells(model: Any) -> None:
    """Tell of treated cells of which nothing can be said, with the numbers of the model given; before any work.

    Raises
    ------
    DataError
        If there are no others.
    """
    treatment = model._treatment
    if treatment is None or model._candidates is not None:
        return
    index, own = treatment.design.index, model.design.index
    rows = np.flatnonzero(treatment.treated)
    entity, time = index.entity_codes[rows], index.time_codes[rows]
    no_entity = ~index.entities.isin(own.entities)[entity]
    by_period = bool(model.n_factors or model._parts.period_names)
    no_time = by_period & ~index.times.isin(own.times)[time] & ~no_entity
    no_past = np.isnan(treatment.event_time[rows]) & ~no_entity & ~no_time
    needs = model.n_factors + len(model._parts.unit_names)
    counts = np.bincount(index.entity_codes[~treatment.left_out], minlength=index.n_entities)
    said = []
    for lost, labels, why in (
        (no_entity, index.entities[np.unique(entity[no_entity])], f"with at most {needs} untreated periods"),
        (no_time, index.times[np.unique(time[no_time])], "periods with too few untreated entities"),
        (no_past, index.entities[np.unique(entity[no_past])], "without an untreated past"),
    ):
        if lost.any():
            said.append(f"{int(lost.sum())} of {first_of(labels)}, {why}")
    if not said:
        return
    lost = no_entity | no_time | no_past
    short = np.unique(entity[no_entity])
    possible = int(counts[short].min()) - len(model._parts.unit_names) - 1 if short.size else -1
    fix = f"n_factors={possible}" if 0 <= possible < model.n_factors else _other_sample(no_time, treatment)
    found = f"{int(lost.sum())} of {len(rows)} treated cells are in no average: {'; '.join(said)}."
    if lost.all():
        raise DataError(found, f"There are no others; {_needed(needs)}.", fix)
    warnings.warn(SpecificationWarning(found, f"{_needed(needs).capitalize()}.", fix), stacklevel=caller_level())


def refit_options(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a fit that a fit to other rows of the same model takes over."""
    own = (*_OF_COVARIANCES, "n_jobs", "progress")
    options = {name: value for name, value in arguments.items() if name not in own}
    if isinstance(options["random_state"], np.random.Generator):
        options["random_state"] = 0
    return options


def covariance_options(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The others: those of its covariance."""
    return {name: arguments[name] for name in _OF_COVARIANCES}


def _needed(needs: int) -> str:
    return (
        f"a treated entity needs {needs + 1} untreated periods, one of them before its treatment, and a period needs "
        "untreated entities"
    )


def _other_sample(no_time: BoolArray, treatment: Treatment) -> str:
    """What could be done where it is not the number of factors."""
    if no_time.any():
        return f"A sample with entities that {treatment.name!r} does not reach in those periods."
    return f"A sample that begins earlier than {treatment.name!r}."
