"""Partialling out by cross-fitted learners (Chernozhukov et al. 2018): from a model's design to estimates."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gifepanel.exceptions import DataError, SpecificationError, SpecificationWarning
from gifepanel.inference.clusters import cluster_ways, nested_dimensions
from gifepanel.inference.linear_covariance import LinearCovariance
from gifepanel.inference.orthogonal import OrthogonalEstimate, orthogonal_estimate
from gifepanel.models.checks import check_choice, check_count, reject_unknown
from gifepanel.models.linear_inference import row_codes
from gifepanel.panel.text import caller_level
from gifepanel.parallel import Progress
from gifepanel.projections.composite import EffectsAndControls
from gifepanel.projections.crossfit import AfterEffects, CrossFit, after_effects, cross_fit

if TYPE_CHECKING:
    from gifepanel.models.partialled import PartialledOLS
    from gifepanel.models.partialling import PartialledFit

__all__ = ["CrossFitOptions", "CrossFittedFit", "fit_cross_fitted"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_KINDS = {"HC0": "HC0", "HC1": "HC1", "robust": "HC1", "cluster": "cluster", "CR1": "cluster", "CR0": "CR0"}


@dataclass(frozen=True)
class CrossFitOptions:
    """How to cross-fit; see :meth:`gifepanel.PartialledOLS.fit`."""

    n_folds: int = 5
    n_repeats: int = 1
    folds: Any = None
    score: str = "partialling out"
    treatments: str = "jointly"
    aggregation: str = "median"
    random_state: Any = 0
    n_jobs: int | None = None
    progress: Progress = None


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
    """

    fit: PartialledFit
    covariance: LinearCovariance
    crossfit: CrossFit
    estimate: OrthogonalEstimate
    grouped_by: str | None


def fit_cross_fitted(
    model: PartialledOLS,
    learner: Any,
    options: CrossFitOptions,
    cov_type: str | None,
    cov_kwds: Mapping[str, Any] | None,
    ssc: str | None,
    tol: float,
) -> CrossFittedFit:
    """Effects first, then learners on what is left of outcome, treatments and controls, then the orthogonal score."""
    design = model.design
    if design.controls is None or not [name for name in design.control_names if name != "Intercept"]:
        raise SpecificationError(
            "A learner was given and nothing for it to learn from.",
            "partial= names the variables of the nuisance functions.",
            'PartialledOLS.from_formula("y ~ x | firm", data, partial="z1 + z2", learner=...)',
        )
    check_choice("score", options.score, ("partialling out", "IV-type"))
    check_choice("treatments", options.treatments, ("jointly", "one at a time"))
    n_folds, n_repeats = check_count("n_folds", options.n_folds, 1), check_count("n_repeats", options.n_repeats, 1)
    entity, entity_name = _entity(model)
    kind, clusters = _covariance(model, cov_type, cov_kwds, entity)
    projection = EffectsAndControls(model.effects, None, design.weights, tol)
    features = [j for j, name in enumerate(design.control_names) if name != "Intercept"]
    controls = design.controls[:, features]
    columns = after_effects(projection, design.endog, design.exog, controls)
    kept, absorbed, collinear = model._usable(columns.d)
    used = [j for j in range(columns.z.shape[1]) if j not in columns.spanned_features]
    crossfit = cross_fit(
        columns.y,
        np.ascontiguousarray(columns.d[:, kept]),
        np.ascontiguousarray(columns.z[:, used]),
        learner,
        groups=entity,
        n_folds=n_folds,
        n_repeats=n_repeats,
        folds=options.folds,
        score=options.score,
        treatments=options.treatments,
        weights=design.weights,
        outcome_name=design.endog_name,
        treatment_names=tuple(design.exog_names[j] for j in kept),
        feature_names=tuple(design.control_names[features[j]] for j in used),
        as_observed=np.column_stack([design.exog[:, kept], controls[:, used]]),
        random_state=options.random_state,
        n_jobs=options.n_jobs,
        progress=options.progress,
    )
    _check_clusters(clusters, len(kept))
    total = projection.degrees.total
    nested = nested_dimensions(model.effects, cluster_ways(clusters, design.nobs), total) if clusters and total else 0
    estimate = orthogonal_estimate(
        crossfit,
        kind=kind,
        clusters=clusters,
        aggregation=options.aggregation,
        ssc=ssc or "none",  # type: ignore[arg-type]
        df_absorbed=total,
        df_nested=nested,
    )
    return _assembled(model, projection, columns, crossfit, estimate, (kept, absorbed, collinear), ssc, entity_name)


def _entity(model: PartialledOLS) -> tuple[Any, str | None]:
    """Codes of the entities where the data have them: folds keep an entity together."""
    index = model.panel_index(model._entity, model._time, required=False)
    return (None, None) if index is None else (index.entity_codes, index.entity_name)


def _covariance(
    model: PartialledOLS, cov_type: str | None, cov_kwds: Mapping[str, Any] | None, entity: Any
) -> tuple[str, list[Any]]:
    """Kind and clusters; clustered by entity where folds are, heteroskedastic otherwise."""
    keywords = dict(cov_kwds or {})
    reject_unknown({k: v for k, v in keywords.items() if k != "groups"}, ("groups",), "cov_kwds with a learner")
    if cov_type is None or cov_type == "nonrobust":
        cov_type = "cluster" if entity is not None or "groups" in keywords else "HC0"
    kind = _KINDS[check_choice("cov_type with a learner", cov_type, _KINDS)]
    if kind in ("HC0", "HC1"):
        return kind, []
    wanted = keywords.get("groups")
    if wanted is None:
        if entity is None:
            raise SpecificationError(
                "Clustered standard errors were asked for without clusters.",
                "The name of a column is needed.",
                'cov_kwds={"groups": "firm"}',
            )
        return kind, [entity]
    ways = wanted if isinstance(wanted, (list, tuple)) else [wanted]
    return kind, [row_codes(model, way, "clusters") for way in ways]


def _check_clusters(clusters: list[Any], n_params: int) -> None:
    for codes in clusters:
        count = len(np.unique(codes))
        if count < 2:
            raise DataError("The clusters have one level.", "Two or more are needed.", 'cov_type="HC0"')
        if count <= n_params:
            warnings.warn(
                SpecificationWarning(
                    f"There are {count} clusters for {n_params} coefficients.",
                    "Joint tests of as many restrictions as clusters are impossible.",
                    None,
                ),
                stacklevel=caller_level(),
            )


def _assembled(
    model: PartialledOLS,
    projection: EffectsAndControls,
    columns: AfterEffects,
    crossfit: CrossFit,
    estimate: OrthogonalEstimate,
    positions: tuple[list[int], list[int], list[int]],
    ssc: str | None,
    entity_name: str | None,
) -> CrossFittedFit:
    from gifepanel.models.partialling import PartialledFit

    design = model.design
    kept, absorbed, collinear = positions
    y_tilde, d_tilde = estimate.y_tilde[:, 0], estimate.d_tilde
    resid = y_tilde - d_tilde @ estimate.params
    fit = PartialledFit(
        projection,
        columns.certificate,
        y_tilde,
        d_tilde,
        tuple(kept),
        tuple(absorbed),
        tuple(collinear),
        estimate.params,
        resid,
    )
    weighted = d_tilde if design.weights is None else d_tilde * design.weights[:, None]
    df = design.nobs - len(kept) - projection.degrees.total
    covariance = LinearCovariance(
        estimate.cov,
        weighted.T @ d_tilde,
        estimate.influence.T @ estimate.influence,
        estimate.factor,
        estimate.kind,
        estimate.description,
        len(kept) + projection.degrees.total,
        df,
        np.full(len(kept), float(min(estimate.n_groups) - 1 if estimate.n_groups else df)),
        estimate.n_groups,
        ssc=ssc or "none",
        clipped=estimate.clipped,
    )
    return CrossFittedFit(fit, covariance, crossfit, estimate, entity_name)
