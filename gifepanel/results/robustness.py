"""How slopes depend on the choices behind a fit: a table and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import SpecificationError
from gifepanel.tables.printed import Printed
from gifepanel.tables.robustness import robustness_report
from gifepanel.tables.summary import PanelSummary

if TYPE_CHECKING:
    from gifepanel.tables.blocks import Block

__all__ = ["Alternative", "Robustness", "robustness_of"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_COLUMNS = ["estimate", "se", "lower", "upper"]


@dataclass(frozen=True, eq=False)
class Alternative:
    """One specification beside the fitted one.

    Attributes
    ----------
    choice : str
        What is different: "factors", "groups", ...; empty for the fit itself.
    label : str
    settings : dict of str to str
        What it has for every choice.
    values : ndarray, shape (q, 4)
        Estimate, standard error and interval of the slopes of the fit; NaN where there is no counterpart.
    ssr : float
        NaN where it could not be fitted.
    notes : tuple of str
    """

    choice: str
    label: str
    settings: dict[str, str]
    values: Array
    ssr: float
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Robustness(Printed):
    """Slopes under other choices than those of the fit, one at a time; made by ``res.robustness()``.

    Attributes
    ----------
    table : DataFrame
        A row for each specification and slope: ``choice`` (what is different; empty for the fit itself),
        ``specification``, ``slope``, ``estimate``, ``se``, ``lower``, ``upper``, ``ssr`` and ``note``. Slopes are those
        of the fit; in another number of groups, of the group in which most of its entities are. NaN where it has none,
        or could not be fitted: ``note`` says why.
    settings : DataFrame
        What each specification has for every choice.
    level : float
        Of the intervals.

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
    >>> checks = res.robustness(["factors"])
    >>> checks.table.loc[checks.table["slope"] == "price", ["specification", "estimate"]].round(3).values.tolist()
    [['as fitted', -0.222], ['R = 1', 0.167], ['R = 3', -0.542]]
    """

    table: pd.DataFrame
    settings: pd.DataFrame
    level: float
    _words: dict[str, str] = field(repr=False)

    @property
    def slopes(self) -> list[str]:
        """Names of the slopes."""
        return list(dict.fromkeys(self.table["slope"]))

    def ranges(self) -> pd.DataFrame:
        """By slope: the fit's estimate and standard error, the smallest and largest estimate, how many agree.

        ``same_sign`` counts specifications whose estimate has the sign of the fit's, ``significant`` those among them
        whose interval is off zero, ``n`` those with an estimate.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
        >>> res.robustness(["factors"]).ranges().loc["price", ["lowest", "highest"]].astype(float).round(3).tolist()
        [-0.542, 0.167]
        """
        rows = {}
        for slope, own in self.table.groupby("slope", sort=False):
            fit, some = own[own["choice"] == ""].iloc[0], own[own["estimate"].notna()]
            same = np.sign(some["estimate"]) == np.sign(fit["estimate"])
            clear = same & (np.sign(some["lower"]) == np.sign(some["upper"])) & some["lower"].notna()
            ends = some["estimate"].min(), some["estimate"].max()
            rows[slope] = (fit["estimate"], fit["se"], *ends, int(same.sum()), int(clear.sum()), len(some))
        names = ["estimate", "se", "lowest", "highest", "same_sign", "significant", "n"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=names).rename_axis("slope")

    def summary(self, slopes: str | Sequence[str] | None = None) -> PanelSummary:
        """The printed report: the range of every slope, slopes by specification, sums of squares and notes.

        Parameters
        ----------
        slopes : str or sequence of str, optional
            Of which intervals are shown; by default all slopes are side by side, with standard errors.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
        >>> print(res.robustness(["factors"]).summary("price").as_text().splitlines()[0].strip())
        Slopes under Other Choices
        """
        return PanelSummary(*robustness_report(self, [] if slopes is None else self._chosen(slopes)))

    def plot(self, slopes: str | Sequence[str] | None = None, *, sort: str = "estimate", ax: Any = None) -> Any:
        """The specification curve: estimates with their intervals, and below what each of them has chosen.

        Parameters
        ----------
        slopes : str or sequence of str, optional
            By default the first; a column of pictures for each.
        sort : {"estimate", "choice"}
            From the smallest to the largest estimate, or choice by choice.
        ax : sequence of Axes, optional
            Two for each slope: all curves, then all choices.

        Returns
        -------
        ndarray of Axes, shape (2, number of slopes)

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.InteractiveFE.from_formula("sales ~ 0 + price + ndi", cigar, n_factors=2).fit()
        >>> axes = res.robustness(["factors", "errors"]).plot("price")
        >>> axes[0, 0].get_ylabel()
        'slope of price'
        """
        from gifepanel.plots.specification_curve import draw_specification_curve

        if sort not in ("estimate", "choice"):
            raise SpecificationError(f"sort is {sort!r}.", "It must be 'estimate' or 'choice'.", 'sort="choice"')
        chosen = self.slopes[:1] if slopes is None else self._chosen(slopes)
        return draw_specification_curve(self, chosen, sort, ax)

    def _chosen(self, slopes: str | Sequence[str]) -> list[str]:
        from gifepanel.plots.style import find_name

        given = [slopes] if isinstance(slopes, str) else list(slopes)
        return [self.slopes[find_name(name, self.slopes, "is not a slope of the fit")] for name in given]

    def _content(self, fmt: str) -> tuple[str, Sequence[Block]]:
        return robustness_report(self, [])


def robustness_of(res: Any, found: Sequence[Alternative], level: float) -> Robustness:
    """Alternatives as their user sees them, the fit itself first."""
    names = list(res._names)
    frames = []
    for one in found:
        part = pd.DataFrame(one.values, columns=_COLUMNS)
        part.insert(0, "slope", names)
        part.insert(0, "specification", one.label)
        part.insert(0, "choice", one.choice)
        frames.append(part.assign(ssr=one.ssr, note="; ".join(one.notes)))
    settings = pd.DataFrame([one.settings for one in found], index=[one.label for one in found])
    words = {
        "outcome": str(res.sample.endog_name),
        "model": type(res.model).__name__,
        "groups": str(res.n_groups),
        "entities": f"{res.n_entities:,}",
    }
    return Robustness(pd.concat(frames, ignore_index=True), settings, level, words)
