"""From `cov_type` and `cov_kwds` of partialled-out least squares to the inference layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.inference.cluster_adjusted import Contrasts, contrasts_of, nuisance_columns
from gifepanel.inference.clusters import cluster_ways, nested_dimensions
from gifepanel.inference.linear_covariance import LinearCovariance, linear_covariance
from gifepanel.inference.linear_kinds import CLUSTERED, TIMED
from gifepanel.inference.linear_sample import full_leverage, nuisance_in_root_weights
from gifepanel.models.checks import check_choice, check_count, reject_unknown
from gifepanel.models.cov_types import (
    SAME_KINDS,
    check_df_correction,
    check_psd,
    check_scale,
    known_cov_type,
    one_level,
    read_keywords,
    warn_of_distance,
    warn_of_rank,
)
from gifepanel.models.foreign import refuse_covariance_words
from gifepanel.models.read_data import LinearData
from gifepanel.panel.codes import Codes, code_labels, sort_codes
from gifepanel.panel.frames import read_as, read_frame, split_reading
from gifepanel.panel.index import PanelIndex
from gifepanel.panel.labels import check_aligned

if TYPE_CHECKING:
    from gifepanel.models.lazy_covariance import LazyChoice
    from gifepanel.results.linear_inputs import PartialledFit

__all__ = [
    "LinearChoice",
    "check_convention",
    "read_clusters",
    "read_linear_covariance",
    "row_codes",
]

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

KINDS = {
    **SAME_KINDS,
    "HC2": "HC2",
    "HC3": "HC3",
    "cluster": "cluster",
    "CR0": "CR0",
    "CR1": "cluster",
    "CR2": "CR2",
    "CR3": "cluster-crv3",
    "cluster-crv3": "cluster-crv3",
    "cluster-jk": "cluster-jk",
    "HAC": "HAC",
    "hac-panel": "hac-panel",
    "nw-panel": "hac-panel",
    "hac-groupsum": "hac-groupsum",
    "nw-groupsum": "hac-groupsum",
    "driscoll-kraay": "hac-groupsum",
}
_KEYS = ("groups", "entity", "time", "maxlags", "kernel", "use_correction", "df_correction", "scale")
_OPTIONS = {"clusters": "groups=", "times": "time=", "folds": "folds="}


@dataclass(frozen=True, eq=False)
class LinearChoice:
    """A covariance estimator with its clusters and times looked up."""

    kind: str
    clusters: tuple[IntArray, ...]
    cluster_names: tuple[str, ...]
    entity: IntArray | None
    time: IntArray | None
    options: Mapping[str, Any]
    ssc: str
    df_correction: bool = True
    scale: float | None = None

    def __call__(self, model: LinearData, fit: PartialledFit) -> LinearCovariance:
        """The covariance of the coefficients of `fit`."""
        names = [model.design.exog_names[j] for j in fit.kept]
        arguments = {"triangle": fit.triangle, "names": names, **self._arguments(model, fit)}
        out = linear_covariance(fit.x_tilde, fit.resid, **arguments)
        if self.scale is not None:
            return out.at_scale(self.scale, factor=(1.0,))
        return out if self.df_correction else replace(out, df_inference=np.full(len(out.cov), float(out.df_resid)))

    def contrasts(self, model: LinearData, fit: PartialledFit, rows: FloatArray) -> Contrasts:
        """Of CR2, for combinations `rows` (r, k) of the coefficients of the orthonormal regressors."""
        arguments = self._arguments(model, fit)
        weights, way = model.design.weights, cluster_ways(self.clusters, model.design.nobs)[0]
        q = fit.triangle.basis(fit.x_tilde, None if weights is None else np.sqrt(weights))
        nuisance = nuisance_in_root_weights(arguments.get("nuisance"), weights, model.design.nobs)
        return contrasts_of(q, way, rows, nuisance=nuisance)

    def _arguments(self, model: LinearData, fit: PartialledFit) -> dict[str, Any]:
        """What the covariance needs besides regressors and residuals."""
        weights = model.design.weights
        arguments: dict[str, Any] = {}
        projection = fit.projection
        if self.kind in ("HC2", "HC3"):
            arguments["leverage"] = full_leverage(
                fit.x_tilde, projection.leverage(), weights=weights, triangle=fit.triangle
            )
        if self.clusters:
            ways = cluster_ways(self.clusters, model.design.nobs)
            total = projection.absorption.degrees.total if projection.absorption is not None else 0
            arguments["clusters"] = self.clusters
            if total:
                arguments["df_nested"] = nested_dimensions(model.effects, ways, total, weights=weights)
            if self.kind in ("CR2", "cluster-crv3", "cluster-jk") and (total or projection.controls is not None):
                arguments["nuisance"] = nuisance_columns(
                    ways[:1], effects=model.effects, controls=projection.controls, weights=weights
                )
        return {
            "df_absorbed": projection.degrees.total,
            "kind": "nonrobust" if self.scale is not None else self.kind,
            "weights": weights,
            "entity": self.entity,
            "time": self.time,
            "ssc": self.ssc,
            **arguments,
            **self.options,
        }


def read_linear_covariance(
    model: LinearData, cov_type: str, cov_kwds: Mapping[str, Any] | None, ssc: str, *, call: str = "fit"
) -> LinearChoice | LazyChoice:
    """Check the options and look up clusters and times, before any estimation."""
    check_convention(ssc)
    refuse_covariance_words(model, cov_type, cov_kwds, KINDS, call=call, keys=_KEYS)
    if model._rows is not None:
        from gifepanel.models.lazy_covariance import read_lazy_covariance

        return read_lazy_covariance(model, cov_type, cov_kwds, ssc, KINDS)
    kind = KINDS[known_cov_type(cov_type, KINDS)]
    keywords = read_keywords(cov_kwds)
    allowed = {"scale"} if kind == "fixed scale" else {"use_correction"}
    if kind in (*CLUSTERED, "hac-panel", "hac-groupsum"):
        allowed |= {"df_correction"}
    if kind in CLUSTERED:
        allowed |= {"groups"}
    if kind in ("cluster", "CR0", *TIMED):
        allowed |= {"psd"}
    if kind in TIMED:
        allowed |= {"maxlags", "kernel", "time"} | ({"groups", "entity"} if kind == "hac-panel" else set())
    reject_unknown({k: v for k, v in keywords.items() if k not in allowed}, allowed, f"cov_type={cov_type!r}")
    options: dict[str, Any] = {k: keywords[k] for k in ("maxlags", "kernel", "use_correction") if k in keywords}
    check_choice("kernel", options.get("kernel", "bartlett"), ("bartlett", "uniform"))
    if "psd" in keywords:
        options["psd"] = check_psd(keywords["psd"])
    clusters, names = read_clusters(model, keywords.get("groups")) if kind in CLUSTERED else ((), ())
    if len(clusters) > 1 and kind not in ("cluster", "CR0"):
        raise SpecificationError(
            f"cov_type={cov_type!r} came with {len(clusters)} ways of clustering.",
            "It takes one; several go with 'cluster' and 'CR0'.",
            f'cov_type="cluster", or cov_kwds={{"groups": "{names[0]}"}}',
        )
    entity, time = _ids(model, kind, keywords)
    if options.get("maxlags") is not None:
        length = model.design.nobs if time is None else int(np.ptp(time)) + 1
        check_count("maxlags", options["maxlags"], 0, length - 1)
        warn_of_distance(time, options["maxlags"])
    counts = tuple(len(np.unique(codes)) for codes in clusters)
    warn_of_rank(len(model.design.exog_names), kind, counts, None if time is None else len(np.unique(time)))
    df_correction = check_df_correction(keywords.get("df_correction"))
    scale = check_scale(keywords.get("scale", 1.0)) if kind == "fixed scale" else None
    return LinearChoice(kind, clusters, names, entity, time, options, ssc, df_correction, scale)


def check_convention(ssc: Any) -> str:
    """`ssc`, if it names a convention."""
    if isinstance(ssc, bool):
        fix = f'ssc="{"fixest" if ssc else "none"}"'
        raise SpecificationError(f"ssc is {ssc}.", "It names a convention, 'none' for no correction.", fix)
    return check_choice("ssc", ssc, ("fixest", "stata", "statsmodels", "none"))


def read_clusters(model: LinearData, wanted: Any) -> tuple[tuple[IntArray, ...], tuple[str, ...]]:
    """Codes (n,) and name of every way of clustering; the entity where nothing is named."""
    if wanted is None:
        entity, name = _entity_clusters(model)
        return (entity,), (name,)
    if isinstance(wanted, (list, tuple)) and not len(wanted):
        raise _without_clusters("The list of clusters is empty.")
    if not isinstance(wanted, (str, list, tuple)) and np.ndim(wanted) == 2:  # a frame or matrix, a column for each way
        wanted = [wanted[name] for name in wanted] if hasattr(wanted, "columns") else list(np.asarray(wanted).T)
    several = isinstance(wanted, (list, tuple)) and all(isinstance(w, str) or _is_column(w) for w in wanted)
    ways = list(wanted) if several else [wanted]
    codes = tuple(row_codes(model, way, "clusters") for way in ways)
    for way, own in zip(ways, codes, strict=True):
        if own.size and own.max() == 0:
            raise one_level(way if isinstance(way, str) else "")
    return codes, tuple(way if isinstance(way, str) else str(getattr(way, "name", None) or "groups") for way in ways)


def _is_column(values: Any) -> bool:
    """Whether labels come one by row, (n,) or (n, 1)."""
    return np.ndim(values) == 1 or (np.ndim(values) == 2 and np.shape(values)[1] == 1)


def _entity_clusters(model: LinearData) -> tuple[IntArray, str]:
    """Codes (n,) and name of the entity, by the index of the data or ``entity=``; never an effect for being first."""
    if isinstance(model._entity, str):
        codes, name = row_codes(model, model._entity, "clusters"), model._entity
    else:
        index = model.panel_index(model._entity, model._time, required=False)
        if index is None:
            raise _which_clusters(model)
        codes, name = np.asarray(index.entity_codes, dtype=np.int64), str(index.entity_name)
    if codes.size and codes.max() == codes.min():
        raise one_level(name)
    return codes, name


def _which_clusters(model: LinearData) -> SpecificationError:
    """Nothing says what the clusters are: the effects could be."""
    found = "Clustered standard errors were asked for without clusters, and the data do not say what the entity is."
    effects = model.design.absorbed_effects
    if not effects:
        return _without_clusters(found)
    sizes = {"^".join(effect.factors): len(model.design.absorbed_codes[effect.name][1]) for effect in effects}
    names = sorted(sizes, key=lambda name: (-sizes[name], name))
    which = f"It could be {', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else f"It could be {names[0]}"
    return SpecificationError(found, f"{which}: name the column, or several.", f'cov_kwds={{"groups": "{names[0]}"}}')


def _without_clusters(found: str) -> SpecificationError:
    return SpecificationError(found, "The name of a column is needed, or several.", 'cov_kwds={"groups": "firm"}')


def row_codes(model: LinearData, way: Any, what: str) -> IntArray:
    """Codes (n,) of a column named, or given row by row of the caller's data or of the sample."""
    if isinstance(way, str):
        return _named_codes(model, way, what)
    return np.asarray(sort_codes(_labels(model, way, what))[0], dtype=np.int64)


def _labels(model: LinearData, given: Any, what: str) -> Codes:
    """Labels given row by row, on the rows of the sample."""
    design, option = model.design, _OPTIONS.get(what, "")
    check_aligned(given, what, getattr(model._source, "index", design.row_index), design.row_index)
    values = np.asarray(given)
    values = values[:, 0] if _is_column(values) and values.ndim == 2 else values
    if values.shape == design.esample.shape:
        values = values[design.esample]
    if values.shape != (design.nobs,):
        raise DataError(
            f"The {what} have shape {np.shape(given)}.",
            f"One label is needed for each of the {design.nobs} observations.",
            'The name of a column, {"groups": "firm"}'
            if what == "clusters"
            else f'The name of a column, {option}"..."',
        )
    coded = code_labels(values)
    if (coded.codes < 0).any():
        raise DataError(f"The {what} hold NaN.", "Every observation needs one.", "Fill or drop those rows.")
    return coded


def _named_codes(model: LinearData, name: str, what: str) -> IntArray:
    """Codes of a column, or of the combinations ``firm^year`` as in formulas."""
    try:
        return np.asarray(model.design.codes_of(model._source, name, _OPTIONS.get(what, what))[0], dtype=np.int64)
    except DataError:
        several = [part.strip() for part in name.replace("+", "^").split("^")]
        if len(several) == 1:
            raise
    if "+" in name:
        raise SpecificationError(
            f"The {what} are {name!r}.",
            "Several ways are a list; firm^year is one way, its combinations.",
            f'cov_kwds={{"groups": {several}}}',
        )
    key = np.zeros(model.design.nobs, dtype=np.int64)
    for part in several:
        own = _named_codes(model, part, what)
        key = key * (int(own.max()) + 1) + own
    return np.unique(key, return_inverse=True)[1].astype(np.int64)


def _ids(model: LinearData, kind: str, keywords: Mapping[str, Any]) -> tuple[IntArray | None, IntArray | None]:
    """Entity codes and periods of the rows, where the kind needs them."""
    if kind not in TIMED:
        return None, None
    entity = keywords.get("entity", keywords.get("groups", model._entity))
    time = keywords.get("time", model._time)
    if kind == "hac-groupsum":
        return None, _summed_times(model, entity, time)
    if kind == "hac-panel":
        for given, what in ((entity, "clusters"), (time, "times")):
            if given is not None:
                row_codes(model, split_reading(given, _names(model))[0], what)
        one = (entity is None) != (time is None)  # named, as in statsmodels: the other is the panel's
        own = model.panel_index(model._entity, model._time, required=False) if one else None
        if own is not None:
            if time is None:
                own.require_distances("Newey-West standard errors")
            units = own.entity_codes if entity is None else row_codes(model, entity, "clusters")
            return units, own.periods[own.time_codes] if time is None else _summed_times(model, None, time)
    index = model.panel_index(entity, time, required=kind == "hac-panel" and entity is not None and time is not None)
    if index is None and kind == "HAC":
        return None, None
    if index is None:
        raise SpecificationError(
            "Newey-West standard errors within entities were asked for, and the data do not say "
            + ("who and when." if entity is time else "who." if entity is None else "when."),
            "The names of both columns are needed.",
            'cov_kwds={"groups": "firm", "time": "year"}',
        )
    if kind == "HAC" and len(np.unique(index.time_codes)) < model.design.nobs:
        raise SpecificationError(
            f"cov_type='HAC' takes the rows as one time series, and there are {index.n_entities} entities.",
            "Lags within entities, or sums over time, are for panels.",
            'cov_type="hac-panel", or cov_type="driscoll-kraay"',
        )
    if index.has_duplicates:
        raise DataError(
            f"The pairs of {index.entity_name!r} and {index.time_name!r} occur more than once.",
            "Correlation over time needs each (entity, time) pair once.",
            f'cov_type="cluster", cov_kwds={{"groups": "{index.entity_name}"}}',
        )
    index.require_distances("HAC standard errors")
    periods = np.asarray(index.periods)[index.time_codes]
    return (index.entity_codes if kind == "hac-panel" else None), periods


def _names(model: LinearData) -> tuple[str, ...]:
    """Names that a column or index level of the data bears."""
    return () if model._source is None else read_frame(model._source, require_ids=False).names


def _summed_times(model: LinearData, entity: Any, time: Any) -> IntArray:
    """Periods of the rows (n,) for Driscoll-Kraay: distances in time, so that gaps count."""
    by_index = time is None or (entity is not None and time is model._time)
    index = model.panel_index(entity, time, required=False) if by_index else None
    if index is None and time is None:
        raise SpecificationError(
            "Driscoll-Kraay standard errors were asked for, and the data do not say what time is.",
            "The name of a column is needed.",
            'cov_kwds={"time": "year"}',
        )
    if index is None:
        source = "arrays"
        if isinstance(time, str):
            frame = read_frame(model._source, require_ids=False)
            time, reading = split_reading(time, _names(model))
            row_codes(model, time, "times")  # known, and no value missing
            coded = frame.codes(time)
            coded = Codes(coded.codes[model.design.esample], coded.labels, coded.ordered)
            coded = read_as(coded, reading, time) if reading else coded
            source = "columns" if time in getattr(model._source, "columns", ()) else "index"
            source = source if isinstance(model._source, (pd.DataFrame, Mapping)) else "foreign"
        else:
            coded = _labels(model, time, "times")
        alone = Codes(np.zeros(len(coded.codes), dtype=np.int64), pd.RangeIndex(1))
        name = time if isinstance(time, str) else "time"
        index = PanelIndex.from_codes(alone, coded, time_name=name, source=source, allow_duplicates=True)
    index.require_distances("Driscoll-Kraay standard errors")
    if index.n_times < 2:
        raise DataError(
            f"The times {index.time_name} have one level.",
            "Driscoll-Kraay standard errors sum over time and need two periods or more, dozens to be trusted.",
            'cov_type="HC1"',
        )
    return np.asarray(index.periods[index.time_codes], dtype=np.int64)
