"""The choice of the numbers of factors and groups: a table and a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

__all__ = ["Selection"]


@dataclass(frozen=True, eq=False)
class Selection:
    """Numbers of factors and groups, with what spoke for them.

    Attributes
    ----------
    n_factors, n_groups : int
        The choice.
    factors : DataFrame
        By number of factors: ``v`` (mean squared residual with slopes of each entity), ``ic1``, ``ic2``. Empty where
        the number was given.
    rules : Series
        What each rule says: ic1, ic2 (Bai & Ng 2002), er, gr (Ahn & Horenstein 2013), ed (Onatski 2010).
    groups : DataFrame
        By number of groups: ``sigma2`` (mean squared residual after classification), ``ic``, ``smallest`` (size of the
        smallest group), ``converged``. Empty where the number was given.
    rule : str
        The rule that chose the number of factors.
    """

    n_factors: int
    n_groups: int
    factors: pd.DataFrame
    rules: pd.Series
    groups: pd.DataFrame
    rule: str

    def table(self) -> pd.DataFrame:
        """Both tables, one above the other: criterion by candidate, the chosen ones marked."""
        parts = []
        if len(self.factors):
            part = self.factors[["v", self.rule if self.rule in self.factors else "ic2"]].copy()
            part.columns = ["sigma2", "criterion"]
            part["chosen"] = part.index == self.n_factors
            parts.append(pd.concat({"factors": part}))
        if len(self.groups):
            part = self.groups[["sigma2", "ic"]].rename(columns={"ic": "criterion"})
            part["chosen"] = part.index == self.n_groups
            parts.append(pd.concat({"groups": part}))
        if not parts:
            return pd.DataFrame(columns=["sigma2", "criterion", "chosen"])
        return pd.concat(parts).rename_axis(["what", "number"])

    def plot(self, axes: Any = None) -> Any:
        """Criteria against the number of factors and of groups.

        Parameters
        ----------
        axes : sequence of Axes, optional
            One for each table that is there.

        Returns
        -------
        list of Axes
        """
        from matplotlib import pyplot as plt

        panels = []
        if len(self.factors):
            panels.append(("Factors", self.factors[["ic1", "ic2"]], self.n_factors))
        if len(self.groups):
            panels.append(("Groups", self.groups[["ic"]], self.n_groups))
        if axes is None:
            _, axes = plt.subplots(1, max(len(panels), 1), figsize=(4.2 * max(len(panels), 1), 3.2), squeeze=False)
            axes = list(axes[0])
        for ax, (title, frame, chosen) in zip(axes, panels, strict=False):
            for name, style in zip(frame.columns, ("o-", "s--"), strict=False):
                ax.plot(frame.index, frame[name], style, label=name.upper(), color="C0" if style == "o-" else "C1")
            ax.axvline(chosen, color="0.6", linewidth=1, zorder=0)
            ax.set_xlabel(f"number of {title.lower()}")
            ax.set_ylabel("criterion")
            ax.set_xticks(list(frame.index))
            ax.set_title(f"{title}: {chosen} chosen")
            if frame.shape[1] > 1:
                ax.legend(frameon=False)
        return axes

    def __str__(self) -> str:
        lines = [f"Selection: {self.n_factors} factors, {self.n_groups} groups"]
        if len(self.factors):
            lines += ["", self.factors.round(5).to_string()]
            lines.append("Rules: " + ", ".join(f"{name.upper()} {value}" for name, value in self.rules.items()))
        if len(self.groups):
            lines += ["", self.groups.round(5).to_string()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = [f"<p>Selection: {self.n_factors} factors, {self.n_groups} groups</p>"]
        parts += [frame.round(5).to_html() for frame in (self.factors, self.groups) if len(frame)]
        return "\n".join(parts)
