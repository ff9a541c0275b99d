"""What would have been without treatment: effects by cell, their averages, and how far these can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from gifepanel.exceptions import SpecificationError
from gifepanel.statsmodels_bridge.hypotheses import check_level
from gifepanel.tables.counterfactual import counterfactual_column, counterfactual_report
from gifepanel.tables.printed import Printed
from gifepanel.tables.summary import PanelSummary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gifepanel.inference.testresult import TestResult
    from gifepanel.results.pretrend import Pretrend
    from gifepanel.tables.blocks import Block
    from gifepanel.tables.compare_columns import ModelColumn

__all__ = ["Averages", "Counterfactual", "CounterfactualParts"]

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

_TABLE = ["effect", "se", "statistic", "pvalue", "lower", "upper", "n_cells", "n_entities"]


@dataclass(frozen=True, eq=False)
class Averages:
    """Average effects of one kind: overall, by event time, by cohort, by group.

    Attributes
    ----------
    labels : pandas.Index
    weights : ndarray, shape (k, m)
        Of the cells.
    effect, variance, df : ndarray, shape (k,)
    n_cells, n_entities : ndarray of int64, shape (k,)
    draws : ndarray, shape (b, k), or None
        Of the bootstrap.
    """

    labels: pd.Index
    weights: Array
    effect: Array
    variance: Array
    df: Array
    n_cells: IntArray
    n_entities: IntArray
    draws: Array | None = None

    def intervals(self, alpha: float) -> Array:
        """Lower and upper limits (k, 2)."""
        reach = stats.t.ppf(1 - alpha / 2, self.df) * np.sqrt(self.variance)
        return np.column_stack([self.effect - reach, self.effect + reach])

    def frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """A row for each average; bootstrap standard errors and percentiles beside, where there are any."""
        se = np.sqrt(self.variance)
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = self.effect / se
        pvalue = 2 * stats.t.sf(np.abs(statistic), self.df)
        columns = [self.effect, se, statistic, pvalue, *self.intervals(alpha).T, self.n_cells, self.n_entities]
        out = pd.DataFrame(dict(zip(_TABLE, columns, strict=True)), index=self.labels)
        if self.draws is not None:
            out["se_bootstrap"] = np.nanstd(self.draws, axis=0, ddof=1)
            out["lower_bootstrap"], out["upper_bootstrap"] = np.nanquantile(
                self.draws, [alpha / 2, 1 - alpha / 2], axis=0
            )
        return out


class Counterfactual(Printed):
    """What treated rows would have been without treatment; made by ``res.counterfactual()``.

    Attributes
    ----------
    cells : DataFrame
        By (entity, time), rows that were left out of the fit: ``observed``, ``counterfactual``, ``effect`` (their
        difference), ``se`` (of the effect: the error of the counterfactual and that of the cell itself),
        ``se_counterfactual`` (the former alone), ``event_time``, ``cohort`` and, in models with groups, ``group``.
        ``event_time`` counts periods from the first treated one, which is 0, as in R's did; R's fect calls it 1. It is
        negative in periods of anticipation, and NaN where an entity was treated from its first row on.
    att, att_se : float
        The average effect on the treated, over cells from event time 0 on, and its standard error.
    by_event_time, by_cohort, by_group : DataFrame
        Averages by periods since treatment, by first treated period, and by group of slopes: ``effect``, ``se``,
        ``statistic``, ``pvalue``, ``lower``, ``upper``, ``n_cells``, ``n_entities``.
    left_out : dict of str to int
        Treated cells that are in no average, by reason.
    cov_type : {"cluster", "HC2", "nonrobust"}

    References
    ----------
    Borusyak, K., X. Jaravel and J. Spiess (2024). Revisiting event-study designs: robust and efficient estimation.
    *Review of Economic Studies* 91, 3253-3285.
    Gobillon, L. and T. Magnac (2016). Regional policy evaluation: interactive fixed effects and synthetic controls.
    *Review of Economics and Statistics* 98, 535-551.
    Xu, Y. (2017). Generalized synthetic control method. *Political Analysis* 25, 57-76.

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> law = "(state == 'California') & (year >= 1989)"
    >>> formula = "sales ~ log(real_income) | state + year"
    >>> res = gife.InteractiveFE.from_formula(formula, cigar, n_factors=2, treated=law).fit()
    >>> res.counterfactual().by_event_time["effect"].round(1).to_dict()
    {0: -4.9, 1: -1.2, 2: -6.0, 3: -4.5}
    """

    def __init__(self, parts: CounterfactualParts) -> None:
        self._parts = parts
        self.cov_type, self.left_out = parts.cov_type, parts.left_out
        self.cells = parts.cells

    @property
    def att(self) -> float:
        """The average effect on the treated."""
        return float(self._parts.overall.effect[0])

    @property
    def att_se(self) -> float:
        """Its standard error."""
        return float(np.sqrt(self._parts.overall.variance[0]))

    @property
    def att_table(self) -> pd.DataFrame:
        """The overall average with everything that tables of averages hold."""
        return self._parts.overall.frame()

    @cached_property
    def by_event_time(self) -> pd.DataFrame:
        """Average effects by periods since treatment began, 0 being the first treated one."""
        return self._parts.by_event.frame()

    @cached_property
    def by_cohort(self) -> pd.DataFrame:
        """Average effects by first treated period."""
        return self._parts.by_cohort.frame()

    @cached_property
    def by_group(self) -> pd.DataFrame:
        """Average effects by group of slopes.

        Raises
        ------
        SpecificationError
            In a model without groups.
        """
        if self._parts.by_group is None:
            raise SpecificationError(
                f"{self._parts.model_name} has no groups.", "They belong to models with groups.", "cf.by_cohort"
            )
        return self._parts.by_group.frame()

    @cached_property
    def leads(self) -> pd.DataFrame:
        """Effects that treatment would seem to have before it begins, by event time; see :meth:`test_pretrend`."""
        return self._parts.pretrend.leads(None, 0.05)

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Intervals of all averages: overall ("ATT"), by event time and by cohort.

        Parameters
        ----------
        alpha : float
            One less the level.

        Returns
        -------
        DataFrame
            ``lower`` and ``upper`` by (average, label).

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> law = "(state == 'California') & (year >= 1989)"
        >>> formula = "sales ~ log(real_income) | state + year"
        >>> res = gife.InteractiveFE.from_formula(formula, cigar, n_factors=2, treated=law).fit()
        >>> res.counterfactual().conf_int().loc["event time"].round(1).iloc[0].tolist()
        [-15.5, 5.6]
        """
        named = {"ATT": self._parts.overall, "event time": self._parts.by_event, "cohort": self._parts.by_cohort}
        parts = {
            name: pd.DataFrame(part.intervals(alpha), columns=["lower", "upper"], index=part.labels.astype(object))
            for name, part in named.items()
        }
        return pd.concat(parts, names=["average", "label"])

    def test_pretrend(self, kind: str = "F", *, leads: int | None = None, threshold: float | None = None) -> TestResult:
        """Does the model fit the treated before their treatment?

        Effects of treatment are estimated in each of the last periods before it, jointly with the model, from
        untreated rows alone (Borusyak, Jaravel & Spiess 2024, section 4.4): least squares without factors, one step of
        it with them.

        Parameters
        ----------
        kind : {"F", "equivalence"}
            "F": all of them are zero; small p-values speak against the model. "equivalence": one of them is beyond the
            threshold, two one-sided tests each (Liu, Wang & Xu 2024); small p-values speak for the model.
        leads : int, optional
            How many periods; by default up to five.
        threshold : float, optional
            Of the equivalence test; by default 0.36 residual standard deviations.

        Returns
        -------
        TestResult

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> law = "(state == 'California') & (year >= 1989)"
        >>> formula = "sales ~ log(real_income) | state + year"
        >>> res = gife.InteractiveFE.from_formula(formula, cigar, n_factors=2, treated=law).fit()
        >>> test = res.counterfactual().test_pretrend()
        >>> round(test.statistic, 2), round(test.pvalue, 2)
        (0.33, 0.89)
        """
        return self._parts.pretrend.test(kind, leads, threshold)

    def placebo(self, periods: int = 3) -> Counterfactual:
        """Effects where there were none, a placebo in time.

        The last periods before treatment (and before anticipation) are left out of the fit as well, the model is fitted
        again, and the average "effect" in them is what :attr:`att` of the outcome is.

        Parameters
        ----------
        periods : int
            How many.

        Returns
        -------
        Counterfactual

        Raises
        ------
        SpecificationError
            If no untreated periods are left.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> law = "(state == 'California') & (year >= 1989)"
        >>> formula = "sales ~ log(real_income) | state + year"
        >>> res = gife.InteractiveFE.from_formula(formula, cigar, n_factors=2, treated=law).fit()
        >>> placebo = res.counterfactual().placebo(4)
        >>> round(placebo.att, 1), round(placebo.att_se, 1)
        (-3.8, 4.2)
        """
        if isinstance(periods, bool) or int(periods) != periods or periods < 1:
            raise SpecificationError(f"periods is {periods!r}.", "A positive whole number is needed.", "cf.placebo(3)")
        return self._parts.placebo_of(self, int(periods))

    def summary(self, alpha: float = 0.05) -> PanelSummary:
        """The printed report: averages overall, by event time and by cohort, with what was left out.

        Parameters
        ----------
        alpha : float
            One less the level of the intervals.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> law = "(state == 'California') & (year >= 1989)"
        >>> formula = "sales ~ log(real_income) | state + year"
        >>> res = gife.InteractiveFE.from_formula(formula, cigar, n_factors=2, treated=law).fit()
        >>> print(res.counterfactual().summary().as_text().splitlines()[0].strip())
        Effects on the Treated
        """
        check_level(alpha)
        return PanelSummary(*counterfactual_report(self, alpha))

    def plot(self, kind: str = "event", entity: Any = None, *, alpha: float = 0.05, ax: Any = None) -> Any:
        """A picture.

        Parameters
        ----------
        kind : {"event", "gap", "paths"}
            "event": average effects by event time, with leads before it. "gap": effects over time, an entity a line,
            and their mean. "paths": the mean outcome of the treated and what it would have been.
        entity : label, optional
            One entity, for "gap" and "paths".
        alpha : float
            One less the level of intervals.
        ax : Axes, optional

        Returns
        -------
        Axes

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> law = "(state == 'California') & (year >= 1989)"
        >>> formula = "sales ~ log(real_income) | state + year"
        >>> res = gife.InteractiveFE.from_formula(formula, cigar, n_factors=2, treated=law).fit()
        >>> res.counterfactual().plot("paths", "California").get_xlabel()
        'year'
        """
        from gifepanel.plots.counterfactual import draw_event_study, draw_gaps, draw_paths

        if kind not in ("event", "gap", "paths"):
            raise SpecificationError(f"kind is {kind!r}.", "It must be 'event', 'gap' or 'paths'.", 'cf.plot("event")')
        if kind == "event":
            return draw_event_study(
                self._parts.by_event.frame(alpha), self._parts.pretrend.leads(None, alpha), alpha, ax
            )
        frame = self._parts.paths(entity)
        return (draw_gaps if kind == "gap" else draw_paths)(frame, self._parts.words, ax)

    def _comparison_column(self, alpha: float) -> ModelColumn:
        return counterfactual_column(self, alpha)

    def _content(self, fmt: str) -> tuple[str, Sequence[Block]]:
        return counterfactual_report(self, 0.05)


@dataclass(frozen=True, eq=False)
class CounterfactualParts:
    """What a counterfactual is made of."""

    cells: pd.DataFrame
    overall: Averages
    by_event: Averages
    by_cohort: Averages
    by_group: Averages | None
    left_out: dict[str, int]
    cov_type: str
    model_name: str
    words: dict[str, Any]
    pretrend: Pretrend
    whole: pd.DataFrame
    res: Any
    placebo_of: Callable[[Counterfactual, int], Counterfactual]
    placebo: int = 0

    def paths(self, entity: Any) -> pd.DataFrame:
        """Observed and counterfactual outcome of treated entities over all their rows."""
        if entity is None:
            return self.whole
        known = self.whole.index.get_level_values(0)
        if entity not in known:
            raise SpecificationError(
                f"{entity!r} is no treated entity of the averages.",
                f"There are {', '.join(map(str, known.unique()[:5]))}.",
                f"cf.plot('gap', {known[0]!r})",
            )
        return self.whole[known == entity]
