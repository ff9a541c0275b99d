"""The choice of the numbers of factors and groups: a table and a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import SpecificationError
from gifepanel.tables.blocks import Block, Notes, Row, Table
from gifepanel.tables.choices import notes_on_choice, rule_words
from gifepanel.tables.coefficients import number
from gifepanel.tables.printed import Printed

__all__ = ["Selection"]

_WORDS = {
    "ic": "information criterion",
    "cv": "mean squared error of cells held out",
    "share": "next component",
    "edge": "edge of noise",
}


@dataclass(frozen=True, eq=False, repr=False)
class Selection(Printed):
    """Numbers of factors and groups, with what spoke for them.

    Attributes
    ----------
    n_factors, n_groups : int
        The choice.
    factors : DataFrame
        By number of factors: ``v`` (mean squared residual with slopes of each entity), ``ic1``, ``ic2``; of the edge
        test the ``share`` of the next principal component, the ``edge`` that noise hardly exceeds, and the ``memory``
        (autocorrelation) of the errors, up to the first number that is not rejected; after cross-validation ``cv``
        (mean squared error of cells held out) and ``cv_se``, its standard error over the folds. Empty where the number
        was given.
    rules : Series
        What each rule says: edge, ic1, ic2 (Bai & Ng 2002), er, gr (Ahn & Horenstein 2013), ed (Onatski 2010), cv.
    groups : DataFrame
        By number of groups: ``sigma2`` (mean squared residual after classification), ``ic``, ``ic_independent`` (the
        criterion for independent errors), ``smallest`` (size of the smallest group), ``admissible`` (no group is too
        small), ``converged``. Empty where the number was given.
    rule : str
        The rule that chose the number of factors.
    design_effect : float
        What the penalty of ``ic`` is multiplied by: variance of slopes clustered by entity over that of independent
        errors, at one group more than was chosen.
    edge_accepted : bool
        Whether the edge test accepts one of the candidates; otherwise it finds more factors than were tried.
    smallest : int
        Entities that a group must have for a number of groups to be admissible.
    periods : float
        Of an entity, on average.

    Examples
    --------
    >>> import gifepanel as gife
    >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=30, random_state=1)
    >>> choice = gife.select("y ~ 0 + x1 + x2", panel.data, n_factors=range(0, 4), n_groups=range(1, 4))
    >>> choice.n_factors, choice.n_groups
    (2, 3)
    """

    n_factors: int
    n_groups: int
    factors: pd.DataFrame
    rules: pd.Series
    groups: pd.DataFrame
    rule: str
    design_effect: float = 1.0
    edge_accepted: bool = True
    smallest: int = 1
    periods: float = np.inf

    @property
    def memory(self) -> float:
        """Autocorrelation of the errors at the number of factors chosen, or the last that was tested; NaN for none."""
        known = self.factors["memory"].dropna() if len(self.factors) else pd.Series(dtype=float)
        known = known[known.index <= max(self.n_factors, *known.index[:1])] if len(known) else known
        return float(known.iloc[-1]) if len(known) else float("nan")

    def table(self) -> pd.DataFrame:
        """Both tables, one above the other: criterion by candidate, the chosen ones marked.

        The criterion of the edge test is the share of the next component over the edge: at one and below, nothing but
        noise is left.

        Examples
        --------
        >>> import gifepanel as gife
        >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=30, random_state=1)
        >>> choice = gife.select("y ~ 0 + x1 + x2", panel.data, n_factors=range(0, 4), n_groups=3)
        >>> choice.table()["criterion"].round(2).tolist()
        [1.61, 1.49, 0.83, nan]
        """
        parts = []
        if len(self.factors):
            part = pd.DataFrame({"sigma2": self.factors["v"], "criterion": self._criterion()})
            part["chosen"] = part.index == self.n_factors
            parts.append(pd.concat({"factors": part}))
        if len(self.groups):
            part = self.groups[["sigma2", "ic"]].rename(columns={"ic": "criterion"})
            part["chosen"] = part.index == self.n_groups
            parts.append(pd.concat({"groups": part}))
        if not parts:
            return pd.DataFrame(columns=["sigma2", "criterion", "chosen"])
        return pd.concat(parts).rename_axis(["what", "number"])

    def _criterion(self) -> pd.Series:
        """Of the rule, by number of factors; IC2 for rules on eigenvalues, which have none."""
        if self.rule == "edge":
            return self.factors["share"] / self.factors["edge"]
        return self.factors[self.rule if self.rule in self.factors else "ic2"]

    def plot(self, ax: Any = None) -> Any:
        """Criteria against the number of factors and of groups, the chosen numbers marked.

        Parameters
        ----------
        ax : sequence of Axes, optional
            One for each number that was left open.

        Returns
        -------
        ndarray of Axes

        Examples
        --------
        >>> import gifepanel as gife
        >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=30, random_state=1)
        >>> choice = gife.select("y ~ 0 + x1 + x2", panel.data, n_factors=range(0, 4), n_groups=3)
        >>> axes = choice.plot()
        """
        from gifepanel.plots.style import several

        panels = []
        if len(self.factors):
            shown = {"cv": ["cv"], "edge": ["share", "edge"]}.get(self.rule, ["ic1", "ic2"])
            panels.append(("factors", self.factors[shown], self.n_factors))
        if len(self.groups):
            panels.append(("groups", self.groups[["ic"]], self.n_groups))
        if not panels:
            raise SpecificationError(
                "Both numbers were given.", "A criterion needs a number left open.", 'n_factors="auto"'
            )
        axes = several(ax, len(panels), size=(3.9, 3.1))
        for one, panel in zip(axes, panels, strict=True):
            self._panel(one, *panel)
        return axes

    def _panel(self, ax: Any, what: str, frame: pd.DataFrame, chosen: int) -> None:
        from matplotlib.ticker import MaxNLocator

        from gifepanel.plots.axes import counted, name_choice
        from gifepanel.plots.style import LINE, head, style

        handles: list[Any] = []
        top = -np.inf
        for j, name in enumerate(frame.columns):
            own, values = style(j), frame[name]
            look = {"color": own.color, "marker": own.marker, "linestyle": own.line, "linewidth": 1.3}
            label = _WORDS.get(name, name.upper())
            handles += ax.plot(frame.index, values, markersize=5, markerfacecolor="white", label=label, **look)
            if name == "cv":
                bars = {"color": own.color, "linestyle": "none", "linewidth": 1.0, "capsize": 2.5, "zorder": 1}
                ax.errorbar(frame.index, values, yerr=self.factors["cv_se"], **bars)
            at = {"markersize": 6.5, "markeredgecolor": "0.1", "markeredgewidth": 0.6, "linestyle": "none"}
            if chosen in frame.index:
                ax.plot([chosen], [values[chosen]], color=own.color, marker=own.marker, zorder=4, **at)
                top = max(top, float(values[chosen]))
        ax.axvline(chosen, color=LINE, linewidth=1.2, linestyle=(0, (4, 2)), zorder=0)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=True))
        if np.isfinite(top):
            ax.margins(y=0.12)
            name_choice(ax, chosen, top, counted(chosen, what[:-1]))
        ax.set_xlabel(f"number of {what}")
        ax.set_ylabel("share of variance" if "share" in frame else "criterion (smaller is better)")
        rule = f" by {rule_words(self.rule)}" if what == "factors" else ""
        head(ax, f"{chosen} {what if chosen != 1 else what[:-1]} chosen{rule}", handles)

    def _content(self, fmt: str) -> tuple[str, list[Block]]:
        blocks: list[Block] = []
        if len(self.factors):
            validated = ("CV", "s.e.") if "cv" in self.factors else ()
            header = ("Factors", "mean sq. resid.", "IC1", "IC2", "next/edge", *validated, "picked by")
            blocks.append(Table(header, (("", self._by_factors()),), True))
        if len(self.groups):
            header = ("Groups", "mean sq. resid.", "IC", "smallest group", "picked by")
            blocks.append(Table(header, (("", self._by_groups()),), True))
        notes = [f"The number of {what} was given." for what, table in self._tables if not len(table)]
        rule = f" (by {rule_words(self.rule)})" if len(self.factors) else ""
        notes += self._legend() + notes_on_choice(self)
        title = f"Choice: {_counted(self.n_factors, 'factor')}{rule}, {_counted(self.n_groups, 'group')}"
        return title, [*blocks, *([Notes(tuple(notes), False)] if notes else [])]

    def _legend(self) -> list[str]:
        """What columns are."""
        out = []
        if len(self.factors):
            memory = f" with an autocorrelation of {self.memory:.2f}" if np.isfinite(self.memory) else ""
            out.append(
                f"next/edge: share of the next component over what noise{memory} hardly exceeds; above 1 there are "
                "more factors."
            )
        if len(self.groups) and self.design_effect > 1.0:
            out.append(
                f"The penalty for groups is {self.design_effect:.2f} times that for independent errors: the design "
                "effect of dependence within entities."
            )
        return out

    @property
    def _tables(self) -> list[tuple[str, pd.DataFrame]]:
        return [("factors", self.factors), ("groups", self.groups)]

    def _by_factors(self) -> tuple[Row, ...]:
        rows: list[Row] = []
        for n, row in self.factors.iterrows():
            picked = [
                "edge" if name == "edge" else str(name).upper() for name, choice in self.rules.items() if choice == n
            ]
            said = ", ".join(picked)
            said = f"<- chosen; {said}" if n == self.n_factors else said
            validated = (number(row["cv"], 6), number(row["cv_se"], 6)) if "cv" in row else ()
            above = "" if np.isnan(row["share"]) else f"{row['share'] / row['edge']:.3f}"
            criteria = (number(row["v"], 6), number(row["ic1"]), number(row["ic2"]), above, *validated)
            rows.append((str(n), *criteria, said))
        return tuple(rows)

    def _by_groups(self) -> tuple[Row, ...]:
        rows: list[Row] = []
        for n, row in self.groups.iterrows():
            mark = "<- chosen" if n == self.n_groups else ""
            mark = mark if row["admissible"] else f"{mark} too small".strip()
            mark = mark if row["converged"] else f"{mark} not converged".strip()
            rows.append((str(n), number(row["sigma2"], 6), number(row["ic"]), f"{row['smallest']:.0f}", mark))
        return tuple(rows)


def _counted(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"
