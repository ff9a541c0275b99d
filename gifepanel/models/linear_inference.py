"""From `cov_type` and `cov_kwds` of partialled-out least squares to the inference layer."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gifepanel.exceptions import DataError, SpecificationError, SpecificationWarning
from gifepanel.inference.cluster_adjusted import nuisance_columns
from gifepanel.inference.clusters import cluster_ways, nested_dimensions
from gifepanel.inference.linear_covariance import LinearCovariance, linear_covariance
from gifepanel.inference.linear_sample import full_leverage
from gifepanel.models.checks import check_choice, reject_unknown
from gifepanel.panel.index import code_labels, sort_codes
from gifepanel.panel.text import caller_level

if TYPE_CHECKING:
    from gifepanel.models.partialled import PartialledOLS
    from gifepanel.models.partialling import PartialledFit

__all__ = ["LinearChoice", "read_linear_covariance"]

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

_KINDS = {
    "nonrobust": "nonrobust",
    "iid": "nonrobust",
    "HC0": "HC0",
    "HC1": "HC1",
    "hetero": "HC1",
    "robust": "HC1",
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
_CLUSTERED = ("cluster", "CR0", "CR2", "cluster-crv3", "cluster-jk")
_TIMED = ("HAC", "hac-panel", "hac-groupsum")


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

    def __call__(self, model: PartialledOLS, fit: PartialledFit) -> LinearCovariance:
        """The covariance of the coefficients of `fit`."""
        return linear_covariance(fit.x_tilde, fit.resid, **self._arguments(model, fit))

    def contrast_degrees(self, model: PartialledOLS, fit: PartialledFit, matrix: FloatArray) -> FloatArray:
        """Degrees of freedom (q,) of t tests of the rows of `matrix` (q, k).

        Regressors are turned so that the combination is a coefficient: b' = M b, x' = x M^-1, M's first row r.
        """
        arguments = self._arguments(model, fit)
        length = np.linalg.norm(fit.x_tilde, axis=0)
        out = np.empty(len(matrix))
        for i, row in enumerate(matrix / length):
            turn = np.linalg.qr(np.column_stack([row, np.eye(len(row))]))[0]  # first column along r, orthogonal
            out[i] = linear_covariance(fit.x_tilde / length @ turn, fit.resid, **arguments).df_inference[0]
        return out

    def _arguments(self, model: PartialledOLS, fit: PartialledFit) -> dict[str, Any]:
        """What the covariance needs besides regressors and residuals."""
        weights = model.design.weights
        arguments: dict[str, Any] = {}
        projection = fit.projection
        if self.kind in ("HC2", "HC3"):
            arguments["leverage"] = full_leverage(fit.x_tilde, projection.leverage(), weights=weights)
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
            "kind": self.kind,
            "weights": weights,
            "entity": self.entity,
            "time": self.time,
            "ssc": self.ssc,
            **arguments,
            **self.options,
        }


def read_linear_covariance(
    model: PartialledOLS, cov_type: str, cov_kwds: Mapping[str, Any] | None, ssc: str
) -> LinearChoice:
    """Check the options and look up clusters and times, before any estimation."""
    check_choice("ssc", ssc, ("fixest", "stata", "statsmodels", "none"))
    kind = _KINDS[check_choice("cov_type", cov_type, _KINDS)]
    keywords = dict(cov_kwds or {})
    keywords.pop("use_t", None)
    allowed = {"use_correction"}
    if kind in _CLUSTERED:
        allowed |= {"groups"}
    if kind in _TIMED:
        allowed |= {"maxlags", "kernel", "time"} | ({"groups", "entity"} if kind == "hac-panel" else set())
    reject_unknown({k: v for k, v in keywords.items() if k not in allowed}, allowed, f"cov_type={cov_type!r}")
    options: dict[str, Any] = {k: keywords[k] for k in ("maxlags", "kernel", "use_correction") if k in keywords}
    clusters, names = _clusters(model, keywords.get("groups")) if kind in _CLUSTERED else ((), ())
    entity, time = _ids(model, kind, keywords)
    _warn_of_rank(model, kind, clusters, time)
    return LinearChoice(kind, clusters, names, entity, time, options, ssc)


def _clusters(model: PartialledOLS, wanted: Any) -> tuple[tuple[IntArray, ...], tuple[str, ...]]:
    if wanted is None:
        effects = model.design.absorbed_effects
        if not effects:
            raise SpecificationError(
                "Clustered standard errors were asked for without clusters.",
                "The name of a column is needed, or several.",
                'cov_kwds={"groups": "firm"}',
            )
        wanted = effects[0].factors[0]
    if not isinstance(wanted, (str, list, tuple)) and np.ndim(wanted) == 2:  # a frame or matrix, a column for each way
        wanted = [wanted[name] for name in wanted] if hasattr(wanted, "columns") else list(np.asarray(wanted).T)
    several = isinstance(wanted, (list, tuple)) and all(isinstance(w, str) or np.ndim(w) == 1 for w in wanted)
    ways = list(wanted) if several else [wanted]
    codes = tuple(row_codes(model, way, "clusters") for way in ways)
    for way, own in zip(ways, codes, strict=True):
        if own.size and own.max() == 0:
            raise DataError(
                f"The clusters {way if isinstance(way, str) else ''} have one level.",
                "Two or more are needed, and dozens to trust the result.",
                'cov_type="HC1"',
            )
    return codes, tuple(way if isinstance(way, str) else str(getattr(way, "name", None) or "groups") for way in ways)


def row_codes(model: PartialledOLS, way: Any, what: str) -> IntArray:
    """Codes (n,) of a column named, or given row by row of the caller's data or of the sample."""
    design = model.design
    if isinstance(way, str):
        return np.asarray(design.codes_of(model._source, way)[0], dtype=np.int64)
    values = np.asarray(way)
    if values.shape == design.esample.shape:
        values = values[design.esample]
    if values.shape != (design.nobs,):
        raise DataError(
            f"The {what} have shape {np.shape(way)}.",
            f"One label is needed for each of the {design.nobs} observations.",
            'The name of a column, {"groups": "firm"}',
        )
    coded = code_labels(values)
    if (coded.codes < 0).any():
        raise DataError(f"The {what} hold NaN.", "Every observation needs one.", "Fill or drop those rows.")
    return np.asarray(sort_codes(coded)[0], dtype=np.int64)


def _warn_of_rank(model: PartialledOLS, kind: str, clusters: tuple[IntArray, ...], time: IntArray | None) -> None:
    """Sums over few clusters or periods give a covariance of low rank: some Wald tests do not exist."""
    if len(clusters) == 1:
        count, what = len(np.unique(clusters[0])), "clusters"
    elif kind == "hac-groupsum" and time is not None:
        count, what = len(np.unique(time)), "periods"
    else:
        return
    bound = count if kind in ("CR2", "cluster-crv3") else count - 1
    slopes = len(model.design.exog_names)
    if slopes <= bound:
        return
    impossible = (
        f"F and Wald tests of more than {bound} restrictions at once are impossible"
        if bound > 1
        else ("F and Wald tests of several restrictions are impossible")
    )
    warnings.warn(
        SpecificationWarning(
            f"There are {slopes} coefficients and {count} {what}: the covariance has rank {bound} at most.",
            f"{impossible}, the F test of all slopes among them; tests of single coefficients are not affected.",
            "Test fewer restrictions at once, or use finer clusters.",
        ),
        stacklevel=caller_level(),
    )


def _ids(model: PartialledOLS, kind: str, keywords: Mapping[str, Any]) -> tuple[IntArray | None, IntArray | None]:
    """Entity codes and periods of the rows, where the kind needs them."""
    if kind not in _TIMED:
        return None, None
    entity = keywords.get("entity", keywords.get("groups", model._entity))
    time = keywords.get("time", model._time)
    if time is not None and kind == "hac-groupsum":
        return None, row_codes(model, time, "times")
    if kind == "hac-groupsum" and model.panel_index(entity, time, required=False) is None:
        raise SpecificationError(
            "Driscoll-Kraay standard errors were asked for, and the data do not say what time is.",
            "The name of a column is needed.",
            'cov_kwds={"time": "year"}',
        )
    index = model.panel_index(entity, time, required=kind != "HAC")
    if index is None:
        return None, None
    periods = np.asarray(index.periods)[index.time_codes]
    return (index.entity_codes if kind == "hac-panel" else None), periods
