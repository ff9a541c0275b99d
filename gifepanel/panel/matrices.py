"""The design of a model: complete rows as matrices, with who and when they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.panel.absorbed import AbsorbedEffect
from gifepanel.panel.codes import Codes, sort_codes
from gifepanel.panel.effect_codes import EffectCodes, effect_labels
from gifepanel.panel.frames import PanelFrame, read_frame
from gifepanel.panel.index import PanelIndex
from gifepanel.panel.names import unknown_names
from gifepanel.panel.sample import Sample
from gifepanel.panel.spec import DesignSpec
from gifepanel.panel.text import did_you_mean, first_of
from gifepanel.short_repr import ShortRepr

__all__ = ["PanelDesign", "common_columns", "slope_values"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False, repr=False)
class PanelDesign(ShortRepr):
    """Complete rows of a model, in the caller's order.

    Attributes
    ----------
    endog : (n,) float64
    exog : (n, p) float64, C-ordered
    endog_name : str
    exog_names : tuple of str
    panel : PanelIndex or None
        Who and when on the n rows; None where no ids were asked for.
    row_index : (n,) pandas.Index
        The caller's row labels.
    esample : (n_rows,) bool
        Which of the caller's rows are in.
    absorbed : tuple of str
        Absorbed effects as written after ``|``.
    absorbed_codes : dict of str to EffectCodes
        Codes (n,) and sorted levels of each absorbed effect.
    lost_levels : dict of str to dict of str to pandas.Index
        Levels that :meth:`take` left without rows, by effect and reason.
    absorbed_effects : tuple of AbsorbedEffect
        The same, parsed: combinations and slopes.
    absorbed_slopes : dict of str to (n,) float64
        Variables with slopes by level.
    lags_of_endog : tuple of int
        Columns of ``exog`` that look back at the outcome, hence are predetermined.
    common : tuple of int
        Columns of ``exog`` named in ``common=``.
    formula : str or None
    spec : DesignSpec or None
        Rebuilds ``exog`` on new data; None for arrays.
    n_dropped : int
        Rows lost to missing values and lags.
    dropped_by : dict of str to int
        Rows in which each variable or lagged term was missing.
    lagged_terms : tuple of str
        The terms among ``dropped_by`` that lost rows to lags.
    controls : (n, k) float64 or None
        Columns of the terms to be partialled out, the intercept among them.
    control_names : tuple of str
    weights : (n,) float64 or None
    weights_name : str or None
    terms : tuple of str
        The term each column of ``exog`` belongs to; empty where there was no formula.
    references : tuple of int
        Of how many categories of its term each column of ``exog`` is the reference: where columns are collinear, these
        go first.
    axes : (pandas.Index, pandas.Index) or None
        Labels of the arrays the design was made from, in their order; None for frames.
    empty : (pandas.Index, pandas.Index)
        Entities and periods of the data without a usable row; those that lags cost are no such periods.
    n_singletons, n_zero_weights : int
        Rows that were complete and left out, since each was alone in a level of an effect, or had weight zero.
    """

    endog: FloatArray
    exog: FloatArray
    endog_name: str
    exog_names: tuple[str, ...]
    panel: PanelIndex | None
    row_index: pd.Index
    esample: BoolArray
    absorbed: tuple[str, ...] = ()
    absorbed_codes: dict[str, EffectCodes] = field(default_factory=dict)
    lost_levels: dict[str, dict[str, pd.Index]] = field(default_factory=dict)
    absorbed_effects: tuple[AbsorbedEffect, ...] = ()
    absorbed_slopes: dict[str, FloatArray] = field(default_factory=dict)
    lags_of_endog: tuple[int, ...] = ()
    common: tuple[int, ...] = ()
    formula: str | None = None
    spec: DesignSpec | None = None
    n_dropped: int = 0
    dropped_by: dict[str, int] = field(default_factory=dict)
    lagged_terms: tuple[str, ...] = ()
    controls: FloatArray | None = None
    control_names: tuple[str, ...] = ()
    weights: FloatArray | None = None
    weights_name: str | None = None
    terms: tuple[str, ...] = ()
    references: tuple[int, ...] = ()
    axes: tuple[pd.Index, pd.Index] | None = None
    empty: tuple[pd.Index, pd.Index] = (pd.Index([]), pd.Index([]))
    n_singletons: int = 0
    n_zero_weights: int = 0

    @classmethod
    def of_sample(
        cls,
        sample: Sample,
        frame: PanelFrame,
        *,
        effects: tuple[AbsorbedEffect, ...],
        weights: Mapping[str, pd.Series],
        slopes: dict[str, FloatArray],
        **matrices: Any,
    ) -> PanelDesign:
        """The design of a sample from `matrices` on its complete rows: who and when they are, and why others went."""
        rows = sample.complete
        design = cls(
            panel=sample.index,
            row_index=frame.row_index if rows.all() else frame.row_index[rows],
            esample=rows,
            absorbed=tuple(sample.codes),
            absorbed_codes=sample.codes,
            absorbed_effects=effects,
            absorbed_slopes=slopes,
            n_dropped=sample.n_dropped,
            dropped_by=sample.dropped_by,
            lagged_terms=tuple(sample.lagged),
            empty=sample.empty,
            n_singletons=sample.n_singletons,
            n_zero_weights=sample.n_zero_weights,
            weights=next((slope_values(values)[rows] for values in weights.values()), None),
            weights_name=next(iter(weights), None),
            **matrices,
        )
        return design if sample.kept.all() else design.take(sample.kept)

    @property
    def nobs(self) -> int:
        """Number of complete rows, n."""
        return int(self.endog.size)

    @property
    def n_rows(self) -> int:
        """Number of rows of the data."""
        return int(self.esample.size)

    @property
    def index(self) -> PanelIndex:
        """Who and when on the n rows."""
        if self.panel is None:
            raise DataError("the rows have no entity and time", "both are needed", 'entity="firm", time="year"')
        return self.panel

    def take(self, rows: BoolArray, why: str = "dropped with singletons") -> PanelDesign:
        """The design of some of its rows, entities, periods and levels of effects that lost all theirs left out.

        Parameters
        ----------
        rows : (n,) bool
            Which rows stay. What was missing before them is counted as it was.
        why : str
            Why levels that had rows of positive weight went, for messages.
        """
        if rows.all():
            return self
        esample = self.esample.copy()
        esample[np.flatnonzero(esample)[~rows]] = False
        return replace(
            self,
            endog=self.endog[rows],
            exog=np.ascontiguousarray(self.exog[rows]),
            panel=None if self.panel is None else self.panel.subset(rows),
            row_index=self.row_index[rows],
            esample=esample,
            absorbed_codes={name: coded.take(rows) for name, coded in self.absorbed_codes.items()},
            lost_levels=self._lost(rows, why),
            absorbed_slopes={name: values[rows] for name, values in self.absorbed_slopes.items()},
            controls=None if self.controls is None else np.ascontiguousarray(self.controls[rows]),
            weights=None if self.weights is None else self.weights[rows],
        )

    def _lost(self, rows: BoolArray, why: str) -> dict[str, dict[str, pd.Index]]:
        """Levels without a row among some rows (n,), for their weights or for `why`, beside those lost before."""
        weighted = np.ones(self.nobs, dtype=bool) if self.weights is None else self.weights > 0
        lost = {}
        for name, coded in self.absorbed_codes.items():
            gone, weightless = ~coded.occupied(rows), ~coded.occupied(weighted)
            lost[name] = dict(self.lost_levels.get(name, {}))
            for reason, levels in (("had weights of zero", gone & weightless), (why, gone & ~weightless)):
                before = lost[name].get(reason)
                own = coded.levels[levels]
                lost[name][reason] = own if before is None else before.append(own)
        return lost

    def positions_of(self, frame: PanelFrame, rows: BoolArray) -> dict[str, IntArray]:
        """Position of the level of some rows (n_rows,) of a frame among those of this sample, by absorbed effect.

        Parameters
        ----------
        frame : PanelFrame
        rows : (n_rows,) bool

        Returns
        -------
        dict of str to (m,) int64
            −1 where the sample has no such level.
        """
        return {
            effect.name: self.absorbed_codes[effect.name].positions(frame, effect, rows)
            for effect in self.absorbed_effects
        }

    def without_rows(self) -> PanelDesign:
        """What predictions of the linear part need: names, the recipe, entities and times; no row of the data."""
        none = np.empty(0)
        return replace(
            self,
            endog=none,
            exog=np.empty((0, len(self.exog_names))),
            panel=None if self.panel is None else self.panel.without_rows(),
            row_index=self.row_index[:0],
            esample=np.empty(0, dtype=bool),
            absorbed_codes={},
            absorbed_slopes={},
            lost_levels={},
            spec=None if self.spec is None else self.spec.without_rows(self.esample.size),
            controls=None,
            weights=None,
        )

    def describe_unseen(self, frame: PanelFrame, rows: BoolArray, positions: dict[str, IntArray]) -> list[str]:
        """In words, for each absorbed effect with rows whose level the sample has not: how many levels, and why."""
        out = []
        for effect in self.absorbed_effects:
            without = positions[effect.name] < 0
            if without.any():
                missing = np.any([frame.codes(name).codes[rows] < 0 for name in effect.factors], axis=0)
                levels = effect_labels(frame, effect)[rows][without & ~missing].unique()
                counts = {
                    why: int(levels.isin(gone).sum()) for why, gone in self.lost_levels.get(effect.name, {}).items()
                }
                counts["not in the sample"] = len(levels) - sum(counts.values())
                said = [f"{count} level{'s' * (count > 1)} {why}" for why, count in counts.items() if count]
                said += [f"missing in {int(missing.sum())}"] if missing.any() else []
                out.append(f"{effect.name} ({', '.join(said)})")
        return out

    def cubes(self) -> tuple[FloatArray, FloatArray]:
        """Outcome (N, T) and regressors (N, T, p), zeros in the cells that have no row (see ``index.observed``)."""
        return self.index.to_cube(self.endog, copy=False), self.index.to_cube(self.exog, copy=False)

    def codes_of(self, data: Any, name: str, where: str = "the option") -> tuple[IntArray, pd.Index]:
        """Codes and levels of a column or index level on the rows of this design (for clusters and the like).

        Parameters
        ----------
        data : DataFrame
            The frame the design was made from.
        name : str
        where : str
            Who names it, for messages.

        Raises
        ------
        DataError
            No such column, another number of rows, or missing values.
        """
        if name in self.absorbed_codes:
            codes, levels = self.absorbed_codes[name]
            return codes.astype(np.int64), levels
        if self.panel is not None and name == self.panel.entity_name:
            return self.panel.entity_codes, self.panel.entities
        if self.panel is not None and name == self.panel.time_name:
            return self.panel.time_codes, self.panel.times
        frame = read_frame(data, require_ids=False)
        if frame.n_rows != self.esample.size:
            raise DataError(
                f"the frame has {frame.n_rows} rows, the model was made from {self.esample.size}",
                "the same frame is needed",
            )
        if name not in frame.names:
            error = unknown_names([name], frame.names, where=where)
            raise DataError(error.found, error.needed, error.fix)
        coded = frame.codes(name)
        codes = coded.codes[self.esample].astype(np.int64)
        if (codes < 0).any():
            raise DataError(
                f"{name!r} is missing in {int((codes < 0).sum())} rows of the sample",
                "each row needs a value",
                f'data = data.dropna(subset=["{name}"])',
            )
        return sort_codes(Codes(codes, coded.labels, coded.ordered))


def slope_values(values: pd.Series) -> FloatArray:
    if values.dtype.kind not in "biuf":
        raise DataError(
            f"the slope variable {values.name!r} holds {values.dtype}",
            "slopes need numbers",
            "y ~ x | firm[trend]",
        )
    return values.to_numpy(dtype=np.float64)


def common_columns(
    wanted: str | Sequence[str], names: Sequence[str], factors: Sequence[tuple[Any, ...]] = ()
) -> tuple[int, ...]:
    """Columns named in ``common=``, by their own name or by that of their term."""
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    found: dict[int, None] = {}
    for name in wanted:
        columns = [j for j, own in enumerate(names) if own == name]
        squeezed = name.replace(" ", "")
        columns = columns or [
            j for j, parts in enumerate(factors) if ":".join(f.text for f in parts).replace(" ", "") == squeezed
        ]
        if not columns:
            near = did_you_mean(name, names)
            raise SpecificationError(
                f"common={list(wanted)!r} names {name!r}, which is not a regressor",
                f"there are {first_of(names, 20)}",
                f"common=[{near!r}]" if near else None,
            )
        found |= dict.fromkeys(columns)
    return tuple(sorted(found))
