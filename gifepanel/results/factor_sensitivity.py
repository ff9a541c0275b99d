"""Slopes with one factor less and one more: a table and a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gifepanel.exceptions import SpecificationError
from gifepanel.solvers.grouped import labels_like
from gifepanel.tables.blocks import Block, Notes, Table
from gifepanel.tables.coefficients import number, ratio
from gifepanel.tables.printed import Printed

if TYPE_CHECKING:
    from gifepanel.inference.estimate import FactorEstimate
    from gifepanel.results.inputs import Sample

    class _Parent:
        model: Any
        sample: Sample
        n_groups: int
        n_factors: int
        params: Any
        bse: Any

        @property
        def _estimate(self) -> FactorEstimate: ...

        _fit_options: dict[str, Any]
        _covariance_options: dict[str, Any]

        @property
        def _groups_known(self) -> bool: ...
        def _terms(self) -> list[tuple[str, int | None]]: ...

else:
    _Parent = object

__all__ = ["FactorSensitivity", "FactorSensitivityMethods"]

Progress = bool | Callable[[int, int], None] | None


@dataclass(frozen=True, eq=False, repr=False)
class FactorSensitivity(Printed):
    """Slopes by number of factors; text, HTML, LaTeX, Markdown and a picture.

    Attributes
    ----------
    n_factors : int
        Of the fit that was asked.
    params, bse : DataFrame
        Coefficient by number of factors. Groups carry the labels of that fit, by the most entities in common.
    fits : DataFrame
        By number of factors: ``residual_sd``, ``nobs``, ``same_group`` (share of the entities in the group they have
        in that fit; NaN without groups) and ``converged``.
    terms : tuple of (str, int or None)
        Regressor and group (from 1; None: of all) of every coefficient.

    Examples
    --------
    >>> import gifepanel as gife
    >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=20, random_state=1)
    >>> res = gife.InteractiveFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_factors=2).fit()
    >>> res.factor_sensitivity().params.round(2)
    n_factors     1     2     3
    x1         1.25  1.07  1.06
    x2         1.16  0.92  0.92
    """

    n_factors: int
    params: pd.DataFrame
    bse: pd.DataFrame
    fits: pd.DataFrame
    terms: tuple[tuple[str, int | None], ...]

    @property
    def change(self) -> pd.DataFrame:
        """What another number of factors changes, in standard errors of the fit that was asked.

        Examples
        --------
        >>> import gifepanel as gife
        >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=20, random_state=1)
        >>> res = gife.InteractiveFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_factors=2).fit()
        >>> res.factor_sensitivity().change.abs().max().round(1).tolist()
        [5.4, 0.0, 0.4]
        """
        own = self.params[self.n_factors]
        return self.params.sub(own, axis=0).div(self.bse[self.n_factors], axis=0)

    def to_frame(self) -> pd.DataFrame:
        """A row for each number of factors and coefficient: ``estimate``, ``se``, ``change``.

        Examples
        --------
        >>> import gifepanel as gife
        >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=20, random_state=1)
        >>> res = gife.InteractiveFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_factors=2).fit()
        >>> res.factor_sensitivity().to_frame().shape
        (6, 3)
        """
        parts = {
            r: pd.DataFrame({"estimate": self.params[r], "se": self.bse[r], "change": self.change[r]})
            for r in self.params.columns
        }
        return pd.concat(parts, names=["n_factors", "coefficient"])

    def plot(self, ax: Any = None, *, alpha: float = 0.05) -> Any:
        """Slopes with their intervals against the number of factors: a panel for each regressor.

        Parameters
        ----------
        ax : sequence of Axes, optional
        alpha : float
            One less the level of the intervals.

        Returns
        -------
        ndarray of Axes

        Examples
        --------
        >>> import gifepanel as gife
        >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=20, random_state=1)
        >>> res = gife.InteractiveFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_factors=2).fit()
        >>> axes = res.factor_sensitivity().plot()
        """
        from gifepanel.plots.factor_sensitivity import draw_sensitivity
        from gifepanel.statsmodels_bridge.hypotheses import check_level

        return draw_sensitivity(self, check_level(alpha), ax)

    def _content(self, fmt: str) -> tuple[str, list[Block]]:
        numbers = list(self.params.columns)
        rows = []
        for name in self.params.index:
            cells = [f"{number(self.params.loc[name, r])} ({number(self.bse.loc[name, r])})" for r in numbers]
            rows.append((str(name), *cells))
        facts = [("Residual s.d.", *(number(self.fits.loc[r, "residual_sd"]) for r in numbers))]
        largest = self.change.abs().max()
        facts.append(
            ("Largest change, in std err", *("-" if r == self.n_factors else ratio(largest[r]) for r in numbers))
        )
        if self.fits["same_group"].notna().any():
            shares = (f"{100 * self.fits.loc[r, 'same_group']:.0f}%" for r in numbers)
            facts.append(("Entities in the same group", *shares))
        if self.fits["nobs"].min() < self.fits["nobs"].max():
            facts.append(("Observations", *(f"{self.fits.loc[r, 'nobs']:.0f}" for r in numbers)))
        header = ("", *(f"{r} factor{'s' * (r != 1)}{' *' if r == self.n_factors else ''}" for r in numbers))
        notes = [
            "* The fit that was asked. Standard errors in parentheses. A factor too many costs precision and hardly "
            "moves the slopes (Moon & Weidner 2015); a factor too few stays in the errors, and biases slopes of "
            "regressors that are correlated with it. Slopes that move from here to one factor more speak for more; "
            "slopes that move with one factor less say nothing against this number."
        ]
        late = [str(r) for r in numbers if not self.fits.loc[r, "converged"]]
        if late:
            notes.append(f"Not converged: {', '.join(late)} factors.")
        return "Slopes by number of factors", [
            Table(header, (("", tuple(rows)), ("", tuple(facts)))),
            Notes(tuple(notes), False),
        ]


class FactorSensitivityMethods(_Parent):
    """Mixed in before statsmodels' class."""

    def factor_sensitivity(
        self, n_factors: Iterable[int] | None = None, *, n_jobs: int | None = None, progress: Progress = None
    ) -> FactorSensitivity:
        """Slopes with one factor less and one more: the model is fitted again, groups anew.

        A factor too many costs precision and hardly moves the slopes (Moon & Weidner 2015). A factor too few stays in
        the errors, and biases slopes of regressors that are correlated with it. So slopes that are the same with one
        factor more speak for the number of the fit, and slopes that move speak for more.

        Parameters
        ----------
        n_factors : iterable of int, optional
            Other numbers to look at; by default one less and one more than in the fit, as far as the panel allows.
        n_jobs : int, optional
            Workers; results do not depend on it.
        progress : bool or callable, optional

        Returns
        -------
        FactorSensitivity
            ``params``, ``bse``, ``change``, ``to_frame()``, ``plot()``; it prints itself.

        Raises
        ------
        SpecificationError
            If the panel does not allow any other number of factors.
        DataError
            After ``remove_data()``.

        References
        ----------
        Moon, H. R. and M. Weidner (2015). Linear regression for panel with unknown number of factors as interactive
        fixed effects. *Econometrica* 83, 1543-1579.

        Examples
        --------
        >>> import gifepanel as gife
        >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=20, random_state=1)
        >>> res = gife.InteractiveFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_factors=2).fit()
        >>> list(res.factor_sensitivity().params.columns)
        [1, 2, 3]
        """
        _ = self._estimate  # which raises where the data are gone
        refits, own = self.model._refits(), self.n_factors
        others = _others(n_factors, own, max(refits.largest_n_factors(), own))
        arguments = {**self._fit_options, **getattr(self, "_covariance_options", {})}
        if self.n_groups > 1:
            arguments["groups_known"] = self._groups_known
        found = refits.with_factors(others, arguments, n_jobs=n_jobs, progress=progress)
        by_number = dict(sorted({**dict(zip(others, found, strict=True)), own: self}.items()))
        relabelled = {r: _labels(self, res) for r, res in by_number.items()}
        params = {r: _in_order(self, res, np.asarray(res.params), relabelled[r]) for r, res in by_number.items()}
        bse = {r: _in_order(self, res, np.asarray(res.bse), relabelled[r]) for r, res in by_number.items()}
        fits = {
            r: {
                "residual_sd": float(np.sqrt(res._estimate.ssr / res._estimate.df.residual)),
                "nobs": int(res.nobs),
                "same_group": _agreement(self, res, relabelled[r]),
                "converged": bool(res.converged),
            }
            for r, res in by_number.items()
        }
        columns = pd.Index(list(by_number), name="n_factors")
        table = pd.DataFrame.from_dict(fits, orient="index").rename_axis("n_factors")
        terms = tuple((name, None if k is None else k + 1) for name, k in self._terms())
        slopes, errors = (pd.DataFrame(values).reindex(columns=columns) for values in (params, bse))
        return FactorSensitivity(own, slopes, errors, table, terms)


def _others(given: Any, own: int, largest: int) -> list[int]:
    """Numbers of factors besides that of the fit."""
    wanted: list[Any] = [own - 1, own + 1]
    if given is not None:
        wanted = list(given) if isinstance(given, Iterable) else [given]
        for one in wanted:
            if not isinstance(one, (int, np.integer)) or isinstance(one, bool) or not 0 <= one <= largest:
                raise SpecificationError(
                    f"n_factors has {one!r}.",
                    f"They must be whole numbers from 0 to {largest}, which the panel allows.",
                    f"n_factors=range({max(own - 1, 0)}, {min(own + 1, largest) + 1})",
                )
    others = sorted({int(r) for r in wanted if 0 <= r <= largest and r != own})
    if not others:
        raise SpecificationError(
            f"There is no other number of factors than {own} to look at.",
            f"The panel allows 0 to {largest}." if largest else "The panel is too short for factors.",
            f"n_factors=[{own - 1 if own else 1}]" if largest else "A longer panel, or fewer regressors.",
        )
    return others


def _labels(res: Any, other: Any) -> Any:
    """The group of `res` that every group (K,) of another fit is, by the most entities in common."""
    if res.n_groups == 1 or other is res:
        return np.arange(res.n_groups)
    both = res.groups.index.intersection(other.groups.index)
    return labels_like(other.groups[both].to_numpy() - 1, res.groups[both].to_numpy() - 1, res.n_groups)


def _in_order(res: Any, other: Any, values: Any, labels: Any) -> pd.Series:
    """Values by coefficient of another fit under the names of `res`; NaN for those that it lacks."""
    if res.n_groups == 1:
        return pd.Series(values, index=list(other._names)).reindex(list(res._names))
    out = pd.Series(np.nan, index=list(res._names))
    for j, name in enumerate(other._regressors):
        if name not in res._regressors:
            continue
        at = res._regressors.index(name)
        for k in range(res.n_groups):
            out.iloc[res._slots[labels[k], at]] = values[other._slots[k, j]]
    return out


def _agreement(res: Any, other: Any, labels: Any) -> float:
    """Share of the entities of both fits that are in the same group."""
    if res.n_groups == 1:
        return float("nan")
    both = res.groups.index.intersection(other.groups.index)
    return float((labels[other.groups[both].to_numpy() - 1] + 1 == res.groups[both].to_numpy()).mean())
