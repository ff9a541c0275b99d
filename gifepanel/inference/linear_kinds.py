"""Kinds of covariance after partialling out: their names, the options they take, degrees of freedom and words."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from gifepanel.exceptions import SpecificationError
from gifepanel.inference.definite import PSD
from gifepanel.inference.small_sample import SampleCounts
from gifepanel.inference.space import FloatArray

__all__ = ["ALIASES", "CLUSTERED", "TIMED", "LinearKind", "check_options", "degrees_of_inference", "describe"]

LinearKind = Literal[
    "nonrobust",
    "HC0",
    "HC1",
    "HC2",
    "HC3",
    "CR0",
    "cluster",
    "CR2",
    "cluster-crv3",
    "cluster-jk",
    "HAC",
    "hac-panel",
    "hac-groupsum",
]
_KINDS: tuple[str, ...] = get_args(LinearKind)
ALIASES = {
    "CR1": "cluster",
    "CR3": "cluster-crv3",
    "HAC-Panel": "hac-panel",
    "nw-panel": "hac-panel",
    "HAC-Groupsum": "hac-groupsum",
    "nw-groupsum": "hac-groupsum",
}
CLUSTERED = ("CR0", "cluster", "CR2", "cluster-crv3", "cluster-jk")
TIMED = ("HAC", "hac-panel", "hac-groupsum")


def degrees_of_inference(kind: str, counts: SampleCounts, ssc: str, k: int) -> FloatArray:
    """Degrees of freedom (k,) for t statistics, but for those that a kind finds for each coefficient."""
    df = counts.df_resid
    if kind in CLUSTERED:
        df = min(counts.n_groups) - 1
    elif kind == "hac-groupsum" or (kind == "hac-panel" and ssc == "fixest"):
        df = counts.n_periods - 1
    elif kind == "hac-panel" and ssc != "stata":
        df = counts.n_entities - 1
    return np.full(k, float(df))


def check_options(
    kind: str,
    clusters: object,
    nuisance: object,
    leverage: object,
    entity: object,
    time: object,
    maxlags: object,
    kernel: str,
    psd: str,
) -> None:
    """Refuse an unknown kind, and options that it does not take or that it needs and did not get."""
    if kind not in _KINDS:
        raise SpecificationError(
            f"Unknown covariance type {kind!r}.", f"Known are {', '.join(_KINDS)}.", "Use 'HC1', say."
        )
    for name, value, allowed in (("kernel", kernel, ("bartlett", "uniform")), ("psd", psd, PSD)):
        if value not in allowed:
            raise SpecificationError(
                f"{name}={value!r} is unknown.", f"Known are {', '.join(allowed)}.", f"Use {name}={allowed[0]!r}."
            )
    needs = (
        ("clusters", clusters, kind in CLUSTERED, CLUSTERED),
        ("entity", entity, kind == "hac-panel", ("hac-panel",)),
        ("time", time, kind in ("hac-panel", "hac-groupsum"), TIMED),
        ("maxlags", maxlags, False, TIMED),
        ("leverage", leverage, False, ("HC2", "HC3")),
        ("nuisance", nuisance, False, ("CR2", "cluster-crv3", "cluster-jk")),
    )
    for name, given, required, takers in needs:
        if given is None and required:
            raise SpecificationError(f"cov_type={kind!r} came without {name}.", "It is needed.", f"Pass {name}=....")
        if given is not None and kind not in takers:
            raise SpecificationError(
                f"{name} came with cov_type={kind!r}.",
                f"It belongs to {', '.join(takers)}.",
                f"Leave {name} out, or use cov_type={takers[0]!r}.",
            )


def describe(kind: str, counts: SampleCounts, maxlags: int | None, kernel: str) -> str:
    """What a summary calls the covariance."""
    ways = " x ".join(str(g) for g in counts.n_groups)
    lags = "" if maxlags is None else f"{kernel} kernel, {maxlags} lags"
    names = {
        "nonrobust": "homoskedastic",
        "CR0": f"clustered (CR0, {ways} clusters)",
        "cluster": f"clustered ({ways} clusters)",
        "CR2": f"clustered (CR2, Bell-McCaffrey, {ways} clusters)",
        "cluster-crv3": f"clustered (CR3, {ways} clusters)",
        "cluster-jk": f"clustered (jackknife around its mean, {ways} clusters)",
        "HAC": f"HAC ({lags})",
        "hac-panel": f"Newey-West within entities ({lags})",
        "hac-groupsum": f"Driscoll-Kraay ({lags})",
    }
    return names.get(kind, f"heteroskedasticity-robust ({kind})")
