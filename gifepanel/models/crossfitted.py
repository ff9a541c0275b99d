"""Partialling out by cross-fitted learners (Chernozhukov et al. 2018): from a model's design to estimates."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import SpecificationError, SpecificationWarning
from gifepanel.inference.clusters import cluster_ways, nested_dimensions
from gifepanel.inference.linear_covariance import LinearCovariance
from gifepanel.inference.orthogonal import OrthogonalEstimate, orthogonal_estimate
from gifepanel.models.checkpoints import check_repeatable, checkpoint_of, likeness
from gifepanel.models.checks import check_choice, check_count, near, reject_unknown
from gifepanel.models.cov_types import check_psd, read_keywords
from gifepanel.models.crossfit_options import CrossFitOptions
from gifepanel.models.foreign import refuse_covariance_words
from gifepanel.models.linear_inference import check_convention, read_clusters, row_codes
from gifepanel.models.partialling import (
    AbsorptionOptions,
    check_converged,
    check_outcome_varies,
    noise_of,
    usable_columns,
    warn_of_aliased,
    warn_of_lost_digits,
)
from gifepanel.models.read_data import LinearData
from gifepanel.panel.text import caller_level
from gifepanel.projections.composite import EffectsAndControls
from gifepanel.projections.crossfit import AfterEffects, CrossFit, after_effects, cross_fit
from gifepanel.projections.triangle import orthogonal_triangle
from gifepanel.results.linear_inputs import CrossFittedFit, PartialledFit

__all__ = ["CrossFitOptions", "fit_cross_fitted"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_KINDS = {"HC0": "HC0", "HC1": "HC1", "robust": "HC1", "cluster": "cluster", "CR1": "cluster", "CR0": "CR0"}
_KEYS = ("groups", "psd")


def fit_cross_fitted(
    model: LinearData,
    learner: Any,
    options: CrossFitOptions,
    cov_type: str | None,
    cov_kwds: Mapping[str, Any] | None,
    ssc: str | None,
    absorption: AbsorptionOptions,
) -> CrossFittedFit:
    """Effects first, then learners on what is left of outcome, treatments and controls, then the orthogonal score.

    `absorption` says how effects are absorbed.
    """
    # checks
    design = model.design
    features = [j for j, name in enumerate(design.control_names) if name != "Intercept"]
    if design.controls is None or not features:
        raise SpecificationError(
            "A learner was given and nothing for it to learn from.",
            "partial= names the variables of the nuisance functions.",
            'PartialledOLS.from_formula("y ~ x | firm", data, partial="z1 + z2", learner=...)',
        )
    n_folds, n_repeats = _check_options(options, ssc)
    entity, entity_name = _entity(model)
    kind, clusters, cluster_names, psd = _covariance(model, cov_type, cov_kwds, (entity, entity_name))
    folds = _own_folds(model, options.folds)
    if folds is not None and n_repeats > 1:
        raise SpecificationError(
            f"n_repeats is {n_repeats}, and folds= gives folds of your own.",
            "Own folds are drawn once: repeats are rows of an array (R, n), or lists of pairs.",
            f"folds=None, n_repeats={n_repeats}",
        )

    # effects
    projection = EffectsAndControls(model.effects, None, design.weights, absorption.tol, absorption.accelerator)
    controls = design.controls[:, features]
    columns = after_effects(projection, design.endog, design.exog, controls, design.weights)
    check_converged(columns.certificate, absorption)
    check_outcome_varies(design, columns.spanned_outcome)
    spanned = np.isin(np.arange(len(design.exog_names)), columns.spanned_treatments)
    left = [int(j) for j in np.flatnonzero(~spanned)]
    root = None if design.weights is None else np.sqrt(design.weights)
    _, found = orthogonal_triangle(np.ascontiguousarray(columns.d[:, left]), root, noise=noise_of(design, left))
    others = {left[j]: [left[i] for i in those] for j, those in found.items()}
    kept, absorbed, collinear = usable_columns(replace(design, controls=None), spanned, others)
    _warn_of_few_clusters(clusters, len(kept))

    # learners, then the score
    place = checkpoint_of(
        options.checkpoint,
        "cross-fitting",
        options.random_state,
        data=(design.endog, design.exog, controls, design.weights, list(model.effects)),
        learner=None if options.checkpoint is None else likeness(learner),
        score=(options.score, options.treatments),
    )
    used = [j for j in range(columns.z.shape[1]) if j not in columns.spanned_features]
    warn_of_aliased([design.control_names[features[j]] for j in columns.spanned_features])
    crossfit = cross_fit(
        columns.y,
        np.ascontiguousarray(columns.d[:, kept]),
        np.ascontiguousarray(columns.z[:, used]),
        learner,
        groups=entity,
        n_folds=n_folds,
        n_repeats=n_repeats,
        folds=folds,
        unseen=options.unseen,
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
        checkpoint=place,
    )
    total, nested = projection.degrees.total, 0
    if clusters and total:
        ways = cluster_ways(clusters, design.nobs)
        nested = nested_dimensions(model.effects, ways, total, weights=design.weights)
    estimate = orthogonal_estimate(
        crossfit,
        kind=kind,
        clusters=clusters,
        aggregation=options.aggregation,
        ssc=ssc or "none",  # type: ignore[arg-type]
        df_absorbed=total,
        df_nested=nested,
        psd=psd,
    )
    warn_of_lost_digits(estimate.triangle, [design.exog_names[j] for j in kept])
    done = _assembled(model, projection, columns, crossfit, estimate, (kept, absorbed, collinear), ssc, entity_name)
    return replace(done, cluster_names=cluster_names)


def _entity(model: LinearData) -> tuple[Any, str | None]:
    """Codes of the entities where the data have them: folds keep an entity together."""
    index = model.panel_index(model._entity, model._time, required=False)
    return (None, None) if index is None else (index.entity_codes, index.entity_name)


def _covariance(
    model: LinearData, cov_type: Any, cov_kwds: Mapping[str, Any] | None, entity: tuple[Any, str | None]
) -> tuple[str, list[Any], tuple[str, ...], str]:
    """Kind, clusters with their names, and what to do about negative eigenvalues.

    Clustered by entity where folds are, heteroskedastic otherwise.
    """
    refuse_covariance_words(model, cov_type, cov_kwds, (*_KINDS, "nonrobust"), keys=_KEYS)
    keywords, (codes, entity_name) = read_keywords(cov_kwds), entity
    reject_unknown({k: v for k, v in keywords.items() if k not in _KEYS}, _KEYS, "cov_kwds with a learner")
    if cov_type is None or cov_type == "nonrobust":
        cov_type = "cluster" if codes is not None or "groups" in keywords else "HC0"
    if not isinstance(cov_type, str) or cov_type not in _KINDS:
        raise SpecificationError(
            f"cov_type is {cov_type!r}, and the model has a learner.",
            f"The orthogonal score has {', '.join(map(repr, _KINDS))}.",
            f"cov_type={(near(cov_type, _KINDS) or 'HC1')!r}",
        )
    kind, psd = _KINDS[cov_type], check_psd(keywords.get("psd"))
    if kind in ("HC0", "HC1"):
        if keywords:
            name = next(iter(keywords))
            raise SpecificationError(f"{name} came with cov_type={cov_type!r}.", None, 'cov_type="cluster"')
        return kind, [], (), psd
    if keywords.get("groups") is None and codes is not None:
        return kind, [codes], (str(entity_name),), psd
    clusters, names = read_clusters(model, keywords.get("groups"))
    return kind, list(clusters), names, psd


def _check_options(options: CrossFitOptions, ssc: Any) -> tuple[int, int]:
    """Numbers of folds and repeats; all other options are named if they are wrong."""
    check_choice("score", options.score, ("partialling out", "IV-type"))
    check_choice("treatments", options.treatments, ("jointly", "one at a time"))
    check_choice("aggregation", options.aggregation, ("median", "mean", "bounds"))
    check_choice("unseen", options.unseen, ("raise", "warn"))
    check_repeatable(options.random_state, options.checkpoint)
    if ssc is not None:
        check_convention(ssc)
    jobs: Any = options.n_jobs
    if jobs is not None and (isinstance(jobs, bool) or not isinstance(jobs, numbers.Integral) or jobs == 0):
        raise SpecificationError(f"n_jobs is {jobs!r}.", "It is a number of workers, -1 for one per core.", "n_jobs=2")
    n_folds = check_count("n_folds", options.n_folds, 1, usual=5)
    return n_folds, check_count("n_repeats", options.n_repeats, 1, usual=1)


def _own_folds(model: LinearData, given: Any) -> Any:
    """The caller's folds; labels, or a column of them, on the rows of the sample."""
    if isinstance(given, numbers.Integral) and not isinstance(given, bool):
        raise SpecificationError(f"folds is {given}.", "It holds folds of your own.", f"n_folds={max(2, int(given))}")
    rows = isinstance(given, (pd.Series, pd.Index)) or (isinstance(given, np.ndarray) and given.ndim == 1)
    return row_codes(model, given, "folds") if rows or isinstance(given, str) else given


def _warn_of_few_clusters(clusters: list[Any], n_params: int) -> None:
    for codes in clusters:
        count = len(np.unique(codes))
        if count <= n_params:
            warnings.warn(
                SpecificationWarning(
                    f"There are {count} clusters for {n_params} coefficients.",
                    "Joint tests of as many restrictions as clusters are impossible.",
                    "Test fewer restrictions at once, or use finer clusters.",
                ),
                stacklevel=caller_level(),
            )


def _assembled(
    model: LinearData,
    projection: EffectsAndControls,
    columns: AfterEffects,
    crossfit: CrossFit,
    estimate: OrthogonalEstimate,
    positions: tuple[list[int], list[int], list[int]],
    ssc: str | None,
    entity_name: str | None,
) -> CrossFittedFit:
    design = model.design
    kept, absorbed, collinear = positions
    y_tilde, d_tilde = estimate.y_tilde[:, 0], estimate.d_tilde
    resid = y_tilde - d_tilde @ estimate.params
    triangle = estimate.triangle
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
        triangle,
    )
    df = design.nobs - len(kept) - projection.degrees.total
    covariance = LinearCovariance(
        cov=estimate.cov,
        bread=triangle.gram,
        meat=estimate.influence.T @ estimate.influence,
        factor=estimate.factor,
        kind=estimate.kind,
        description=estimate.description,
        df_params=len(kept) + projection.degrees.total,
        df_resid=df,
        df_inference=np.full(len(kept), float(min(estimate.n_groups) - 1 if estimate.n_groups else df)),
        n_groups=estimate.n_groups,
        ssc=ssc or "none",
        clipped=estimate.clipped,
        without=estimate.without,
        gross=estimate.gross,
        triangle=triangle,
        core=estimate.core,
    )
    return CrossFittedFit(fit, covariance, crossfit, estimate, entity_name)
