"""Bootstrap draws of slopes and groups: standard errors, intervals, who is with whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from gifepanel.exceptions import SpecificationError
from gifepanel.inference.resampled_groups import co_membership, match_labels, stability
from gifepanel.solvers.bootstrap import FINE, LOST
from gifepanel.statsmodels_bridge.hypotheses import read_level
from gifepanel.tables.bootstrap import bootstrap_report
from gifepanel.tables.printed import Printed
from gifepanel.tables.summary import PanelSummary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gifepanel.results.inputs import Inference
    from gifepanel.tables.blocks import Block

__all__ = ["Bootstrap", "BootstrapDraws", "bootstrap_of"]

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
_METHODS = ("percentile", "normal")


@dataclass(frozen=True, eq=False)
class BootstrapDraws:
    """Draws as the solvers make them.

    Attributes
    ----------
    kind : {"entity", "wild"}
    by : str
        What residuals share a sign by: "cell", or the name of the clusters; empty for entities.
    theta : ndarray, shape (n, q)
        Slopes in the units of the data; NaN in draws that are not used.
    groups : ndarray of int16, shape (n, N)
        0..K-1; -1 where an entity was not drawn.
    outcome : ndarray of int8, shape (n,)
        As of :func:`gifepanel.solvers.bootstrap.entity_draws`.
    scale : ndarray, shape (p,)
        Root mean squares of the regressors.
    """

    kind: str
    by: str
    theta: Array
    groups: np.ndarray[Any, np.dtype[np.int16]]
    outcome: np.ndarray[Any, np.dtype[np.int8]]
    scale: Array


@dataclass(frozen=True, eq=False, repr=False)
class Bootstrap(Printed):
    """Slopes and groups in bootstrap draws; made by ``res.bootstrap()``.

    Draws that did not converge, or in which a group was left without entities, are counted and not used.

    Attributes
    ----------
    kind : {"entity", "wild"}
        Entities drawn with replacement, or signs of residuals.
    by : str
        Of a wild bootstrap what shares a sign: "cell", or the clusters of the standard errors.
    n, n_used, n_lost, n_not_converged : int
        Draws asked for; those behind the numbers here; those that lost a group; those that did not converge.
    params : Series
        Slopes of the fit.
    draws : DataFrame, draw by slope
        Groups of slopes named as in the fit, by the assignment that brings slopes closest to it.
    groups : Series
        Groups of the fit.
    comembership : DataFrame, entity by entity
        Share of draws in which two entities are in one group; of draws of entities, of those in which both are drawn.
    stability : Series, by entity
        Share of draws in which it is in its own group, likewise.

    References
    ----------
    Monti, S., P. Tamayo, J. Mesirov and T. Golub (2003). Consensus clustering: a resampling-based method for class
    discovery and visualization of gene expression microarray data. *Machine Learning* 52, 91-118.

    Examples
    --------
    >>> import gifepanel as gife
    >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=30, random_state=1)
    >>> model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2)
    >>> boot = model.fit().bootstrap(99)
    >>> boot.n_used, boot.draws.shape
    (99, (99, 6))
    >>> int(boot.stability.lt(0.95).sum())
    3
    """

    kind: str
    by: str
    n: int
    n_lost: int
    n_not_converged: int
    params: pd.Series
    draws: pd.DataFrame
    groups: pd.Series
    n_groups: int
    _drawn_groups: np.ndarray[Any, np.dtype[np.integer[Any]]] = field(repr=False)
    _words: dict[str, str] = field(repr=False)

    @property
    def n_used(self) -> int:
        """Draws behind the numbers."""
        return len(self.draws)

    @cached_property
    def bse(self) -> pd.Series:
        """Standard errors: standard deviations of the draws."""
        return self.draws.std(ddof=1).rename("bse")

    @cached_property
    def bias(self) -> pd.Series:
        """Mean of the draws less the slopes of the fit.

        Of a bias that was corrected nothing is in it: draws are least squares, plus the correction of the fit.
        """
        return (self.draws.mean() - self.params).rename("bias")

    @cached_property
    def pvalues(self) -> pd.Series:
        """Of slopes that are zero: twice the share of draws beyond zero, the fit counted as one of them; never 0."""
        below, above = (self.draws <= 0).sum(), (self.draws >= 0).sum()
        shares = 2.0 * (np.minimum(below, above) + 1) / (self.n_used + 1)
        return pd.Series(np.minimum(shares, 1.0), index=self.draws.columns, name="pvalue")

    def conf_int(self, level: float = 0.95, method: str = "percentile") -> pd.DataFrame:
        """Intervals of the slopes.

        Parameters
        ----------
        level : float
        method : {"percentile", "normal"}
            Quantiles of the draws, or the slope and so many bootstrap standard errors to both sides.

        Returns
        -------
        DataFrame
            ``lower`` and ``upper`` by slope.

        Raises
        ------
        SpecificationError
            For levels outside of 0 to 1, and other methods.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
        >>> res.bootstrap(99).conf_int(0.9).round(2).loc["price"].tolist()
        [-0.49, -0.09]
        """
        level = read_level(level)
        if method not in _METHODS:
            near = "normal" if str(method).casefold()[:2] in ("no", "ga", "se") else "percentile"
            raise SpecificationError(
                f"method is {method!r}.", "It must be 'percentile' or 'normal'.", f"method={near!r}"
            )
        if method == "normal":
            reach = stats.norm.ppf(0.5 + level / 2) * self.bse
            return pd.DataFrame({"lower": self.params - reach, "upper": self.params + reach})
        ends = np.quantile(self.draws.to_numpy(), [(1 - level) / 2, (1 + level) / 2], axis=0)
        return pd.DataFrame({"lower": ends[0], "upper": ends[1]}, index=self.draws.columns)

    @cached_property
    def comembership(self) -> pd.DataFrame:
        """Share of draws in which two entities are in one group."""
        shares = co_membership(self._drawn_groups, self.n_groups)
        return pd.DataFrame(shares, index=self.groups.index, columns=self.groups.index)

    @cached_property
    def stability(self) -> pd.Series:
        """Share of draws in which an entity is in its own group."""
        shares = stability(self._drawn_groups, self.groups.to_numpy() - 1)
        return pd.Series(shares, index=self.groups.index, name="stability")

    def summary(self, level: float = 0.95, method: str = "percentile") -> PanelSummary:
        """The printed report: standard errors and intervals, what became of the draws, how stable the groups are.

        Parameters
        ----------
        level, method
            As of :meth:`conf_int`.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
        >>> print(res.bootstrap(99).summary().as_text().splitlines()[0].strip())
        Bootstrap of Entities
        """
        return PanelSummary(*bootstrap_report(self, level, method))

    def plot(self, *, labels: int | None = None, ax: Any = None) -> Any:
        """Who is with whom: the matrix of co-membership, entities by group and, within, from stable to unstable.

        Blocks on the diagonal that are dark throughout are groups that come back whatever is drawn.

        Parameters
        ----------
        labels : int, optional
            Entities to be named at most; by default all, where they are 60 or fewer.
        ax : Axes, optional

        Returns
        -------
        Axes

        Raises
        ------
        SpecificationError
            If there is one group.

        Examples
        --------
        >>> import gifepanel as gife
        >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=30, random_state=1)
        >>> model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2)
        >>> model.fit().bootstrap(99).plot().get_title(loc="left")
        'Share of draws in which two entities are in one group'
        """
        from gifepanel.plots.comembership import draw_comembership

        if self.n_groups == 1:
            raise SpecificationError(
                "There is one group.",
                "Who is with whom is a question to models with groups.",
                "GroupedIFE.from_formula(..., n_groups=3)",
            )
        return draw_comembership(self, labels, ax)

    def _content(self, fmt: str) -> tuple[str, Sequence[Block]]:
        return bootstrap_report(self, 0.95, "percentile")


def bootstrap_of(res: Any, inference: Inference, drawn: BootstrapDraws) -> Bootstrap:
    """Draws of a fit as its user sees them.

    Raises
    ------
    SpecificationError
        If fewer than two draws can be used.
    """
    estimate, names = inference.estimate, list(res._names)
    fine = drawn.outcome == FINE
    lost = int((drawn.outcome == LOST).sum())
    if fine.sum() < 2:
        raise SpecificationError(
            f"{int(fine.sum())} of {len(fine)} draws can be used: {lost} lost a group, "
            f"{int((~fine).sum()) - lost} did not converge.",
            "A bootstrap needs two at least; groups that are lost are too small to be drawn.",
            f"n_groups={max(1, res.n_groups - 1)}" if lost else f"n_factors={max(0, res.n_factors - 1)}",
        )
    theta, groups = match_labels(drawn.theta[fine], drawn.groups[fine], estimate.theta, estimate.slots, drawn.scale)
    shift = np.asarray(inference.params) - estimate.theta
    draws = pd.DataFrame(theta + shift, columns=names, index=pd.Index(np.flatnonzero(fine), name="draw"))
    words = {
        "outcome": str(res.sample.endog_name),
        "model": type(res.model).__name__,
        "entity": str(res.sample.entity_name),
        "correction": res.bias_correction_words if res.bias_correction != "none" else "",
        "classify": str(getattr(res, "classify", "")),
        "factors": str(res.n_factors),
        "lags": ", ".join(res.model._names[j] for j in res.model._lags),
    }
    return Bootstrap(
        drawn.kind,
        drawn.by,
        len(fine),
        lost,
        int((~fine).sum()) - lost,
        pd.Series(np.asarray(inference.params), index=names, name="params"),
        draws,
        pd.Series(estimate.groups + 1, index=res._entities, name="group"),
        int(res.n_groups),
        groups,
        words,
    )
