"""Whether the model fits the treated before their treatment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from gifepanel.exceptions import SpecificationError
from gifepanel.inference.counterfactual import FittedCells
from gifepanel.inference.leads import Leads, fit_leads
from gifepanel.inference.testresult import TestResult

if TYPE_CHECKING:
    from gifepanel.panel.matrices import PanelDesign
    from gifepanel.panel.treatment import Treatment

__all__ = ["Pretrend"]

_LEADS = 5
_THRESHOLD = 0.36  # residual standard deviations, as R's fect


@dataclass(frozen=True, eq=False)
class Pretrend:
    """Effects in the last periods before treatment, estimated from rows without it.

    Attributes
    ----------
    estimate : FactorEstimate
    treatment : Treatment
    design : PanelDesign
        Of the fit.
    fit : FittedCells
    kind : {"cluster", "HC2", "nonrobust"}
    """

    estimate: Any
    treatment: Treatment
    design: PanelDesign
    fit: FittedCells
    kind: str

    def leads(self, n: int | None, alpha: float) -> pd.DataFrame:
        """A row for each event time before treatment; empty where there is no room."""
        columns = ["effect", "se", "statistic", "pvalue", "lower", "upper", "n_cells"]
        index = pd.Index([], dtype=np.int64, name="event_time")
        try:
            found, events, counts = self._fitted(n)
        except SpecificationError:
            if n is not None:
                raise
            return pd.DataFrame(columns=columns, index=index, dtype=np.float64)
        se = np.sqrt(np.diag(found.cov))
        statistic = found.effects / se
        pvalue = 2 * stats.t.sf(np.abs(statistic), found.df)
        reach = stats.t.ppf(1 - alpha / 2, found.df) * se
        numbers = (found.effects, se, statistic, pvalue, found.effects - reach, found.effects + reach, counts)
        values = dict(zip(columns, numbers, strict=True))
        return pd.DataFrame(values, index=pd.Index(events, name="event_time"))

    def _fitted(self, n: int | None) -> tuple[Leads, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """The last `n` event times before treatment (and anticipation) of rows in the fit."""
        own, all_rows = self.design.index, self.treatment.design.index
        event = pd.Series(self.treatment.event_time, index=all_rows.frame_index()).reindex(own.frame_index()).to_numpy()
        cube = own.to_cube(np.where(np.isnan(event), 0.0, event))
        last = -self.treatment.anticipation - 1
        earliest = int(cube.min())
        most = min(_LEADS, last - earliest - self.fit.time_basis.shape[2])
        count = most if n is None else int(n)
        if count < 1 or (n is not None and last - count < earliest):
            raise SpecificationError(
                f"{count if n is not None else 'No'} leads were asked of treated entities with "
                f"{max(last - earliest + 1, 0)} periods before treatment.",
                "Some periods must be left to compare them with.",
                f"leads={max(most, 1)}",
            )
        events = np.arange(last - count + 1, last + 1)
        dummies = (cube[:, :, None] == events).astype(np.float64)
        seen = dummies.any(axis=(0, 1))
        return (
            fit_leads(self.estimate, dummies[:, :, seen], self.fit, self.kind),
            events[seen],
            dummies.sum((0, 1))[seen],
        )

    def test(self, kind: str, n: int | None, threshold: float | None) -> TestResult:
        """See :meth:`Counterfactual.test_pretrend`."""
        if kind not in ("F", "equivalence"):
            raise SpecificationError(f"kind is {kind!r}.", "It must be 'F' or 'equivalence'.", 'kind="F"')
        found, events, _ = self._fitted(n)
        span = f"{events[0]} to {events[-1]}" if len(events) > 1 else f"{events[0]}"
        if kind == "F":
            value, rank, df = found.wald()
            return TestResult(
                "Pre-treatment fit",
                value,
                float(stats.f.sf(value, rank, df)),
                (rank, df),
                f"F({rank}, {df:g})",
                f"no effects in event times {span}",
                found.note,
            )
        sigma = np.sqrt(self.fit.sigma2)
        bound = _THRESHOLD * sigma if threshold is None else float(threshold)
        if not bound > 0:
            raise SpecificationError(f"threshold is {threshold!r}.", "It must be positive.", "threshold=None")
        se = np.sqrt(np.diag(found.cov))
        pvalues = stats.t.sf((bound - np.abs(found.effects)) / se, found.df)
        worst = int(np.argmax(pvalues))
        return TestResult(
            "Pre-treatment equivalence",
            float(found.effects[worst]),
            float(pvalues[worst]),
            float(found.df),
            f"two one-sided t({found.df:g})",
            f"an effect beyond {bound:.4g} in one of event times {span}",
            f"The largest p-value is that of event time {events[worst]}.",
        )
