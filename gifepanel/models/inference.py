"""From `cov_type`, `cov_kwds` and `bias_correction` as statsmodels' users spell them to the inference layer."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import DataError, SpecificationError, SpecificationWarning, caller_level
from gifepanel.inference.bias import BiasResult, bias_terms
from gifepanel.inference.cell_bias import bias_of_cells
from gifepanel.inference.cell_estimate import CellEstimate
from gifepanel.inference.covariance import CovarianceResult, covariance_of_none, factor_covariance
from gifepanel.inference.design_effect import design_effect_of_covariances
from gifepanel.inference.estimate import FactorEstimate
from gifepanel.inference.estimated_groups import missing_information
from gifepanel.inference.soft_groups import SoftGroups, missing_at_soft_groups, soft_groups
from gifepanel.models.cell_halves import check_halves_of, jackknifed
from gifepanel.models.checks import (
    check_choice,
    check_count,
    check_flag,
    check_halves,
    check_identified,
    near,
    warn_of_near_columns,
)
from gifepanel.models.cov_types import (
    SAME_KINDS,
    check_correction,
    check_df_correction,
    check_psd,
    check_scale,
    known_cov_type,
    one_level,
    read_keywords,
)
from gifepanel.models.estimation import estimate_at, estimate_at_soft_groups, polished
from gifepanel.models.foreign import refuse_covariance_words
from gifepanel.models.read_data import CellFactorData, FactorData
from gifepanel.panel.balance import warn_of_gaps
from gifepanel.panel.frames import split_reading
from gifepanel.results.inputs import Inference
from gifepanel.solvers.interactive import SlopeMap

__all__ = ["BiasChoice", "CovarianceChoice", "infer", "read_bias_correction", "read_covariance"]

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

_KINDS = {
    **SAME_KINDS,
    "HAC": "HAC",
    "hac-panel": "HAC",
    "nw-panel": "HAC",
    "cluster": "cluster",
    "CR1": "cluster",
    "hac-groupsum": "driscoll-kraay",
    "nw-groupsum": "driscoll-kraay",
    "driscoll-kraay": "driscoll-kraay",
}
_KEYWORDS = {
    "nonrobust": (),
    "fixed scale": ("scale",),
    "HC0": (),
    "HC1": (),
    "HAC": ("maxlags", "kernel", "groups", "time", "use_correction", "df_correction", "psd"),
    "cluster": ("groups", "use_correction", "df_correction", "psd"),
    "driscoll-kraay": ("maxlags", "kernel", "time", "use_correction", "df_correction", "psd"),
}
_NEEDS = {
    "HC2": "The leverage it needs is not defined with estimated factors.",
    "HC3": "The leverage it needs is not defined with estimated factors.",
    "CR2": "It adjusts for leverages of clusters, which are not defined with estimated factors.",
    "CR3": "It leaves out one cluster after the other, and each time has other factors.",
    "cluster-crv3": "It leaves out one cluster after the other, and each time has other factors.",
    "cluster-jk": "It leaves out one cluster after the other, and each time has other factors.",
}
_REFUSED = {name.upper() for name in _NEEDS}
_BIAS_KINDS = ("jackknife", "analytic", "dynamic", "moon-weidner", "moon-weidner-b1", "none")


@dataclass(frozen=True)
class CovarianceChoice:
    """A covariance estimator ready to be applied to an estimate."""

    kind: str
    maxlags: int | None
    kernel: str | None
    groups: tuple[IntArray, ...] | None
    group_names: tuple[str, ...]
    ssc: bool
    use_t: bool
    df_correction: bool = True
    scale: float | None = None
    psd: str = "none"
    groups_known: bool = False
    soft: SoftGroups | None = None

    def __call__(self, estimate: FactorEstimate, names: Sequence[str]) -> CovarianceResult:
        out = self._given_groups(estimate, names)
        if self.groups_known or len(estimate.slots) < 2:
            return out
        independent = independent_covariance(estimate)
        if self.soft is not None:
            return out.allowing_for_groups(missing_at_soft_groups(estimate, self.soft, out.cov, independent))
        return out.allowing_for_groups(missing_information(estimate, out.cov, independent))

    def mixture(self, estimate: FactorEstimate, names: Sequence[str]) -> SoftGroups:
        """The mixture at the factors of an estimate, tempered by the design effect of these errors."""
        known = self._given_groups(estimate, names).cov
        phi = design_effect_of_covariances(known, independent_covariance(estimate))
        return soft_groups(estimate, design_effect=phi)

    def _given_groups(self, estimate: FactorEstimate, names: Sequence[str]) -> CovarianceResult:
        if not estimate.theta.size:
            return covariance_of_none(self.kind, estimate.df.residual)
        out = factor_covariance(
            estimate.blocks if estimate.in_blocks else estimate.z_projected,
            estimate.wresid,
            df_resid=estimate.df.residual,
            kind="nonrobust" if self.scale is not None else self.kind,  # type: ignore[arg-type]
            maxlags=self.maxlags,
            kernel=self.kernel,  # type: ignore[arg-type]
            groups=self.groups,
            ssc=self.ssc,
            psd=self.psd,
            names=names,
            triangle=estimate.triangle,
            observed=estimate.observed,
        )
        if self.scale is not None:
            return out.at_scale(self.scale, scale=1.0)
        return out if self.df_correction else replace(out, df_inference=float(estimate.df.residual))


def independent_covariance(estimate: FactorEstimate) -> Array:
    """Covariance of the slopes (q, q), groups given, under independent errors with one variance."""
    return np.asarray(estimate.ssr / estimate.df.residual * estimate.triangle.inverse)


def read_covariance(
    model: FactorData,
    cov_type: str,
    cov_kwds: Mapping[str, Any] | None,
    ssc: bool,
    use_t: bool | None,
    *,
    groups_known: bool = False,
    call: str = "fit",
) -> CovarianceChoice:
    """Check the options and look the clusters up, before any estimation; t for "nonrobust" unless told otherwise."""
    if str(cov_type).upper() not in _REFUSED:
        keys = {key for known in _KEYWORDS.values() for key in known}
        refuse_covariance_words(model, cov_type, cov_kwds, _KINDS, call=call, keys=keys)
    cov_type = known_cov_type(cov_type, (*_KINDS, *_NEEDS) if str(cov_type).upper() in _REFUSED else _KINDS)
    if cov_type in _NEEDS:
        fix = 'cov_type="HC1"' if cov_type.startswith("HC") else 'cov_type="cluster"'
        raise SpecificationError(f"cov_type is {cov_type!r}.", _NEEDS[cov_type], fix)
    kind = _KINDS[cov_type]
    keywords = _keywords(cov_type, kind, cov_kwds)
    correction = check_correction(keywords.get("use_correction"), cov_type)
    if kind in ("HAC", "driscoll-kraay"):
        model.design.index.require_distances(f"Standard errors of type {cov_type!r}")
        _check_own_ids(model, keywords)
        warn_of_gaps(model.design.index, f"Standard errors of type {cov_type!r}")
    codes, names = _clusters(model, keywords.get("groups")) if kind == "cluster" else (None, ())
    maxlags, kernel = keywords.get("maxlags"), keywords.get("kernel")
    if use_t is None:
        use_t = (cov_kwds or {}).get("use_t")
    return CovarianceChoice(
        kind,
        None if maxlags is None else check_count("maxlags", maxlags, 0, model.n_times - 1),
        None if kernel is None else check_choice("kernel", kernel, ("uniform", "bartlett")),
        codes,
        names,
        check_flag("ssc", ssc) and correction is not False,
        kind == "nonrobust" if use_t is None else check_flag("use_t", use_t),
        check_df_correction(keywords.get("df_correction")),
        check_scale(keywords.get("scale", 1.0)) if kind == "fixed scale" else None,
        check_psd(keywords.get("psd")),
        check_flag("groups_known", groups_known),
    )


def _check_own_ids(model: FactorData, keywords: Mapping[str, Any]) -> None:
    """statsmodels asks who and when for sums over time; here the panel says so, and nothing else can."""
    index = model.design.index
    for key, own, codes in (
        ("groups", index.entity_name, index.entity_codes),
        ("time", index.time_name, index.time_codes),
    ):
        given = keywords.get(key)
        if given is None or (isinstance(given, str) and split_reading(given, ())[0] == own):
            continue
        if not isinstance(given, str):
            found = pd.factorize(_labels(model, given))[0].astype(np.int64)
            pairs = len(np.unique(found * (int(codes.max()) + 1) + codes))
            if pairs == found.max() + 1 == codes.max() + 1:
                continue
        raise SpecificationError(
            f"{key} is {given!r}." if isinstance(given, str) else f"{key} are not those of the panel.",
            f"The panel's own {own!r} is used; a model with factors has no other.",
            f"Leave {key!r} out.",
        )


def _keywords(cov_type: str, kind: str, cov_kwds: Mapping[str, Any] | None) -> dict[str, Any]:
    """A copy of `cov_kwds` with known keys only, ``use_t`` aside."""
    keywords = read_keywords(cov_kwds)
    known = _KEYWORDS[kind]
    unknown = {name: value for name, value in keywords.items() if name not in known}
    if unknown:
        name = next(iter(unknown))
        meant = near(name, known) or name
        raise SpecificationError(
            f"cov_kwds of cov_type={cov_type!r} has an unknown key {name!r}.",
            f"It knows {', '.join(known)}." if known else "There are none for this type.",
            f"cov_kwds={{{meant!r}: {unknown[name]!r}}}" if meant != name else f"Leave {name!r} out.",
        )
    return keywords


def _clusters(model: FactorData, wanted: Any) -> tuple[tuple[IntArray, ...], tuple[str, ...]]:
    """Codes (N, T) and name of every way of clustering; the entities by default."""
    ways = _ways(model, model.design.index.entity_name if wanted is None else wanted)
    if not ways:
        raise SpecificationError("The list of clusters is empty.", "It needs one way.", 'cov_kwds={"groups": "column"}')
    names = [way if isinstance(way, str) else str(getattr(way, "name", None) or "groups") for way in ways]
    return tuple(_cluster_codes(model, way, name) for way, name in zip(ways, names, strict=True)), tuple(names)


def _ways(model: FactorData, wanted: Any) -> list[Any]:
    """One entry per way: a name, or labels of all rows. Two columns are two ways, as in statsmodels."""
    if isinstance(wanted, str):
        return [wanted]
    if isinstance(wanted, pd.DataFrame):
        return [wanted[name] for name in wanted.columns]
    if isinstance(wanted, (list, tuple)):
        one_way = len(wanted) in (model.design.esample.size, model.design.endog.size)
        return [np.asarray(wanted, dtype=object)] if one_way else list(wanted)
    values = np.asarray(wanted)
    if values.ndim == 2 and values.shape[0] in (model.design.esample.size, model.design.endog.size):
        return list(values.T)
    return [wanted]


def _cluster_codes(model: FactorData, way: Any, name: str) -> IntArray:
    """Codes (N, T) of one way of clustering, named or given row by row."""
    index = model.design.index
    if isinstance(way, str):
        if model._source is None and way not in (index.entity_name, index.time_name):
            raise DataError(
                f"There is no frame to look {way!r} up in.",
                "Models from arrays have none, and results that were pickled leave it out.",
                f'cov_kwds={{"groups": data[{way!r}]}}',
            )
        codes, _ = model.design.codes_of(model._source, way)
    else:
        codes, _ = pd.factorize(_labels(model, way))
        if (codes < 0).any():
            raise DataError(
                f"The clusters ({name}) are missing in {int((codes < 0).sum())} rows.",
                "Every observation needs one.",
                "Fill or drop those rows.",
            )
    if codes.size and codes.min() == codes.max():
        raise one_level(f"({name})")
    cube: IntArray = np.zeros((index.n_entities, index.n_times), dtype=np.int64)
    cube[index.entity_codes, index.time_codes] = codes
    return cube


def _labels(model: FactorData, way: Any) -> Any:
    """One label per row of the sample; a Series is put into the order of the data where its index tells."""
    design = model.design
    if isinstance(way, pd.Series) and isinstance(model._source, pd.DataFrame):
        rows = model._source.index
        if len(way) == len(rows) and rows.is_unique and not way.index.equals(rows) and way.index.isin(rows).all():
            way = way.reindex(rows)
    values = np.asarray(way)
    shape = (design.index.n_entities, design.index.n_times)
    if design.index.source == "cubes" and values.shape in (shape, shape[:1]):
        cells = np.broadcast_to(values if values.ndim == 2 else values[:, None], shape)
        return cells[design.index.entity_codes, design.index.time_codes]
    values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if values.shape == (design.esample.size,):
        return values[design.esample]
    if values.shape != (design.endog.size,):
        raise DataError(
            f"The clusters have shape {values.shape}.",
            f"One label is needed for each of the {design.endog.size} observations.",
            'cov_kwds={"groups": "name of a column"}',
        )
    return values


@dataclass(frozen=True)
class BiasChoice:
    """Which bias correction, with its bandwidths.

    Attributes
    ----------
    kind : {"none", "dynamic", "analytic", "moon-weidner-b1", "moon-weidner", "jackknife"}
        "dynamic" is B1 alone, "analytic" all three terms, both with the deconvolved B1; the names of Moon and Weidner
        are the same with B1 as published.
    predetermined : tuple of int
        Regressors that react to past errors, which turn B1 on.
    m1, m2 : int or None
    """

    kind: str
    predetermined: tuple[int, ...]
    m1: int | None
    m2: int | None

    @property
    def deconvolved(self) -> bool:
        """Whether B1 gives back what the projection of residuals takes."""
        return self.kind in ("dynamic", "analytic")

    @property
    def heteroskedastic(self) -> bool:
        """Whether B2 and B3 are among the terms."""
        return self.kind in ("analytic", "moon-weidner")


def read_bias_correction(model: CellFactorData, requested: Any, n_slopes: int, m1: Any, m2: Any) -> BiasChoice:
    """Check the options, before any estimation."""
    if requested is None:
        kind = "dynamic" if model._lags else "none"
    elif isinstance(requested, (bool, np.bool_)):
        kind = "analytic" if requested else "none"
    else:
        kind = check_choice("bias_correction", requested, _BIAS_KINDS)
    n, t = model.n_entities, model.n_times
    if kind != "none":
        model.design.index.require_distances("Bias corrections")
    if kind == "jackknife":
        check_halves(t, model.n_factors, n_slopes, n, model.entity_effects, model.time_effects)
        check_halves_of(model)
    if kind in ("dynamic", "moon-weidner-b1") and not model._predetermined:
        raise SpecificationError(
            f'bias_correction is "{kind}", and no regressor is predetermined.',
            "It corrects for regressors that react to past errors.",
            f'predetermined=["{model._names[0]}"]',
        )
    return BiasChoice(
        kind,
        model._predetermined,
        None if m1 is None else check_count("m1", m1, 1, t - 1),
        None if m2 is None else check_count("m2", m2, 0, t - 1),
    )


def correct_bias(
    choice: BiasChoice, estimate: FactorEstimate, periods: IntArray, jackknife: Callable[[], Array]
) -> tuple[Array, BiasResult | None]:
    """Corrected slopes (q,), and the analytic terms where they were used; lags are differences of `periods` (T,)."""
    if choice.kind == "none":
        return estimate.theta, None
    if choice.kind == "jackknife":
        return jackknife(), None
    affected = np.unique(estimate.slots[:, list(choice.predetermined)])
    options: dict[str, Any] = {"deconvolved": choice.deconvolved, "heteroskedastic": choice.heteroskedastic}
    options |= {"m1": choice.m1, "m2": choice.m2, "periods": periods}
    if isinstance(estimate, CellEstimate):
        terms = bias_of_cells(estimate, predetermined=choice.predetermined, **options)
    else:
        terms = _bias_of_panel(estimate, affected.tolist() if choice.deconvolved else affected.size > 0, options)
    if affected.size and not terms.m1:
        _warn_of_no_lags(estimate.shape[1])
    return terms.corrected(estimate.theta), terms


def _bias_of_panel(estimate: FactorEstimate, predetermined: Any, options: Mapping[str, Any]) -> BiasResult:
    """Bias terms of a complete panel."""
    n, t = estimate.shape
    return bias_terms(
        estimate.z_effects,
        estimate.resid,
        estimate.factors if estimate.n_factors else None,
        estimate.loadings if estimate.n_factors else None,
        estimate.bread,
        known_factors=np.ones((t, 1)) if estimate.entity_effects else None,
        known_loadings=np.ones((n, 1)) if estimate.time_effects else None,
        predetermined=predetermined,
        root=estimate.triangle.root,
        **options,
    )


def lag_units(periods: IntArray) -> IntArray:
    """Periods (T,) in units of the largest step that divides all their distances, from 0."""
    steps = np.asarray(periods, dtype=np.int64) - periods[0]
    return np.asarray(steps // max(1, int(np.gcd.reduce(steps))))


def _warn_of_no_lags(n_times: int) -> None:
    warnings.warn(
        SpecificationWarning(
            f"The bias of predetermined regressors was not corrected: {n_times} periods are too few for these factors.",
            "Residuals say nothing of the covariance of errors with later regressors.",
            'bias_correction="moon-weidner"',
        ),
        stacklevel=caller_level(),
    )


def infer(
    model: CellFactorData,
    estimate: FactorEstimate,
    names: Sequence[str],
    bias: BiasChoice,
    covariance: CovarianceChoice,
    *,
    soft: bool = False,
) -> Inference:
    """Bias correction, the estimate at the corrected slopes, and the covariance of the least-squares slopes.

    Parameters
    ----------
    model : FactorData
    estimate : FactorEstimate
    names : sequence of str
        Of the slopes (q,).
    bias : BiasChoice
    covariance : CovarianceChoice
    soft : bool
        Whether slopes are those of a mixture of groups: the correction of the least-squares slopes is added to them.

    Raises
    ------
    DataError
        If factors and effects leave a regressor without variation of its own.
    """
    check_identified(estimate, names, model._names, model.n_groups > 1)
    if model.n_groups > 1:
        warn_of_near_columns(estimate, names)
    estimate = polished(model, estimate)
    slopes = SlopeMap(estimate.groups, estimate.slots)
    steps = lag_units(model.design.index.periods)
    params, terms = correct_bias(bias, estimate, steps, lambda: jackknifed(model, slopes, estimate.theta, names))
    mixture = covariance.mixture(estimate, names) if soft else None
    if mixture is None:
        final = estimate_at(model, estimate, params)
    else:
        covariance, params = replace(covariance, soft=mixture), mixture.theta + (params - estimate.theta)
        final = estimate_at_soft_groups(model, estimate, params, mixture.posterior)
    return Inference(
        estimate,
        final,
        params,
        terms,
        bias.kind,
        covariance(estimate, names),
        covariance.group_names,
        covariance.ssc,
        covariance.use_t,
        mixture,
        covariance.groups,
    )
