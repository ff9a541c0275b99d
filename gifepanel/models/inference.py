"""From `cov_type`, `cov_kwds` and `bias_correction` as statsmodels' users spell them to the inference layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.inference.bias import BiasResult, bias_terms
from gifepanel.inference.covariance import CovarianceResult, factor_covariance
from gifepanel.inference.estimate import FactorEstimate
from gifepanel.inference.halfpanel import half_panel_jackknife
from gifepanel.models.checks import check_choice, reject_unknown

if TYPE_CHECKING:
    from gifepanel.models.base import FactorModel

__all__ = ["CovarianceChoice", "bias_correction_kind", "correct_bias", "read_covariance"]

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

_KINDS = {
    "nonrobust": "nonrobust",
    "HC0": "HC0",
    "HC1": "HC1",
    "robust": "HC1",
    "HAC": "HAC",
    "hac-panel": "HAC",
    "cluster": "cluster",
    "hac-groupsum": "driscoll-kraay",
    "driscoll-kraay": "driscoll-kraay",
}
_KEYWORDS = {
    "nonrobust": (),
    "HC0": (),
    "HC1": (),
    "HAC": ("maxlags", "kernel"),
    "cluster": ("groups",),
    "driscoll-kraay": ("maxlags", "kernel"),
}


@dataclass(frozen=True)
class CovarianceChoice:
    """A covariance estimator ready to be applied to an estimate."""

    kind: str
    maxlags: int | None
    kernel: str | None
    groups: tuple[IntArray, ...] | None
    group_names: tuple[str, ...]
    ssc: bool

    def __call__(self, estimate: FactorEstimate) -> CovarianceResult:
        return factor_covariance(
            estimate.z_projected,
            estimate.resid,
            df_resid=estimate.df.residual,
            kind=self.kind,  # type: ignore[arg-type]
            maxlags=self.maxlags,
            kernel=self.kernel,  # type: ignore[arg-type]
            groups=self.groups,
            ssc=self.ssc,
        )


def read_covariance(
    model: FactorModel, cov_type: str, cov_kwds: Mapping[str, Any] | None, ssc: bool
) -> CovarianceChoice:
    """Check the options and look the clusters up, before any estimation."""
    if cov_type in ("HC2", "HC3"):
        raise SpecificationError(
            f"cov_type is {cov_type!r}.",
            "The leverage it needs is not defined with estimated factors.",
            'cov_type="HC1"',
        )
    kind = _KINDS[check_choice("cov_type", cov_type, _KINDS)]
    keywords = dict(cov_kwds or {})
    keywords.pop("use_t", None)
    reject_unknown(
        {k: v for k, v in keywords.items() if k not in _KEYWORDS[kind]}, _KEYWORDS[kind], f"cov_type={cov_type!r}"
    )
    codes: list[IntArray] | None = None
    names: tuple[str, ...] = ()
    if kind == "cluster":
        wanted = keywords.get("groups", model.design.index.entity_name)
        ways = wanted if isinstance(wanted, (list, tuple)) and not _is_codes(model, wanted) else [wanted]
        codes = [_cluster_codes(model, way) for way in ways]
        names = tuple(way if isinstance(way, str) else getattr(way, "name", None) or "groups" for way in ways)
    return CovarianceChoice(
        kind,
        keywords.get("maxlags"),
        keywords.get("kernel"),
        tuple(codes) if codes is not None else None,
        names,
        bool(ssc),
    )


def _is_codes(model: FactorModel, values: Any) -> bool:
    return len(values) == model.design.endog.size and not isinstance(values[0], str)


def _cluster_codes(model: FactorModel, way: Any) -> IntArray:
    """Codes (N, T) of one way of clustering, named or given row by row."""
    index = model.design.index
    if isinstance(way, str):
        codes, _ = model.design.codes_of(model._source, way)
    else:
        values = np.asarray(way)
        if values.shape[:1] == (model.design.esample.size,):
            values = values[model.design.esample]
        if values.shape != (index.nobs,):
            raise DataError(
                f"The clusters have shape {np.shape(way)}.",
                f"One label is needed for each of the {index.nobs} observations.",
                'cov_kwds={"groups": "name of a column"}',
            )
        if values.dtype.kind == "f" and np.isnan(values).any():
            raise DataError("The clusters hold NaN.", "Every observation needs one.", "Fill or drop those rows.")
        _, codes = np.unique(values, return_inverse=True)
    if np.unique(codes).size < 2:
        raise DataError(
            f"The clusters {way if isinstance(way, str) else ''} have one level.",
            "Two or more are needed, and dozens to trust the result.",
            'cov_type="HC1"',
        )
    cube = np.empty(index.nobs, dtype=np.int64)
    cube[:] = np.asarray(codes)[index.order]
    return cube.reshape(index.n_entities, index.n_times)


def bias_correction_kind(requested: Any, dynamic: bool) -> str:
    """One of "none", "dynamic" (B1 alone), "analytic" (all three) and "jackknife"."""
    if requested is None:
        return "dynamic" if dynamic else "none"
    if requested is True:
        return "analytic"
    if requested is False:
        return "none"
    return check_choice("bias_correction", requested, ("jackknife", "analytic", "dynamic", "none"))


def correct_bias(
    kind: str,
    estimate: FactorEstimate,
    *,
    predetermined: bool,
    m1: int | None,
    m2: int | None,
    reestimate: Callable[[slice], Array],
) -> tuple[Array, BiasResult | None]:
    """Corrected slopes (q,), and the analytic terms where they were used."""
    if kind == "none":
        return estimate.theta, None
    if kind == "jackknife":
        return half_panel_jackknife(estimate.theta, estimate.shape[1], reestimate), None
    n, t = estimate.shape
    terms = bias_terms(
        estimate.z_effects,
        estimate.resid,
        estimate.factors if estimate.n_factors else None,
        estimate.loadings if estimate.n_factors else None,
        estimate.bread,
        known_factors=np.ones((t, 1)) if estimate.entity_effects else None,
        known_loadings=np.ones((n, 1)) if estimate.time_effects else None,
        predetermined=predetermined,
        heteroskedastic=kind == "analytic",
        m1=m1,
        m2=m2,
    )
    return terms.corrected(estimate.theta), terms
