"""What a change of a regressor does in the end and on the way, where lags of the outcome are among the regressors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from gifepanel.exceptions import SpecificationError
from gifepanel.inference.dynamics import DynamicEquation, impulse_responses, long_run_effects
from gifepanel.panel.lag_polynomials import LagPolynomial, lag_polynomial, looks_back
from gifepanel.statsmodels_bridge.hypotheses import check_level
from gifepanel.tables.dynamics import long_run_report, responses_report
from gifepanel.tables.printed import Printed

if TYPE_CHECKING:
    from gifepanel.tables.blocks import Block

    class _Parent:
        params: Any
        df_resid_inference: Any
        use_t: bool

        @property
        def _names(self) -> list[str]: ...
        def _terms(self) -> list[tuple[str, int | None]]: ...
        def cov_params(self, *args: Any, **kwargs: Any) -> Any: ...

else:
    _Parent = object

__all__ = ["DynamicMethods", "ImpulseResponses", "LongRun"]

Array = np.ndarray[Any, np.dtype[np.float64]]
Lags = Mapping[str, int] | None
Equations = dict[int | None, DynamicEquation]
_CONSTANTS = ("Intercept", "const", "1")


@dataclass(frozen=True, eq=False, repr=False)
class LongRun(Printed):
    """Long-run effects; made by ``res.long_run()``.

    Attributes
    ----------
    table : DataFrame
        A row for each variable (and group): ``effect``, ``se``, ``statistic``, ``pvalue``, ``lower``, ``upper`` by the
        delta method; ``fieller_lower``, ``fieller_upper``, the set of Fieller (1954), which holds where the lags' sum
        is near one too. Where its lower limit is above its upper one, the set is all that is not between them.
    persistence : Series
        By group: the sum of the coefficients of the outcome's lags, 1 - a(1).
    level : float
    outcome : str
    statistic : {"t", "z"}
        What the effects over their standard errors are called.
    unstable : tuple of str
        Groups (or "all entities") whose lags add up to a path that does not die out: they have no long run.

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> formula = "log(sales) ~ L(log(sales)) + log(real_price) | state"
    >>> res = gife.InteractiveFE.from_formula(formula, cigar, n_factors=2).fit()
    >>> res.long_run().persistence.round(2).to_dict()
    {'all': 0.63}
    """

    table: pd.DataFrame
    persistence: pd.Series
    level: float
    outcome: str
    statistic: str
    unstable: tuple[str, ...]

    def _content(self, fmt: str) -> tuple[str, Sequence[Block]]:
        return long_run_report(self)


@dataclass(frozen=True, eq=False, repr=False)
class ImpulseResponses(Printed):
    """Responses of the outcome; made by ``res.impulse_responses()``.

    Attributes
    ----------
    table : DataFrame
        By (group,) variable and period: ``response``, ``se``, ``lower``, ``upper``.
    permanent : bool
        Whether the regressor stays one unit higher, or is so in the first period only.
    level : float
    outcome : str
    unstable : tuple of str
        As in :class:`LongRun`.

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> formula = "log(sales) ~ L(log(sales)) + log(real_price) | state"
    >>> res = gife.InteractiveFE.from_formula(formula, cigar, n_factors=2).fit()
    >>> res.impulse_responses(2).table.index.names
    FrozenList(['variable', 'period'])
    """

    table: pd.DataFrame
    permanent: bool
    level: float
    outcome: str
    unstable: tuple[str, ...]

    def plot(self, variable: str | None = None, *, ax: Any = None) -> Any:
        """The path of each group, with its interval.

        Parameters
        ----------
        variable : str, optional
            Which regressor; the first by default.
        ax : Axes, optional

        Returns
        -------
        Axes

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> formula = "log(sales) ~ L(log(sales)) + log(real_price) | state"
        >>> res = gife.InteractiveFE.from_formula(formula, cigar, n_factors=2).fit()
        >>> res.impulse_responses(5).plot().get_xlabel()
        'periods after log(real_price) rose for ever'
        """
        from gifepanel.plots.dynamics import draw_responses
        from gifepanel.plots.style import find_name

        known = list(dict.fromkeys(self.table.index.get_level_values("variable")))
        name = known[0 if variable is None else find_name(variable, known, "has no responses")]
        return draw_responses(self.table.xs(name, level="variable"), name, self.outcome, self.level, self.permanent, ax)

    def _content(self, fmt: str) -> tuple[str, Sequence[Block]]:
        return responses_report(self)


class DynamicMethods(_Parent):
    """Mixed in before statsmodels' class."""

    def long_run(self, alpha: float = 0.05, *, lags: Lags = None) -> LongRun:
        """Effects in the end, once the outcome has followed its own lags: b(1) / (1 - sum of the lags' coefficients).

        Lags and differences in the formula are read: those of a regressor count together, ``L(y)`` and ``L(y, 2)`` are
        lags of ``y``, and in ``D(y) ~ L(y) + x`` the level adjusts. Standard errors by the delta method from the
        covariance of the fit; beside them the set of Fieller (1954), whose level holds where the denominator is hardly
        different from zero, and which then is not bounded.

        Parameters
        ----------
        alpha : float
            One less the level of intervals.
        lags : dict of str to int, optional
            Which regressors are lags of the outcome, and by how many periods, where their names do not say so, as
            columns made before: ``{"sales_1": 1}``.

        Returns
        -------
        LongRun
            ``table``, ``persistence``; prints in every format.

        Raises
        ------
        SpecificationError
            If no regressor is a lag of the outcome, or one is in a product or looks ahead.

        References
        ----------
        Fieller, E. C. (1954). Some problems in interval estimation. *Journal of the Royal Statistical Society B* 16,
        175-185.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> formula = "log(sales) ~ L(log(sales)) + log(real_price) | state"
        >>> res = gife.InteractiveFE.from_formula(formula, cigar, n_factors=2).fit()
        >>> res.long_run().table[["effect", "se"]].round(2).iloc[0].tolist()
        [-0.51, 0.04]
        """
        level = 1.0 - check_level(alpha)
        equations, polynomials = self._dynamics(lags)
        theta, cov = self._slopes()
        critical = self._critical(alpha)
        frames, sums = [], {}
        for label, equation in equations.items():
            found = long_run_effects(equation, theta, cov, critical)
            with np.errstate(divide="ignore", invalid="ignore"):
                statistic = found.effect / found.se
            columns = {
                "effect": found.effect,
                "se": found.se,
                "statistic": statistic,
                "pvalue": 2.0 * self._tail(np.abs(statistic)),
                "lower": found.effect - critical * found.se,
                "upper": found.effect + critical * found.se,
                "fieller_lower": found.fieller[:, 0],
                "fieller_upper": found.fieller[:, 1],
            }
            frames.append(pd.DataFrame(columns, index=pd.Index(polynomials[label], name="variable")))
            sums[label] = float(1.0 - (equation.own - equation.outcome @ theta).sum())
        return LongRun(
            _stacked(frames, list(equations)),
            pd.Series(list(sums.values()), index=_group_index(sums), name="persistence"),
            level,
            self._outcome,
            "t" if self.use_t else "z",
            _unstable(equations, theta),
        )

    def impulse_responses(
        self, periods: int = 10, *, permanent: bool = True, alpha: float = 0.05, lags: Lags = None
    ) -> ImpulseResponses:
        """The outcome after 0, 1, ... periods, a regressor being one unit higher from then on, or once.

        Parameters
        ----------
        periods : int
            The last one.
        permanent : bool
            Whether the regressor stays higher; its last response then tends to the long-run effect.
        alpha : float
            One less the level of intervals, which are those of the delta method, period by period.
        lags : dict of str to int, optional
            As of :meth:`long_run`.

        Returns
        -------
        ImpulseResponses
            ``table``, ``plot()``; prints in every format.

        Raises
        ------
        SpecificationError
            As :meth:`long_run`.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> formula = "log(sales) ~ L(log(sales)) + log(real_price) | state"
        >>> res = gife.InteractiveFE.from_formula(formula, cigar, n_factors=2).fit()
        >>> res.impulse_responses(3).table["response"].round(2).tolist()
        [-0.19, -0.31, -0.38, -0.43]
        """
        asked: Any = periods
        if isinstance(asked, bool) or not isinstance(asked, (int, np.integer)) or asked < 0:
            raise SpecificationError(f"periods is {periods!r}.", "It must be a whole number.", "periods=10")
        level = 1.0 - check_level(alpha)
        equations, polynomials = self._dynamics(lags)
        theta, cov = self._slopes()
        reach = self._critical(alpha)
        frames = []
        for label, equation in equations.items():
            response, se = impulse_responses(equation, theta, cov, int(periods), permanent=bool(permanent))
            names = [polynomials[label], range(int(periods) + 1)]
            index = pd.MultiIndex.from_product(names, names=["variable", "period"])
            lower, upper = response - reach * se, response + reach * se
            columns = {"response": response, "se": se, "lower": lower, "upper": upper}
            frames.append(pd.DataFrame({key: value.ravel() for key, value in columns.items()}, index=index))
        table = _stacked(frames, list(equations))
        return ImpulseResponses(table, bool(permanent), level, self._outcome, _unstable(equations, theta))

    @property
    def _outcome(self) -> str:
        return str(self.model.endog_names)  # type: ignore[attr-defined]

    def _slopes(self) -> tuple[Array, Array]:
        return np.asarray(self.params, dtype=np.float64), np.asarray(self.cov_params(), dtype=np.float64)

    def _critical(self, alpha: float) -> float:
        df = self.df_resid_inference
        return float(stats.t.ppf(1 - alpha / 2, df) if self.use_t else stats.norm.ppf(1 - alpha / 2))

    def _tail(self, statistic: Array) -> Array:
        return np.asarray(stats.t.sf(statistic, self.df_resid_inference) if self.use_t else stats.norm.sf(statistic))

    def _dynamics(self, lags: Lags) -> tuple[Equations, dict[int | None, list[str]]]:
        """The equation of each group (None: of all), and the names of its inputs."""
        terms = self._terms()
        outcome = lag_polynomial(self._outcome)
        read = _polynomials([name for name, _ in terms], outcome, self._outcome, lags)
        groups: list[int | None] = [*sorted({group for _, group in terms if group is not None})] or [None]
        equations: Equations = {}
        inputs: dict[int | None, list[str]] = {}
        for group in groups:
            own = [k for k, (_, of) in enumerate(terms) if of is None or of == group]
            label = None if group is None else group + 1
            equations[label], inputs[label] = _equation(outcome, own, terms, read)
        return equations, inputs


def _equation(
    outcome: LagPolynomial,
    positions: Iterable[int],
    terms: list[tuple[str, int | None]],
    read: Mapping[str, LagPolynomial],
) -> tuple[DynamicEquation, list[str]]:
    longest = max([*outcome.weights, *(lag for poly in read.values() for lag in poly.weights)])
    own = np.zeros(longest + 1)
    for lag, weight in outcome.weights.items():
        own[lag] = weight
    of_outcome = np.zeros((longest + 1, len(terms)))
    inputs: dict[str, Array] = {}
    for k in positions:
        poly = read[terms[k][0]]
        if poly.core in _CONSTANTS:
            continue
        is_lag = poly.core == outcome.core
        into = of_outcome if is_lag else inputs.setdefault(poly.core, np.zeros_like(of_outcome))
        for lag, weight in poly.weights.items():
            into[lag, k] += weight
    stacked = np.array(list(inputs.values())).reshape(len(inputs), longest + 1, len(terms))
    return DynamicEquation(own, of_outcome, stacked), list(inputs)


def _polynomials(names: Sequence[str], outcome: LagPolynomial, endog: str, lags: Lags) -> dict[str, LagPolynomial]:
    """Every regressor as lags of something, checked: the outcome's are terms of their own, and nothing looks ahead."""
    given: dict[str, Any] = dict(lags or {})
    for name, lag in given.items():
        if name not in names or isinstance(lag, bool) or not isinstance(lag, (int, np.integer)) or lag < 1:
            raise SpecificationError(
                f"lags has {name!r}: {lag!r}.",
                f"It takes regressors ({', '.join(dict.fromkeys(names))}) to numbers of periods, 1 or more.",
                f"lags={{{names[0]!r}: 1}}",
            )
    read = {
        name: LagPolynomial(outcome.core, {int(given[name]): 1.0}) if name in given else lag_polynomial(name)
        for name in names
    }
    for name, poly in read.items():
        if poly.core != outcome.core and name not in given and looks_back(endog, name):
            raise SpecificationError(
                f"{name} holds a lag of the outcome and more.",
                "Long-run effects are those of an equation in which lags of the outcome stand by themselves.",
                f"L({outcome.core}) as a term of its own",
            )
        if min(poly.weights, default=0) < 0:
            raise SpecificationError(
                f"{name} looks ahead.", "Responses are to what was, not to what will be.", f"L({poly.core})"
            )
    if all(poly.core != outcome.core for poly in read.values()):
        raise SpecificationError(
            f"No regressor is a lag of {outcome.core}.",
            "Without one the effect in the end is the slope.",
            f"L({outcome.core}) in the formula, or lags={{{names[0]!r}: 1}} where a column holds it",
        )
    return read


def _unstable(equations: Equations, theta: Array) -> tuple[str, ...]:
    """Groups whose responses do not die out."""
    labels = [label for label, equation in equations.items() if not equation.stable(theta)]
    return tuple("all entities" if label is None else f"group {label}" for label in labels)


def _group_index(labels: Iterable[int | None]) -> pd.Index:
    return pd.Index(["all" if label is None else label for label in labels], name="group")


def _stacked(frames: list[pd.DataFrame], labels: list[int | None]) -> pd.DataFrame:
    return frames[0] if labels == [None] else pd.concat(frames, keys=labels, names=["group"])
