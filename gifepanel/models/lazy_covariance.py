"""Covariances from sums of scores at an engine: which there are, their clusters and times, and the sums themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.inference.linear_covariance import LinearCovariance, covariance_of_sums
from gifepanel.inference.small_sample import SampleCounts
from gifepanel.lazy_rows.sample import LazySample
from gifepanel.lazy_rows.sums import sum_by
from gifepanel.models.checks import check_choice, check_count, reject_unknown
from gifepanel.models.cov_types import (
    check_df_correction,
    check_psd,
    check_scale,
    known_cov_type,
    one_level,
    read_keywords,
    warn_of_distance,
    warn_of_rank,
)
from gifepanel.models.lazy_design import LazyDesign
from gifepanel.models.lazy_fit import LazyParts
from gifepanel.panel.codes import Codes, code_labels
from gifepanel.panel.frames import read_as, split_reading
from gifepanel.panel.index import PanelIndex
from gifepanel.panel.names import unknown_names
from gifepanel.results.linear_inputs import SummedFit

__all__ = ["LazyChoice", "read_lazy_covariance"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_SUMS = ("nonrobust", "fixed scale", "HC0", "HC1", "cluster", "CR0", "hac-groupsum")
_INSTEAD = {"HC2": "HC1", "HC3": "HC1", "CR2": "cluster", "cluster-crv3": "cluster", "cluster-jk": "cluster"}


@dataclass(frozen=True, eq=False)
class LazyChoice:
    """A covariance estimator with its clusters and times found at the engine.

    Attributes
    ----------
    kind : str
    ways : tuple of tuple of str
        Columns whose combinations are the clusters, by way.
    counts : tuple of int
        Clusters of each way.
    cluster_names : tuple of str
    time : str or None
        Column of the periods.
    periods : PanelIndex or None
        When they are, on the levels of the column in the order of `levels`.
    levels : pandas.Index
    options, ssc, df_correction, scale : as of LinearChoice
    """

    kind: str
    ways: tuple[tuple[str, ...], ...]
    counts: tuple[int, ...]
    cluster_names: tuple[str, ...]
    time: str | None
    periods: PanelIndex | None
    levels: pd.Index
    options: Mapping[str, Any]
    ssc: str
    df_correction: bool = True
    scale: float | None = None
    nested: dict[tuple[int, int], bool] = field(default_factory=dict)

    @property
    def clusters(self) -> tuple[tuple[str, ...], ...]:
        """The ways."""
        return self.ways

    def __call__(self, model: Any, fit: SummedFit) -> LinearCovariance:
        """The covariance of the coefficients of `fit`."""
        design: LazyDesign = model.design
        parts: LazyParts = replace(fit.parts, sample=design.sample)  # with keys that were made since
        kind = "nonrobust" if self.scale is not None else self.kind
        k = len(fit.kept)
        absorbed = fit.projection.degrees.total
        counts = SampleCounts(design.nobs, k + absorbed, self._nested(design, parts), self.counts)
        terms = self._terms(parts) if self.ways else ()
        out = covariance_of_sums(
            kind,
            fit.triangle,
            counts,
            ssr=fit.sums.ssr,
            squares=np.zeros((k, k)) if kind == "nonrobust" or len(self.ways) == 1 else parts.scores.squares,
            terms=terms,
            periods=self._sums_of_periods(parts, k) if self.kind == "hac-groupsum" else None,
            ssc=self.ssc,  # type: ignore[arg-type]
            names=[design.exog_names[j] for j in fit.kept],
            **self.options,
        )
        if self.scale is not None:
            return out.at_scale(self.scale, factor=(1.0,))
        return out if self.df_correction else replace(out, df_inference=np.full(k, float(out.df_resid)))

    def contrasts(self, model: Any, fit: Any, rows: Array) -> Any:
        """None: they belong to CR2."""
        raise SpecificationError("Contrasts belong to CR2.", "It needs rows in memory.", 'cov_type="cluster"')

    def _terms(self, parts: LazyParts) -> list[tuple[int, Array, int]]:
        """Sign, products of sums of scores and number of clusters of every term."""
        out = []
        for size in range(1, len(self.ways) + 1):
            for subset in combinations(self.ways, size):
                keys = tuple(dict.fromkeys(name for way in subset for name in way))
                products, groups = parts.products_by(keys)
                out.append(((-1) ** (size + 1), products, groups))
        return out

    def _sums_of_periods(self, parts: LazyParts, k: int) -> tuple[Array, Any]:
        assert self.time is not None and self.periods is not None
        frame = sum_by(parts.sample, parts.frame((self.time,)), k, (self.time,))
        home = parts.sample.rows.bring(frame, "sums of scores by period", reads=parts.reads)
        when = np.asarray(self.periods.periods[self.periods.time_codes], dtype=np.int64)
        at = self.levels.get_indexer(pd.Index(home.labels(self.time)))
        return home.matrix([f"__s{j}" for j in range(k)]), when[at]

    def _nested(self, design: LazyDesign, parts: LazyParts) -> int:
        """Dimensions that effects nested in clusters take beyond a constant; see ``nested_dimensions``."""
        system = parts.solved.system
        if not self.ways or system is None:
            return 0
        effects = parts.sample.effects
        inside = [any(self._is_nested(parts.sample, e, w) for w in range(len(self.ways))) for e in range(len(effects))]
        if not any(inside):
            return 0
        outside = [e for e in range(len(effects)) if not inside[e]]
        return max(0, parts.solved.degrees.total - system.rank_of(outside))

    def _is_nested(self, sample: LazySample, e: int, w: int) -> bool:
        """Whether every level of an effect is in one cluster."""
        if (e, w) not in self.nested:
            effect, way = sample.effects[e], self.ways[w]
            same = set(way) <= set(effect.keys)
            self.nested[e, w] = same or (self.counts[w] <= effect.n_levels and _within(sample, effect.keys, way))
        return self.nested[e, w]


def _within(sample: LazySample, keys: Sequence[str], way: Sequence[str]) -> bool:
    """Whether clusters do not vary within levels: asked at the engine."""
    import narwhals.stable.v2 as nw

    own = [name for name in way if name not in keys]
    frame = sample.frame.select(*dict.fromkeys((*keys, *own)))
    pairs = frame.group_by(*dict.fromkeys((*keys, *own))).agg(__n=nw.len())
    levels = pairs.group_by(*keys).agg(__n=nw.len()).select(most=nw.col("__n").max())
    return sample.rows.bring(levels, "whether effects are nested in clusters").count("most") == 1


def read_lazy_covariance(
    model: Any, cov_type: str, cov_kwds: Mapping[str, Any] | None, ssc: str, kinds: Mapping[str, str]
) -> LazyChoice:
    """Check the options, and look at clusters and times, before any estimation.

    Raises
    ------
    SpecificationError, DataError
    """
    design: LazyDesign = model.design
    kind = kinds[known_cov_type(cov_type, kinds)]
    keywords = read_keywords(cov_kwds)
    if kind not in _SUMS:
        instead = _INSTEAD.get(kind, "hac-groupsum")
        raise SpecificationError(
            f"cov_type={cov_type!r} came with rows in {design.where}.",
            "It needs more of every row than sums: engine='memory'. Without, there are nonrobust, HC0, HC1, cluster, "
            "CR0 and driscoll-kraay.",
            f'cov_type="{instead}"',
        )
    allowed = {"scale"} if kind == "fixed scale" else {"use_correction"}
    if kind in ("cluster", "CR0"):
        allowed |= {"groups", "df_correction", "psd"}
    if kind == "hac-groupsum":
        allowed |= {"maxlags", "kernel", "time", "df_correction", "psd"}
    reject_unknown({k: v for k, v in keywords.items() if k not in allowed}, allowed, f"cov_type={cov_type!r}")
    options: dict[str, Any] = {k: keywords[k] for k in ("maxlags", "kernel", "use_correction") if k in keywords}
    check_choice("kernel", options.get("kernel", "bartlett"), ("bartlett", "uniform"))
    if "psd" in keywords:
        options["psd"] = check_psd(keywords["psd"])
    ways, counts, names = _ways(model, keywords.get("groups")) if kind in ("cluster", "CR0") else ((), (), ())
    time, periods, levels = (
        _times(model, keywords.get("time")) if kind == "hac-groupsum" else (None, None, pd.Index([]))
    )
    if options.get("maxlags") is not None and periods is not None:
        check_count("maxlags", options["maxlags"], 0, int(np.ptp(periods.periods)))
        warn_of_distance(np.asarray(periods.periods), options["maxlags"])
    warn_of_rank(len(design.exog_names), kind, counts, None if periods is None else periods.n_times)
    scale = check_scale(keywords.get("scale", 1.0)) if kind == "fixed scale" else None
    df_correction = check_df_correction(keywords.get("df_correction"))
    return LazyChoice(kind, ways, counts, names, time, periods, levels, options, ssc, df_correction, scale)


def _ways(model: Any, wanted: Any) -> tuple[tuple[tuple[str, ...], ...], tuple[int, ...], tuple[str, ...]]:
    """Keys, numbers and names of the ways of clustering."""
    if wanted is None:
        wanted = model._entity
    if wanted is None:
        effects = sorted(model.design.sample.effects, key=lambda one: (-one.n_levels, one.name))
        raise SpecificationError(
            "Clustered standard errors were asked for without clusters, and the data do not say what the entity is.",
            f"It could be {' or '.join(one.name for one in effects)}: name the column, or several."
            if effects
            else "The name of a column is needed, or several.",
            f'cov_kwds={{"groups": "{effects[0].name if effects else "firm"}"}}',
        )
    listed: list[Any] = (
        [wanted] if isinstance(wanted, str) else list(wanted) if isinstance(wanted, (list, tuple)) else [None]
    )
    if not listed or not all(isinstance(one, str) for one in listed):
        raise SpecificationError(
            f"The clusters are a {type(wanted).__name__}.",
            "Rows at an engine need names of columns.",
            'cov_kwds={"groups": "firm"}',
        )
    found = [_way(model.design, one, "clusters") for one in listed]
    for name, (_, count) in zip(listed, found, strict=True):
        if count < 2:
            raise one_level(name)
    return tuple(keys for keys, _ in found), tuple(count for _, count in found), tuple(listed)


def _way(design: LazyDesign, name: str, what: str) -> tuple[tuple[str, ...], int]:
    """Keys of a column or of combinations ``firm^year``, and how many levels they have."""
    import narwhals.stable.v2 as nw

    plain = [name] if name in design.schema else [part.strip() for part in name.split("^")]
    unknown = [part for part in plain if part not in design.schema]
    if unknown:
        error = unknown_names(unknown, tuple(design.schema), where=f"the {what}")
        raise DataError(error.found, error.needed, error.fix)
    keys = tuple(design.key(part) for part in plain)
    sample = design.sample
    for effect in sample.effects:
        if set(effect.keys) == set(keys):
            return keys, effect.n_levels
    lacks = [design.lacks(part) for part in plain]
    absent = lacks[0]
    for one in lacks[1:]:
        absent = absent | one
    missing = nw.when(absent).then(nw.lit(1.0)).otherwise(nw.lit(0.0))
    frame = sample.frame.select(*keys, __lost=missing).group_by(*keys).agg(__lost=nw.col("__lost").sum())
    home = sample.rows.bring(frame.select(lost=nw.col("__lost").sum(), n=nw.len()), f"the number of {what}")
    if home.count("lost"):
        raise DataError(
            f"{name!r} is missing in {home.count('lost')} rows of the sample",
            "each row needs a value",
            "leave those rows out: filter the frame, or write them to another file",
        )
    return keys, home.count("n")


def _times(model: Any, wanted: Any) -> tuple[str, PanelIndex, pd.Index]:
    """Key, periods and levels of the time variable."""
    wanted = model._time if wanted is None else wanted
    if not isinstance(wanted, str):
        raise SpecificationError(
            "Driscoll-Kraay standard errors were asked for, and the data do not say what time is.",
            "The name of a column is needed.",
            'cov_kwds={"time": "year"}',
        )
    import narwhals.stable.v2 as nw

    design: LazyDesign = model.design
    name, reading = split_reading(wanted, tuple(design.schema))
    (key,), _ = _way(design, name, "times")  # which makes it
    frame = design.sample.frame.select(key).group_by(key).agg(__n=nw.len())
    labels = design.sample.rows.bring(frame, f"levels of {name}").labels(key)
    coded = code_labels(labels, name)
    coded = read_as(coded, reading, name) if reading else coded
    alone = Codes(np.zeros(len(labels), dtype=np.int64), pd.RangeIndex(1))
    index = PanelIndex.from_codes(alone, coded, time_name=name, source="foreign", allow_duplicates=True)
    index.require_distances("Driscoll-Kraay standard errors")
    if index.n_times < 2:
        raise DataError(
            f"The times {name} have one level.",
            "Driscoll-Kraay standard errors sum over time and need two periods or more, dozens to be trusted.",
            'cov_type="HC1"',
        )
    return key, index, pd.Index(labels)
